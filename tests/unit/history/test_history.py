"""The history: what it remembers, that nothing is lost, and what it lets the report say."""

from __future__ import annotations

import contextlib
import datetime
import json
import multiprocessing
import os
import random
import sqlite3
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.action import run_history
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.history import fall_of, judge_changed, judge_flaps, judge_slower
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.history import Carrier, Difference, Past, Series
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.history.judge import with_history
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.history.since import SinceError, chosen
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.history.store import FILE, JOURNAL, History, HistoryError, last_counts
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.history.tables import (
    ChoiceError,
    compared,
    csv_text,
    found,
    listed,
    outdated,
)
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.again import folder_of, report_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.build import bad_desks
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.html import html
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.merge import merged
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.read import ReportError, checked
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.text import summary
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.write import report_text, write
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import RunStore
from lab_samples import Lab, all_verdicts, decay, every_failure

NOW = datetime.datetime(2026, 11, 26, 12, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def lab_of(day: int, pairs: int = 1, playbook: str = "stack_pair", scale: float = 1.0) -> Lab:
    """A lab on a day of November."""
    return Lab(
        pairs, run_id=f"202611{day:02d}T101500Z-{day:04x}", started=f"2026-11-{day:02d}T10:15:00Z", finished=f"2026-11-{day:02d}T10:21:00Z",
        playbook=playbook, scale=scale,
    )  # fmt: skip


def run(history: History, lab: Lab, since: str = "last") -> dict[str, Any]:
    """What the report action does."""
    report = lab.report()
    history.sync()
    with_history(report, history, NOW, since)
    folder = history.base / report["run"]["id"]
    folder.mkdir()
    (folder / "report.json").write_text(report_text(report), encoding="utf-8")
    history.add(report, "0" * 64, folder.name)
    return report


def codes(report: dict[str, Any]) -> set[str]:
    return {item["code"] for owner in (*report["pairs"], *report["desks"]) for item in owner["findings"]}


# ---- a trend -----------------------------------------------------------------------------------------------------------------


def series(values: list[float], now: float) -> Series:
    return Series(
        "x", "a figure", "GB/s", now, tuple(Past(f"r{place}", f"2026-11-{place + 1:02d}", value) for place, value in enumerate(values))
    )


@pytest.mark.parametrize(
    ("values", "now", "falls"),
    [
        ([22.0, 22.1, 21.9], 22.0, False),
        ([22.0, 22.1], 15.0, False),  # two runs have no spread
        ([22.0, 22.1, 21.9, 22.0], 20.0, True),
        ([22.0, 22.1, 21.9, 22.0], 21.8, False),  # within two percent
        ([22.0, 20.0, 22.3, 19.8, 21.9], 20.1, False),  # it always jumped like that
        ([22.3, 22.0, 21.7, 21.4], 21.1, True),  # a decay whose steps are small
        ([22.3, 22.25, 22.2, 22.15], 22.1, False),  # less than three percent in all
        ([15.0, 15.1, 15.0, 22.0, 22.1, 22.0], 21.9, False),
        ([22.0, 22.1, 22.0, 15.0, 15.1, 15.0], 15.0, True),  # it stays slower than it was
        ([0.0, 0.0, 0.0], 0.0, False),
    ],
)
def test_what_is_slower_than_before(values: list[float], now: float, falls: bool) -> None:
    assert (fall_of(series(values, now)) is not None) is falls


@pytest.mark.parametrize("noise", [0.001, 0.005, 0.01, 0.02])
def test_healthy_pairs_are_rarely_warned_of(noise: float) -> None:
    chance = random.Random(7)
    warned = tried = 0
    for _trial in range(400):
        values = [22 * (1 + chance.gauss(0, noise)) for _run in range(13)]
        for length in (3, 5, 8, 12):
            tried += 1
            warned += fall_of(series(values[:length], values[length])) is not None
    assert warned / tried < 0.02


def test_a_fall_beyond_the_spread_is_nearly_always_found() -> None:
    chance = random.Random(7)
    found_ = sum(fall_of(series([22 * (1 + chance.gauss(0, 0.005)) for _run in range(8)], 22 * 0.94)) is not None for _trial in range(300))
    assert found_ > 290


def test_the_message_explains() -> None:
    difference = Difference("desk-02", "kernel.running", "kernel", "6.17", "7.0", "r2")
    slower = judge_slower("pair_a", [series([22.0, 22.1, 21.9, 22.0], 20.0), series([10.0] * 4, 10.0)], lambda _run: [difference])[0]
    assert slower.severity == "warn" and "20.0 GB/s, it held 22.0 before" in slower.message and "(-9.1 %" in slower.message
    assert "desk-02: kernel 6.17 -> 7.0 (first seen in r2)" in slower.message and slower.evidence["since"] == "r3"
    assert "nothing on record has changed since" in judge_slower("p", [series([22.0, 22.1, 21.9], 18.0)], lambda _run: [])[0].message


def test_a_slow_decay_over_five_runs_is_found_and_explained(tmp_path: Path) -> None:
    history = History(tmp_path)
    reports = []
    for number, lab in enumerate(decay()):
        if number >= 2:
            lab.facts("desk-02", kernel__running="7.0.0-1019-nvidia")
        reports.append(run(history, lab))
    assert ["PAIR_SLOWER_THAN_BEFORE" in codes(report) for report in reports] == [False, False, False, True, True]
    told = next(item for item in reports[-1]["pairs"][0]["findings"] if item["code"] == "PAIR_SLOWER_THAN_BEFORE")
    assert "falling for 5 runs" in told["message"]
    assert "desk-02: kernel 6.17.0-1021-nvidia -> 7.0.0-1019-nvidia (first seen in 20261122T101500Z-0002)" in told["message"]
    assert all_verdicts(reports[-1]) == {"pair_01": "WARN"} and reports[-1]["stacks"][0]["verdict"] == "WARN"
    assert bad_desks(reports[-1]) == {}, "a warning ends no run"
    page = html(reports[-1])
    assert "From run to run" in page and "first seen in 20261122T101500Z-0002" in page
    assert [item["run"][-4:] for item in reports[-1]["stacks"][0]["trend"]] == ["0000", "0001", "0002", "0003"]


@pytest.mark.parametrize(
    ("desk", "changes", "told"),
    [
        ("desk-01", {"driver__module_version": "580.178.04"}, "desk-01: driver 580.142 -> 580.178.04"),
        ("desk-02", {"cx7__firmware": "28.46.1000"}, "ConnectX-7 firmware 28.45.4028 -> 28.46.1000"),
        ("desk-02", {"identity__boot_id": "another-boot"}, "start-up boot-000 -> another-"),
        ("desk-01", {"identity__serial_sha256": "f" * 64}, "machine 00000000 -> ffffffff"),
        ("desk-01", {"setup__nccl_bundle": "b" * 64}, None),
    ],
)
def test_a_step_is_explained_by_what_changed(tmp_path: Path, desk: str, changes: dict[str, Any], told: str | None) -> None:
    history = History(tmp_path)
    for day in range(1, 5):
        run(history, lab_of(day))
    lab = lab_of(5, scale=0.9)
    lab.facts(desk, **changes)
    report = run(history, lab)
    slower = next(item for item in report["pairs"][0]["findings"] if item["code"] == "PAIR_SLOWER_THAN_BEFORE")
    assert (told or "nothing on record has changed") in slower["message"]


def test_cable_mtu_and_nccl_explain_too(tmp_path: Path) -> None:
    history = History(tmp_path)
    for day in range(1, 5):
        run(history, lab_of(day))
    lab = lab_of(5, scale=0.9)
    for name in ("desk-01", "desk-02"):
        lab.parts["cable_map"][name].data["edges"][0]["serial"] = "CABLE9999"
        for port in lab.parts["facts"][name].data["spark"]["cx7"]["ports"]:
            for function in port["functions"]:
                function["mtu"] = 1500
    lab.parts["nccl"]["desk-01"].data["nccl_version"] = "2.31.2"  # type: ignore[index]
    changed = next(item for item in run(history, lab)["pairs"][0]["findings"] if item["code"] == "PAIR_SLOWER_THAN_BEFORE")["evidence"][
        "changed"
    ]
    text = " ".join(changed)
    assert (
        "cable serial number CABLE0001 -> CABLE9999" in text and "MTU 9000, 9000 -> 1500, 1500" in text and "NCCL 2.30.7 -> 2.31.2" in text
    )


def test_other_members_are_another_stack(tmp_path: Path) -> None:
    history = History(tmp_path)
    for day in range(1, 5):
        run(history, lab_of(day))
    assert len(history.past("pair_01", ["desk-02", "desk-01"], "rdma.0.sum.forward", "2027")) == 4
    assert history.past("pair_01", ["desk-01", "desk-09"], "rdma.0.sum.forward", "2027") == ()


def test_what_was_not_measured_or_only_checked_is_no_figure(tmp_path: Path) -> None:
    history = History(tmp_path)
    lab = lab_of(1)
    lab.lose("desk-02")
    run(history, lab)
    checked_only = lab_of(2)
    checked_only.check_mode = True
    run(history, checked_only)
    assert history.past("pair_01", ["desk-01", "desk-02"], "rdma.0.sum.forward", "2027") == ()


# ---- links that were lost in between -----------------------------------------------------------------------------------------------


def flapped(lab: Lab, desk: str, count: int) -> Lab:
    for port in lab.parts["facts"][desk].data["spark"]["cx7"]["ports"]:
        for function in port["functions"]:
            function["carrier_down_count"] = count
    return lab


@pytest.mark.parametrize("playbook", ["audit", "stack_pair"])
def test_a_link_lost_between_two_runs_is_told(tmp_path: Path, playbook: str) -> None:
    history = History(tmp_path)
    run(history, lab_of(1))
    assert last_counts(history.desk_rows("desk-01")) == Carrier(
        "20261101T101500Z-0001",
        "2026-11-01T10:15:00Z",
        "boot-0001",
        dict.fromkeys(("enp1s0f0np0", "enP2p1s0f0np0", "enp1s0f1np1", "enP2p1s0f1np1"), 1),
    )
    report = run(history, flapped(lab_of(2, playbook=playbook), "desk-01", 4))
    found_ = [item for item in report["desks"][0]["findings"] if item["code"] == "CX7_LINK_FLAPPED"]
    assert len(found_) == 4 and "lost its link 3 times since run 20261101T101500Z-0001" in found_[0]["message"]
    assert report["desks"][0]["verdict"] == "WARN" and report["desks"][1]["verdict"] == "PASS"


@pytest.mark.parametrize("why", ["same", "reboot", "partner rebooted", "we changed the link", "unsettled before", "partner unknown"])
def test_a_link_that_had_a_reason_to_go_down_is_not(tmp_path: Path, why: str) -> None:
    history = History(tmp_path)
    before = lab_of(1)
    if why == "unsettled before":
        # The partner's link was changed after this desk's facts had been read.
        before.find("link", "desk-02", changed=True)
    if why == "partner unknown":
        before.lose("desk-02")
    run(history, before)
    now = flapped(lab_of(2), "desk-01", 1 if why == "same" else 4)
    if why == "reboot":
        now.facts("desk-01", identity__boot_id="boot-new")
    if why == "partner rebooted":
        now.facts("desk-02", identity__boot_id="boot-new")
    if why == "we changed the link":
        now.find("link", "desk-02", changed=True)
    assert "CX7_LINK_FLAPPED" not in codes(run(history, now))


def test_the_judge_counts_growth_within_one_boot() -> None:
    before = Carrier("r1", "2026", "b", {"a": 1, "b": 5})
    assert [item.where.function for item in judge_flaps("d", before, Carrier("r2", "2026", "b", {"a": 2, "b": 5, "c": 9}))] == ["a"]
    assert judge_flaps("d", before, Carrier("r2", "2026", "c", {"a": 9})) == []


def test_a_count_that_began_anew_is_a_link_that_was_lost() -> None:
    """The adapter's functions go away with the cable and come back with it, within one boot."""
    [item] = judge_flaps("d", Carrier("r1", "2026", "b", {"a": 9, "b": 0}), Carrier("r2", "2026", "b", {"a": 1, "b": 0}))
    assert item.where.function == "a" and "went away and came back since run r1" in item.message and "-8" not in item.message


# ---- different since -----------------------------------------------------------------------------------------------------------------

RUNS = [("r1", "2026-11-20T10:00:00Z"), ("r2", "2026-11-23T10:00:00Z"), ("r3", "2026-11-23T18:00:00Z"), ("r4", "2026-11-25T10:00:00Z")]


@pytest.mark.parametrize(
    ("since", "run_"),
    [
        ("last", "r4"), ("r1", "r1"), ("never", None), ("monday", "r2"), ("Monday", "r2"), ("2026-11-23", "r2"), ("2026-11-24", "r3"),
        ("2026-11-23T12:00:00Z", "r2"), ("2026-11-23T12:00:00+00:00", "r2"), ("2026-01-01", "r1"), ("yesterday", "r4"), ("today", "r4"),
        ("tuesday", "r3"), ("2027-01-01", "r4"),
    ],
)  # fmt: skip
def test_since_means_a_run(since: str, run_: str | None) -> None:
    assert chosen(since, RUNS, NOW) == run_


@pytest.mark.parametrize("since", ["someday", "", "2026-13-40", "r9", "-1", "\x00"])
def test_since_that_nobody_understands_says_what_is_understood(since: str) -> None:
    with pytest.raises(SinceError, match="a weekday"):
        chosen(since, RUNS, NOW)


def test_an_audit_says_what_is_different(tmp_path: Path) -> None:
    history = History(tmp_path)
    run(history, lab_of(20, 2, "audit"))
    lab = lab_of(23, 2, "audit")
    lab.facts("desk-03", kernel__running="7.0.0-1019-nvidia")
    report = run(history, lab)
    assert set(report["since"]["desks"]) == {"desk-03"} and report["since"]["compared"] == 4
    assert all(desk["verdict"] == "PASS" for desk in report["desks"]), "a change is a fact, no fault"
    text = "\n".join(summary(report, "/r"))
    assert "desk-03 (since 2026-11-20 10:15 UTC): kernel 6.17.0-1021-nvidia ->" in text
    assert "Nothing has changed since the previous run (4 desks compared)." in "\n".join(
        summary(run(history, flat(lab_of(24, 2, "audit"), lab)), "/r")
    )
    since = run(history, flat(lab_of(25, 2, "audit"), lab), "friday")["since"]["desks"]["desk-03"]
    assert since["run"].startswith("20261120"), "friday's run, not the last one"
    assert "since" not in run(history, flat(lab_of(26, 2, "audit"), lab), "never")


def flat(lab: Lab, like: Lab) -> Lab:
    """A lab whose facts are those of another."""
    lab.parts["facts"] = like.parts["facts"]
    return lab


def test_what_was_not_read_is_no_change() -> None:
    assert judge_changed("d", "r", "s", []) == []
    changed = judge_changed("d", "r", "s", [Difference("d", "kernel.running", "kernel", "1", "2")])[0]
    assert (changed.code, changed.severity) == ("DESK_CHANGED_SINCE", "note") and "kernel 1 -> 2" in changed.message


def test_a_desk_that_was_lost_in_between_is_compared_with_the_run_that_read_it(tmp_path: Path) -> None:
    history = History(tmp_path)
    run(history, lab_of(20, 1, "audit"))
    lost = lab_of(21, 1, "audit")
    lost.lose("desk-01")
    run(history, lost)
    lab = lab_of(22, 1, "audit")
    lab.facts("desk-01", dgx_os__version="7.6.0")
    seen = run(history, lab)["since"]["desks"]["desk-01"]
    assert seen["run"].startswith("20261120") and [item["path"] for item in seen["differences"]] == ["dgx_os.version"]


# ---- the store -----------------------------------------------------------------------------------------------------------------------


def _many(base: str, first: int, count: int) -> None:
    history = History(Path(base))
    for number in range(first, first + count):
        lab = Lab(1, run_id=f"run-{number:04d}", started=f"2026-11-01T10:{number:02d}:00Z", finished=f"2026-11-01T10:{number:02d}:30Z")
        history.add(lab.report(), "0" * 64, f"run-{number:04d}")


def test_two_controllers_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_many, args=(str(tmp_path), first, 8)) for first in (0, 20, 40)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    assert len(History(tmp_path).runs()) == 24


