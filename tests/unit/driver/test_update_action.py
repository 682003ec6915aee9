"""The controller's half of an update: a stack moves as a whole, one desk after the other, and is settled only by its proof."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.lock_record import Before, Record
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, DgxOs, Identity, Setup
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import Gpu, Kernel, KernelImage
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.update import Change, Journal, Look
from ansible_collections.labops.dgx_spark.plugins.modules import desk_update as desk_update_module
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.gate import gate
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Run
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.stages import STAGES
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, FAILED, SKIPPED, Part, RunStore, Wave
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.updates import judge_updates
from sample_run import run_of
from samples import KERNEL, desk
from scripted_action import Script

NEXT = "6.17.0-1029-nvidia"
ONE, TWO = "6a1f0d3c-0000-4000-8000-000000000001", "6a1f0d3c-0000-4000-8000-000000000002"
NEWER = Kernel(NEXT, NEXT, (KernelImage(NEXT, True), KernelImage(KERNEL, True)))
MODULE = "labops.dgx_spark.desk_update"


def test_a_look_that_finds_no_room_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*_words: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/run/x")

    monkeypatch.setattr(desk_update_module, "claim", lambda *_given: None)
    monkeypatch.setattr(desk_update_module, "collect", lambda *_given: None)
    monkeypatch.setattr(desk_update_module.Looker, "look", refuse)
    with patch_module_args({"step": "plan", "desk": "desk-01"}), pytest.raises(SystemExit):
        desk_update_module.main()
    [found] = json.loads(capsys.readouterr().out)["findings"]
    assert found["code"] == "DISK_FULL" and "desk-01: /run/x" in found["message"] and "df -i" in found["remedy"]


FACTS = "labops.dgx_spark.spark_facts"
DRIVER = Change("nvidia-driver-580-open", "580.159.03-0ubuntu0.24.04.1", "580.190.02-0ubuntu0.24.04.1")


def start(**parts: Any) -> Desk:
    return desk(**{"dgx_os": DgxOs(True, "7.6.0"), "identity": Identity(hostname="spark-0a1b", boot_id=ONE), **parts})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_of(folder=tmp_path, playbook="update")


def put(run: Run, stage: str, name: str, state: str = DONE, findings: tuple[Any, ...] = (), **data: Any) -> None:
    told = tuple(item.as_dict() for item in findings)
    RunStore(run.run_dir).write(Part(stage, name, state, "pair_a", findings=told, data=data, started="1", ended="2"))


def planned(run: Run, *names: str, refused: bool = False, **data: Any) -> None:
    for name in names or ("desk-01", "desk-02"):
        put(run, "facts", name, spark=as_dict(start()))
        put(run, "update_plan", name, todo=True, refused=refused, versions={"libnccl2": "2.31"}, now={"driver": "580.159.03"}, **data)


def codes(result: dict[str, Any]) -> list[str]:
    return [item["code"] for item in result["findings"]]


class Desks:
    """A desk that answers: facts before and after a reboot, and what the module says."""

    def __init__(self, *updates: dict[str, Any], after: Desk | None = None) -> None:
        self.updates = list(updates)
        self.after = after or start(kernel=NEWER, identity=Identity(boot_id=TWO))
        self.rebooted = 0
        self.noted: list[str] = []

    def __call__(self, module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if module == FACTS:
            now = self.after if self.rebooted else start(kernel=replace(NEWER, running=KERNEL))
            return {"changed": False, "findings": [], "ansible_facts": {"spark": as_dict(now)}}
        if arguments["step"] == "note":
            self.noted.append(arguments["phase"])
            return {"changed": True, "findings": []}
        return {"changed": True, "findings": [], **self.updates.pop(0)}


def change(step: str, desks: Desks, run: Run, name: str = "desk-01", comes_back: str = "", **options: Any) -> tuple[Script, dict[str, Any]]:
    script = Script("desk_update", {"step": step, **options}, desks)

    def reboot(_patience: int, _task_vars: dict[str, Any]) -> str:
        desks.rebooted += 1
        return comes_back

    script.action.reboot = reboot
    return script, script.run(name, run)


REBOOT = {"reboot": True, "kernel_after": NEXT, "phase": "installed"}


def test_a_look_is_judged_with_the_facts_of_the_run(run: Run) -> None:
    put(run, "facts", "desk-01", spark=as_dict(start()))
    found = Look((DRIVER,), free={"/": 1 << 40, "/boot": 1 << 40, "/var": 1 << 40}, firmware=(), on_battery=False)
    script = Script("desk_update", {"step": "plan"}, [{"changed": False, "findings": [], "look": as_dict(found)}])
    result = script.run("desk-01", run)
    assert script.modules == [MODULE] and result["todo"] and not result["refused"] and codes(result) == ["UPDATE_AVAILABLE"]
    assert result["levels"]["driver"].endswith("-> 580.190.02") and result["versions"]["nvidia-driver-580-open"] == DRIVER.new


def test_holds_of_the_lock_are_no_reason_and_those_of_others_are(run: Run) -> None:
    record = Record("settled", held=("nvidia-driver-580-open", "docker-ce"), before=Before(None, ("docker-ce",)))
    held = desk(holds=("nvidia-driver-580-open", "docker-ce"), setup=Setup(driver_lock=record.to_json()), dgx_os=DgxOs(True, "7.6.0"))
    put(run, "facts", "desk-01", spark=as_dict(held))
    room = {"/": 1 << 40, "/boot": 1 << 40, "/var": 1 << 40}
    for changes, refused in (((DRIVER,), False), ((DRIVER, Change("docker-ce", "1", "2")), True)):
        answer = {"changed": False, "findings": [], "look": as_dict(Look(changes, free=room, firmware=(), on_battery=False))}
        assert Script("desk_update", {"step": "plan"}, [answer]).run("desk-01", run)["refused"] is refused


def test_a_desk_is_changed_rebooted_looked_at_and_noted(run: Run) -> None:
    planned(run)
    desks = Desks(REBOOT)
    script, result = change("update", desks, run)
    assert not result.get("failed") and result["changed"] and result["rebooted"] and desks.rebooted == 1 and desks.noted == ["started"]
    assert script.modules == [MODULE, FACTS, FACTS, MODULE]
    assert script.asked[0]["expected"] == {"libnccl2": "2.31"} and script.asked[0]["stack"] == "pair_a"


def test_a_desk_whose_packages_need_no_reboot_gets_none(run: Run) -> None:
    planned(run)
    desks = Desks({"reboot": False, "phase": "started"})
    _script, result = change("update", desks, run)
    assert not result.get("failed") and not result["rebooted"] and desks.rebooted == 0


@pytest.mark.parametrize(
    ("desks", "back", "code"),
    [
        (
            Desks({"failed": True, "msg": "apt", "findings": [finding("APT_FAILED", Where(desk="desk-01"), "apt").as_dict()]}),
            "",
            "APT_FAILED",
        ),
        (Desks(REBOOT), "timed out", "REBOOT_FAILED"),
        (Desks(REBOOT, after=start(identity=Identity(boot_id=TWO))), "", "REBOOT_FAILED"),
        (Desks(REBOOT, after=start(kernel=NEWER, identity=Identity(boot_id=ONE))), "", "REBOOT_FAILED"),
        (Desks(REBOOT, after=start(kernel=NEWER, identity=Identity(boot_id=TWO), gpu=Gpu(present=False, count=0))), "", "GPU_NOT_FOUND"),
    ],
)
def test_what_goes_wrong_ends_the_desk_and_keeps_the_other_one_as_it_is(run: Run, desks: Desks, back: str, code: str) -> None:
    planned(run)
    _script, result = change("update", desks, run, comes_back=back)
    assert result["failed"] and codes(result) == [code] and desks.noted == (["started"] if code == "GPU_NOT_FOUND" else [])
    other = Desks(REBOOT)
    script, result = change("update", other, run, "desk-02")
    assert result["failed"] and codes(result) == ["UPDATE_REFUSED"] and script.modules == [] and "desk-01" in result["msg"]


@pytest.mark.parametrize("missing", ["refused", "skipped", "none"])
def test_a_stack_moves_as_a_whole_or_not_at_all(run: Run, missing: str) -> None:
    planned(run, "desk-01")
    if missing == "refused":
        busy = finding("PAIR_BUSY", Where(desk="desk-02"), "in use")
        put(run, "update_plan", "desk-02", findings=(busy,), todo=True, refused=True)
    elif missing == "skipped":
        put(run, "update_plan", "desk-02", SKIPPED)
    script, result = change("update", Desks(REBOOT), run)
    assert codes(result) == ["UPDATE_REFUSED"] and "desk-02" in result["msg"] and script.modules == []


def test_check_mode_changes_nothing(run: Run) -> None:
    planned(run)
    script = Script("desk_update", {"step": "update"}, check_mode=True)
    assert script.run("desk-01", run)["changed"] and script.modules == []


def test_a_way_back_changes_twice_with_a_reboot_between(run: Run) -> None:
    desks = Desks({"reboot": True, "kernel_after": NEXT, "phase": "rolling_back"}, {"reboot": False, "phase": "rolled_back"})
    script, result = change("roll_back", desks, run)
    assert not result.get("failed") and result["phase"] == "rolled_back" and desks.rebooted == 1
    assert script.modules == [MODULE, FACTS, FACTS, MODULE] and desks.noted == []
    endless = Desks(*[{"reboot": True, "kernel_after": NEXT, "phase": "rolling_back"}] * 2)
    endless.after = start(kernel=NEWER, identity=Identity(boot_id=None))
    _script, result = change("roll_back", endless, run, "desk-02")
    assert result["failed"] and codes(result) == ["REBOOT_FAILED"]


def test_one_stack_at_a_time_is_taken_back(tmp_path: Path) -> None:
    two = run_of({"pair_a": ("desk-01", "desk-02"), "pair_b": ("desk-03", "desk-04")}, folder=tmp_path, playbook="rollback_update")
    script, result = change("roll_back", Desks(), two)
    assert codes(result) == ["UPDATE_ROLLBACK_IMPOSSIBLE"] and script.modules == [] and "pair_b" in result["msg"]


# ---- the proof ----------------------------------------------------------------------------------------------------------


def proven(run: Run, phase: str = "started", nccl: float = 22.4, before: float = 22.4) -> None:
    """A stack after its update, with a proof right before and one now."""
    updated = start(setup=Setup(update_journal=Journal(phase, "r", "pair_a")), kernel=NEWER)
    for name in ("desk-01", "desk-02"):
        put(run, "update_plan", name, now={"kernel": KERNEL})
        put(run, "facts", name, spark=as_dict(updated))
    for stage, value in (("nccl_before", before), ("nccl", nccl)):
        put(run, stage, "desk-01", measured=True, rows=[], avg_busbw=value)
    for stage in ("rdma_before", "rdma"):
        put(run, stage, "desk-01", measured=True)


def prove(run: Run, name: str = "desk-01", monkeypatch: pytest.MonkeyPatch | None = None) -> tuple[Desks, dict[str, Any]]:
    desks = Desks()
    script = Script("desk_update", {"step": "prove"}, desks)
    if monkeypatch is not None:
        monkeypatch.setattr(script.module, "figures_of", figures)
    return desks, script.run(name, run)


def figures(stack: dict[str, Any]) -> list[dict[str, Any]]:
    nccl = stack["nccl"]
    return [{"id": "nccl", "title": "NCCL", "value": nccl["avg_busbw"]}] if nccl else []


def test_a_stack_that_is_as_good_as_before_is_settled(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    proven(run)
    for name in ("desk-01", "desk-02"):
        desks, result = prove(run, name, monkeypatch)
        assert codes(result) == ["UPDATE_PROVEN"] and desks.noted == ["settled"]
        assert result["levels"] == {"kernel": f"{KERNEL} -> {NEXT}"}


def test_a_slower_stack_is_not(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    proven(run, nccl=14.0)
    desks, result = prove(run, "desk-01", monkeypatch)
    assert codes(result) == ["UPDATE_SLOWER", "UPDATE_HALF_DONE"] and desks.noted == []
    _desks, result = prove(run, "desk-02", monkeypatch)
    assert codes(result) == ["UPDATE_HALF_DONE"] and "UPDATE_SLOWER" in result["findings"][0]["message"]


def test_a_stack_whose_desk_is_sick_or_that_was_not_measured_is_not(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    proven(run)
    put(run, "nccl", "desk-01", measured=False)
    desks, result = prove(run, "desk-02", monkeypatch)
    assert codes(result) == ["UPDATE_HALF_DONE"] and "nccl was not measured" in result["findings"][0]["message"] and desks.noted == []
    proven(run)
    put(run, "update", "desk-02", FAILED, (finding("REBOOT_FAILED", Where(desk="desk-02"), "gone"),))
    _desks, result = prove(run, "desk-01", monkeypatch)
    assert codes(result) == ["UPDATE_HALF_DONE"] and "REBOOT_FAILED" in result["findings"][0]["message"]


@pytest.mark.parametrize(("phase", "expected"), [("installed", ["UPDATE_HALF_DONE"]), ("settled", []), (None, [])])
def test_an_update_that_broke_off_is_half_done_before_anybody_reads_the_desk_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, phase: str | None, expected: list[str]
) -> None:
    """The desk's facts are those from before it, without a journal."""
    proven(run, "settled")
    refused = finding("REBOOT_REFUSED", Where(desk="desk-02"), "desk-02 was not rebooted", severity="unknown")
    put(run, "update", "desk-02", FAILED, (refused,), phase=phase)
    desks, result = prove(run, "desk-02", monkeypatch)
    assert codes(result) == expected and desks.noted == []
    assert not expected or "REBOOT_REFUSED" in result["findings"][0]["message"]


