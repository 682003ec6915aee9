"""Desks that are virtual machines: what is pure about them."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sparklab import initramfs, qemu, requirements, state, vm_image, vmlab
from sparklab.errors import LabError

DEPENDENCIES = """kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/jbd2/jbd2.ko
kernel/lib/crc16.ko:
kernel/fs/jbd2/jbd2.ko:
kernel/drivers/infiniband/sw/rxe/rdma_rxe.ko.xz: kernel/drivers/infiniband/core/ib_core.ko.xz
kernel/drivers/infiniband/core/ib_core.ko.xz:
kernel/drivers/block/virtio-blk.ko:
"""


def test_modules_come_after_what_they_need_and_a_built_in_one_is_passed_over() -> None:
    found = initramfs.closure(DEPENDENCIES, ["virtio_pci", "virtio-blk", "ext4", "rdma_rxe", "ext4"])
    names = [initramfs.module_name(path) for path in found]
    assert names == ["virtio_blk", "jbd2", "crc16", "ext4", "ib_core", "rdma_rxe"]


def test_the_first_file_system_unpacks_to_what_was_put_in(tmp_path: Path) -> None:
    """Read back by the same rules that the kernel has for the format, here by hand."""
    data = initramfs.archive({"init": (b"#!/bin/sh\n", 0o755), "modules/order": (b"one.ko\n", 0o644), "dev": (b"", stat.S_IFDIR | 0o755)})
    found, place = {}, 0
    while True:
        assert data[place : place + 6] == b"070701"
        fields = [int(data[place + 6 + 8 * number : place + 14 + 8 * number], 16) for number in range(13)]
        begin = place + 110
        name = data[begin : begin + fields[11] - 1].decode()
        begin = (begin + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            break
        found[name] = (fields[1], data[begin : begin + fields[6]])
        place = (begin + fields[6] + 3) // 4 * 4
    assert found == {
        "dev": (stat.S_IFDIR | 0o755, b""),
        "init": (stat.S_IFREG | 0o755, b"#!/bin/sh\n"),
        "modules": (stat.S_IFDIR | 0o755, b""),
        "modules/order": (stat.S_IFREG | 0o644, b"one.ko\n"),
    }


def test_the_list_of_modules_has_soft_roce() -> None:
    wanted = vm_image.modules_wanted((vm_image.FOLDER / "modules.txt").read_text(encoding="utf-8"))
    assert {"rdma_rxe", "ib_uverbs", "virtio_net"} <= set(wanted["start"]) and {"ext4", "virtio_blk"} <= set(wanted["boot"])


@pytest.mark.parametrize("accel", ["kvm", "tcg"])
def test_a_machine_has_an_adapter_for_each_tap_and_no_way_out(accel: str, tmp_path: Path) -> None:
    image = vm_image.Image(Path("d.img"), Path("vmlinuz"), Path("initramfs"))
    adapters = [qemu.Adapter("management", "d0m", "02:5a:00:00:00:01"), qemu.Adapter("f0", "d0f0", "02:51:00:00:00:01")]
    line = qemu.argv("x", image, Path("disk"), Path("seed"), tmp_path, adapters, accel)
    taps = [word for word in line if word.startswith("tap,")]
    assert [word.split("ifname=")[1].split(",")[0] for word in taps] == ["d0m", "d0f0"]
    assert not any(word.startswith("user") for word in line) and "-nodefaults" in line
    assert (accel == "kvm") == ("host" in line)


def test_the_accelerator_may_be_chosen_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    image = vm_image.Image(Path("d.img"), Path("vmlinuz"), Path("initramfs"))
    monkeypatch.setenv("SPARK_LAB_ACCEL", "tcg")
    assert qemu.accelerator(image) == "tcg"
    monkeypatch.setenv("SPARK_LAB_ACCEL", "hvf")
    with pytest.raises(LabError, match="kvm and tcg"):
        qemu.accelerator(image)


def record() -> state.Record:
    description: dict[str, Any] = {"desks": {"desk-01": {}, "desk-02": {}}, "cables": {"cable-1": {"ends": ["desk-01/0", "desk-02/0"]}}}
    return state.new("vm", description, engine={"name": "qemu", "runtime": None}, subnet=77, enrolled=True, distribution="trixie")


def test_a_fault_that_would_only_be_told_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one = vmlab.VmLab(record())
    told: list[str] = []
    monkeypatch.setattr(one, "tell", told.extend)
    monkeypatch.setattr(one, "write_desks", lambda: ["desk-01"])
    monkeypatch.setattr(one.record, "save", lambda: None)
    one.record.data["faults"]["desk-01"] = {"slow_13g": {}}
    with pytest.raises(LabError, match="break the real thing"):
        one.faults_changed("desk-01", {})
    assert one.record.data["faults"]["desk-01"] == {} and not told
    one.record.data["faults"]["desk-01"] = {"memlock_low": {}}
    one.faults_changed("desk-01", {})
    assert told == ["desk-01"]


def test_an_adapter_stays_where_its_cable_was_and_the_inside_knows_what_it_is() -> None:
    one = vmlab.VmLab(record())
    assert not any(desk.hotplug for desk in one.record.spec.desks.values())
    assert one.describe_desk({"name": "desk-01"}) == {"name": "desk-01", "machine": "vm"}


def test_machines_ask_for_qemu_and_for_no_container_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "_which", lambda program: None)
    asked = {tool.package for tool in requirements.missing("qemu")}
    assert {"qemu-system-x86", "qemu-utils", "mmdebstrap"} <= asked and "podman" not in asked


def test_a_disk_that_cannot_be_made_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "no space left")
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_more: failed)
    image = vm_image.Image(tmp_path / "d.img", tmp_path / "k", tmp_path / "i")
    with pytest.raises(LabError, match="no space left"):
        qemu.new_disk(image, tmp_path / "disk.qcow2")
