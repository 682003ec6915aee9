"""The tables of stages and playbooks against the playbooks themselves, and when a stage concerns a desk."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.settings import PAIR_ENV
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import CODES, finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, Setup
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.gate import gate, takes_part
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.stages import (
    DESK,
    PLAYBOOKS,
    STACK,
    STAGES,
    STOPS_DESK,
    UNIT,
    stage_of_part,
)
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, FAILED, SKIPPED, Part, RunStore, Wave
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.waves import LOSSES
from house import OFFLINE, OTHER_NAMES, OURS, PLAYBOOK_NAMES, ROLE_NAMES, ROLES, RoleUse, load, role_uses, tasks_of
from house import PLAYBOOKS as FOLDER
from sample_run import run_of
from scripted_action import Script, part

IMPORTED = {"update_after", "verdict"}
"""Tasks that several files import; they are looked at in those."""
FILES = sorted([*FOLDER.glob("*.yml"), *(path for path in FOLDER.glob("tasks/*.yml") if path.stem not in IMPORTED)])
USES = [use for path in FILES for use in role_uses(path)]
WITHOUT_A_RUN = {"record", *OFFLINE, *OTHER_NAMES}
"""Playbooks that begin no run of their own: they write recordings on the controller, read what earlier runs left there, or are another
playbook under a second name."""
JUDGED = {"desks": "together", "cables": "cable_map", "logins": "enrol_pairs", "updates": "update_targets"}
"""Subject of spark_judge to the part that it leaves."""


def ours(path: Path, module: str) -> list[dict[str, Any]]:
    """The arguments of every task of a playbook that uses one of our modules."""
    return [task[OURS + module] or {} for task in tasks_of(path) if OURS + module in task]


# ---- the tables against the playbooks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.file}:{use.role}.{use.entry}")
def test_a_role_in_a_playbook_is_the_stage_that_it_names(use: RoleUse) -> None:
    assert use.stage in STAGES, "a role without a stage fails the desk, and Ansible drops it before the report"
    stage = STAGES[str(use.stage)]
    assert (stage.role, stage.entry) == (use.role, use.entry)


@pytest.mark.parametrize("stage", [stage for stage in STAGES.values() if stage.role], ids=lambda stage: stage.name)
def test_every_stage_with_a_role_is_one_task_that_some_playbook_uses(stage: Any) -> None:
    assert stage.role in ROLE_NAMES and any(use.stage == stage.name for use in USES)
    tasks = load(ROLES / stage.role / "tasks" / f"{stage.entry}.yml")
    assert len(tasks) == 1 and any(str(key).startswith(OURS) for key in tasks[0]), "a stage is one task"
    assert "timeout" in tasks[0] or stage.name == "dgx_os", "a task without a limit can hold the run for ever"


def test_the_rows_know_each_other() -> None:
    assert all(name == stage.name for name, stage in STAGES.items())
    assert {item for stage in STAGES.values() for item in stage.despite if item != "*"} <= set(STAGES)
    assert {item for playbook in PLAYBOOKS.values() for item in playbook.despite} <= set(STAGES)
    assert {check.stage for playbook in PLAYBOOKS.values() for check in playbook.required} <= set(STAGES)
    assert set(JUDGED.values()) == {name for name, stage in STAGES.items() if not stage.role}
    assert set(CODES) >= STOPS_DESK | LOSSES
    assert (stage_of_part("rdma_12"), stage_of_part("enrol_pairs"), stage_of_part("facts")) == ("rdma", "enrol_pairs", "facts")


def test_every_playbook_is_in_the_table_and_begins_under_its_own_name() -> None:
    wrong = set(PLAYBOOKS) ^ (set(PLAYBOOK_NAMES) - WITHOUT_A_RUN)
    assert wrong == set(), f"in only one of PLAYBOOKS (plugin_utils/run/stages.py) and playbooks/: {sorted(wrong)}"
    for name in PLAYBOOKS:
        phases = ours(FOLDER / f"{name}.yml", "spark_run")
        assert phases[0] == {"phase": "begin", "playbook": name}


@pytest.mark.parametrize("name", sorted(PLAYBOOKS))
def test_a_playbook_has_every_stage_that_its_verdict_asks_for(name: str) -> None:
    path = FOLDER / f"{name}.yml"
    there = {use.stage for use in role_uses(path)} | {JUDGED[item["subject"]] for item in ours(path, "spark_judge")}
    if name in ("calibrate", "isolate", "update"):
        there |= {use.stage for file in FOLDER.glob(f"tasks/{name}_*.yml") for use in role_uses(file)}
    # The part is asked for, whichever stage leaves it.
    there |= {STAGES[str(stage)].kept_as for stage in there}
    assert {check.stage for check in PLAYBOOKS[name].required} <= there


@pytest.mark.parametrize("name", sorted(set(PLAYBOOK_NAMES) - WITHOUT_A_RUN - {"calibrate", "isolate", "lock_from"}))
def test_a_playbook_ends_with_report_and_verdict(name: str) -> None:
    phases = [item["phase"] for item in ours(FOLDER / f"{name}.yml", "spark_run")]
    assert phases[-2:] == ["report", "verdict"]


@pytest.mark.parametrize("name", sorted(set(PLAYBOOK_NAMES) - OFFLINE - set(OTHER_NAMES)))
def test_the_first_play_is_refused_when_no_desk_is_in_scope(name: str) -> None:
    assert load(FOLDER / f"{name}.yml")[0]["hosts"] == "{{ lookup('labops.dgx_spark.scope') }}"


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_a_second_name_is_the_playbook_and_nothing_else(name: str) -> None:
    (only,) = load(FOLDER / f"{name}.yml")
    assert only["import_playbook"] == f"{OTHER_NAMES[name]}.yml" and set(only) == {"name", "import_playbook"}


@pytest.mark.parametrize("use", [use for use in USES if STAGES[str(use.stage)].waves], ids=lambda use: f"{use.file}:{use.stage}")
def test_a_stage_that_goes_in_waves_has_them_chosen_before(use: RoleUse) -> None:
    if use.file.startswith("isolate_") or use.file == "rollback_update.yml":
        # Two desks, one stack: there is nothing to hold back.
        assert use.wave is None
        return
    if use.file == "update_wave.yml" and use.stage != PLAYBOOKS["update"].follows:
        # A wave there is a stack's whole way: each of its stages follows the waves of the update.
        assert use.wave is None and PLAYBOOKS["update"].follows
        return
    owners = [path for path in FOLDER.glob("*.yml") if path.name == use.file or f"tasks/{use.file}" in path.read_text(encoding="utf-8")]
    assert owners
    for path in owners:
        tasks = tasks_of(path)
        chosen = [
            (number, task["register"])
            for number, task in enumerate(tasks)
            if task.get(OURS + "spark_run") == {"phase": "waves", "stage": use.stage}
        ]
        assert len(chosen) == 1
        place, registered = chosen[0]
        if path.name == use.file:
            assert place < use.place and use.wave == 1
            continue
        if not any(other.stage == use.stage for other in role_uses(path)):
            # The first wave goes through the same tasks as the others.
            whole = [
                (number, task) for number, task in enumerate(tasks) if task.get("ansible.builtin.include_tasks") == f"tasks/{use.file}"
            ]
            assert [(number > place, task["loop"], task["loop_control"]) for number, task in whole] == [
                (True, "{{ %s.waves }}" % registered, {"loop_var": "spark_wave"})  # noqa: UP031
            ]
            continue
        loops = [(number, task) for number, task in enumerate(tasks) if task.get("ansible.builtin.include_tasks") == f"tasks/{use.file}"]
        first = [other.place for other in role_uses(path) if other.stage == use.stage]
        assert [(number > first[0] > place, task["loop"], task["loop_control"]) for number, task in loops] == [
            (True, "{{ %s.waves[1:] }}" % registered, {"loop_var": "spark_wave"})  # noqa: UP031
        ]


# ---- the gate -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A run in which every judgement on the controller found something to do."""
    store = RunStore(tmp_path)
    for stage in {stage.asked_by for stage in STAGES.values() if stage.asked_by}:
        for desk in ("desk-01", "desk-02", "desk-09"):
            store.write(Part(stage, desk, DONE, data={"todo": True}))
    return store


