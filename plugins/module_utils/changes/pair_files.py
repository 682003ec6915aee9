# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small state of a pair on a desk: files of ours, our lines in files of others, the pair's key, firewall rules, who may reach MPI's ports.

Read, plan, apply.
"""

from __future__ import annotations

import base64
import errno
import ipaddress
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..desk import DAMAGED, DENIED, Answer, HomesDesk, Text
from ..model import mpi_guard
from ..model.desk import MpiGuard
from ..model.mpi_guard import SERVICE
from ..programs import user_files

MARK = "dgx_spark_pair"
"""Ends every line of ours in a file that others write too, and is the comment of our firewall rules."""

OWN_FOLDERS = ("/etc/dgx_spark/", "/usr/local/bin/pair-")
"""Where whole files may be written or removed."""

ROOTS_FILES = ("/etc/hosts",)
"""Files of others that root itself writes into. Everything else belongs to a user, who writes it."""

FOLDER_MODE = 0o755


class PairFilesError(Exception):
    """Something is wanted that this code never does, or a step failed. The text says what to do."""


class UnguardedError(PairFilesError):
    """Everything else was done, and Open MPI's ports stay open to everybody. ``commands``: those that were run."""

    def __init__(self, text: str, commands: Sequence[list[str]]) -> None:
        self.commands = list(commands)
        super().__init__(text)


@dataclass(frozen=True)
class WantedFile:
    """A whole file of ours; ``content`` null: not there."""

    path: str
    content: str | None
    mode: int = 0o644


@dataclass(frozen=True)
class WantedLines:
    """Our lines in a file of others: exactly these, all ending with the mark.

    ``user``: whose file it is and who reads and writes it; null: root's, outside of any home.
    """

    path: str
    lines: tuple[str, ...]
    user: str | None = None
    mode: int = 0o600


@dataclass(frozen=True)
class WantedKey:
    """The pair's key of the login user, made on the desk and never copied."""

    path: str
    user: str
    present: bool = True


@dataclass(frozen=True)
class Rule:
    """Let a peer's address in on one interface."""

    netdev: str
    source: str

    @property
    def words(self) -> list[str]:
        """As ufw takes it."""
        return ["allow", "in", "on", self.netdev, "from", self.source]


@dataclass(frozen=True)
class Wanted:
    """All that is wanted; what is left out is left alone."""

    files: tuple[WantedFile, ...] = ()
    lines: tuple[WantedLines, ...] = ()
    key: WantedKey | None = None
    rules: tuple[Rule, ...] | None = None
    """Firewall rules with our mark, exactly these; null: left alone."""
    guard: mpi_guard.Guard | None = None
    """Who may reach Open MPI's ports; null: left alone."""
    no_guard: bool = False
    """Whether what guards them goes."""


@dataclass(frozen=True)
class Have:
    """What is there: path to content (null when absent), the key, our firewall rules (null without ufw)."""

    contents: dict[str, str | None] = field(default_factory=dict)
    key_present: bool = False
    key_damaged: bool = False
    """Something of the key is there that ssh cannot use."""
    wrong_modes: frozenset[str] = frozenset()
    """Files and folders of ours with another owner or mode than wanted."""
    rules: tuple[Rule, ...] | None = None
    guard: MpiGuard | None = None
    """What guards Open MPI's ports; null without iptables."""
    unread: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    kind: str
    """write, remove, folder, lines, make_key, remove_key, allow, forbid, guard, unguard"""
    path: str
    before: str | None = None
    after: str | None = None
    mode: int = 0o644
    user: str | None = None
    rule: Rule | None = None
    lines: tuple[str, ...] = ()


_ADDED = re.compile(r"^ufw allow in on (\S+) from (\S+?)(?:/32)? comment '?" + MARK + r"'?\s*$", re.MULTILINE)


def rules_of(text: str) -> tuple[Rule, ...]:
    """Our rules in the output of ``ufw show added``."""
    return tuple(Rule(found.group(1), found.group(2)) for found in _ADDED.finditer(text))


