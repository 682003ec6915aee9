from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where, bounded
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.connection_errors import classify
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.build import bad_desks, build
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.files import write_report
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.html import html
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.junit import junit
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.prometheus import prometheus
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.text import summary
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.gate import gate, part_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Run
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.stages import STAGES
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, FAILED, SKIPPED, Part, RunStore
from sample_run import run_of

MEMBERS = {"pair_a": ("d-1", "d-2"), "pair_b": ("d-3", "d-4")}


def typed(check_mode: bool = False, out: tuple[str, ...] = (), scope: tuple[str, ...] | None = None, **more: Any) -> Run:
    return run_of(MEMBERS, scope=scope, out=out, check_mode=check_mode, **more)


def run(check_mode: bool = False, scope: tuple[str, ...] | None = None, out: tuple[str, ...] = (), **more: Any) -> Run:
    return typed(check_mode, out, scope, **more)


def healthy() -> dict[str, dict[str, Part]]:
    parts: dict[str, dict[str, Part]] = {}
    for pair, members in MEMBERS.items():
        for name in members:
            for stage in ("facts", "driver", "link"):
                parts.setdefault(stage, {})[name] = Part(stage, name, DONE, pair, data={"spark": {"identity": {"product": "GX10"}}})
            parts.setdefault("cable_map", {})[name] = Part("cable_map", name, DONE, pair, data={"proven": True, "port": 0})
        rdma = {"measured": True, "sum_both_ways_gbps": 392.2}
        parts.setdefault("rdma", {})[members[0]] = Part("rdma", members[0], DONE, pair, data=rdma)
        parts.setdefault("nccl", {})[members[0]] = Part("nccl", members[0], DONE, pair, data={"measured": True, "avg_busbw": 22.4})
    return parts


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {pair["name"]: pair["verdict"] for pair in report["pairs"]}


def test_everything_measured_is_pass_and_nobody_is_guilty() -> None:
    report = build(run(), healthy(), "f")
    assert verdicts(report) == {"pair_a": "PASS", "pair_b": "PASS"}
    assert bad_desks(report) == {}
    assert report["schema"] == "labops.dgx_spark/report/1"
    assert report["pairs"][0]["members"] == [{"desk": "d-1", "rank": 0, "ports": [0]}, {"desk": "d-2", "rank": 1, "ports": [0]}]


@pytest.mark.parametrize("stage", ["facts", "driver", "link", "cable_map", "rdma", "nccl"])
def test_a_required_check_that_is_missing_is_unknown_never_pass(stage: str) -> None:
    parts = healthy()
    for name in ("d-1", "d-2"):
        parts[stage].pop(name, None)
    report = build(run(), parts, "f")
    assert verdicts(report) == {"pair_a": "UNKNOWN", "pair_b": "PASS"}
    assert "d-1" in bad_desks(report) and "d-3" not in bad_desks(report)


@pytest.mark.parametrize(("stage", "key"), [("cable_map", "proven"), ("rdma", "measured"), ("nccl", "measured")])
def test_a_stage_that_ended_without_measuring_is_unknown(stage: str, key: str) -> None:
    parts = healthy()
    for name in [name for name in ("d-1", "d-2") if name in parts[stage]]:
        parts[stage][name] = Part(stage, name, DONE, "pair_a", data={key: False})
    assert verdicts(build(run(), parts, "f"))["pair_a"] == "UNKNOWN"


def test_an_unreachable_desk_fails_its_pair_alone() -> None:
    parts = healthy()
    broken = finding("DESK_UNREACHABLE", Where(pair="pair_a", desk="d-2"), "d-2: refused").as_dict()
    parts["facts"]["d-2"] = Part("facts", "d-2", FAILED, "pair_a", "refused", findings=(broken,))
    for stage in ("driver", "link", "cable_map"):
        parts[stage]["d-2"] = Part(stage, "d-2", SKIPPED, "pair_a", "d-2 failed in stage facts")
    parts["rdma"]["d-1"] = Part("rdma", "d-1", SKIPPED, "pair_a", "d-2 failed in stage facts")
    report = build(run(), parts, "f")
    assert verdicts(report) == {"pair_a": "FAIL", "pair_b": "PASS"}
    assert set(bad_desks(report)) == {"d-1", "d-2"}
    # The reason is told once, not buried under a row of unknowns.
    assert [item["code"] for item in report["pairs"][0]["reasons"]] == ["DESK_UNREACHABLE"]