def test_a_run_of_another_controller_is_taken_in_and_one_command_makes_it_all_again(tmp_path: Path) -> None:
    history = History(tmp_path)
    for day in (1, 2, 3):
        run(history, lab_of(day))
    before = history.figures()
    (tmp_path / FILE).unlink()
    assert History(tmp_path).sync() == [] and history.figures() == before
    assert history.rebuild() == (3, []) and history.figures() == before


@pytest.mark.parametrize("content", [b"", b"no database at all, " * 400, b"SQLite format 3\x00torn"])
def test_a_damaged_file_is_put_aside_and_made_again(tmp_path: Path, content: bytes) -> None:
    history = History(tmp_path)
    run(history, lab_of(1))
    (tmp_path / FILE).write_bytes(content)
    history.sync()
    assert len(history.runs()) == 1


def test_a_history_of_another_version_is_made_again(tmp_path: Path) -> None:
    history = History(tmp_path)
    run(history, lab_of(1))
    database = sqlite3.connect(tmp_path / FILE)
    database.execute("DROP TABLE figures")
    database.execute("PRAGMA user_version = 99")
    database.close()
    history.sync()
    assert len(history.runs()) == 1 and history.figures()


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE TRIGGER stop BEFORE DELETE ON runs BEGIN SELECT RAISE(ABORT, 'no'); END",
        "DROP TABLE pruned; CREATE VIEW pruned AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id FROM n) SELECT id FROM n",
    ],
)
def test_a_history_that_somebody_sent_runs_nothing(schema: str, tmp_path: Path) -> None:
    history = History(tmp_path)
    run(history, lab_of(1))
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.executescript(schema)
    assert history.sync() == [] and len(history.runs()) == 1 and history.rebuild() == (1, [])


