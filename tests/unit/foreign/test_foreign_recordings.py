# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings that were not made by record.yml: each sickness is found, and nothing that was not recorded is called missing or well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import Options, collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import JudgeOptions, judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recorded_desk import load
from foreign_recording import DRIVER, FUNCTIONS, HOTPLUG, KERNEL, TABLE, TWINS, Foreign

LOUD = ("warn", "unknown", "fail")
QUERY = "nvidia-smi --query-gpu="
ANSWER = "/usr/lib/systemd/system/nvidia-persistenced.service; disabled; preset: enabled"


def replay(recording: Foreign, folder: Path) -> tuple[dict[str, str], Any]:
    """Code to severity, and the facts."""
    about, desk = load(recording.write(folder))
    facts = collect(desk, Options(login_user=about.login_user))
    return {item.code: item.severity for item in judge(facts, Where(desk="d"), JudgeOptions())}, facts


def loud(found: dict[str, str]) -> set[str]:
    return {code for code, severity in found.items() if severity in LOUD}


def packages(recording: Foreign, argv: list[str], form: str, flashing: bool = True, **more: Any) -> Foreign:
    rows = [("nvidia-driver-580-open", f"{DRIVER}-0ubuntu1")] + [("mlnx-fw-updater", "25.10-1")] * flashing
    return recording.say(argv, "".join(form.format(name=name, version=version) for name, version in rows), **more)


def without_adapter(recording: Foreign, powered: str) -> Foreign:
    recording.drop("sys/class/infiniband", *(f"sys/class/net/{item[0]}" for item in FUNCTIONS)).unsay("rdma", "ip -j addr")
    return recording.set(f"{HOTPLUG}/debug_state", powered).say("lspci -D -d 15b3:", "")


def slow(recording: Foreign, prefix: str = "") -> Foreign:
    for netdev in TWINS:
        recording.drop(f"sys/class/net/{netdev}/speed")
        recording.say(f"{prefix}ethtool {netdev}", f"Settings for {netdev}:\n\tSpeed: 100000Mb/s\n\tLink detected: yes\n")
    return recording


def narrow(recording: Foreign, folder: str) -> Foreign:
    for netdev, _rdma, place, _port, _number in FUNCTIONS:
        here = folder.format(netdev=netdev, place=place)
        recording.set(f"{here}/current_link_width", "2\n" if place.startswith("0002") else "4\n")
        if "bus/pci" in here:
            recording.set(f"{here}/vendor", "0x15b3\n").set(f"{here}/device", "0x1021\n")
    return recording


def two_kernels(recording: Foreign) -> Foreign:
    for release in (KERNEL, "6.17.0-1026-nvidia"):
        recording.set(f"boot/vmlinuz-{release}", "")
    recording.set(f"lib/modules/{KERNEL}/kernel/nvidia-580-open/nvidia.ko", "")
    return recording.set("lib/modules/6.17.0-1026-nvidia/modules.dep", "")