def bad(code: str = "PAIR_DRIFT", severity: str = "fail") -> dict[str, Any]:
    return {"code": code, "severity": severity, "message": code}


MEMBERS = [name for name, stage in STAGES.items() if stage.scope != DESK]


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("breaker", sorted(STAGES))
@pytest.mark.parametrize("victim", ["desk-01", "desk-02"])
def test_what_fails_on_one_desk_keeps_the_stack_from_what_follows(store: RunStore, name: str, breaker: str, victim: str) -> None:
    """The proof is withdrawn whatever failed, an update is judged and taken back whatever failed, and may mend a desk; NCCL is tried over
    a slow link; nothing else goes on."""
    assert {item for item, one in STAGES.items() if "*" in one.despite} == {
        "settings",
        "update_end",
        "lock_open_back",
        "lock_closed",
        "roll_back",
    }
    stage, kept_as = STAGES[name], STAGES[breaker].kept_as
    store.write(Part(kept_as, victim, DONE, "pair_a", findings=(bad(),), data={"todo": True}))
    goes = "*" in stage.despite or kept_as in stage.despite or (kept_as == stage.kept_as and victim != "desk-01")
    answer = gate(run_of(folder=store.run_dir), store, "desk-01", stage)
    if stage.after_change and kept_as != "facts":
        return
    assert answer.proceed is goes and (goes or (victim in answer.reason and "PAIR_DRIFT" in answer.reason))