def test_a_history_that_somebody_sent_removes_no_file(tmp_path: Path) -> None:
    history = History(tmp_path)
    run(history, lab_of(1))
    victim = tmp_path / "victim"
    victim.write_text("precious")
    name = str(victim).encode()
    numbers = (0, 0, (tmp_path / FILE).stat().st_size // 4096, 512, 4096)
    end = struct.pack(">I", (1 << 30) // 4096 + 1) + name + struct.pack(">II", len(name), sum(name)) + JOURNAL
    (tmp_path / f"{FILE}-journal").write_bytes((JOURNAL + struct.pack(">5I", *numbers)).ljust(512, b"\0") + end)
    assert history.sync() == [] and len(history.runs()) == 1
    assert victim.read_text() == "precious" and not (tmp_path / f"{FILE}-journal").exists()


def test_what_is_no_file_is_no_history(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with contextlib.closing(sqlite3.connect(other)) as database:
        database.executescript("CREATE TABLE runs (theirs)")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / FILE).symlink_to(other)
    with pytest.raises(HistoryError, match="not a regular file"):
        History(tmp_path / "runs").sync()
    with contextlib.closing(sqlite3.connect(other)) as database:
        assert database.execute("SELECT sql FROM sqlite_master").fetchall() == [("CREATE TABLE runs (theirs)",)]


def test_rows_of_another_kind_are_passed_over(tmp_path: Path) -> None:
    history = History(tmp_path)
    run(history, lab_of(1))
    now = lab_of(9)
    (stack,) = now.run(tmp_path).stacks
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as database:
        for values in (
            "('a', x'ff', '', 1, 'stack_pair', 0, 'PASS', 'a', '', '{}', '[]')",
            "('b', '2026', '', 'soon', 'stack_pair', 0, 'PASS', 'b', '', '{}', '[]')",
            "('c', '2026', '', 9e999, 'stack_pair', 0, 'PASS', 'c', '', '{}', '[]')",
            "('d\x1b', '2026', '', 1, 'stack_pair', 0, '\x1bPASS', 'd', '', '7', '" + "[" * 100_000 + "')",
            """('e', '2026', '', 1, 'stack_pair', 0, 'PASS', 'e', '', '[', '[7, {"stage": "x"}, {"stage": 1, "seconds": "y"}]')""",
        ):
            database.execute(f"INSERT INTO runs VALUES {values}")
        members = json.dumps(sorted(stack.members))
        for name in "bcde":
            database.execute("INSERT INTO stacks VALUES (?, ?, 'PASS', 1, ?)", (name, stack.name, members))
            database.execute("INSERT INTO figures VALUES (?, ?, 'nccl.average', 'x', 'fast', 'GB/s', 'y')", (name, stack.name))
            for desk in stack.members:
                database.execute("INSERT INTO desks VALUES (?, ?, 'PASS', 1, '[{', x'00', '[7]', 'no')", (name, desk))
        database.commit()
    assert "\x1b" not in "".join([*listed(history.runs()), csv_text(history)])
    assert history.stage_seconds("stack_pair")
    report = run(history, now)
    write(tmp_path / "again", report, summary(report, "/r"))
    assert compared(history, *history.runs()[-2:])


def test_a_history_is_for_the_admin_as_its_reports_are(tmp_path: Path) -> None:
    History(tmp_path).sync()
    assert (tmp_path / FILE).stat().st_mode & 0o007 == 0


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="cannot be"):
        History(tmp_path / "none" / "such").sync()


def test_a_report_that_is_none_is_left_out_and_said(tmp_path: Path) -> None:
    history = History(tmp_path)
    run(history, lab_of(1))
    for name, text in (("torn", '{"schema": "labops'), ("other", '{"schema": "x"}'), ("list", "[]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(text)
    assert len(history.sync()) == 3 and len(history.runs()) == 1


ODD_MEASUREMENTS = [
    {"rdma": {"measured": True, "paths": [{"ends": 5, "functions": 5, "marks": 5}]}},
    {"nccl": {"measured": True, "rows": [{"bytes": 1 << 70, "out_of_place": [1]}], "avg_busbw": 1e308}},
    {"rdma": {"measured": True, "commands": True, "sum_both_ways_gbps": 10**400}},
]


@pytest.mark.parametrize("odd", ODD_MEASUREMENTS)
def test_a_report_that_somebody_sent_keeps_no_run_from_its_own(tmp_path: Path, odd: dict[str, Any]) -> None:
    """It lies beside the runs, and every later run reads it."""
    history = History(tmp_path)
    sent = lab_of(1).report()
    sent["pairs"][0].update(odd)
    del sent["stacks"]
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "report.json").write_text(json.dumps(sent))
    history.sync()
    again, _stands = report_of(tmp_path / "sent", {})
    written = write(tmp_path / "sent", again, summary(again, "x"))
    assert written.problems == []
    run(history, lab_of(2))
    assert len(history.runs()) == 2


def test_a_figure_of_64_bits_is_remembered(tmp_path: Path) -> None:
    history = History(tmp_path)
    sent = lab_of(1).report()
    sent["stacks"][0]["figures"][0].update(value=(1 << 63) + 1, mark=None, reached=None)
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "report.json").write_text(json.dumps(sent))
    assert history.sync() == [] and len(history.runs()) == 1


@pytest.mark.parametrize("started", ["0000", "2026-11-20T10:15:00", "2026-99-99T10:15:00Z"])
def test_a_run_without_a_time_is_no_run_to_compare_with(tmp_path: Path, started: str) -> None:
    history = History(tmp_path)
    sent = lab_of(1).report()
    sent["run"]["started"] = started
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "report.json").write_text(json.dumps(sent))
    run(history, lab_of(29), "monday")
    assert len(history.runs()) == 2


