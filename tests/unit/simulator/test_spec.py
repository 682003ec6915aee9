"""A lab's description: what is filled in, and what each mistake is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from sparklab import spec
from sparklab.errors import LabError

LABS = Path(__file__).resolve().parents[3] / "simulator" / "labs"


@pytest.mark.parametrize("path", sorted(LABS.glob("*.yml")), ids=lambda path: path.stem)
def test_ready_labs_are_right(path: Path) -> None:
    lab = spec.parse(yaml.safe_load(path.read_text(encoding="utf-8")), path.name)
    assert lab.desks
    assert all(len(members) == 2 for members in lab.pairs.values())


def test_what_is_left_out_is_filled_in() -> None:
    lab = spec.parse({"desks": {"desk-01": None, "desk-02": {"power": False}}})
    one, two = lab.desks.values()
    assert one.hostname.startswith("spark-") and len(one.hostname) == len("spark-xxxx")
    assert (one.renderer, one.management, one.power, two.power) == ("NetworkManager", "enP7s7", True, False)
    assert one.serial != two.serial and one.serial.startswith("SIM")
    assert lab.hotplug_delay == (5.0, 22.0)


def test_the_same_description_gives_the_same_desks() -> None:
    assert spec.parse({"desks": {"desk-01": {}}}).desks == spec.parse({"desks": {"desk-01": {}}}).desks


@pytest.mark.parametrize("count", [1, 2, 30, 100])
def test_generated_pairs(count: int) -> None:
    lab = spec.parse(spec.generated(count))
    assert (len(lab.desks), len(lab.pairs), len(lab.cables)) == (2 * count, count, count)
    assert len({desk.hostname for desk in lab.desks.values()}) == 2 * count


@pytest.mark.parametrize("count", [0, -1, 101])
def test_too_few_or_too_many_pairs(count: int) -> None:
    with pytest.raises(LabError, match="1 to 100 pairs"):
        spec.generated(count)


@pytest.mark.parametrize(("number", "name"), [(0, "pair_a"), (25, "pair_z"), (26, "pair_aa"), (27, "pair_ab"), (702, "pair_aaa")])
def test_pair_names(number: int, name: str) -> None:
    assert spec.pair_name(number) == name


TWO = {"desk-01": {}, "desk-02": {}}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "must be a mapping"),
        ({}, "desks is empty"),
        ({"desks": {"Desk": {}}}, "not usable as a desk name"),
        ({"desks": {"desk-01": {"render": "x"}}}, "unknown key 'render'"),
        ({"desks": {"desk-01": {"renderer": "wicd"}}}, "one of: NetworkManager, networkd"),
        ({"desks": {"desk-01": {"management": "eth0"}}}, "one of: enP7s7, wlP9s9"),
        ({"desks": {"desk-01": {"power": "maybe"}}}, "power must be on or off"),
        ({"desks": {"desk-01": {"hotplug": "yes please"}}}, "true or false"),
        ({"desks": {"desk-01": {"hostname": "a"}, "desk-02": {"hostname": "a"}}}, "the same hostname"),
        ({"desks": {"desk-01": {"serial": "X1"}, "desk-02": {"serial": "X1"}}}, "the same serial"),
        ({"desks": {"desk-01": {"hostname": "-bad-"}}}, "not a valid host name"),
        ({"desks": TWO, "cables": {"c": {"ends": ["desk-01/0"]}}}, "two ports"),
        ({"desks": TWO, "cables": {"c": {"ends": ["desk-01/0", "desk-09/0"]}}}, "no desk 'desk-09'"),
        ({"desks": TWO, "cables": {"c": {"ends": ["desk-01/0", "desk-02/2"]}}}, "ports 0 and 1, not 2"),
        ({"desks": TWO, "cables": {"c": {"ends": ["desk-01", "desk-02/0"]}}}, "is not a port"),
        ({"desks": TWO, "cables": {"c": {"ends": ["desk-01/0", "desk-01/0"]}}}, "already holds c"),
        (
            {"desks": TWO, "cables": {"c": {"ends": ["desk-01/0", "desk-02/0"]}, "d": {"ends": ["desk-01/0", None]}}},
            "already holds c",
        ),
        ({"desks": TWO, "pairs": {"Pair A": []}}, "is a group name"),
        ({"desks": TWO, "pairs": {"pair_a": ["desk-03"]}}, "not among the desks"),
        ({"desks": TWO, "pairs": {"pair_a": "desk-01"}}, "must be a list"),
        ({"desks": TWO, "hotplug_delay": [9, 2]}, "hotplug_delay"),
        ({"desks": TWO, "colour": "blue"}, "unknown key 'colour'"),
    ],
)
def test_mistakes_are_named(data: Any, words: str) -> None:
    with pytest.raises(LabError) as caught:
        spec.parse(data, "my.yml")
    assert words in str(caught.value)
    assert str(caught.value).startswith("my.yml")


def test_a_wrong_inventory_can_be_described_on_purpose() -> None:
    lab = spec.parse({"desks": TWO, "pairs": {"pair_a": ["desk-01"], "pair_b": ["desk-01", "desk-02"]}})
    assert lab.pairs == {"pair_a": ("desk-01",), "pair_b": ("desk-01", "desk-02")}