def read(desk: HomesDesk, want: Wanted) -> Have:
    """What is there of what is wanted. Of files below a user's home only our lines come here, told by a helper of that user."""
    contents: dict[str, str | None] = {}
    unread: dict[str, str] = {}
    for path in [*(item.path for item in want.files), *(item.path for item in want.lines if item.user is None)]:
        text = desk.read_text(path)
        contents[path] = _as_it_is(desk, path, text.text) if path in ROOTS_FILES else text.text
        if text.error not in (None, "missing"):
            unread[path] = str(text.error)
    for item in want.lines:
        if item.user is not None:
            # What the merge would do; the user's own file is the place where it is decided.
            answer = desk.ask_as(item.user, merge_request(item, apply=False))
            contents[item.path] = answer.get("before") or None
            if answer.get("error"):
                unread[item.path] = str(answer["error"])
    key = Text("")
    if want.key is not None:
        key = desk.read_as(want.key.user, (), (want.key.path,))[0]
        if key.error == DENIED:
            unread[want.key.path] = DENIED
    rules = None
    if want.rules is not None:
        told = desk.run(["ufw", "show", "added"])
        if told.ok:
            rules = rules_of(told.stdout)
        elif told.error != "missing":
            unread["ufw"] = told.error or f"rc {told.rc}"
    guard = None
    if want.guard is not None or want.no_guard:
        contents[mpi_guard.UNIT] = desk.read_text(mpi_guard.UNIT).text
        ipv4, ipv6 = (answer.stdout if answer.ok else None for answer in map(desk.run, mpi_guard.COMMANDS))
        enabled = desk.read_link(mpi_guard.WANTED_BY).target is not None
        guard = mpi_guard.found(enabled, ipv4, ipv6, desk.read_text(mpi_guard.IPV6).text)
    return Have(contents, key.text is not None, key.error == DAMAGED, _wrong_modes(desk, want), rules, guard, unread)


def _as_it_is(desk: HomesDesk, path: str, text: str | None) -> str | None:
    """A text with bytes that are no UTF-8 (somebody's remark) in a form that is written back as those bytes."""
    if "\ufffd" not in (text or ""):
        return text
    answer = desk.run(["base64", "--wrap=0", path])
    return base64.b64decode(answer.stdout).decode("utf-8", "surrogateescape") if answer.ok else text


def merge_request(item: WantedLines, apply: bool) -> dict[str, Any]:
    """What the user's helper is asked (see `programs.user_files`)."""
    return {"op": "merge", "path": item.path, "lines": list(item.lines), "mode": item.mode, "apply": apply}


def _wrong_modes(desk: HomesDesk, want: Wanted) -> frozenset[str]:
    """Files and folders of ours that root does not own, or whose mode is another one."""
    wanted = {file.path: f"{file.mode:o}" for file in want.files if file.content is not None}
    wanted |= {posixpath.dirname(path): f"{FOLDER_MODE:o}" for path in wanted if path.startswith(OWN_FOLDERS[0])}
    if not wanted:
        return frozenset()
    rows = (line.split(" ", 2) for line in desk.run(["stat", "-c", "%a %u %n", "--", *sorted(wanted)]).stdout.splitlines())
    return frozenset(row[2] for row in rows if len(row) == 3 and wanted.get(row[2]) not in (None, row[0] if row[1] == "0" else ""))


def with_lines(content: str | None, lines: Sequence[str]) -> str | None:
    """A text with exactly these lines of ours; lines of others are left as they are. Null stays null without lines."""
    before = None if content is None else content.encode("utf-8", "surrogateescape")
    after = user_files.with_lines(before, [line.encode() for line in lines])
    return None if after is None else after.decode("utf-8", "surrogateescape")


def ours(text: str) -> str:
    """Our lines of a text."""
    return "".join(f"{line}\n" for line in text.splitlines() if line.rstrip().endswith(MARK))


def plan(have: Have, want: Wanted) -> list[Step]:
    """The steps from what is there to what is wanted. Pure. Raises PairFilesError for what is never done."""
    steps: list[Step] = []
    for path, reason in have.unread.items():
        looks = f"sudo ls -ld {posixpath.dirname(path)} {path} shows what it is and whose" if path.startswith("/") else ""
        raise PairFilesError(f"{path} cannot be read ({reason}), so it is not changed" + (f"; {looks}" if looks else ""))
    if want.key is not None and (want.key.present != have.key_present or have.key_damaged):
        steps.append(Step("make_key" if want.key.present else "remove_key", want.key.path, user=want.key.user, mode=0o600))
    for file in want.files:
        if not file.path.startswith(OWN_FOLDERS) or posixpath.normpath(file.path) != file.path:
            raise PairFilesError(f"{file.path} is not one of this collection's files")
        refuse_content(file.path, file.content)
        before, folder = have.contents.get(file.path), posixpath.dirname(file.path)
        if folder in have.wrong_modes and all(step.path != folder for step in steps):
            steps.append(Step("folder", folder, mode=FOLDER_MODE))
        if before != file.content or file.path in have.wrong_modes:
            steps.append(Step("remove" if file.content is None else "write", file.path, before, file.content, file.mode))
    for item in want.lines:
        if item.user is None and item.path not in ROOTS_FILES:
            raise PairFilesError(f"{item.path} is not one of root's files that this collection writes to; name its user")
        for line in item.lines:
            refuse_line(item.path, line, item.user)
        before = have.contents.get(item.path)
        after = with_lines(before, item.lines)
        if after != before:
            steps.append(Step("lines", item.path, before, after, item.mode, item.user, lines=item.lines))
    if want.rules is not None and have.rules is not None:
        steps += [Step("forbid", "ufw", rule=rule) for rule in have.rules if rule not in want.rules]
        steps += [Step("allow", "ufw", rule=rule) for rule in want.rules if rule not in have.rules]
    return [*steps, *_guard_steps(have, want)]


