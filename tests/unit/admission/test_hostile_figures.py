"""What a hostile head tried with its measurement: a report that cannot be written has a verdict for nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import honest
import pytest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.admit import Speaker, admit
from hostile_lab import DESK_STAGES, PAIR_STAGES, PAIRS, Lab, copied, honest_answer, verdicts

ENORMOUS = 1.7e308
"""Twice this is no number any more."""
CASES: list[tuple[str, dict[str, Any]]] = [
    ("rdma_pair", {"paths": [{"ends": 5}]}),
    ("rdma_pair", {"paths": [{"ends": ["desk-01", "desk-02"], "functions": 5}]}),
    ("rdma_pair", {"paths": [{"marks": 5}]}),
    ("rdma_pair", {"paths": 5}),
    ("rdma_pair", {"sum_both_ways_gbps": ENORMOUS}),
    ("rdma_pair", {"latency_us": -ENORMOUS}),
    ("nccl_pair", {"avg_busbw": ENORMOUS}),
    ("nccl_pair", {"rows": [{"bytes": 1 << 63, "out_of_place": {"busbw": ENORMOUS}, "in_place": {"busbw": ENORMOUS}}]}),
    ("nccl_pair", {"rows": [{"bytes": 8, "out_of_place": [1], "in_place": None}]}),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which everybody was honest."""
    folder = tmp_path_factory.mktemp("lab") / "run"
    Lab(folder).whole()
    return folder


@pytest.mark.parametrize(("module", "said"), CASES, ids=range(len(CASES)))
def test_what_a_head_measured_costs_nobody_the_report(base: Path, tmp_path: Path, module: str, said: dict[str, Any]) -> None:
    def answers(desk: str, asked: str, arguments: dict[str, Any]) -> str:
        text = honest_answer(desk, asked, arguments)
        return json.dumps({**json.loads(text), **said}) if (desk, asked) == ("desk-01", module) else text

    lab = copied(base, tmp_path / "run", answers, PAIRS["pair_a"])
    lab.stages(DESK_STAGES, PAIRS["pair_a"])
    lab.judged()
    lab.stages(PAIR_STAGES, PAIRS["pair_a"])
    assert verdicts(lab.report(), "pairs")["pair_b"] == "PASS"


def test_the_paths_of_an_honest_stack_pass_byte_for_byte() -> None:
    answer = honest.ANSWERS["rdma_pair"]
    own = {key: value for key, value in answer.items() if key not in ("changed", "findings", "verdict", "run_id", "options")}
    path = {"path": "desk-01 - desk-02", "ends": [{"desk": "desk-01", "port": 1}, {"desk": "desk-02", "port": 1}], **own}
    answer = {**answer, "paths": [path, path]}
    passed = admit("labops.dgx_spark.rdma_pair", answer, Speaker("desk-01", "pair_a", frozenset({"desk-01", "desk-02"})))
    assert json.dumps(passed) == json.dumps(answer)
