# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small state of a pair on a desk: files of ours, our lines in files of others, the pair's key, firewall rules. Read, plan, apply."""

from __future__ import annotations

import errno
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..desk import Answer, Desk, WritableDesk

MARK = "dgx_spark_pair"
"""Ends every line of ours in a file that others write too, and is the comment of our firewall rules."""

OWN_FOLDERS = ("/etc/dgx_spark/", "/usr/local/bin/pair-")
"""Where whole files may be written or removed."""


class PairFilesError(Exception):
    """Something is wanted that this code never does, or a step failed. The text says what to do."""


@dataclass(frozen=True)
class WantedFile:
    """A whole file of ours; ``content`` null: not there."""

    path: str
    content: str | None
    mode: int = 0o644


@dataclass(frozen=True)
class WantedLines:
    """Our lines in a file of others: exactly these, all ending with the mark. ``user`` writes the file (null: root)."""

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


@dataclass(frozen=True)
class Have:
    """What is there: path to content (null when absent), the key, our firewall rules (null without ufw)."""

    contents: dict[str, str | None] = field(default_factory=dict)
    key_present: bool = False
    rules: tuple[Rule, ...] | None = None
    unread: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    kind: str
    """write, remove, lines, make_key, remove_key, allow, forbid"""
    path: str
    before: str | None = None
    after: str | None = None
    mode: int = 0o644
    user: str | None = None
    rule: Rule | None = None


_ADDED = re.compile(r"^ufw allow in on (\S+) from (\S+?)(?:/32)? comment '?" + MARK + r"'?\s*$", re.MULTILINE)


def rules_of(text: str) -> tuple[Rule, ...]:
    """Our rules in the output of ``ufw show added``."""
    return tuple(Rule(found.group(1), found.group(2)) for found in _ADDED.finditer(text))


def read(desk: Desk, want: Wanted) -> Have:
    """What is there of what is wanted."""
    contents: dict[str, str | None] = {}
    unread: dict[str, str] = {}
    for path in [*(item.path for item in want.files), *(item.path for item in want.lines)]:
        text = desk.read_text(path)
        contents[path] = text.text
        if text.error not in (None, "missing"):
            unread[path] = str(text.error)
    key = False
    if want.key is not None:
        key = desk.read_text(f"{want.key.path}.pub").error is None and desk.read_text(want.key.path).error is None
    rules = None
    if want.rules is not None:
        answer = desk.run(["ufw", "show", "added"])
        if answer.ok:
            rules = rules_of(answer.stdout)
        elif answer.error != "missing":
            unread["ufw"] = answer.error or f"rc {answer.rc}"
    return Have(contents, key, rules, unread)


def with_lines(content: str | None, lines: Sequence[str]) -> str | None:
    """A file's text with exactly these lines of ours; lines of others are left as they are. Null stays null without lines."""
    if content is None and not lines:
        return None
    wanted = list(lines)
    kept = []
    for line in (content or "").splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        if not bare.rstrip().endswith(MARK):
            kept.append(line)
        elif bare in wanted:
            wanted.remove(bare)
            kept.append(line)
    if kept and wanted and not kept[-1].endswith("\n"):
        kept[-1] += "\n"
    return "".join([*kept, *(f"{line}\n" for line in wanted)])


def ours(text: str) -> str:
    """Our lines of a text."""
    return "".join(f"{line}\n" for line in text.splitlines() if line.rstrip().endswith(MARK))


def plan(have: Have, want: Wanted) -> list[Step]:
    """The steps from what is there to what is wanted. Pure. Raises PairFilesError for what is never done."""
    steps: list[Step] = []
    for path, reason in have.unread.items():
        raise PairFilesError(f"{path} cannot be read ({reason}), so it is not changed")
    if want.key is not None and want.key.present != have.key_present:
        steps.append(Step("make_key" if want.key.present else "remove_key", want.key.path, user=want.key.user, mode=0o600))
    for file in want.files:
        if not file.path.startswith(OWN_FOLDERS) or posixpath.normpath(file.path) != file.path:
            raise PairFilesError(f"{file.path} is none of this collection's files")
        before = have.contents.get(file.path)
        if before != file.content:
            steps.append(Step("remove" if file.content is None else "write", file.path, before, file.content, file.mode))
    for item in want.lines:
        for line in item.lines:
            if not line.endswith(MARK) or "\n" in line:
                raise PairFilesError(f"{item.path}: a line of ours must end with {MARK}")
        before = have.contents.get(item.path)
        after = with_lines(before, item.lines)
        if after != before:
            steps.append(Step("lines", item.path, before, after, item.mode, item.user))
    if want.rules is not None and have.rules is not None:
        steps += [Step("forbid", "ufw", rule=rule) for rule in have.rules if rule not in want.rules]
        steps += [Step("allow", "ufw", rule=rule) for rule in want.rules if rule not in have.rules]
    return steps


