# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replay recordings of desks without a desk, and without Ansible: only PyYAML is needed (by the readers, for netplan files alone).
A Python without it hands over to the checkout's .venv where there is one.

    python3 tests/replay.py DIR                  facts and findings of one recording, as JSON
    python3 tests/replay.py --check [DIR ...]    compare the findings with what each recording expects
    python3 tests/replay.py                      the same for every recording that the project ships (made first where they are missing)
    python3 tests/replay.py --reader NAME FILE   what one reader makes of a text file

Exit code 0 when read (and, with --check, as expected), 1 when a check found a difference, 2 with one line when the input cannot be read.

A recording's ``expect`` holds when it names exactly the codes of severity warn, unknown and fail that were found; codes of notes may
be named too, and then they must have been found. A recording without ``expect`` is only read. DIR may also be the name of a shipped
recording (``pcie_half_rate`` or ``tests/recordings/pcie_half_rate``).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ROOT / "tests" / "recordings"
PACKAGE = "ansible_collections.labops.dgx_spark"
FILE_LIMIT = 64 * 1024 * 1024

READERS = tuple(
    sorted(
        path.stem
        for path in (ROOT / "plugins/module_utils/readers").glob("*.py")
        if re.search(r"^def read\(text: str[,)]", path.read_text(encoding="utf-8"), re.MULTILINE)
    )
)
"""The readers of text; what they are called is their file's name."""


class InputError(Exception):
    """The input cannot be read; the text says why in one line."""


def collection(module: str) -> Any:
    """A module of the collection in this checkout, by its path below the root (``plugins.module_utils.desk``)."""
    parts = PACKAGE.split(".")
    for number in range(1, len(parts) + 1):
        name = ".".join(parts[:number])
        if name not in sys.modules:
            package = types.ModuleType(name)
            package.__path__ = [str(ROOT)] if number == len(parts) else []
            sys.modules[name] = package
    return importlib.import_module(f"{PACKAGE}.{module}")


def read_file(name: str, path: Path) -> Any:
    """What the reader ``name`` makes of the file. Raises InputError."""
    if name not in READERS:
        raise InputError(f"unknown reader {name!r}; known readers: {', '.join(READERS)}")
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; a text file was expected")
        # A pipe or a device could make the reading wait for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path} is not a regular file")
        if path.stat().st_size > FILE_LIMIT:
            raise InputError(f"{path} is larger than {FILE_LIMIT} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    text = data.decode("utf-8", "replace")
    if b"\x00" in data or text.count("\ufffd") > max(16, len(text) // 10):
        raise InputError(f"{path} is not a text file")
    result = collection(f"plugins.module_utils.readers.{name}").read(text)
    if name == "netplan" and result["error"]:
        raise InputError(f"{path}: {result['error']}")
    return result


def shipped() -> list[Path]:
    """The project's own recordings, made where they are missing or out of date. Raises InputError."""
    if not (ROOT / "tools" / "make_recordings.py").is_file():
        raise InputError(f"no recordings below {RECORDINGS}, and no tools/make_recordings.py that makes them")
    command = [sys.executable, str(ROOT / "tools" / "make_recordings.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"the shipped recordings cannot be made: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
    return sorted(path.parent for path in RECORDINGS.glob("*/recording.yml"))


def chosen(path: Path) -> Path:
    """The folder that a user means: the path, or the shipped recording of that name. Raises InputError."""
    if not path.exists() and (path.name == str(path) or path.absolute().parent == RECORDINGS):
        return next((folder for folder in shipped() if folder.name == path.name), path)
    return path


def replay(folder: Path) -> dict[str, Any]:
    """Facts and findings of one recording. Raises InputError."""
    recorded = collection("plugins.plugin_utils.recorded_desk")
    try:
        recording, desk = recorded.load(folder)
    except recorded.RecordingError as error:
        raise InputError(str(error)) from error
    gather = collection("plugins.module_utils.gather.collect")
    facts = gather.collect(desk, gather.Options(login_user=recording.login_user))
    judge = collection("plugins.module_utils.judges.desk")
    finding = collection("plugins.module_utils.model.finding")
    findings = judge.judge(facts, finding.Where(desk=recording.name), judge.JudgeOptions())
    data = collection("plugins.module_utils.model.data")
    return {
        "recording": recording.name,
        "expect": None if recording.expect is None else list(recording.expect),
        "facts": data.as_dict(facts),
        "findings": [item.as_dict() for item in findings],
    }


def differences(expect: Sequence[str] | None, findings: Sequence[dict[str, Any]]) -> list[str]:
    """What differs between the expected codes and the findings, in words; empty when nothing does."""
    if expect is None:
        return []
    loud = {item["code"] for item in findings if item["severity"] in ("warn", "unknown", "fail")}
    found = {item["code"] for item in findings}
    missing = sorted(set(expect) - found)
    extra = sorted(loud - set(expect))
    return [f"{code} was expected and not found" for code in missing] + [f"{code} was found and not expected" for code in extra]


def check(folders: Sequence[Path]) -> int:
    """Replay each folder and print one line for it; 1 when one differs, 2 when one cannot be read."""
    worst = 0
    for folder in folders:
        begun = time.monotonic()
        try:
            result = replay(folder)
        except InputError as error:
            print(f"{folder.name}: cannot be read: {error}")
            worst = 2
            continue
        lines = differences(result["expect"], result["findings"])
        spent = time.monotonic() - begun
        if lines:
            worst = max(worst, 1)
            # What was expected stands in a file that somebody may have sent.
            shown = collection("plugins.plugin_utils.admission.text").line("; ".join(lines))
            print(f"{folder.name}: DIFFERS: {shown}")
        else:
            codes = sorted({f"{item['code']} ({item['severity']})" for item in result["findings"]})
            state = "read" if result["expect"] is None else "as expected"
            print(f"{folder.name}: {state} in {spent:.2f} s: {', '.join(codes) or 'no finding'}")
    return worst


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Replay recordings of desks, or read one text file.")
    parser.add_argument("--reader", metavar="NAME", help=f"reader to use on FILE: {', '.join(READERS)}")
    parser.add_argument("--check", action="store_true", help="compare the findings with the recording's expect")
    parser.add_argument("paths", nargs="*", metavar="DIR|FILE", help="recording folders, or the file for --reader")
    options = parser.parse_args(arguments)
    paths = [Path(path) for path in options.paths]
    try:
        if options.reader is not None:
            if len(paths) != 1:
                raise InputError("--reader takes exactly one file")
            result = read_file(options.reader, paths[0])
        elif options.check or not paths:
            return check([chosen(path) for path in paths] or shipped())
        elif len(paths) != 1:
            raise InputError("one recording folder at a time, or --check for several")
        else:
            replayed = replay(chosen(paths[0]))
            result = {"facts": replayed["facts"], "findings": replayed["findings"]}
    except InputError as error:
        print(f"replay: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"replay: {error}; install PyYAML for {sys.executable} (pip install PyYAML)", file=sys.stderr)
        return 2
    print(json.dumps(result, indent=2, sort_keys=True))
    return 0


def hand_over() -> None:
    """Go on in the checkout's own environment when this Python has no PyYAML and that one does; at most once."""
    python = ROOT / ".venv" / "bin" / "python"
    mark = "DGX_SPARK_REPLAY_HANDED_OVER"
    if importlib.util.find_spec("yaml") is None and mark not in os.environ and os.access(python, os.X_OK):
        os.execve(python, [str(python), str(Path(__file__).resolve()), *sys.argv[1:]], os.environ | {mark: "1"})


if __name__ == "__main__":
    hand_over()
    sys.exit(main())
