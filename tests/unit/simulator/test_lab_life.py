"""A lab's life without containers: what its methods make of engine, network and desks, which are scripted here."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sparklab import actions, archives, desks, engine, files, image, laws, net, paths, services, state
from sparklab.errors import LabError
from sparklab.lab import Lab
from sparklab.spec import End

PAIR = {"desks": {"desk-01": {}, "desk-02": {}}, "cables": {"cable-1": {"ends": ["desk-01/0", "desk-02/0"]}}}
SWITCH = {
    "desks": {"desk-01": {}, "desk-02": {}},
    "switches": {"sw-1": {"ports": 4}},
    "cables": {"cable-1": {"ends": ["desk-01/0", "sw-1/1"]}, "cable-2": {"ends": ["desk-02/0", "sw-1/2"]}},
}


class Engine:
    """Containers that run as soon as they are started, each as a process of its own number."""

    def __init__(self, *_words: Any) -> None:
        self.containers: dict[str, int] = {}
        self.number = 100
        self.called: list[tuple[str, ...]] = []

    def create(self, name: str, *_more: Any) -> str:
        self.number += 1
        container = f"{name}#{self.number}"
        self.containers[container] = 0
        return container

    def start(self, container: str) -> int:
        self.number += 1
        self.containers[container] = self.number
        return self.number

    def pid(self, container: str) -> int:
        return self.containers.get(container, 0)

    def kill(self, container: str) -> None:
        self.containers[container] = 0

    def remove(self, containers: Sequence[str]) -> None:
        for container in containers:
            del self.containers[container]

    def find(self, _lab: str) -> dict[str, int]:
        return dict(self.containers)

    def call(self, *words: str, **_more: Any) -> str:
        self.called.append(words)
        return "started"

    def argv(self, *words: str) -> list[str]:
        return ["engine", *words]


class Network:
    """The lab's namespace: its legs, each with bridge and carrier."""

    def __init__(self) -> None:
        self.legs: dict[str, dict[str, str]] = {}

    def add_leg(self, _netns: str, leg: str, *_more: Any) -> None:
        self.legs[leg] = {"master": "", "up": "", "mtu": "1500"}

    def remove_legs(self, _netns: str, legs: Sequence[str]) -> None:
        for leg in legs:
            self.legs.pop(leg, None)

    def links(self, _netns: str | None) -> dict[str, dict[str, str]]:
        return {leg: dict(settings) for leg, settings in self.legs.items()}

    def batch(self, _netns: str | None, lines: Sequence[str]) -> None:
        for words in (line.split() for line in lines):
            if words[1] == "add":
                self.legs[words[2]] = {"master": "", "up": "yes", "mtu": "9216"}
            elif words[2] in self.legs:
                leg, what = self.legs[words[2]], words[3]
                if what in ("master", "mtu"):
                    leg[what] = words[4]
                elif what in ("up", "down"):
                    leg["up"] = "yes" if what == "up" else ""

    def lit(self) -> set[str]:
        """The legs of adapters that see light."""
        return {leg for leg, settings in self.legs.items() if "f" in leg and settings["up"]}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    network, machine = Network(), Engine()
    told: list[str] = []
    acted: list[tuple[str, int]] = []
    monkeypatch.setattr(paths, "STATE_ROOT", tmp_path)
    monkeypatch.setattr(engine, "Engine", lambda *_words: machine)
    for name in ("add_leg", "remove_legs", "links", "batch"):
        monkeypatch.setattr(net, name, getattr(network, name))
    monkeypatch.setattr(net, "make", lambda *_words: None)
    monkeypatch.setattr(image, "ensure_base", lambda *_words: "base")
    for name in ("ensure_lab", "ensure_model_image", "publish"):
        monkeypatch.setattr(archives, name, lambda *_words: "image")
    leases: dict[str, dict[str, str]] = {}
    monkeypatch.setattr(archives, "write_faults", lambda _record, leased: leases.update(archives=leased))
    monkeypatch.setattr(services, "ensure", lambda _record, leased, **_more: leases.update(services=leased))
    monkeypatch.setattr(desks, "prepare", lambda *_words: None)
    monkeypatch.setattr(desks, "hardware", lambda folder, request: told.append(folder.name))
    monkeypatch.setattr(desks, "host_keys", lambda pid: [f"ssh-ed25519 KEY{pid}"])
    monkeypatch.setattr(desks, "inside", lambda pid, argv, **_more: acted.append((argv[0], pid)) or "journal")
    monkeypatch.setattr(files, "process_mark", lambda pid: "1" if pid in machine.containers.values() else None)
    monkeypatch.setattr(files, "wait_until", lambda test, *_words: test())

    def act(pid: int, *_words: object) -> None:
        acted.append(("do", pid))

    def undo(pid: int, *_words: object) -> None:
        acted.append(("undo", pid))

    monkeypatch.setattr(actions, "ACTIONS", {"hostkey_changed": ("a sentence", act, undo)})
    return SimpleNamespace(network=network, engine=machine, told=told, acted=acted, leases=leases)