def _guard_steps(have: Have, want: Wanted) -> list[Step]:
    """Without iptables there is nothing that could guard."""
    path, before = mpi_guard.UNIT, have.contents.get(mpi_guard.UNIT)
    for source in want.guard.sources if want.guard is not None else ():
        if not _is_address(source):
            raise PairFilesError(f"{path}: {source[:60]!r} is not an address that can be let in")
    if want.guard is not None and have.guard is not None:
        text = mpi_guard.unit(want.guard)
        right = before == text and path not in have.wrong_modes and mpi_guard.in_force(want.guard, have.guard)
        return [] if right else [Step("guard", path, before, text)]
    if not want.no_guard:
        return []
    if before is None and have.guard is not None and (have.guard.enabled or have.guard.ipv4 or have.guard.ipv6):
        # The unit is what knows how they go.
        before = mpi_guard.unit(mpi_guard.Guard(0, ()))
        return [Step("guard", path, None, before), Step("unguard", path, before)]
    return [Step("unguard", path, before)] if before is not None else []


def _is_address(text: str) -> bool:
    """A plain address, without a scope (which may hold any character); a name would be asked for at a name server at every boot."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


_PLAIN = r"[0-9A-Fa-f.:]+"
_PLACE = rf"(?:{_PLAIN}|\[{_PLAIN}\]:[0-9]+)"
_KEY = r"[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}"
_SHAPES = {
    "authorized_keys": re.compile(rf'restrict,from="{_PLAIN}(,{_PLAIN})*" {_KEY} {MARK}'),
    "hosts": re.compile(rf"{_PLAIN} [A-Za-z0-9][A-Za-z0-9._-]* # {MARK}"),
}
"""What a line of ours looks like in each file: addresses without patterns or scopes, one key, the mark. Nothing else lets anybody in."""


def refuse_line(path: str, line: str, user: str | None = None) -> None:
    """Raises PairFilesError for a line that is not of the one kind that we write into such a file. Into a user's known_hosts nothing
    is written; every other file of a user is one of keys, which an ssh server may read under any name."""
    if not line.endswith(MARK):
        raise PairFilesError(f"{path}: a line of ours must end with {MARK}")
    name = posixpath.basename(path)
    shape = _SHAPES.get(name if user is None or name == "known_hosts" else "authorized_keys")
    if shape is None or shape.fullmatch(line) is None:
        raise PairFilesError(f"{path}: {line[:120]!r} is not a line that this collection writes there")


_CONTENTS = {
    "/etc/dgx_spark/pair.env": re.compile(r"# [^\x00-\x1f\x7f-\x9f]*|(?:NCCL|UCX|OMPI|PRTE)_[A-Za-z0-9_]+=[A-Za-z0-9_.,:/=^+@~-]*"),
    "/etc/dgx_spark/hostfile": re.compile(rf"{_PLAIN} slots=[0-9]+"),
    "/etc/dgx_spark/known_hosts": re.compile(rf"{_PLACE}(,{_PLACE})* {_KEY} {MARK}"),
}
"""What each line looks like in a file that a shell, mpirun or ssh reads: nothing that a shell would expand or run, no patterns."""


def refuse_content(path: str, content: str | None) -> None:
    """Raises PairFilesError for a text of ours with a line that is not of its kind."""
    shape = _CONTENTS.get(path)
    for line in (content or "").split("\n") if shape is not None else ():
        if line and shape is not None and shape.fullmatch(line) is None:
            raise PairFilesError(f"{path}: {line[:120]!r} is not a line that this collection writes there")


def commands(step: Step) -> list[list[str]]:
    """The commands of a step; none for what is written directly or by the user's helper."""
    if step.kind == "allow" and step.rule is not None:
        return [["ufw", *step.rule.words, "comment", MARK]]
    if step.kind == "forbid" and step.rule is not None:
        return [["ufw", "--force", "delete", *step.rule.words]]
    if step.kind == "guard":
        return [
            ["systemctl", "daemon-reload"],
            ["systemctl", "enable", "--quiet", SERVICE],
            ["systemctl", "restart", SERVICE],
        ]
    if step.kind == "unguard":
        return [["systemctl", "disable", "--now", "--quiet", SERVICE]]
    return []


