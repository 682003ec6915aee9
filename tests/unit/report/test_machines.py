"""What machines read: JUnit for CI servers, metrics for Prometheus, report.json for whoever comes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import CODES, finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import GpuProcess
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.build import stacks_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.figures import figures_of, headline
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.html import html
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.junit import DESK_CHECKS, STACK_CHECKS, check_of, junit
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.prometheus import prometheus
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.read import ReportError, checked
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.text import summary
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.write import report_text
from hypothesis import given, settings
from hypothesis import strategies as st
from lab_samples import STARTED, Lab, every_failure
from proof_samples import rdma_evidence, steps
from test_page import hostile, with_trend

PROMTOOL = shutil.which("promtool")

# ---- JUnit ---------------------------------------------------------------------------------------------------------------

ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
    "system-out": set(),
}
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase"],
    "properties": ["property"],
    "testcase": ["skipped", "error", "failure", "system-out"],
}


def strict(text: str) -> ElementTree.Element:
    """Parse as the strictest of the known schemas do: names, order, attributes, counts, times, no character that XML 1.0 forbids."""
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", text)
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= ATTRIBUTES[element.tag], element.tag
        allowed = CHILDREN.get(element.tag, [])
        places = [allowed.index(child.tag) for child in element]
        assert places == sorted(places), f"order below {element.tag}"
    sums = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in root:
        cases = suite.findall("testcase")
        names = [case.get("name") for case in cases]
        assert len(set(names)) == len(names)
        found = {"tests": len(cases)}
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            found[key] = sum(case.find(tag) is not None for case in cases)
        for case in cases:
            assert len(case) <= 1 and re.fullmatch(r"\d+\.\d", str(case.get("time")))
        for key, count in found.items():
            assert suite.get(key) == str(count)
            sums[key] += count
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", str(suite.get("timestamp")))
    assert {key: root.get(key) for key in sums} == {key: str(count) for key, count in sums.items()}
    return root


def outcomes(text: str) -> dict[tuple[str, str], str]:
    return {
        (str(case.get("classname")), str(case.get("name"))): (case[0].tag if len(case) and case[0].tag != "system-out" else "passed")
        for case in strict(text).iter("testcase")
    }


def test_a_mended_failure_turns_green_under_the_same_name() -> None:
    before, after = outcomes(junit(every_failure().report())), outcomes(junit(Lab(12).report()))
    assert before[("pair_02", "stack.rdma")] == "failure" and after[("pair_02", "stack.rdma")] == "passed"
    assert before[("desk-12", "desk.reached")] == "failure" and after[("desk-12", "desk.reached")] == "passed"
    assert set(before) == set(after), "names hold nothing of what was found"
    assert {name for _owner, name in after} == {f"desk.{name}" for name in DESK_CHECKS} | {f"stack.{name}" for name in STACK_CHECKS}


def test_what_was_not_made_is_not_green() -> None:
    found = outcomes(junit(every_failure().report()))
    for check in ("rdma", "nccl", "cable", "link", "trust"):
        assert found[("pair_06", f"stack.{check}")] == "skipped", check
    assert found[("desk-12", "desk.driver")] == "skipped" and found[("desk-11", "desk.driver")] == "passed"
    assert found[("pair_07", "stack.rdma")] == "error", "an answer that is missing is an error"
    assert {outcome for (owner, _name), outcome in found.items() if owner == "pair_08"} == {"skipped"}


def test_a_failure_tells_its_numbers() -> None:
    root = strict(junit(every_failure().report()))
    text = next(case[0].text for case in root.iter("testcase") if (case.get("classname"), case.get("name")) == ("pair_03", "stack.rdma"))
    assert text is not None and "desk-05 to desk-06: 80 < 184 Gb/s" not in text and "160 < 184 Gb/s" in text and "Remedy: " in text


def test_check_mode_fails_nothing() -> None:
    lab = every_failure()
    lab.check_mode = True
    report = lab.report()
    report["run"]["check_mode"] = True
    assert "error" not in set(outcomes(junit(report)).values())


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_a_check(code: str) -> None:
    listed = CODES[code]
    item = finding(code, Where(desk="desk-01"), "m", severity=listed.severity).as_dict()
    assert check_of(item) in {*DESK_CHECKS, *STACK_CHECKS, "enrol", "container", "workload", "update"}, (
        "name it in DOMAIN_CHECKS or PREFIXES"
    )


@pytest.mark.parametrize("playbook", ["enrol", "audit", "onboard", "cable_map", "unstack_pair", "unlock_driver", "update", "something_new"])
def test_every_playbook_gives_a_file_that_a_strict_parser_takes(playbook: str) -> None:
    lab = every_failure()
    lab.playbook = playbook
    found = outcomes(junit(lab.report()))
    assert found[("desk-12", "desk.reached")] == "failure"


def test_hostile_text_breaks_no_format() -> None:
    report = hostile().report()
    strict(junit(report))
    metrics_of(prometheus(report, 1.0))


# ---- Prometheus ------------------------------------------------------------------------------------------------------------

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_0-9]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9.e+-]+)')


def metrics_of(text: str) -> dict[tuple[str, str], float]:
    """Every sample by name and labels; each must be well formed, typed once, unique, and its family in one piece."""
    found: dict[tuple[str, str], float] = {}
    typed: list[str] = []
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            typed.append(line.split()[2])
            continue
        if line.startswith("# HELP "):
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        key = (match.group(1), match.group(2) or "")
        assert key not in found and match.group(1) == typed[-1], line
        found[key] = float(match.group(3))
    assert len(set(typed)) == len(typed)
    return found


def test_no_password_of_a_program_or_of_the_kernel_is_in_a_report() -> None:
    lab = Lab(1)
    server = GpuProcess(pid=77, name="python3 serve.py --api-key Gletscher77")
    lab.facts(
        "desk-01",
        kernel={"command_line": "root=/dev/x ds=nocloud;s=http://ana:Gletscher77@lab/ token=Gletscher77 ro"},
        busy={"gpu_processes": (server,)},
    )
    text = "desk-01: its GPU is in use by python3 serve.py --api-key Gletscher77 (77)."
    remedy = "Give the password (--ask-become-pass or a vaulted ansible_become_password)."
    lab.find(
        "driver",
        "desk-01",
        finding("BUSY_UNKNOWN", Where(desk="desk-01"), text, evidence={"said": "Authorization: Bearer Gletscher77"}, remedy=remedy),
    )
    report = lab.report()
    for made in (report_text(report), html(report), junit(report), "\n".join(summary(report, "/r"))):
        assert "Gletscher77" not in made
    assert remedy in report_text(report) and "python3 serve.py --api-key REMOVED" in report_text(report)


def test_metrics_have_figures_with_their_marks_and_what_desks_are() -> None:
    found = metrics_of(prometheus(every_failure().report(), 1700000000.25))
    place = 'stack="pair_03",path="desk-05 - desk-06",function="sum",direction="forward"'
    assert found[("dgx_spark_rdma_bytes_per_second", place)] == 160e9 / 8
    assert found[("dgx_spark_rdma_mark_bytes_per_second", place)] == 184e9 / 8
    size = 'stack="pair_01",collective="all_gather",message_bytes="4294967296"'
    assert found[("dgx_spark_nccl_busbw_bytes_per_second", size)] == 21.6e9
    assert found[("dgx_spark_nccl_busbw_mark_bytes_per_second", size)] == 21e9
    assert found[("dgx_spark_run_finished_seconds", "")] == 1700000000.25
    assert any(name == "dgx_spark_desk_info" and 'kernel="6.17.0-1021-nvidia"' in labels for name, labels in found)
    assert found[("dgx_spark_pair_verdict", 'pair="pair_02"')] == 3 and found[("dgx_spark_stack_verdict", 'stack="pair_01"')] == 0


def test_an_audit_of_a_healthy_pair_is_not_unknown() -> None:
    found = metrics_of(prometheus(Lab(1, playbook="audit").report(), 1.0))
    assert not [labels for name, labels in found if name in ("dgx_spark_pair_verdict", "dgx_spark_stack_verdict")]
    assert found[("dgx_spark_desk_verdict", 'desk="desk-01"')] == 0


def test_the_label_of_the_playbook_keeps_files_apart() -> None:
    found = metrics_of(prometheus(Lab(1).report(), 1.0, {"playbook": "stack_pair"}))
    assert all('playbook="stack_pair"' in labels for _name, labels in found)


@pytest.mark.skipif(PROMTOOL is None, reason="the metrics are checked by Prometheus' own tool: apt-get install prometheus")
@pytest.mark.parametrize("lab", [Lab(2), every_failure(), Lab(1, playbook="audit"), hostile()])
def test_promtool_has_nothing_to_say(lab: Lab) -> None:
    for labels in (None, {"playbook": "stack_pair"}):
        metrics = prometheus(lab.report(), 1700000000.5, labels)
        done = subprocess.run([str(PROMTOOL), "check", "metrics"], input=metrics, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---- figures and report.json -----------------------------------------------------------------------------------------------


def test_a_labs_own_marks_stand_beside_the_figures_they_judged() -> None:
    pair = Lab(1).report()["pairs"][0]
    pair["rdma"]["marks"] = [{"name": "rdma_both_functions", "value": 197.5, "unit": "Gb/s", "source": "this lab, 3 runs", "reports": 3}]
    forward = figures_of(pair)[0]
    assert forward["mark"]["value"] == 197.5 and forward["mark"]["source"] == "this lab, 3 runs" and forward["reached"] is False


def test_the_headline_is_the_largest_message_that_has_a_mark() -> None:
    stack = Lab(1).report()["stacks"][0]
    assert stack["headline"] == {"rdma": "rdma.0.sum.both_ways", "nccl": "nccl.all_gather.4294967296"}
    assert headline([]) == {"rdma": None, "nccl": None}


def test_several_paths_have_figures_of_their_own() -> None:
    pair = Lab(1).report()["pairs"][0]
    rdma = pair["rdma"]
    second = {**rdma, "ends": [{"desk": "b"}, {"desk": "c"}], "sum_both_ways_gbps": 300.0}
    ring = {**pair, "rdma": {"paths": [{**rdma, "ends": ["a", "b"]}, second]}}
    found = figures_of(ring)
    assert {item.get("path") for item in found if item["id"].startswith("rdma.")} == {"a - b", "b - c"}
    assert headline(found)["rdma"] == "rdma.1.sum.both_ways", "the weakest path stands for the stack"


def test_a_report_of_the_first_version_can_still_be_shown() -> None:
    report = Lab(2).report()
    figures = report["stacks"][0]["figures"]
    old = {key: report[key] for key in ("schema", "run", "pairs", "desks", "cables")}
    assert stacks_of(checked(old, "old"))[0]["figures"] == figures


def test_report_json_reads_back_as_it_is() -> None:
    report = every_failure().report()
    text = report_text(report)
    assert json.loads(text) == json.loads(json.dumps(report))
    assert sum(line.startswith('  {"name":"desk-') for line in text.splitlines()) == 24, "one line a desk"


def test_a_forged_verdict_in_stacks_is_not_believed() -> None:
    report = json.loads(report_text(every_failure().report()))
    next(stack for stack in report["stacks"] if stack["name"] == "pair_02")["verdict"] = "PASS"
    again = {stack["name"]: stack["verdict"] for stack in stacks_of(checked(report, "forged"))}
    assert again["pair_02"] == "FAIL"


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMED = (
    "run", "run.findings", "run.versions", "run.stages", "pairs", "pairs.0", "pairs.0.members", "pairs.0.rdma",
    "pairs.0.rdma.functions", "pairs.0.nccl", "pairs.0.nccl.rows", "pairs.0.nccl.hcas", "pairs.0.findings", "pairs.0.reasons",
    "desks", "desks.0.facts", "desks.0.facts.cx7", "desks.0.stages", "desks.0.findings", "stacks", "stacks.0.figures",
    "stacks.0.figures.0.mark", "stacks.0.headline", "stacks.0.trend", "stacks.0.trend.0.values", "cables", "changed",
    "changed.0.commands", "since", "since.desks", "since.desks.desk-01.differences",
)  # fmt: skip
PLACES = [tuple(int(part) if part.isdecimal() else part for part in place.split(".")) for place in NAMED]


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(PLACES), junk)
def test_a_report_from_anywhere_is_shown_or_refused(place: tuple[Any, ...], value: Any) -> None:
    report = json.loads(TEXT)
    target = report
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    try:
        read = checked(report, "anywhere")
    except ReportError:
        return
    html(read)
    summary(read, "/r")
    strict(junit(read))
    metrics_of(prometheus(read, 1.0))


def small() -> dict[str, Any]:
    """One pair in trouble and one that is well, with all parts that a report can have."""
    lab = Lab(2)
    lab.measure("pair_01", evidence=rdma_evidence(steps((101.0, 100.4), (100.9, 101.3), 80.0, 160.0)))
    lab.find("driver", "desk-03", changed=True)
    report = with_trend(lab.report())
    difference = {"path": "kernel.running", "title": "kernel", "before": "6.17", "now": "7.0"}
    seen = {"run": "r", "started": STARTED, "verdict": "PASS", "differences": [difference]}
    report["since"] = {"wanted": "last", "compared": 4, "desks": {"desk-01": seen}}
    return report


TEXT = report_text(small())
