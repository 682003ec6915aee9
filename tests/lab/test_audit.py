"""The audit on simulated desks: it changes nothing, its recordings replay and name nobody, and a recording starts a desk."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from desks import LAB, lab

ROOT = Path(__file__).resolve().parents[2]
DESK = "desk-01"
LOUD = ("warn", "unknown", "fail")
SEEN = r"""
find /etc /usr /opt /boot /var /home /root /srv -xdev \
    \( -path /var/log -o -path /var/lib/systemd -o -path /var/lib/NetworkManager -o -path /var/tmp \) -prune \
    -o -printf '%p %y %s %m %U:%G %T@ %l\n' | sort
ip -o addr | sed 's/ valid_lft.*//' | grep -v 'inet6 fe80'
ip route
ip -6 route show default
systemctl list-unit-files --no-legend --no-pager
systemctl list-units --all --no-legend --no-pager --plain --type=service,timer,socket |
    awk '{print $1, $2, $3, $4}' |
    grep -v '^user@\|^user-\|^run-\|^ssh@\|^systemd-hostnamed\|^systemd-timedated\|^NetworkManager-dispatcher'
find /tmp /var/tmp /run -xdev -type f | sort |
    grep -v '^/run/systemd/\|^/run/user/\|^/run/spark-hw/\|^/run/udev/\|^/run/NetworkManager/\|utmp'
"""
"""Everything of a desk that must be the same after an audit: files, links, modes and times, addresses, routes, units. What daemons write
by themselves while a desk merely runs (logs, systemd's and NetworkManager's clocks and leases, services that end when idle) is left out."""

pytestmark = pytest.mark.lab


def play(playbook: str, folder: Path, *arguments: str, name: str = LAB) -> tuple[int, str, dict[str, Any]]:
    """Run a playbook on a lab: exit code, output, and the newest report (empty when there is none)."""
    command = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", str(ROOT / "inventories/simulated"), str(ROOT / f"playbooks/{playbook}.yml")]
    done = subprocess.run(
        [*command, "-e", f"spark_report_dir={folder}", *arguments],
        cwd=folder,
        env={**os.environ, "LAB": name, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    reports = sorted(folder.glob("*/report.json"), key=lambda path: path.stat().st_mtime)
    return done.returncode, done.stdout + done.stderr, json.loads(reports[-1].read_text()) if reports else {}


def codes(findings: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(item["code"], item["severity"]) for item in findings}


def replay(folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [str(ROOT / ".venv/bin/python"), str(ROOT / "tests/replay.py"), str(folder)], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module", autouse=True)
def fresh() -> Iterator[None]:
    """Start from desks as described and leave them so."""
    lab("reset")
    yield
    lab("reset")


@pytest.mark.parametrize("become", [(), ("-b",)], ids=["without root", "as root"])
def test_an_audit_changes_nothing_on_a_desk(become: tuple[str, ...], tmp_path: Path) -> None:
    # The first session of a user makes what every login makes; that is not the audit's doing.
    play("audit", tmp_path, *become, "--limit", DESK)
    before = lab("exec", DESK, "--", "sh", "-c", SEEN).splitlines()
    assert len(before) > 5000
    code, output, report = play("audit", tmp_path, *become, "--limit", DESK)
    assert code == 0, output
    assert [desk["name"] for desk in report["desks"]] == [DESK]
    after = lab("exec", DESK, "--", "sh", "-c", SEEN).splitlines()
    changed = sorted(set(before) ^ set(after))
    assert changed == [], "\n".join(changed[:20])


def test_the_comparison_sees_a_change() -> None:
    before = lab("exec", DESK, "--", "sh", "-c", SEEN).splitlines()
    lab("exec", DESK, "--", "touch", "/etc/dgx-release")
    after = lab("exec", DESK, "--", "sh", "-c", SEEN).splitlines()
    assert any("/etc/dgx-release" in line for line in set(before) ^ set(after))


def names_of(desk: dict[str, Any]) -> set[str]:
    """What would tell whose desk it is."""
    facts = desk["facts"]
    functions = [item for port in facts["cx7"]["ports"] for item in port["functions"]]
    found = {facts["identity"]["hostname"], facts["limits"]["user"], facts["network"]["management_mac"], facts["identity"]["boot_id"]}
    found |= {item["mac"] for item in functions} | {item["phys_switch_id"] for item in functions}
    found |= {item["address"] for item in facts["network"]["management_addresses"]}
    found |= {key.split()[1] for key in facts["setup"]["host_public_keys"]}
    for path in ("/etc/machine-id", "/sys/class/dmi/id/product_serial"):
        found.add(lab("exec", desk["name"], "--", "cat", path).strip())
    return {name for name in found if name}


def test_a_recording_says_what_the_audit_said_and_names_nobody(tmp_path: Path) -> None:
    _code, output, report = play("audit", tmp_path, "-b", "--limit", DESK)
    [desk] = report["desks"]
    assert desk["facts"], output
    code, output, _report = play("record", tmp_path, "-e", f"record_dir={tmp_path / 'recordings'}", "--limit", DESK)
    assert code == 0, output
    [folder] = (tmp_path / "recordings").iterdir()
    assert codes(replay(folder)["findings"]) == codes(desk["findings"])
    names = names_of(desk)
    assert len(names) > 12
    everything = list(folder.rglob("*"))
    texts = {
        str(path): path.read_text(encoding="utf-8", errors="replace") for path in everything if path.is_file() and not path.is_symlink()
    }
    texts |= {f"{path} ->": os.readlink(path) for path in everything if path.is_symlink()}
    leaks = [(name, path) for name in names for path, text in texts.items() if name in text or name in path.removeprefix(str(tmp_path))]
    assert leaks == []


@pytest.fixture
def own_lab(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], str]]:
    """Brings up a lab of its own from a description, and takes it down."""
    name = f"r{os.getpid() % 100000}"
    command = [str(ROOT / "simulator/lab"), "--lab", name]

    def up(description: dict[str, Any]) -> str:
        (tmp_path / "lab.yml").write_text(yaml.safe_dump(description))
        done = subprocess.run([*command, "up", str(tmp_path / "lab.yml"), "--enrolled"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return name

    yield up
    subprocess.run([*command, "down"], capture_output=True, check=False)


def test_a_desk_started_from_a_recording_is_as_sick_as_it_was(own_lab: Callable[[dict[str, Any]], str], tmp_path: Path) -> None:
    chosen = {"desk-01": "pcie_half_rate", "desk-02": "driver_proprietary"}
    name = own_lab({"desks": {desk: {"recording": recording} for desk, recording in chosen.items()}})
    _code, output, report = play("audit", tmp_path, "-b", name=name)
    assert len(report["desks"]) == 2, output
    for desk in report["desks"]:
        told = replay(ROOT / "tests/recordings" / chosen[desk["name"]])["findings"]
        assert {found for found in codes(desk["findings"]) if found[1] in LOUD} == {found for found in codes(told) if found[1] in LOUD}
