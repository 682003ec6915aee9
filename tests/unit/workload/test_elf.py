# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ELF files: read whole, read from the parts that a desk sends, and hostile ones."""

from __future__ import annotations

import base64
import io
import os
import random
import struct
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather import workload
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import elf_parts, fatbin
from ansible_collections.labops.dgx_spark.plugins.module_utils.tree import Limits, Walk
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload import elf as reading
from elf_file import _written, elf
from elf_file import fatbin as fatbin_of

FULL = elf(
    needed=["libcudart.so.12", "libc.so.6"],
    soname="libthing.so",
    versions=[("libc.so.6", ["GLIBC_2.17", "GLIBC_2.34"]), ("libstdc++.so.6", ["GLIBCXX_3.4.30", "CXXABI_1.3"])],
    units=[["sm_90", "ptx 90@8.7"], ["sm_120f", "sm_121a"]],
    relocatable=[["ptx 90@8.5"]],
)


def whole(data: bytes, name: str = "x.so"):
    return reading.binary_of_file(io.BytesIO(data), name, len(data))


def from_desk(path: Path):
    (told,) = workload.paths([str(path)], lambda: Walk(Limits()))
    return [reading.binary_of_desk(item) for item in told["files"]]


def test_everything_that_decides_is_read() -> None:
    found = whole(FULL)
    assert found.machine == "aarch64"
    assert found.bits == 64
    assert found.kind == "library"
    assert found.needed == ("libcudart.so.12", "libc.so.6")
    assert found.soname == "libthing.so"
    assert found.glibc == "2.34"
    assert found.glibcxx == "3.4.30"
    assert found.units == (("sm_90", "ptx 90@8.7"), ("sm_120f", "sm_121a"))
    assert found.relocatable == (("ptx 90@8.5",),)
    assert found.not_read is None


