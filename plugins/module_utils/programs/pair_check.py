# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say whether the settings in /etc/dgx_spark/pair.env still hold: same boots, links, addresses and peer as when they were proven.

Written by labops.dgx_spark (role pair_settings). Usage: pair-check [--local]
Exit code: 0 they hold, 1 something changed since the proof, 2 not known (no settings, marked stale, or the peer was not asked).
"""

# It runs by itself on a desk, for people: it prints and exits.
# pylint: disable=ansible-bad-function

from __future__ import annotations

import errno
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path("/etc/dgx_spark")
PAIR_SSH = "/usr/local/bin/pair-ssh"
ANSWER = "dgx_spark_answer"
"""Stands before the answer: a login may print something first."""
GONE = "-1"
"""Stands for a file that is not there: a function goes away with its cable, and its counter too."""
MARK = "dgx_spark_pair"
"""Ends our lines in /etc/hosts."""
SECONDS, LIMIT = 20.0, 65536
"""How long another desk may take, and the bytes of its answer that are read."""
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def header(text: str) -> dict[str, Any]:
    """Desk, boot ids and link-change counts from the comments of pair.env."""
    found: dict[str, Any] = {"desk": None, "run": None, "boot_id": {}, "links": {}, "stack": False, "head": False}
    for line in text.splitlines():
        words = line.removeprefix("#").split()
        if not line.startswith("# ") or len(words) < 2:
            continue
        if words[0] == "desk":
            found["desk"], found["head"] = words[1], words[2:3] == ["(head)"]
        elif words[0] == "stack":
            found["stack"] = True
        elif words[0] == "first_proven_by":
            found["run"] = words[1]
        elif words[0] == "boot_id" and len(words) == 3:
            found["boot_id"][words[1]] = words[2]
        elif words[0] == "link_changes":
            found["links"][words[1]] = dict(word.split("=", 1) for word in words[2:] if "=" in word)
    return found


def link_paths(links: Iterable[str]) -> dict[str, str]:
    """The counters of link changes, by interface."""
    return {netdev: f"/sys/class/net/{netdev}/carrier_down_count" for netdev in sorted(links)}


def here(paths: Iterable[str]) -> list[str | None]:
    """The texts of files on this desk; null for one that cannot be read."""
    texts: list[str | None] = []
    for path in paths:
        try:
            texts.append(Path(path).read_text(encoding="ascii").strip())
        except OSError:
            texts.append(None)
    return texts


def host_of(desk: str, proven: Mapping[str, Any]) -> str:
    """The name of a desk in /etc/hosts: pair.env lists the desks of a stack by rank."""
    if proven["stack"]:
        return f"stack-{list(proven['boot_id']).index(desk) + 1}"
    return "pair-head" if proven["head"] == (desk == proven["desk"]) else "pair-peer"


def address_of(host: str) -> str:
    """The address of a name of ours: known_hosts holds addresses, and somebody else's line may use the name too. Raises OSError or
    StopIteration."""
    hosts = Path("/etc/hosts").read_text(encoding="utf-8", errors="replace").splitlines()
    return next(line.split()[0] for line in hosts if host in line.split()[1:] and line.rstrip().endswith(MARK))


def moved(host: str) -> str | None:
    """The address that this desk's own name stands for, where the desk has another one now (a lease may change)."""
    try:
        address = address_of(host)
    except (OSError, ValueError, StopIteration):
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        try:
            door.bind((address, 0))
        except OSError as error:
            return address if error.errno == errno.EADDRNOTAVAIL else None
    return None


def there(paths: Sequence[str], host: str) -> Sequence[str | None] | None:
    """The texts of files on another desk, null when it cannot be asked."""
    read = [word for path in paths for word in ("cat", path, "||", "echo", f"{GONE};")]
    try:
        with subprocess.Popen(
            [PAIR_SSH, address_of(host), "echo", f"{ANSWER};", *read],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd="/",
        ) as process:  # fmt: skip
            late = threading.Timer(SECONDS, process.kill)
            late.start()
            try:
                # The peer may go on for ever.
                answer = process.stdout.read(LIMIT) if process.stdout else b""
                if len(answer) == LIMIT:
                    process.kill()
                code = process.wait()
            finally:
                late.cancel()
    except (OSError, ValueError, IndexError, StopIteration):
        return None
    # What is no number and no boot id would be the peer's own words on this desk's terminal.
    told = answer.rpartition(ANSWER.encode())[2].split()
    words = [word.decode("ascii") for word in told if re.fullmatch(rb"[0-9a-f-]{1,64}", word)]
    lines = [None if word == GONE else word for word in words]
    return lines if code == 0 and len(lines) == len(paths) else None


def compare(desk: str, proven: Mapping[str, Any], seen: Sequence[str | None], say: Callable[[str], None]) -> bool:
    """Whether a desk is as it was; says what is not."""
    boot, links = proven["boot_id"].get(desk), proven["links"].get(desk, {})
    same = True
    if seen[0] != boot:
        say(f"{desk}: started again since the proof")
        same = False
    for netdev, value in zip(sorted(links), seen[1:], strict=False):
        if value != links[netdev]:
            say(f"{desk}: the link of {netdev} went down since the proof ({links[netdev]} -> {value or 'gone'})")
            same = False
    return same


def main(arguments: Sequence[str]) -> int:
    """Compare both desks with the proof."""
    try:
        text = (FOLDER / "pair.env").read_text(encoding="utf-8", errors="replace")
    except OSError:
        print("no settings: this pair was not proven, or its settings were withdrawn; run stack_pair.yml")
        return 2
    proven = header(text)
    if (FOLDER / "pair.stale").exists():
        print(f"stale: {(FOLDER / 'pair.stale').read_text(encoding='utf-8', errors='replace').strip()}")
        return 2
    if not proven["desk"]:
        print("pair.env is damaged: it does not name its desk")
        return 2
    holds, known = True, True
    for desk in sorted(proven["boot_id"]):
        own = desk == proven["desk"]
        if not own and "--local" in arguments:
            continue
        paths = [BOOT_ID, *link_paths(proven["links"].get(desk, {})).values()]
        if not own and proven["stack"] and not proven["head"]:
            known = False  # only the head of a stack logs in to the others
            continue
        host = host_of(desk, proven)
        seen = here(paths) if own else there(paths, host)
        if own and (address := moved(host)):
            print(f"{desk}: {address} ({host} in /etc/hosts) is not its address any more")
            holds = False
        if seen is None:
            print(f"{desk}: could not be asked (pair-ssh); only the login user of the proof can do that")
            known = False
        elif not compare(desk, proven, seen, print):
            holds = False
    if not holds:
        print("the settings may no longer hold; run stack_pair.yml")
        return 1
    if not known:
        if proven["stack"] and not proven["head"]:
            print("this desk is as it was; run pair-check on the head of the stack, which alone logs in to the others")
        return 2
    print(f"holds: proven by run {proven['run']}, nothing changed since")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
