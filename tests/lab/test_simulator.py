"""The lab itself, with real containers: it comes up, keeps its laws, survives being killed, and leaves nothing behind.

Needs root, a container engine and the desk image (made on the first run). Run with `pytest -m lab tests/lab`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "simulator" / "lab"
NAME = f"t{os.getpid() % 100000}"
DESCRIPTION = """
desks:
  desk-01: {}
  desk-02: {renderer: networkd}
pairs:
  pair_a: [desk-01, desk-02]
cables:
  cable-1: {ends: [desk-01/0, desk-02/0]}
hotplug_delay: [1, 1]
"""

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="a lab needs root"),
    pytest.mark.skipif(not (shutil.which("podman") or shutil.which("docker")), reason="a lab needs podman or Docker"),
]


def lab(*words: str, check: bool = True, timeout: float = 600, name: str = NAME) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(LAB), "--lab", name, *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def inside(desk: str, *words: str, check: bool = True) -> str:
    return lab("exec", desk, "--", *words, check=check).stdout


def eventually(test: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if test():
            return True
        time.sleep(0.5)
    return test()


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie that nobody has asked about yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def status() -> dict:
    return json.loads(lab("status", "--json").stdout)


@pytest.fixture(scope="module")
def labfile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lab") / "pair.yml"
    path.write_text(DESCRIPTION, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def running(labfile: Path) -> Iterator[None]:
    try:
        lab("up", str(labfile), "--enrolled")
        yield
    finally:
        lab("down", check=False)


@pytest.mark.usefixtures("running")
class TestRunning:
    """One lab for all of these, in this order."""

    def test_desks_answer_to_checked_keys_as_the_login_user(self) -> None:
        for desk in ("desk-01", "desk-02"):
            done = lab("ssh", desk, "id -un; uname -m")
            assert done.stdout.split() == ["labadmin", "aarch64"]

    def test_sudo_asks_for_a_password(self) -> None:
        done = lab("ssh", "desk-01", "sudo -n true", check=False)
        assert done.returncode != 0 and "password is required" in done.stderr

    def test_inventory_has_what_ansible_needs(self) -> None:
        data = json.loads(lab("inventory").stdout)
        one = data["_meta"]["hostvars"]["desk-01"]
        assert one["ansible_become_password"] and Path(one["ansible_ssh_private_key_file"]).exists()
        assert data["pair_a"]["hosts"] == ["desk-01", "desk-02"]
        assert "StrictHostKeyChecking=yes" in data["spark_desks"]["vars"]["ansible_ssh_common_args"]

    def test_nothing_is_installed_that_a_box_does_not_have(self) -> None:
        assert inside("desk-01", "sh", "-c", "command -v mpirun ib_write_bw || echo none").strip() == "none"

    def test_real_apt_decides(self) -> None:
        inside("desk-01", "apt-get", "update")
        policy = inside("desk-01", "apt-cache", "policy", "nvidia-driver-580-open")
        assert "580.178.04-1ubuntu1 -1" in policy, "the stock pin keeps the CUDA archive's build out"
        assert inside("desk-01", "dpkg", "--audit") == ""
        inside("desk-01", "apt-get", "check")

    def test_an_archive_fault_is_seen_by_its_desk_only(self) -> None:
        lab("fault", "set", "desk-01", "archive_unreachable")
        assert "Failed to fetch" in lab("exec", "desk-01", "--", "apt-get", "update", check=False).stderr
        assert "Failed" not in lab("exec", "desk-02", "--", "apt-get", "update", check=False).stderr
        lab("fault", "clear", "desk-01")

    def test_publishing_drops_old_builds(self) -> None:
        lab("archive", "publish", "next")
        inside("desk-01", "apt-get", "update")
        madison = inside("desk-01", "apt-cache", "madison", "nvidia-utils-580")
        assert "580.190.02" in madison and "580.178.04" not in madison
        lab("archive", "publish", "base")

    def test_a_pulled_cable_takes_the_adapter_away_and_a_replug_is_the_trap(self) -> None:
        lab("cable", "pull", "cable-1")
        assert inside("desk-01", "cat", "/sys/class/net/enp1s0f0np0/carrier", check=False).strip() in ("0", "")
        assert eventually(lambda: "enp1s0f0np0" not in inside("desk-01", "ip", "-br", "link"), 20)
        lab("cable", "plug", "cable-1")
        assert eventually(lambda: "enp1s0f0np0" in inside("desk-01", "ip", "-br", "link"), 10)
        assert status()["cables"][0]["one_way_gbps"] == 13.0
        lab("power", "reboot", "desk-01")
        assert status()["cables"][0]["one_way_gbps"] == 13.0
        lab("power", "drain", "desk-02")
        assert status()["cables"][0]["one_way_gbps"] == 109.0

    def test_a_reboot_from_inside_comes_back_as_the_same_desk(self) -> None:
        inside("desk-02", "touch", "/root/kept")
        before = inside("desk-02", "cat", "/proc/sys/kernel/random/boot_id")
        lab("exec", "desk-02", "--", "systemctl", "--no-block", "reboot", check=False)

        def back() -> bool:
            done = lab("exec", "desk-02", "--", "cat", "/proc/sys/kernel/random/boot_id", check=False)
            return done.returncode == 0 and done.stdout != before

        assert eventually(back, 90)
        assert eventually(lambda: lab("ssh", "desk-02", "true", check=False).returncode == 0, 60), "same host key, same user"
        inside("desk-02", "ls", "/root/kept")

    def test_reset_brings_everything_back(self) -> None:
        inside("desk-01", "touch", "/root/litter")
        lab("fault", "set", "desk-01", "slow_13g")
        lab("cable", "pull", "cable-1", "desk-02/0")
        lab("power", "off", "desk-02")
        lab("reset")
        data = status()
        assert [desk["power"] for desk in data["desks"]] == ["on", "on"]
        assert not any(desk["faults"] for desk in data["desks"])
        assert data["cables"][0]["one_way_gbps"] == 109.0
        assert inside("desk-01", "sh", "-c", "ls /root/litter 2>/dev/null || echo gone").strip() == "gone"
        lab("ssh", "desk-01", "true")

    def test_up_ends_a_service_that_a_killed_command_left_unrecorded(self, labfile: Path) -> None:
        path = Path("/var/lib/spark-lab") / NAME / "state.json"
        state = json.loads(path.read_text(encoding="utf-8"))
        stray = state["processes"].pop("dnsmasq")["pid"]
        path.write_text(json.dumps(state), encoding="utf-8")
        lab("up", str(labfile), "--enrolled")
        assert not runs(stray)
        assert status()["services"]["dnsmasq"]

    def test_up_boots_a_desk_whose_start_was_cut_short(self, labfile: Path) -> None:
        """What a kill between a container's start and its network leaves: it runs, nobody wrote its process down, it has no leg."""
        path = Path("/var/lib/spark-lab") / NAME / "state.json"
        state = json.loads(path.read_text(encoding="utf-8"))
        del state["desks"]["desk-01"]["pid"]
        path.write_text(json.dumps(state), encoding="utf-8")
        subprocess.run(["ip", "-n", f"lab-{NAME}", "link", "delete", "d0m"], check=True, timeout=20)
        assert lab("ssh", "desk-01", "true", check=False).returncode != 0
        lab("up", str(labfile), "--enrolled")
        lab("ssh", "desk-01", "true")
        assert status()["cables"][0]["one_way_gbps"] == 109.0

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (("cable", "pull", "cable-9"), "there is no cable 'cable-9'"),
            (("cable", "plug", "cable-1"), "already where the lab's description has it"),
            (("power", "on", "desk-01"), "is already on"),
            (("power", "off", "desk-77"), "there is no desk 'desk-77'"),
            (("fault", "set", "desk-01", "gremlins"), "there is no fault 'gremlins'"),
            (("fault", "set", "desk-01", "slow_13g", "x"), "write key=value"),
            (("archive", "publish", "nope"), "there is no archive set"),
            (("up", "--pairs", "3"), "with a different description"),
        ],
    )
    def test_mistakes_get_one_sentence(self, words: tuple[str, ...], text: str) -> None:
        done = lab(*words, check=False)
        assert done.returncode != 0
        assert text in done.stderr
        assert "Traceback" not in done.stderr


def test_no_lab_is_one_sentence() -> None:
    done = lab("status", check=False, name="nowhere")
    assert done.returncode == 3 and "there is no lab 'nowhere'" in done.stderr


@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5, 4.0])
def test_up_after_a_kill_works_and_down_leaves_nothing(labfile: Path, seconds: float) -> None:
    name = f"k{NAME}"
    try:
        process = subprocess.Popen(
            [sys.executable, str(LAB), "--lab", name, "up", str(labfile), "--enrolled"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds)
        process.kill()
        process.wait()
        lab("up", str(labfile), "--enrolled", name=name)
        lab("ssh", "desk-01", "true", name=name)
    finally:
        lab("down", name=name, check=False)
    assert not (Path("/run/netns") / f"lab-{name}").exists()
    assert not Path(f"/var/lib/spark-lab/{name}").exists()
    engine = "podman" if shutil.which("podman") else "docker"
    left = subprocess.run(
        [engine, "ps", "-aq", "--filter", f"label=spark-lab={name}"], capture_output=True, text=True, timeout=60, check=True
    )
    assert left.stdout.strip() == ""
