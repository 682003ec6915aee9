"""The end of a run on a terminal of 80 columns."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report import read
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.build import bad_desks, build, outcome, stacks_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.html import html
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.junit import junit
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.prometheus import prometheus
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.text import summary
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.webhook import told as posted
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.words import duration, moment, plain, scrubbed, size, told
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, Part
from lab_samples import Lab, every_failure
from sample_run import run_of

FOLDER = "/r/20261123T101500Z-aaaa"


def lines_of(lab: Lab, **more: Any) -> list[str]:
    return summary(lab.report(), FOLDER, **more)


def test_nothing_is_wider_than_eighty_columns() -> None:
    for lab in (every_failure(), Lab(3)):
        for line in lines_of(lab, notes=True):
            # A path or a command that cannot be broken may be longer; a sentence may not.
            assert len(line) <= 80 or " " not in line.strip() or FOLDER in line or line.startswith("        report.json"), line


def test_failures_come_first_and_each_figure_has_its_mark() -> None:
    lines = lines_of(every_failure())
    rows = [line.split() for line in lines if line.startswith("pair_")]
    assert [row[1] for row in rows] == ["FAIL"] * 5 + ["UNKNOWN", "WARN"] + ["PASS"] * 4 + ["OUT"]
    table = {row[0]: " ".join(row[2:]) for row in rows}
    assert table["pair_01"] == "desk-01 + desk-02 392 >= 368 21.6 >= 21.0"
    assert table["pair_03"].startswith("desk-05 + desk-06 320 < 368 17.7 < 21.0")
    assert table["pair_06"].startswith("desk-11 + desk-12 - -")


def test_a_reason_that_has_no_room_stands_below_its_row() -> None:
    lines = lines_of(every_failure())
    assert lines[lines.index(next(line for line in lines if line.startswith("pair_04"))) + 1] == "    NCCL_SOCKET_FALLBACK"


def test_it_says_what_changed_how_long_it_took_and_where_the_report_is() -> None:
    text = "\n".join(lines_of(every_failure()))
    assert "Changed:\n  desk-19: driver" in text
    assert "Took 6 min 40 s: facts 7 s, driver 52 s" in text
    assert f"Report: {FOLDER}/index.html" in text


def test_times_leave_out_what_took_none_and_keep_a_number_with_its_unit() -> None:
    stages = [
        {"stage": name, "seconds": took, "desks": 2}
        for name, took in (("facts", 11.0), ("trust", 0.4), *((f"stage_{n}", 9.0) for n in range(9)))
    ]
    report = Lab(1).report()
    lines = summary({**report, "run": {**report["run"], "stages": stages}}, FOLDER)
    took = lines[next(number for number, line in enumerate(lines) if line.startswith("Took")) :][:4]
    assert "trust" not in " ".join(took) and "facts 11 s" in " ".join(took)
    assert not [line for line in took if line.startswith("  s,") or line.strip() == "s" or line[-1:].isdigit()]


def test_a_check_without_a_result_is_told_where_nothing_else_says_why() -> None:
    lab = every_failure()
    lines = lines_of(lab)
    assert "PAIR_BUSY (+1)" in "\n".join(lines), "the table still counts it"
    assert not [line for line in lines if "REQUIRED_CHECK_MISSING" in line]
    for stage in ("rdma", "nccl"):
        del lab.parts[stage]["desk-01"]
    told = [line for line in lines_of(lab) if "REQUIRED_CHECK_MISSING" in line and line.startswith("  ")]
    assert len(told) == 3 and all("pair_01" in line for line in told[1:]), told


def test_a_lost_desk_of_a_pair_says_why_its_measurements_are_missing() -> None:
    lab = Lab(1)
    late = finding("STAGE_TIMEOUT", Where(desk="desk-02"), "desk-02: stage facts ran out of time", severity="unknown")
    lab.find("facts", "desk-02", late)
    for stage in ("rdma", "nccl"):
        del lab.parts[stage]["desk-01"]
    lines = lines_of(lab)
    assert [line for line in lines if "STAGE_TIMEOUT: desk-02" in line] and not [line for line in lines if "MISSING" in line]
    lab.find("facts", "desk-01", finding("REQUIRED_CHECK_MISSING", Where(desk="desk-01"), "desk-01: the baseline /b is no recording."))
    assert [line for line in lines_of(lab) if "MISSING: desk-01: the baseline" in line], "it is no consequence"


def test_what_one_pair_fails_in_hides_nothing_of_another_pair() -> None:
    lab = Lab(2)
    for pair, desk, severity in (("pair_01", "desk-01", "fail"), ("pair_02", "desk-03", "warn")):
        lab.find("rdma", desk, finding("RDMA_SLOW", Where(pair=pair), f"pair {pair}: is slow", severity=severity))
    assert [line for line in lines_of(lab) if "RDMA_SLOW: pair_02: is slow" in line]
    lab.find("nccl", "desk-03", finding("RDMA_SLOW", Where(pair="pair_02"), "pair pair_02: is slower still", severity="fail"))
    text = "\n".join(lines_of(lab))
    assert "pair_02: is slower still" in text and "pair_02: is slow\n" not in text, "its own stages weigh the same thing more"


def test_notes_are_counted_and_told_by_choice() -> None:
    assert any(line.startswith("2 notes in the report") for line in lines_of(every_failure()))
    told_lines = lines_of(every_failure(), notes=True)
    assert any("VERSION_KNOWN_BAD: " in line and "desk-19" in line for line in told_lines)
    assert not any("VERSION_KNOWN_BAD" in line for line in lines_of(every_failure()))


def test_one_remedy_is_told_once() -> None:
    lab = Lab(2)
    for desk in ("desk-01", "desk-02", "desk-03"):
        lab.find("facts", desk, finding("CX7_FUNCTION_MISSING", Where(desk=desk), f"{desk} has lost a function."))
    lines = lines_of(lab)
    assert sum("CX7_FUNCTION_MISSING: desk-" in line for line in lines) == 3
    assert sum(line.lstrip().startswith("-> ") for line in lines) == 1


@pytest.mark.parametrize(
    ("desk", "message", "told"),
    [
        ("refused", "refused: the connection was refused: sshd is not listening there", "refused: the connection was refused"),
        ("desk-1", "This is the same machine as desk-10.", "desk-1: This is the same machine as desk-10."),
        ("desk-1", "This is the same machine as desk-1.lab.", "desk-1: This is the same machine as desk-1.lab."),
        ("desk-1", "The stack of desk-1 is not alike.", "DESK_UNREACHABLE: The stack of desk-1 is not alike."),
    ],
)
def test_a_finding_names_its_desk_also_where_its_words_hold_the_same_letters(desk: str, message: str, told: str) -> None:
    lab = Lab(1)
    report = lab.report()
    report["desks"][0]["name"] = desk
    item = finding("DESK_UNREACHABLE", Where(desk=desk), message).as_dict()
    report["desks"][0]["findings"] = [{**item, "subject": desk}]
    assert told in " ".join("\n".join(summary(report, FOLDER)).split())


@pytest.mark.parametrize("playbook", ["audit", "enrol", "onboard", "unstack_pair", "stack_pair"])
def test_a_desk_out_of_service_is_out_everywhere_and_nothing_is_asked_for(playbook: str) -> None:
    lab = Lab(2, playbook=playbook)
    lab.out_of_service.add("pair_02")
    lab.left_alone.add("desk-03")
    for stage in lab.parts:
        lab.parts[stage].pop("desk-03", None)
    dark = finding("CX7_LINK_DOWN", Where(desk="desk-04"), "No port has a link: the other desk is off.", severity="warn")
    lab.find("facts", "desk-04", dark)
    report = lab.report()
    lines = summary(report, FOLDER, notes=True)
    rows = {line.split()[0]: "OUT" in line.split() for line in lines if line.startswith(("desk-", "pair_"))}
    metrics, cases = prometheus(report, 0.0), ElementTree.fromstring(junit(report))
    desk = next(item for item in report["desks"] if item["name"] == "desk-03")
    assert desk["verdict"] == "UNKNOWN" and desk["out_of_service"] and "desk-03" not in bad_desks(report)
    assert 'desk_verdict{desk="desk-03"}' not in metrics and "desk-03" not in [item["name"] for item in posted(report, "")["desks"]]
    suite = next(item for item in cases if item.get("name") == "desk desk-03")
    assert len(suite.findall("testcase/skipped")) == len(suite.findall("testcase"))
    if playbook == "stack_pair":
        # What its partner lacks is the other's doing.
        assert rows["pair_02"] and "CX7_LINK_DOWN" not in " ".join(lines) and 'desk_verdict{desk="desk-04"}' not in metrics
    else:
        assert (rows["desk-03"] if playbook != "unstack_pair" else rows["pair_02"]) and not rows["desk-04"]
        assert "CX7_LINK_DOWN" in " ".join(lines)
        assert 'desk_verdict{desk="desk-04"}' in metrics


def test_a_desk_out_of_service_keeps_nothing_of_another_pair_from_being_told() -> None:
    lab = Lab(2)
    lab.out_of_service.add("pair_02")
    lab.find("facts", "desk-04", finding("CX7_LINK_DOWN", Where(desk="desk-04"), "No port has a link.", severity="fail"))
    stranger = finding("CABLE_UNKNOWN_PEER", Where("pair_01", "desk-01"), "desk-01: a stranger", evidence={"follows_from": ["desk-04"]})
    lab.find("cable_map", "desk-01", stranger)
    text = "\n".join(lines_of(lab))
    assert "CABLE_UNKNOWN_PEER: desk-01: a stranger" in text and "No port has a link" not in text


def test_the_partner_of_a_desk_out_of_service_is_not_called_good_unseen() -> None:
    lab = Lab(1, playbook="audit")
    lab.out_of_service.add("pair_01")
    lab.left_alone.add("desk-01")
    lab.parts = {}
    assert [(desk["name"], desk["out_of_service"], desk["verdict"]) for desk in lab.report()["desks"]] == [
        ("desk-01", True, "UNKNOWN"),
        ("desk-02", False, "UNKNOWN"),
    ]
    assert list(bad_desks(lab.report())) == ["desk-02"]


def test_what_a_desk_says_cannot_move_the_cursor() -> None:
    lab = Lab(1)
    lab.find("facts", "desk-01", finding("CX7_LINK_DOWN", Where(desk="desk-01"), "a\x1b[2J\x9b1m\u202eb\rc\n\nd", severity="fail"))
    text = "\n".join(summary(lab.report(), FOLDER))
    assert not any(char in text for char in "\x1b\x9b\u202e\r") and "a\ufffd[2J" in text


@pytest.mark.parametrize(("playbook", "word"), [("unstack_pair", "removed"), ("unlock_driver", "removed"), ("record", "not judged")])
def test_a_playbook_that_measures_nothing_does_not_say_unknown(playbook: str, word: str) -> None:
    lab = Lab(1, playbook=playbook)
    line = next(line for line in lines_of(lab) if line.startswith("pair_01"))
    assert word in line and "UNKNOWN" not in line
    lab.lose("desk-02")
    assert " FAIL " in next(line for line in lines_of(lab) if line.startswith("pair_01"))


@pytest.mark.parametrize(
    ("scope", "check_mode", "word"),
    [
        (("d-1",), False, "removed on d-1 only"),
        (("d-2",), True, "would remove on d-2 only"),
        (("d-1", "d-3"), False, "removed on 2 of 3 desks"),
        (("d-1", "d-2", "d-3"), False, "removed"),
    ],
)
def test_a_desk_that_is_not_in_the_run_keeps_what_it_has(scope: tuple[str, ...], check_mode: bool, word: str) -> None:
    desks = ("d-1", "d-2", "d-3")[: max(2, int(max(scope)[-1]))]
    topology = "direct" if len(desks) == 2 else "ring"
    run = run_of({"stack": desks}, scope=scope, playbook="unstack_pair", check_mode=check_mode, topology=topology)
    parts = {stage: {name: Part(stage, name, DONE, "stack") for name in scope} for stage in ("facts", "link")}
    report = build(run, parts, "2026-11-28T06:00:00Z")
    assert [outcome(report, stack) for stack in stacks_of(report)] == [word]
    assert bad_desks(report) == {}


@pytest.mark.parametrize(("playbook", "stage"), [("unstack_pair", "link"), ("unlock_driver", "driver")])
def test_what_was_never_reached_was_not_removed(playbook: str, stage: str) -> None:
    lab = Lab(1, playbook=playbook)
    del lab.parts[stage]
    line = next(line for line in lines_of(lab) if line.startswith("pair_01"))
    assert "removed" not in line and "UNKNOWN" in line
    assert [item["code"] for item in lab.report()["desks"][0]["findings"] if item["severity"] == "unknown"] == ["REQUIRED_CHECK_MISSING"]


def test_an_audit_names_a_pair_whose_desks_differ() -> None:
    lab = Lab(2, playbook="audit")
    assert not any(line.startswith("STACK") for line in lines_of(lab))
    drift = finding("PAIR_DRIFT", Where(pair="pair_02"), "pair pair_02: driver 580.142 on desk-03, 580.95 on desk-04")
    lab.find("facts", "desk-03", drift)
    lines = lines_of(lab)
    assert lines[lines.index("STACK    VERDICT  WHY") + 1] == "pair_02  FAIL     PAIR_DRIFT"


def test_the_reason_beside_a_pairs_verdict_is_that_of_the_verdict() -> None:
    lab = Lab(2, playbook="audit")
    lab.find("facts", "desk-03", finding("PAIR_DRIFT", Where(pair="pair_02"), "System firmware differs.", severity="warn"))
    lab.find("facts", "desk-04", finding("GPU_FAILED", Where(desk="desk-04"), "The GPU is lost."))
    lines = lines_of(lab)
    assert lines[lines.index("STACK    VERDICT  WHY") + 1] == "pair_02  FAIL     GPU_FAILED (+1)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pair pair_a: slow", "pair_a: slow"),
        ("stack pair_a: slow", "pair_a: slow"),
        ("pair alpha: slow", "pair alpha: slow"),
        ("pair Pair-2 and stack stack_1", "Pair-2 and stack_1"),
    ],
)
def test_nothing_is_said_twice(text: str, expected: str) -> None:
    assert told(text) == expected


HARMFUL = (0x00, 0x07, 0x0D, 0x1B, 0x7F, 0x85, 0x9B, 0x061C, 0x200B, 0x200E, 0x202E, 0x2028, 0x2066, 0xFEFF, 0xFFFE, 0xFFFF)


@pytest.mark.parametrize("code", [*HARMFUL, 0xFDD0, 0x1FFFE, 0xE0041, 0xD800])
def test_harmful_characters_are_replaced(code: int) -> None:
    assert plain(f"a{chr(code)}b") == "a\ufffdb"
    assert scrubbed({chr(code): [chr(code)]}) == {"\ufffd": ["\ufffd"]}


def test_what_people_write_stays() -> None:
    text = "Grüße 漢字 שלום مرحبا 👩‍🔬 → \t\n"
    assert plain(text) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (125, "2 min 05 s"), (3780, "1 h 03 min"), (None, "-"), (float("nan"), "-")],
)
def test_durations(value: Any, expected: str) -> None:
    assert duration(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(1 << 20, "1 MiB"), (4 << 30, "4 GiB"), (1536, "1.5 KiB"), (12, "12 B"), ("x", "-"), (-1, "-")]
)
def test_sizes(value: Any, expected: str) -> None:
    assert size(value) == expected


def test_moments() -> None:
    assert moment("2026-11-23T10:15:00Z") == "2026-11-23 10:15 UTC" and moment("soon") == "soon"


def test_an_update_ends_with_what_it_moved() -> None:
    lab = Lab(1)
    for stage, levels in (
        ("update_plan", {"driver": "580.178.04 -> 580.191.01", "NCCL": "2.30.7"}),
        ("update_end", {"driver": "580.178.04 -> 580.190.02", "NCCL": "2.30.7", "kernel": "7.0.0-1019-nvidia -> 7.0.0-1024-nvidia"}),
    ):
        lab.put(Part(stage, "desk-01", DONE, "pair_01", data={"levels": levels}))
    lines = lines_of(lab)
    place = lines.index("DESK     LEVEL   BEFORE -> AFTER")
    assert [line.split(maxsplit=1) for line in lines[place + 1 : place + 3]] == [
        ["desk-01", "driver  580.178.04 -> 580.190.02"],
        ["kernel", "7.0.0-1019-nvidia -> 7.0.0-1024-nvidia"],
    ]
    assert not any("NCCL  " in line for line in lines), "what did not move is not told"
    page = html(lab.report())
    assert "Before and after" in page and "580.190.02" in page and "580.191.01" not in page and "Planned" not in page
    assert "Before and after" not in html(Lab(1).report())


def test_what_an_update_left_as_it_is_has_not_moved() -> None:
    """A wave that stopped: the first stack moved, of the second there is a plan."""
    lab = Lab(2)
    for desk, pair in (("desk-01", "pair_01"), ("desk-03", "pair_02")):
        lab.put(Part("update_plan", desk, DONE, pair, data={"levels": {"driver": "580.178.04 -> 580.190.02"}}))
    lab.put(Part("update_end", "desk-01", DONE, "pair_01", data={"levels": {"driver": "580.178.04 -> 580.190.02"}}))
    lines = lines_of(lab)
    moved, planned = lines.index("DESK     LEVEL   BEFORE -> AFTER"), lines.index("DESK     LEVEL   AS IT IS -> PLANNED")
    assert lines[moved + 1].startswith("desk-01") and lines[moved + 2] == "" and lines[planned + 1].startswith("desk-03")
    page = html(lab.report())
    assert page.index("Before and after") < page.index("Planned, left as it is")


def test_what_many_desks_have_is_told_once_and_their_cables_not_at_all() -> None:
    """64 desks met their time limit on one overloaded controller: 192 paragraphs told one cause."""
    lab = Lab(2)
    for desk, pair in (("desk-01", "pair_01"), ("desk-02", "pair_01"), ("desk-04", "pair_02")):
        text = f"{desk}: stage facts ran out of time, but this controller is overloaded (load 176 on 2 processors)"
        lab.find("facts", desk, finding("STAGE_TIMEOUT", Where(pair, desk), text, severity="unknown"))
        lab.find("cable_map", desk, finding("CABLE_NOT_SEEN", Where(pair, desk), f"{desk}: the desk's cages were not read in this run"))
    lab.find("cable_map", "desk-03", finding("CABLE_NOT_SEEN", Where("pair_02", "desk-03"), "desk-03: nobody answers at port 1"))
    told = " ".join(" ".join(lines_of(lab)).split())
    assert "STAGE_TIMEOUT: desk-01, desk-02, desk-04: stage facts ran out of time" in told and told.count("STAGE_TIMEOUT:") == 1
    assert told.count("CABLE_NOT_SEEN:") == 1 and "CABLE_NOT_SEEN: desk-03: nobody" in told


@pytest.mark.parametrize(
    ("cause", "asked"), [("desk-02", ["DESK_IDENTITY_WRONG"]), ("desk-04", ["CABLE_UNKNOWN_PEER", "DESK_IDENTITY_WRONG"])]
)
def test_a_cage_whose_other_desk_was_not_read_asks_for_nothing_of_its_own(cause: str, asked: list[str]) -> None:
    """Leases that changed places: the machine at desk-02's address is another one, so nobody asked desk-02 for its MAC addresses."""
    lab = Lab(2)
    lab.find(
        "facts", "desk-02", finding("DESK_IDENTITY_WRONG", Where(desk="desk-02"), "The machine that answers is not the one in the sheet.")
    )
    text, evidence = "desk-01 port 1: an unknown device answered", {"follows_from": [cause]}
    lab.find(
        "cable_map", "desk-01", finding("CABLE_UNKNOWN_PEER", Where("pair_01", "desk-01"), text, severity="unknown", evidence=evidence)
    )
    lines = [line.split() for line in lines_of(lab)]
    assert sorted(words[1].rstrip(":") for words in lines if words and words[0] in ("FAIL", "UNKNOWN") and words[1].endswith(":")) == asked


