"""A stack's whole way through the real actions, gate and modules' code, on two real package systems.

Only ssh, the boot and the measurements are played.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aptroot
import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import apt_preferences, driver_lock
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.apt_runner import Limits
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.update import SUBSETS, Updater, Wanted, result_of
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.update_journal import PATH, parse
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.update_look import Looker
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.options import Options
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.update import Wishes
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, Part, RunStore
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.updates import judge_updates
from aptroot import KERNEL, KERNEL_NEW, NEW, NEXT_KERNEL, OLD, AptRoot, Control, driver, kernel, stock_controls
from sample_run import run_of
from scripted_action import Script
from test_update_on_real_apt import GRUB, boot

LIMITS = Limits(lock=4, fetch=60, install=120)
NAMES = ("desk-01", "desk-02")
FORCE = {"force": True}
"""Nobody computes on a folder, and nvidia-smi is not there to say so."""


class Stack:
    """Two desks, and runs over them."""

    def __init__(self, folder: Path, desks: dict[str, AptRoot]) -> None:
        self.folder, self.desks = folder, desks
        self.hangs: set[str] = set()
        self.slow = False
        self.number = 0
        self.started: list[str] = []
        for name in desks:
            self.start(name)

    def start(self, name: str) -> None:
        """What a boot does: GRUB's choice runs, with the module that is installed."""
        desk = self.desks[name]
        release = collect(desk, Options(subsets=("kernel",))).kernel.next_boot or KERNEL
        desk.remove("/boot/grub/grubenv")
        desk.write_file("/proc/sys/kernel/random/boot_id", f"{uuid.uuid4()}\n")
        desk.write_file("/boot/grub/grub.cfg", GRUB)
        installed = desk.versions()["nvidia-driver-580-open"].partition("-")[0]
        boot(desk, release, installed)
        self.started.append(name)

    # ---- one run --------------------------------------------------------------------------------------------------------

    def begin(self, playbook: str) -> None:
        """A new run."""
        self.number += 1
        self.run = run_of(folder=self.folder / f"run-{self.number}", playbook=playbook)
        self.store = RunStore(self.run.run_dir)
        for name in NAMES:
            self.facts(name)
            self.store.write(Part("cable_map", name, DONE, "pair_a", data={"allowed": True, "proven": True}))

    def facts(self, name: str) -> None:
        data = {"spark": as_dict(collect(self.desks[name], Options(subsets=SUBSETS)))}
        self.store.write(Part("facts", name, DONE, "pair_a", data=data, started="1", ended="2"))

    def measure(self, stage: str) -> None:
        value = 14.0 if self.slow and not stage.endswith("before") else 22.0
        row = {"bytes": 1 << 32, "out_of_place": {"busbw": value}, "in_place": {"busbw": value}}
        self.store.write(Part(stage, NAMES[0], DONE, "pair_a", data={"measured": True, "rows": [row] if "nccl" in stage else []}))

    def stage(self, action: str, stage: str, name: str, **arguments: Any) -> dict[str, Any]:
        """A stage on a desk, as its task makes it."""
        forced = {} if arguments.get("step") == "prove" else FORCE
        script = Script(action, {**arguments, **forced}, self._module(name))

        def reboot(_patience: int, _task_vars: dict[str, Any]) -> str:
            if name in self.hangs:
                return "timed out waiting for the desk"
            self.start(name)
            return ""

        script.action.reboot = reboot
        facts = self.store.part("facts", name)
        return script.run(name, self.run, stage, ansible_facts={"spark": dict(facts.data["spark"]) if facts else {}})

    def _module(self, name: str) -> Any:
        desk, where = self.desks[name], Where(desk=name)

        def observe() -> Any:
            return collect(desk, Options(subsets=SUBSETS))

        def answer(module: str, given: dict[str, Any]) -> dict[str, Any]:
            if module.endswith("spark_facts"):
                return {"changed": False, "findings": [], "ansible_facts": {"spark": as_dict(observe())}}
            if module.endswith("driver_lock"):
                return driver_lock.run(desk, driver_lock.wanted(given), observe, name=name, limits=LIMITS)
            if given["step"] == "plan":
                looker = Looker(desk, where, 580, apt_preferences.render(), LIMITS)
                return {"changed": False, "look": as_dict(looker.look(observe(), {})), "findings": []}
            want = Wanted(Wishes(force=True), {}, given.get("expected") or {}, given.get("run_id") or "", given.get("stack"))
            updater = Updater(desk, where, want, observe, LIMITS)
            steps = {"update": updater.update, "roll_back": updater.roll_back, "note": lambda: updater.note(given["phase"])}
            return result_of(updater, steps[given["step"]]())

        return answer

    def codes(self, *stages: str) -> set[str]:
        """Codes that are no notes."""
        parts = [part for stage in stages or self.store.stages() for part in self.store.parts(stage).values()]
        return {item["code"] for part in parts for item in part.findings if item["severity"] not in ("note", "ok")}

    def update(self) -> None:
        """update.yml for the one stack."""
        self.begin("update")
        for name in NAMES:
            self.stage("desk_update", "update_plan", name, step="plan")
        judge_updates(self.run, self.store)
        for stage in ("rdma_before", "nccl_before"):
            self.measure(stage)
        for name in NAMES:
            self.stage("driver_lock", "lock_open", name, state="paused")
        for name in NAMES:
            self.stage("desk_update", "update", name, step="update")
        self.finish()

    def back(self) -> None:
        """rollback_update.yml."""
        self.begin("rollback_update")
        for name in NAMES:
            self.stage("driver_lock", "lock_open_back", name, state="paused")
        for name in NAMES:
            self.stage("desk_update", "roll_back", name, step="roll_back")
        self.finish()

    def finish(self) -> None:
        for name in NAMES:
            self.facts(name)
            self.stage("driver_lock", "lock_closed", name, state="present")
        if not self.codes("update", "roll_back"):
            for stage in ("rdma", "nccl"):
                self.measure(stage)
        for name in NAMES:
            self.stage("desk_update", "update_end", name, step="prove")

    def phases(self) -> list[str | None]:
        found = [parse(self.desks[name].read_text(PATH).text) for name in NAMES]
        return [journal.phase if journal else None for journal in found]

    def drivers(self) -> list[str]:
        return [self.desks[name].versions()["nvidia-driver-580-open"] for name in NAMES]

    def kernels(self) -> list[str]:
        return [self.desks[name].read_text("/proc/sys/kernel/osrelease").text.strip() for name in NAMES]  # type: ignore[union-attr]

    def locked(self) -> bool:
        return all("nvidia-driver-580-open" in self.desks[name].holds() for name in NAMES)


