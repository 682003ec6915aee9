"""What a hostile desk tried, one test for each way that was shown: each failed before there was a gate."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import honest
import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import common, guard
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import nccl as nccl_measure
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import side as side_module
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import settings, trust
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer, Text
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges import apt_errors
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_judge import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_map import read_map
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import CableProbe, PlannedCable
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import from_dict, sha256
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.admit import ANSWER_LIMIT, AnswerInvalid, Speaker, admit, discreet
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.schema import Refused
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report import write as write_module
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.charts import trend_chart
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.files import write_report
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.todo import tasks
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run import store as store_module
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import RunStore
from hostile_lab import HOSTILE, PAIRS, Lab, codes, facts_of, honest_answer, verdicts
from proof_samples import ENDS, end
from sample_run import run_of
from scripted_action import Script

FACTS, LINK = "labops.dgx_spark.spark_facts", "labops.dgx_spark.cx7_link"
ME = Speaker("desk-02", "pair_a", frozenset({"desk-01", "desk-02"}))
ESCAPES = "\x1b]52;c;AAAA\x07\x1b[2K\r\nok pair_b PASS \u202e\u2028\x9b31m\ufffe"


def with_facts(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """An answer of spark_facts with something changed in it."""
    answer = facts_of("desk-02")
    change(answer["ansible_facts"]["spark"])
    return answer


def lab_of(folder: Path, module: str, answer: Any, desk: str = HOSTILE) -> Lab:
    """The lab in which one desk answers one module like this."""
    text = answer if isinstance(answer, str) else json.dumps(answer)

    def answers(name: str, asked: str, arguments: dict[str, Any]) -> str:
        return text if (name, asked) == (desk, module) else honest_answer(name, asked, arguments)

    return Lab(folder, answers)


def refused(answer: Any, module: str = FACTS, speaker: Speaker = ME) -> str:
    """Why the gate refuses the answer."""
    with pytest.raises(AnswerInvalid) as error:
        admit(module, answer, speaker)
    assert error.value.finding.code == "DESK_ANSWER_INVALID" and error.value.finding.where.desk == speaker.desk
    return str(error.value)


# ---- 1: a desk's facts are no variables of the controller ----------------------------------------------------------------

TAKEN = {
    "pair_tools_debs": ["/home/admin/.ssh/id_ed25519"],
    "nccl_bundle_nccl": {"archive": "/home/admin"},
    "calibrate_file": "/home/admin/.bashrc",
    "write_inventory": "/home/admin/x",
    "spark_plan": {"run_dir": "/"},
    "ansible_connection": "local",
}


def test_only_facts_named_spark_become_variables(tmp_path: Path) -> None:
    answer = facts_of(HOSTILE)
    answer["ansible_facts"].update(TAKEN)
    lab = lab_of(tmp_path / "run", "spark_facts", answer)
    result = lab.task("spark_facts", {}, HOSTILE, "facts")
    assert set(result["ansible_facts"]) == {"spark"} == set(lab.facts[HOSTILE])


@pytest.mark.parametrize("module", ["pair_files", "cx7_link", "driver_lock"])
def test_no_other_module_gives_facts(module: str) -> None:
    answer = {**honest.ANSWERS[module], "ansible_facts": TAKEN}
    assert "ansible_facts" not in admit(f"labops.dgx_spark.{module}", answer, ME)
    assert "ansible_facts" not in admit("ansible.builtin.systemd_service", answer, ME)


@pytest.mark.parametrize("module", sorted(honest.ANSWERS))
def test_a_module_that_was_skipped_has_found_nothing_good(module: str) -> None:
    """Where its answer has to say something, being skipped takes the place of nothing."""
    name = f"labops.dgx_spark.{module}"
    try:
        plain = admit(name, {"changed": False}, ME)
    except AnswerInvalid:
        assert "missing" in refused({"changed": False, "skipped": True}, name)
    else:
        assert admit(name, {"changed": False, "skipped": True}, ME) == plain


def test_keys_that_ansible_acts_on_are_left_out() -> None:
    acted = {
        "add_host": {"host_name": "x", "host_vars": {"ansible_connection": "local"}},
        "add_group": "spark_desks",
        "ansible_stats": {"data": {}},
        "_ansible_delegated_vars": {},
        "_ansible_no_log": False,
        "results": [{"ansible_facts": TAKEN}],
        "include": "x.yml",
        "invocation": {"module_args": {}},
        "deprecations": [{"msg": ESCAPES}],
    }
    answer = {**facts_of("desk-02"), **acted}
    assert set(admit(FACTS, answer, ME)) == {"changed", "ansible_facts", "findings", "processes"}


# ---- 4, 5: nothing of a head's answer goes onto its peer -----------------------------------------------------------------


def test_what_a_head_says_of_settings_reaches_neither_desk(tmp_path: Path) -> None:
    answer = json.loads(honest_answer("desk-01", "nccl_pair", {}))
    evil = "LD_PRELOAD=/tmp/evil.so\nX=$(reboot)\n"
    answer["settings"] = {
        "desks": {name: {"pair_env": evil, "sha256": "0" * 64} for name in ("desk-01", "desk-02")},
        "hostfile": "evil slots=1\n",
        "addresses": {"pair-peer": "6.6.6.6 deb.example.org", "10.0.0.9 gateway": "6.6.6.6"},
    }
    lab = lab_of(tmp_path / "run", "nccl_pair", answer, "desk-01")
    lab.whole(("desk-01", "desk-02"))
    sent = [
        arguments
        for _desk, module, arguments in lab.asked
        if module == "pair_files" and any("hostfile" in str(i) for i in arguments["files"])
    ]
    assert len(sent) == 2 and "evil" not in json.dumps(sent) and "6.6.6.6" not in json.dumps(sent)
    assert {line for item in sent for line in item["lines"][0]["lines"]} == {
        "192.168.100.10 pair-head # dgx_spark_pair",
        "192.168.100.11 pair-peer # dgx_spark_pair",
    }
    for item in sent:
        env = next(file["content"] for file in item["files"] if file["path"] == settings.PAIR_ENV)
        assert "NCCL_IB_HCA==" in env and "f9e8d7c-6b5a-4c3d-8e2f-000000000001" in env


def test_what_runs_on_the_head_is_what_the_controller_computes() -> None:
    meet = settings.meeting(ENDS)
    used = settings.proven("pair_a", ENDS, meet, "r")
    assert set(used["desks"]) == {"desk-01", "desk-02"} and used["hostfile"] == settings.hostfile(meet)
    assert used["desks"]["desk-02"]["sha256"] == sha256(used["desks"]["desk-02"]["pair_env"])


@pytest.mark.parametrize("boot_id", ["x\nLD_PRELOAD=/tmp/evil.so", "x\rX=$(reboot)", "x\u2028y", "x\x0by"])
def test_a_boot_id_adds_no_line_to_pair_env(boot_id: str) -> None:
    def change(spark: dict[str, Any]) -> None:
        spark["identity"]["boot_id"] = boot_id

    assert "identity.boot_id" in refused(with_facts(change)) and "UUID" in refused(with_facts(change))
    ends = (end(1), end(2, boot_id=boot_id))
    with pytest.raises(ValueError, match="more than one line"):
        settings.proven("pair_a", ends, settings.meeting(ends), "r")


# ---- 12: addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ['fe80::1%",*,"', "fe80::1%eth0", "10.0.0.1 *", "10.0.0.1,*", "*", "010.0.0.1", "10.0.0.256", "10.0.0.1\n", "::ffff:10.0.0.1%1", ""],
)
def test_an_address_with_more_in_it_than_an_address_is_refused(address: str) -> None:
    def change(spark: dict[str, Any]) -> None:
        spark["network"]["management_addresses"] = [{"address": address, "prefix_length": 64, "family": "inet6"}]

    assert "network.management_addresses[0]" in refused(with_facts(change))


@pytest.mark.parametrize(
    ("family", "address", "prefix"), [("inet", "fe80::1", 24), ("inet", "10.0.0.1", 33), ("inet", "10.0.0.1", -1), ("x", "10.0.0.1", 8)]
)
def test_an_address_fits_its_family_and_prefix(family: str, address: str, prefix: int) -> None:
    def change(spark: dict[str, Any]) -> None:
        spark["network"]["management_addresses"] = [{"address": address, "prefix_length": prefix, "family": family}]

    assert "an address with its family" in refused(with_facts(change))


# ---- identifiers in general ----------------------------------------------------------------------------------------------

WORDS = ["a b", "a;b", "$(reboot)", "a\nb", "a'b", 'a"b', "../x", "-o", "", "x" * 9000, "*", "a,b", ESCAPES]
PLACES: dict[str, Callable[[dict[str, Any], str], None]] = {
    "netdev": lambda spark, word: spark["cx7"]["ports"][0]["functions"][0].update(netdev=word),
    "rdma_device": lambda spark, word: spark["cx7"]["ports"][0]["functions"][0].update(rdma_device=word),
    "mac": lambda spark, word: spark["cx7"]["ports"][0]["functions"][0].update(mac=word),
    "hostname": lambda spark, word: spark["identity"].update(hostname=word),
    "machine_id": lambda spark, word: spark["identity"].update(machine_id=word),
    "user": lambda spark, word: spark["limits"].update(user=word),
    "trust_public_key": lambda spark, word: spark["setup"].update(trust_public_key=word),
    "host_public_keys": lambda spark, word: spark["setup"].update(host_public_keys=[word]),
    "nccl_bundle": lambda spark, word: spark["setup"].update(nccl_bundle=word),
    "session_netdev": lambda spark, word: spark["network"].update(session_netdev=word),
}


@pytest.mark.parametrize("place", sorted(PLACES))
@pytest.mark.parametrize("word", WORDS, ids=range(len(WORDS)))
def test_what_names_a_thing_is_a_name(place: str, word: str) -> None:
    assert place in refused(with_facts(lambda spark: PLACES[place](spark, word)))


@pytest.mark.parametrize("line", ["\n@cert-authority * ssh-ed25519 AAAA", "\ndesk-03 ssh-ed25519 AAAA", " AAAA\nssh-ed25519 BBBB", "\n\n"])
def test_a_key_is_one_key(line: str) -> None:
    key = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHh0{line}"
    for change in (PLACES["host_public_keys"], PLACES["trust_public_key"]):
        refused(with_facts(lambda spark, change=change: change(spark, key)))  # type: ignore[misc]


# ---- 9: malformed answers, forged findings -------------------------------------------------------------------------------

FINDING = {"code": "RDMA_SLOW", "severity": "fail", "where": {}, "subject": "s", "message": "m", "evidence": {}, "remedy": "r"}
MALFORMED: list[Any] = [
    "",
    "no JSON",
    "{",
    "[]",
    "null",
    "[" * 200_000,
    '{"a":' * 100_000,
    '{"findings": ' + "[" * 100_000,
    {},
    {"changed": "maybe"},
    {"failed": 3},
    {"failed": "no"},
    {"warnings": 5, "deprecations": 7},
    {"ansible_facts": 3},
    {"ansible_facts": {"spark": None}, "findings": []},
    {"ansible_facts": {"spark": []}, "findings": []},
    {"ansible_facts": {"spark": {"identity": []}}, "findings": []},
    {"ansible_facts": {"spark": {"cx7": {"ports": [None]}}}, "findings": []},
    {"ansible_facts": {"spark": {"memory": {"total_kb": 1 << 70}}}, "findings": []},
    {"ansible_facts": {"spark": {"collected_at": float("nan")}}, "findings": []},
    {"ansible_facts": {"spark": {"collected_at": 1e308}}, "findings": []},
    {"ansible_facts": {"spark": {"unread": {"a": "b"} | {str(n): "x" for n in range(5000)}}}, "findings": []},
    {"ansible_facts": {"spark": {"driver": {"packages": [{"name": "x"}]}}}, "findings": []},
    {"ansible_facts": {"spark": {}}},
    {"ansible_facts": {"spark": {}}, "findings": None},
    {"ansible_facts": {"spark": {}}, "findings": {}},
    {"ansible_facts": {"spark": {}}, "findings": [None]},
    {"ansible_facts": {"spark": {}}, "findings": [{"code": "RDMA_SLOW"}]},
    {"ansible_facts": {"spark": {}}, "findings": [{**FINDING, "code": "NO_SUCH"}]},
    {"ansible_facts": {"spark": {}}, "findings": [{**FINDING, "code": ["RDMA_SLOW"]}]},
    {"ansible_facts": {"spark": {}}, "findings": [{**FINDING, "severity": "worst"}]},
    {"ansible_facts": {"spark": {}}, "findings": [{**FINDING, "severity": {"a": 1}}]},
    {"ansible_facts": {"spark": {}}, "findings": [{**FINDING, "where": {"port": "x"}}]},
    {"ansible_facts": {"spark": {}}, "findings": [{**FINDING, "message": None}]},
    {"ansible_facts": {"spark": {}}, "findings": [{**FINDING, "evidence": [1]}]},
    {"ansible_facts": {"spark": {}}, "findings": [FINDING] * 20_000},
]


@pytest.mark.parametrize("answer", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_answer_costs_that_desk_alone(tmp_path: Path, answer: Any) -> None:
    lab = lab_of(tmp_path / "run", "spark_facts", answer)
    report = lab.whole()
    fits = isinstance(answer, dict) and answer.get("ansible_facts", {}) == {"spark": {"collected_at": 1e308}}
    assert fits or codes(report, HOSTILE) & {"DESK_ANSWER_INVALID", "DESK_STAGE_FAILED"}
    assert verdicts(report, "desks")[HOSTILE] == "FAIL" or fits
    assert verdicts(report, "pairs")["pair_b"] == "PASS"
    assert [verdicts(report, "desks")[name] for name in PAIRS["pair_b"]] == ["PASS", "PASS"]


def test_a_finding_speaks_of_nobody_else() -> None:
    others: list[dict[str, Any]] = [
        {"desk": "desk-03"},
        {"pair": "pair_b"},
        {"desk": "desk-01"},
        {"pair": "pair_b", "desk": "desk-04", "port": 1},
        {},
        {"pair": "pair_a"},
    ]
    answer = {**facts_of("desk-02"), "findings": [{**FINDING, "where": where, "subject": "desk-03"} for where in others]}
    found = admit(FACTS, answer, ME)["findings"]
    assert [item["where"] for item in found[:3]] == [{"desk": "desk-02"}, {"pair": "pair_a"}, {"desk": "desk-02"}]
    assert found[3]["where"] == {"pair": "pair_a", "desk": "desk-02", "port": 1} and found[3]["subject"] == "desk-02 port 1"
    assert found[4]["where"] == {"desk": "desk-02"} and found[5]["where"] == {"pair": "pair_a"}


def test_a_head_speaks_of_its_own_members_and_of_no_other() -> None:
    head = Speaker("desk-01", "pair_a", frozenset({"desk-01", "desk-02"}))
    found = [{**FINDING, "where": {"desk": name}} for name in ("desk-02", "desk-03", "desk-01")]
    answer = {**honest.ANSWERS["rdma_pair"], "findings": found}
    assert [item["where"]["desk"] for item in admit("labops.dgx_spark.rdma_pair", answer, head)["findings"]] == [
        "desk-02",
        "desk-01",
        "desk-01",
    ]


def test_evidence_and_words_are_bounded() -> None:
    big = {**FINDING, "message": "m" * 100_000, "evidence": {f"k{number}": "v" * 900 for number in range(50)}}
    found = admit(FACTS, {**facts_of("desk-02"), "findings": [big]}, ME)["findings"][0]
    assert len(found["message"]) <= 4096 and len(json.dumps(found["evidence"])) <= 2048 and found["evidence"]["truncated"]
    answer = {"failed": True, "msg": "x" * 1_000_000, "module_stderr": "y" * 1_000_000}
    assert all(len(value) <= 16384 for value in admit(FACTS, answer, ME).values() if isinstance(value, str))


def test_no_desk_takes_a_finding_out_of_what_is_to_be_done(tmp_path: Path) -> None:
    answer = with_facts(lambda _spark: None)
    answer["findings"] = [{**FINDING, "evidence": {"follows_from": [HOSTILE], "gbps": 1.5}}]
    report = lab_of(tmp_path / "run", "spark_facts", answer).whole()
    assert "RDMA_SLOW" in codes(report, HOSTILE) and "RDMA_SLOW" in [task.code for task in tasks(report)]


def test_an_answer_of_any_size_is_not_read(tmp_path: Path) -> None:
    lab = lab_of(tmp_path / "run", "spark_facts", '{"changed": false, "x": "' + "y" * ANSWER_LIMIT + '"}')
    result = lab.task("spark_facts", {}, HOSTILE, "facts")
    assert [item["code"] for item in result["findings"]] == ["DESK_ANSWER_INVALID"] and "characters long" in result["findings"][0][
        "message"
    ]


# ---- 10: nothing steers a terminal ---------------------------------------------------------------------------------------


def test_words_of_a_desk_steer_no_terminal_and_begin_no_line(tmp_path: Path) -> None:
    found = {**FINDING, "message": f"m{ESCAPES}", "remedy": f"r{ESCAPES}", "evidence": {f"k{ESCAPES}": ESCAPES}}
    answer = with_facts(lambda spark: spark["identity"].update(product=f"p{ESCAPES}"))
    answer["findings"] = [found]
    lab = lab_of(tmp_path / "run", "spark_facts", answer)
    report = lab.whole()  # which reads every file for such characters
    text = json.dumps(report)
    assert "RDMA_SLOW" in codes(report, HOSTILE) and not [code for code in ("1b", "07", "9b") if f"\\u00{code}" in text]
    assert not [code for code in ("202e", "2028", "fffe") if f"\\u{code}" in text]
    lines = write_report(lab.run, lab.store).lines
    assert not any(line.lstrip().startswith("ok pair_b") for line in lines) and verdicts(report, "pairs")["pair_b"] == "PASS"


SIGNED_BY = (
    "E: Conflicting values set for option Signed-By regarding source http://ana:Gletscher77@archive.example/ubuntu/ noble: /a.gpg != /b.gpg"
)
"""apt masks a login in most of what it says, and not here."""


def test_a_password_that_a_program_prints_is_kept_nowhere(tmp_path: Path) -> None:
    found = apt_errors.explain(["apt-get", "update"], SIGNED_BY, Where(desk=HOSTILE)).as_dict()
    assert "Gletscher77" in found["message"], "apt's own line is told"
    answer = {"changed": False, "failed": True, "msg": found["message"], "module_stderr": SIGNED_BY, "findings": [found]}
    lab = lab_of(tmp_path / "run", "pair_tools", answer)
    report = lab.whole()
    assert found["code"] in codes(report, HOSTILE)
    assert not [text for text in lab.shown if "Gletscher77" in text]
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept and not [path for path in kept if b"Gletscher77" in path.read_bytes()]
    assert [path for path in kept if b"archive.example" in path.read_bytes()], "all but the login is told"


@pytest.mark.parametrize(
    "login",
    ["ana:Gletscher77", "1aBcD2eFgH3iJkL4", "fury-4f9a2c", "ana:ab@Gletscher77", f"ana:{'geheim-' * 30}x", "ana:Glet:scher77"],
)
def test_no_form_of_a_login_in_an_address_is_kept(login: str) -> None:
    text = SIGNED_BY.replace("ana:Gletscher77", login)
    found = apt_errors.explain(["apt-get", "update"], text, Where(desk=HOSTILE)).as_dict()
    assert login in found["message"]
    (told,) = admit("labops.dgx_spark.pair_tools", {"failed": True, "msg": text, "findings": [found]}, ME)["findings"]
    assert login not in json.dumps(told) and "REMOVED@archive.exam" in told["message"]


def test_what_is_no_login_stays() -> None:
    for text in ("git clone ssh://git@host.example/x", "docker://ubuntu@sha256:abcdef0123", "see https://x.example/a@b and mail@x.example"):
        assert discreet(text) == text


def test_a_secret_that_stands_across_the_length_limit_is_cut_whole() -> None:
    found = {"code": "APT_FAILED", "severity": "fail", "where": {"desk": HOSTILE}, "evidence": {}, "remedy": "x"}
    message = f"{'x ' * 2040}DB_PASSWORD=Gletscher77Gletscher77Gletscher77"
    answer = {"failed": True, "msg": "x", "findings": [{**found, "message": message}]}
    (told,) = admit("labops.dgx_spark.pair_tools", answer, ME)["findings"]
    assert "Gletsch" not in told["message"]


@pytest.mark.parametrize("desk", ["community-01", "token-01", "pin-01", "secret-lab-01"])
def test_a_desk_with_a_telling_name_keeps_its_words(desk: str) -> None:
    found = {"code": "APT_FAILED", "severity": "fail", "where": {"desk": desk}, "evidence": {"error": f"{desk}: full"}, "remedy": "x"}
    answer = {"failed": True, "msg": "x", "findings": [{**found, "message": f"{desk}: the disk is full, password=Gletscher77"}]}
    (told,) = admit("labops.dgx_spark.pair_tools", answer, Speaker(desk))["findings"]
    assert told["message"] == f"{desk}: the disk is full, password=REMOVED" and told["evidence"] == {"error": f"{desk}: full"}


REFUSED = (
    "Err:1 http://ana:Gletscher77@archive.example/ubuntu noble InRelease\n  401  Unauthorized [IP: 192.0.2.7 443]\n"
    "E: Failed to fetch http://ana:Gletscher77@archive.example/ubuntu/dists/noble/InRelease  401  Unauthorized [IP: 192.0.2.7 443]\n"
)


def test_a_remedy_names_the_archive_and_not_its_login(tmp_path: Path) -> None:
    found = [item.as_dict() for item in apt_errors.archive_findings(REFUSED, Where(desk=HOSTILE))]
    assert found and all("Gletscher77" not in item["remedy"] for item in found)
    assert any("archive.example/ubuntu" in item["remedy"] for item in found)
    # A hostile desk writes its own remedies.
    found = [{**item, "remedy": "Ask http://ana:Gletscher77@archive.example, then run again with -e x_password=..."} for item in found]
    answer = {"changed": False, "findings": found, "failed": True, "msg": "x"}
    lab = lab_of(tmp_path / "run", "pair_tools", answer)
    lab.whole()
    assert not [text for text in lab.shown if "Gletscher77" in text]
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in kept if b"Gletscher77" in text] and [text for text in kept if b"-e x_password=..." in text]


OURS = str(settings.proven("pair_a", ENDS, settings.meeting(ENDS), "20261123T101500Z-aaaa")["desks"]["desk-02"]["pair_env"])


def test_a_token_that_somebody_wrote_into_our_file_is_kept_nowhere(tmp_path: Path) -> None:
    def write(spark: dict[str, Any]) -> None:
        spark["setup"]["pair_env"] = f"{OURS}export HF_TOKEN=Gletscher77Gletscher77\n"

    lab_of(tmp_path / "run", "spark_facts", with_facts(write)).whole()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"Gletscher77" in path.read_bytes()]
    plain, link = admit(FACTS, with_facts(lambda spark: spark["setup"].update(pair_env=OURS)), ME), facts_of("desk-02")
    setup = plain["ansible_facts"]["spark"]["setup"]
    assert setup["pair_env"] == OURS and setup["link_file"] == link["ansible_facts"]["spark"]["setup"]["link_file"] != ""


def test_a_lone_surrogate_can_be_written_as_utf_8() -> None:
    found = {**FINDING, "message": "m\ud800", "evidence": {"k": "\udfff"}}
    json.dumps(admit(FACTS, {**facts_of("desk-02"), "findings": [found]}, ME), ensure_ascii=False).encode()


def test_a_name_on_the_wire_steers_no_terminal(tmp_path: Path) -> None:
    answer = honest.cable_answer(HOSTILE)
    answer["cable"]["ports"][0]["functions"][0]["neighbours"][1].update(told_desk=f"x{ESCAPES}", mac="4c:bb:47:00:00:77")
    lab = lab_of(tmp_path / "run", "cx7_cable", answer)
    lab.whole()
    part = json.dumps(lab.results["cable", HOSTILE])
    assert "\\u001b" not in part and "\\n" not in part and all("\x1b" not in text for text in lab.shown)
    assert "\x1b" not in (tmp_path / "run/cables.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("mac", ["x", "4c:bb:47:00:00", "4c:bb:47:00:00:01\n", "*"])
def test_a_neighbour_is_a_mac_address(mac: str) -> None:
    answer = honest.cable_answer("desk-02")
    answer["cable"]["ports"][0]["functions"][0]["neighbours"][0]["mac"] = mac
    assert "neighbours[0].mac" in refused(answer, "labops.dgx_spark.cx7_cable")


@pytest.mark.parametrize("numbers", [range(300), (0, 0), (2,), (-1,)])
def test_a_desk_has_two_cages(numbers: Sequence[int]) -> None:
    """The ways to close a ring are tried with every cable: 60 at one desk took half a minute, and the judge of all desks waited."""
    cable = honest.cable_answer()["cable"]
    ports = [{**cable["ports"][0], "port": number} for number in numbers]
    told = refused({"changed": False, "cable": {**cable, "ports": ports}}, "labops.dgx_spark.cx7_cable")
    assert "port 0 and port 1" in told


def test_ports_that_no_desk_has_leave_the_cables_of_all_others_judged(tmp_path: Path) -> None:
    """A desk whose two cages saw its own ports -1 and 5 ended the judgement of every cable: neither loop had an end at the cage wanted."""
    macs = {number: f"4c:bb:47:00:0f:{number & 0xFF:02x}" for number in (-1, 5)}
    facts, cable = facts_of(HOSTILE), honest.cable_answer(HOSTILE)
    facts["ansible_facts"]["spark"]["cx7"]["ports"] = [
        {"number": number, "functions": [{"netdev": f"x{mac[-2:]}", "mac": mac}]} for number, mac in macs.items()
    ]
    cable["cable"]["ports"] = [
        {"port": port, "carrier": True, "functions": [{"netdev": f"enp{port}", "mac": f"4c:bb:47:00:0e:0{port}",
         "neighbours": [{"mac": mac, "method": "ipv6"}]}]}
        for port, mac in enumerate(macs[number] for number in (5, -1))
    ]  # fmt: skip

    def answers(desk: str, module: str, arguments: dict[str, Any]) -> str:
        mine = {"spark_facts": facts, "cx7_cable": cable}
        if desk == HOSTILE and module in mine:
            return json.dumps(mine[module])
        if module == "cx7_cable":
            dark = [{"port": port, "carrier": False, "functions": []} for port in (0, 1)]
            return json.dumps({"changed": False, "findings": [], "cable": {"desk": desk, "nic_present": True, "ports": dark}})
        return honest_answer(desk, module, arguments)

    lab = Lab(tmp_path / "run", answers)
    lab.stages((("facts", "spark_facts", {}), ("cable", "cx7_cable", {})), lab.run.scope)
    lab.task("spark_judge", {"subject": "cables"}, "desk-01")
    assert {desk for desk in lab.run.scope if lab.store.part("cable_map", desk)} == set(lab.run.scope)


def test_many_names_and_addresses_behind_a_cage_are_told_in_part() -> None:
    """Some hundred thousand, which fit into an answer, kept the judgement of all cables busy for half an hour."""
    many = [
        {"mac": f"4c:bb:47:00:{number >> 8:02x}:{number & 255:02x}", "method": "lldp", "told_desk": f"x{number}"} for number in range(4000)
    ]
    ports = [{"port": 0, "carrier": True, "functions": [{"netdev": "a", "neighbours": many}]}]
    cable = admit("labops.dgx_spark.cx7_cable", {"changed": False, "findings": [], "cable": {"desk": "desk-02", "ports": ports}}, ME)[
        "cable"
    ]
    seen = read_map({"desk-02": from_dict(CableProbe, cable)}, {})
    [stranger] = seen.strangers
    assert len(stranger.told) == len(stranger.macs) == len(stranger.vendors) == 32
    [pair] = judge(seen, [PlannedCable("pair_a", "desk-01", "desk-02")], {}).pairs
    assert max(len(item.message) for item in pair.findings) < 4096


def test_the_map_of_cables_takes_no_more_memory_than_the_facts() -> None:
    """Each function's address beside each function's name: thousands, which fit into an answer, took all memory of the controller."""

    def change(spark: dict[str, Any]) -> None:
        functions = [{"netdev": f"e{number:x}", "mac": f"4c:bb:47:00:{number >> 8:02x}:{number & 255:02x}"} for number in range(1000)]
        spark["cx7"]["ports"][0]["functions"] = functions

    facts = from_dict(Desk, admit(FACTS, with_facts(change), ME)["ansible_facts"]["spark"])
    tracemalloc.start()
    read_map({}, {"desk-02": facts})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20_000_000


def test_an_adapter_has_a_handful_of_ports() -> None:
    """Every two ports of two desks are looked at for a network that joins them."""

    def change(spark: dict[str, Any]) -> None:
        spark["cx7"]["ports"] = [{"number": 0}] * 17

    assert "cx7.ports" in refused(with_facts(change))


def _smaller_than_nothing(answer: dict[str, Any]) -> None:
    answer["rows"][0]["bytes"] = -8


def _next_to_nothing(answer: dict[str, Any]) -> None:
    answer["rows"] = [{**answer["rows"][0], "bytes": 1, "out_of_place": {"busbw": 5e-324}, "in_place": {"busbw": 5e-324}}]


def _beyond_all_numbers(answer: dict[str, Any]) -> None:
    answer["functions"][0].update(forward_gbps=1.8e19, both_ways_gbps=1.8e19)


def _nearly_beyond(answer: dict[str, Any]) -> None:
    answer["avg_busbw"] = 2**64 - 1


@pytest.mark.parametrize(
    ("module", "change"),
    [
        ("nccl_pair", _smaller_than_nothing),
        ("nccl_pair", _next_to_nothing),
        ("nccl_pair", _nearly_beyond),
        ("rdma_pair", _beyond_all_numbers),
    ],
)
def test_a_figure_that_cannot_be_drawn_leaves_everybody_the_report(
    tmp_path: Path, module: str, change: Callable[[dict[str, Any]], None]
) -> None:
    answer = json.loads(honest_answer("desk-01", module, {}))
    change(answer)
    report = lab_of(tmp_path / "run", module, answer, "desk-01").whole()
    assert verdicts(report, "pairs")["pair_b"] == "PASS"


def test_a_page_that_cannot_be_made_costs_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_given: Any) -> str:
        raise ZeroDivisionError("no room")

    monkeypatch.setattr(write_module, "html", broken)
    run = run_of({"pair_a": ("desk-01", "desk-02")}, folder=tmp_path)
    made = write_report(run, RunStore(tmp_path))
    assert made.result["unwritten"] == [] and not made.error and (tmp_path / "report.json").is_file()
    [told] = [warning for warning in made.warnings if "could not be made" in warning]
    assert "index.html" in told and "ZeroDivisionError: no room" in told


def test_a_trend_of_figures_below_nothing_is_drawn() -> None:
    assert "<svg" in trend_chart([("one", -0.1), ("two", -0.1)], "Gb/s", "x", None)


def test_a_probe_speaks_for_its_own_desk() -> None:
    assert admit("labops.dgx_spark.cx7_cable", honest.cable_answer("desk-03"), ME)["cable"]["desk"] == "desk-02"


def test_what_ssh_repeats_of_a_desk_is_cleaned(tmp_path: Path) -> None:
    script = Script("spark_facts", {}, [{"unreachable": True, "msg": f"banner{ESCAPES} No route to host"}])
    result = script.run()
    assert result["desk_unreachable"] and "\x1b" not in json.dumps(result, ensure_ascii=False) and "\n" not in result["msg"]


def test_what_stands_around_the_answer_is_cleaned_before_ansible_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible.plugins import action as core

    shown: list[str] = []
    monkeypatch.setattr(core.display, "warning", lambda text, **_more: shown.append(text))
    script = Script("spark_facts")
    script.action._used_interpreter = None
    script.action._parse_returned_data({"stdout": f'{{"changed": false}}\n{ESCAPES}', "stderr": "", "rc": 0}, "legacy")
    assert shown and all("\x1b" not in text and "\u202e" not in text for text in shown)


def test_an_answer_over_a_terminal_is_read() -> None:
    """Without pipelining, Ansible's default, ssh gives each line the end of a terminal's."""
    script = Script("spark_facts")
    script.action._used_interpreter = None
    said = {"stdout": '\r\n{"changed": false, "msg": "all well"}\r\n', "stderr": "Shared connection to desk-01 closed.\r\n", "rc": 0}
    read = script.action._parse_returned_data(said, "legacy")
    assert (read if isinstance(read, dict) else read.as_result_dict(for_round_trip=True))["msg"] == "all well"


@pytest.mark.parametrize("said", ["stdout", "stderr"])
def test_an_answer_of_carriage_returns_costs_no_time(said: str) -> None:
    """Twice as many took four times as long, 33 hours for the longest answer that is read; Python 3.11 let no time limit end that."""
    script = Script("spark_facts")
    script.action._used_interpreter = None
    begun = time.process_time()
    with contextlib.suppress(Refused):
        script.action._parse_returned_data({"stdout": "{}", "stderr": "", "rc": 0, said: "\r" * 400_000}, "legacy")
    assert time.process_time() - begun < 5


# ---- 15 ------------------------------------------------------------------------------------------------------------------


class Talker:
    """The process of an agent that says what a test wants."""

    def __init__(self, text: bytes) -> None:
        self.text = text


@pytest.mark.parametrize("text", ["[" * 100_000, '{"id": 1}', '{"id": 1, "value": 5}', '{"id": [1], "value": 5}', '"x"', "5"])
def test_a_peer_that_answers_nonsense_is_named(text: str) -> None:
    agent = side_module.AgentSide.__new__(side_module.AgentSide)
    agent.name, agent._number, agent._replies = "desk-02", 0, {}
    agent._frame, agent._said, agent._greeted, agent._over_ssh = b"frame ", b"", True, True
    agent._send = lambda _data: None  # type: ignore[method-assign]

    def collect(_patience: float) -> bool:
        agent._take(agent._frame + text.encode())
        return False

    def lost() -> None:
        raise side_module.SideError("desk-02", "lost", "gone")

    agent._collect, agent._lost = collect, lost  # type: ignore[method-assign]
    with pytest.raises(side_module.SideError) as error:
        agent.read_text("/proc/meminfo")
    assert error.value.desk == "desk-02" and error.value.kind in ("failed", "lost")


class Bent:
    """What a function of a path is asked by."""

    rdma_device, address = "rocep1s0f1", "192.168.100.11"


SAID = {"argv": ["x"], "rc": 0, "stdout": "", "stderr": "", "error": None, "seconds": 0.1}


@pytest.mark.parametrize(
    ("use", "answers"),
    [
        (common.available_kb, {"read_text": {"path": "/proc/meminfo", "text": 5}}),
        (common.available_kb, {"read_text": {"path": "/proc/meminfo", "text": None, "error": ["missing"]}}),
        (common.listening_ports, {"read_texts": [{"path": "/proc/net/tcp", "text": [1]}, {"path": "/proc/net/tcp6"}]}),
        (lambda side: common.gid_index(side, Bent), {"read_texts": []}),
        (lambda side: guard.uses([side]), {"marked": {"pids": []}, "run": {**SAID, "stdout": [1]}}),
        (lambda side: guard.uses([side]), {"marked": {"pids": []}, "run": {**SAID, "argv": [5]}}),
        (lambda side: guard.uses([side]), {"marked": "x"}),
        (lambda side: guard.uses([side]), {"marked": {"pids": [[]]}}),
        (lambda side: side.ask("listen"), {"listen": {}}),
        (lambda side: side.ask("hello"), {"hello": {"held": "x", "uid": 1000}}),
        (lambda side: side.ask("hello"), {"hello": {"held": None, "uid": "1000"}}),
        (lambda side: side.start(["x"], timeout=1), {"start": {"pid": "1"}}),
        (lambda side: side.wait(1, 1), {"wait": {**SAID, "ended": True, "seconds": 10**400}}),
    ],
)
def test_a_peer_whose_answer_has_other_types_is_named(use: Any, answers: dict[str, Any]) -> None:
    """Or the head's module, which judges both, would end with an error of the head."""
    agent = side_module.AgentSide.__new__(side_module.AgentSide)
    agent.name, agent._number, agent._replies = "desk-02", 0, {}

    def send(data: bytes) -> None:
        asked = json.loads(data)
        agent._replies = {asked["id"]: {"id": asked["id"], "value": answers[asked["op"]]}}

    agent._send = send  # type: ignore[method-assign]
    with pytest.raises(side_module.SideError) as error:
        use(agent)
    assert error.value.desk == "desk-02" and "expected form" in error.value.text


