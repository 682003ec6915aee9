"""The hardware daemon without a container: fakes of /sys, counters, kernel log, benchmarks side by side."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import DESK, PaperDesk, description, live

Read = Callable[[str], str]


def links(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    from desklib.netlink import Link

    return {n: Link(name=n, **facts) for n, facts in live(data, **more)["links"].items()}


def hardware(folder: Path, data: dict[str, Any]) -> Any:
    """A daemon that mounts nothing, with the links of a paper desk."""
    from desklib.hardware import Hardware

    (folder / "desk.json").write_text(json.dumps(data), encoding="utf-8")
    (folder / "run").mkdir(exist_ok=True)
    made = Hardware(folder, folder / "run", mount=False, effects=False)
    made.start()
    made.links = links(data, addresses={"enp1s0f0np0": ["192.0.2.10"]})
    made.refresh()
    return made


def test_tree_reads_like_sysfs(tmp_path: Path) -> None:
    hardware(tmp_path, description())
    root = tmp_path / "run" / "tree"
    device = root / "class/infiniband/rocep1s0f0"
    assert os.readlink(device) == "../../devices/pci0000:00/0000:00:00.0/0000:01:00.0/infiniband/rocep1s0f0"
    assert (device / "ports/1/state").read_text() == "4: ACTIVE\n"
    assert (device / "device/current_link_width").read_text() == "4\n"
    assert (device / "ports/1/gids/1").read_text() == "0000:0000:0000:0000:0000:ffff:c000:020a\n"
    assert (device / "ports/1/gid_attrs/types/1").read_text() == "RoCE v2\n"
    assert sorted(p.name for p in (root / "bus/pci/drivers/mlx5_core").iterdir())[0] == "0000:01:00.0"
    assert (root / "class/dmi/id/product_name").read_text() == "NVIDIA_DGX_Spark\n"
    assert (root / "class/dmi/id/product_serial").stat().st_mode & 0o777 == 0o400
    assert (root / "class/net/enp1s0f0np0").is_symlink()


def test_hotplug_removes_the_devices_and_brings_them_back(tmp_path: Path) -> None:
    data = description()
    made = hardware(tmp_path, data)
    root = tmp_path / "run" / "tree"
    for powered, count in ((False, 0), (True, 4)):
        data["hotplug"]["powered"] = powered
        (tmp_path / "desk.json").write_text(json.dumps(data), encoding="utf-8")
        assert made.answer({"op": "reload"}, 1) == {"ok": True}
        assert len(list((root / "class/infiniband").iterdir())) == count
        assert (root / "devices/platform/MTKP0001:00/pcie_hotplug/debug_state").read_text() == f"{int(powered)}\n"
        assert (root / "bus/pci/devices/0000:00:00.0").exists()
    texts = [line.text for line in made.log.read()]
    assert "cx7-pcie-hotplug MTKP0001:00: Cable removal" in texts
    assert texts.index("cx7-pcie-hotplug MTKP0001:00: Cable plugin") > texts.index("cx7-pcie-hotplug MTKP0001:00: Cable removal")


def test_a_restarted_daemon_takes_over(tmp_path: Path) -> None:
    data = description()
    hardware(tmp_path, data)
    data["faults"] = {"twin_missing": {}}
    made = hardware(tmp_path, data)
    names = {p.name for p in (tmp_path / "run/tree/class/infiniband").iterdir()}
    assert names == {"rocep1s0f0", "rocep1s0f1", "roceP2p1s0f1"}
    assert len(made.functions) == 3


def test_counters_are_words_of_four_octets(tmp_path: Path) -> None:
    made = hardware(tmp_path, description())
    assert made.answer({"op": "rdma", "device": "rocep1s0f0", "tx_bytes": 1 << 20, "rx_bytes": 0}, 1) == {"ok": True}
    counters = tmp_path / "run/tree/class/infiniband/rocep1s0f0/ports/1/counters"
    octets = int((counters / "port_xmit_data").read_text()) * 4
    assert (1 << 20) < octets < 1.07 * (1 << 20)
    assert (counters / "port_rcv_data").read_text() == "0\n"
    still = tmp_path / "run/tree/class/infiniband/roceP2p1s0f0/ports/1/counters/port_xmit_data"
    assert still.read_text() == "0\n"


def test_counters_stand_still_by_fault(tmp_path: Path) -> None:
    data = description()
    data["faults"] = {"rdma_counters_still": {}}
    made = hardware(tmp_path, data)
    assert made.answer({"op": "rdma", "device": "rocep1s0f0", "tx_bytes": 4096, "rx_bytes": 0}, 1)["ok"]
    assert made.state()["traffic"] == {}


def test_counters_survive_the_daemon_and_end_with_the_boot(tmp_path: Path) -> None:
    data = description()
    hardware(tmp_path, data).answer({"op": "rdma", "device": "rocep1s0f0", "tx_bytes": 4096, "rx_bytes": 0}, 1)
    assert hardware(tmp_path, data).traffic["rocep1s0f0"].tx_bytes == 4096
    data["boot_count"] = 2
    assert hardware(tmp_path, data).traffic == {}


def test_bad_requests_get_an_error(tmp_path: Path) -> None:
    made = hardware(tmp_path, description())
    assert "unknown request 'sing'" in made.answer({"op": "sing"}, 1)["error"]
    assert made.answer({"op": "rdma", "device": "mlx5_0"}, 1) == {"ok": False, "error": "no RDMA device mlx5_0"}
    assert made.answer({"op": "overlap"}, 7)["ok"] is False


def test_benchmarks_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = hardware(tmp_path, description())
    clock = [100.0]
    monkeypatch.setattr("desklib.hardware.time.monotonic", lambda: clock[0])
    made.answer({"op": "bench", "device": "rocep1s0f0", "direction": "tx"}, 1)
    clock[0] = 101.0
    made.answer({"op": "bench", "device": "roceP2p1s0f0", "direction": "tx"}, 2)
    clock[0] = 103.0
    made.closed(2)
    clock[0] = 104.0
    answer = made.answer({"op": "overlap"}, 1)
    assert answer == {"ok": True, "seconds": 4.0, "others": {"roceP2p1s0f0": 2.0}}


def test_server_answers_over_its_socket(tmp_path: Path) -> None:
    from desklib import client
    from desklib.hardware import Server

    server = Server(hardware(tmp_path, description()))
    server.listen()
    done = threading.Event()

    def loop() -> None:
        while not done.is_set():
            for key, _mask in server.selector.select(0.05):
                server._serve(key)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        path = tmp_path / "hw.sock"
        assert path.stat().st_mode & 0o777 == 0o666
        assert client.ask({"op": "state"}, path)["name"] == "desk-01"
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(5)
            raw.connect(str(path))
            raw.sendall(b"no json\n")
            assert b'"ok": false' in raw.recv(4096)
    finally:
        done.set()
        thread.join()


def messages(text: str) -> list[str]:
    return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in text.splitlines()]


def test_boot_log_has_the_messages_of_the_transcripts(tmp_path: Path, transcript: Read) -> None:
    data = description(cabled=())
    data["hotplug"]["powered"] = False
    made = hardware(tmp_path, data)
    lines = made.log.read()
    mine = [" ".join(line.text.split()) for line in lines]
    for text in messages(transcript("kernel-cx7-hotplug-removal.log")):
        assert any(own.startswith(" ".join(text.split())[:60]) for own in mine), text
    removal = next(line.at for line in lines if line.text.endswith("Cable removal"))
    assert 5 <= removal <= 22
    power = transcript("kernel-27w-benign.log").split("...: ")[1].strip()
    assert sum(power in own for own in mine) == 4
    real_name = transcript("kernel-hardware-name.fe.txt").strip().removeprefix("Hardware name: NVIDIA ").split(",")[0]
    assert any(own.startswith(f"DMI: NVIDIA {real_name}") for own in mine)


def test_a_plug_after_boot_is_in_the_log(tmp_path: Path, transcript: Read) -> None:
    data = description(cabled=())
    data["hotplug"]["powered"] = False
    made = hardware(tmp_path, data)
    before = len(made.log.read())
    plugged = description()
    (tmp_path / "desk.json").write_text(json.dumps(plugged), encoding="utf-8")
    made.answer({"op": "reload"}, 1)
    mine = [line.text for line in made.log.read()][before:]
    for text in messages(transcript("kernel-cx7-hotplug-plugin.log"))[:2]:
        assert text in mine
    made.links = links(plugged)
    made.refresh()
    assert messages(transcript("kernel-cx7-hotplug-plugin.log"))[2] in [line.text for line in made.log.read()]


def test_unknown_faults_are_named(tmp_path: Path) -> None:
    from desklib.desk import unknown_faults

    assert unknown_faults({"half_width": {}, "gremlins": {}}) == ["gremlins"]


def test_every_fault_is_realised_somewhere() -> None:
    table = json.loads((DESK / "faults.json").read_text(encoding="utf-8"))
    code = "".join(p.read_text(encoding="utf-8") for p in (DESK / "desklib").rglob("*.py"))
    # The lab works these into the figures of the cable.
    outside = {"slow_13g", "bidir_degraded"}
    idle = [name for name in table if f'"{name}"' not in code and name not in outside]
    assert idle == [], f"faults.json lists what nothing in simulator/desk/desklib/ asks for (Desk.fault): {idle}"


def test_kernel_journal(paper: PaperDesk) -> None:
    from desklib import klog
    from desklib.desk import Desk

    log = klog.Log(paper.folder / "klog.jsonl")
    log.start(Desk(paper.data), [klog.Line(1.5, 6, "cx7-pcie-hotplug MTKP0001:00: Hotplug enabled"), klog.Line(9e9, 6, "from the future")])
    answer = paper.run("journalctl", "-k", "-b", "-o", "short-monotonic", "--no-pager")
    if os.geteuid() != 0:
        pytest.skip("only root and the journal's groups may read the kernel log")
    assert answer.stdout == "[    1.500000] spark-a1b2 kernel: cx7-pcie-hotplug MTKP0001:00: Hotplug enabled\n"
    entry = json.loads(paper.run("journalctl", "-kb", "-o", "json", "--grep", "hotplug").stdout)
    assert (entry["__MONOTONIC_TIMESTAMP"], entry["_TRANSPORT"], entry["PRIORITY"]) == ("1500000", "kernel", "6")
    assert entry["__REALTIME_TIMESTAMP"] == "1790000001500000"
    nothing = paper.run("journalctl", "-k", "--grep", "no such thing")
    assert (nothing.returncode, nothing.stdout) == (1, "-- No entries --\n")
    assert paper.run("journalctl", "-k", "-b", "-1").returncode == 1
    assert "Hotplug enabled" in paper.run("dmesg").stdout


def test_update_snapshot(paper: PaperDesk, transcript: Read) -> None:
    paper.data["model"]["ota"].update(available=True, title="July 2026", state="ready")
    call = [
        "call",
        "com.nvidia.dgx.dashboard.admin1",
        "/com/nvidia/dgx/dashboard/admin",
        "com.nvidia.dgx.dashboard.admin1",
        "GetOTAAvailabilitySnapshot",
    ]

    def shape(text: str) -> str:
        return re.sub(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+\d\d:\d\d"', "WHEN", text.strip())

    assert shape(paper.run("busctl", *call).stdout) == shape(transcript("busctl-ota-snapshot.txt"))


def test_firmware_devices(paper: PaperDesk, transcript: Read) -> None:
    mine = json.loads(paper.run("fwupdmgr", "get-devices", "--json").stdout)["Devices"]
    real = json.loads(transcript("fwupdmgr-get-devices.asus.json"))["Devices"]
    assert {d["Name"] for d in real} <= {d["Name"] for d in mine}
    assert all(re.fullmatch(r"0x[0-9a-f]{8}|\d{8}", d["Version"]) for d in [*mine, *real])


def test_clock(paper: PaperDesk) -> None:
    assert paper.run("timedatectl", "show", "-p", "NTPSynchronized", "--value").stdout == "yes\n"
    paper.data["faults"] = {"clock_unsynced": {}}
    assert paper.run("timedatectl", "show", "--property=NTPSynchronized").stdout == "NTPSynchronized=no\n"


def test_container_engine(paper: PaperDesk) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root and the docker group may use the engine")
    image = "nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04"
    answer = paper.run("docker", "run", "--rm", "--gpus", "all", image, "nvidia-smi", "-L")
    assert answer.returncode == 0 and answer.stdout.startswith("GPU 0: NVIDIA GB10")
    assert paper.run("docker", "image", "inspect", image, "--format", "{{.Architecture}}").stdout == "arm64\n"
    assert paper.run("docker", "run", "--rm", "example.org/nothing:1").returncode == 125
    paper.data["faults"] = {"docker_gpu_broken": {}}
    assert paper.run("docker", "run", "--rm", "--gpus=all", image, "nvidia-smi").returncode == 127


def test_lldp_is_off_unless_asked_for(paper: PaperDesk) -> None:
    assert paper.run("lldpctl", "-f", "json").returncode == 1
    paper.data["faults"] = {"lldp": {}}
    rows = json.loads(paper.run("lldpctl", "-f", "json").stdout)["lldp"]["interface"]
    # The twin of a port hears this one over the same cable.
    assert [next(iter(row)) for row in rows] == ["enp1s0f0np0", "enp1s0f0np0", "enP2p1s0f0np0", "enP2p1s0f0np0"]


@pytest.mark.parametrize("name", ["founders_7_2_3", "founders_7_6_0", "asus_gx10", "hp_zgx", "spark_64gb"])
def test_models_make_whole_trees(name: str) -> None:
    from desklib import fakes
    from desklib.desk import Desk
    from desklib.view import functions

    data = description(name)
    desk = Desk(data)
    found = links(data)
    made = fakes.tree(desk, functions(desk, found), found, {})
    assert str(made["proc/driver/nvidia/version"]).startswith("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.")
    assert str(made["proc/meminfo"]).startswith("MemTotal:")


def test_meminfo_and_driver_text(transcript: Read) -> None:
    from desklib import fakes
    from desklib.desk import Desk

    data = description()
    text = fakes.meminfo(Desk(data))
    for line in transcript("meminfo.normal.txt").splitlines():
        name = line.split(":")[0]
        assert re.search(rf"^{name}: +\d+ kB$", text, re.M)
    data["faults"] = {"kho_enomem": {}}
    values = dict(re.findall(r"^(\w+): +(\d+) kB$", fakes.meminfo(Desk(data)), re.M))
    assert values["CmaTotal"] == "0" and int(values["CmaFree"]) > 0
    made = str(fakes.tree(Desk(data), [], {}, {})["proc/driver/nvidia/version"])
    real = transcript("proc-driver-nvidia-version.580.142.txt")

    def shape(own: str) -> str:
        return re.sub(r"  580\.[0-9.]+  ", "  V  ", re.sub(r"\(dvs-builder.*", "", own, count=1))

    assert shape(made).splitlines()[0] == shape(real).splitlines()[0]
    assert made.splitlines()[1] == real.splitlines()[1]
    data["faults"] = {"driver_proprietary": {}}
    assert "NVIDIA UNIX aarch64 Kernel Module  " in str(fakes.tree(Desk(data), [], {}, {})["proc/driver/nvidia/version"])
