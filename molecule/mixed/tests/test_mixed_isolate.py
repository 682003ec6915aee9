"""isolate.yml names what is to blame: a cage of a desk, ports of a switch in a slow second bridge. Plugs are moved as it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from cables import PATIENCE, recable
from desks import ROOT, lab, play


def isolate(reports: Path, **wishes: Any) -> str:
    """One trial; what was printed."""
    wishes = {"isolate_trials": 1, "isolate_confirm": False, "spark_report_dir": str(reports), **PATIENCE, **wishes}
    process = play(ROOT / "playbooks/isolate.yml", **wishes)
    said, _nothing = process.communicate(timeout=1200)
    assert process.returncode == 0, said
    return said


def told(said: str, word: str) -> str:
    """The last sentence after a word."""
    return re.findall(rf"^{word}: (.*)$", said, re.MULTILINE)[-1]


def move(cable: str, out: str, into: str) -> None:
    lab("cable", "move", cable, out, into)


def test_a_sick_cage_of_a_pair_is_named(tmp_path: Path) -> None:
    wishes = {"isolate_pair": "pair_a", "isolate_good": "desk-03", "isolate_ports": {"desk-03": 1}}
    lab("fault", "set", "desk-02", "slow_13g", "port=0")
    try:
        said = told(isolate(tmp_path, **wishes), "Next")
        assert "out of desk-02 (port 0)" in said and "into desk-03, port 1" in said
        move("cable-1", "desk-02/0", "desk-03/1")
        said = told(isolate(tmp_path, **wishes), "Next")
        assert "in desk-03 into desk-02, port 1" in said
        move("cable-1", "desk-03/1", "desk-02/1")
        assert told(isolate(tmp_path, **wishes), "Result").startswith("port 0 of desk-02.")
        kinds = [trial["kind"] for trial in json.loads((tmp_path / "isolate-pair_a.json").read_text(encoding="utf-8"))]
        assert kinds == ["as_it_is", "good_for_peer", "other_port"]
    finally:
        lab("fault", "clear", "desk-02", "slow_13g")
        recable(cable_1=("desk-01/0", "desk-02/0"))


def test_slow_ports_of_a_switch_are_named(tmp_path: Path) -> None:
    wishes = {
        "isolate_pair": "switch_a",
        "isolate_cable": ["desk-09", "desk-10"],
        "isolate_good": "desk-08",
        "isolate_ports": {"desk-08": 1},
    }
    for port in (2, 3):
        lab("switch", f"switch-1/{port}", "bridge=2")
    try:
        said = told(isolate(tmp_path, **wishes), "Next")
        assert "desk-09 (port 0) out of the switch" in said and "into desk-08, port 1" in said
        move("cable-7", "switch-1/2", "desk-08/1")
        assert told(isolate(tmp_path, **wishes), "Result").startswith("switch port of desk-09.")
    finally:
        for port in (2, 3):
            lab("switch", f"switch-1/{port}", "bridge=1")
        recable(cable_7=("desk-09/0", "switch-1/2"))
