"""The judging parts of the actions: driver_lock, dgx_os, persistenced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.labops.dgx_spark.plugins.action import driver_lock
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.driver_plan import plan
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.lock_model import WantedLock
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import options_from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Apt, Desk, DgxOs, Identity
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import Driver
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.wants import judge_wants
from sample_run import run_of
from samples import desk, locked
from scripted_action import Script


def test_a_settled_plan_needs_no_execution() -> None:
    result = driver_lock.settled(plan(locked(), WantedLock(), name="desk-01"))
    assert result["changed"] is False and "failed" not in result and result["before"] == result["after"]


def test_a_refused_plan_fails_with_its_reason() -> None:
    result = driver_lock.settled(plan(desk(apt=Apt(first_boot_upgrade="pending")), WantedLock(), name="desk-01"))
    assert result["failed"] and "first-boot upgrade" in result["msg"]


def test_half_a_pair_is_not_opened() -> None:
    half, whole = run_of(scope=("desk-01",)), run_of()
    refused = driver_lock.half_a_stack(WantedLock(state="paused"), half, "desk-01")
    assert refused is not None and refused.code == "PAIR_INCOMPLETE" and "desk-02" in refused.message
    assert driver_lock.half_a_stack(WantedLock(state="present"), half, "desk-01") is None
    assert driver_lock.half_a_stack(WantedLock(state="paused", force=True), half, "desk-01") is None
    assert driver_lock.half_a_stack(WantedLock(state="paused"), None, "desk-01") is None
    assert driver_lock.half_a_stack(WantedLock(state="paused"), whole, "desk-01") is None


def test_a_task_that_opens_half_a_pair_asks_no_desk(tmp_path: Path) -> None:
    script = Script("driver_lock", {"state": "paused"})
    result = script.run(run=run_of(scope=("desk-01",), folder=tmp_path))
    assert result["failed"] and codes(result) == ["PAIR_INCOMPLETE"] and script.asked == []


# ---- roles that only say what the judgement of the facts found -----------------------------------------------------------

GB10 = Identity(vendor="NVIDIA", architecture="aarch64", is_gb10=True)


def codes(result: dict[str, Any]) -> list[str]:
    return [item["code"] for item in result["findings"]]


def told(action: str, facts: Desk, args: dict[str, Any] | None = None, answers: tuple[Any, ...] = ({},), **wishes: Any) -> Any:
    """The script and its result after the facts of a desk were judged, as role desk_facts registers it."""
    judged = judge(facts, Where(desk="desk-01"), options_from_dict({**judge_wants(wishes), "purpose": "onboard"}))
    script = Script(action, args, list(answers))
    registered = {"findings": [item.as_dict() for item in judged]}
    return script, script.run(ansible_facts={"spark": as_dict(facts)}, desk_facts_result=registered)


@pytest.mark.parametrize(
    ("facts", "minimum", "expected"),
    [
        (Desk(), None, ["FACTS_INCOMPLETE"]),
        (Desk(identity=GB10), None, ["FACTS_INCOMPLETE"]),
        (Desk(identity=GB10, dgx_os=DgxOs(present=True, version="7.5.0")), None, []),
        (Desk(identity=GB10, dgx_os=DgxOs(present=True, version="7.5.0")), "7.6.0", ["DGX_OS_TOO_OLD"]),
        (Desk(identity=GB10, dgx_os=DgxOs(present=True, version="7.1.0")), None, ["DGX_OS_TOO_OLD"]),
        (Desk(identity=GB10, dgx_os=DgxOs(present=True, version="7.1.0")), "7.0.0", []),
        (Desk(identity=GB10, dgx_os=DgxOs(present=False)), None, ["DGX_RELEASE_MISSING"]),
        (Desk(identity=Identity(is_gb10=False), dgx_os=DgxOs(present=True, version="7.5.0")), None, ["DESK_NOT_GB10"]),
    ],
)
def test_dgx_os(facts: Desk, minimum: str | None, expected: list[str]) -> None:
    script, result = told("dgx_os", facts, dgx_os_minimum=minimum)
    assert codes(result) == expected and script.asked == [] and result["changed"] is False


RUNNING = Driver(loaded=True, persistenced_active=True, persistenced_enabled=True, persistence_mode="Enabled")


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        (RUNNING, []),
        (replace(RUNNING, persistenced_active=False), ["PERSISTENCED_INACTIVE"]),
        (replace(RUNNING, persistence_mode="Disabled"), ["PERSISTENCED_INACTIVE"]),
        (Driver(loaded=True), ["FACTS_INCOMPLETE"]),
        (Driver(loaded=False), []),
    ],
)
def test_persistenced(driver: Driver, expected: list[str]) -> None:
    script, result = told("persistenced", Desk(driver=driver))
    assert codes(result) == expected and script.asked == []


def test_no_facts_are_not_a_running_daemon() -> None:
    assert codes(told("persistenced", Desk())[1]) == ["FACTS_INCOMPLETE"]
    for action in ("persistenced", "dgx_os"):
        with pytest.raises(AnsibleActionFail, match=r"desk-01 have not been read; run role labops\.dgx_spark\.desk_facts"):
            Script(action).run()


OFF = Desk(driver=replace(RUNNING, persistenced_active=False))


@pytest.mark.parametrize(
    ("repair", "facts", "asked"),
    [
        (True, OFF, True),
        ("yes", OFF, True),
        ("false", OFF, False),
        ("no", OFF, False),
        ("0", OFF, False),
        (0, OFF, False),
        (True, Desk(driver=RUNNING), False),
        (True, Desk(driver=replace(RUNNING, persistence_mode="Disabled")), False),
    ],
)
def test_the_daemon_is_repaired_only_where_it_is_off_and_where_that_was_wished(repair: Any, facts: Desk, asked: bool) -> None:
    script, result = told("persistenced", facts, {"repair": repair}, ({"changed": True, "findings": []},))
    assert script.modules == (["labops.dgx_spark.persistenced"] if asked else []) and result["changed"] is asked
    assert not asked or codes(result) == []


def test_a_repair_that_fails_keeps_what_was_found() -> None:
    _script, result = told("persistenced", OFF, {"repair": True}, ({"failed": True, "msg": "no such unit"},))
    assert result["failed"] and codes(result) == ["PERSISTENCED_INACTIVE"]
