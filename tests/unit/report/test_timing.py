"""How long stages took, from their parts."""

from __future__ import annotations

from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.timing import finished_stages
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, SKIPPED, Part


def part(stage: str, desk: str, first: int, last: int, state: str = DONE) -> Part:
    return Part(stage, desk, state, started=f"2026-11-22T10:00:{first:02}Z", ended=f"2026-11-22T10:00:{last:02}Z")


def seconds(*parts: Part) -> dict[str, float]:
    return {item["stage"]: item["seconds"] for item in finished_stages(parts)}


def test_a_stage_takes_as_long_as_any_desk_is_at_it() -> None:
    assert seconds(part("rdma", "desk-01", 0, 10), part("rdma", "desk-03", 5, 15), part("rdma", "desk-05", 6, 7)) == {"rdma": 15.0}


def test_what_ran_between_two_readings_of_the_facts_is_not_theirs() -> None:
    told = seconds(part("facts", "desk-02", 0, 9), part("link", "desk-01", 14, 34), part("facts", "desk-01", 36, 40))
    assert told == {"facts": 13.0, "link": 20.0}


def test_stages_stand_in_the_order_in_which_they_began_and_skipped_ones_do_not() -> None:
    assert list(seconds(part("nccl", "desk-01", 9, 10), part("rdma", "desk-01", 1, 9), part("link", "desk-01", 0, 0, SKIPPED))) == [
        "rdma",
        "nccl",
    ]
