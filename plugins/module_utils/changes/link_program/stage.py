# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The combined netplan in a temporary root: what a change would write, and that it touches no other interface."""

from __future__ import annotations

import base64
import collections
import contextlib
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

from .files import Desk, same
from .names import GENERATED_FOLDERS, INDIFFERENT, NETPLAN_FOLDERS, UDEV_RULES
from .steps import ChangeError


def stage(desk: Desk, change: Mapping[str, Any], files: Mapping[str, Mapping[str, Any] | None]) -> dict[str, dict[str, Any] | None]:
    """Generate the combined netplan with ``files`` in a temporary root; the live files of our interfaces that have to change.

    Raises ChangeError when netplan refuses it or when anything but our interfaces would change.
    """
    os.makedirs(desk.path("/run"), exist_ok=True)
    work = tempfile.mkdtemp(prefix="dgx-spark-link-", dir=desk.path("/run"))
    try:
        before, after = os.path.join(work, "before"), os.path.join(work, "after")
        for root in (before, after):
            _copy_netplan(desk, root)
        staged = Desk(after)
        for path, entry in files.items():
            if path.startswith("/etc/netplan/"):
                staged.put(path, entry)
        for root, what in ((before, "the netplan files that are on the desk now"), (after, "the netplan files with the link added")):
            code, text = desk.run("netplan", "generate", "--root-dir", root, note=False)
            if code:
                message = told(text.replace(root, ""))
                raise ChangeError(f"netplan_invalid: netplan does not accept {what} (exit {code}): {message}")
        _refuse_others(before, after, change)
        return _generated(desk, after, change)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def told(text: str) -> str:
    """What netplan says of an error, without the line of the file that it shows below and without values, which it quotes: both may be
    somebody's password."""
    said, shows = [], False
    for line in text.splitlines():
        if not shows:
            said.append(line if "unknown key '" in line else re.sub(r"'[^']*'", "'...'", line))
        shows = re.search(r"\.yaml:\d+:\d+: ", line) is not None or (shows and line.strip() != "^")
    return " ".join(" ".join(said).split())[-400:]


def _copy_netplan(desk: Desk, root: str) -> None:
    for folder in NETPLAN_FOLDERS:
        target = root + folder
        os.makedirs(target, mode=0o755, exist_ok=True)
        for source in sorted(glob.glob(desk.path(folder) + "/*.yaml")):
            with open(source, "rb") as file:
                Desk(target).put("/" + os.path.basename(source), {**_blank(0o600), "content": base64.b64encode(file.read()).decode()})


def _blank(mode: int) -> dict[str, Any]:
    return {"content": "", "mode": mode, "uid": os.geteuid(), "gid": os.getegid(), "mtime_ns": None}


def _tree(root: str) -> dict[str, bytes]:
    found = {}
    for folder, _folders, names in os.walk(root + "/run"):
        for name in names:
            here = os.path.join(folder, name)
            if os.path.islink(here):
                found[here[len(root) :]] = b"-> " + os.readlink(here).encode()
            else:
                with open(here, "rb") as file:
                    found[here[len(root) :]] = file.read()
    return found


def is_ours(path: str, ids: Iterable[str]) -> bool:
    """Whether netplan generates this file for one of these netplan ids and for nothing else."""
    folder, name = os.path.split(path)
    if folder not in GENERATED_FOLDERS:
        return False
    return any(name.startswith((f"10-netplan-{item}.", f"netplan-{item}.", f"netplan-{item}-")) for item in ids)


def _refuse_others(before: str, after: str, change: Mapping[str, Any]) -> None:
    old, new = _tree(before), _tree(after)
    words = [*change["ids"], *change["netdevs"], *change.get("macs", [])]
    strangers = []
    for path in sorted(set(old) | set(new)):
        if old.get(path) == new.get(path) or is_ours(path, change["ids"]) or path in INDIFFERENT or path.startswith("/run/netplan/"):
            continue
        if path == UDEV_RULES:
            # netplan writes one rule for each interface, in the order of its files: another order is no change.
            lines, others = _rules(old.get(path, b"")), _rules(new.get(path, b""))
            if all(any(word in line for word in words) for line in ((lines - others) + (others - lines))):
                continue
        strangers.append(path)
    if strangers:
        raise ChangeError(
            f"other_interfaces: the change would also alter what netplan generates for other interfaces: {', '.join(strangers)}"
        )


def _rules(content: bytes) -> collections.Counter[str]:
    return collections.Counter(line for line in content.decode().splitlines() if line.strip())


def _generated(desk: Desk, after: str, change: Mapping[str, Any]) -> dict[str, dict[str, Any] | None]:
    """Live generated files of our interfaces that differ from the staged ones."""
    staged = Desk(after)
    paths = {path for path in _tree(after) if is_ours(path, change["ids"])}
    for folder in GENERATED_FOLDERS:
        with contextlib.suppress(FileNotFoundError):
            paths |= {f"{folder}/{name}" for name in os.listdir(desk.path(folder)) if is_ours(f"{folder}/{name}", change["ids"])}
    if staged.entry(UDEV_RULES) is not None or desk.entry(UDEV_RULES) is not None:
        paths.add(UDEV_RULES)
    found: dict[str, dict[str, Any] | None] = {}
    for path in sorted(paths):
        wanted = staged.entry(path)
        if not same(wanted, desk.entry(path)):
            found[path] = None if wanted is None else {**wanted, "mtime_ns": None}
    return found
