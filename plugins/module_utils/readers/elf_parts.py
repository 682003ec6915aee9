# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bytes of an ELF file tell what it is, so that a desk can send those and no more.

The desk has no ELF library. It only chooses ranges here; what they mean is read on the controller with pyelftools, over a file that holds
these ranges alone. A wrong choice can therefore only end in "not read". Everything in the file is hostile: all counts have limits.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

ReadAt = Callable[[int, int], bytes]

MAGIC = b"\x7fELF"
TABLE_LIMIT = 1 << 20
"""Bytes of the section table at most (16,000 sections)."""
PART_LIMIT = 1 << 16
"""Bytes of one other part at most."""
STRING_LIMIT = 256
STRINGS_LIMIT = 2000
FATBIN_SECTIONS = (".nv_fatbin", "__nv_relfatbin")
_WHOLE = (".interp", ".dynamic", ".gnu.version_r")
_STRING_TAGS = (1, 14)
"""DT_NEEDED, DT_SONAME."""


class ElfPartsError(ValueError):
    """The file is no ELF file that could be looked into; the message says why."""


@dataclass
class Parts:
    """Ranges to send, and where device code lies."""

    ranges: list[tuple[int, int]] = field(default_factory=list)
    """(offset, bytes)"""
    fatbins: list[tuple[str, int, int]] = field(default_factory=list)
    """(section, offset, bytes)"""


@dataclass(frozen=True)
class _Layout:
    order: str
    wide: bool
    section_offset: int
    section_size: int
    section_count: int
    names: int


def choose(read_at: ReadAt, size: int) -> Parts:
    """The ranges of a file. Raises ElfPartsError."""
    head = read_at(0, 64)
    if head[:4] != MAGIC or len(head) < 52 or head[4] not in (1, 2) or head[5] not in (1, 2):
        raise ElfPartsError("it is not an ELF file")
    parts = Parts([(0, min(64, size))])
    layout = _layout(head)
    program_offset, program_size, program_count = _programs(head, layout)
    _add(parts, program_offset, program_size * program_count, PART_LIMIT, size)
    if not layout.section_offset or not layout.section_count:
        return parts
    length = layout.section_size * layout.section_count
    if layout.section_size < (64 if layout.wide else 40) or length > TABLE_LIMIT or layout.section_offset + length > size:
        raise ElfPartsError("its section table is broken or truncated")
    _add(parts, layout.section_offset, length, TABLE_LIMIT, size)
    table = read_at(layout.section_offset, length)
    if len(table) < length:
        raise ElfPartsError("its section table is truncated")
    sections = [_section(table, number, layout) for number in range(layout.section_count)]
    if layout.names >= len(sections):
        raise ElfPartsError("its section names are broken")
    names_offset, names_size = sections[layout.names][2:4]
    _add(parts, names_offset, names_size, PART_LIMIT, size)
    names = read_at(names_offset, min(names_size, PART_LIMIT))
    seen: set[str] = set()
    for name_at, _kind, offset, length, link in sections:
        name = names[name_at : name_at + 32].split(b"\0")[0].decode("ascii", "replace")
        if name in seen:
            continue  # the first of a name counts; thousands of one would all be read
        seen.add(name)
        if name in FATBIN_SECTIONS and _kind != 8:
            if offset + length > size:
                raise ElfPartsError(f"its section {name} is truncated")
            parts.fatbins.append((name, offset, length))
        if name in _WHOLE and _kind != 8:
            _add(parts, offset, length, PART_LIMIT, size)
            if name != ".interp" and link < len(sections):
                body = read_at(offset, min(length, PART_LIMIT))
                wanted = _dynamic_strings(body, layout) if name == ".dynamic" else _version_strings(body, layout)
                for string in wanted[:STRINGS_LIMIT]:
                    if string < sections[link][3]:
                        _add(parts, sections[link][2] + string, min(STRING_LIMIT, sections[link][3] - string), STRING_LIMIT, size)
    return parts


def _layout(head: bytes) -> _Layout:
    order, wide = ("<" if head[5] == 1 else ">"), head[4] == 2
    if wide:
        if len(head) < 64:
            raise ElfPartsError("it is truncated in its header")
        offset = struct.unpack_from(f"{order}Q", head, 40)[0]
        size, count, names = struct.unpack_from(f"{order}HHH", head, 58)
    else:
        offset = struct.unpack_from(f"{order}I", head, 32)[0]
        size, count, names = struct.unpack_from(f"{order}HHH", head, 46)
    return _Layout(order, wide, offset, size, count, names)


def _programs(head: bytes, layout: _Layout) -> tuple[int, int, int]:
    if layout.wide:
        return struct.unpack_from(f"{layout.order}Q", head, 32)[0], *struct.unpack_from(f"{layout.order}HH", head, 54)
    return struct.unpack_from(f"{layout.order}I", head, 28)[0], *struct.unpack_from(f"{layout.order}HH", head, 42)


def _section(table: bytes, number: int, layout: _Layout) -> tuple[int, int, int, int, int]:
    """(name, type, offset, size, link)"""
    at = number * layout.section_size
    if layout.wide:
        name, kind, _flags, _address, offset, size, link = struct.unpack_from(f"{layout.order}IIQQQQI", table, at)
    else:
        name, kind, _flags, _address, offset, size, link = struct.unpack_from(f"{layout.order}IIIIIII", table, at)
    return name, kind, offset, size, link


def _dynamic_strings(body: bytes, layout: _Layout) -> list[int]:
    entry = struct.Struct(f"{layout.order}{'QQ' if layout.wide else 'II'}")
    pairs = [entry.unpack_from(body, at) for at in range(0, len(body) - entry.size + 1, entry.size)]
    return [value for tag, value in pairs if tag in _STRING_TAGS]


def _version_strings(body: bytes, layout: _Layout) -> list[int]:
    """Offsets of the names in .gnu.version_r: files and versions."""
    found: list[int] = []
    at = 0
    while at + 16 <= len(body) and len(found) < STRINGS_LIMIT:
        _version, count, file, first, following = struct.unpack_from(f"{layout.order}HHIII", body, at)
        found.append(file)
        inner = at + first
        for _number in range(min(count, STRINGS_LIMIT)):
            if inner + 16 > len(body):
                break
            name, step = struct.unpack_from(f"{layout.order}8xII", body, inner)
            found.append(name)
            if not step:
                break
            inner += step
        if not following:
            break
        at += following
    return found


def _add(parts: Parts, offset: int, length: int, limit: int, size: int) -> None:
    end = min(offset + min(length, limit), size)
    if 0 <= offset < end:
        parts.ranges.append((offset, end - offset))