def test_pruned_runs_do_not_come_back_until_all_is_read_again(tmp_path: Path) -> None:
    history = History(tmp_path)
    for day in (1, 2, 3):
        run(history, lab_of(day))
    gone = outdated(history.runs(), "keep=1", NOW)
    assert history.forget(row.id for row in gone) == 2
    history.sync()
    assert [row.id[:8] for row in history.runs()] == ["20261103"]
    assert history.rebuild()[0] == 3


@pytest.mark.parametrize("place", ["..", "", ".", "../beside", "link"])
def test_pruning_removes_nothing_but_folders_of_runs(tmp_path: Path, place: str) -> None:
    """A history and a report that somebody sent name the folder above the reports, or that of all reports, as the folder of a run."""
    base, beside = tmp_path / "lab" / "reports", tmp_path / "lab" / "beside"
    beside.mkdir(parents=True)
    base.mkdir()
    (base / "link").symlink_to(beside)
    history = History(base)
    for day in (1, 2):
        run(history, lab_of(day))
    (base / place / "report.json").write_text(report_text(lab_of(1).report()), encoding="utf-8")
    with sqlite3.connect(history.path) as database:
        database.execute("UPDATE runs SET folder = ? WHERE started LIKE '2026-11-01%'", (place,))
    database.close()
    before = sorted(tmp_path.rglob("*"))
    action = run_history.ActionModule.__new__(run_history.ActionModule)
    action._task, action._display = SimpleNamespace(check_mode=False), SimpleNamespace(warning=print)
    action._prune(history, outdated(history.runs(), "keep=1", NOW), True)
    assert sorted(tmp_path.rglob("*")) == before
    assert len(history.runs()) == 1