def made(description: dict[str, Any], enrolled: bool = True) -> Lab:
    record = state.new("x", description, engine={"name": "podman"}, subnet=77, enrolled=enrolled, distribution="trixie")
    lab = Lab(record)
    lab.make()
    return lab


def test_a_lab_that_is_made_has_its_desks_on_and_its_cable_lit(world: SimpleNamespace) -> None:
    lab = made(PAIR)
    assert len(world.engine.containers) == 2 and all(world.engine.containers.values())
    assert len(world.network.lit()) == 4
    assert {leg["master"] for name, leg in world.network.legs.items() if name in world.network.lit()} == {"c0"}
    assert lab.passwords().keys() == {"desk-01", "desk-02"} and (lab.record.dir / "ssh/id_ed25519.pub").is_file()
    before = dict(world.engine.containers)
    lab.make()
    assert world.engine.containers == before, "what is there stays"


def test_a_container_that_nobody_knows_goes_and_a_dead_desk_starts_again(world: SimpleNamespace) -> None:
    lab = made(PAIR)
    world.engine.containers["stray"] = 9
    world.engine.kill(lab.record.desk("desk-01")["container"])
    lab.make()
    assert "stray" not in world.engine.containers and all(world.engine.containers.values())
    assert lab.record.desk("desk-01")["boot_count"] == 2 and lab.record.desk("desk-02")["boot_count"] == 1


def test_a_pulled_cable_takes_the_light_and_later_the_adapter(world: SimpleNamespace) -> None:
    lab = made(PAIR)
    lab.cables_changed(laws.pulled(lab.record.wiring, "cable-1"))
    assert not world.network.lit() and set(world.told) == {"desk-01", "desk-02"}
    due = {name: lab.record.desk(name).get("leave_at") for name in ("desk-01", "desk-02")}
    lab.leave(0.0)
    assert all(lab.record.desk(name)["nic"] for name in due)
    lab.leave(max(float(when) for when in due.values() if when is not None))
    assert not [leg for leg in world.network.legs if "f" in leg] and not any(lab.record.desk(name)["nic"] for name in due)
    lab.cables_changed(laws.plugged(lab.record.wiring, "cable-1", (End("desk-01", 0), End("desk-02", 0))))
    assert len([leg for leg in world.network.legs if "f" in leg]) == 8 and len(world.network.lit()) == 4


