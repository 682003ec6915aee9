"""Eight desks in four pairs, cabled wrongly in every way. The tests run in this order: later ones start from the cabling that they name."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cables import Run, cable_map, executions, home, ipv6, moment, recable, written
from desks import ROOT, as_root, desk_names, inventory, lab

CROSSED = {
    "cable_1": ("desk-01/0", "desk-03/0"),
    "cable_2": ("desk-02/0", "desk-04/0"),
}
SWAP = (
    "Swap two plugs: the one in desk-02 port 0 (the QSFP cage next to the RJ45) [NJAAKK-N911] and the one in desk-03 port 0 "
    "(the QSFP cage next to the RJ45) [NJAAKK-N911]."
)
CROSSED_DESKS = ("desk-01", "desk-02", "desk-03", "desk-04")
"""desk-04 is on networkd, the others on NetworkManager."""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the runs that follow each other: a run remembers the cabling of the one before."""
    return tmp_path_factory.mktemp("reports")


@pytest.fixture
def at_home() -> Iterator[None]:
    """Begin and end with the cabling of the description."""
    home()
    yield
    home()


def marked(desk: str) -> str:
    """Files outside the journal and the cache that are newer than the mark."""
    folders = "/etc /opt /root /home /usr/local /var/lib/dgx_spark"
    # sudo itself leaves its mark in the home folder when a user first uses it.
    return as_root(desk).run(f"find {folders} -newer /run/before-the-map -type f -not -name .sudo_as_admin_successful").stdout


# ---- right -------------------------------------------------------------------------------------------------------------


def test_a_right_lab_passes_with_one_execution_a_desk_and_nothing_written(reports: Path) -> None:
    home()
    since = {desk: moment(desk) for desk in desk_names()}
    for desk in desk_names():
        as_root(desk).check_output("touch /run/before-the-map")
    target = reports / "as_cabled.yml"
    run = cable_map("-e", f"write_inventory={target}", reports=reports)
    assert run.rc == 0, run.output
    assert {name: pair["verdict"] for name, pair in run.pairs.items()} == dict.fromkeys(("pair_a", "pair_b", "pair_c", "pair_d"), "PASS")
    assert run.fine("pair_a", "pair_b", "pair_c", "pair_d") and run.by_hand == []
    assert run.codes("pair_a") == {"CABLE_OK": "ok"}
    assert run.codes("pair_d") == {"CABLE_OK": "ok", "CABLE_UNAPPROVED": "note"}
    assert "FS Q200-PC01" in run.finding("CABLE_UNAPPROVED")["message"]
    for desk in desk_names():
        assert executions(desk, since[desk]) == ["cx7_cable", "spark_facts"], desk
        assert marked(desk) == "", desk
    groups = yaml.safe_load(target.read_text(encoding="utf-8"))["spark_pairs"]["children"]
    assert {name: sorted(group["hosts"]) for name, group in groups.items()} == {
        "pair_a": ["desk-01", "desk-02"],
        "pair_b": ["desk-03", "desk-04"],
        "pair_c": ["desk-05", "desk-06"],
        "pair_d": ["desk-07", "desk-08"],
    }


# ---- crossed, with nothing that answers --------------------------------------------------------------------------------


@pytest.fixture(scope="class")
def crossed() -> Iterator[None]:
    """Pairs a and b have swapped cables; IPv6 is off, nobody runs lldpd, and the plugs' serial numbers mean nothing."""
    home()
    recable(**CROSSED)
    ipv6(*CROSSED_DESKS, on=False)
    yield
    ipv6(*CROSSED_DESKS, on=True)


