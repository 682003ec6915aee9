from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.action import spark_run
from ansible_collections.labops.dgx_spark.plugins.action.spark_run import announcement, may_reboot
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, Kernel
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.build import build
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.gate import gate, part_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Run
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.stages import STAGES
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, FAILED, SKIPPED, Part, RunStore, Wave
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.waves import (
    WaveError,
    linked_before,
    sizes,
    units_of,
    waves,
    wished,
)
from sample_run import run_of

PAIRS = {"pair_a": ("d-1", "d-2"), "pair_b": ("d-3", "d-4"), "pair_c": ("d-5", "d-6")}
UNITS = [*PAIRS.values(), ("d-7",)]


def plan(scope: tuple[str, ...] | None = None, folder: Path | str = "") -> Run:
    return run_of(PAIRS, ("d-7",), scope=scope, folder=folder)


@pytest.mark.parametrize(
    ("wish", "units", "expected"),
    [
        (["100%"], 8, [8]),
        ([1, "100%"], 8, [1, 7]),
        ([1, "25%"], 8, [1, 2, 2, 2, 1]),
        (["1", " 50 % "], 3, [1, 2]),
        ([3], 8, [3, 3, 2]),
        (["1%"], 3, [1, 1, 1]),
        ([1, "100%"], 1, [1]),
        ([5], 0, []),
    ],
)
def test_the_last_wish_repeats_until_all_are_taken(wish: list[Any], units: int, expected: list[int]) -> None:
    assert sizes(wish, units) == expected


@pytest.mark.parametrize("wish", [[], [0], ["0%"], ["101%"], [-1], [True], ["some"], [1.5], [None], [{}], [[1]]])
def test_a_wish_that_is_no_number_is_refused_in_words(wish: list[Any]) -> None:
    with pytest.raises(WaveError) as refused:
        sizes(wish, 4)
    assert "spark_waves" in str(refused.value)


@pytest.mark.parametrize(("given", "wish"), [(None, None), (2, [2]), ("25%", ["25%"]), ([1, "50%"], [1, "50%"]), ((1,), [1])])
def test_one_wish_is_a_list_of_one(given: Any, wish: Any) -> None:
    assert wished(given) == wish


@pytest.mark.parametrize("given", ["12%3", "9" * 5000, '[1,"25%"]', {"a": 1}, False, "²"])
def test_what_is_no_wish_is_refused_in_words(given: Any) -> None:
    with pytest.raises(WaveError):
        wished(given)


def test_pairs_go_as_a_whole_and_a_desk_in_no_pair_alone() -> None:
    assert units_of(plan()) == UNITS
    assert units_of(plan(scope=("d-3", "d-5", "d-6"))) == [("d-3",), ("d-5", "d-6")]


def test_each_wave_knows_the_desks_before_it() -> None:
    assert waves(UNITS[:3], UNITS[:3], [1, "100%"]) == [
        Wave(1, ("d-1", "d-2")),
        Wave(2, ("d-3", "d-4", "d-5", "d-6"), after=("d-1", "d-2")),
    ]


def test_a_pair_that_is_skipped_does_not_count_as_the_one_that_went_first() -> None:
    first, second = waves(UNITS, [UNITS[1], UNITS[2]], [1, "100%"])
    assert first.desks == ("d-3", "d-4", "d-1", "d-2", "d-7") and first.after == ()
    assert second == Wave(2, ("d-5", "d-6"), after=("d-3", "d-4"))


def test_where_nobody_is_ready_one_wave_tells_everybody_why() -> None:
    assert waves(UNITS, [], [1]) == [Wave(1, tuple(desk for unit in UNITS for desk in unit))]


@pytest.mark.parametrize(
    ("linked", "known"),
    [
        ((), False),
        (("d-1",), False),
        (("d-1", "d-3", "d-7"), False),
        (("d-3", "d-4"), True),
    ],
)
def test_links_are_known_when_a_whole_pair_has_one(linked: tuple[str, ...], known: bool) -> None:
    facts = {desk: {"setup": {"link_file": "network:" if desk in linked else None}} for unit in UNITS for desk in unit}
    assert linked_before(UNITS, facts) is known
    assert linked_before(UNITS, {}) is False


@pytest.mark.parametrize(
    ("variables", "running", "goes"),
    [
        ({"desk_reboot_policy": "if_needed"}, "a", True),
        ({"driver_lock_reboot": "if_needed"}, "a", True),
        ({"desk_reboot_policy": "never", "driver_lock_reboot": "if_needed"}, "a", False),
        ({}, "a", False),
        ({"desk_reboot_policy": "if_needed"}, "b", False),
    ],
)
def test_only_desks_that_may_and_must_reboot_are_counted(
    tmp_path: Path, variables: dict[str, str], running: str, goes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_run, "reboot_reasons", lambda desk: ["kernel"] if desk.kernel.running == "a" else [])
    store = RunStore(tmp_path)
    assert may_reboot(store, {"d-1": variables}, "d-1") is False
    store.write(Part("facts", "d-1", DONE, started="1", data={"spark": as_dict(Desk(kernel=Kernel(running=running)))}))
    assert may_reboot(store, {"d-1": variables}, "d-1") is goes


