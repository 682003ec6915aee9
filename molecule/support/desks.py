"""Hosts for testinfra: a desk seen as root (through the container engine) and as the login user (over ssh, with paramiko)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import testinfra

ROOT = Path(__file__).resolve().parents[2]
LAB = os.environ.get("LAB", "test")


@cache
def inventory() -> dict[str, Any]:
    """The lab's inventory as Ansible sees it."""
    command = [str(ROOT / "simulator/lab"), "--lab", LAB, "inventory"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@cache
def status() -> dict[str, Any]:
    """What the lab says of itself."""
    command = [str(ROOT / "simulator/lab"), "--lab", LAB, "status", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def lab(*arguments: str) -> str:
    """Run the lab's command."""
    command = [str(ROOT / "simulator/lab"), "--lab", LAB, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def play(playbook: Path, *arguments: str, source: Path | None = None, **variables: Any) -> subprocess.Popen[str]:
    """A playbook over the lab (or over the inventory ``source``) in a process and a session of its own, without molecule's settings."""
    command = [
        str(ROOT / ".venv/bin/ansible-playbook"),
        f"--inventory={source or ROOT / 'inventories/simulated'}",
        str(playbook),
        f"--extra-vars={json.dumps(variables)}",
        *arguments,
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MOLECULE")}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={
            **environment,
            "LAB": LAB,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "false",
            "ANSIBLE_NOCOLOR": "true",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[Any]) -> None:
    """End a run of a playbook with its workers and ssh connections at once, as a power cut would. Workers lead sessions of their own."""
    pids = []
    with contextlib.suppress(OSError):
        pids = [process.pid, *descendants(process.pid)]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def descendants(pid: int) -> list[int]:
    """Every process that was started by a process, directly or not."""
    found: list[int] = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *descendants(int(child))]
    return found


MODULE = "^/usr/bin/python3[.0-9]*$"
"""What `pgrep -f` finds a module on a desk by: Python fed by sudo, without arguments."""


def desk_names() -> list[str]:
    """Names of the desks, sorted."""
    return sorted(inventory()["_meta"]["hostvars"])


def as_root(desk: str) -> Any:
    """The desk as root, through the container engine."""
    return testinfra.get_host(f"{status()['engine']['name']}://spark-{LAB}-{desk}")


def as_login_user(desk: str) -> Any:
    """The desk as the login user, over ssh."""
    values = {key: value for group in inventory().values() for key, value in (group.get("vars") or {}).items()}
    values |= inventory()["_meta"]["hostvars"][desk]
    return testinfra.get_host(
        f"paramiko://{values['ansible_user']}@{values['ansible_host']}", ssh_identity_file=values["ansible_ssh_private_key_file"]
    )


def newest_report(scenario: str = "default") -> dict[str, Any]:
    """The report of the scenario's last run."""
    folder = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "reports"
    newest = max(folder.glob("*/report.json"), key=lambda path: path.stat().st_mtime)
    return json.loads(newest.read_text(encoding="utf-8"))
