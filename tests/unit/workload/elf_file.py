"""Small ELF files, written field by field: what a test wants to see read, and nothing else."""

from __future__ import annotations

import struct
from collections.abc import Sequence

MACHINES = {"aarch64": 183, "x86_64": 62, "i386": 3, "arm": 40, "riscv64": 243, "cuda": 190}
MAGIC = 0xBA55ED50


def fatbin(units: Sequence[Sequence[str]]) -> bytes:
    """A section of fat binaries, each of codes such as ``sm_120f`` and ``ptx 90@8.7`` (payloads are noise)."""
    return b"".join(_unit(unit) for unit in units)


def _unit(codes: Sequence[str]) -> bytes:
    body = b"".join(_entry(code) for code in codes)
    body += b"\0" * (-len(body) % 8)
    return struct.pack("<IHHQ", MAGIC, 1, 16, len(body)) + body


def _entry(code: str) -> bytes:
    kind, rest = (2, code[3:]) if code.startswith("sm_") else (1, code[4:])
    target, _at, isa = rest.partition("@")
    flags = {"a": 0x100000, "f": 0x200000}.get(target[-1], 0) | 0x8000
    major, minor = (int(part) for part in isa.split(".")) if isa else (1, 8)
    payload = b"\x50\xed" * 20
    head = struct.pack("<HHIQIIHHI", kind, 0x0101, 64, len(payload), 30, 0, minor, major, int(target.rstrip("af")))
    return head.ljust(40, b"\0") + struct.pack("<Q", flags) + b"\0" * 16 + payload


def elf(
    machine: str = "aarch64",
    *,
    bits: int = 64,
    kind: int = 3,
    needed: Sequence[str] = (),
    soname: str = "",
    runpath: str = "",
    interpreter: str = "",
    versions: Sequence[tuple[str, Sequence[str]]] = (),
    units: Sequence[Sequence[str]] = (),
    relocatable: Sequence[Sequence[str]] = (),
    flags: int = 0,
    abi: int = 0,
) -> bytes:
    """An ELF file. ``versions``: library to the symbol versions that it must have; ``kind``: 2 program, 3 shared object, 1 object."""
    strings = bytearray(b"\0")

    def string(text: str) -> int:
        strings.extend(text.encode() + b"\0")
        return len(strings) - len(text) - 1

    word = "Q" if bits == 64 else "I"
    tags = [(1, string(name)) for name in needed] + ([(14, string(soname))] if soname else [])
    tags += [*([(29, string(runpath))] if runpath else []), (0, 0)]
    dynamic = b"".join(struct.pack(f"<2{word}", tag, value) for tag, value in tags)
    need = b""
    for number, (library, names) in enumerate(versions):
        size = 16 + 16 * len(names)
        need += struct.pack("<HHIII", 1, len(names), string(library), 16, 0 if number == len(versions) - 1 else size)
        for place, name in enumerate(names):
            need += struct.pack("<IHHII", 0, 0, 2 + place, string(name), 0 if place == len(names) - 1 else 16)
    sections: list[tuple[str, int, bytes, int]] = [("", 0, b"", 0)]
    if interpreter:
        sections.append((".interp", 1, interpreter.encode() + b"\0", 0))
    sections.append((".dynstr", 3, b"", 0))
    place = len(sections) - 1
    sections.append((".dynamic", 6, dynamic, place))
    if versions:
        sections.append((".gnu.version_r", 0x6FFFFFFE, need, place))
    if units:
        sections.append((".nv_fatbin", 1, fatbin(units), 0))
    if relocatable:
        sections.append(("__nv_relfatbin", 1, fatbin(relocatable), 0))
    sections[place] = (".dynstr", 3, bytes(strings), 0)
    return _written(sections, MACHINES[machine], bits, kind, flags, abi, len(versions))


def _written(sections: list[tuple[str, int, bytes, int]], machine: int, bits: int, kind: int, flags: int, abi: int, needs: int) -> bytes:
    names = b"".join(name.encode() + b"\0" for name, *_rest in sections) + b".shstrtab\0"
    sections = [*sections, (".shstrtab", 3, names, 0)]
    wide = bits == 64
    header = 64 if wide else 52
    data, table, name_at = bytearray(), bytearray(), 0
    for name, section_kind, body, link in sections:
        data += b"\0" * (-len(data) % 8)
        offset = header + len(data)
        data += body
        at = names.index(b".shstrtab\0") if name == ".shstrtab" else name_at
        name_at += len(name) + 1
        info = needs if name == ".gnu.version_r" else 0
        entry = {".dynamic": 16 if wide else 8}.get(name, 0)
        if wide:
            table += struct.pack("<IIQQQQIIQQ", at, section_kind, 0, 0, offset if section_kind else 0, len(body), link, info, 1, entry)
        else:
            table += struct.pack("<IIIIIIIIII", at, section_kind, 0, 0, offset if section_kind else 0, len(body), link, info, 1, entry)
    data += b"\0" * (-len(data) % 8)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1, 0, abi]) + b"\0" * 7
    rest = (1, 0, 0, header + len(data), flags, header, 56 if wide else 32, 0, 64 if wide else 40, len(sections), len(sections) - 1)
    layout = "<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH"
    return ident + struct.pack(layout, kind, machine, *rest) + bytes(data) + bytes(table)