def test_a_plug_that_moves_leaves_the_far_end_dark_in_between(world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = made({**PAIR, "desks": {**PAIR["desks"], "desk-03": {}}})
    lit: list[set[str]] = []
    batch = net.batch

    def watched(*words: Any) -> None:
        batch(*words)
        lit.append(world.network.lit())

    monkeypatch.setattr(net, "batch", watched)
    lab.cable_moved("cable-1", End("desk-02", 0), End("desk-03", 0))
    assert not lit[0] and len(lit[-1]) == 4
    with pytest.raises(LabError, match="already holds"):
        lab.cable_moved("cable-1", End("desk-03", 0), End("desk-01", 0))
    assert len(world.network.lit()) == 4, "a plug that cannot go there stays"


def test_power(world: SimpleNamespace) -> None:
    lab = made(PAIR)
    with pytest.raises(LabError, match="already on"):
        lab.power("on", "desk-01")
    lab.power("off", "desk-01")
    assert ("systemctl", world.acted[-1][1]) == world.acted[-1]
    assert not lab.record.desk("desk-01")["running"] and not world.network.lit()
    with pytest.raises(LabError, match="is off"):
        lab.power("reboot", "desk-01")
    lab.power("on", "desk-01")
    lab.power("reboot", "desk-02")
    lab.drain(["desk-01", "desk-02"])
    assert [lab.record.desk(name)["boot_count"] for name in ("desk-01", "desk-02")] == [3, 3] and len(world.network.lit()) == 4
    assert lab.console("desk-01") == "started\njournal"
    assert lab.exec_argv("desk-01", ["true"], terminal=True)[:4] == ["engine", "exec", "-i", "-t"]


def test_the_lab_knows_the_keys_of_enrolled_desks_alone(world: SimpleNamespace) -> None:
    lab = made({**PAIR, "desks": {"desk-01": {}, "desk-02": {"state": "boxed"}}})
    lab.write_known_hosts()
    assert lab.known_hosts[0].read_text() == f"{lab.address('desk-01')} {lab.host_keys('desk-01')[0]}\n"
    assert lab.ssh_argv("desk-01", "labadmin")[-1] == f"labadmin@{lab.address('desk-01')}"
    with pytest.raises(LabError, match="not enrolled"):
        lab.ssh_argv("desk-02", "labadmin")
    assert lab.settings("desk-01", "KEY")["DESK_AUTHORIZED_KEY"] == "KEY" and not lab.settings("desk-02", "KEY")["DESK_AUTHORIZED_KEY"]


def test_a_moved_lease_is_what_services_and_waiting_go_by(world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = made({**PAIR, "desks": {"desk-01": {"faults": {"lease_moved": {"with": "desk-02"}}}, "desk-02": {}}})
    moved = {"desk-01": lab.address("desk-02"), "desk-02": lab.address("desk-01")}
    assert world.leases == {"archives": moved, "services": moved}
    asked: list[str] = []

    def refused(place: tuple[str, int], **_more: Any) -> None:
        asked.append(place[0])
        raise OSError

    monkeypatch.setattr(socket, "create_connection", refused)
    with pytest.raises(LabError, match=r"desk-01 did not respond on ssh within 0.01 s; .* --lab x exec desk-01"):
        lab.wait_ready(["desk-01"], 0.01)
    assert set(asked) == {lab.address("desk-02")} and not lab.answers("desk-01")


def test_faults_of_the_outside_are_carried_out_and_taken_back(world: SimpleNamespace) -> None:
    lab = made(PAIR)
    lab.write_known_hosts()
    known, faults = lab.known_hosts[0].read_text(), lab.record.data["faults"]
    leg = lab.leg("desk-01", None)
    faults["desk-01"] = {"mute": {}, "frozen": {}, "hostkey_changed": {}}
    world.told.clear()
    lab.faults_changed("desk-01", {})
    assert not world.network.legs[leg]["up"] and not lab.listens("desk-01") and lab.listens("desk-02")
    assert world.engine.called[-1][0] == "pause" and "desk-01" not in world.told
    assert ("do", world.acted[-1][1]) == world.acted[-1] and lab.record.desk("desk-01")["known_keys"]
    before, faults["desk-01"] = faults["desk-01"], {}
    lab.faults_changed("desk-01", before)
    assert world.network.legs[leg]["up"] and world.engine.called[-1][0] == "unpause" and "desk-01" in world.told
    assert "known_keys" not in lab.record.desk("desk-01") and lab.known_hosts[0].read_text() == known


def test_a_fault_of_files_needs_a_running_desk(world: SimpleNamespace) -> None:
    lab = made(PAIR)
    lab.power("off", "desk-01")
    lab.record.data["faults"]["desk-01"] = {"hostkey_changed": {}}
    with pytest.raises(LabError, match="needs a running desk"):
        lab.faults_changed("desk-01", {})
    assert lab.record.data["faults"]["desk-01"] == {}


def test_described_faults_of_files_are_done_once(world: SimpleNamespace) -> None:
    lab = made({**PAIR, "desks": {"desk-01": {"faults": {"hostkey_changed": {}}}, "desk-02": {}}})
    lab.settle()
    lab.settle()
    assert [what for what, _pid in world.acted] == ["do"]


def test_a_missing_twin_loses_its_leg_and_gets_it_back(world: SimpleNamespace) -> None:
    lab = made(PAIR)
    whole = set(world.network.legs)
    lab.record.data["faults"]["desk-01"] = {"twin_missing": {}}
    lab.faults_changed("desk-01", {})
    assert set(world.network.legs) < whole
    before, lab.record.data["faults"]["desk-01"] = lab.record.data["faults"]["desk-01"], {}
    lab.faults_changed("desk-01", before)
    assert set(world.network.legs) == whole and len(world.network.lit()) == 4


def test_a_first_boot_upgrade_ends_with_a_reboot(world: SimpleNamespace) -> None:
    lab = made({**PAIR, "desks": {"desk-01": {"faults": {"first_boot_upgrade": {"seconds": 30}}}, "desk-02": {}}})
    (due,) = lab.upgrades_due().items()
    assert due == ("desk-01", lab.record.desk("desk-01")["booted_at"] + 30)
    lab.finish_upgrade("desk-01")
    assert not lab.upgrades_due() and lab.record.desk("desk-01")["boot_count"] == 2


def test_a_dark_port_of_a_switch_takes_the_light_of_its_desk(world: SimpleNamespace) -> None:
    lab = made(SWITCH)
    assert len(world.network.lit()) == 4 and len({world.network.legs[leg]["master"] for leg in world.network.lit()}) == 1
    lab.switch_changed("sw-1", 1, {"dark": True})
    assert {leg[:2] for leg in world.network.lit()} == {lab.leg("desk-02", 0)[:2]}
    with pytest.raises(LabError, match="ports 1 to 4"):
        lab.switch_changed("sw-1", 5, {"dark": True})


def test_a_reset_lab_is_as_described_and_its_desks_are_strangers_again(world: SimpleNamespace) -> None:
    lab = made(PAIR)
    lab.sheet_folder.mkdir()
    lab.known_hosts[1].write_text("desk-01,192.0.2.1 ssh-ed25519 A\ndesk-02,192.0.2.2 ssh-ed25519 B\n")
    lab.record.data["faults"]["desk-01"] = {"mute": {}}
    lab.cables_changed(laws.pulled(lab.record.wiring, "cable-1"))
    before = set(world.engine.containers)
    lab.reset(["desk-01"])
    assert lab.known_hosts[1].read_text() == "desk-02,192.0.2.2 ssh-ed25519 B\n"
    assert len(before & set(world.engine.containers)) == 1 and not lab.record.data["faults"] and not world.network.lit()
    lab.reset()
    assert not before & set(world.engine.containers) and len(world.network.lit()) == 4 and lab.known_hosts[1].read_text() == ""
