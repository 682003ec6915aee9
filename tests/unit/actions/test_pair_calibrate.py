"""Marks come from good stacks alone; one that has a fault is named with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, Part, RunStore
from sample_run import run_of
from scripted_action import Script


def calibrated(folder: Path, *codes: str) -> str:
    """What calibrating says where the head's measurement had these findings."""
    run = run_of(folder=folder / "run", playbook="calibrate")
    found = tuple(finding(code, Where(pair="pair_a"), "pair_a: text").as_dict() for code in codes)
    RunStore(run.run_dir).write(Part("rdma", "desk-01", DONE, "pair_a", findings=found, data={"measured": True}))
    with pytest.raises(AnsibleActionFail) as said:
        Script("pair_calibrate", {"path": str(folder / "marks.yml")}).run("desk-01", run)
    assert not (folder / "marks.yml").exists()
    return str(said.value)


@pytest.mark.parametrize("text", ["ansible_user: lab\npair_proof_marks: []\n", "$ANSIBLE_VAULT;1.1;AES256\n6162\n", "- a\n", "a: [\n"])
def test_a_file_with_other_variables_is_left_alone_before_any_desk_is_measured(tmp_path: Path, text: str) -> None:
    path = tmp_path / "all.yml"
    path.write_text(text, encoding="utf-8")
    for arguments in ({"runs": 3}, {}):
        with pytest.raises(AnsibleActionFail, match=r"holds something else than marks.*spark_marks\.yml"):
            Script("pair_calibrate", {"path": str(path), **arguments}).run("desk-01", run_of(folder=tmp_path / "run", playbook="calibrate"))
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", ["all.yml", "all.yaml", "all.json", "all"])
def test_marks_do_not_hide_the_variables_that_the_lab_has_already(tmp_path: Path, name: str) -> None:
    beside = tmp_path / "group_vars" / name
    beside.parent.mkdir()
    beside.write_text("ansible_user: lab\n", encoding="utf-8")
    path = tmp_path / "group_vars" / "all" / "spark_marks.yml"
    for arguments in ({"runs": 3}, {}):
        with pytest.raises(AnsibleActionFail, match=rf"no longer reads \S*{name};.*mkdir ") as said:
            Script("pair_calibrate", {"path": str(path), **arguments}).run("desk-01", run_of(folder=tmp_path / "run", playbook="calibrate"))
    cure = str(said.value).partition("first (")[2].partition("), then")[0]
    assert not path.parent.is_dir() and subprocess.run(["sh", "-ec", cure], check=True).returncode == 0
    assert [item.read_text(encoding="utf-8") for item in path.parent.iterdir()] == ["ansible_user: lab\n"]
    assert Script("pair_calibrate", {"path": str(path), "runs": 3}).run("desk-01", run_of(folder=tmp_path / "run", playbook="calibrate"))


def test_a_stack_with_a_fault_sets_no_mark_and_is_named(tmp_path: Path) -> None:
    said = calibrated(tmp_path, "RDMA_SLOW_13G", "RDMA_SLOW")
    assert "pair_a has RDMA_SLOW_13G." in said and "--limit" in said


def test_a_slow_stack_is_what_calibrating_is_for(tmp_path: Path) -> None:
    assert "RDMA_SLOW" not in calibrated(tmp_path, "RDMA_SLOW"), "too few measurements are what is left to refuse"
