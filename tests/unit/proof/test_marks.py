"""The marks: which applies, and what may fail."""

from __future__ import annotations

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.marks import MarksError, mark, nccl_mark, with_lab_marks
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.marks_data import MARKS

GIB = 1 << 30


def test_every_mark_says_where_it_comes_from() -> None:
    assert all(item.source and item.value > 0 and (item.reports or item.name == "rdma_both_ways_share") for item in MARKS)


def test_only_official_and_well_reported_marks_may_fail() -> None:
    assert {item.name for item in MARKS if item.may_fail} == {"rdma_both_functions", "rdma_13g", "nccl", "nccl_one_function", "nccl_13g"}
    assert [item.bytes for item in MARKS if item.name == "nccl" and item.may_fail] == [16 * GIB]


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