def test_a_pair_with_a_desk_outside_the_run_is_unknown() -> None:
    report = build(run(scope=("d-1",)), healthy(), "f")
    assert verdicts(report) == {"pair_a": "UNKNOWN"}
    assert "PAIR_INCOMPLETE" in {item["code"] for item in report["pairs"][0]["findings"]}
    assert set(bad_desks(report)) == {"d-1"}


@pytest.mark.parametrize(("playbook", "stage"), [("enrol", "enrol"), ("audit", "facts")])
def test_a_playbook_that_asks_no_pair_says_nothing_of_a_partner_that_is_not_in_the_run(playbook: str, stage: str) -> None:
    parts = {stage: {"d-1": Part(stage, "d-1", DONE, "pair_a")}}
    report = build(run(scope=("d-1",), playbook=playbook), parts, "f")
    assert report["pairs"][0]["findings"] == [] and bad_desks(report) == {}


def test_a_pair_out_of_service_is_said_and_is_nobodys_guilt() -> None:
    report = build(run(out=("pair_b",)), healthy(), "f")
    assert report["pairs"][1]["out_of_service"] and bad_desks(report) == {}


def test_check_mode_says_that_it_measured_nothing() -> None:
    parts = healthy()
    parts["rdma"]["d-1"] = Part("rdma", "d-1", DONE, "pair_a", data={"measured": False})
    report = build(run(check_mode=True), parts, "f")
    codes = {item["code"] for item in report["pairs"][0]["findings"]}
    assert verdicts(report)["pair_a"] == "UNKNOWN" and codes == {"NOT_MEASURED_CHECK_MODE"}


def checked(*more: Part, changed: bool = True) -> dict[str, Any]:
    """The report of a check over a pair that is not stacked yet: each stage says by itself that it measured nothing."""
    parts = healthy()
    for stage, words in (("rdma", "RDMA"), ("nccl", "NCCL")):
        told = finding("NOT_MEASURED_CHECK_MODE", Where(pair="pair_a"), f"pair pair_a: {words} was not measured in check mode").as_dict()
        parts[stage]["d-1"] = Part(stage, "d-1", DONE, "pair_a", findings=(told,), data={"measured": False})
    del parts["driver"]["d-2"]
    parts["link"]["d-1"] = replace(parts["link"]["d-1"], changed=changed)
    for part in more:
        parts[part.stage][part.desk] = part
    return build(run(check_mode=True), parts, "f")


def test_a_check_says_once_that_nothing_was_measured_and_what_a_run_would_change() -> None:
    for changed, words in ((True, "would change the stages link; nothing is in the way"), (False, "would change nothing; nothing is")):
        pair = checked(changed=changed)["pairs"][0]
        for findings in (pair["findings"], pair["reasons"]):
            assert [item["code"] for item in findings] == ["NOT_MEASURED_CHECK_MODE"] and words in findings[0]["message"]
        told = pair["findings"][0]["evidence"]["not_done"]
        assert "pair pair_a: RDMA was not measured in check mode" in told and any("driver was compared" in text for text in told)


def test_a_check_with_something_in_the_way_says_so() -> None:
    held = finding("REBOOT_REQUIRED", Where(desk="d-2"), "A reboot is wanted.", severity="fail").as_dict()
    pair = checked(Part("facts", "d-2", DONE, "pair_a", findings=(held,)))["pairs"][0]
    assert pair["verdict"] == "FAIL" and [item["code"] for item in pair["reasons"]] == ["REBOOT_REQUIRED", "NOT_MEASURED_CHECK_MODE"]
    assert "in the way" not in pair["reasons"][1]["message"]


