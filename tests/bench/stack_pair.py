# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run of stack_pair.yml grows with the lab, and beside another commit: module executions, task results, ssh commands, CPU, wall time.

Usage: python tests/bench/stack_pair.py [--pairs 2 8 16] [--base COMMIT] [--repeat 1]
For each lab size a new lab of enrolled, bare desks is stacked twice: "first" is the way from bare to proven, with a bundle cache of its
own, "again" changes nothing. With --base the whole is done by turns with that commit's own playbooks, plugins and simulator. A run that
failed is no number: it is named, left out of every median, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("first", "again")
FIGURES = ("executions", "results", "commands", "cpu_seconds", "wall_seconds")
RECAP = re.compile(r"^\S+ +: ok=(\d+) .*?unreachable=(\d+) +failed=(\d+) +skipped=(\d+) ", re.MULTILINE)
COUNTING_SSH = """#!/bin/sh
echo >> {count}
exec ssh "$@"
"""


@dataclass(frozen=True)
class Row:
    """One measured run."""

    tree: str
    """new (this checkout) or base"""
    pairs: int
    kind: str
    """first or again"""
    executions: float
    """Module executions a desk."""
    results: float
    """Task results a desk, as Ansible's recap counts them (skipped ones too)."""
    commands: float
    """ssh commands of the controller a desk."""
    cpu_seconds: float
    """Of the controller."""
    wall_seconds: float
    exit_code: int
    load: float
    """The machine's load average over a minute when the run began."""


def lab(tree: Path, name: str, *arguments: str) -> str:
    """Run the lab's command."""
    command = [str(tree / "simulator/lab"), "--lab", name, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def executions(tree: Path, name: str, desks: Sequence[str], since: str) -> float:
    """Module executions a desk since a time: each leaves one 'Invoked with' line in the desk's journal."""
    total = 0
    for desk in desks:
        journal = lab(tree, name, "exec", desk, "--", "journalctl", "--since", since, "--output", "cat", "--no-pager")
        total += sum("Invoked with" in line for line in journal.splitlines())
    return total / len(desks)


@dataclass(frozen=True)
class Ended:
    """What one run cost."""

    results: int
    commands: int
    cpu_seconds: float
    wall_seconds: float
    exit_code: int


def results_of(output: str) -> int:
    """Task results in Ansible's recap, of all hosts together."""
    return sum(int(number) for line in RECAP.findall(output) for number in line)


def stack(tree: Path, name: str, cache: str) -> Ended:
    """One run; what is in the way of its ssh commands only counts them."""
    playbook = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventories/simulated", "playbooks/stack_pair.yml"]
    argv = [*playbook, "-e", f"nccl_bundle_cache={cache}"]
    with tempfile.TemporaryDirectory(prefix="bench-ssh-") as folder:
        count, program = Path(folder, "count"), Path(folder, "ssh")
        count.touch()
        program.write_text(COUNTING_SSH.format(count=count), encoding="utf-8")
        program.chmod(0o700)
        environment = {
            **os.environ,
            "LAB": name,
            "ANSIBLE_CONFIG": str(tree / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(tree / ".collections"),
            "ANSIBLE_SSH_EXECUTABLE": str(program),
        }
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(argv, cwd=tree, env=environment, capture_output=True, text=True, check=False)
        wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        commands = count.stat().st_size
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode:
        print("\n".join(done.stdout.splitlines()[-20:]), file=sys.stderr)
    return Ended(results_of(done.stdout), commands, cpu, wall, done.returncode)


def measure(label: str, tree: Path, pairs: int) -> Iterator[Row]:
    """A new lab of ``pairs`` pairs, stacked twice; a first run that fails ends it, because the second would begin elsewhere."""
    name = f"bench-{label}{pairs}"
    lab(tree, name, "up", "--enrolled", "--pairs", str(pairs))
    try:
        desks = sorted(json.loads(lab(tree, name, "inventory"))["_meta"]["hostvars"])
        with tempfile.TemporaryDirectory(prefix="bench-bundle-") as cache:
            for kind in KINDS:
                time.sleep(1.1)  # the journal is asked by whole seconds
                since = lab(tree, name, "exec", desks[0], "--", "date", "+%Y-%m-%d %H:%M:%S").strip()
                load = os.getloadavg()[0]
                ended = stack(tree, name, cache)
                yield Row(
                    tree=label,
                    pairs=pairs,
                    kind=kind,
                    executions=executions(tree, name, desks, since),
                    results=ended.results / len(desks),
                    commands=ended.commands / len(desks),
                    cpu_seconds=ended.cpu_seconds,
                    wall_seconds=ended.wall_seconds,
                    exit_code=ended.exit_code,
                    load=load,
                )
                if ended.exit_code:
                    return
    finally:
        lab(tree, name, "down")


@contextlib.contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The files of a commit in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="bench-base-") as folder:
        packed = subprocess.run(["git", "-C", str(ROOT), "archive", commit], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
        yield Path(folder)


def medians(rows: Sequence[Row]) -> dict[tuple[str, int, str], dict[str, float]]:
    """(tree, pairs, kind) to the median of each figure over the runs that ended well."""
    groups: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        if row.exit_code == 0:
            groups.setdefault((row.tree, row.pairs, row.kind), []).append(row)
    return {key: {name: statistics.median(getattr(row, name) for row in group) for name in FIGURES} for key, group in groups.items()}


def ratios(rows: Sequence[Row]) -> dict[tuple[int, str], dict[str, float]]:
    """(pairs, kind) to new divided by base of each figure, where both have one and the base is not zero."""
    found = medians(rows)
    return {
        (pairs, kind): {name: value / base[name] for name, value in figures.items() if base[name]}
        for (tree, pairs, kind), figures in found.items()
        if tree == "new" and (base := found.get(("base", pairs, kind))) is not None
    }


HEAD = "tree  pairs run    executions/desk results/desk ssh/desk CPU s/desk   wall s wall s/pair  load"


def line(row: Row) -> str:
    """A row of the table; a run that failed has no figures."""
    begun = f"{row.tree:5} {row.pairs:5} {row.kind:6}"
    if row.exit_code:
        return f"{begun} failed with exit code {row.exit_code}, no number"
    return (
        f"{begun} {row.executions:15.1f} {row.results:12.1f} {row.commands:8.1f} {row.cpu_seconds / (row.pairs * 2):10.2f} "
        f"{row.wall_seconds:8.1f} {row.wall_seconds / row.pairs:11.1f} {row.load:5.1f}"
    )


def main() -> int:
    """Print one line a run, then the ratios to the base."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[2, 8, 16])
    parser.add_argument("--base", help="a commit to compare with")
    parser.add_argument("--repeat", type=int, default=1, help="times that each tree is measured")
    given = parser.parse_args()
    rows: list[Row] = []
    with contextlib.ExitStack() as opened:
        trees = {"base": opened.enter_context(checkout(given.base))} if given.base else {}
        trees["new"] = ROOT
        print(HEAD, flush=True)
        for pairs in given.pairs:
            for _number in range(given.repeat):
                for label, tree in trees.items():
                    for row in measure(label, tree, pairs):
                        rows.append(row)
                        print(line(row), flush=True)
    for (pairs, kind), figures in sorted(ratios(rows).items()):
        told = ", ".join(f"{name.partition('_')[0]} x {value:.2f}" for name, value in figures.items())
        print(f"new beside {given.base}, {pairs} pairs, {kind}: {told}")
    return 1 if any(row.exit_code for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
