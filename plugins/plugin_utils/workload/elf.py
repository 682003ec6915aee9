# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ELF files read with pyelftools, on the controller: a file that lies here, or the parts of one that a desk sent.

Files are hostile: every read goes through a budget, and whatever the library stumbles over is "not read", in one sentence.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from ...module_utils.model.workload import Binary, code_of
from ...module_utils.readers import fatbin
from ...module_utils.readers.elf_parts import FATBIN_SECTIONS

try:
    from elftools.common.exceptions import ELFError, ELFParseError
    from elftools.elf.elffile import ELFFile
except ImportError:
    ELFFile = None

MISSING_LIBRARY = "pyelftools is not installed on the controller: pip install pyelftools (requirements.txt names it)"
BUDGET = 64 << 20
"""Bytes that may be read of one file for its headers and tables."""
PARTS_LIMIT = 8 << 20
"""Bytes of all parts of one file that a desk sent, unpacked; what `readers.elf_parts` chooses has less than 4 MiB."""
PARTS_COUNT = 5000
"""Parts of one file; `readers.elf_parts` chooses fewer. Each is looked at for every read."""
NEEDED_LIMIT = 300
SECTION_LIMIT = 16_000
UNITS_LIMIT = fatbin.UNIT_LIMIT
CUDA_MACHINE = 190
MACHINES = {
    "EM_AARCH64": "aarch64",
    "EM_X86_64": "x86_64",
    "EM_386": "i386",
    "EM_ARM": "arm",
    "EM_RISCV": "riscv64",
    "EM_PPC64": "ppc64le",
    "EM_S390": "s390x",
    "EM_CUDA": "cuda",
}
NOT_SENT = "was not sent"
_NAME = re.compile(r"[A-Za-z0-9_+.,@=~/-]{1,255}")
_VERSION = re.compile(r"(GLIBC|GLIBCXX)_([0-9]{1,3}(?:\.[0-9]{1,3}){1,3})")


class NotFetched(Exception):
    """A part of a file was asked for that the desk did not send."""


class SparseFile(io.RawIOBase):
    """A file of which only some ranges are known."""

    def __init__(self, size: int, parts: Sequence[tuple[int, bytes]]) -> None:
        super().__init__()
        self._size, self._parts, self._position = size, sorted(parts), 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """As files do."""
        self._position = {0: offset, 1: self._position + offset, 2: self._size + offset}[whence]
        return self._position

    def tell(self) -> int:
        """As files do."""
        return self._position

    def read(self, count: int = -1) -> bytes:
        """The known bytes from here on, at most ``count``. Raises NotFetched where nothing is known."""
        if self._position >= self._size or count == 0:
            return b""
        best = b""
        for offset, data in self._parts:
            if offset <= self._position < offset + len(data):
                start = self._position - offset
                best = max(best, data[start : len(data) if count < 0 else start + count], key=len)
        if not best:
            raise NotFetched(f"byte {self._position} {NOT_SENT}")
        self._position += len(best)
        return best