LOCK = "/var/lib/dpkg/lock-frontend"
LSLOCKS = f"COMMAND          PID  TYPE SIZE MODE  M START END PATH\nunattended-upgr 4711 POSIX      WRITE 0     0   0 {LOCK}\n"
NO_FILE = "cat: /etc/dgx-release: No such file or directory\n"
FIRST_BOOT = "nvidia-spark-run-apt-upgrade-once"
AUDIT = "The following packages are only half configured, probably due to problems\n nvidia-driver-580-open NVIDIA driver metapackage\n"
LSPCI = (
    "0002:01:00.0 Ethernet controller: Mellanox Technologies MT2910 Family [ConnectX-7]\n"
    "\tLnkCap:\tPort #0, Speed 32GT/s, Width x4, ASPM not supported\n\tLnkSta:\tSpeed 32GT/s, Width x2 (downgraded)\n"
)
HOTPLUG_LOG = (
    "[Thu Jun 18 10:00:00 2026] Linux version\n[Thu Jun 18 10:00:03 2026] cx7-pcie-hotplug MTKP0001:00: Hotplug enabled\n"
    "[Thu Jun 18 11:00:03 2026] cx7-pcie-hotplug MTKP0001:00: Cable plugin\n"
)
CAPPED = "29.87, 612, 3003, 96, P0\n"
SICK: dict[str, tuple[str, Callable[[Foreign], Foreign]]] = {
    "the file is not there, says cat": (
        "DGX_RELEASE_MISSING",
        lambda it: it.drop("etc/dgx-release").say("cat /etc/dgx-release", rc=1, stderr=NO_FILE),
    ),
    "the file's text is an answer of cat": (
        "DGX_OS_TOO_OLD",
        lambda it: it.drop("etc/dgx-release").say("cat /etc/dgx-release", "DGX_SWBUILD_VERSION=7.1.0\n"),
    ),
    "first boot, folder absent, says ls": (
        "FIRST_BOOT_UPGRADE_PENDING",
        lambda it: (
            it.drop(f"var/lib/{FIRST_BOOT}")
            .set(f"usr/lib/systemd/system/{FIRST_BOOT}.service", "[Unit]\n")
            .say(f"ls /var/lib/{FIRST_BOOT}", rc=2, stderr=f"ls: cannot access '/var/lib/{FIRST_BOOT}': No such file or directory\n")
        ),
    ),
    "first boot, the unit runs": (
        "FIRST_BOOT_UPGRADE_PENDING",
        lambda it: it.drop(f"var/lib/{FIRST_BOOT}").say(f"systemctl is-active {FIRST_BOOT}.service", "activating\n", rc=3),
    ),
    "lslocks as a table": ("DPKG_LOCKED", lambda it: it.say("lslocks", LSLOCKS)),
    "fuser": ("DPKG_LOCKED", lambda it: it.say(f"fuser {LOCK}", " 4711", stderr=f"{LOCK}:")),
    "lsof": (
        "DPKG_LOCKED",
        lambda it: it.say(
            f"sudo lsof {LOCK}", f"COMMAND PID USER FD TYPE DEVICE SIZE/OFF NODE NAME\napt 47 root 4uW REG 259,2 0 1 {LOCK}\n"
        ),
    ),
    "dpkg --audit": ("DPKG_BROKEN", lambda it: it.say("dpkg --audit", AUDIT)),
    "dpkg -l": ("DPKG_BROKEN", lambda it: it.say("dpkg -l", "iF  nvidia-driver-580-open  580.142-0ubuntu1  arm64  driver\n")),
    "dpkg-query without a format": (
        "MLNX_FW_UPDATER_PRESENT",
        lambda it: packages(it, ["dpkg-query", "-W"], "{name}\t{version}\n"),
    ),
    "dpkg-query with a format of its own": (
        "MLNX_FW_UPDATER_PRESENT",
        lambda it: packages(
            it, ["dpkg-query", "-W", "-f", "${Status} ${binary:Package} ${Version}\\n"], "install ok installed {name}:arm64 {version}\n"
        ),
    ),
    "dpkg-query with letters": (
        "MLNX_FW_UPDATER_PRESENT",
        lambda it: packages(
            it, ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}|${Package}|${Version}\\n"], "ii |{name}|{version}\n"
        ),
    ),
    "dpkg-query for some packages": (
        "MLNX_FW_UPDATER_PRESENT",
        lambda it: packages(it, ["dpkg-query", "-W", "mlnx-fw-updater", "foo"], "{name}\t{version}\n", rc=1, stderr="no packages found\n"),
    ),
    "apt list in another language": (
        "MLNX_FW_UPDATER_PRESENT",
        lambda it: it.say("apt list --installed", "Auflistung…\nmlnx-fw-updater/now 25.10-1 arm64 [Installiert,lokal]\n"),
    ),
    "dpkg --get-selections": (
        "DRIVER_NOT_HELD",
        lambda it: packages(it, ["dpkg-query", "-W"], "{name}\t{version}\n", flashing=False).say(
            "dpkg --get-selections", "nvidia-driver-580-open\tinstall\n"
        ),
    ),
    "timedatectl": (
        "CLOCK_UNSYNCED",
        lambda it: it.say("timedatectl", "System clock synchronized: no\n              NTP service: active\n"),
    ),
    "timedatectl --value": ("CLOCK_UNSYNCED", lambda it: it.say("timedatectl show -p NTPSynchronized --value", "no\n")),
    "ulimit": ("MEMLOCK_LOW", lambda it: it.say(["bash", "-c", "ulimit -l"], "8192\n")),
    "ufw as root": ("FIREWALL_ACTIVE", lambda it: it.say("sudo ufw status", "Status: active\n")),
    "systemctl status": (
        "PERSISTENCED_INACTIVE",
        lambda it: it.say("systemctl status nvidia-persistenced", f"     Loaded: loaded ({ANSWER})\n     Active: inactive (dead)\n", rc=3),
    ),
    "systemctl show": (
        "PERSISTENCED_INACTIVE",
        lambda it: it.say("systemctl show nvidia-persistenced.service", "ActiveState=failed\nUnitFileState=enabled\n"),
    ),
    "the table's CUDA": ("CUDA_MAJOR_WRONG", lambda it: it.say("nvidia-smi", TABLE.replace("CUDA Version: 13.0", "CUDA Version: 12.8"))),
    "nvcc by its path": (
        "CUDA_MAJOR_WRONG",
        lambda it: packages(it, ["dpkg", "-l"], "ii  {name}  {version}  arm64  x\n", flashing=False).say(
            "/usr/local/cuda/bin/nvcc --version", "Cuda compilation tools, release 12.8, V12.8.61\n"
        ),
    ),
    "a query without a header": (
        "GPU_POWER_CAPPED",
        lambda it: it.say(
            f"{QUERY}power.draw,clocks.current.sm,clocks.max.sm,utilization.gpu,pstate --format=csv,noheader,nounits", CAPPED
        ),
    ),
    "two queries with other names": (
        "GPU_POWER_CAPPED",
        lambda it: it.say(f"{QUERY}utilization.gpu,power.draw --format=csv", "utilization.gpu [%], power.draw [W]\n99 %, 30.10 W\n").say(
            f"{QUERY}clocks.gr,clocks.max.gr --format=csv", "clocks.current.graphics [MHz], clocks.max.graphics [MHz]\n612 MHz, 3003 MHz\n"
        ),
    ),
    "no devices, exit code 0": ("GPU_NOT_FOUND", lambda it: it.say("nvidia-smi", "No devices were found\n")),
    "compute processes": (
        "PAIR_BUSY",
        lambda it: it.say(
            "nvidia-smi --query-compute-apps=pid,name,used_gpu_memory --format=csv",
            "pid, process_name, used_gpu_memory [MiB]\n7, vllm, 9 MiB\n",
        ),
    ),
    "no adapter, no cable": ("CX7_ABSENT_NO_CABLE", lambda it: without_adapter(it, "0\n")),
    "no adapter, cable seen": ("CX7_ABSENT_FAULT", lambda it: without_adapter(it, "1\n")),
    "a twin is missing": (
        "CX7_FUNCTION_MISSING",
        lambda it: it.drop("sys/class/net/enP2p1s0f0np0", "sys/class/infiniband/roceP2p1s0f0"),
    ),
    "speed from ethtool": ("CX7_SPEED_LOW", slow),
    "speed from sudo ethtool": ("CX7_SPEED_LOW", lambda it: slow(it, "sudo /usr/sbin/")),
    "no sysfs at all": ("CX7_SPEED_LOW", lambda it: slow(it.drop("sys/class/net", "sys/class/infiniband"))),
    "width at the netdev": ("CX7_PCIE_WIDTH_LOW", lambda it: narrow(it, "sys/class/net/{netdev}/device")),
    "width on the bus": ("CX7_PCIE_WIDTH_LOW", lambda it: narrow(it, "sys/bus/pci/devices/{place}")),
    "width from lspci": ("CX7_PCIE_WIDTH_LOW", lambda it: it.say("lspci -vv -s 0002:01:00.0", LSPCI)),
    "no GID on one twin": (
        "CX7_GID_MISSING",
        lambda it: it.drop(
            *(f"sys/class/infiniband/roceP2p1s0f0/ports/1/{part}/{n}" for part in ("gids", "gid_attrs/types") for n in (2, 3))
        ),
    ),
    "plain routes": (
        "CX7_DEFAULT_ROUTE",
        lambda it: it.unsay("ip -j route").say("ip -4 route", f"default via 192.168.100.1 dev {TWINS[0]}\n"),
    ),
    "dmesg -T": ("CX7_PLUGGED_AFTER_BOOT", lambda it: it.say("dmesg -T", HOTPLUG_LOG)),
    "a netplan file that matches by the driver, which was not recorded": (
        "CX7_FOREIGN_OWNER",
        lambda it: it.set("etc/netplan/60-cx7.yaml", "network:\n  ethernets:\n    cx7: {match: {driver: mlx5_core}, mtu: 9000}\n"),
    ),
    "one kernel without a module": ("NEXT_BOOT_KERNEL_WITHOUT_DRIVER", two_kernels),
}


