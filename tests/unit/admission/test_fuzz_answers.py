"""Whatever one desk answers, to whichever module: the run ends, the other pair has its verdict, the report is there and names that desk."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.action import cx7_link
from hostile_lab import DESK_STAGES, PAIR_STAGES, PAIRS, Lab, copied, honest_answer, verdicts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SPEAKERS = {
    "spark_facts": "desk-02",
    "driver_lock": "desk-02",
    "pair_tools": "desk-02",
    "gpu_container": "desk-02",
    "cx7_cable": "desk-02",
    "cx7_link": "desk-02",
    "pair_files": "desk-02",
    "rdma_pair": "desk-01",
    "nccl_pair": "desk-01",
}
"""Module to the desk that lies when it answers it."""
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=1 << 62, max_value=1 << 80),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(["\x1b[2J", "a\nb", "x" * 70_000, "desk-03", "pair_b", "{{ lookup('pipe', 'id') }}", "../../x", "192.168.100.11"]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
    st.just([[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]),
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which everybody was honest."""
    folder = tmp_path_factory.mktemp("lab") / "run"
    report = Lab(folder).whole()
    assert verdicts(report, "pairs") == {"pair_a": "PASS", "pair_b": "PASS"}
    return folder


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A desk that says that it cannot be reached is waited for; here the clock runs by itself."""
    now = [0.0]

    def later(seconds: float = 5.0) -> float:
        now[0] += seconds
        return now[0]

    monkeypatch.setattr(cx7_link.time, "monotonic", later)
    monkeypatch.setattr(cx7_link.time, "sleep", later)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def changed(answer: Any, path: tuple[Any, ...], word: Any, how: str) -> Any:
    """The answer with one value replaced, taken away, or given a neighbour."""
    if not path:
        return word
    made = copy.deepcopy(answer)
    parent = made
    for key in path[:-1]:
        parent = parent[key]
    if how == "gone" and isinstance(parent, dict):
        del parent[path[-1]]
    elif how == "more" and isinstance(parent, dict):
        parent["more"] = word
    elif how == "more" and isinstance(parent, list):
        parent += [word] * 3
    else:
        parent[path[-1]] = word
    return made


@pytest.mark.parametrize("module", sorted(SPEAKERS))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(data=st.data())
def test_whatever_one_desk_answers(base: Path, module: str, data: st.DataObject) -> None:
    liar = SPEAKERS[module]
    answer = json.loads(honest_answer(liar, module, {}))
    for _change in range(data.draw(st.integers(min_value=1, max_value=3))):
        if not isinstance(answer, (dict, list)):
            break
        place = data.draw(st.sampled_from(places(answer)))
        answer = changed(answer, place, data.draw(ODD), data.draw(st.sampled_from(["other", "other", "gone", "more"])))
    text = data.draw(st.sampled_from(["{}", "{}", "{}", "{}", "junk {} junk", "{}{}", "\x1b[2J{}"])).replace("{}", json.dumps(answer))

    def answers(desk: str, asked: str, arguments: dict[str, Any]) -> str:
        return text if (desk, asked) == (liar, module) else honest_answer(desk, asked, arguments)

    with tempfile.TemporaryDirectory() as folder:
        lab = copied(base, Path(folder) / "run", answers, PAIRS["pair_a"])
        lab.stages(DESK_STAGES, PAIRS["pair_a"])
        lab.judged()
        lab.stages(PAIR_STAGES, PAIRS["pair_a"])
        report = lab.report()
        spoken = any((desk, name) == (liar, module) for desk, name, _arguments in lab.asked)
    assert spoken
    assert verdicts(report, "pairs")["pair_b"] == "PASS"
    assert [verdicts(report, "desks")[name] for name in PAIRS["pair_b"]] == ["PASS", "PASS"]
    if verdicts(report, "pairs")["pair_a"] != "PASS":
        reasons = [item for pair in report["pairs"] if pair["name"] == "pair_a" for item in pair["reasons"]]
        blamed = [item for item in reasons if item["severity"] in ("fail", "unknown")]
        # A head measures for its pair, and may find fault with the pair as a whole.
        assert any(liar in item["message"] or item["where"].get("desk") == liar or "desk" not in item["where"] for item in blamed), blamed
    assert not [
        item for desk in report["desks"] if desk["name"] != liar for item in desk["findings"] if item["code"] == "DESK_ANSWER_INVALID"
    ]
