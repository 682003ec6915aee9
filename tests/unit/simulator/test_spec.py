"""A lab's description: what is filled in, and what each mistake is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from sparklab import recordings, spec
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
        ({"desks": {"desk-01": {"model": "../../sent/model"}}}, "not the name of a file in simulator/models/"),
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
        ({"desks": TWO, "pairs": {"pair_a": [["desk-01"]]}}, "not among the desks"),
        ({"desks": TWO, "pairs": {"spark_desks": ["desk-01"]}}, "is a group of the inventory"),
        ({"desks": TWO, "stacks": {"all": {"desks": ["desk-01"]}}}, "is a group of the inventory"),
        ({"desks": TWO, "cables": {"c": {"ends": ["desk-01/0", None], "length_m": "long"}}}, "length_m must be metres"),
        ({"desks": TWO, "cables": {"c": {"ends": ["desk-01/0", None], "length_m": float("nan")}}}, "length_m must be metres"),
        ({"desks": TWO, "stacks": {"ring_a": {"topology": "{{ lookup('pipe', 'id') }}", "desks": []}}}, "is not a word"),
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


def test_a_recording_is_found_by_path_beside_the_lab_file_or_by_name(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/recording.yml").write_text("name: mine\n")
    assert recordings.find("mine", tmp_path) == tmp_path / "mine"
    assert recordings.find(str(tmp_path / "mine")) == tmp_path / "mine"
    assert recordings.find("pcie_half_rate").name == "pcie_half_rate"
    with pytest.raises(LabError, match="is neither a recording"):
        recordings.find("nowhere", tmp_path)
    assert spec.parse({"desks": {"desk-01": {"recording": "mine"}}}).desks["desk-01"].recording == "mine"
    with pytest.raises(LabError, match="must be the folder of a recording"):
        spec.parse({"desks": {"desk-01": {"recording": 5}}})


def test_a_shipped_recording_is_made_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "tools/make_recordings.py"
    tool.parent.mkdir()
    tool.write_text(
        "import pathlib\nhere = pathlib.Path(__file__).parents[1] / 'tests/recordings/made'\n"
        "here.mkdir(parents=True, exist_ok=True)\n(here / 'recording.yml').write_text('name: made\\n')\n"
    )
    monkeypatch.setattr(recordings.paths, "SIMULATOR", tmp_path / "simulator")
    assert recordings.find("made") == tmp_path / "tests/recordings/made"
    tool.write_text("raise SystemExit('no disk')")
    with pytest.raises(LabError, match=r"cannot be made .* no disk"):
        recordings.find("other")


def test_a_recording_is_unpacked_for_its_desk(tmp_path: Path) -> None:
    source, state = tmp_path / "mine", tmp_path / "state"
    (source / "files/etc").mkdir(parents=True)
    state.mkdir()
    for name in ("secret", "plain"):
        (source / "files/etc" / name).write_text("x\n")
    (source / "recording.yml").write_text("name: mine\n")
    (source / "commands.yml").write_text("- {argv: [a, 1], stdout: hi}\n- {argv: [b], responses: [{error: timeout}, {rc: 2}]}\n")
    (source / "denied.yml").write_text("- /etc/secret\n")
    (source / "missing.yml").write_text("- /etc/none\n")
    recordings.unpack(source, state)
    document = json.loads((state / "recording/recording.json").read_text())
    assert [entry["argv"] for entry in document["commands"]] == [["a", "1"], ["b"]]
    assert [one["error"] for one in document["commands"][1]["responses"]] == ["timeout", None]
    assert document["missing"] == ["/etc/none"]
    modes = {name: (state / "recording/files/etc" / name).stat().st_mode & 0o777 for name in ("secret", "plain")}
    assert modes == {"secret": 0o600, "plain": 0o644}
    (source / "commands.yml").write_text("- {rc: 0}\n")
    with pytest.raises(LabError, match="entry 1 has no argv list"):
        recordings.unpack(source, state)