@pytest.mark.parametrize(
    "data",
    [
        FULL,
        elf("arm", bits=32, needed=["libc.so.6"]),
        elf("x86_64", kind=2, interpreter="/lib64/ld-linux-x86-64.so.2"),
        elf(interpreter="/lib/ld-musl-aarch64.so.1"),
        elf(needed=[f"lib{number}.so" for number in range(60)]),
        elf("cuda", kind=2, flags=0x6007902, abi=8),
    ],
)
def test_the_parts_from_a_desk_say_the_same(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.so"
    path.write_bytes(data)
    assert from_desk(path) == [whole(data, str(path))]


def test_real_programs_of_this_machine_say_the_same_by_parts(tmp_path: Path) -> None:
    paths = [Path(sys.executable).resolve(), *sorted(Path("/usr/bin").glob("[ab]*"))[:20]]
    checked = 0
    for path in paths:
        if not path.is_file() or path.is_symlink() or path.read_bytes()[:4] != b"\x7fELF":
            continue
        with open(path, "rb") as file:
            direct = reading.binary_of_file(file, str(path), path.stat().st_size)
        assert from_desk(path) == [direct]
        assert direct is not None
        assert direct.not_read is None
        checked += 1
    assert checked > 3


@pytest.mark.parametrize(
    ("name", "flags", "abi", "code"),
    [
        ("k.cubin", 0x6007902, 8, "sm_121"),
        ("k.cubin", 0x500550, 7, "sm_80"),
        ("k_sm120a.cubin", 0x6007802, 8, "sm_120a"),
        ("k_sm_100f.cubin", 0x6006402, 8, "sm_100f"),
        ("k_sm90a.cubin", 0x6007902, 8, "sm_121"),  # a name that tells another target tells nothing
    ],
)
def test_loose_cubins(name: str, flags: int, abi: int, code: str) -> None:
    found = whole(elf("cuda", kind=2, flags=flags, abi=abi), name)
    assert found.units == ((code,),)
    assert found.machine == "cuda"


def test_loose_fatbins_and_ptx(tmp_path: Path) -> None:
    (tmp_path / "k.fatbin").write_bytes(fatbin_of([["sm_120"]]))
    (tmp_path / "k.ptx").write_text("//\n.version 8.7\n.target sm_90a\n.address_size 64\n")
    (tmp_path / "bad.ptx").write_text("hello\n")
    found = {Path(item.path).name: item for item in from_desk(tmp_path)}
    assert found["k.fatbin"].units == (("sm_120",),)
    assert found["k.ptx"].units == (("ptx 90a@8.7",),)
    assert found["bad.ptx"].not_read == "it is not PTX text"
    assert whole(b".version 9.0\n.target sm_121f\n", "a.ptx").units == (("ptx 121f@9.0",),)


@pytest.mark.parametrize("cut", [10, 40, 63, 64, 100, len(FULL) // 2, len(FULL) - 1])
def test_a_file_that_is_cut_off_is_not_read_and_said_so(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut.so"
    path.write_bytes(FULL[:cut])
    direct = whole(FULL[:cut])
    (sent,) = from_desk(path)
    for found in (direct, sent):
        assert found.not_read
        assert "\n" not in found.not_read
        assert found.units == ()


def test_what_is_no_elf_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "empty.so").write_bytes(b"")
    (tmp_path / "zero.so").write_bytes(b"\0" * 5000)
    assert from_desk(tmp_path) == []
    assert whole(b"hello") is None


def test_damaged_files_never_raise(tmp_path: Path) -> None:
    dice = random.Random(7)
    path = tmp_path / "x.so"
    for _round in range(300):
        data = bytearray(FULL)
        for _hit in range(dice.randrange(1, 8)):
            data[dice.randrange(4, len(data))] = dice.randrange(256)
        path.write_bytes(bytes(data))
        whole(bytes(data))
        from_desk(path)


def test_hostile_counts_have_limits(tmp_path: Path) -> None:
    # 65,535 sections of one table far beyond the file.
    data = bytearray(FULL)
    struct.pack_into("<H", data, 60, 0xFFFF)
    path = tmp_path / "x.so"
    path.write_bytes(bytes(data))
    (found,) = from_desk(path)
    assert found.not_read
    assert found.machine == "aarch64"


@pytest.mark.parametrize(
    "section",
    [
        b"\x50\xed\x55\xba",
        b"\x50\xed\x55\xba" + struct.pack("<HHQ", 1, 16, 1 << 60),
        b"\x50\xed\x55\xba" + struct.pack("<HHQ", 1, 0, 8) + b"\0" * 64,
        b"garbage garbage garbage",
        b"\x50\xed\x55\xba" + struct.pack("<HHQ", 1, 16, 64) + struct.pack("<HHIQ", 2, 257, 64, 1 << 50) + b"\0" * 48,
    ],
)
def test_broken_fat_binaries_are_said_to_be_so(section: bytes) -> None:
    try:
        found = fatbin.units(lambda at, count: section[at : at + count], len(section))
    except fatbin.FatbinError as error:
        assert str(error)
    else:
        assert found == []


def test_a_section_that_claims_more_than_its_file_holds_ends() -> None:
    """It was stepped through by four bytes, for ever: one wheel kept a check busy beyond every time limit."""
    asked = 0

    def read_at(at: int, count: int) -> bytes:
        nonlocal asked
        asked += 1
        assert asked < 100
        return b"\0" * max(0, min(count, 32 - at))

    with pytest.raises(fatbin.FatbinError, match="its file ends"):
        fatbin.units(read_at, 1 << 62)


def test_a_file_of_a_desk_is_read_through_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of sections whose names never end."""
    header = struct.pack("<HHIQQQIHHHHHH", 3, 183, 1, 0, 0, 64, 0, 64, 56, 0, 64, 40, 1)
    names = 64 + 40 * 64
    section = struct.pack("<IIQQQQIIQQ", 0, 1, 0, 0, names, 1 << 20, 0, 0, 1, 0)
    table = b"".join(section.replace(section[4:8], struct.pack("<I", 3), 1) if number == 1 else section for number in range(40))
    data = b"\x7fELF" + bytes([2, 1, 1]) + b"\0" * 9 + header + table
    parts = [[0, data], [names, b"a" * (1 << 20)]]
    told = [[offset, base64.b64encode(zlib.compress(part)).decode()] for offset, part in parts]
    read = reading.SparseFile.read
    total = 0

    def counted(self: reading.SparseFile, count: int = -1) -> bytes:
        nonlocal total
        found = read(self, count)
        total += len(found)
        return found

    monkeypatch.setattr(reading.SparseFile, "read", counted)
    monkeypatch.setattr(reading, "BUDGET", 2 << 20)
    found = reading.binary_of_desk({"path": "/x", "kind": "elf", "parts": told, "size": names + (1 << 20)})
    assert found.not_read
    assert total <= 2 << 20


def test_padding_between_fat_binaries_is_stepped_over() -> None:
    data = fatbin_of([["sm_90"]]) + b"\0" * 100_000 + fatbin_of([["sm_120"]]) + b"\0" * 12
    assert fatbin.units(lambda at, count: data[at : at + count], len(data)) == [("sm_90",), ("sm_120",)]


def test_too_many_fat_binaries_end_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fatbin, "UNIT_LIMIT", 3)
    data = fatbin_of([["sm_90"]] * 5)
    with pytest.raises(fatbin.FatbinError, match="more than 3"):
        fatbin.units(lambda at, count: data[at : at + count], len(data))


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"path": "/x", "kind": "elf", "parts": [[0, "!!"]], "size": 9},
        {"path": "/x", "kind": "elf", "parts": "nonsense", "size": 9},
        {"path": "/x", "kind": "fatbin", "units": [[["rm -rf"], 1]], "size": 9},
        {"path": "/x", "kind": "fatbin", "units": [[["sm_90"], 10**9]], "size": 9},
        {"path": "/x", "kind": "elf", "parts": [], "sections": {".nv_fatbin": 7}, "size": 9},
        {"path": "/x", "kind": "elf", "parts": [], "size": "nine"},
        {"path": "/x", "kind": "elf", "parts": [], "size": float("inf")},
    ],
)
def test_what_a_desk_tells_is_not_trusted(told: dict) -> None:
    found = reading.binary_of_desk(told)
    assert found.not_read
    assert found.units == ()


def test_a_part_that_unpacks_without_end_is_refused() -> None:
    bomb = base64.b64encode(zlib.compress(b"\0" * (8 << 20))).decode()
    found = reading.binary_of_desk({"path": "/x", "kind": "elf", "parts": [[0, bomb]], "size": 9})
    assert found.not_read == "what the desk reported about it is malformed"


def test_many_parts_that_unpack_to_much_are_refused_together() -> None:
    """Sixteen MiB of them would have taken nine GiB of the controller."""
    part = base64.b64encode(zlib.compress(b"\0" * (1 << 20), 9)).decode()
    tracemalloc.start()
    found = reading.binary_of_desk({"path": "/x", "kind": "elf", "parts": [[at << 20, part] for at in range(64)], "size": 64 << 20})
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "malformed" in (found.not_read or "")
    assert most < 24 << 20


def test_without_pyelftools_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ELFFile", None)
    assert "pip install pyelftools" in (whole(FULL).not_read or "")


def test_a_walk_follows_no_links_and_opens_no_pipes(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.so").write_bytes(FULL)
    tree = tmp_path / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "deep" / "er" / "own.so").write_bytes(FULL)
    (tree / "link.so").symlink_to(outside / "x.so")
    (tree / "folder").symlink_to(outside)
    (tree / "loop").symlink_to(tree)
    os.mkfifo(tree / "pipe.so")
    (told,) = workload.paths([str(tree)], lambda: Walk(Limits()))
    assert [item["path"] for item in told["files"]] == [str(tree / "deep" / "er" / "own.so")]
    assert told["stopped"] is None


def test_a_walk_has_limits_and_says_so(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.so").write_bytes(FULL)
    (told,) = workload.paths([str(tmp_path)], lambda: Walk(Limits(files=3)))
    assert len(told["files"]) == 3
    assert "only the first 3" in told["stopped"]
    (told,) = workload.paths([str(tmp_path)], lambda: Walk(Limits(entries=2)))
    assert "more than 2" in told["stopped"]
    (told,) = workload.paths([str(tmp_path)], lambda: Walk(Limits(seconds=-1)))
    assert "not everything was seen" in told["stopped"]


def test_a_path_that_is_not_there_says_so(tmp_path: Path) -> None:
    (told,) = workload.paths([str(tmp_path / "none")], lambda: Walk(Limits()))
    assert told["trouble"] == "No such file or directory"


def test_an_elf_chooser_takes_no_more_than_it_needs() -> None:
    data = elf(needed=["libc.so.6"], units=[["sm_120"]] * 200)
    chosen = elf_parts.choose(lambda at, count: data[at : at + count], len(data))
    assert sum(length for _offset, length in chosen.ranges) < 2000
    assert [name for name, *_rest in chosen.fatbins] == [".nv_fatbin"]


def test_a_file_of_thousands_of_tables_costs_a_desk_no_more_than_one() -> None:
    """Each was read and packed anew, with the strings that it names: the file's author kept the desk's processor for hours."""
    tables = [(name, 6, struct.pack("<4Q", 1, 1, 0, 0), 1) for name in (".dynamic", ".gnu.version_r") for _number in range(1500)]
    codes = [(".nv_fatbin", 1, fatbin_of([["sm_121"]]), 0) for _number in range(1500)]
    data = _written([("", 0, b"", 0), (".dynstr", 3, b"\0libc.so.6\0", 0), *tables, *codes], 183, 64, 3, 0, 0, 0)
    chosen = elf_parts.choose(lambda at, count: data[at : at + count], len(data))
    assert len(chosen.ranges) < 20 and len(chosen.fatbins) == 1


def test_many_small_parts_are_refused() -> None:
    """Each read of a table looks at every part."""
    part = base64.b64encode(zlib.compress(b"\0")).decode()
    found = reading.binary_of_desk({"path": "/x", "kind": "elf", "parts": [[at, part] for at in range(20_000)], "size": 64 << 20})
    assert "malformed" in (found.not_read or "")