@pytest.mark.parametrize(("wanted", "left"), [("90", 3), ("24d", 1), ("keep=2", 2), ("keep=0", 1), ("0", 1), ("keep=99", 3)])
def test_pruning_never_takes_the_newest(tmp_path: Path, wanted: str, left: int) -> None:
    history = History(tmp_path)
    for day in (1, 2, 3):
        run(history, lab_of(day))
    rows = history.runs()
    assert len(rows) - len(outdated(rows, wanted, NOW)) == left


@pytest.mark.parametrize("wanted", ["", "all", "-3", "keep=", "keep=x", "9" * 50, "٣"])
def test_a_wish_to_prune_that_is_none_is_refused(tmp_path: Path, wanted: str) -> None:
    run(History(tmp_path), lab_of(1))
    with pytest.raises(ChoiceError, match="keep=20"):
        outdated(History(tmp_path).runs(), wanted, NOW)


def test_runs_are_listed_found_and_compared(tmp_path: Path) -> None:
    history = History(tmp_path)
    run(history, lab_of(1))
    lab = lab_of(2, scale=0.95)
    lab.facts("desk-02", driver__module_version="580.178.04")
    run(history, lab)
    rows = history.runs()
    assert [line.split()[0] for line in listed(rows)] == ["RUN", "20261102T101500Z-0002", "20261101T101500Z-0001"]
    assert found(rows, "last") == rows[1] and found(rows, "last-1") == rows[0] and found(rows, "0001") == rows[0]
    for wanted in ("2026", "zz", "last-9", ""):
        with pytest.raises(ChoiceError):
            found(rows, wanted)
    text = "\n".join(compared(history, rows[0], rows[1]))
    assert "pair_01: RDMA, both functions, desk-01 to desk-02 196.0 -> 186.2 Gb/s (-5.0 %)" in text
    assert "pair_01: PASS -> WARN" in text and "desk-02: driver 580.142 -> 580.178.04" in text
    assert "Nothing that both of them saw differs" in "\n".join(compared(history, rows[0], rows[0]))