def test_waves_that_stopped_are_told_once_for_all_desks() -> None:
    lab = Lab(2)
    for desk, pair in (("desk-03", "pair_02"), ("desk-04", "pair_02")):
        text = "left as it is: stage update stopped, because the stack of desk-01 failed in it in an earlier wave"
        lab.find("update", desk, finding("WAVE_STOPPED", Where(pair, desk), text))
    told = " ".join(" ".join(lines_of(lab)).split())
    assert told.count("WAVE_STOPPED: desk-03, desk-04: left as it is") == 1


@pytest.mark.parametrize(("code", "asked"), [("CABLE_DARK", 1), ("CABLE_NOT_SEEN", 2)])
def test_a_pulled_cable_is_asked_for_once(code: str, asked: int) -> None:
    """The link that is down with it, and its counter, are consequences; of another desk they are not."""
    lab = Lab(2)
    lab.find("cable", "desk-01", finding(code, Where("pair_01", "desk-01"), "desk-01: no signal at either QSFP cage"))
    lab.find("facts", "desk-01", finding("CX7_LINK_DOWN", Where(desk="desk-01"), "No port has a link.", severity="warn"))
    assert sum(line.lstrip().startswith(("FAIL ", "UNKNOWN ", "WARN ")) for line in lines_of(lab)) == asked
    lab.find("facts", "desk-03", finding("CX7_LINK_DOWN", Where(desk="desk-03"), "No port has a link.", severity="warn"))
    assert any("CX7_LINK_DOWN" in line for line in lines_of(lab) if line.lstrip().startswith("WARN"))