class Passing(io.RawIOBase):
    """A stream behind which there is another one."""

    def __init__(self, stream: IO[bytes] | io.RawIOBase) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """As files do."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """As files do."""
        return self._stream.tell()


class Budgeted(Passing):
    """A stream of which only so many bytes may be read."""

    def __init__(self, stream: IO[bytes] | io.RawIOBase, budget: int = BUDGET) -> None:
        super().__init__(stream)
        self._left = budget

    def read(self, count: int = -1) -> bytes:
        """As files do. Raises ValueError when the budget is used up."""
        if self._left <= 0:
            raise ValueError("its tables are too large")
        data = self._stream.read(self._left if count < 0 else min(count, self._left))
        self._left -= len(data)
        return data


def binary_of_file(stream: IO[bytes], path: str, size: int) -> Binary | None:
    """What a complete file is; null when it holds no machine code."""
    stream.seek(0)
    head = stream.read(8)
    if head[:4] == fatbin.MAGIC:
        units, trouble = _read_fatbin(stream, 0, size)
        return Binary(path, "cuda", None, "fatbin", units=units, not_read=trouble, size=size)
    if path.endswith(".ptx"):
        stream.seek(0)
        code = fatbin.ptx_text(stream.read(65536).decode("utf-8", "replace"))
        return Binary(
            path, "cuda", None, "ptx", units=((code,),) if code else (), not_read=None if code else "it is not PTX text", size=size
        )
    if head[:4] != b"\x7fELF":
        return None
    return _elf(Budgeted(stream), path, size, None, stream)


def binary_of_desk(data: Mapping[str, Any]) -> Binary:
    """What the parts of a file that a desk sent say. What does not pass is "not read"."""
    path, size = str(data.get("path"))[:4096], data.get("size")
    size = size if isinstance(size, int) else 0
    kind, trouble = data.get("kind"), data.get("trouble")
    try:
        if kind in ("fatbin", "ptx"):
            return Binary(path, "cuda", None, str(kind), units=_units_of(data.get("units")), not_read=sentence(trouble), size=size)
        parts = _parts(data.get("parts") or ())
        sections = data.get("sections") or {}
        told = {
            name: (_units_of(sections[name].get("units")), sentence(sections[name].get("trouble")))
            for name in FATBIN_SECTIONS
            if name in sections
        }
    except (ValueError, TypeError, AttributeError, zlib.error, binascii.Error):
        return Binary(path, not_read="what the desk reported about it is malformed", size=size)
    found = _elf(Budgeted(SparseFile(size, parts), BUDGET), path, size, told, None)
    if trouble and found.not_read is None:
        return Binary(**{**found.__dict__, "not_read": sentence(trouble)})
    if trouble:
        return Binary(path, found.machine or _machine_of_head(parts), found.bits, found.kind, not_read=sentence(trouble), size=size)
    return found


def _elf(
    stream: Any, path: str, size: int, told: Mapping[str, tuple[tuple[tuple[str, ...], ...], str | None]] | None, whole: IO[bytes] | None
) -> Binary:
    if ELFFile is None:
        return Binary(path, not_read=MISSING_LIBRARY, size=size)
    machine = _machine_of_head([(0, _head(stream))])
    try:
        elf = ELFFile(stream)
        machine = MACHINES.get(elf["e_machine"], str(elf["e_machine"]).removeprefix("EM_").lower()[:20])
        if elf["e_machine"] in ("EM_CUDA", CUDA_MACHINE):
            code = _suffixed(fatbin.cubin_target(int(elf["e_flags"]), int(elf["e_ident"]["EI_ABIVERSION"])), path)
            return Binary(
                path,
                "cuda",
                None,
                "cubin",
                units=((code,),) if code else (),
                not_read=None if code else "its target is not known",
                size=size,
            )
        return _described(elf, path, size, machine, told, whole)
    except Exception as error:  # a hostile file may make the library raise anything at all
        if isinstance(error, NotFetched) or NOT_SENT in str(error):
            return Binary(path, machine, not_read="the desk did not send all of its tables", size=size)
        return Binary(path, machine, not_read=f"its ELF tables are broken or truncated ({type(error).__name__})", size=size)


def _described(
    elf: Any,
    path: str,
    size: int,
    machine: str,
    told: Mapping[str, tuple[tuple[tuple[str, ...], ...], str | None]] | None,
    whole: IO[bytes] | None,
) -> Binary:
    sections = _sections(elf)
    interpreter = _interpreter(elf, sections.get(".interp"))
    dynamic = sections.get(".dynamic")
    tags = list(_some(dynamic.iter_tags(), 2000)) if dynamic is not None and hasattr(dynamic, "iter_tags") else []
    needed = [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
    soname = next((tag.soname for tag in tags if tag.entry.d_tag == "DT_SONAME"), None)
    versions = _versions(sections.get(".gnu.version_r"))
    kind = {"ET_EXEC": "program", "ET_REL": "object"}.get(elf["e_type"], "program" if interpreter else "library")
    units: dict[str, tuple[tuple[str, ...], ...]] = {}
    troubles: list[str] = []
    trouble: str | None
    if elf.num_sections() == 0:
        troubles.append("it has no section table, so its device code could not be found")
    for name in FATBIN_SECTIONS:
        if told is not None:
            units[name], trouble = told.get(name, ((), None))
        else:
            section = sections.get(name)
            if section is None or section["sh_type"] == "SHT_NOBITS" or whole is None:
                continue
            units[name], trouble = _read_fatbin(whole, section["sh_offset"], section["sh_size"])
        if trouble:
            troubles.append(f"its device code could not be read: {trouble}")
    return Binary(
        path=path,
        machine=machine,
        bits=int(elf.elfclass),
        kind=kind,
        interpreter=_clean(interpreter),
        needed=tuple(text for item in needed[:NEEDED_LIMIT] if (text := _clean(item))),
        soname=_clean(soname),
        own_path=any(tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH") for tag in tags),
        glibc=_highest(versions, "GLIBC"),
        glibcxx=_highest(versions, "GLIBCXX"),
        units=units.get(".nv_fatbin", ()),
        relocatable=units.get("__nv_relfatbin", ()),
        not_read=troubles[0] if troubles else None,
        size=size,
    )


def _sections(elf: Any) -> dict[str, Any]:
    """The sections that tell something, by name. Others are not even opened: the library reads some of them when it meets them."""
    found: dict[str, Any] = {}
    for number in range(min(elf.num_sections(), SECTION_LIMIT)):
        try:
            section = elf.get_section(number, ("SHT_DYNAMIC", "SHT_GNU_verneed", "SHT_PROGBITS", "SHT_NOBITS"))
        except ELFParseError:
            raise
        except ELFError:
            # Another type of section.
            continue
        if section.name in (".interp", ".dynamic", ".gnu.version_r", *FATBIN_SECTIONS):
            found.setdefault(section.name, section)
    return found


def _interpreter(elf: Any, section: Any) -> str | None:
    """The program's loader: by its section, or by its segment in a file without sections."""
    if section is not None:
        return bytes(section.data()[:256]).split(b"\0")[0].decode("ascii", "replace")
    if elf.num_sections():
        return None
    return next((segment.get_interp_name() for segment in elf.iter_segments("PT_INTERP")), None)