@pytest.mark.usefixtures("crossed")
class TestCrossed:
    """What is asked of the same two crossed pairs."""

    def test_crossed_pairs_with_ipv6_and_lldp_off_are_found_by_raw_frames_and_one_swap_is_named(self, reports: Path) -> None:
        target = reports / "crossed.yml"
        run = cable_map("-e", f"write_inventory={target}", reports=reports)
        assert run.rc != 0
        for pair in ("pair_a", "pair_b"):
            assert run.codes(pair)["CABLE_CROSSED"] == "fail" and run.pairs[pair]["verdict"] == "FAIL"
        message, pointer = (run.finding("CABLE_CROSSED", pair)["message"] for pair in ("pair_a", "pair_b"))
        assert SWAP in message and "Then reboot desk-01, desk-02, desk-03 and desk-04 with the cables in." in message
        assert SWAP not in pointer and "pair_a" in pointer, "the movement is told once, the other pair points there"
        assert run.by_hand == [SWAP]
        assert run.pairs["pair_c"]["verdict"] == run.pairs["pair_d"]["verdict"] == "PASS"
        wrong = [edge for edge in run.report["cables"] if edge["verdict"] == "wrong"]
        assert len(wrong) == 2 and all(edge["methods"] == ["frame"] and len(edge["seen_by"]) == 2 for edge in wrong)
        page = (run.folder / "index.html").read_text(encoding="utf-8")
        assert "desk-01 port 0 to desk-03 port 0: WRONG" in page and "desk-05 port 0 to desk-06 port 0: right" in page
        kept = json.loads((run.folder / "cables.json").read_text(encoding="utf-8"))
        assert len(kept["map"]["edges"]) == len(kept["edges"]) == 4
        # What the previous run saw is remembered.
        moved = run.finding("CABLE_MOVED")
        assert "desk-01 port 0 was joined to desk-02 port 0" in moved["message"] and "13 Gb/s" in moved["message"]
        assert moved["evidence"]["is"] == "desk-01 port 0 - desk-03 port 0"

    def test_the_written_inventory_is_the_cabling_and_stack_pair_takes_it(self, reports: Path) -> None:
        target = reports / "crossed.yml"
        groups = yaml.safe_load(target.read_text(encoding="utf-8"))["spark_pairs"]["children"]
        assert {name: sorted(group["hosts"]) for name, group in groups.items()} == {
            "pair_01": ["desk-01", "desk-03"],
            "pair_02": ["desk-02", "desk-04"],
            "pair_c": ["desk-05", "desk-06"],
            "pair_d": ["desk-07", "desk-08"],
        }
        assert "password" not in target.read_text(encoding="utf-8")
        # What an inventory must not carry stands beside it, as at an admin's.
        told = inventory()
        beside = {"group_vars/spark_desks.yml": told["spark_desks"]["vars"]}
        beside |= {f"host_vars/{desk}.yml": values for desk, values in told["_meta"]["hostvars"].items()}
        for name, values in beside.items():
            path = reports / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(yaml.safe_dump(values), encoding="utf-8")
        run = Run("stack_pair.yml", "--check", "--limit", "pair_01", source=target)
        assert set(run.pairs) == {"pair_01"} and run.codes("pair_01")["CABLE_OK"] == "ok", run.output
        before = sorted(path.name for path in reports.iterdir())
        again = cable_map("-e", f"write_inventory={target}", reports=reports)
        assert again.rc != 0 and "already exists" in again.output
        assert sorted(path.name for path in reports.iterdir()) == before, "it was refused before the run began"

    def test_too_few_forks_for_raw_frames_are_refused_with_the_number(self) -> None:
        run = cable_map("-f", "4")
        assert run.rc != 0
        for pair in ("pair_a", "pair_b"):
            assert run.codes(pair) == {"CABLE_PROBE_NEEDS_FORKS": "unknown"} and run.pairs[pair]["verdict"] == "UNKNOWN"
        assert "run with -f 8" in run.finding("CABLE_PROBE_NEEDS_FORKS")["message"]
        assert run.fine("pair_c", "pair_d") and run.by_hand == []

    def test_stack_pair_configures_nothing_on_crossed_pairs_and_the_others_pass(self) -> None:
        run = Run("stack_pair.yml", "-e", "pair_proof_rdma_seconds=2", seconds=1500)
        assert run.rc != 0
        for pair in ("pair_a", "pair_b"):
            assert run.pairs[pair]["verdict"] == "FAIL" and run.codes(pair)["CABLE_CROSSED"] == "fail"
            assert run.pairs[pair].get("rdma") in (None, {}) and run.pairs[pair].get("nccl") in (None, {})
        for desk in CROSSED_DESKS:
            assert not as_root(desk).file("/etc/netplan/90-dgx-spark-link.yaml").exists
            assert "192.168.10" not in as_root(desk).check_output("ip -br -4 addr")
        for pair in ("pair_c", "pair_d"):
            assert run.pairs[pair]["verdict"] == "PASS", run.output
        for desk in ("desk-05", "desk-06", "desk-07", "desk-08"):
            assert as_root(desk).file("/etc/netplan/90-dgx-spark-link.yaml").exists

    def test_without_root_ipv6_answers_or_the_reason_is_told(self) -> None:
        run = cable_map("-e", "ansible_become=false")
        assert run.rc != 0
        for pair in ("pair_a", "pair_b"):
            assert run.codes(pair) == {"CABLE_NOT_SEEN": "unknown"} and run.pairs[pair]["verdict"] == "UNKNOWN"
            assert "without root" in run.finding("CABLE_NOT_SEEN", pair)["message"]
        for pair in ("pair_c", "pair_d"):
            assert run.codes(pair) == {"CABLE_OK": "ok"}, run.output
        methods = {tuple(edge["methods"]) for edge in run.report["cables"]}
        assert methods == {("ipv6",)}