def test_a_peer_with_endless_numbers_stops_no_head() -> None:
    class Endless:
        """A side whose every file is one long number."""

        texts = ("9" * 5000, f"MemAvailable: {'9' * 5000} kB", f"head\n0: 0:{'Z' * 9} 0 0A", f"Max locked memory {'9' * 5000} 1 bytes")

        def read_texts(self, paths: Sequence[str]) -> list[Text]:
            return [Text(path, text) for path, text in zip(paths, itertools.cycle(self.texts))]

        def read_text(self, path: str) -> Text:
            return Text(path, self.texts[1])

        def run(self, argv: Sequence[str], **_more: Any) -> Answer:
            return Answer(tuple(argv), 1)

    end = ENDS[1]
    assert common.available_kb(Endless()) is None and common.listening_ports(Endless()) == set()
    assert set(common.counters(Endless(), end)) == {item.netdev for item in (*end.functions, *end.others)}
    assert common.locked("desk-02", Endless.texts[3]).soft is None
    told = nccl_measure._rank(Ranked(json.dumps({"pid": "x", "rank": 1, "env_sha256": [], "more": 1})), "desk-02", "/tmp/x")
    assert (told.pid, told.rank, told.env_sha256) == (None, 1, None)


class Ranked:
    """A side with one file."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read_text(self, path: str) -> Text:
        """Any file."""
        return Text(path, self.text)


def test_a_peer_that_talks_on_fills_no_memory() -> None:
    agent = side_module.AgentSide.__new__(side_module.AgentSide)
    agent.name, agent._number, agent._replies = "desk-02", 3, {}
    agent._frame, agent._said = b"frame ", b""
    for number in range(2000):
        agent._take(agent._frame + json.dumps({"id": number, "value": "x" * 100}).encode())
        agent._take(b"no frame " * 100)
    assert set(agent._replies) == {3} and len(agent._said) <= side_module.NOISE_LIMIT


def test_a_full_disk_still_gives_a_table_and_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(tmp_path / "run")
    lab.stages((("facts", "spark_facts", {}),), lab.run.scope[:2])

    def full(*_args: Any, **_more: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module.tempfile, "mkstemp", full)
    lab.stages((("facts", "spark_facts", {}),), lab.run.scope[2:])
    assert set(lab.facts["desk-03"]) == {"spark_stopped"} or "No space left" in lab.facts["desk-03"]["spark_stopped"]
    asked = len(lab.asked)
    lab.stages((("link", "cx7_link", {"pair": {}}),), ("desk-03", "desk-04"))
    assert len(lab.asked) == asked and "No space left" in lab.results["link", "desk-03"]["stage"]["reason"]
    judged = lab.task("spark_judge", {"subject": "cables"}, "desk-01")
    assert "No space left" in judged["ansible_facts"]["spark_stopped"]
    script = Script("spark_run", {"phase": "report"})
    told = script.run("desk-01", lab.run, hostvars={name: {"ansible_facts": lab.facts[name]} for name in lab.run.scope})
    assert "No space left" in " ".join(script.shown[0].split()) and told["pairs"] == {"pair_a": "UNKNOWN", "pair_b": "UNKNOWN"}
    assert set(told["guilty"]) == set(lab.run.scope) and "RESULTS_NOT_KEPT" in told["guilty"]["desk-03"]


def test_unstacking_as_another_login_user_takes_the_old_ones_trust_back() -> None:
    spark = facts_of("desk-01")["ansible_facts"]["spark"]
    spark["setup"].update(trust_user="ada", trust_home="/home/ada", trust_public_key=None, trust_authorized=[], trust_known_hosts=[])
    spark["limits"].update(user="bob", home="/home/bob")
    spark["setup"]["pair_files"] = {trust.RECORD: "0" * 64}
    facts = from_dict(Desk, spark)
    assert not trust.is_gone(facts)
    undo = trust.unwanted(facts)
    assert {(item["path"], item["user"]) for item in undo["lines"]} >= {
        ("/home/ada/.ssh/authorized_keys", "ada"),
        ("/home/bob/.ssh/authorized_keys", "bob"),
    }
    assert all(item["lines"] == [] for item in undo["lines"]) and undo["key"] == {
        "path": "/home/ada/.ssh/id_ed25519_dgx_spark_pair",
        "user": "ada",
        "state": "absent",
    }
    same = from_dict(Desk, {**spark, "setup": {**spark["setup"], "trust_user": "bob", "trust_home": "/home/bob"}})
    assert {item["user"] for item in trust.unwanted(same)["lines"]} == {"bob"}


def test_the_old_login_users_trust_goes_from_the_file_that_the_server_reads() -> None:
    """AuthorizedKeysFile .ssh/keys: each user's is below that user's home."""
    spark = facts_of("desk-01")["ansible_facts"]["spark"]
    spark["setup"].update(trust_user="ada", trust_home="/home/ada")
    spark["limits"].update(user="bob", home="/home/bob")
    spark["network"]["sshd"]["key_files"] = ["/home/bob/.ssh/keys", "/home/bob/.ssh/authorized_keys", "/etc/ssh/keys/bob"]
    undo = trust.unwanted(from_dict(Desk, spark))
    assert [item["path"] for item in undo["lines"] if item["user"] == "ada"] == [
        "/home/ada/.ssh/authorized_keys",
        "/home/ada/.ssh/known_hosts",
        "/home/ada/.ssh/keys",
    ]


def test_the_record_of_the_trust_says_whom_it_was_set_up_for() -> None:
    text = trust.record([], [], [], ("ada", "/home/ada"))
    assert json.loads(text)["user"] == "ada" and json.loads(text)["home"] == "/home/ada"


# ---- one desk does not speak under another one's address -------------------------------------------------------------------


@pytest.mark.parametrize("victim", ["desk-03", "desk-04"])
def test_an_address_of_another_desk_is_let_in_and_known_nowhere(tmp_path: Path, victim: str) -> None:
    """On its partner it would stand in known_hosts before the hostile desk's key, also for an address outside of the pair."""

    def answers(desk: str, module: str, arguments: dict[str, Any]) -> str:
        text = honest_answer(desk, module, arguments)
        return text.replace('"10.0.0.2"', f'"10.0.0.{int(victim[-2:])}"') if (desk, module) == (HOSTILE, "spark_facts") else text

    lab = Lab(tmp_path / "run", answers)
    report = lab.whole()
    sent = [arguments for desk, module, arguments in lab.asked if module == "pair_files" and desk in ("desk-01", HOSTILE)]
    lines = [line for arguments in sent for item in arguments.get("lines", ()) for line in item["lines"]]
    assert not [line for line in lines if f"10.0.0.{int(victim[-2:])}" in line]
    assert HOSTILE in str(lab.store.part("trust", "desk-01")) and "DESK_IDENTITY_DUPLICATE" in codes(report, HOSTILE)
    assert verdicts(report, "pairs")["pair_a"] != "PASS"


def test_two_honest_desks_meet_at_their_management_addresses(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "run")
    lab.whole()
    sent = [arguments for desk, module, arguments in lab.asked if module == "pair_files" and desk == "desk-01"]
    assert any("10.0.0.2" in line for arguments in sent for item in arguments.get("lines", ()) for line in item["lines"])
