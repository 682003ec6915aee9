"""The controller's half of a link change, with a scripted desk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.labops.dgx_spark.plugins.action import cx7_link
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, Part, RunStore
from link_facts import ADDRESSES, desk, linked, with_function
from sample_run import run_of
from scripted_action import Script

TAKEN_BACK = finding("CX7_CHANGE_UNDONE", Where("pair_a", "desk-01"), "taken back").as_dict()
INVALID = finding("CX7_NETPLAN_INVALID", Where("pair_a", "desk-01"), "no").as_dict()
UNREACHABLE = {"unreachable": True, "msg": "ssh: connect to host x port 22: No route to host"}
APPLIED = {
    "changed": True,
    "armed": True,
    "change_id": "c1",
    "confirm_within": 60,
    "before": {"file": None},
    "after": {"file": "x"},
    "steps": ["write"],
    "commands": [["networkctl", "reload"]],
    "findings": [],
    "diff": {"before": "a", "after": "b"},
}
CONFIRMED = {
    "changed": True,
    "armed": False,
    "change_id": "c1",
    "after": {"file": "now"},
    "functions": [{"port": 0, "netdev": "enp1s0f0np0"}],
    "findings": [],
    "msg": "ok",
}
UNDONE = {"failed": True, "changed": False, "armed": False, "msg": "taken back", "findings": [TAKEN_BACK]}


class LinkScript(Script):
    """The action of the link; its clock runs on its own, and its connection can be ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, args: dict[str, Any], answers: list[dict[str, Any]]) -> None:
        super().__init__("cx7_link", args, answers)
        self.resets, self.now, self.folder = 0, 0.0, tmp_path
        self.connection.reset = self.reset
        monkeypatch.setattr(cx7_link.time, "monotonic", self.clock)
        monkeypatch.setattr(cx7_link.time, "sleep", self.sleep)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def reset(self) -> None:
        self.resets += 1

    def _answer(self, module_name: str, module_args: dict[str, Any], **more: Any) -> dict[str, Any]:
        self.now += 5
        return super()._answer(module_name, module_args, **more)

    def link(self, facts: Any = None, peer_facts: Any = None, port: int | None = None, **variables: Any) -> dict[str, Any]:
        store = RunStore(self.folder)
        if peer_facts is not None:
            store.write(Part("facts", "desk-02", DONE, data={"spark": as_dict(peer_facts)}))
        if port is not None:
            store.write(Part("cable_map", "desk-01", DONE, data={"port": port}))
        known = {} if facts is None else {"spark": as_dict(facts)}
        return self.run("desk-01", run_of(folder=self.folder), ansible_facts=known, **variables)


Make = Callable[..., LinkScript]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Make:
    def build(*answers: dict[str, Any], **args: Any) -> LinkScript:
        return LinkScript(monkeypatch, tmp_path, args or {"pair": {}}, list(answers) or [{}])

    return build


def codes(result: dict[str, Any]) -> list[str]:
    return [item["code"] for item in result["findings"]]


def test_a_desk_that_is_as_wanted_is_not_contacted(make: Make) -> None:
    script = make()
    result = script.link(linked())
    assert result["changed"] is False and result["commands"] == [] and result["steps"] == []
    assert script.asked == [] and script.resets == 0
    assert [item["addresses"] for item in result["functions"]] == [[ADDRESSES[0]], [ADDRESSES[1]]]


def test_a_change_takes_two_executions_with_a_new_connection_between(make: Make) -> None:
    script = make(APPLIED, CONFIRMED)
    result = script.link(desk())
    assert [item["phase"] for item in script.asked] == ["change", "confirm"] and script.resets == 1
    assert script.asked[0]["links"] == [{"port": None, "addresses": list(ADDRESSES), "mtu": 9000}]
    assert script.asked[1]["change_id"] == "c1" and script.asked[0]["pair_name"] == "pair_a"
    assert result["changed"] and result["before"] == {"file": None} and result["after"] == {"file": "now"}
    assert result["commands"] == [["networkctl", "reload"]] and result["diff"] and result["armed"] is False


def test_without_facts_the_desk_is_asked_once(make: Make) -> None:
    script = make({"changed": False, "armed": False, "commands": [], "findings": []})
    assert script.link()["changed"] is False and len(script.asked) == 1


@pytest.mark.parametrize("change", [{"privileged": False}, {"subsets": ("cx7", "network")}, {"unread": {"setup.link_file": "denied"}}])
def test_facts_that_do_not_tell_enough_do_not_decide(make: Make, change: dict[str, Any]) -> None:
    script = make({"changed": False, "armed": False, "findings": []})
    script.link(replace(linked(), **change))
    assert len(script.asked) == 1


def test_a_refusal_from_facts_runs_nothing(make: Make) -> None:
    script = make(pair={}, take_over=False)
    facts = desk(None)
    result = script.link(facts)
    assert result["failed"] and codes(result) == ["CX7_CHANGE_REFUSED"] and script.asked == [] and result["msg"]


def test_functions_that_are_switched_off_are_left_to_the_desk(make: Make) -> None:
    script = make(APPLIED, CONFIRMED)
    facts = desk()
    ports = tuple(
        replace(port, carrier=None, functions=tuple(replace(item, admin_up=False, carrier=None) for item in port.functions))
        for port in facts.cx7.ports
    )
    assert script.link(replace(facts, cx7=replace(facts.cx7, ports=ports)))["changed"] and len(script.asked) == 2


