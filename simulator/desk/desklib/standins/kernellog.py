"""dmesg and journalctl -k: the kernel log of the desk; everything else of the journal is the real one's."""

from __future__ import annotations

import argparse
import grp
import json
import os
import re
import sys
import time
from collections.abc import Iterator

from .. import klog
from ..desk import Desk, load
from . import common

_LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


def lines(desk: Desk) -> list[klog.Line]:
    """Messages of this boot until now."""
    return klog.Log().read(klog.since_boot(desk))


def dmesg(argv: list[str]) -> int:
    """The ring buffer; reading it needs root, as on Ubuntu."""
    if not common.is_root():
        print("dmesg: read kernel buffer failed: Operation not permitted", file=sys.stderr)
        return 1
    desk = load()
    rows = lines(desk)
    letters = "".join(w[1:] for w in argv if w.startswith("-") and not w.startswith("--"))
    if "J" in letters or "--json" in argv:
        print(json.dumps({"dmesg": [{"pri": line.priority, "time": round(line.at, 6), "msg": line.text} for line in rows]}, indent=1))
        return 0
    for line in rows:
        if "T" in letters or "--ctime" in argv:
            stamp = time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(desk.booted_at + line.at))
        else:
            stamp = f"{line.at:12.6f}"
        level = f"kern  :{_LEVELS[line.priority]:<7}: " if "x" in letters or "--decode" in argv else ""
        print(line.text if "t" in letters or "--notime" in argv else f"{level}[{stamp}] {line.text}")
    return 0


