"""The marks: which applies, and what may fail."""

from __future__ import annotations

import ast
import re

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.marks import MarksError, calibrated, mark, nccl_mark, with_lab_marks
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.marks_data import MARKS, Mark
from house import ROOT, sources, syntax

GIB = 1 << 30
JUDGES = [path for path in sources("module_utils/judges") if path.stem != "marks_data"]


def test_every_mark_says_where_it_comes_from() -> None:
    assert all(item.source and item.value > 0 and (item.reports or item.source.startswith("this collection's rule")) for item in MARKS)


def test_only_official_and_well_reported_marks_may_fail() -> None:
    known = {"rdma_both_functions", "nccl", "nccl_ring", "nccl_one_function", "nccl_13g"}
    wrong = {item.name for item in MARKS if item.may_fail} ^ known
    assert wrong == set(), f"a mark that may fail a pair is named here on purpose: {sorted(wrong)}"
    assert [item.bytes for item in MARKS if item.name == "nccl" and item.may_fail] == [16 * GIB]


@pytest.mark.parametrize("item", MARKS, ids=lambda item: f"{item.name}-{item.value:g}")
def test_a_mark_is_read_by_a_judge_and_listed_for_the_user(item: Mark) -> None:
    texts = [node.value for path in JUDGES for node in ast.walk(syntax(path)) if isinstance(node, ast.Constant)]
    assert item.name in texts, f"no judge compares anything with {item.name}"
    table = (ROOT / "docs/proof.md").read_text(encoding="utf-8").partition("\n## Marks\n")[2].partition("\n## ")[0]
    value = rf"(?<![\d.]){re.escape(f'{item.value:g}')}(?!\d|\.\d)"
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert any(re.search(value, row) for row in rows), f"the table of marks in docs/proof.md lacks {item.name}, {item.value:g} {item.unit}"


@pytest.mark.parametrize(
    ("size", "value", "may_fail"),
    [
        (GIB, 19.0, False),
        (2 * GIB, 20.0, False),
        (4 * GIB, 21.0, False),
        (8 * GIB, 21.438, False),
        (16 * GIB, 21.875, True),
        (64 * GIB, 21.875, True),
    ],
)
def test_the_mark_grows_with_the_message(size: int, value: float, may_fail: bool) -> None:
    chosen = nccl_mark(size)
    assert chosen is not None
    assert (chosen.value, chosen.may_fail) == (value, may_fail)


def test_there_is_no_mark_below_the_smallest_size_reported() -> None:
    assert nccl_mark(1 << 20) is None


def test_a_labs_marks_replace_and_may_fail() -> None:
    marks = with_lab_marks([{"name": "nccl", "bytes": 4 * GIB, "value": 22.0}])
    chosen = nccl_mark(4 * GIB, marks)
    assert chosen is not None and (chosen.value, chosen.may_fail, chosen.source) == (22.0, True, "this lab")
    assert mark("rdma_both_functions", marks).value == 184.0


@pytest.mark.parametrize(
    "entry",
    [{"name": "nccl"}, {"value": 3}, {"name": "speed", "value": 3}, {"name": "nccl", "value": "fast"}, {"name": "nccl", "value": -1}],
)
def test_a_bad_mark_is_refused_with_its_place(entry: dict[str, object]) -> None:
    with pytest.raises(MarksError, match=r"marks\[1\]"):
        with_lab_marks([entry])


def rdma_result(one: float, both: float) -> dict[str, object]:
    row = {"forward_gbps": one, "back_gbps": one + 1}
    return {"measured": True, "functions": [row, row], "sum_forward_gbps": both, "sum_back_gbps": both + 1}


def nccl_result(busbw: float) -> dict[str, object]:
    half = {"busbw": busbw}
    return {"measured": True, "collective": "all_gather", "rows": [{"bytes": 4 * GIB, "out_of_place": half, "in_place": half}]}


def test_a_lab_calibrates_from_its_slowest_good_measurement() -> None:
    marks = calibrated([rdma_result(100, 190), rdma_result(105, 192), rdma_result(106, 193)], [nccl_result(22.0)] * 3, "this lab")
    values = {(item["name"], item.get("bytes")): item["value"] for item in marks}
    assert values == {("rdma_one_function", None): 95.0, ("rdma_both_functions", None): 180.5, ("nccl", 4 * GIB): 20.9}
    assert with_lab_marks(marks)


def test_too_few_measurements_set_no_mark() -> None:
    with pytest.raises(MarksError, match="too few"):
        calibrated([rdma_result(100, 190)] * 3, [nccl_result(22.0)] * 2, "x")


def test_a_sick_state_sets_no_mark() -> None:
    with pytest.raises(MarksError, match="is not good"):
        calibrated([rdma_result(13, 26)] * 3, [nccl_result(22.0)] * 3, "x")
    with pytest.raises(MarksError, match="is not good"):
        calibrated([rdma_result(100, 190)] * 3, [nccl_result(2.8)] * 3, "x")


def test_what_was_not_measured_does_not_count() -> None:
    with pytest.raises(MarksError, match="too few"):
        calibrated([{**rdma_result(100, 190), "measured": False}] * 5, [nccl_result(22.0)] * 3, "x")


def test_what_only_follows_from_the_hardest_step_sets_no_mark() -> None:
    proven = {**rdma_result(100, 190), "hardest": {"proves_all": True}}
    with pytest.raises(MarksError, match=r"0 RDMA .with pair_proof_depth full"):
        calibrated([proven] * 3, [nccl_result(22.0)] * 3, "x")
    assert calibrated([{**rdma_result(100, 190), "hardest": {"proves_all": False}}] * 3, [nccl_result(22.0)] * 3, "x")
