"""When a desk may be rebooted, and one desk of a pair at a time."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.reboot import reboot_reasons, reboot_refusals, reboot_result
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Apt, Busy, Identity
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import Kernel, KernelImage, Package
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.reboots import turn_of
from sample_run import run_of
from samples import KERNEL, desk, somebody
from scripted_action import Script

HERE = Where(desk="desk-01")
NEXT = "6.17.0-1029-nvidia"


def test_reasons() -> None:
    assert reboot_reasons(desk()) == []
    assert "linux-image" in reboot_reasons(desk(apt=Apt(reboot_required=True, reboot_reasons=("linux-image-x",))))[0]
    start = desk()
    assert reboot_reasons(replace(start, driver=replace(start.driver, module_version="580.142", user_space_version="580.159.03")))


def test_a_healthy_desk_may_be_rebooted() -> None:
    assert reboot_refusals(desk(), HERE) == []


@pytest.mark.parametrize(
    ("part", "severity", "word"),
    [
        ({"kernel": Kernel(KERNEL, NEXT, (KernelImage(NEXT, False), KernelImage(KERNEL, True)))}, "fail", NEXT),
        ({"kernel": Kernel(KERNEL, NEXT, (KernelImage(NEXT, None),))}, "unknown", "could not be examined"),
        ({"kernel": Kernel(KERNEL, None, ())}, "unknown", "could not be examined"),
        ({"apt": Apt(first_boot_upgrade="pending")}, "fail", "first-boot"),
        ({"apt": Apt(broken_packages=(Package("a", "1", state="unpacked"),))}, "fail", "half installed"),
        ({"apt": Apt(lock_holder="42 apt-get")}, "fail", "42 apt-get"),
        ({"busy": somebody()}, "unknown", "train.py"),
        ({"busy": Busy(readable=None)}, "unknown", "Could not determine"),
    ],
)
def test_a_reboot_that_would_do_harm_is_refused(part: dict[str, object], severity: str, word: str) -> None:
    found = reboot_refusals(desk(**part), HERE)  # type: ignore[arg-type]
    assert [(item.code, item.severity) for item in found] == [("REBOOT_REFUSED", severity)]
    assert word in found[0].message


def test_force_goes_over_users_and_never_over_a_boot_without_driver() -> None:
    blind = Kernel(KERNEL, NEXT, (KernelImage(NEXT, False),))
    assert reboot_refusals(desk(busy=somebody()), HERE, force=True) == []
    assert len(reboot_refusals(desk(busy=somebody(), kernel=blind), HERE, force=True)) == 1


def test_what_came_back() -> None:
    before, after = desk(), desk(identity=Identity(boot_id="two"))
    assert reboot_result(before, after, HERE) == []
    assert [item.code for item in reboot_result(before, before, HERE)] == ["REBOOT_FAILED"]
    other = replace(after, kernel=Kernel(running="5.0.0-1-generic"))
    assert "5.0.0-1-generic" in reboot_result(before, other, HERE)[0].message


def test_two_desks_of_a_pair_take_turns(tmp_path: Path) -> None:
    away: list[str] = []
    most = [0]

    def go(name: str) -> None:
        with turn_of(tmp_path, "pair_a", name) as turn:
            assert turn.lost is None
            away.append(name)
            most[0] = max(most[0], len(away))
            time.sleep(0.2)
            away.remove(name)
            turn.back()

    threads = [threading.Thread(target=go, args=(name,)) for name in ("desk-01", "desk-02")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == [1]


def test_a_desk_that_did_not_come_back_keeps_the_other_one_up(tmp_path: Path) -> None:
    with turn_of(tmp_path, "pair_a", "desk-01"):
        pass
    with turn_of(tmp_path, "pair_a", "desk-02") as turn:
        assert turn.lost == "desk-01"
    with turn_of(tmp_path, "pair_b", "desk-03") as other:
        assert other.lost is None


def read(boot: str) -> dict[str, object]:
    """What spark_facts answers after the desk's start with this digit in its boot id."""
    booted = desk(identity=Identity(boot_id=f"{boot * 8}-0000-4000-8000-000000000000"))
    return {"ansible_facts": {"spark": as_dict(booted)}, "findings": [], "processes": 3}


def wanted_reboot(tmp_path: Path, answers: list[object]) -> tuple[Script, list[str], dict[str, object]]:
    """The action over a desk that answers so, what was rebooted, and the action's result."""
    script, rebooted = Script("desk_reboot", {"policy": "always"}, answers), []

    def builtin(name: str, **_more: object) -> SimpleNamespace:
        doors = {"_parse_returned_data": dict, "_low_level_execute_command": dict}
        return SimpleNamespace(run=lambda task_vars: rebooted.append(name) or {"changed": True}, **doors)

    script.task.copy = lambda: script.task
    script.action._shared_loader_obj = SimpleNamespace(action_loader=SimpleNamespace(get=builtin))
    run = run_of(folder=tmp_path)
    return script, rebooted, script.run(run=run, stage="reboot")


def test_the_desk_is_taken_before_it_goes_down(tmp_path: Path) -> None:
    facts = [read(before) for before in ("1", "2")]
    taken = {"changed": False, "rebooted": False, "reasons": [], "findings": []}
    script, rebooted, result = wanted_reboot(tmp_path, [facts[0], taken, facts[1]])
    assert script.modules == [f"labops.dgx_spark.{name}" for name in ("spark_facts", "desk_reboot", "spark_facts")]
    assert rebooted == ["ansible.builtin.reboot"] and result["rebooted"] and result["reasons"] == ["it was asked for"]


def test_a_desk_that_another_run_has_is_not_rebooted_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    held = {"changed": False, "held_elsewhere": {"run": "run-1", "by": "mara@lab-ctl", "what": "rdma_pair"}}
    _script, rebooted, result = wanted_reboot(tmp_path, [read("1"), held])
    assert rebooted == [] and [item["code"] for item in result["findings"]] == ["RUN_ELSEWHERE"]  # type: ignore[index,attr-defined]
    with turn_of(tmp_path, "pair_a", "desk-02") as turn:
        assert turn.lost is None