def _may_read() -> bool:
    if common.is_root():
        return True
    groups = set()
    for name in ("adm", "systemd-journal", "wheel"):
        try:
            groups.add(grp.getgrnam(name).gr_gid)
        except KeyError:
            continue
    return bool(groups & set(os.getgroups()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="journalctl", add_help=False, allow_abbrev=False)
    parser.add_argument("-k", "--dmesg", action="store_true")
    parser.add_argument("-b", "--boot", nargs="?", const="0", default=None)
    parser.add_argument("-o", "--output", default="short")
    parser.add_argument("-g", "--grep")
    parser.add_argument("-n", "--lines", nargs="?", const="10", default=None)
    parser.add_argument("-p", "--priority")
    parser.add_argument("-S", "--since")
    parser.add_argument("-U", "--until")
    parser.add_argument("-r", "--reverse", action="store_true")
    parser.add_argument("--case-sensitive", nargs="?", const="yes", default=None)
    for flag in ("--no-pager", "-q", "--quiet", "--no-hostname", "--utc", "-a", "--all", "-m", "--merge", "--no-full", "-e"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--output-fields")
    parser.add_argument("matches", nargs="*")
    return parser


def journalctl(argv: list[str]) -> int:
    """``journalctl -k`` and ``_TRANSPORT=kernel`` from the desk's kernel log, the rest from the real journal."""
    kernel = "_TRANSPORT=kernel" in argv or "--dmesg" in argv or any(re.fullmatch(r"-[a-zA-Z]*k[a-zA-Z]*", w) for w in argv)
    if not kernel:
        return common.real("journalctl", argv)
    options, unknown = _parser().parse_known_args(_split(argv))
    if unknown:
        print(f"journalctl: unrecognized option '{unknown[0]}'", file=sys.stderr)
        return 1
    desk = load()
    if options.boot not in (None, "0", "-0", "all", desk.boot_id, desk.boot_id.replace("-", "")):
        print(f"No journal boot entry found from the specified boot offset ({options.boot}).", file=sys.stderr)
        return 1
    if not _may_read():
        print(
            "Hint: You are currently not seeing messages from other users and the system.\n      Users in groups 'adm', "
            "'systemd-journal' can see all messages.\n      Pass -q to turn off this notice.",
            file=sys.stderr,
        )
        print("-- No entries --")
        return 0
    rows = list(_select(desk, options))
    if options.lines not in (None, "all"):
        rows = rows[-int(str(options.lines).lstrip("+")) :]
    if options.reverse:
        rows.reverse()
    if not rows:
        if options.output not in ("json", "cat", "export"):
            print("-- No entries --")
        return 1 if options.grep else 0
    for line in rows:
        print(_format(desk, line, options.output))
    return 0


def _split(argv: list[str]) -> list[str]:
    """Take ``-kb`` apart, and keep ``-b -1`` and ``-b`` before another option readable for the parser."""
    out: list[str] = []
    for number, word in enumerate(argv):
        if re.fullmatch(r"-[kbqramexlf]{2,}", word):
            out += [f"-{letter}" for letter in word[1:]]
        elif re.fullmatch(r"-b.+", word):
            out += [f"--boot={word[2:]}"]
        elif number and argv[number - 1] in ("-b", "--boot") and re.fullmatch(r"-?\d+", word):
            out[-1] = f"--boot={word}"
        else:
            out.append(word)
    return ["--boot=0" if w in ("-b", "--boot") else w for w in out]


def _when(text: str, desk: Desk) -> float:
    if text.startswith("@"):
        return float(text[1:])
    if text in ("today", "yesterday", "now"):
        now = time.time()
        return {"now": now, "today": now - now % 86400, "yesterday": now - now % 86400 - 86400}[text]
    for pattern in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        try:
            return time.mktime(time.strptime(text.split(".")[0], pattern))
        except ValueError:
            continue
    print(f"Failed to parse timestamp: {text}", file=sys.stderr)
    raise SystemExit(1)


def _select(desk: Desk, options: argparse.Namespace) -> Iterator[klog.Line]:
    since = _when(options.since, desk) if options.since else 0.0
    until = _when(options.until, desk) if options.until else float("inf")
    worst = 7
    if options.priority:
        name = options.priority.split("..")[-1]
        worst = int(name) if name.isdecimal() else next((n for n, level in enumerate(_LEVELS) if level.startswith(name[:3])), 7)
    for line in lines(desk):
        wanted = options.grep is None or klog.matches(line, options.grep)
        if wanted and line.priority <= worst and since <= desk.booted_at + line.at <= until:
            yield line


def _format(desk: Desk, line: klog.Line, mode: str) -> str:
    moment = desk.booted_at + line.at
    if mode == "cat":
        return line.text
    if mode == "json":
        return json.dumps(
            {
                "__REALTIME_TIMESTAMP": str(int(moment * 1e6)),
                "__MONOTONIC_TIMESTAMP": str(int(line.at * 1e6)),
                "_SOURCE_MONOTONIC_TIMESTAMP": str(int(line.at * 1e6)),
                "_BOOT_ID": desk.boot_id.replace("-", ""),
                "_TRANSPORT": "kernel",
                "_HOSTNAME": desk.hostname,
                "SYSLOG_IDENTIFIER": "kernel",
                "SYSLOG_FACILITY": "0",
                "PRIORITY": str(line.priority),
                "MESSAGE": line.text,
            }
        )
    local = time.localtime(moment)
    stamp = {
        "short": time.strftime("%b %d %H:%M:%S", local),
        "short-precise": time.strftime("%b %d %H:%M:%S", local) + f".{int(moment % 1 * 1e6):06d}",
        "short-iso": time.strftime("%Y-%m-%dT%H:%M:%S%z", local),
        "short-iso-precise": time.strftime("%Y-%m-%dT%H:%M:%S", local) + f".{int(moment % 1 * 1e6):06d}+00:00",
        "short-full": time.strftime("%a %Y-%m-%d %H:%M:%S %Z", local),
        "short-unix": f"{moment:.6f}",
        "short-monotonic": f"[{line.at:12.6f}]",
    }.get(mode, time.strftime("%b %d %H:%M:%S", local))
    return f"{stamp} {desk.hostname} kernel: {line.text}"