def test_a_proof_is_withdrawn_when_the_desks_drifted_apart(store: RunStore) -> None:
    """Fault 3: the stage that judges desks together was missing from what does not stop the settings."""
    run = run_of(folder=store.run_dir)
    apart = finding("PAIR_DRIFT", Where(pair="pair_a"), "pair pair_a: the drivers differ").as_dict()
    old = as_dict(Desk(setup=Setup(pair_env="NCCL_IB_HCA==rocep1s0f0\n")))
    for desk in ("desk-01", "desk-02"):
        store.write(Part("facts", desk, DONE, "pair_a", data={"spark": old}))
    store.write(Part("together", "desk-01", DONE, "pair_a", findings=(apart,)))
    for desk in ("desk-01", "desk-02"):
        for name in ("link", "trust", "rdma"):
            assert not gate(run, store, desk, STAGES[name]).proceed
        script = Script("pair_settings", {}, [{"changed": True}])
        result = script.run(desk, run, "settings", ansible_facts={"spark": old})
        assert script.modules == [OURS + "pair_files"] and result["changed"] is True
        assert {item["path"]: item["content"] for item in script.asked[0]["files"]}[PAIR_ENV] is None
        kept = part(run, "settings", desk)
        assert kept is not None and kept.state == DONE and [item["code"] for item in kept.findings] == ["PAIR_SETTINGS_WITHDRAWN"]


@pytest.mark.parametrize("name", sorted(STAGES))
def test_a_stack_that_is_not_whole_or_out_of_service_is_left_alone(store: RunStore, name: str) -> None:
    stage = STAGES[name]
    if stage.after_change:
        return
    half = gate(run_of(scope=("desk-01",), folder=store.run_dir), store, "desk-01", stage)
    out = gate(run_of(out=("pair_a",), folder=store.run_dir), store, "desk-01", stage)
    alone = gate(run_of({}, ("desk-09",), folder=store.run_dir), store, "desk-09", stage)
    if stage.scope == DESK:
        assert half.proceed and out.proceed and alone.proceed
        return
    assert "desk-02 is not in this run" in half.reason and not half.silent
    assert "out of service" in out.reason and not out.silent
    assert alone.proceed if stage.scope == UNIT else (alone.silent and alone.reason)


@pytest.mark.parametrize("name", [name for name, stage in STAGES.items() if stage.scope == STACK])
def test_a_stage_of_the_stack_runs_on_its_head_alone(store: RunStore, name: str) -> None:
    run = run_of({"pair_a": ("desk-02", "desk-01")}, folder=store.run_dir)
    assert gate(run, store, "desk-02", STAGES[name]).proceed
    assert gate(run, store, "desk-01", STAGES[name]).silent


@pytest.mark.parametrize("allowed", [True, False])
def test_a_wrong_cable_keeps_the_link_away(store: RunStore, allowed: bool) -> None:
    store.write(Part("cable_map", "desk-01", DONE, "pair_a", data={"allowed": allowed}))
    answer = gate(run_of(folder=store.run_dir), store, "desk-01", STAGES["link"])
    assert answer.proceed is allowed and (allowed or "cabling" in answer.reason)


@pytest.mark.parametrize(
    ("changed", "check_mode", "goes"), [(True, False, True), (False, False, False), (True, True, False), (False, True, False)]
)
def test_facts_are_read_again_only_where_something_changed(store: RunStore, changed: bool, check_mode: bool, goes: bool) -> None:
    run = run_of(folder=store.run_dir, check_mode=check_mode)
    store.write(Part("facts", "desk-01", DONE, "pair_a", started="2026-11-22T10:00:00.000000Z", ended="2026-11-22T10:00:01.000000Z"))
    store.write(Part("driver", "desk-01", DONE, "pair_a", ended="2026-11-22T10:00:02.000000Z", changed=changed))
    answer = gate(run, store, "desk-01", STAGES["facts_again"])
    assert answer.proceed is goes and answer.silent is not goes


def test_a_change_before_the_facts_is_no_reason_to_read_again(store: RunStore) -> None:
    store.write(Part("enrol", "desk-01", DONE, "pair_a", ended="2026-11-22T09:00:00.000000Z", changed=True))
    store.write(Part("facts", "desk-01", DONE, "pair_a", started="2026-11-22T10:00:00.000000Z", ended="2026-11-22T10:00:01.000000Z"))
    assert gate(run_of(folder=store.run_dir), store, "desk-01", STAGES["facts_again"]).silent