@pytest.mark.parametrize("name", SICK)
def test_each_sickness_is_found_however_it_was_recorded(name: str, tmp_path: Path) -> None:
    code, make = SICK[name]
    found, _facts = replay(make(Foreign()), tmp_path)
    assert code in found
    assert loud(found) <= {code}


def renamed() -> Foreign:
    """Interfaces and RDMA devices with names of their own; only ``rdma link`` tells which belong together."""
    it = Foreign()
    for place, (netdev, rdma, *_rest) in enumerate(FUNCTIONS):
        it.files = {
            path.replace(f"/{netdev}/", f"/fab{place}/").replace(f"/{rdma}/", f"/mlx5_{place}/"): text for path, text in it.files.items()
        }
        for entry in it.commands:
            entry["stdout"] = entry["stdout"].replace(f"{rdma}/", f"mlx5_{place}/").replace(netdev, f"fab{place}")
    return it


def netdevs_down() -> str:
    rows = (f"{rdma} port 1 ==> {netdev} ({'Up' if port == 'p0' else 'Down'})" for netdev, rdma, _place, port, _number in FUNCTIONS)
    return "\n".join(rows) + "\n"


WELL: dict[str, Callable[[], Foreign]] = {
    "as it is": Foreign,
    "no rdma tool": lambda: Foreign().unsay("rdma"),
    "ibdev2netdev instead": lambda: Foreign().unsay("rdma").say("ibdev2netdev", netdevs_down()),
    "renamed": renamed,
    "both ports": lambda: Foreign(cabled=("p0", "p1")).set("sys/class/net/enp1s0f1np1/mtu", "9000\n"),
    "no cable": lambda: without_adapter(Foreign(), "0\n"),
    "idle": lambda: Foreign().say(
        f"{QUERY}power.draw,clocks.sm,clocks.max.sm,utilization.gpu --format=csv,noheader", "4.2 W, 208 MHz, 3003 MHz, 0 %\n"
    ),
    "only commands": lambda: Foreign().drop("sys/class/net", "sys/class/infiniband"),
    "nobody holds the lock": lambda: Foreign().say(f"fuser {LOCK}", rc=1).say("lslocks", LSLOCKS.partition("\n")[0]),
    "dpkg --audit is content": lambda: Foreign().say("dpkg --audit"),
    "a done one-shot": lambda: Foreign().drop(f"var/lib/{FIRST_BOOT}").say(f"systemctl is-active {FIRST_BOOT}", "inactive\n", rc=3),
    "plugged at boot": lambda: Foreign().say("dmesg -T", HOTPLUG_LOG.replace("11:00:03", "10:00:30")),
    "synchronised": lambda: Foreign().say("timedatectl show -p NTPSynchronized --value", "yes\n"),
    "unlimited": lambda: Foreign().say(["bash", "-c", "ulimit -Hl"], "unlimited\n").say(["bash", "-c", "ulimit -l"], "unlimited\n"),
    "systemctl status is content": lambda: Foreign().say(
        "systemctl status nvidia-persistenced",
        f"     Loaded: loaded ({ANSWER.replace('disabled', 'static')})\n     Active: active (running) since Mon\n",
    ),
    "full width": lambda: Foreign().say("lspci -vv", LSPCI.replace("x2 (downgraded)", "x4")),
}