@pytest.fixture
def stack(tmp_path: Path, debs: aptroot.Debs) -> Iterator[Stack]:
    """Two locked desks at one level, with an update in their archives."""
    desks = {name: aptroot.stock_desk(tmp_path / name, debs) for name in NAMES}
    found = Stack(tmp_path / "runs", desks)
    found.begin("update")
    for name in NAMES:
        found.stage("driver_lock", "driver", name, state="present")
    assert found.locked()
    found.started.clear()
    yield found
    for desk in desks.values():
        desk.close()


def good(stack: Stack) -> None:
    assert stack.codes() == set(), stack.codes()
    assert stack.drivers() == [NEW, NEW] and stack.kernels() == [NEXT_KERNEL, NEXT_KERNEL]
    assert stack.phases() == ["settled", "settled"] and stack.locked()
    assert all(stack.desks[name].trusted() for name in NAMES)


def test_a_stack_goes_to_the_new_level_and_a_second_run_does_nothing(stack: Stack) -> None:
    stack.update()
    good(stack)
    assert stack.started == list(NAMES), "one desk after the other"
    before = {name: stack.desks[name].state() for name in NAMES}
    stack.update()
    good(stack)
    assert {name: stack.desks[name].state() for name in NAMES} == before and stack.started == list(NAMES)
    assert not any(part.changed for stage in stack.store.stages() for part in stack.store.parts(stage).values())