def _versions(section: Any) -> list[str]:
    if section is None or not hasattr(section, "iter_versions"):
        return []
    names = []
    for _need, items in _some(section.iter_versions(), 500):
        names += [item.name for item in _some(items, 1000)]
    return names


def _highest(names: Iterable[str], family: str) -> str | None:
    found = [match.group(2) for name in names if (match := _VERSION.fullmatch(str(name))) and match.group(1) == family]
    return max(found, key=lambda text: tuple(int(part) for part in text.split(".")), default=None)


def _read_fatbin(stream: IO[bytes], offset: int, length: int) -> tuple[tuple[tuple[str, ...], ...], str | None]:
    def read_at(at: int, count: int) -> bytes:
        stream.seek(offset + at)
        return stream.read(min(count, max(0, length - at)))

    try:
        return tuple(fatbin.units(read_at, length)), None
    except (fatbin.FatbinError, OSError, OverflowError, ValueError) as error:
        return (), str(error)


def _units_of(value: Any) -> tuple[tuple[str, ...], ...]:
    """Units as a desk told them, each checked and repeated as often as it was there. Raises ValueError or TypeError."""
    found: list[tuple[str, ...]] = []
    for codes, count in value or ():
        unit = tuple(code_of(str(code)).text for code in codes)
        if (
            not isinstance(count, int)
            or not 1 <= count <= UNITS_LIMIT
            or len(unit) > fatbin.ENTRY_LIMIT
            or len(found) + count > UNITS_LIMIT
        ):
            raise ValueError("too many fat binaries")
        found += [unit] * count
    return tuple(found)


def _parts(told: Iterable[Any]) -> list[tuple[int, bytes]]:
    """The parts of one file; together at most PARTS_LIMIT, however little was sent. Raises ValueError, TypeError or zlib.error."""
    found, size = [], 0
    for offset, text in told:
        found.append((int(offset), _unpacked(text)))
        size += len(found[-1][1])
        if size > PARTS_LIMIT or len(found) > PARTS_COUNT:
            raise ValueError("its parts are too large")
    return found


def _unpacked(text: str) -> bytes:
    """One part; at most one MiB whatever it claims. Raises ValueError or zlib.error."""
    engine = zlib.decompressobj()
    data = engine.decompress(base64.b64decode(text, validate=True), (1 << 20) + 64)
    if engine.unconsumed_tail:
        raise ValueError("a part is too large")
    return data


def _head(stream: Any) -> bytes:
    try:
        stream.seek(0)
        return bytes(stream.read(20))
    except (NotFetched, ValueError, OSError):
        return b""


def _machine_of_head(parts: Sequence[tuple[int, bytes]]) -> str | None:
    """The machine of a file whose tables could not be read: it stands in the first twenty bytes."""
    head = next((data for offset, data in parts if offset == 0), b"")
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    number = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    return {183: "aarch64", 62: "x86_64", 3: "i386", 40: "arm", 243: "riscv64", 21: "ppc64le", 22: "s390x", CUDA_MACHINE: "cuda"}.get(
        number, f"machine {number}"
    )


def _suffixed(code: str | None, path: str) -> str | None:
    """The code with the letter that the file's name tells: sm_120a of kernel_sm120a.cubin."""
    found = re.search(r"sm_?([0-9]{2,3})([af])(?![a-z0-9])", path.lower()) if code else None
    return f"{code}{found.group(2)}" if code and found and code == f"sm_{found.group(1)}" else code


def _clean(text: Any) -> str | None:
    return text if isinstance(text, str) and _NAME.fullmatch(text) else None


def sentence(value: Any) -> str | None:
    """A desk's words as plain characters."""
    return re.sub(r"[^\x20-\x7e]", "?", str(value))[:300] if value else None


def _some(items: Iterable[Any], limit: int) -> Iterable[Any]:
    for number, item in enumerate(items):
        if number >= limit:
            return
        yield item