def test_a_stack_without_an_open_update_is_left_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    proven(run, "settled")
    desks, result = prove(run, "desk-01", monkeypatch)
    assert result["findings"] == [] and not result["changed"] and desks.noted == []


# ---- all desks together, and wave by wave -------------------------------------------------------------------------------


PAIRS = {"pair_a": ("desk-01", "desk-02"), "pair_b": ("desk-03", "desk-04")}


def four(tmp_path: Path, **more: Any) -> Run:
    return run_of(PAIRS, folder=tmp_path, playbook="update", **more)


def test_the_plan_says_which_stacks_have_something_to_do(tmp_path: Path) -> None:
    run, store = four(tmp_path), RunStore(tmp_path)
    level = {"driver": "580.159.03 -> 580.190.02"}
    store.write(Part("update_plan", "desk-01", DONE, "pair_a", data={"todo": False, "versions": {"libnccl2": "2.31"}}))
    store.write(Part("update_plan", "desk-02", DONE, "pair_a", data={"todo": True, "versions": {"libnccl2": "2.31"}, "levels": level}))
    store.write(Part("update_plan", "desk-03", DONE, "pair_b", data={"todo": True, "versions": {"libnccl2": "2.31"}}))
    store.write(Part("update_plan", "desk-04", DONE, "pair_b", data={"todo": True, "refused": True, "versions": {"libnccl2": "2.30"}}))
    lines, found = judge_updates(run, store)
    assert found == [], "a desk that may not go would not end anywhere"
    todo = {name: part.data["todo"] for name, part in store.parts("update_targets").items()}
    assert todo == {"desk-01": True, "desk-02": True, "desk-03": False, "desk-04": False}
    assert any("580.159.03 -> 580.190.02" in row for row in lines) and any("refused" in row for row in lines)
    for name, goes in todo.items():
        assert gate(run, store, name, STAGES["update"]).proceed is goes