# ---- the other kinds ---------------------------------------------------------------------------------------------------


def test_a_loop_a_pair_without_cable_and_a_second_cable(at_home: None) -> None:
    recable(cable_1=("desk-01/0", "desk-01/1"), cable_2=(None, None), cable_5=("desk-05/1", "desk-06/1"))
    run = cable_map()
    assert run.rc != 0
    assert run.codes("pair_a") == {"CABLE_LOOPED": "fail", "CABLE_DARK": "fail"}
    assert run.codes("pair_b") == {"CABLE_DARK": "fail"}
    assert run.codes("pair_c") == {"CABLE_OK": "ok", "CABLE_DOUBLE": "note"}
    assert run.fine("pair_c", "pair_d") and run.pairs["pair_d"]["verdict"] == "PASS"
    loop, shelf = run.by_hand
    assert loop == (
        "Move the plug [NJAAKK-N911] in desk-01 port 1 (the QSFP cage farther from the RJ45) to desk-02 port 0 "
        "(the QSFP cage next to the RJ45). Its other plug stays in desk-01 port 0."
    )
    assert shelf.startswith("Join desk-03 port 0 (the QSFP cage next to the RJ45) and desk-04 port 0")
    assert "Amphenol NJAAKK-N911" in shelf and "desk-05" not in shelf, "the second cable of a pair stays"


def test_a_wrong_port_a_wrong_peer_and_a_plug_that_is_out(at_home: None) -> None:
    recable(cable_1=("desk-01/0", "desk-02/1"), cable_2=("desk-03/0", "desk-08/1"), cable_3=("desk-05/0", None))
    run = cable_map()
    assert run.rc != 0
    assert run.codes("pair_a") == {"CABLE_WRONG_PORT": "warn"} and run.pairs["pair_a"]["verdict"] == "WARN"
    assert run.codes("pair_b") == {"CABLE_WRONG_PEER": "fail", "CABLE_DARK": "fail"}
    assert run.codes("pair_c") == {"CABLE_DARK": "fail"}
    assert run.codes("pair_d") == {"CABLE_OK": "ok", "CABLE_UNPLANNED": "warn", "CABLE_UNAPPROVED": "note"}
    assert "a plug is in desk-05 port 0" in run.finding("CABLE_DARK", "pair_c")["message"]
    assert len(run.by_hand) == 3 and all("desk-0" in sentence and "RJ45" in sentence for sentence in run.by_hand)
    # The movements, done as they are told, mend the lab.
    for sentence in run.by_hand:
        ends = re.findall(r"(desk-\d\d) port (\d)", sentence)
        (first, port), (second, target) = ends[:2]
        if sentence.startswith("Follow"):
            lab("cable", "plug", "cable-3", f"{second}/{target}")
        else:
            cable = {"desk-02": "cable-1", "desk-08": "cable-2"}[first]
            lab("cable", "move", cable, f"{first}/{port}", f"{second}/{target}")
    after = cable_map()
    assert after.rc == 0, after.output
    assert after.fine("pair_a", "pair_b", "pair_c", "pair_d") and after.by_hand == []