def test_a_desk_that_hangs_at_its_boot_keeps_the_other_one_as_it_is(stack: Stack) -> None:
    stack.hangs = {"desk-01"}
    stack.update()
    assert {"REBOOT_FAILED", "UPDATE_REFUSED", "UPDATE_HALF_DONE"} <= stack.codes()
    assert stack.drivers() == [NEW, OLD] and stack.phases() == ["installed", None] and stack.locked()
    # Somebody helped it: it starts, and the next run ends what was begun.
    stack.hangs = set()
    stack.start("desk-01")
    stack.update()
    good(stack)


def test_one_desk_is_done_and_the_others_disk_is_full(stack: Stack) -> None:
    free = AptRoot.free_bytes

    def full_after_the_look(desk: AptRoot, path: str) -> int:
        return 100 << 20 if desk is stack.desks["desk-02"] and desk.read_text(PATH).text else free(desk, path)

    AptRoot.free_bytes = full_after_the_look  # type: ignore[method-assign]
    try:
        stack.update()
    finally:
        AptRoot.free_bytes = free  # type: ignore[method-assign]
    assert "DISK_FULL" in stack.codes("update") and "UPDATE_HALF_DONE" in stack.codes("update_end")
    assert stack.drivers() == [NEW, OLD] and stack.phases() == ["started", "begun"] and stack.locked()
    stack.update()
    good(stack)


def test_a_file_system_that_became_read_only_is_no_failed_command(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = AptRoot.write_text

    def refuse(desk: AptRoot, path: str, text: str, mode: int = 0o644) -> None:
        if desk is stack.desks["desk-01"] and path == PATH:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        usual(desk, path, text, mode)

    monkeypatch.setattr(AptRoot, "write_text", refuse)
    stack.update()
    assert "ROOT_READ_ONLY" in stack.codes("update") and "APT_FAILED" not in stack.codes() and stack.drivers() == [OLD, OLD]


def test_a_slow_stack_is_not_settled_and_goes_back(stack: Stack) -> None:
    stack.slow = True
    stack.update()
    assert stack.codes("update_end") == {"UPDATE_SLOWER", "UPDATE_HALF_DONE"} and stack.phases() == ["started", "started"]
    # The archives have dropped what was there before.
    for desk in stack.desks.values():
        desk.archive("spark", "Spark", [*driver(580, NEW), *kernel(NEXT_KERNEL, KERNEL_NEW)])
    stack.slow = False
    stack.back()
    assert stack.codes() == set(), stack.codes()
    assert stack.drivers() == [OLD, OLD] and stack.kernels() == [KERNEL, KERNEL] and stack.phases() == ["settled", "settled"]
    assert stack.locked() and all(f"linux-image-{NEXT_KERNEL}" not in stack.desks[name].versions() for name in NAMES)


def test_an_archive_that_moves_between_the_desks_stops_the_second(stack: Stack) -> None:
    """The first is done; the second would end elsewhere. The next run brings both to one version."""
    newer = "580.178.04-0ubuntu0.24.04.1"
    moved = [*stock_controls(), *driver(580, newer), *kernel(NEXT_KERNEL, KERNEL_NEW), Control("libnccl2", "2.31.2-1+cuda13.0")]
    start = stack.start

    def moves(name: str) -> None:
        start(name)
        for desk in stack.desks.values():
            desk.archive("spark", "Spark", moved)

    stack.start = moves  # type: ignore[method-assign]
    stack.update()
    assert "UPDATE_REFUSED" in stack.codes("update") and stack.drivers() == [NEW, OLD] and stack.locked()
    stack.start = start  # type: ignore[method-assign]
    stack.update()
    assert stack.codes() == set(), stack.codes()
    assert stack.drivers() == [newer, newer] and stack.phases() == ["settled", "settled"]
