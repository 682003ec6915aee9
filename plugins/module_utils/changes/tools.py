# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that a stage needs on a desk: install what is missing, note what was added, remove only that."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..desk import Answer, Desk, WritableDesk

RECORD = "/var/lib/dgx_spark/pair_tools.json"
INSTALL_SECONDS = 900.0
"""Open MPI and its dependencies are about 30 MB."""

NO_QUESTIONS = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}


class ToolsError(Exception):
    """A package could not be installed or removed; ``said`` is what apt said."""

    def __init__(self, text: str, said: str = "") -> None:
        self.text, self.said = text, said
        super().__init__(text)


@dataclass
class Outcome:
    """What was done."""

    changed: bool = False
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)


def installed(desk: Desk) -> dict[str, str]:
    """Installed packages with version. Raises ToolsError when dpkg cannot be asked."""
    answer = desk.run(["dpkg-query", "-W", "-f", "${Package}\\t${Version}\\t${db:Status-Status}\\n"], timeout=30.0)
    if not answer.ok:
        raise ToolsError("the package database cannot be read", _said(answer))
    rows = (line.split("\t") for line in answer.stdout.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 3 and row[2] == "installed"}


def apt(words: Sequence[str], lock_timeout: int) -> list[str]:
    """An apt-get command that waits for the package lock (four programs of DGX OS claim it) and asks nothing."""
    return ["apt-get", "-y", "-q", "-o", f"DPkg::Lock::Timeout={lock_timeout}", "-o", "Dpkg::Options::=--force-confold", *words]


def install(desk: WritableDesk, packages: Sequence[str], debs: Sequence[str], lock_timeout: int, check_mode: bool) -> Outcome:
    """Install what is missing of ``packages``, from ``debs`` (paths on the desk) where given. Raises ToolsError."""
    outcome = Outcome()
    before = installed(desk)
    missing = [name for name in packages if name not in before]
    if not missing:
        return outcome
    outcome.changed = True
    what = list(debs) if debs else missing
    command = apt(["install", "--no-install-recommends", "--no-remove", *what], lock_timeout)
    outcome.commands.append(command)
    if check_mode:
        outcome.added = missing
        return outcome
    answer = _run(desk, command, lock_timeout)
    if not answer.ok and not debs:
        # A desk's package lists may be older than its archive.
        update = apt(["update"], lock_timeout)
        outcome.commands += [update, command]
        _run(desk, update, lock_timeout)
        answer = _run(desk, command, lock_timeout)
    after = installed(desk)
    outcome.added = sorted(set(after) - set(before))
    if outcome.added:
        _note(desk, sorted({*recorded(desk), *outcome.added}))
    left = [name for name in missing if name not in after]
    if left:
        raise ToolsError(f"{', '.join(left)} could not be installed", _said(answer))
    return outcome


def install_version(desk: WritableDesk, packages: Sequence[str], version: str, lock_timeout: int) -> Outcome:
    """Install packages in one version where they are missing; one that is there in another version is left alone and named.

    Raises ToolsError.
    """
    there = installed(desk)
    other = [f"{name} {there[name]}" for name in packages if there.get(name, version) != version]
    if other:
        raise ToolsError(f"{', '.join(other)} is installed, version {version} was expected")
    missing = [name for name in packages if name not in there]
    return install(desk, missing, [f"{name}={version}" for name in missing], lock_timeout, False)


def remove(desk: WritableDesk, lock_timeout: int, check_mode: bool) -> Outcome:
    """Remove what was added, nothing else; never autoremove. Raises ToolsError."""
    outcome = Outcome()
    noted = recorded(desk)
    if not noted:
        return outcome
    present = [name for name in noted if name in installed(desk)]
    outcome.changed = True
    outcome.removed = present
    if present:
        # --no-remove cannot be given to a removal, so it is simulated first: nothing that we did not add may go with it.
        simulated = _run(desk, apt(["remove", "--simulate", *present], lock_timeout), lock_timeout)
        going = {line.split()[1] for line in simulated.stdout.splitlines() if line.startswith("Remv ")}
        if not simulated.ok or going - set(noted):
            others = ", ".join(sorted(going - set(noted)))
            raise ToolsError(f"{others or 'packages'} would be removed as well, so nothing was removed", _said(simulated))
        command = apt(["remove", *present], lock_timeout)
        outcome.commands.append(command)
        if not check_mode:
            answer = _run(desk, command, lock_timeout)
            if not answer.ok:
                raise ToolsError(f"{', '.join(present)} could not be removed", _said(answer))
    if not check_mode:
        try:
            desk.remove(RECORD)
        except OSError as error:
            raise ToolsError(f"{RECORD} cannot be removed: {error.strerror}") from error
    return outcome


def recorded(desk: Desk) -> list[str]:
    """Packages that were added."""
    try:
        data = json.loads(desk.read_text(RECORD).text or "{}")
    except ValueError:
        return []
    return [str(name) for name in data.get("added", [])] if isinstance(data, dict) else []


def _note(desk: WritableDesk, names: Sequence[str]) -> None:
    try:
        desk.make_folder(posixpath.dirname(RECORD))
        desk.write_text(RECORD, json.dumps({"added": list(names)}, indent=1) + "\n")
    except OSError as error:
        raise ToolsError(f"{RECORD} cannot be written: {error.strerror}") from error


def _run(desk: Desk, command: Sequence[str], lock_timeout: int) -> Answer:
    return desk.run(command, timeout=INSTALL_SECONDS + lock_timeout, env=NO_QUESTIONS)


def _said(answer: Answer) -> str:
    return answer.error or " ".join((answer.stderr or answer.stdout).split())[-600:]