def test_csv_holds_no_formula(tmp_path: Path) -> None:
    history = History(tmp_path)
    report = json.loads(report_text(lab_of(1).report()).replace("pair_01", "=cmd|' /C calc'!A1"))
    history.add(checked(report, "r"), "0" * 64, "f")
    rows = csv_text(history).splitlines()
    assert rows[0].startswith("run,started,playbook,stack") and len(rows) > 20
    assert all(",=cmd" not in row and '"=cmd' not in row for row in rows) and "'=cmd" in rows[1]


# ---- again -------------------------------------------------------------------------------------------------------------------------------


def test_an_interrupted_run_gets_its_report_from_what_the_stages_left(tmp_path: Path) -> None:
    lab = lab_of(1)
    store = RunStore(tmp_path / lab.run_id)
    store.begin(lab.run(store.run_dir))
    for desk, part in lab.parts["facts"].items():
        del desk
        store.write(part)
    folder = folder_of(tmp_path, "last")
    report, stood = report_of(folder, {})
    assert not stood and report["run"]["interrupted"] and all_verdicts(report) == {"pair_01": "UNKNOWN"}
    assert "interrupted" in html(report) and any("interrupted" in line for line in summary(report, "/r"))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "1" * 5000, "\udcff", "[]", '{"stage": []}', '{"findings": 7}', "pipe", None], ids=lambda text: str(text)[:9]
)
@pytest.mark.parametrize("name", ["run.json", "parts/facts/desk-01.json"])
def test_a_run_that_somebody_sent_with_anything_in_it_is_a_report_or_a_sentence(name: str, text: str | None, tmp_path: Path) -> None:
    lab = lab_of(1)
    store = RunStore(tmp_path / lab.run_id)
    store.begin(lab.run(store.run_dir))
    part = next(iter(lab.parts["facts"].values()))
    store.write(part)
    path = store.run_dir / name
    if text is None:
        odd = [{**part.as_dict(), key: value} for key in part.as_dict() for value in (7, "x", [7], {"x": [7]}, None)]
    else:
        odd = [text]
    for item in odd:
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        if item == "pipe":
            os.mkfifo(path)
        else:
            path.write_text(item if isinstance(item, str) else json.dumps(item), encoding="utf-8", errors="surrogateescape")
        try:
            report, _stood = report_of(store.run_dir, {})
        except ReportError as error:
            assert "\n" not in str(error)
        else:
            assert summary(report, "/r") and not write(tmp_path / "made", report, []).warnings