@pytest.mark.parametrize(("off", "told"), [("desk-02", False), ("desk-04", True), (None, True)])
def test_the_dark_port_of_a_desk_whose_partner_is_off_asks_for_nothing(off: str | None, told: bool) -> None:
    """An audit looks at no cable; the adapter sees the plug, and no signal comes from a desk without power."""
    lab = Lab(2)
    if off:
        lab.find("facts", off, finding("DESK_UNREACHABLE", Where(desk=off), f"{off}: no route to it"))
    text = "No port has a link although the hotplug driver sees a cable."
    lab.find("facts", "desk-01", finding("CX7_LINK_DOWN", Where(desk="desk-01"), text, severity="warn"))
    assert any("CX7_LINK_DOWN:" in line for line in lines_of(lab)) is told


@pytest.mark.parametrize(("function", "asked"), [("enp1s0f0np0", 1), ("enP2p1s0f0np0", 2)])
def test_what_a_later_stage_weighed_more_is_asked_for_once(function: str, asked: int) -> None:
    lab = Lab(2)
    for stage, severity, place in (("facts", "warn", "enp1s0f0np0"), ("link", "fail", function)):
        where = Where("pair_01", "desk-01", function=place)
        lab.find(stage, "desk-01", finding("CX7_ADDRESS_OVERLAP", where, f"{stage} of {place}", severity=severity))
    assert sum(line.lstrip().startswith(("FAIL ", "WARN ")) for line in lines_of(lab)) == asked


