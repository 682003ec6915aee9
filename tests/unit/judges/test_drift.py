"""A desk against a baseline."""

from __future__ import annotations

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.drift import baseline_of, flatten, judge_drift
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from judge_samples import change, healthy

DESK = healthy(1)
WHERE = Where(desk="desk-01")


def test_green_two_equal_desks_have_no_drift() -> None:
    assert judge_drift(healthy(2), baseline_of(DESK), WHERE) == []


def test_red_every_difference_is_told_exactly() -> None:
    other = change(
        DESK, driver__module_version="580.95.05", driver__holds=("linux-nvidia-hwe-24.04", "extra"), driver__open_module=None, unread={}
    )
    (item,) = judge_drift(other, baseline_of(DESK), WHERE, "desk-07")
    assert (item.code, item.severity) == ("DRIFT_FROM_BASELINE", "warn")
    assert "driver.module_version should be 580.142, is 580.95.05" in item.message
    assert "also has extra" in item.message
    assert "lacks linux-headers-nvidia-hwe-24.04" in item.message
    assert "driver.open_module should be True, not read" in item.message
    assert set(item.evidence["differences"]) == {"driver.module_version", "driver.holds", "driver.open_module"}


def test_nested_dotted_and_numeric_baselines_mean_the_same() -> None:
    for wanted in ({"ubuntu": {"version_id": 24.04}}, {"ubuntu.version_id": "24.04"}):
        assert judge_drift(DESK, wanted, WHERE) == []
    assert flatten({"a": {"b": {"c": 1}}, "d.e": 2}) == {"a.b.c": 1, "d.e": 2}


def test_a_spelling_mistake_in_a_baseline_is_refused() -> None:
    with pytest.raises(ValueError, match=r"driver\.modul_version"):
        judge_drift(DESK, {"driver": {"modul_version": "580.142"}}, WHERE)


def test_a_desk_as_baseline_leaves_out_what_is_its_own() -> None:
    wanted = baseline_of(change(DESK, toolkit__nccl=None))
    assert not any(path.startswith(("identity", "network.management", "toolkit.nccl")) for path in wanted)


def test_a_desk_with_thousands_of_holds_as_baseline_fills_no_report() -> None:
    """It is told of every other desk."""
    many = change(DESK, driver__holds=tuple(f"package-{number}" for number in range(4000)))
    (item,) = judge_drift(change(DESK, driver__holds=()), {"driver.holds": baseline_of(many)["driver.holds"]}, WHERE)
    assert "and 3980 more" in item.message and len(item.message) < 1000
