"""Every wish of an admin changes the outcome where a playbook reads it, and a wrong one is refused before any desk is asked."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.labops.dgx_spark.plugins.action.spark_run import _asked as asked_of_the_end
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import Options, collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import STACK, STACKED, JudgeOptions, options_from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Apt, Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.alone import fails
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.known_hosts import remember
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recorded_desk import load
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.files import Asked
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.gate import gate
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Run, from_plain
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.stages import PLAYBOOKS, STAGES, required
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, Part, RunStore
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.wants import WANTS, WantError, check, judge_wants
from house import ROOT, role_options, role_uses
from sample_run import run_of
from scripted_action import Script, part

from inventories import begin, hostvars_of

RECORDINGS = ROOT / "tests/recordings"
BY_NAME = {want.variable: want for want in WANTS}
TOLD: set[str] = set()
"""Wishes that a test below shows to change something."""


def shows(*variables: str) -> pytest.MarkDecorator:
    """Note which wishes a test is about."""
    TOLD.update(variables)
    return pytest.mark.parametrize("_about", [variables], ids=["+".join(variables)])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---- what judges read --------------------------------------------------------------------------------------------------

JUDGED = [
    # wish, value, recording, purpose, code, severity without the wish, severity with it (null: not found)
    ("pair_link_take_over", "true", "link_foreign_nvidia_sync", STACK, "CX7_FOREIGN_OWNER", "fail", "note"),
    ("dgx_os_minimum", "7.1.0", "dgx_os_too_old", STACK, "DGX_OS_TOO_OLD", "fail", None),
    ("dgx_os_minimum", "7.6.0", "founders_7_5_0", STACK, "DGX_OS_TOO_OLD", None, "fail"),
    ("dgx_os_newest_known", "99.0.0", "dgx_os_newer", STACK, "DGX_OS_UNKNOWN_NEWER", "note", None),
    ("driver_lock_branch", "590", "driver_branch_590", STACK, "DRIVER_BRANCH_WRONG", "fail", None),
    ("desk_facts_cuda_major", "14", "founders_7_5_0", STACK, "CUDA_MAJOR_WRONG", None, "fail"),
    ("desk_facts_minimum_memlock_mib", "0", "neglected_desk", STACK, "MEMLOCK_LOW", "warn", None),
    ("desk_facts_minimum_memory_gib", "4096", "founders_7_5_0", STACK, "MEMORY_SHORT", None, "fail"),
    ("desk_facts_mtu", "1500", "founders_stacked", STACKED, "CX7_MTU_MISMATCH", None, "fail"),
]


PURPOSES = {"none": {}, "audit": {"desk_facts_purpose": "audit"}}


def facts_stage(folder: Path, recording: str, purpose: str, **wishes: Any) -> Script:
    """The stage facts of stack_pair.yml on a recorded desk: what the desk is asked, and the findings that it answers with."""
    run = run_of(folder=folder)
    told, desk = load(RECORDINGS / recording)
    facts = collect(desk, Options(login_user=told.login_user))

    def answer(_module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        found = judge(facts, Where(desk="desk-01"), options_from_dict({**arguments["judge_options"], "purpose": purpose}))
        return {"findings": [item.as_dict() for item in found], "ansible_facts": {"spark": as_dict(facts)}}

    # As role desk_facts passes it, with its own variables unset.
    script = Script("spark_facts", {"gather_subset": ["all"], "judge_options": {}}, answer)
    script.run(run=run, stage="facts", **wishes)
    return script


@pytest.mark.parametrize(("wish", "value", "recording", "purpose", "code", "before", "after"), JUDGED)
def test_a_wish_of_the_admin_changes_what_the_facts_stage_finds(
    tmp_path: Path, wish: str, value: str, recording: str, purpose: str, code: str, before: str | None, after: str | None
) -> None:
    found = []
    for number, wishes in enumerate(({}, {wish: value})):
        folder = tmp_path / str(number)
        script = facts_stage(folder, recording, purpose, **wishes)
        kept = part(run_of(folder=folder), "facts", "desk-01")
        assert kept is not None
        found.append(next((str(item["severity"]) for item in kept.findings if item["code"] == code), None))
    assert script.asked[0]["judge_options"][BY_NAME[wish].judge] == BY_NAME[wish].read({wish: value})
    assert found == [before, after]


@shows("desk_facts_purpose")
def test_a_purpose_of_the_admin_comes_before_the_playbooks(_about: Any, tmp_path: Path) -> None:
    asked = [facts_stage(tmp_path / word, "founders_7_5_0", STACK, **wish).asked[0]["judge_options"] for word, wish in PURPOSES.items()]
    assert [options["purpose"] for options in asked] == ["stack", "audit"]


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_the_purpose_of_every_playbook_is_one_that_the_desk_is_judged_for(tmp_path: Path, playbook: str) -> None:
    facts = collect(load(RECORDINGS / "founders_7_5_0")[1], Options())

    def answer(_module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        found = judge(facts, Where(desk="desk-01"), options_from_dict(arguments["judge_options"]))
        return {"findings": [item.as_dict() for item in found], "ansible_facts": {"spark": as_dict(facts)}}

    run = run_of(folder=tmp_path, playbook=playbook)
    Script("spark_facts", {"gather_subset": ["all"], "judge_options": {}}, answer).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None and kept.state == DONE


@pytest.mark.parametrize("minimum", ["7.1.0", "7.6.0"])
def test_role_dgx_os_says_what_the_one_judgement_said(tmp_path: Path, minimum: str) -> None:
    recording, code = ("dgx_os_too_old", "DGX_OS_TOO_OLD") if minimum == "7.1.0" else ("founders_7_5_0", "DGX_OS_TOO_OLD")
    facts_stage(tmp_path, recording, STACK, dgx_os_minimum=minimum)
    kept = part(run_of(folder=tmp_path), "facts", "desk-01")
    assert kept is not None
    result = Script("dgx_os").run(
        run=run_of(folder=tmp_path), stage="dgx_os", dgx_os_minimum=minimum, ansible_facts={"spark": kept.data["spark"]}
    )
    assert (code in [item["code"] for item in result["findings"]]) is (minimum == "7.6.0")


@pytest.mark.parametrize("want", [want for want in WANTS if want.judge], ids=lambda want: want.variable)
def test_every_wish_that_a_judge_reads_reaches_it(want: Any) -> None:
    assert want.variable in {row[0] for row in JUDGED}, f"give {want.variable} a row in JUDGED: a recording whose findings it changes"
    value = next(row[1] for row in JUDGED if row[0] == want.variable)
    assert judge_wants({want.variable: value})[want.judge] == want.read({want.variable: value})
    assert want.judge in {item.name for item in dataclasses.fields(JudgeOptions)}, "a wish that the module refuses"


def test_a_foreign_owner_does_not_keep_a_pair_from_its_link_when_it_is_to_be_taken_over(tmp_path: Path) -> None:
    """Fault 1: the take-over that the judge of the facts made impossible."""
    for value, goes in (("false", False), ("true", True)):
        folder = tmp_path / value
        facts_stage(folder, "link_foreign_nvidia_sync", STACK, pair_link_take_over=value)
        run = run_of(folder=folder)
        RunStore(folder).write(Part("facts", "desk-02", DONE, "pair_a"))
        RunStore(folder).write(Part("cable_map", "desk-01", DONE, "pair_a", data={"allowed": True}))
        answer = gate(run, RunStore(folder), "desk-01", STAGES["link"])
        assert answer.proceed is goes and (goes or "CX7_FOREIGN_OWNER" in answer.reason)


# ---- what the run reads ------------------------------------------------------------------------------------------------


def run_from(plan: dict[str, Any]) -> Run:
    return from_plain(plan)


@shows("spark_pair_head")
def test_the_marked_head(here: Path, _about: Any) -> None:
    for text, head in (("true", "desk-02"), ("false", "desk-01")):
        run = run_from(begin("stack_pair", hostvars_of(here, own={"desk-02": {"spark_pair_head": text}})))
        assert run.stacks[0].head == head and run.members[head].rank == 0


@shows("spark_out_of_service")
def test_a_desk_out_of_service(here: Path, _about: Any) -> None:
    for text, out in (("yes", True), ("no", False), ("0", False)):
        run = run_from(begin("stack_pair", hostvars_of(here, own={"desk-02": {"spark_out_of_service": text}})))
        assert run.stacks[0].out_of_service is out and run.members["desk-01"].out_of_service is out


@shows("spark_ssh_port")
def test_the_port_that_the_other_desk_uses(here: Path, _about: Any) -> None:
    for own, port in (
        ({}, 22),
        ({"ansible_port": 2222}, 2222),
        ({"ansible_port": "2222", "spark_ssh_port": ""}, 2222),
        ({"ansible_port": 40022, "spark_ssh_port": "22"}, 22),
    ):
        run = run_from(begin("stack_pair", hostvars_of(here, own={"desk-02": own})))
        assert (run.members["desk-02"].ssh_port, run.members["desk-01"].ssh_port) == (port, 22)


@shows("spark_waves")
def test_the_waves(here: Path, _about: Any) -> None:
    pairs = {"pair_a": ("d-1", "d-2"), "pair_b": ("d-3", "d-4"), "pair_c": ("d-5", "d-6")}
    for wish, numbers in (([1], [1, 2, 3]), ([2, "100%"], [1, 2]), ("100%", [1]), (None, [1, 2])):
        given = {} if wish is None else {"spark_waves": wish}
        plan = begin("stack_pair", hostvars_of(here, pairs, **given))
        script = Script("spark_run", {"phase": "waves", "stage": "link"})
        assert script.run("d-1", run_from(plan), hostvars={})["waves"] == numbers
        assert bool(script.shown) is (len(numbers) > 1)


@shows("spark_stages")
@pytest.mark.parametrize("wish", [["rdma", "nccl"], "rdma,nccl"])
def test_only_some_stages(here: Path, _about: Any, wish: Any) -> None:
    run = run_from(begin("stack_pair", hostvars_of(here, spark_stages=wish)))
    store = RunStore(run.run_dir)
    ran = {name for name, stage in STAGES.items() if gate(run, store, "desk-01", stage).proceed}
    assert {"facts", "rdma", "nccl"} <= ran and not ran & {"driver", "link", "trust", "bundle", "settings", "tools", "cable"}
    assert {check.name for check in required("stack_pair", run.stages)} == {"facts", "rdma", "nccl"}
    everything = run_from(begin("stack_pair", hostvars_of(here)))
    assert gate(everything, RunStore(everything.run_dir), "desk-01", STAGES["driver"]).proceed


@shows("spark_report_dir")
def test_the_report_folder(here: Path, _about: Any) -> None:
    default = run_from(begin("audit", hostvars_of(here)))
    assert Path(default.run_dir).parent == here / "reports" and (Path(default.run_dir) / "run.json").is_file()
    of_a_play = run_from(begin("audit", hostvars_of(here), spark_report_dir=str(here / "y")))
    assert Path(of_a_play.run_dir).parent == here / "y"
    elsewhere = run_from(begin("audit", hostvars_of(here, spark_report_dir=str(here / "x"))))
    assert Path(elsewhere.run_dir).parent == here / "x"


@shows("spark_known_hosts")
def test_the_proven_keys(here: Path, _about: Any) -> None:
    path = here / "known"
    remember(path, "desk-01", ("desk-01",), ["ssh-ed25519 QUJD"])
    for variables, known in (({}, False), ({"spark_known_hosts": str(path)}, True)):
        script = Script("spark_facts")
        script.run(**variables)
        assert ("host_key_fingerprints" in (script.asked[0].get("expected_identity") or {})) is known


@shows("pair_link_mtu")
def test_the_mtu_of_the_pair(here: Path, _about: Any) -> None:
    run = run_of(folder=here)
    for values, code in (({"desk-01": 1500, "desk-02": "1500"}, None), ({"desk-01": 1500, "desk-02": 9000}, "CX7_MTU_MISMATCH")):
        script = Script("cx7_link", {"pair": {"mtu": 1500}}, [{"changed": False, "findings": []}])
        result = script.run(run=run, hostvars={desk: {"pair_link_mtu": value} for desk, value in values.items()})
        assert [item["code"] for item in result["findings"]] == ([code] if code else [])
        assert not script.asked if code else script.asked[0]["links"][0]["mtu"] == 1500


THREE = ("desk-01", "desk-02", "desk-03")


@shows("pair_link_addresses")
@pytest.mark.parametrize(
    ("topology", "words", "told"),
    [
        ("switch", ("dhcp", "dhcp", "dhcp"), None),
        ("switch", ("static", None, "static"), None),
        ("switch", ("dhcp", None, "dhcp"), "dhcp for desk-01, static for desk-02"),
        ("ring", ("dhcp", "dhcp", "dhcp"), "which is a ring: there is no DHCP server on a direct cable"),
    ],
)
def test_where_addresses_come_from(here: Path, topology: str, words: tuple[str | None, ...], told: str | None, _about: Any) -> None:
    given = [{"pair_link_addresses": word} if word else {} for word in words]
    own = {desk: {"spark_topology": topology, **values} for desk, values in zip(THREE, given, strict=True)}
    hostvars = hostvars_of(here, {}, own=own, stacks={"stack_a": THREE})
    if told is None:
        assert begin("stack_pair", hostvars)["run_id"]
        return
    with pytest.raises(AnsibleActionFail) as refused:
        begin("stack_pair", hostvars)
    assert told in str(refused.value) and "stack_a" in str(refused.value) and "no desk was touched" in str(refused.value)


def test_a_pair_has_no_dhcp_server(here: Path) -> None:
    with pytest.raises(AnsibleActionFail, match="pair_link_addresses is dhcp for pair_a, which is a pair"):
        begin("stack_pair", hostvars_of(here, pair_link_addresses="dhcp"))


def test_stages_may_be_listed_with_blanks(here: Path) -> None:
    assert run_from(begin("stack_pair", hostvars_of(here, spark_stages="rdma, nccl"))).stages == ("rdma", "nccl")


@shows("audit_baseline")
def test_the_baseline(here: Path, _about: Any) -> None:
    run = run_of(folder=here, playbook="audit")
    for name, recording in (("desk-01", "founders_7_5_0"), ("desk-02", "dell_promax")):
        told, recorded = load(RECORDINGS / recording)
        facts = as_dict(collect(recorded, Options(login_user=told.login_user)))
        RunStore(here).write(Part("facts", name, DONE, data={"spark": facts}))
    for wishes, drifted in (({}, False), ({"audit_baseline": "desk-01"}, True)):
        result = Script("spark_judge", {"subject": "desks"}).run(run=run, **wishes)
        assert ("DRIFT_FROM_BASELINE" in [item["code"] for item in result["findings"]]) is drifted


@pytest.mark.parametrize("playbook_name", ["audit", "stack_pair"])
@pytest.mark.parametrize(
    ("own", "scope"), [({}, ["desk-02"]), ({"desk-01": {"spark_out_of_service": True}}, None)], ids=["limit", "out of service"]
)
def test_a_baseline_desk_that_this_run_does_not_ask_is_refused_first(
    here: Path, playbook_name: str, own: dict[str, Any], scope: list[str] | None
) -> None:
    with pytest.raises(AnsibleActionFail) as refused:
        begin(playbook_name, hostvars_of(here, own=own, audit_baseline="desk-01"), scope)
    told = str(refused.value)
    assert "audit_baseline: the baseline desk desk-01 is not asked in this run" in told and "no desk was touched" in told
    assert begin("cable_map", hostvars_of(here, own=own, audit_baseline="desk-01"), scope)["run_id"]
    assert begin(playbook_name, hostvars_of(here, audit_baseline="desk-01"))["run_id"]


def test_every_playbook_that_judges_the_desks_together_says_so() -> None:
    judging = {path.stem for path in (ROOT / "playbooks").glob("*.yml") if "subject: desks\n" in path.read_text(encoding="utf-8")}
    assert judging == {name for name, item in PLAYBOOKS.items() if item.compares} and judging


@shows("desk_reboot_policy", "driver_lock_reboot")
@pytest.mark.parametrize(
    ("wishes", "counted"),
    [
        ({}, False),
        ({"desk_reboot_policy": "if_needed"}, True),
        ({"driver_lock_reboot": "if_needed"}, True),
        ({"desk_reboot_policy": "never", "driver_lock_reboot": "if_needed"}, False),
    ],
)
def test_who_may_reboot_goes_first(here: Path, _about: Any, wishes: dict[str, str], counted: bool) -> None:
    pairs = {"pair_a": ("d-1", "d-2"), "pair_b": ("d-3", "d-4")}
    run = run_of(pairs, folder=here, playbook="onboard")
    waits = as_dict(Desk(apt=Apt(reboot_required=True, reboot_reasons=("linux-image",))))
    for desk in ("d-3", "d-4"):
        RunStore(here).write(Part("facts", desk, DONE, started="1", data={"spark": waits}))
    script = Script("spark_run", {"phase": "waves", "stage": "reboot"})
    script.run("d-1", run, hostvars={desk: dict(wishes) for desk in run.members})
    first = RunStore(here).waves("reboot")[0].desks
    assert (first[0] == "d-3") is counted


@shows("spark_topology")
def test_the_word_of_a_stack_says_how_it_is_joined(here: Path, _about: Any) -> None:
    desks = ("desk-01", "desk-02", "desk-03")
    for word in ("ring", "switch"):
        own: dict[str, dict[str, Any]] = {name: {"ansible_host": f"10.0.0.{place}"} for place, name in enumerate(desks)}
        plan = begin("stack_pair", hostvars_of(here, {}, own, {"lab_a": desks}, spark_topology=word))
        assert [stack["topology"] for stack in plan["stacks"]] == [word]


ENDS: dict[str, Any] = {
    "audit_since": "monday",
    "spark_show_notes": "true",
    "spark_certificates": "false",
    "spark_certificate_key": "~/.ssh/lab",
    "spark_certificate_serials": "yes",
    "spark_metrics_path": "/var/lib/metrics",
    "spark_webhook": {"url": "https://receiver.example/"},
}
"""What each brings about is tested in tests/unit/report/test_actions.py."""


@shows(*ENDS)
def test_what_is_asked_of_the_end_of_a_run(_about: Any) -> None:
    default = asked_of_the_end({})
    assert default == Asked() and len({repr(asked_of_the_end({name: value})) for name, value in ENDS.items()} - {repr(default)}) == len(
        ENDS
    )
    assert asked_of_the_end({"spark_certificates": "false"}).files.certificates is False


@shows("spark_stack_members")
def test_a_slice_that_splits_a_pair_is_known_from_a_wrong_inventory(here: Path, _about: Any) -> None:
    """Asked of ansible-playbook in tests/unit/run/test_slices.py."""
    own = {"desk-01": {"spark_stack_members": ["desk-01", "desk-02"]}}
    run = from_plain(begin("stack_pair", hostvars_of(here, {"pair_a": ("desk-01",)}, own)))
    assert run.stacks[0].members == ("desk-01", "desk-02") and run.outside(run.stacks[0]) == ("desk-02",)
    with pytest.raises(AnsibleActionFail, match=r"group pair_a of spark_pairs has 1 host.*slice.*PAIR_INCOMPLETE"):
        begin("stack_pair", hostvars_of(here, {"pair_a": ("desk-01",)}))


@shows("spark_fail_on")
@pytest.mark.parametrize(
    ("fail_on", "severity", "failed"),
    [("", "fail", False), ("fail", "fail", True), ("fail", "unknown", False), ("unknown", "unknown", True), ("never", "fail", False)],
)
def test_what_fails_a_play_outside_a_run(_about: Any, fail_on: str, severity: str, failed: bool) -> None:
    """Asked of ansible-playbook in tests/unit/alone."""
    assert fails(Part("facts", "desk-01", DONE, findings=({"code": "X", "severity": severity},)), fail_on) is failed


def test_no_wish_is_left_without_a_test() -> None:
    unlike = {want.variable for want in WANTS} ^ (TOLD | {row[0] for row in JUDGED})
    assert unlike == set(), f"wants without a row in JUDGED or a test marked @shows, or tests without a want: {sorted(unlike)}"


@pytest.mark.parametrize("want", [want for want in WANTS if want.role], ids=lambda want: want.variable)
def test_a_wish_of_a_role_is_a_variable_of_that_role(want: Any) -> None:
    assert want.variable in role_options(want.role), f"roles/{want.role}/meta/argument_specs.yml lacks {want.variable}"
    option = role_options(want.role)[want.variable]
    assert (option.get("type"), option.get("default"), tuple(option.get("choices") or ())) == (want.type, want.default, want.choices)


# ---- wrong ones ----------------------------------------------------------------------------------------------------------

WRONG = {
    "spark_pair_head": "perhaps",
    "spark_out_of_service": "later",
    "spark_topology": ["ring"],
    "spark_ssh_port": 70000,
    "spark_waves": "some",
    "spark_stages": ["rdma", "speed"],
    "desk_facts_purpose": "guess",
    "pair_link_take_over": "maybe",
    "pair_link_mtu": 1400,
    "pair_link_addresses": "slaac",
    "audit_baseline": "/nowhere/wanted.yml",
    "audit_since": "someday",
    "spark_show_notes": "perhaps",
    "spark_fail_on": "sometimes",
    "spark_stack_members": {"desk-01": "desk-02"},
    "spark_certificates": "some",
    "spark_certificate_serials": "few",
    "spark_webhook": "nowhere",
    "desk_reboot_policy": "sometimes",
    "driver_lock_reboot": "always",
    "dgx_os_minimum": "the newest",
    "dgx_os_newest_known": "future",
    "driver_lock_branch": "open",
    "desk_facts_cuda_major": "thirteen",
    "desk_facts_minimum_memlock_mib": "lots",
    "desk_facts_minimum_memory_gib": "128 GB",
    "desk_facts_mtu": "jumbo",
}
ANY_TEXT = {"spark_report_dir", "spark_known_hosts", "spark_certificate_key", "spark_metrics_path"}


def test_the_wrong_ones_are_all_there() -> None:
    unlike = (set(WRONG) | ANY_TEXT) ^ set(BY_NAME)
    assert unlike == set(), f"give each want a wrong value in WRONG above: {sorted(unlike)}"


@pytest.mark.parametrize("variable", WRONG)
def test_a_wrong_wish_is_refused_by_name_before_any_desk_is_asked(here: Path, variable: str) -> None:
    with pytest.raises(AnsibleActionFail) as refused:
        begin("stack_pair", hostvars_of(here, **{variable: WRONG[variable]}))
    text, wrong = str(refused.value), "speed" if variable == "spark_stages" else str(WRONG[variable])
    assert variable in text and wrong in text and "no desk was touched" in text
    assert not (here / "reports").exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("pair_proof_nccl_time_limit", "ten minutes"),
        ("pair_proof_nccl_max_bytes", "4Gi"),
        ("pair_proof_nccl_collective", "broadcast"),
        ("pair_proof_force", "perhaps"),
        ("pair_trust_open_firewall", "maybe"),
        ("pair_proof_marks", "mine"),
        ("pair_proof_nccl_iterations", "0"),
        ("pair_proof_nccl_max_bytes", "-1"),
        ("pair_proof_rdma_seconds", "0"),
        ("pair_proof_nccl_time_limit", "0"),
        ("pair_proof_marks", [{"name": "rdma_port", "value": "370,5"}]),
        ("pair_proof_marks", [{"name": "nccl_busbw", "value": 21}]),
        ("driver_lock_from", "/nowhere/fleet.lock.yml"),
        ("desk_update_from", "/nowhere/fleet.lock.yml"),
        ("nccl_bundle_archive", "/nowhere/bundle.tar.gz"),
        ("nccl_bundle_folder", "/opt"),
        ("nccl_bundle_folder", "/opt/../usr"),
        ("nccl_bundle_folder", "~/nccl"),
        ("pair_link_port", 2),
        ("pair_link_confirm_timeout", 5),
        ("pair_proof_rdma_first_port", 70000),
        ("driver_lock_lock_timeout", "-5"),
    ],
)
def test_a_wrong_option_of_a_role_is_refused_before_any_desk_is_changed(here: Path, variable: str, value: Any) -> None:
    with pytest.raises(AnsibleActionFail) as refused:
        begin("stack_pair", hostvars_of(here, **{variable: value}))
    assert variable in str(refused.value) and str(value) in str(refused.value) and "no desk was touched" in str(refused.value)


def test_options_of_roles_that_are_text_empty_or_not_yet_known_are_taken(here: Path) -> None:
    class Later(dict):  # type: ignore[type-arg]
        def get(self, name: str, default: Any = None) -> Any:
            if name == "pair_proof_marks":
                raise ValueError("its template speaks of a fact")
            return super().get(name, default)

    zero = {"pair_link_head_host": 0, "pair_proof_rdma_timeout": 0, "pair_proof_nccl_warmups": 0, "nccl_bundle_jobs": 0}
    zero |= {"pair_link_peer_host": 1, "pair_link_subnets": "10.7.0.0/31,10.7.0.2/31"}
    told = hostvars_of(here, pair_proof_nccl_time_limit="600", pair_proof_force="", pair_proof_marks="x", **zero)
    for host in told:
        told[host] = Later(told[host])
    assert begin("stack_pair", told)["run_id"]


def test_all_that_is_wrong_is_told_at_once_and_for_all_desks_once(here: Path) -> None:
    own = {"desk-01": {"pair_link_mtu": 1}, "desk-02": {"pair_link_mtu": 2}}
    with pytest.raises(AnsibleActionFail) as refused:
        begin("stack_pair", hostvars_of(here, own=own, pair_link_take_over="maybe"))
    text = str(refused.value)
    assert text.count("pair_link_take_over is 'maybe'") == 1 and "desk-01: pair_link_mtu" in text and "desk-02: " in text


def test_an_unknown_playbook_and_one_that_needs_pairs_are_refused(here: Path) -> None:
    with pytest.raises(AnsibleActionFail, match="stack_pairs"):
        begin("stack_pairs", hostvars_of(here))
    with pytest.raises(AnsibleActionFail, match="needs pairs"):
        begin("stack_pair", hostvars_of(here, {}, own={"desk-01": {}}))


@pytest.mark.parametrize("webhook", [{"url": "ftp://receiver.example/s3cret"}, {"headers": {"X": "s3cret"}}, {"url": ""}])
def test_a_webhook_without_an_address_is_refused_without_its_secrets(here: Path, webhook: Any) -> None:
    with pytest.raises(AnsibleActionFail, match="spark_webhook has no url") as refused:
        begin("audit", hostvars_of(here, spark_webhook=webhook))
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("url", ["https://ana:s3cret@hooks.lab/x", "https://hooks.lab/a b?key=s3cret", "http://hooks.lab:s3cret/"])
def test_a_webhook_that_cannot_be_asked_is_refused_before_any_desk(here: Path, url: str) -> None:
    with pytest.raises(AnsibleActionFail, match="spark_webhook") as refused:
        begin("audit", hostvars_of(here, spark_webhook={"url": url}))
    assert "s3cret" not in str(refused.value)


def test_a_run_of_this_folder_may_be_compared_with_by_its_id(here: Path) -> None:
    with pytest.raises(AnsibleActionFail, match="audit_since"):
        begin("audit", hostvars_of(here, audit_since="20261101T101500Z-3f2a"))
    (here / "reports" / "20261101T101500Z-3f2a").mkdir(parents=True)
    assert begin("audit", hostvars_of(here, audit_since="20261101T101500Z-3f2a"))["playbook"] == "audit"


def test_a_report_folder_that_cannot_be_made_is_named(here: Path) -> None:
    (here / "file").write_text("x")
    with pytest.raises(AnsibleActionFail, match="spark_report_dir"):
        begin("audit", hostvars_of(here, spark_report_dir=str(here / "file")))


def test_an_empty_wish_is_none(here: Path) -> None:
    assert check(dict.fromkeys((name for name, want in BY_NAME.items() if want.type != "str"), "")) == []
    with pytest.raises(WantError, match="desk-09: pair_link_mtu"):
        BY_NAME["pair_link_mtu"].read({"pair_link_mtu": "x"}, "desk-09")


@pytest.mark.parametrize(
    ("run", "skip", "words"),
    [
        (["link"], [], "-e spark_stages=link"),
        (["facts", "rdma", "nccl"], [], "--tags facts,rdma,nccl would leave out every stage"),
        (["always"], [], "--tags always"),
        (["tagged"], [], "--tags tagged"),
        (["all"], ["nccl", "mine"], "--skip-tags nccl does not say"),
        (["all"], ["untagged"], "--skip-tags untagged"),
        (["all"], ["mine"], None),
        (["untagged"], [], None),
    ],
)
@pytest.mark.parametrize("playbook", ["stack_pair", "unstack_pair"])
def test_tags_that_leave_stages_out_are_refused(here: Path, playbook: str, run: list[str], skip: list[str], words: str | None) -> None:
    given = {"ansible_run_tags": run, "ansible_skip_tags": skip}
    if words is None:
        assert begin(playbook, hostvars_of(here), **given)["run_id"]
        return
    with pytest.raises(AnsibleActionFail, match="no desk was touched") as refused:
        begin(playbook, hostvars_of(here), **given)
    assert words in str(refused.value)


def test_tags_that_a_playbook_around_this_one_gave_are_taken(here: Path) -> None:
    hostvars = hostvars_of(here)
    script = Script("spark_run", {"phase": "begin", "playbook": "audit"})
    script.task.tags = ["always", "lab"]
    for run in (["lab"], ["tagged"], ["all"]):
        assert script.run("desk-01", ansible_play_hosts_all=list(hostvars), hostvars=hostvars, ansible_run_tags=run)["run_id"]
    with pytest.raises(AnsibleActionFail, match="--tags other"):
        script.run("desk-01", ansible_play_hosts_all=list(hostvars), hostvars=hostvars, ansible_run_tags=["other"])


@pytest.mark.parametrize("playbook", ["unstack_pair", "unlock_driver"])
def test_stages_that_remove_nothing_are_no_removal(here: Path, playbook: str) -> None:
    hostvars = hostvars_of(here)
    with pytest.raises(AnsibleActionFail, match=f"{playbook}.yml would remove nothing; its stages are"):
        begin(playbook, hostvars, spark_stages="rdma,nccl")
    one = PLAYBOOKS[playbook].removes[0]
    assert begin(playbook, hostvars, spark_stages=one)["run_id"]


@pytest.mark.parametrize(
    ("playbook", "stages", "left"),
    [
        ("stack_pair", "reboot", "reboot; the stages of stack_pair.yml are dgx_os, driver, persistence, tools, keys, cable, link, trust,"),
        ("stack_pair", "rdma,reboot,nccl", "names reboot; the stages of stack_pair.yml are"),
        ("audit", "rdma,nccl", "names rdma, nccl; audit.yml has no stages to choose from: leave spark_stages out"),
        ("onboard", "rdma", "names rdma; the stages of onboard.yml are dgx_os, driver, persistence, containers, reboot"),
        ("calibrate", "rdma_before", "names rdma_before; the stages of calibrate.yml are rdma, nccl"),
        ("unstack_pair", "trust_absent,link", "names link; the stages of unstack_pair.yml are settings_absent, trust_absent, link_absent"),
    ],
)
def test_a_stage_that_the_playbook_does_not_have_is_refused(here: Path, playbook: str, stages: str, left: str) -> None:
    """It would be left out in silence, and nothing would be measured in a run that ends well."""
    with pytest.raises(AnsibleActionFail, match="no desk was touched") as refused:
        begin(playbook, hostvars_of(here), spark_stages=stages)
    assert left in str(refused.value)


def test_every_stage_of_a_playbook_can_be_chosen(here: Path) -> None:
    for name in PLAYBOOKS:
        for use in [use for file in (f"{name}.yml", *BROUGHT_IN.get(name, ())) for use in role_uses(ROOT / "playbooks" / file)]:
            stage = STAGES[str(use.stage)]
            if not stage.always and not PLAYBOOKS[name].removes:
                assert begin(name, hostvars_of(here), spark_stages=stage.name)["run_id"], (name, stage.name)


BROUGHT_IN = {"update": ("tasks/update_wave.yml",), "onboard": ("tasks/reboot_wave.yml",), "calibrate": ("tasks/calibrate_measure.yml",)}


def test_a_playbook_whose_stages_are_not_known_beforehand_takes_every_stage(here: Path) -> None:
    hostvars = hostvars_of(here)
    script = Script("spark_run", {"phase": "begin", "playbook": "audit"})
    for text in ("- hosts: all\n  vars: {spark_stage: '{{ x }}'}\n", "- import_playbook: gone.yml\n", "- hosts: all\n", "a: [\n"):
        script.playbook = str(here / "own.yml")
        Path(script.playbook).write_text(text, encoding="utf-8")
        hosts = {"ansible_play_hosts_all": list(hostvars), "hostvars": hostvars, "spark_stages": "rdma"}
        assert script.run("desk-01", **hosts)["run_id"], text
        with pytest.raises(AnsibleActionFail, match="names speed; stages are"):
            script.run("desk-01", **{**hosts, "spark_stages": "speed"})
