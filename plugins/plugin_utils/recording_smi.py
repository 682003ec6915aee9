# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording may keep of what nvidia-smi prints (see `recording_reducers`). Pure.

A program that somebody put before nvidia-smi may greet in the same forms, so every word is one of nvidia-smi's own.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ..module_utils.desk import INFOROM
from ..module_utils.gather.gpu import QUERY, SAME_COLUMNS
from ..module_utils.readers import nvidia_smi_error, nvidia_smi_q
from . import recording_names as names
from .recording_kernel import ERROR

_SAID = """
active ada adapter addressing agx at ats average base been blackwell bus bytes c cap changed ci compute corrupted cuda current
deprecated detected disabled disp down drain driver due ecc enabled err exclusive fan found functionality gb geforce generation gi
gpu gpus grace hardware has hmm idle in jetson laptop log lost max memory mhz mib mig missing na no not nvsmi off on orin p
pending percent perf performance persistence pid process processes prohibited ps pwr quadro reboot recommended requested required
requires reset restart rtx running server slowdown sm smi software states super supported system tcc temp tesla thermal thor
thread throttle ti type umd uncorr unified up usage used util volatile wddm which workstation yes
"""
_OWN = frozenset(
    word.lower()
    for text in (_SAID, *nvidia_smi_q.FIELDS, *QUERY, *SAME_COLUMNS, *nvidia_smi_error.PHRASES, *nvidia_smi_error.DEAD, INFOROM)
    for word in re.findall(r"[A-Za-z]+", text)
)
_TOKEN = re.compile(r"[^\W_]+")


def _own(text: str) -> str:
    """The text with every word that is not one of nvidia-smi's crossed out; columns stay where they are."""

    def crossed(found: re.Match[str]) -> str:
        token = found.group()
        if len(token) < 2 or re.fullmatch(r"(?=.*\d)[0-9A-Fa-f]{1,8}|0x[0-9A-Fa-f]{1,16}", token):
            return token
        usual = re.fullmatch(r"\d{0,6}[^\W\d]*\d{0,5}[A-Za-z]?", token) and all(
            len(word) < 2 or word in _OWN or names.plain(word) for word in re.findall(r"[^\W\d]+", token.lower())
        )
        return token if usual else "x" * len(token)

    return _TOKEN.sub(crossed, text)


_TABLE_ROW = re.compile(r"(?m)^(\|(?: {1,20}(?:\d{1,10}|N/A)){2,5} {1,20}[CGM+]{1,4} {1,20})(\S.*?)(?= +\S+ *\|$)")
"""A process of plain ``nvidia-smi``: what stands before its name, and the name."""


def _table_row(match: re.Match[str]) -> str:
    return match.group(1) + names.program(match.group(2)).ljust(len(match.group(2)))


_TABLE_LINE = re.compile(r"[|+][^\n]{0,300}|\w{3} \w{3} [\d :]{10,20}|")


def programs(text: str, _logins: Collection[str]) -> str:
    """Plain `nvidia-smi`: its table, each program called as everybody knows it or `program`; of errors their kind."""
    lines = _TABLE_ROW.sub(_table_row, text).split("\n")[:4000]
    return "\n".join(_own(line) if _TABLE_LINE.fullmatch(line) else said(line) for line in lines)


def said(line: str) -> str:
    return ": ".join(found.group() for found in ERROR.finditer(line))


_DETAIL = re.compile(r"([ \t]*)([A-Z][\w /().-]{0,60}?)([ \t]*:[ \t]?)(.*)")
_HEADING = re.compile(r"([ \t]*)([A-Z][\w /().-]{0,60}?)[ \t]*")
_READ_KEYS = frozenset(("Attached GPUs", "Process ID", "Type", "Used GPU Memory", "Processes", *nvidia_smi_q.FIELDS))
_READING = re.compile(r"[\w .,:/%()\[\]+-]{0,120}")


def process_list(text: str, _logins: Collection[str]) -> str:
    """`nvidia-smi -q`: the fields that are read; of each process its program, without folders and without arguments."""
    found = []
    for line in text.split("\n")[:20_000]:
        field, heading = _DETAIL.fullmatch(line), _HEADING.fullmatch(line)
        if re.fullmatch(r"GPU [0-9A-Fa-f:.]{7,20}|=+(?:NVSMI LOG)?=*", line) or (field is None and heading and heading[2] in _READ_KEYS):
            found.append(line)
        elif field is None:
            found.append(said(line) or (f"{heading[1]}Section" if heading else ""))
        elif field[2] == "Name":
            found.append(f"{field[1]}{field[2]}{field[3]}{names.program(field[4])}")
        elif (field[2] in _READ_KEYS or nvidia_smi_error.dead(field[4])) and _READING.fullmatch(field[4]):
            name = field[2] if field[2] in _READ_KEYS else "Reading"
            found.append(f"{field[1]}{name}{field[3]}{_own(field[4])}")
        elif not field[4]:
            found.append(f"{field[1]}Section")
        elif said(line):
            found.append(said(line))
    return "\n".join(found)


_PLAIN_CELL = re.compile(
    r"\d{0,9}(?:\.\d{1,9})?(?: ?(?:MiB|%))?|\[(?:N/A|Not (?:Supported|Found)|Unknown Error|Insufficient Permissions)\]"
)


def process_table(text: str, _logins: Collection[str]) -> str:
    """`nvidia-smi --query-compute-apps`: numbers, and of each process its program."""
    found = []
    for place, row in enumerate(text.split("\n")[:20_000]):
        cells = [cell.strip() for cell in row.split(",")]
        if place == 0 and all(re.fullmatch(r"(?:pid|process_name|used_gpu_memory|used_memory)(?: \[\w+\])?", cell) for cell in cells):
            found.append(row)
            continue
        found.append(", ".join(cell if _PLAIN_CELL.fullmatch(cell) else names.program(cell) for cell in cells))
    return "\n".join(found)


_ROW = re.compile(r"[\w .,:/%()\[\]+-]{0,600}")


def readings(text: str, _logins: Collection[str]) -> str:
    """Columns of `nvidia-smi --query-gpu`, all of them of the known ones (see the policy)."""
    return "".join(f"{_own(line)}\n" for line in text.removesuffix("\n").split("\n") if _ROW.fullmatch(line.rstrip("\r")))