def undone(**evidence: Any) -> dict[str, Any]:
    return finding("CX7_CHANGE_UNDONE", Where(pair="pair_a", desk="d-2"), "taken back", evidence=evidence).as_dict()


UNCONFIRMED = finding("CX7_CHANGE_UNCONFIRMED", Where(pair="pair_a", desk="d-2"), "not reached any more").as_dict()
LOST = Part("link", "d-2", FAILED, "pair_a", findings=(UNCONFIRMED,))


@pytest.mark.parametrize(
    ("part", "stops"),
    [
        (LOST, True),
        (Part("link", "d-2", FAILED, "pair_a", findings=({"code": "DESK_UNREACHABLE", "severity": "fail"},)), True),
        (Part("link", "d-2", FAILED, "pair_a", findings=({"code": "CX7_LINK_DOWN", "severity": "fail"},)), False),
        (Part("link", "d-2", FAILED, "pair_a", findings=(undone(unconfirmed=True, state="undone"),)), True),
        (Part("link", "d-2", FAILED, "pair_a", findings=(undone(unconfirmed=False, state="undo_failed"),)), True),
        (Part("link", "d-2", FAILED, "pair_a", findings=(undone(unconfirmed=False, state="undone"),)), False),
        (Part("link", "d-2", DONE, "pair_a", changed=True, findings=({"code": "CX7_CHANGE_UNDONE", "severity": "note"},)), False),
        (Part("link", "d-2", SKIPPED, "pair_a"), False),
        (Part("driver", "d-2", FAILED, "pair_a", findings=({"code": "DESK_UNREACHABLE", "severity": "fail"},)), True),
    ],
)
def test_a_wave_that_loses_a_desk_stops_the_next(tmp_path: Path, part: Part, stops: bool) -> None:
    store, link = RunStore(tmp_path), STAGES["link"]
    store.keep_waves("link", waves(UNITS[:2], UNITS[:2], [1]))
    store.write(Part("link", "d-1", DONE, "pair_a"))
    store.write(part)
    answer = gate(plan(), store, "d-3", link, 2)
    assert answer.proceed is not stops and [item["code"] for item in answer.findings] == (["WAVE_STOPPED"] if stops else [])
    assert not answer.silent and (not stops or "d-2" in answer.findings[0]["message"])
    assert gate(plan(), store, "d-1", link, 1).findings == ()


def test_a_desk_that_left_no_result_stops_the_next_wave(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.keep_waves("link", waves(UNITS[:2], UNITS[:2], [1]))
    store.write(Part("link", "d-1", DONE, "pair_a"))
    assert "d-2" in gate(plan(), store, "d-3", STAGES["link"], 2).reason
    assert gate(plan(), store, "d-1", STAGES["link"], 1).proceed


def test_a_desk_waits_in_silence_for_its_own_wave(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.keep_waves("link", waves(UNITS[:2], UNITS[:2], [1]))
    for desk, wave in (("d-3", 1), ("d-1", 2), ("d-7", 2)):
        answer = gate(plan(), store, desk, STAGES["link"], wave)
        assert answer.silent and not answer.proceed and not answer.findings


def test_a_pair_that_was_held_back_is_not_measured_and_unknown(tmp_path: Path) -> None:
    store, run = RunStore(tmp_path), plan()
    store.keep_waves("link", waves(UNITS[:2], UNITS[:2], [1]))
    store.write(Part("link", "d-1", DONE, "pair_a"))
    store.write(LOST)
    for desk in PAIRS["pair_b"]:
        part = part_of("link", desk, "pair_b", {}, "b", "e", gate(run, store, desk, STAGES["link"], 2))
        assert part.state == SKIPPED
        store.write(part)
    assert "WAVE_STOPPED" in gate(run, store, "d-3", STAGES["rdma"]).reason
    pairs = {pair["name"]: pair for pair in build(run, store.everything(), "e")["pairs"]}
    assert pairs["pair_a"]["verdict"] == "FAIL" and pairs["pair_b"]["verdict"] == "UNKNOWN"
    assert {item["code"] for item in pairs["pair_b"]["reasons"]} == {"WAVE_STOPPED"}


def test_the_admin_reads_who_goes_first() -> None:
    chosen = waves(UNITS, [UNITS[1], UNITS[2], UNITS[3]], [1])
    assert announcement("link", plan(), chosen) == "Stage link: pair_b first, then 2 more waves unless a desk is lost (spark_waves)."