@pytest.mark.parametrize("name", ["driver", "containers", "reboot", "tools"])
@pytest.mark.parametrize("code", sorted(STOPS_DESK))
def test_what_makes_a_desk_unusable_stops_its_own_stages_only(store: RunStore, name: str, code: str) -> None:
    store.write(Part("facts", "desk-01", DONE, "pair_a", findings=(bad(code),)))
    run = run_of(folder=store.run_dir)
    assert code in gate(run, store, "desk-01", STAGES[name]).reason and gate(run, store, "desk-02", STAGES[name]).proceed


@pytest.mark.parametrize("severity", ["note", "warn", "unknown", "ok"])
def test_what_does_not_fail_stops_nothing(store: RunStore, severity: str) -> None:
    store.write(Part("facts", "desk-02", DONE, "pair_a", findings=(bad("DESK_NOT_GB10", severity),)))
    assert gate(run_of(folder=store.run_dir), store, "desk-01", STAGES["link"]).proceed


def test_a_stage_that_broke_without_a_finding_stops_as_well(store: RunStore) -> None:
    store.write(Part("trust", "desk-02", FAILED, "pair_a", "boom"))
    assert "desk-02 failed in stage trust" in gate(run_of(folder=store.run_dir), store, "desk-01", STAGES["rdma"]).reason


@pytest.mark.parametrize("playbook", ["calibrate", "isolate"])
def test_what_is_calibrated_or_isolated_does_not_stop_it(store: RunStore, playbook: str) -> None:
    store.write(Part("facts", "desk-02", DONE, "pair_a", findings=(bad("PCIE_REDUCED"),)))
    assert gate(run_of(folder=store.run_dir, playbook=playbook), store, "desk-01", STAGES["rdma"]).proceed
    assert not gate(run_of(folder=store.run_dir), store, "desk-01", STAGES["rdma"]).proceed


def test_two_members_that_answer_at_once_do_not_stop_each_other(store: RunStore) -> None:
    """A gate and its part are one task, so another member's part of this very stage may be there already, or not."""
    run = run_of(folder=store.run_dir)
    before = takes_part(run, store, "desk-02", STAGES["link"])
    store.write(Part("link", "desk-01", FAILED, "pair_a", findings=(bad("CX7_LINK_DOWN"),)))
    assert before and takes_part(run, store, "desk-02", STAGES["link"])
    assert not takes_part(run, store, "desk-02", STAGES["trust"])


def test_nobody_waits_for_waves_that_were_not_chosen(store: RunStore) -> None:
    run = run_of(folder=store.run_dir)
    assert gate(run, store, "desk-01", STAGES["link"], 1).proceed and gate(run, store, "desk-01", STAGES["link"]).proceed
    assert gate(run, store, "desk-01", STAGES["link"], 2).silent
    store.keep_waves("reboot", [Wave(1, ("desk-09",)), Wave(2, ("desk-01",), ("desk-09",))])
    assert gate(run, store, "desk-01", STAGES["link"], 1).proceed


def test_a_desk_that_was_held_back_is_skipped_by_what_follows(store: RunStore) -> None:
    held = finding("WAVE_STOPPED", Where(pair="pair_a", desk="desk-01"), "left as it is").as_dict()
    store.write(Part("link", "desk-01", SKIPPED, "pair_a", findings=(held,)))
    for desk in ("desk-01", "desk-02"):
        assert "WAVE_STOPPED" in gate(run_of(folder=store.run_dir), store, desk, STAGES["rdma"]).reason
    assert gate(run_of(folder=store.run_dir), store, "desk-01", STAGES["settings"]).proceed


def test_the_table_cannot_be_changed_by_mistake() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        STAGES["link"].waves = False  # type: ignore[misc]


@pytest.mark.parametrize("stage", STAGES.values(), ids=list(STAGES))
def test_a_desk_out_of_service_is_left_alone_by_every_stage_and_its_partner_by_those_of_the_stack(tmp_path: Path, stage: Any) -> None:
    run = run_of(folder=tmp_path, out={"pair_a"}, left_alone={"desk-02"})
    store = RunStore(run.run_dir)
    if stage.asked_by:
        for desk in ("desk-01", "desk-02"):
            store.write(Part(stage.asked_by, desk, DONE, "pair_a", data={"todo": True}))
    closed = gate(run, store, "desk-02", stage)
    assert not closed.proceed
    if not stage.after_change:
        assert closed.reason == "desk-02 is out of service" and closed.silent is not stage.always
    assert gate(run, store, "desk-01", stage).proceed is (stage.scope == DESK and not stage.after_change)