@pytest.mark.parametrize("name", WELL)
def test_a_healthy_desk_raises_nothing_above_note(name: str, tmp_path: Path) -> None:
    found, facts = replay(WELL[name](), tmp_path)
    assert loud(found) == set()
    assert len(facts.cx7.functions) == (0 if name == "no cable" else 4)


def test_rdma_devices_that_nothing_joins_to_an_interface_are_unknown_and_no_functions(tmp_path: Path) -> None:
    it = renamed().unsay("rdma")
    found, facts = replay(it, tmp_path)
    assert (loud(found), len(facts.cx7.functions)) == (set(), 4)
    assert "mlx5_0" in facts.unread["cx7.rdma_devices"]


@pytest.mark.parametrize(
    ("forget", "unknown"),
    [
        ("etc/dgx-release", "dgx_os.version"),
        ("proc/meminfo", "memory.total_kb"),
        ("proc/driver", "driver.open_module"),
    ],
)
def test_what_was_not_recorded_is_unknown_and_never_missing(forget: str, unknown: str, tmp_path: Path) -> None:
    found, facts = replay(Foreign().drop(forget), tmp_path)
    assert found.get("FACTS_INCOMPLETE") == "unknown"
    assert loud(found) == {"FACTS_INCOMPLETE"}
    assert unknown in facts.unread