@pytest.mark.parametrize(("desk", "asked"), [("desk-02", 1), ("desk-03", 2)])
def test_desks_that_an_update_has_parted_are_not_sent_another_way(desk: str, asked: int) -> None:
    lab = Lab(2)
    lab.find("together", "desk-01", finding("PAIR_DRIFT", Where("pair_01"), "The desks differ: driver."))
    lab.find("facts", desk, finding("UPDATE_HALF_DONE", Where(desk=desk), "installed, but not proven"))
    assert sum(line.lstrip().startswith("FAIL ") for line in lines_of(lab)) == asked


@pytest.mark.parametrize(("codes", "asked"), [(["RDMA_NOT_MEASURED"], 1), ([], 2)])
def test_nccl_that_waits_for_rdma_asks_for_nothing_of_its_own(codes: list[str], asked: int) -> None:
    lab = Lab(2)
    lab.find("rdma", "desk-01", finding("RDMA_NOT_MEASURED", Where("pair_01"), "the peer did not respond in time"))
    lab.find("nccl", "desk-01", finding("NCCL_PEER_NOT_READY", Where("pair_01"), "NCCL was not started", evidence={"rdma": codes}))
    assert sum(line.lstrip().startswith("UNKNOWN ") for line in lines_of(lab)) == asked


def test_a_run_of_some_stages_says_on_what_its_verdicts_rest() -> None:
    whole = Lab(2).report()
    assert "asked for" not in "\n".join(summary(whole, FOLDER)) + html(whole, "")
    some = read.checked({**whole, "run": {**whole["run"], "only": ["cable", "rdma"]}}, "x")
    words = "Only these stages were asked for (spark_stages): cable, rdma. The verdicts rest on them alone"
    assert words in " ".join(summary(some, FOLDER)) and words in html(some, "")
    assert read.checked({**whole, "run": {**whole["run"], "only": 3}}, "x")["run"]["only"] is None