def test_a_run_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="not a run"):
        folder_of(tmp_path, "last")
    run(History(tmp_path), lab_of(1))
    assert folder_of(tmp_path, "0001") == folder_of(tmp_path, str(tmp_path / "20261101T101500Z-0001" / "report.json"))
    with pytest.raises(ReportError, match="known runs are 20261101T101500Z-0001"):
        folder_of(tmp_path, "zz")


def test_slices_of_a_job_become_one_report() -> None:
    one, two = lab_of(1, 3), lab_of(2, 3)
    one.scope, two.scope = {"desk-01", "desk-02", "desk-03"}, {"desk-04", "desk-05", "desk-06"}
    two.find("facts", "desk-06", finding("DRIVER_MISSING", Where(desk="desk-06"), "desk-06: no driver"))
    report = merged([one.report(), two.report()])
    assert all_verdicts(report) == {"pair_01": "PASS", "pair_02": "UNKNOWN", "pair_03": "FAIL"}
    assert [desk["name"] for desk in report["desks"]] == [f"desk-{number:02d}" for number in range(1, 7)]
    assert report["run"]["merged"] == [one.run_id, two.run_id]
    assert {stack["name"]: stack["verdict"] for stack in report["stacks"]} == all_verdicts(report)
    assert "Merged" in html(report) and checked(json.loads(report_text(report)), "merged")


def test_of_two_runs_of_a_desk_the_newer_counts_and_a_whole_pair_outweighs_half_of_one() -> None:
    good, half = lab_of(1), lab_of(2)
    half.scope = {"desk-01"}
    half.find("facts", "desk-01", finding("CX7_LINK_FLAPPED", Where(desk="desk-01"), "desk-01 lost its link"))
    report = merged([half.report(), good.report()])
    assert all_verdicts(report) == {"pair_01": "WARN"}, "the pair of the whole run, with what the newer run found on its desk"
    bad = every_failure(9)
    bad.started = "2026-11-30T10:15:00Z"
    assert all_verdicts(merged([good.report(), bad.report()]))["pair_02"] == "FAIL"
    with pytest.raises(ValueError, match="no report"):
        merged([])


def test_stage_times_of_earlier_runs_make_the_remainder(tmp_path: Path) -> None:
    history = History(tmp_path)
    assert history.stage_seconds("stack_pair") == {}
    run(history, lab_of(1))
    times = history.stage_seconds("stack_pair")
    assert list(times)[:2] == ["facts", "driver"] and times["rdma"] == 51.0