def test_what_to_do_names_every_desk_of_a_sentence_that_they_share() -> None:
    parts = healthy()
    for desk in ("d-1", "d-2"):
        bad = finding("CX7_LINK_DOWN", Where(desk=desk, port=0), "No light.", severity="fail").as_dict()
        own = finding("CX7_FUNCTION_MISSING", Where(desk=desk), f"{desk} has lost a function.").as_dict()
        parts["facts"][desk] = Part("facts", desk, DONE, "pair_a", findings=(bad, own))
    lines = summary(build(run(), parts, "f"), "/r")
    assert "  FAIL    CX7_LINK_DOWN: d-1 port 0, d-2 port 0: No light." in lines
    assert [line for line in lines if "CX7_FUNCTION_MISSING: " in line] == [
        "  FAIL    CX7_FUNCTION_MISSING: d-1 has lost a function.",
        "  FAIL    CX7_FUNCTION_MISSING: d-2 has lost a function.",
    ]


def test_every_rendering_names_the_failure() -> None:
    parts = healthy()
    bad = finding("DESK_STAGE_FAILED", Where(pair="pair_a", desk="d-1"), "d-1: <b>boom</b> \x07 & co").as_dict()
    parts["link"]["d-1"] = Part("link", "d-1", FAILED, "pair_a", "boom", findings=(bad,))
    report = build(run(), parts, "f")
    text = "\n".join(summary(report, "/r"))
    assert "pair_a  FAIL" in text and "DESK_STAGE_FAILED" in text and "-> " in text
    page = html(report)
    assert "&lt;b&gt;boom" in page and "<b>boom" not in page
    tree = ElementTree.fromstring(junit(report))
    assert [item.get("message") for item in tree.iter("failure")] == ["DESK_STAGE_FAILED", "DESK_STAGE_FAILED"]
    metrics = prometheus(report, 1.0)
    assert 'dgx_spark_pair_verdict{pair="pair_a"} 3' in metrics and 'dgx_spark_pair_verdict{pair="pair_b"} 0' in metrics


def test_an_interrupted_run_still_has_a_report() -> None:
    report = build(run(), {"facts": healthy()["facts"]}, "f")
    assert verdicts(report) == {"pair_a": "UNKNOWN", "pair_b": "UNKNOWN"}
    json.dumps(report)


def test_store_keeps_parts_and_ignores_a_torn_one(tmp_path: Any) -> None:
    store = RunStore(tmp_path / "r")
    store.begin(typed(folder=tmp_path / "r"))
    part = Part("facts", "d-1", DONE, "pair_a", data={"x": 1}, findings=({"code": "A", "severity": "fail"},))
    path = store.write(part)
    assert store.part("facts", "d-1") == part and store.part("facts", "d-2") is None
    assert store.part("facts", "d-1").failing_codes == ("A",)  # type: ignore[union-attr]
    path.with_name("d-2.json").write_text("{torn")
    assert set(store.parts("facts")) == {"d-1"} and store.stages() == ["facts"]


@pytest.mark.parametrize(
    ("severity", "code", "stage", "goes"),
    [
        ("warn", "REBOOT_REQUIRED", "link", True),
        ("fail", "REBOOT_REQUIRED", "link", False),
        ("fail", "REBOOT_REQUIRED", "driver", True),
        ("fail", "DESK_NOT_GB10", "driver", False),
    ],
)
def test_gate_lets_a_desk_be_mended_but_not_measured(tmp_path: Any, severity: str, code: str, stage: str, goes: bool) -> None:
    store = RunStore(tmp_path)
    store.write(Part("facts", "d-2", DONE, "pair_a", findings=({"code": code, "severity": severity},)))
    answer = gate(typed(), store, "d-2", STAGES[stage])
    assert answer.proceed is goes and not answer.silent
    assert goes or code in answer.reason


