"""What updates rest on in a simulated desk: GRUB's choice, firmware of the next boot, builds that are broken or slow on purpose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from desklib import desk as desklib_desk
from desklib import figures, firmware, grub
from desklib.boot import nccl_factor

from .conftest import PaperDesk

OLD, NEW = "7.0.0-1019-nvidia", "7.0.0-1024-nvidia"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with two kernels and their menu."""
    for release in (OLD, NEW):
        (tmp_path / "boot").mkdir(exist_ok=True)
        (tmp_path / f"boot/vmlinuz-{release}").touch()
    (tmp_path / "etc/default/grub.d").mkdir(parents=True)
    grub.write_menu(tmp_path)
    return tmp_path


def test_the_highest_version_starts_where_nothing_is_set(root: Path) -> None:
    assert grub.start(root) == NEW
    text = (root / "boot/grub/grub.cfg").read_text()
    assert text.index(NEW) < text.index(OLD) and "submenu 'Advanced options for DGX OS GNU/Linux'" in text


@pytest.mark.parametrize("entry", [f"{grub.SUBMENU[1]}>{grub.entry_id(OLD)}", f"{grub.SUBMENU[0]}>{grub.title(OLD)}", "1>1"])
def test_an_entry_for_one_start_is_used_up_by_it(root: Path, entry: str) -> None:
    grub.set_environment(root, {"next_entry": entry})
    assert len((root / "boot/grub/grubenv").read_text()) == grub.BLOCK
    assert (grub.start(root), grub.start(root)) == (OLD, NEW)


def test_a_default_stays_and_one_that_is_gone_falls_through(root: Path) -> None:
    setting = root / "etc/default/grub.d/zz.cfg"
    setting.write_text(f'GRUB_DEFAULT="{grub.SUBMENU[0]}>{grub.title(OLD)}"\n')
    assert grub.start(root) == NEW, "update-grub has not run since"
    grub.write_menu(root)
    assert (grub.start(root), grub.start(root)) == (OLD, OLD)
    (root / f"boot/vmlinuz-{OLD}").unlink()
    assert grub.start(root) == NEW
    setting.write_text("GRUB_DEFAULT=saved\n")
    (root / f"boot/vmlinuz-{OLD}").touch()
    grub.write_menu(root)
    grub.set_environment(root, {"saved_entry": "1>0"})
    assert grub.start(root) == NEW
    grub.set_environment(root, {"saved_entry": "1>1"})
    assert grub.start(root) == OLD


def test_a_machine_without_kernels_starts_none(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    assert grub.start(tmp_path) is None


# ---- firmware -------------------------------------------------------------------------------------------------------------


def fwupd(paper: PaperDesk, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str]:
    monkeypatch.setenv("SPARK_DESK_FIRMWARE", str(paper.folder / "firmware.json"))
    answer = paper.run("fwupdmgr", *words)
    return answer.returncode, answer.stdout + answer.stderr


def test_a_vendor_without_files_offers_nothing(paper: PaperDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fwupd(paper, monkeypatch, "get-updates", "--json") == (2, '{"Devices": []}\n')
    assert fwupd(paper, monkeypatch, "update", "--assume-yes", "--no-reboot-check")[0] == 2


def test_a_capsule_is_flashed_by_the_next_boot(paper: PaperDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    paper.data["faults"] = {"firmware_offered": {"device": "Embedded Controller", "version": "0x03000600"}}
    code, text = fwupd(paper, monkeypatch, "get-updates", "--json")
    assert code == 0 and [(item["Name"], item["Releases"][0]["Version"]) for item in json.loads(text)["Devices"]] == [
        ("Embedded Controller", "0x03000600")
    ]
    assert fwupd(paper, monkeypatch, "update", "--assume-yes", "--no-reboot-check")[0] == 0
    before = json.loads(fwupd(paper, monkeypatch, "get-devices", "--json")[1])["Devices"]
    assert next(item["Version"] for item in before if item["Name"] == "Embedded Controller") == "0x03000508"
    monkeypatch.setattr(firmware, "STORE", paper.folder / "firmware.json")
    monkeypatch.setattr(firmware, "FACTOR", 0.0)
    firmware.flash()
    after = json.loads(fwupd(paper, monkeypatch, "get-devices", "--json")[1])["Devices"]
    assert next(item["Version"] for item in after if item["Name"] == "Embedded Controller") == "0x03000600"
    assert fwupd(paper, monkeypatch, "get-updates", "--json")[0] == 2, "it is there now"


def test_nothing_is_flashed_on_a_battery(paper: PaperDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    paper.data["faults"] = {"firmware_offered": {"device": "Embedded Controller", "version": "0x03000600"}, "on_battery": {}}
    assert json.loads(fwupd(paper, monkeypatch, "get-updates", "--json")[1])["Devices"][0]["Problems"] == ["require-ac-power"]
    assert fwupd(paper, monkeypatch, "update", "--assume-yes")[0] == 1
    assert not (paper.folder / "firmware.json").exists()


# ---- builds that are bad on purpose -----------------------------------------------------------------------------------------


def test_the_gsp_firmware_is_what_lies_in_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desklib_desk, "FIRMWARE", tmp_path)
    assert desklib_desk.gsp_firmware("580.191.01") == "580.191.01" and desklib_desk.gsp_firmware(None) is None
    (tmp_path / "580.191.01").mkdir()
    (tmp_path / "580.191.01/gsp_ga10x.bin").write_text("GSP 580.190.02\n")
    assert desklib_desk.gsp_firmware("580.191.01") == "580.190.02"


def test_a_slow_build_is_slow_from_the_boot_that_loads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = tmp_path / "modules"
    (modules / "nvidia-580-open").mkdir(parents=True)
    module = modules / "nvidia-580-open/nvidia.ko"
    module.write_text("version=580.192.01\n")
    assert nccl_factor(modules) == ""
    module.write_text("version=580.192.01\nnccl_factor=0.66\n")
    monkeypatch.setattr(figures, "RUN_DIR", tmp_path)
    assert figures.build_factor() == 1.0
    (tmp_path / "nccl_factor").write_text(nccl_factor(modules))
    assert figures.build_factor() == 0.66