def test_desks_of_a_stack_that_would_part_keep_it_as_it_is(tmp_path: Path) -> None:
    run, store = four(tmp_path), RunStore(tmp_path)
    for name, version in (("desk-01", "2.31"), ("desk-02", "2.30"), ("desk-03", "2.31"), ("desk-04", "2.31")):
        store.write(Part("update_plan", name, DONE, run.members[name].stack, data={"todo": True, "versions": {"libnccl2": version}}))
    judge_updates(run, store)
    for name in run.members:
        answer = gate(run, store, name, STAGES["update"])
        assert answer.proceed is (name in PAIRS["pair_b"]), answer
        assert answer.proceed or "UPDATE_TARGETS_DIFFER" in answer.reason


@pytest.mark.parametrize(
    ("proof", "goes", "word"),
    [
        (Part("update_end", "desk-01", DONE, "pair_a"), True, ""),
        (None, False, "left no result"),
        (Part("update_end", "desk-01", FAILED, "pair_a", "broken"), False, "broken"),
        (Part("update_end", "desk-01", DONE, "pair_a", findings=({"code": "UPDATE_SLOWER", "severity": "fail"},)), False, "UPDATE_SLOWER"),
        (Part("update_end", "desk-01", DONE, "pair_a", findings=({"code": "PAIR_BUSY", "severity": "unknown"},)), False, "PAIR_BUSY"),
        (Part("update_end", "desk-01", DONE, "pair_a", findings=({"code": "UPDATE_PROVEN", "severity": "ok"},)), True, ""),
    ],
)
@pytest.mark.parametrize("stage", ["rdma_before", "update", "driver", "link", "rdma"])
def test_the_next_wave_waits_for_the_proof_of_the_one_before(tmp_path: Path, stage: str, proof: Part | None, goes: bool, word: str) -> None:
    """The pilot's way is held against its end, whichever stage the next wave comes to."""
    run, store = four(tmp_path), RunStore(tmp_path)
    store.keep_waves("update", [Wave(1, PAIRS["pair_a"]), Wave(2, PAIRS["pair_b"], PAIRS["pair_a"])])
    for name in run.members:
        store.write(Part("update_targets", name, DONE, data={"todo": True}))
    store.write(Part("update_end", "desk-02", DONE, "pair_a"))
    if proof is not None:
        store.write(proof)
    answer = gate(run, store, "desk-03", STAGES[stage], 2)
    assert answer.proceed is goes
    assert goes or ([item["code"] for item in answer.findings] == ["WAVE_STOPPED"] and word in answer.findings[0]["message"])
    assert gate(run, store, "desk-03", STAGES[stage], 1).silent, "its tasks belong to another wave"


@pytest.mark.parametrize(("state", "goes"), [(FAILED, False), (DONE, True), (SKIPPED, True)])
def test_the_next_wave_waits_for_a_change_that_broke_off(tmp_path: Path, state: str, goes: bool) -> None:
    """Nothing came of it that could be proven."""
    run, store = four(tmp_path), RunStore(tmp_path)
    store.keep_waves("update", [Wave(1, PAIRS["pair_a"]), Wave(2, PAIRS["pair_b"], PAIRS["pair_a"])])
    for name in run.members:
        store.write(Part("update_targets", name, DONE, data={"todo": True}))
    for name in PAIRS["pair_a"]:
        store.write(Part("update_end", name, DONE, "pair_a"))
    store.write(Part("update", "desk-02", state, "pair_a", "desk-02 was not rebooted"))
    answer = gate(run, store, "desk-03", STAGES["update"], 2)
    assert answer.proceed is goes and (goes or "desk-02" in answer.findings[0]["message"])