def test_a_refusal_on_the_desk_is_passed_on(make: Make) -> None:
    script = make({"failed": True, "changed": False, "msg": "no", "findings": [INVALID]})
    result = script.link(desk())
    assert result["failed"] and codes(result) == ["CX7_NETPLAN_INVALID"] and len(script.asked) == 1 and script.resets == 0


def test_a_lost_desk_that_comes_back_in_time_is_confirmed(make: Make) -> None:
    script = make(APPLIED, UNREACHABLE, UNREACHABLE, CONFIRMED)
    result = script.link(desk())
    assert result["changed"] and not result.get("failed") and script.resets == 3


def test_a_desk_that_comes_back_too_late_says_that_it_has_undone(make: Make) -> None:
    script = make(APPLIED, *[UNREACHABLE] * 11, {"armed": True, "findings": []}, UNDONE)
    result = script.link(desk())
    assert result["failed"] and result["changed"] is False and codes(result) == ["CX7_CHANGE_UNDONE"]
    assert script.asked[-1]["phase"] == "status" and result["after"] == result["before"]


def test_a_desk_that_never_comes_back_is_unconfirmed(make: Make) -> None:
    script = make(APPLIED, UNREACHABLE)
    result = script.link(desk())
    assert result["failed"] and codes(result) == ["CX7_CHANGE_UNCONFIRMED"] and "on its own" in result["msg"]
    assert script.now < 60 + cx7_link.AFTERWARDS + 30


def test_a_confirmation_that_the_desk_refuses_is_passed_on(make: Make) -> None:
    result = make(APPLIED, UNDONE).link(desk())
    assert result["failed"] and result["changed"] is False and codes(result) == ["CX7_CHANGE_UNDONE"]


def test_the_cable_map_names_the_port(make: Make) -> None:
    script = make(APPLIED, CONFIRMED)
    script.link(None, port=1)
    assert script.asked[0]["links"][0]["port"] == 1


def test_roles_that_are_swapped_on_the_desks_are_kept(make: Make) -> None:
    peer_has = ("192.168.100.11/24", "192.168.101.11/24")
    result = make().link(linked(addresses=peer_has), peer_facts=linked())
    assert result["changed"] is False and codes(result) == ["CX7_ROLE_KEPT"]


def test_a_pair_of_which_one_function_each_has_the_other_desks_address_keeps_it(make: Make) -> None:
    """As by hand after a guide: ip addr add on one of the twins, and who is the head was nobody's question."""
    script = make(APPLIED, CONFIRMED)
    result = script.link(
        with_function(linked(addresses=("192.168.100.11/24", "x/24")), 0, 2, addresses=()),
        peer_facts=with_function(linked(), 0, 2, addresses=()),
    )
    assert script.asked[0]["links"][0]["addresses"] == ["192.168.100.11/24", "192.168.101.11/24"]
    kept = next(item for item in result["findings"] if item["code"] == "CX7_ROLE_KEPT")
    assert "192.168.100.11/24" in kept["message"] and "192.168.101.11" not in kept["message"]


@pytest.mark.parametrize(("mac", "named"), [("02:00:5e:00:02:00", True), ("02:00:5e:00:77:77", False)])
def test_an_address_that_the_peer_still_has_is_told_as_the_peers(make: Make, mac: str, named: bool) -> None:
    """The head was started again and lost what was set by hand, the peer was not."""
    text = "192.168.100.10, which enp1s0f0np0 is to have, is used by that machine on the same cable."
    taken = finding("CX7_ADDRESS_TAKEN", Where(desk="desk-01"), text, evidence={"address": "192.168.100.10", "macs": [mac]}).as_dict()
    script = make({"failed": True, "changed": False, "armed": False, "msg": text, "findings": [taken]})
    (told,) = script.link(desk(), peer_facts=linked())["findings"]
    assert ("desk-02" in told["message"], "desk-02" in told["remedy"]) == (named, named)


@pytest.mark.parametrize(
    ("hostvars", "bad"),
    [
        ({"desk-01": {"pair_link_mtu": 9000}, "desk-02": {"pair_link_mtu": 1500}}, True),
        ({"desk-01": {}, "desk-02": {"pair_link_mtu": 1500}}, True),
        ({"desk-01": {"pair_link_mtu": 9000}, "desk-02": {"pair_link_mtu": 9000}}, False),
        ({"desk-01": {}, "desk-02": {}}, False),
    ],
)
def test_a_wrong_mtu_on_one_end_is_refused(make: Make, hostvars: dict[str, Any], bad: bool) -> None:
    script = make(APPLIED, CONFIRMED)
    result = script.link(desk(), hostvars=hostvars)
    assert bool(result.get("failed")) is bad and (codes(result) == ["CX7_MTU_MISMATCH"]) is bad
    assert (script.asked == []) is bad


def test_absent(make: Make) -> None:
    assert make(state="absent").link(desk())["changed"] is False
    script = make(APPLIED, CONFIRMED, state="absent")
    assert script.link(linked())["changed"] and [item["phase"] for item in script.asked] == ["change", "confirm"]


def test_async_and_missing_arguments_are_refused(make: Make) -> None:
    script = make()
    script.action._task.async_val = 30
    with pytest.raises(AnsibleActionFail, match="async"):
        script.link(desk())
    with pytest.raises(AnsibleActionFail, match="links"):
        make(take_over=True).link(desk())
    with pytest.raises(AnsibleActionFail, match="both 10"):
        make(pair={"peer_host": 10}).link(desk())


def test_a_single_phase_is_run_as_it_is(make: Make) -> None:
    script = make({"armed": False, "findings": []}, phase="status")
    script.link()
    assert [item["phase"] for item in script.asked] == ["status"]