def apply(desk: HomesDesk, steps: Sequence[Step]) -> list[list[str]]:
    """Do the steps; the commands that were run. Raises PairFilesError at the first that fails."""
    done: list[list[str]] = []
    for step in steps:
        if step.user is not None:
            answer = desk.ask_as(step.user, _request(step))
            if answer.get("error"):
                raise PairFilesError(str(answer["error"])[:600])
            continue
        if step.kind in ("write", "remove", "folder", "lines", "guard"):
            done += _write(desk, step)
        for argv in commands(step):
            said: Answer = desk.run(argv, timeout=30.0)
            done.append(argv)
            if not said.ok:
                words = " ".join((said.stderr or said.stdout).split())[-300:]
                text = f"{' '.join(argv[:6])} failed ({said.error or said.rc}): {words}"
                raise _unguarded(desk, text, done) if step.kind == "guard" else PairFilesError(text)
        if step.kind == "unguard":
            done += _write(desk, step)
    return done


def _unguarded(desk: HomesDesk, text: str, done: Sequence[list[str]]) -> UnguardedError:
    """A unit that fails would fail at every boot."""
    away = Step("unguard", mpi_guard.UNIT)
    said = desk.run(["journalctl", "-u", SERVICE, "-n", "12", "-o", "cat", "--no-pager"], timeout=30.0)
    for argv in commands(away):
        desk.run(argv, timeout=30.0)
    _write(desk, away)
    reason = next((line for line in said.stdout.splitlines() if "tables" in line and "Main process" not in line), "")
    return UnguardedError(f"{text}; {reason[:200]}" if reason else text, [*done, *commands(away)])


def _request(step: Step) -> dict[str, Any]:
    if step.kind == "lines":
        return merge_request(WantedLines(step.path, step.lines, step.user, step.mode), apply=True)
    return {"op": step.kind, "path": step.path}


def _write(desk: HomesDesk, step: Step) -> list[list[str]]:
    """Write or remove a file of root."""
    try:
        if step.kind == "folder":
            desk.set_mode(step.path, step.mode)
        elif step.after is None:
            desk.remove(step.path)
            if step.path.startswith(OWN_FOLDERS[0]):
                desk.remove_empty_folder(posixpath.dirname(step.path))
        else:
            desk.make_folder(posixpath.dirname(step.path), FOLDER_MODE)
            desk.write_text(step.path, step.after, step.mode)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise PairFilesError(f"{step.path} cannot be written: {error.strerror}{user_files.next_step(error, step.path)}") from error
        # Mounted over by itself, as /etc/hosts is in a container: it cannot be renamed over, only written.
        argv = ["dd", "status=none", "conv=fsync", f"of={step.path}"]
        answer = desk.run(argv, timeout=30.0, stdin=step.after or "")
        if not answer.ok:
            raise PairFilesError(f"{step.path} cannot be written: {answer.error or answer.stderr.strip()}") from error
        return [argv]
    return []


def difference(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The steps as Ansible shows a difference."""
    shown = []
    for step in steps:
        if step.kind in ("write", "remove", "lines", "guard", "unguard"):
            before, after = step.before or "", step.after or ""
            if step.kind == "lines":
                before, after = ours(before), ours(after)  # keys of others are nobody's business
            shown.append({"before_header": step.path, "after_header": step.path, "before": before, "after": after})
        elif step.kind == "folder":
            shown.append({"before_header": step.path, "after_header": step.path, "before": "", "after": f"mode {step.mode:04o}\n"})
        elif step.rule is not None:
            line = "ufw " + " ".join(step.rule.words) + "\n"
            sides = ("", line) if step.kind == "allow" else (line, "")
            shown.append({"before_header": "ufw", "after_header": "ufw", "before": sides[0], "after": sides[1]})
        else:
            sides = ("", "present\n") if step.kind == "make_key" else ("present\n", "")
            shown.append({"before_header": step.path, "after_header": step.path, "before": sides[0], "after": sides[1]})
    return shown
