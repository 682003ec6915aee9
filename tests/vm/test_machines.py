# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection on two virtual machines: kernel, RDMA, perftest, netplan, NetworkManager, sshd and lldpd are real there.

Speed is never asserted: soft-RoCE on an imitated processor carries a tenth of a gigabit. The tests follow one another, as an admin works.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAB = os.environ.get("LAB", "vm")
HEAD, PEER = "desk-01", "desk-02"
FUNCTIONS = {"enp1s0f0np0": "rocep1s0f0", "enP2p1s0f0np0": "roceP2p1s0f0"}
SPEED = ("RDMA_SLOW", "RDMA_SLOW_13G", "RDMA_HALF_WIDTH", "RDMA_BIDIR_DEGRADED", "RDMA_LATENCY_HIGH")
"""What only a figure decides."""
SHORT = {"pair_proof_rdma_seconds": 2, "pair_proof_rdma_message_size": 65536, "pair_proof_rdma_queue_pairs": 1}

pytestmark = pytest.mark.lab


def lab(*arguments: str) -> str:
    """The lab's command."""
    return subprocess.run([ROOT / "simulator/lab", *arguments], check=True, capture_output=True, text=True, timeout=900).stdout


def inside(desk: str, *argv: str, check: bool = True) -> str:
    """A command in a desk, as root."""
    done = subprocess.run([ROOT / "simulator/lab", "exec", desk, "--", *argv], capture_output=True, text=True, timeout=300, check=check)
    return done.stdout


