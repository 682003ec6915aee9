# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock files pin what the requirements ask for, each file with a hash, and agree with each other. Needs no network.

That every pinned package has a wheel wherever it is needed is checked where it is looked up, by tools/lock.sh.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
LOCKS = {
    "requirements.lock": ("requirements.txt",),
    "requirements-dev.lock": ("requirements.txt", "requirements-dev.txt"),
    "requirements-source.lock": ("requirements-source.txt",),
}
"""Lock file to the requirements that it pins."""
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def lines(text: str) -> Iterator[str]:
    """The requirements of a file, continued lines joined, without comments and references to other files."""
    for line in text.replace("\\\n", " ").splitlines():
        bare = line.split("#", 1)[0].strip()
        if bare and not bare.startswith("-"):
            yield bare


def pinned(text: str, name: str) -> Iterator[Requirement]:
    """The entries of a lock file. Raises ValueError for one that pins nothing or has no hash."""
    for line in lines(text):
        requirement = Requirement(line.split("--hash", 1)[0])
        if not HASH.search(line):
            raise ValueError(f"{name}: {requirement.name} has no hash")
        if [part.operator for part in requirement.specifier] != ["=="]:
            raise ValueError(f"{name}: {requirement.name} is not pinned to one version")
        yield requirement


def versions(entries: list[Requirement], python: str) -> dict[str, str]:
    """Package to version on a Python."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    applying = (entry for entry in entries if entry.marker is None or entry.marker.evaluate(environment))
    return {key(entry.name): next(iter(entry.specifier)).version for entry in applying}


def key(name: str) -> str:
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def problems(texts: dict[str, str]) -> Iterator[str]:
    """What is wrong, one sentence each; texts of requirements and locks by their names."""
    try:
        entries = {lock: list(pinned(texts[lock], lock)) for lock in LOCKS}
    except ValueError as error:
        yield str(error)
        return
    for lock, inputs in LOCKS.items():
        for python in PYTHONS:
            here = versions(entries[lock], python)
            for path in inputs:
                for wanted in map(Requirement, lines(texts[path])):
                    version = here.get(key(wanted.name))
                    if version is None:
                        yield f"{lock}: {wanted.name} of {path} is missing on Python {python}"
                    elif not wanted.specifier.contains(version, prereleases=True):
                        yield f"{lock}: {wanted.name} {version} is not what {path} asks for ({wanted.specifier})"
            if lock == "requirements.lock":
                told = versions(entries["requirements-dev.lock"], python)
                for name, version in here.items():
                    other = told.get(name, "missing")
                    if other != version:
                        yield f"{name} is {version} in requirements.lock, {other} in requirements-dev.lock (Python {python})"


def main() -> int:
    """Exit 1 with a line for each problem."""
    names = {*LOCKS, *(path for inputs in LOCKS.values() for path in inputs)}
    found = list(dict.fromkeys(problems({name: (ROOT / name).read_text(encoding="utf-8") for name in names})))
    for problem in found:
        print(f"{problem}: run make lock", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
