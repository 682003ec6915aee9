"""Readers of what an update rests on: fwupd's JSON, the journal, GRUB's menu."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import fwupd, grub, update_journal

DEVICES = {
    "Devices": [
        {"Name": "Embedded Controller", "DeviceId": "a1", "Version": "0x02000005", "Vendor": "Asus", "Flags": ["updatable", "require-ac"]},
        {
            "Name": "UEFI Device Firmware",
            "Version": "0x03000007",
            "Problems": ["require-ac-power"],
            "Releases": [{"Version": "0x03000008"}],
        },
        {"Version": "1"},
        "junk",
    ]
}


def test_fwupds_devices_and_what_is_offered() -> None:
    found = fwupd.read(json.dumps(DEVICES))
    assert found is not None
    assert [(item["name"], item["id"], item["version"], item["vendor"], item["offered"], item["problems"]) for item in found] == [
        ("Embedded Controller", "a1", "0x02000005", "Asus", None, []),
        ("UEFI Device Firmware", None, "0x03000007", None, "0x03000008", ["require-ac-power"]),
    ]


@pytest.mark.parametrize("text", ["", "No updatable devices", "[]", '{"Devices": 3}', '{"Error": {"Message": "x"}}'])
def test_what_is_no_list_of_devices_is_null(text: str) -> None:
    assert fwupd.read(text) is None


def test_no_devices_are_an_empty_list() -> None:
    assert fwupd.read('{"Devices": []}') == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"before": {"a": "1", "b;rm": "1", "c": "1 2", "d": 4}}, {"before": {"a": "1"}}),
        ({"added": ["a", "-rf", 3, "x y"]}, {"added": ["a"]}),
        ({"kept": ["a=1", "a", "=1", "a=$(x)"]}, {"kept": ["a=1"]}),
        (
            {"kernel_before": "6.17.0-1021-nvidia", "kernel_after": "x; reboot"},
            {"kernel_before": "6.17.0-1021-nvidia", "kernel_after": None},
        ),
        ({"before": [], "added": {}, "firmware": "x"}, {"before": {}, "added": [], "firmware": []}),
    ],
)
def test_a_journal_gives_only_names_and_versions(given: dict[str, Any], expected: dict[str, Any]) -> None:
    found = update_journal.read(json.dumps({"schema": update_journal.SCHEMA, "phase": "changing", **given}))
    assert found is not None and {key: found[key] for key in expected} == expected


MENU = """menuentry 'Ubuntu' --class ubuntu $menuentry_id_option 'gnulinux-simple-0a' {
}
submenu 'Advanced options for Ubuntu' $menuentry_id_option 'gnulinux-advanced-0a' {
\tmenuentry 'Ubuntu, with Linux 7.0.0-1019-nvidia' --class ubuntu $menuentry_id_option 'gnulinux-7.0.0-1019-nvidia-advanced-0a' {
\t}
\tmenuentry 'Ubuntu, with Linux 7.0.0-1019-nvidia (recovery mode)' $menuentry_id_option 'gnulinux-7.0.0-1019-nvidia-recovery-0a' {
\t}
\tmenuentry 'Ubuntu, with Linux 6.17.0-1032-nvidia-64k' $menuentry_id_option 'gnulinux-6.17.0-1032-nvidia-64k-advanced-0a' {
\t}
}
"""


def test_grubs_menu_names_the_entry_of_each_kernel() -> None:
    assert grub.entries(MENU) == {
        "7.0.0-1019-nvidia": "gnulinux-advanced-0a>gnulinux-7.0.0-1019-nvidia-advanced-0a",
        "6.17.0-1032-nvidia-64k": "gnulinux-advanced-0a>gnulinux-6.17.0-1032-nvidia-64k-advanced-0a",
    }
    assert grub.entries("") == {}
    entry = grub.entries(MENU)["7.0.0-1019-nvidia"]
    assert grub.entry_release(entry) == "7.0.0-1019-nvidia", "what is set is read back as that kernel"