def start(playbook: Path, folder: Path, **variables: Any) -> subprocess.Popen[str]:
    """A playbook in the background, with logins of its own: limits of memory are those of the login."""
    # An imitated processor takes its time.
    told = {"spark_report_dir": str(folder), "desk_facts_timeout": 300, "cable_check_timeout": 300, **variables}
    argv = [ROOT / ".venv/bin/ansible-playbook", "-i", ROOT / "inventories/simulated", playbook, "-e", json.dumps(told)]
    environment = {**os.environ, "LAB": LAB, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_TIMEOUT": "60"}
    environment["ANSIBLE_SSH_CONTROL_PATH_DIR"] = tempfile.mkdtemp(prefix="ssh-", dir=folder)
    return subprocess.Popen(argv, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def play(playbook: Path, folder: Path, **variables: Any) -> tuple[int, str, dict[str, Any]]:
    """Run a playbook: exit code, output, the newest report."""
    process = start(playbook, folder, **variables)
    said, _none = process.communicate(timeout=1800)
    return process.returncode, said, newest(folder)


def newest(folder: Path) -> dict[str, Any]:
    """The newest report."""
    path = max(folder.glob("*/report.json"), key=lambda item: item.stat().st_mtime)
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def indices(report: dict[str, Any]) -> list[str]:
    """The GID indices of a pair's transfers, as perftest was given them."""
    return [argv[argv.index("-x") + 1] for argv in report["pairs"][0]["rdma"]["commands"]]


def loud(findings: list[dict[str, Any]]) -> dict[str, str]:
    """Codes that an admin would have to act on."""
    return {item["code"]: item["severity"] for item in findings if item["severity"] in ("warn", "fail", "unknown")}


def counter(desk: str, netdev: str) -> int:
    """Octets that the kernel sent on an interface."""
    return int(inside(desk, "cat", f"/sys/class/net/{netdev}/statistics/tx_bytes"))


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs leave their reports."""
    return tmp_path_factory.mktemp("reports")


def test_the_audit_reads_real_rdma_and_finds_nothing_wrong(reports: Path) -> None:
    code, said, report = play(ROOT / "playbooks/audit.yml", reports)
    for desk in report["desks"]:
        assert loud(desk["findings"]) == {}, said
        ports = desk["facts"]["cx7"]["ports"]
        functions = {item["netdev"]: item for port in ports for item in port["functions"]}
        assert sorted(item["rdma_device"] for item in functions.values()) == sorted(
            ["rocep1s0f0", "rocep1s0f1", "roceP2p1s0f0", "roceP2p1s0f1"]
        )
        for netdev in FUNCTIONS:
            assert (functions[netdev]["carrier"], functions[netdev]["rdma_state"]) == (True, "ACTIVE")
    assert code == 0, said


def test_the_cables_are_where_the_plan_has_them(reports: Path) -> None:
    code, said, report = play(ROOT / "playbooks/cable_map.yml", reports)
    assert code == 0, said
    ends = [sorted((end["desk"], end["port"]) for end in cable["ends"]) for cable in report["cables"]]
    assert [(HEAD, 0), (PEER, 0)] in ends, report["cables"]


def test_the_link_is_changed_confirmed_and_measured_with_real_perftest(reports: Path) -> None:
    before = {(desk, netdev): counter(desk, netdev) for desk in (HEAD, PEER) for netdev in FUNCTIONS}
    _code, said, report = play(ROOT / "tests/vm/stack.yml", reports, **SHORT)
    pair = report["pairs"][0]
    found = {code: severity for code, severity in loud(pair["findings"]).items() if code not in SPEED}
    assert {code for code, severity in found.items() if severity == "fail"} == set(), said
    assert pair["rdma"]["measured"], said
    for desk in (HEAD, PEER):
        told = inside(desk, "ip", "-br", "address")
        assert "192.168.100." in told and "192.168.101." in told
        assert inside(desk, "systemctl", "is-active", "dgx-spark-link-undo.timer", check=False).strip() == "inactive"
        for netdev in FUNCTIONS:
            assert inside(desk, "cat", f"/sys/class/net/{netdev}/mtu").strip() == "9000"
            assert counter(desk, netdev) - before[desk, netdev] > 1_000_000
    assert not inside(HEAD, "pgrep", "-a", "ib_write", check=False) and not inside(PEER, "pgrep", "-a", "ib_write", check=False)


def test_a_second_run_changes_nothing(reports: Path) -> None:
    def files(desk: str) -> str:
        return inside(desk, "sh", "-c", "cd /etc/netplan && sha256sum * && stat -c '%n %Y' *")

    before = [files(desk) for desk in (HEAD, PEER)]
    _code, said, _report = play(ROOT / "tests/vm/stack.yml", reports, **SHORT)
    assert [files(desk) for desk in (HEAD, PEER)] == before, said


def test_calibrate_sets_no_mark_from_a_link_that_nobody_may_call_good(reports: Path) -> None:
    """Soft-RoCE is slower than every sick state of the hardware: such a link sets no marks, whoever calls it good."""
    path = reports / "marks.yml"
    code, said, _report = play(ROOT / "playbooks/calibrate.yml", reports, calibrate_file=str(path), **SHORT)
    assert code != 0 and not path.exists(), said
    assert "pair_a has RDMA_SLOW_13G" in " ".join(said.split()), said


def measured(reports: Path, **variables: Any) -> dict[str, str]:
    """Codes of the pair after one more run, without those that a figure decides."""
    _code, said, report = play(ROOT / "tests/vm/stack.yml", reports, **SHORT, **variables)
    findings = [*report["pairs"][0]["findings"], *(item for desk in report["desks"] for item in desk["findings"])]
    print(said[-3000:])
    return {code: severity for code, severity in loud(findings).items() if code not in SPEED}


def test_too_little_memory_that_may_be_locked_is_told(reports: Path) -> None:
    lab("fault", "set", PEER, "memlock_low")
    try:
        assert "RDMA_ENOMEM" in measured(reports)
    finally:
        lab("fault", "clear", PEER, "memlock_low")


def test_an_mtu_that_somebody_set_back_on_one_side_is_told(reports: Path) -> None:
    """The change is undone by the next run: what is told is what it found."""
    inside(PEER, "ip", "link", "set", "enp1s0f0np0", "mtu", "1500")
    _code, said, report = play(ROOT / "playbooks/audit.yml", reports)
    desk = next(item for item in report["desks"] if item["name"] == PEER)
    assert any("MTU" in code for code in loud(desk["findings"])), said
    assert "MEMLOCK_LOW" not in loud(desk["findings"]), "the limit of the test before is gone"
    inside(PEER, "ip", "link", "set", "enp1s0f0np0", "mtu", "9000")


def test_a_firewall_between_the_desks_is_told(reports: Path) -> None:
    """RoCE does not pass the firewall on a ConnectX-7; soft-RoCE and the tools' own TCP do."""
    inside(PEER, "iptables", "-I", "INPUT", "-i", "enp1s0f0np0", "-p", "tcp", "--dport", "18515:18546", "-j", "DROP")
    try:
        assert measured(reports).get("PAIR_FIREWALL_BLOCKS") == "fail"
    finally:
        inside(PEER, "iptables", "-D", "INPUT", "-i", "enp1s0f0np0", "-p", "tcp", "--dport", "18515:18546", "-j", "DROP")


def test_a_gid_that_moved_is_found_where_it_is_now(reports: Path) -> None:
    """Another address comes first in the table, so that the index of the run before belongs to a GID of another network."""
    before = indices(newest(reports))
    netdev = "enp1s0f0np0"
    address = next(word for word in inside(PEER, "ip", "-br", "-4", "address", "show", netdev).split() if word.startswith("192.168."))
    for verb, value in (("del", address), ("add", "198.51.100.9/24"), ("add", address)):
        inside(PEER, "ip", "address", verb, value, "dev", netdev)
    try:
        found = measured(reports)
    finally:
        inside(PEER, "ip", "address", "del", "198.51.100.9/24", "dev", netdev, check=False)
    assert not {"RDMA_GID_WRONG", "RDMA_NOT_MEASURED", "CX7_GID_MISSING"} & set(found), found
    assert indices(newest(reports)) != before


def in_the_middle(reports: Path, act: Callable[[], object]) -> tuple[str, dict[str, Any]]:
    """A run in which something happens while perftest measures: what it said, its report."""
    process = start(ROOT / "tests/vm/stack.yml", reports, **{**SHORT, "pair_proof_rdma_seconds": 10})
    end = time.monotonic() + 900
    while not all(inside(desk, "pgrep", "-x", "ib_write_bw", check=False) for desk in (HEAD, PEER)):
        assert time.monotonic() < end and process.poll() is None, process.communicate()[0]
        time.sleep(1)
    act()
    said, _none = process.communicate(timeout=900)
    for desk in (HEAD, PEER):
        assert not inside(desk, "pgrep", "-a", "ib_write", check=False), "nothing is left"
    return said, newest(reports)


def test_a_server_that_dies_in_the_middle_is_told(reports: Path) -> None:
    # Decided on the desk itself: from here it takes seconds, and a server whose client has its figure already is missed by nobody.
    transfers = "until ss -Htnp state established | grep -q ib_write_bw; do sleep 0.2; done; sleep 2"
    said, report = in_the_middle(reports, lambda: inside(PEER, "timeout", "300", "sh", "-c", f"{transfers}; pkill -KILL -x ib_write_bw"))
    assert {"RDMA_NOT_MEASURED"} <= set(loud(report["pairs"][0]["findings"])), said


def test_a_cable_that_is_pulled_in_the_middle_is_told_and_nothing_is_left(reports: Path) -> None:
    try:
        said, report = in_the_middle(reports, lambda: lab("cable", "pull", "cable-1"))
    finally:
        lab("cable", "plug", "cable-1")
    assert {"fail", "unknown"} & set(loud(report["pairs"][0]["findings"]).values()), said


def test_a_clock_that_steps_while_a_link_is_changed_costs_nothing(reports: Path) -> None:
    """Clocks of new desks are set when they first reach a time server, which can be while the guard of a change counts its seconds."""
    inside(PEER, "ip", "link", "set", "enp1s0f0np0", "mtu", "1500")
    process = start(ROOT / "tests/vm/stack.yml", reports, **SHORT)
    try:
        end = time.monotonic() + 900
        while inside(PEER, "systemctl", "is-active", "dgx-spark-link-undo.timer", check=False).strip() != "active":
            assert time.monotonic() < end and process.poll() is None, process.communicate()[0]
        inside(PEER, "date", "--set", "+3 hours")
        said, _none = process.communicate(timeout=900)
    finally:
        inside(PEER, "date", "--set", "-3 hours")
    report = newest(reports)
    pair = report["pairs"][0]
    told = loud([*pair["findings"], *(item for desk in report["desks"] for item in desk["findings"])])
    assert "fail" not in {severity for code, severity in told.items() if code not in SPEED} and pair["rdma"]["measured"], said
    assert inside(PEER, "cat", "/sys/class/net/enp1s0f0np0/mtu").strip() == "9000"
    assert inside(PEER, "systemctl", "is-active", "dgx-spark-link-undo.timer", check=False).strip() == "inactive"
