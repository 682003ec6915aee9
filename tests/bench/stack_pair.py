"""How a run of stack_pair.yml grows with the lab: module executions, controller CPU, wall time. Prints a table, asserts nothing.

Usage: python tests/bench/stack_pair.py [--pairs 2 8 16]
Each lab is started, stacked once, and measured on a second run that changes nothing; then it is removed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Row:
    """One measured run."""

    pairs: int
    executions: float
    cpu_seconds: float
    wall_seconds: float
    exit_code: int


def lab(name: str, *arguments: str) -> str:
    """Run the lab's command."""
    command = [str(ROOT / "simulator/lab"), "--lab", name, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def executions(name: str, desks: list[str], since: str) -> float:
    """Module executions a desk since a time: each leaves one 'Invoked with' line in the desk's journal."""
    total = 0
    for desk in desks:
        journal = lab(name, "exec", desk, "--", "journalctl", "--since", since, "--output", "cat", "--no-pager")
        total += sum("Invoked with" in line for line in journal.splitlines())
    return total / len(desks)


def stack(name: str) -> tuple[float, float, int]:
    """(CPU seconds of the controller, wall seconds, exit code) of one run."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    playbook = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", "inventories/simulated", "playbooks/stack_pair.yml"]
    done = subprocess.run(playbook, cwd=ROOT, env={**os.environ, "LAB": name}, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - begun, done.returncode


def measure(pairs: int) -> Row:
    """A lab of ``pairs`` pairs, stacked twice; the second run is the one that counts."""
    name = f"bench{pairs}"
    lab(name, "up", "--enrolled", "--pairs", str(pairs))
    try:
        desks = sorted(json.loads(lab(name, "inventory"))["_meta"]["hostvars"])
        stack(name)
        time.sleep(1.1)
        since = lab(name, "exec", desks[0], "--", "date", "+%Y-%m-%d %H:%M:%S").strip()
        cpu, wall, code = stack(name)
        return Row(pairs, executions(name, desks, since), cpu, wall, code)
    finally:
        lab(name, "down")


def main() -> int:
    """Print one line a lab size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[2, 8, 16])
    arguments = parser.parse_args()
    print(
        f"{'pairs':>5} {'desks':>5} {'executions/desk':>15} {'CPU s':>8} {'CPU s/desk':>10} {'wall s':>8} {'wall s/pair':>11} {'exit':>4}"
    )
    for pairs in arguments.pairs:
        row = measure(pairs)
        print(
            f"{row.pairs:5} {row.pairs * 2:5} {row.executions:15.1f} {row.cpu_seconds:8.1f} {row.cpu_seconds / row.pairs / 2:10.2f} "
            f"{row.wall_seconds:8.1f} {row.wall_seconds / row.pairs:11.1f} {row.exit_code:4}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