def test_a_desk_outside_the_inventory_is_an_unknown_desk(at_home: None, tmp_path: Path) -> None:
    recable(cable_1=("desk-01/0", "desk-07/1"))
    run = cable_map(source=written(tmp_path, drop=("desk-07", "desk-08")))
    assert run.rc != 0 and set(run.pairs) == {"pair_a", "pair_b", "pair_c"}
    assert run.codes("pair_a")["CABLE_UNKNOWN_PEER"] == "fail" and "CABLE_OK" not in run.codes("pair_a")
    told = run.finding("CABLE_UNKNOWN_PEER")
    assert "a device that is not in the inventory answered" in told["message"]
    assert len(told["evidence"]["macs"]) == len(told["evidence"]["vendors"]) == 2
    assert run.fine("pair_b", "pair_c")
    assert len(run.by_hand) == 1 and run.by_hand[0].startswith("Follow the cable [NJAAKK-N911] from desk-01 port 0")


def test_without_pairs_the_map_is_drawn_and_a_one_sided_cable_is_not_guessed(at_home: None, tmp_path: Path) -> None:
    ipv6(*CROSSED_DESKS, on=False)
    for desk in ("desk-01", "desk-03", "desk-04"):
        lab("fault", "set", desk, "lldp")
    try:
        target = tmp_path / "found.yml"
        run = cable_map("-e", f"write_inventory={target}", source=written(tmp_path, pairs=False))
    finally:
        for desk in ("desk-01", "desk-03", "desk-04"):
            lab("fault", "clear", desk, "lldp")
        ipv6(*CROSSED_DESKS, on=True)
    assert run.rc == 0, run.output
    verdicts = {tuple(end["desk"] for end in edge["ends"]): edge for edge in run.report["cables"]}
    assert verdicts["desk-01", "desk-02"]["one_sided"] and verdicts["desk-01", "desk-02"]["seen_by"] == ["desk-01"]
    assert verdicts["desk-03", "desk-04"]["methods"] == ["lldp"] and not verdicts["desk-03", "desk-04"]["one_sided"]
    text = target.read_text(encoding="utf-8")
    groups = yaml.safe_load(text)["spark_pairs"]["children"]
    assert sorted(sorted(group["hosts"]) for group in groups.values()) == [
        ["desk-03", "desk-04"],
        ["desk-05", "desk-06"],
        ["desk-07", "desk-08"],
    ]
    assert "#   desk-01: the cable to desk-02 was seen from one side only" in text
    graph = [str(ROOT / ".venv/bin/ansible-inventory"), f"--inventory={target}", "--graph"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    shown = subprocess.run(graph, check=True, capture_output=True, text=True, env=environment)
    assert "desk-04" in shown.stdout


def test_one_sided_and_not_seen_are_unknown_with_their_reason(at_home: None) -> None:
    ipv6("desk-01", "desk-02", on=False)
    lab("fault", "set", "desk-01", "lldp")
    for name in ("enp1s0f0np0", "enP2p1s0f0np0"):
        as_root("desk-03").check_output(f"ip link set {name} down")
    lab("power", "off", "desk-08")
    try:
        run = cable_map()
    finally:
        lab("power", "on", "desk-08")
        for name in ("enp1s0f0np0", "enP2p1s0f0np0"):
            as_root("desk-03").check_output(f"ip link set {name} up")
        lab("fault", "clear", "desk-01", "lldp")
        ipv6("desk-01", "desk-02", on=True)
    assert run.rc != 0
    assert run.codes("pair_a") == {"CABLE_ONE_SIDED": "unknown"} and run.pairs["pair_a"]["verdict"] == "UNKNOWN"
    assert "desk-01 saw desk-02" in run.finding("CABLE_ONE_SIDED")["message"]
    for pair, words in (("pair_b", "switched off"), ("pair_d", "desk-08: the desk's cages were not read in this run: no response in time")):
        codes = run.codes(pair)
        codes.pop("CABLE_UNAPPROVED", None)
        assert codes == {"CABLE_NOT_SEEN": "unknown"} and run.pairs[pair]["verdict"] == "UNKNOWN", run.output
        messages = [item["message"] for item in run.pairs[pair]["findings"] if item["code"] == "CABLE_NOT_SEEN"]
        assert any(words in message for message in messages), messages
    assert run.fine("pair_c") and run.by_hand == []