def test_gate_of_the_head_is_silent_on_the_peer(tmp_path: Any) -> None:
    assert gate(typed(), RunStore(tmp_path), "d-1", STAGES["rdma"]).proceed
    peer = gate(typed(), RunStore(tmp_path), "d-2", STAGES["rdma"])
    assert peer.silent and peer.reason


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ({"msg": "Timed out after 5 second(s).", "timedout": {"period": 5}}, "STAGE_TIMEOUT"),
        ({"msg": "ssh: connect to host x port 22: Connection refused", "unreachable": True}, "DESK_UNREACHABLE"),
        ({"msg": "no space left"}, "DESK_STAGE_FAILED"),
    ],
)
def test_an_error_becomes_a_named_finding(result: dict[str, Any], code: str) -> None:
    part = part_of("link", "d-1", "pair_a", {"failed": True, **result}, "b", "e", task="Apply")
    assert part.state == FAILED and [item["code"] for item in part.findings] == [code]


def test_a_failed_result_with_findings_keeps_its_own() -> None:
    own = finding("DESK_UNREACHABLE", Where(desk="d-1"), "m").as_dict()
    part = part_of("link", "d-1", None, {"failed": True, "msg": "m", "findings": [own]}, "b", "e", task="Apply")
    assert part.findings == (own,)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ssh: connect to host 10.0.0.9 port 22: Connection refused", "refused"),
        ("ssh: connect to host 10.0.0.9 port 22: No route to host", "no_route"),
        ("ssh: connect to host 10.0.0.9 port 22: Connection timed out", "timed_out"),
        ("ssh: Could not resolve hostname desk-9: Name or service not known", "name"),
        ("labadmin@10.0.0.9: Permission denied (publickey,password).", "auth"),
        ("Host key verification failed.", "host_key_unknown"),
        (
            "No ED25519 host key is known for 10.0.0.9 and you have requested strict checking. Host key verification failed.",
            "host_key_unknown",
        ),
        ("Using a SSH password instead of a key is not possible because Host Key checking is enabled.", "host_key_unknown"),
        ("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! Host key for 10.0.0.9 has changed. Host key verification failed.", "host_key"),
        ("Incorrect sudo password", "become"),
        ("kex_exchange_identification: Connection closed by remote host", "closed"),
        ("Your account has expired; please contact your system administrator.\nConnection closed by 10.0.0.11 port 22", "auth"),
        ("WARNING: Your password has expired.\nPassword change required but no TTY available.", "auth"),
        ("You are required to change your password immediately (administrator enforced).", "auth"),
        ("sudo: sorry, you must have a tty to run sudo", "become"),
        ("sudo-rs: interactive authentication is required", "become"),
        ("sudo-rs: Authentication failed, try again.", "become"),
        ("sudo: Account or password is expired, reset your password and try again", "become"),
        ("Timeout (32s) waiting for privilege escalation prompt: ", "become"),
        ("Unable to negotiate with 10.0.0.11 port 22: no matching host key type found. Their offer: ssh-rsa,ssh-dss", "algorithm"),
        ("Unable to negotiate with 10.0.0.11 port 22: no matching key exchange method found.", "algorithm"),
        ("Host key for [10.0.0.11]:2222 has changed and you have requested strict checking.", "host_key"),
        ("something else", "other"),
    ],
)
def test_connection_errors_are_told_apart(text: str, kind: str) -> None:
    assert classify(text).kind == kind


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("Your account has expired", "AUTH_FAILED", "chage -E"),
        ("Your password has expired.", "AUTH_FAILED", "new password"),
        ("you must have a tty to run sudo", "BECOME_FAILED", "requiretty"),
        ("no matching host key type found", "DESK_UNREACHABLE", "ed25519"),
    ],
)
def test_a_refusal_has_its_own_remedy(text: str, code: str, word: str) -> None:
    reason = classify(text)
    assert reason.code == code and word in (reason.remedy or "")


def test_a_key_that_is_not_known_is_another_one_where_the_desk_is_enrolled() -> None:
    text = "Using a SSH password instead of a key is not possible because Host Key checking is enabled."
    assert (classify(text).code, classify(text, enrolled=True).code) == ("HOST_KEY_UNCONFIRMED", "DESK_IDENTITY_WRONG")
    assert classify("Connection refused", enrolled=True).kind == "refused"


