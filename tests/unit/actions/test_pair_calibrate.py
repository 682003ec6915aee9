"""Marks come from good stacks alone; one that has a fault is named with it."""

from __future__ import annotations

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


def test_a_stack_with_a_fault_sets_no_mark_and_is_named(tmp_path: Path) -> None:
    said = calibrated(tmp_path, "RDMA_SLOW_13G", "RDMA_SLOW")
    assert "pair_a has RDMA_SLOW_13G." in said and "--limit" in said


def test_a_slow_stack_is_what_calibrating_is_for(tmp_path: Path) -> None:
    assert "RDMA_SLOW" not in calibrated(tmp_path, "RDMA_SLOW"), "too few measurements are what is left to refuse"