def as_user(user: str | None, argv: Sequence[str]) -> list[str]:
    """The command as the user whose file it is: root never writes into a folder that a user controls."""
    return ["runuser", "-u", user, "--", *argv] if user else list(argv)


def commands(step: Step) -> list[tuple[list[str], str | None]]:
    """The commands of a step, each with its standard input; none for what is written directly."""
    if step.kind == "make_key":
        folder = posixpath.dirname(step.path)
        return [
            (as_user(step.user, ["mkdir", "-p", "-m", "0700", folder]), None),
            (as_user(step.user, ["rm", "-f", step.path, f"{step.path}.pub"]), None),
            (as_user(step.user, ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", MARK, "-f", step.path]), None),
        ]
    if step.kind == "remove_key":
        return [(as_user(step.user, ["rm", "-f", step.path, f"{step.path}.pub"]), None)]
    if step.kind == "lines":
        fresh = f"{step.path}.{MARK}"
        # A new file and a rename: whoever logs in meanwhile finds the old keys or the new ones, never half of them.
        return [
            (as_user(step.user, ["mkdir", "-p", "-m", "0700", posixpath.dirname(step.path)]), None),
            (as_user(step.user, ["install", "-m", f"{step.mode:04o}", "/dev/null", fresh]), None),
            (as_user(step.user, ["dd", "status=none", "conv=fsync", f"of={fresh}"]), step.after or ""),
            (as_user(step.user, ["mv", "-f", fresh, step.path]), None),
        ]
    if step.kind == "allow" and step.rule is not None:
        return [(["ufw", *step.rule.words, "comment", MARK], None)]
    if step.kind == "forbid" and step.rule is not None:
        return [(["ufw", "--force", "delete", *step.rule.words], None)]
    return []


def apply(desk: WritableDesk, steps: Sequence[Step]) -> list[list[str]]:
    """Do the steps; the commands that were run. Raises PairFilesError at the first that fails."""
    done: list[list[str]] = []
    for step in steps:
        if step.kind in ("write", "remove") or (step.kind == "lines" and step.user is None):
            done += _write(desk, step)
            continue
        for argv, text in commands(step):
            answer: Answer = desk.run(argv, timeout=30.0, stdin=text)
            done.append(argv)
            if not answer.ok:
                said = " ".join((answer.stderr or answer.stdout).split())[-300:]
                raise PairFilesError(f"{' '.join(argv[:6])} failed ({answer.error or answer.rc}): {said}")
    return done


def _write(desk: WritableDesk, step: Step) -> list[list[str]]:
    """Write or remove a file of root."""
    try:
        if step.after is None:
            desk.remove(step.path)
        else:
            desk.make_folder(posixpath.dirname(step.path))
            desk.write_text(step.path, step.after, step.mode)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise PairFilesError(f"{step.path} cannot be written: {error.strerror}") from error
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
        if step.kind in ("write", "remove", "lines"):
            before, after = step.before or "", step.after or ""
            if step.kind == "lines":
                before, after = ours(before), ours(after)  # keys of others are nobody's business
            shown.append({"before_header": step.path, "after_header": step.path, "before": before, "after": after})
        elif step.rule is not None:
            line = "ufw " + " ".join(step.rule.words) + "\n"
            sides = ("", line) if step.kind == "allow" else (line, "")
            shown.append({"before_header": "ufw", "after_header": "ufw", "before": sides[0], "after": sides[1]})
        else:
            sides = ("", "present\n") if step.kind == "make_key" else ("present\n", "")
            shown.append({"before_header": step.path, "after_header": step.path, "before": sides[0], "after": sides[1]})
    return shown
