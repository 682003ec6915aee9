"""The judging parts of the actions: driver_lock, dgx_os, persistenced."""

from __future__ import annotations

import pytest
from ansible_collections.labops.dgx_spark.plugins.action import dgx_os, driver_lock, persistenced
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.driver_plan import plan
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.lock_model import WantedLock
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Apt, Desk, DgxOs, Identity
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import Driver
from samples import desk, locked

RUN = {"desks": {"desk-01": {"pair": "pair_a", "peer": "desk-02"}, "desk-02": {"pair": "pair_a", "peer": "desk-01", "in_scope": False}}}


def test_a_settled_plan_needs_no_execution() -> None:
    result = driver_lock.settled(plan(locked(), WantedLock(), name="desk-01"))
    assert result["changed"] is False and "failed" not in result and result["before"] == result["after"]


def test_a_refused_plan_fails_with_its_reason() -> None:
    result = driver_lock.settled(plan(desk(apt=Apt(first_boot_upgrade="pending")), WantedLock(), name="desk-01"))
    assert result["failed"] and "first-boot upgrade" in result["msg"]


def test_half_a_pair_is_not_opened() -> None:
    refused = driver_lock.half_a_pair(WantedLock(state="paused"), RUN, "desk-01")
    assert refused is not None and refused.code == "PAIR_INCOMPLETE" and "desk-02" in refused.message
    assert driver_lock.half_a_pair(WantedLock(state="present"), RUN, "desk-01") is None
    assert driver_lock.half_a_pair(WantedLock(state="paused", force=True), RUN, "desk-01") is None
    assert driver_lock.half_a_pair(WantedLock(state="paused"), None, "desk-01") is None
    whole = {"desks": {**RUN["desks"], "desk-02": {"in_scope": True}}}
    assert driver_lock.half_a_pair(WantedLock(state="paused"), whole, "desk-01") is None


GB10 = Identity(vendor="NVIDIA", architecture="aarch64", is_gb10=True)


@pytest.mark.parametrize(
    ("facts", "minimum", "codes"),
    [
        (None, None, ["FACTS_INCOMPLETE"]),
        (as_dict(Desk(identity=GB10)), None, ["FACTS_INCOMPLETE"]),
        (as_dict(Desk(identity=GB10, dgx_os=DgxOs(present=True, version="7.5.0"))), None, []),
        (as_dict(Desk(identity=GB10, dgx_os=DgxOs(present=True, version="7.5.0"))), "7.6.0", ["DGX_OS_TOO_OLD"]),
        (as_dict(Desk(identity=GB10, dgx_os=DgxOs(present=False))), None, ["DGX_RELEASE_MISSING"]),
        (as_dict(Desk(identity=Identity(is_gb10=False), dgx_os=DgxOs(present=True, version="7.5.0"))), None, ["DESK_NOT_GB10"]),
    ],
)
def test_dgx_os(facts: dict[str, object] | None, minimum: str | None, codes: list[str]) -> None:
    assert [item.code for item in dgx_os.judge(facts, "desk-01", minimum)] == codes


@pytest.mark.parametrize(
    ("driver", "codes"),
    [
        (Driver(loaded=True, persistenced_active=True, persistenced_enabled=True, persistence_mode="Enabled"), []),
        (Driver(loaded=True, persistenced_active=False, persistenced_enabled=True), ["PERSISTENCED_INACTIVE"]),
        (Driver(loaded=True, persistenced_active=True, persistenced_enabled=True, persistence_mode="Disabled"), ["PERSISTENCED_INACTIVE"]),
        (Driver(loaded=True), ["FACTS_INCOMPLETE"]),
        (Driver(loaded=False), []),
    ],
)
def test_persistenced(driver: Driver, codes: list[str]) -> None:
    assert [item.code for item in persistenced.judge(as_dict(Desk(driver=driver)), "desk-01")] == codes


def test_no_facts_are_not_a_running_daemon() -> None:
    assert [item.code for item in persistenced.judge(None, "desk-01")] == ["FACTS_INCOMPLETE"]