@pytest.mark.parametrize("error", ["timeout", "denied"])
def test_a_command_that_hung_or_was_refused_is_unknown(error: str, tmp_path: Path) -> None:
    it = Foreign().unsay("nvidia-smi").say("nvidia-smi -q", error=error).say("nvidia-smi", error=error)
    found, facts = replay(it, tmp_path)
    assert loud(found) == {"FACTS_INCOMPLETE"}
    assert error in facts.unread["gpu.name"]


def broken(kind: str, path: Path) -> None:
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to("/" + str(path).partition("/files/")[2])
    elif kind == "long line":
        path.write_text("A" * 10_000_000)
    else:
        path.write_bytes({"binary": bytes(range(256)) * 40, "nul": b"\x00\xff\xfe" * 1000, "empty": b""}[kind])


@pytest.mark.parametrize("kind", ["folder", "loop", "long line", "binary", "nul", "empty"])
@pytest.mark.parametrize("path", ["etc/dgx-release", "proc/meminfo", "proc/driver/nvidia/version"])
def test_a_hostile_file_makes_its_fact_unknown(kind: str, path: str, tmp_path: Path) -> None:
    it = Foreign()
    it.write(tmp_path)
    broken(kind, tmp_path / "files" / path)
    _recording, desk = load(tmp_path)
    found = {item.code: item.severity for item in judge(collect(desk), Where(desk="d"), JudgeOptions())}
    assert loud(found) == {"FACTS_INCOMPLETE"}


def test_a_file_that_only_root_may_read_is_denied(tmp_path: Path) -> None:
    it = Foreign()
    it.denied = ["/etc/dgx-release"]
    found, facts = replay(it, tmp_path)
    assert loud(found) == {"FACTS_INCOMPLETE"}
    assert "denied" in facts.unread["dgx_os.version"]
