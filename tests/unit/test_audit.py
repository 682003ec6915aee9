"""The audit of a fleet: table, baseline, and what only all desks together show."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import Options, collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import JudgeOptions, judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where, verdict
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import audit
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recorded_desk import load
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.text import summary
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Stack

RECORDINGS = Path(__file__).resolve().parents[1] / "recordings"


def desk(name: str) -> Desk:
    recording, recorded = load(RECORDINGS / name)
    return collect(recorded, Options(login_user=recording.login_user))


DESKS = {"desk-01": desk("founders_7_5_0"), "desk-02": desk("dell_promax"), "desk-03": desk("driver_library_mismatch")}
ADDRESSES = {"desk-01": "198.51.100.22", "desk-02": "198.51.100.30", "desk-03": "198.51.100.53", "desk-04": "198.51.100.99"}


def report(desks: dict[str, Desk]) -> dict[str, Any]:
    """A report of an audit, as plugin_utils.report.build makes it."""
    listed = []
    for name, facts in desks.items():
        findings = [item.as_dict() for item in judge(facts, Where(desk=name), JudgeOptions())]
        plain = as_dict(facts)
        listed.append(
            {"name": name, "pair": None, "verdict": verdict(i["severity"] for i in findings), "facts": plain, "findings": findings}
        )
    lost = {"code": "DESK_UNREACHABLE", "severity": "unknown", "message": "desk-04: no route", "subject": "desk-04", "remedy": "Look."}
    listed.append({"name": "desk-04", "pair": None, "verdict": "UNKNOWN", "facts": {}, "findings": [lost]})
    return {"run": {"playbook": "audit", "check_mode": False}, "pairs": [], "desks": listed}


def test_the_table_has_a_row_for_every_desk_also_the_unreachable_one() -> None:
    lines = summary(report(DESKS), "/tmp/run")
    assert lines[0].split("  ")[0] == "DESK" and "WORST FINDING" in lines[0]
    rows = {line.split()[0]: line for line in lines[1:5]}
    assert "NVIDIA" in rows["desk-01"] and "7.5.0" in rows["desk-01"] and "port 1 200G" in rows["desk-01"] and "PASS" in rows["desk-01"]
    assert "Dell" in rows["desk-02"]
    assert "FAIL" in rows["desk-03"] and "DRIVER_MISMATCH" in rows["desk-03"]
    assert "UNKNOWN" in rows["desk-04"] and "DESK_UNREACHABLE" in rows["desk-04"]
    assert any("DRIVER_MISMATCH" in line for line in lines[5:])


def test_the_rows_are_plain_data() -> None:
    first = audit.rows(report(DESKS))[0]
    assert (first["vendor"], first["dgx_os"], first["driver"], first["verdict"]) == ("NVIDIA", "7.5.0", "580.167.08", "PASS")
    assert {"code", "severity", "message"} <= set(first["findings"][0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("founders_7_5_0", "port 1 200G"),
        ("both_ports_cabled", "port 0 200G, port 1 200G"),
        ("no_cable_hotplug_on", "off, no cable"),
        ("no_cable_hotplug_off", "no link"),
        ("adapter_missing", "absent"),
    ],
)
def test_the_adapter_in_a_few_words(name: str, words: str) -> None:
    assert audit.adapter(as_dict(desk(name))) == words


def test_an_adapter_that_could_not_be_read_is_unknown() -> None:
    assert audit.adapter({}) == "unknown"
    assert audit.adapter({"cx7": {}, "unread": {"cx7.ports": "denied"}}) == "unknown"


def test_vendors_have_their_usual_names() -> None:
    assert [audit.vendor(name) for name in ("ASUSTeK COMPUTER INC.", "LENOVO", None, "Somebody")] == ["ASUS", "Lenovo", "-", "Somebody"]


def codes(**changes: Any) -> list[tuple[str, str | None, str]]:
    settings: dict[str, Any] = {"desks": DESKS, "addresses": ADDRESSES, "stacks": [], "options": JudgeOptions(), "wanted": None, **changes}
    return [(item.code, item.where.desk or item.where.pair, item.severity) for item in audit.together(**settings)]


def test_green_different_desks_have_nothing_in_common() -> None:
    assert codes() == []


def test_red_a_desk_listed_twice_and_a_pair_that_differs() -> None:
    pair = Stack("pair_a", ("desk-01", "desk-03"))
    assert ("PAIR_DRIFT", "pair_a", "fail") in codes(stacks=[pair])
    assert codes(stacks=[dataclasses.replace(pair, out_of_service=True)]) == []
    assert codes(stacks=[dataclasses.replace(pair, members=("desk-01", "desk-04"))]) == []
    twice = {**DESKS, "again": DESKS["desk-01"]}
    assert {item[1] for item in codes(desks=twice) if item[0] == "DESK_IDENTITY_DUPLICATE"} == {"desk-01", "again"}


def test_another_file_of_ours_is_no_baseline_and_what_is_one_is_told(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text('{"schema": "labops.dgx_spark/report/1", "verdict": "PASS", "findings": []}', encoding="utf-8")
    with pytest.raises(audit.BaselineError, match=r"is a labops\.dgx_spark/report/1; the name of a desk, a lock file"):
        audit.check_baseline(str(report), ["desk-01"], ["desk-01"])


def test_a_desk_as_baseline() -> None:
    found = audit.together(DESKS, ADDRESSES, [], JudgeOptions(), "desk-01")
    assert {item.where.desk for item in found} == {"desk-02", "desk-03"}
    told = next(item.message for item in found if item.where.desk == "desk-03")
    assert "driver.module_version should be 580.167.08, is 580.142" in told


def test_a_file_as_baseline(tmp_path: Path) -> None:
    path = tmp_path / "wanted.yml"
    path.write_text("dgx_os:\n  version: 7.5.0\ndriver.module_version: 580.167.08\n")
    assert codes(wanted=str(path)) == [("DRIFT_FROM_BASELINE", "desk-03", "warn")]
    assert codes(wanted={"dgx_os.version": "7.5.0"}) == []


def test_a_lock_file_as_baseline(tmp_path: Path) -> None:
    path = tmp_path / "lock.yml"
    lock = {
        "schema": "labops.dgx_spark/lock/1",
        "made_from": "desk-01",
        "made_at": "2026-11-22",
        "branch": 580,
        "facts": {"driver.module_version": "580.167.08"},
        "packages": {"nvidia-driver-580-open": "580.167.08-0ubuntu0.24.04.1"},
    }
    path.write_text(yaml.safe_dump(lock))
    assert [item[:2] for item in codes(wanted=str(path))] == [("DRIVER_LOCK_DRIFT", "desk-03")]


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("desk-04", "did not answer"),
        ("/nowhere/wanted.yml", "neither a desk"),
        ({"driver.modul_version": "1"}, "driver.modul_version"),
        ({1: 2}, "not fact paths"),
    ],
)
def test_a_baseline_that_cannot_be_used_makes_every_desk_unknown(wanted: Any, text: str) -> None:
    found = audit.together(DESKS, ADDRESSES, [], JudgeOptions(), wanted)
    assert {(item.code, item.severity, item.where.desk) for item in found} == {
        ("REQUIRED_CHECK_MISSING", "unknown", name) for name in DESKS
    }
    assert text in found[0].message


@pytest.mark.parametrize(
    "content", ["[" * 3000, "a: &a [1]\nb: [*a, *a]\n", "", "- a list\n", "a: [unclosed\n", "schema: labops.dgx_spark/lock/1\n", "\x00"]
)
def test_a_broken_baseline_file_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "wanted.yml"
    path.write_text(content)
    with pytest.raises(audit.BaselineError, match=r"wanted\.yml"):
        audit.baseline(str(path), DESKS)


def test_a_desk_is_not_held_against_itself_even_if_part_of_it_was_not_read() -> None:
    partial = {"desk-01": dataclasses.replace(DESKS["desk-01"], unread={"driver.gsp_version": "denied"})}
    assert audit.together(partial, {}, [], JudgeOptions(), "desk-01") == []
