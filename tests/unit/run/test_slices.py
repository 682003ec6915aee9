"""Slices of a lab: none splits a stack. A slice of somebody else's making that does is PAIR_INCOMPLETE, and the other pairs go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.slices import slices, units_of
from house import ROOT
from hypothesis import given
from hypothesis import strategies as st

DESKS = [f"desk-{number:02d}" for number in range(1, 10)]
SHEET = "name,address,pair\n" + "".join(
    f"desk-{n:02d},192.0.2.{n},{'pair_' + 'abcd'[(n - 1) // 2] if n < 9 else ''}\n" for n in range(1, 10)
)


@given(st.lists(st.integers(1, 5), max_size=30), st.integers(0, 20), st.integers(1, 12))
def test_no_slice_splits_a_stack_and_all_are_about_as_big(sizes: list[int], alone: int, count: int) -> None:
    stacks = [[f"s{number}-{rank}" for rank in range(size)] for number, size in enumerate(sizes)]
    desks = [desk for stack in stacks for desk in stack] + [f"alone-{number}" for number in range(alone)]
    made = slices(units_of(desks, stacks), count)
    assert len(made) == count and sorted(desk for part in made for desk in part) == sorted(desks)
    for stack in stacks:
        assert sum(bool(set(stack) & set(part)) for part in made) == 1
    assert max(map(len, made)) - min(map(len, made)) <= max([1, *sizes])


def test_a_desk_in_two_stacks_joins_them() -> None:
    assert units_of(["a", "b", "c", "d"], [["a", "b"], ["b", "c"]]) == [("a", "b", "c"), ("d",)]


def ansible(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    own = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "300"}
    own["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / ".collections")
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    return subprocess.run(command, cwd=folder, env={**clean, **own}, capture_output=True, text=True, check=False, timeout=180)


def inventory(folder: Path, slices_file: str, *arguments: str, name: str = "zz_slices.yml") -> subprocess.CompletedProcess[str]:
    (folder / "lab").mkdir(exist_ok=True)
    (folder / "lab/lab.desks.csv").write_text(SHEET, encoding="utf-8")
    (folder / "lab" / name).write_text(f"plugin: labops.dgx_spark.slices\n{slices_file}\n", encoding="utf-8")
    return ansible(folder, "ansible-inventory", "-i", "lab", *arguments)


def plain(data: dict[str, Any]) -> Any:
    return data.get("__ansible_unsafe", data)


def test_a_limit_takes_a_slice_with_whole_pairs(tmp_path: Path) -> None:
    taken = []
    for number in (1, 2, 3):
        done = inventory(tmp_path, "count: 3", "--limit", f"spark_slice_{number}", "--list")
        assert done.returncode == 0, done.stderr
        taken.append(sorted(json.loads(done.stdout)["_meta"]["hostvars"]))
    assert sorted(desk for part in taken for desk in part) == DESKS and [len(part) for part in taken] in ([4, 2, 3], [4, 3, 2])
    for one, other in zip(DESKS[:8:2], DESKS[1:8:2], strict=True):
        assert any({one, other} <= set(part) for part in taken)


def test_members_of_a_stack_are_known_with_any_inventory(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("spark_pairs: {children: {pair_a: {hosts: {one: {}, two: {}}}}}\n", encoding="utf-8")
    (tmp_path / "slices.yml").write_text("plugin: labops.dgx_spark.slices\ncount: 1\n", encoding="utf-8")
    done = ansible(tmp_path, "ansible-inventory", "-i", "hosts.yml", "-i", "slices.yml", "--host", "two")
    assert json.loads(done.stdout, object_hook=plain)["spark_stack_members"] == ["one", "two"], done.stderr


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("count: 0", "zz_slices.yml", "count is 0"),
        ("counts: 2", "zz_slices.yml", "expected count"),
        ("count: 2", "a_slices.yml", "no desk of group spark_desks"),
    ],
)
def test_wrong_slices_end_the_command(tmp_path: Path, text: str, name: str, words: str) -> None:
    done = inventory(tmp_path, text, "--list", name=name)
    assert done.returncode != 0 and words in done.stderr and not done.stdout.strip(), done


def test_more_slices_than_stacks_are_told(tmp_path: Path) -> None:
    done = inventory(tmp_path, "count: 6", "--graph")
    assert done.returncode == 0 and "spark_slice_6 has no desk" in done.stderr


def test_a_pair_that_a_slice_took_apart_is_a_finding_and_the_others_go_on(tmp_path: Path) -> None:
    """As AWX deals an inventory out: every second host, groups and variables as they were."""
    whole = json.loads(inventory(tmp_path, "count: 2", "--list").stdout, object_hook=plain)["_meta"]["hostvars"]
    kept = ("desk-01", "desk-03", "desk-04")
    local = {"ansible_connection": "local", "ansible_python_interpreter": "/nowhere/python"}
    hosts = {name: {"spark_stack_members": whole[name]["spark_stack_members"], **local} for name in kept}
    pairs = {"pair_a": {"hosts": {"desk-01": hosts["desk-01"]}}, "pair_b": {"hosts": {name: hosts[name] for name in kept[1:]}}}
    (tmp_path / "slice.json").write_text(json.dumps({"spark_pairs": {"children": pairs}}), encoding="utf-8")
    done = ansible(tmp_path, "ansible-playbook", "-i", "slice.json", "labops.dgx_spark.stack_pair", "-e", "ansible_become=false")
    assert done.returncode != 0
    assert "PAIR_INCOMPLETE" in done.stdout, done.stdout + done.stderr
    (path,) = (tmp_path / "reports").glob("*/report.json")
    found = {pair["name"]: {item["code"] for item in pair["findings"]} for pair in json.loads(path.read_text(encoding="utf-8"))["pairs"]}
    assert "PAIR_INCOMPLETE" in found["pair_a"] and "PAIR_INCOMPLETE" not in found["pair_b"]
    assert "desk-02 is not in this run" in done.stdout, done.stdout
