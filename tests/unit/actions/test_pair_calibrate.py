"""Marks come from good stacks alone; one that has a fault is named with it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.marks import nccl_mark, with_lab_marks
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


@pytest.mark.parametrize(
    "text",
    [
        "ansible_user: lab\npair_proof_marks: []\n",
        "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
        "- a\n",
        "a: [\n",
        "# ansible_user: lab\n",
        "pair_proof_marks: []\n  # for rack 4\n",
    ],
)
def test_a_file_with_other_variables_is_left_alone_before_any_desk_is_measured(tmp_path: Path, text: str) -> None:
    path = tmp_path / "all.yml"
    path.write_text(text, encoding="utf-8")
    for arguments in ({"runs": 3}, {}):
        with pytest.raises(AnsibleActionFail, match=r"holds something else than marks.*spark_marks\.yml"):
            Script("pair_calibrate", {"path": str(path), **arguments}).run("desk-01", run_of(folder=tmp_path / "run", playbook="calibrate"))
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("folder", ["group_vars", "host_vars", "group_vars/all", "marks"])
def test_the_file_that_is_advised_instead_is_one_that_can_be_used(tmp_path: Path, folder: str) -> None:
    """group_vars/spark_marks.yml would be the file of a group spark_marks, which no inventory has."""
    path = tmp_path / folder / "spark_pairs.yml"
    path.parent.mkdir(parents=True)
    path.write_text("ansible_user: lab\n", encoding="utf-8")
    with pytest.raises(AnsibleActionFail) as said:
        Script("pair_calibrate", {"path": str(path), "runs": 3}).run("desk-01", run_of(folder=tmp_path / "run", playbook="calibrate"))
    advised = Path(str(said.value).rpartition("calibrate_file=")[2])
    assert advised.name == "spark_marks.yml" and advised.parent == (tmp_path if folder.endswith("_vars") else path.parent)


def test_marks_that_were_written_before_are_written_anew(tmp_path: Path) -> None:
    for _time in (1, 2):
        assert answered(tmp_path, {})["marks"]


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


GIB = 1 << 30


def rdma(value: float) -> dict[str, Any]:
    row = {"forward_gbps": value, "back_gbps": value}
    return {"measured": True, "functions": [row], "sum_forward_gbps": 190.0, "sum_back_gbps": 190.0}


def nccl(*sizes: int, busbw: float = 22.0) -> dict[str, Any]:
    rows = [{"bytes": size, "out_of_place": {"busbw": busbw}, "in_place": {"busbw": busbw}} for size in sizes]
    return {"measured": True, "collective": "all_gather", "rows": rows}


def answered(folder: Path, hostile: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Two stacks measured three times; in one repetition the head of the second answered this."""
    run = run_of({"pair_a": ("desk-01", "desk-02"), "pair_b": ("desk-03", "desk-04")}, folder=folder / "run", playbook="calibrate")
    store = RunStore(run.run_dir)
    for number in (1, 2, 3):
        for head, pair in (("desk-01", "pair_a"), ("desk-03", "pair_b")):
            said = {"rdma": rdma(105.0), "nccl": nccl(2 * GIB, 4 * GIB), **(hostile if (number, head) == (2, "desk-03") else {})}
            for stage, data in said.items():
                store.write(Part(f"{stage}_{number}", head, DONE, pair, data=data))
    return dict(Script("pair_calibrate", {"path": str(folder / "marks.yml")}).run("desk-01", run))


@pytest.mark.parametrize(
    "hostile",
    [
        {"nccl": {**nccl(), "rows": None}},
        {"nccl": {**nccl(), "rows": [{"bytes": 4 * GIB, "out_of_place": None, "in_place": None}]}},
        {"rdma": {**rdma(105.0), "functions": None}},
        {"rdma": {**rdma(105.0), "functions": [5]}},
    ],
)
def test_a_head_whose_figures_cannot_be_read_is_named(hostile: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    kind = next(iter(hostile)).upper()
    with pytest.raises(AnsibleActionFail, match=rf"pair_b has an {kind} measurement whose figures cannot be read\. Leave it out .--limit"):
        answered(tmp_path, hostile)
    assert not (tmp_path / "marks.yml").exists()


@pytest.mark.parametrize("rows", [1, 3, 9])
def test_no_head_alone_sets_a_mark_for_sizes_that_nobody_else_measured(rows: int, tmp_path: Path) -> None:
    """A mark of 1000 GB/s for 16 GiB would be half of the mark for 8 GiB, which every other stack would then miss."""
    more = nccl(2 * GIB, 4 * GIB)
    more["rows"] += nccl(*[16 * GIB] * rows, busbw=1000.0)["rows"]
    marks = with_lab_marks(answered(tmp_path, {"nccl": more})["marks"])
    chosen = nccl_mark(8 * GIB, marks)
    assert chosen is not None and chosen.value < 25.0
    assert {item.bytes for item in marks if item.name == "nccl" and "calibrate.yml" in item.source} == {2 * GIB, 4 * GIB}


def test_stacks_that_were_not_measured_alike_set_no_mark(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match="no message size in common"):
        answered(tmp_path, {"nccl": nccl(GIB)})


def test_what_the_hardest_step_proved_may_be_told_in_any_form(tmp_path: Path) -> None:
    assert answered(tmp_path, {"rdma": {**rdma(105.0), "hardest": "x"}})["marks"]


def test_a_slow_stack_is_what_calibrating_is_for(tmp_path: Path) -> None:
    assert "RDMA_SLOW" not in calibrated(tmp_path, "RDMA_SLOW"), "too few measurements are what is left to refuse"