def test_evidence_is_bounded_and_says_so() -> None:
    assert bounded({"a": 1}) == {"a": 1}
    cut = bounded({"log": "x" * 10000, "rc": 1})
    assert cut["truncated"] is True and cut["rc"] == 1 and len(json.dumps(cut)) <= 2048


def test_a_playbook_that_measures_no_pairs_calls_none_good_and_blames_nobody() -> None:
    report = build(run(playbook="audit"), {"facts": healthy()["facts"]}, "f")
    assert verdicts(report) == {"pair_a": "UNKNOWN", "pair_b": "UNKNOWN"} and bad_desks(report) == {}


@pytest.mark.parametrize(("check_mode", "guilty"), [(False, {"d-1", "d-2"}), (True, set())])
def test_the_files_of_a_report_and_who_is_guilty(tmp_path: Any, check_mode: bool, guilty: set[str]) -> None:
    value = typed(check_mode, folder=tmp_path)
    store = RunStore(tmp_path)
    for stage in healthy().values():
        for part in stage.values():
            if part.stage != "nccl" or part.desk != "d-1":
                store.write(part)
    made = write_report(value, store)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "report.json", "index.html", "facts.json", "junit.xml", "metrics.prom", "summary.txt",
    }  # fmt: skip
    assert made.result["pairs"] == {"pair_a": "UNKNOWN", "pair_b": "PASS"} and set(made.result["guilty"]) == guilty
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["pairs"][0]["head"], report["pairs"][0]["peer"], report["pairs"][0]["topology"]) == ("d-1", "d-2", "direct")


@pytest.mark.parametrize(("started", "ended"), [("2026-11-26T10:00:05Z", "2026-11-26T09:00:00Z"), ("2026-11-26T10:00:00Z", None)])
def test_a_clock_that_was_set_back_in_the_middle_of_a_run_makes_no_negative_times(started: str, ended: str | None) -> None:
    parts = healthy()
    parts["rdma"]["d-1"] = replace(parts["rdma"]["d-1"], started=started, ended=ended)
    report = build(run(), parts, "f")
    told = [desk["stages"]["rdma"]["seconds"] for desk in report["desks"] if "rdma" in desk["stages"]]
    assert told[0] in (0.0, None) and all(item["seconds"] >= 0 for item in report["run"]["stages"])
    assert verdicts(report) == {"pair_a": "PASS", "pair_b": "PASS"} and "-3605" not in json.dumps(report)
    ElementTree.fromstring(junit(report))
    assert summary(report, "/r") and prometheus(report, 1.0)


@pytest.mark.parametrize("first", ["facts", "trust"])
def test_a_statement_made_twice_counts_as_the_stage_said_it_that_it_stopped(first: str) -> None:
    """The facts warn of a login that is closed; the stage that needs it fails with the same words and says what to add."""
    parts = healthy()
    where = Where(desk="d-2")
    warned = finding("PAIR_LOGIN_CLOSED", where, "keys elsewhere", severity="warn", remedy="look").as_dict()
    failed = finding("PAIR_LOGIN_CLOSED", where, "keys elsewhere", severity="fail", remedy="add this line").as_dict()
    parts["facts"]["d-2"] = replace(parts["facts"]["d-2"], findings=(warned,))
    parts["trust"] = {"d-2": Part("trust", "d-2", FAILED, "pair_a", "closed", findings=(failed,))}
    report = build(run(), dict(sorted(parts.items(), key=lambda item: item[0] != first)), "f")
    (desk,) = [item for item in report["desks"] if item["name"] == "d-2"]
    assert [(item["severity"], item["remedy"]) for item in desk["findings"] if item["code"] == "PAIR_LOGIN_CLOSED"] == [
        ("fail", "add this line")
    ]
    assert verdicts(report)["pair_a"] == "FAIL"
