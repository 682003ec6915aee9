# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The headers of CUDA fat binaries: which device code a section, a fatbin file or a PTX text holds.

Only headers are read; they are never compressed. The layout was measured with fatbinary 13.0 against cuobjdump's answers: a container
(magic 0xBA55ED50, u16 version, u16 header size, u64 size) holds entries of u16 kind (1 PTX, 2 machine code), u16 version, u32 header
size, u64 payload size, ..., u16 minor and u16 major at 24 (for PTX its ISA version), u32 target at 28, u64 flags at 40.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

MAGIC = b"\x50\xed\x55\xba"
UNIT_LIMIT = 50_000
"""Containers read of one section at most."""
ENTRY_LIMIT = 200
"""Entries read of one container at most; real ones hold about ten."""
FLAG_A, FLAG_F = 0x100000, 0x200000

ReadAt = Callable[[int, int], bytes]
"""(offset, count) to bytes; fewer at the end."""


class FatbinError(ValueError):
    """The bytes are no fat binaries, or hold more than a reader takes."""


def units(read_at: ReadAt, size: int) -> list[tuple[str, ...]]:
    """The device code of a section by container, such as ``("sm_90", "ptx 90@8.7")``.

    Containers follow each other, padded with zeros. Raises FatbinError.
    """
    found: list[tuple[str, ...]] = []
    offset = 0
    while offset + 16 <= size:
        head = read_at(offset, 16)
        if len(head) < 16:
            raise FatbinError(f"its file ends at byte {offset + len(head)} of the section")
        if head[:4] != MAGIC:
            if head[:4].strip(b"\0"):
                raise FatbinError(f"no fat binary at byte {offset} of its section")
            offset += _zeros(read_at, offset, size)
            continue
        _version, header_size, length = struct.unpack_from("<HHQ", head, 4)
        if header_size < 16 or offset + header_size + length > size:
            raise FatbinError(f"the fat binary at byte {offset} is larger than its section")
        if len(found) >= UNIT_LIMIT:
            raise FatbinError(f"more than {UNIT_LIMIT} fat binaries in one section")
        found.append(_entries(read_at, offset + header_size, offset + header_size + length))
        offset += header_size + length
    return found


def _zeros(read_at: ReadAt, offset: int, size: int) -> int:
    """How many bytes of padding to step over: at least one step of eight, at most to the end."""
    chunk = read_at(offset, min(65536, size - offset))
    stripped = len(chunk) - len(chunk.lstrip(b"\0"))
    return max(4, stripped - stripped % 4) if stripped < len(chunk) else max(4, len(chunk))


def _entries(read_at: ReadAt, offset: int, end: int) -> tuple[str, ...]:
    found: list[str] = []
    for _number in range(ENTRY_LIMIT):
        if offset + 48 > end:
            return tuple(found)
        entry = read_at(offset, 48)
        if len(entry) < 48:
            raise FatbinError("the section ends inside an entry of a fat binary")
        kind, _version, header_size, payload = struct.unpack_from("<HHIQ", entry)
        minor, major, target = struct.unpack_from("<HHI", entry, 24)
        flags = struct.unpack_from("<Q", entry, 40)[0]
        if header_size < 48 or offset + header_size + payload > end:
            raise FatbinError("an entry is larger than its fat binary")
        found.append(_code(kind, target, flags, f"{major}.{minor}"))
        offset += header_size + payload
    raise FatbinError(f"more than {ENTRY_LIMIT} entries in one fat binary")


def _code(kind: int, target: int, flags: int, version: str) -> str:
    if not 10 <= target <= 999:
        return f"other {min(target, 9999)}"
    suffix = "a" if flags & FLAG_A else "f" if flags & FLAG_F else ""
    if kind == 1:
        return f"ptx {target}{suffix}@{version}" if re.fullmatch(r"[0-9]{1,2}\.[0-9]{1,2}", version) else f"ptx {target}{suffix}"
    return f"sm_{target}{suffix}" if kind == 2 else f"other {target}"


def cubin_target(flags: int, abi: int) -> str | None:
    """The target of a loose cubin from its ELF header (e_flags, e_ident[EI_ABIVERSION]); null when it is no known layout.

    Whether it is ``a`` or ``f`` code is not in the header, so that the name of the file has to tell it.
    """
    target = flags >> 8 & 0xFF if abi >= 8 else flags & 0xFF
    return f"sm_{target}" if 10 <= target <= 999 else None


def ptx_text(text: str) -> str | None:
    """The code of a PTX text by its ``.version`` and ``.target`` lines; null when it is none."""
    version = re.search(r"^[ \t]{0,8}\.version[ \t]{1,8}([0-9]{1,2}\.[0-9]{1,2})", text[:65536], re.MULTILINE)
    target = re.search(r"^[ \t]{0,8}\.target[ \t]{1,8}sm_([0-9]{2,3})([af]?)\b", text[:65536], re.MULTILINE)
    return f"ptx {target.group(1)}{target.group(2)}@{version.group(1)}" if version and target else None
