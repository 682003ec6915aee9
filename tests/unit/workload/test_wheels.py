# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels: their names, and what lies in them, read over real HTTP from an index on loopback. Hostile archives end in one sentence."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import socket
import struct
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.wheel import cuda_build, judge_wheel, misfit
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.workload import NEEDS_REBUILD, RUNS, UNKNOWN, WONT_RUN, Target, Wheel
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload import archive, fetch
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.wheels import LISTED, Indexes, Looker, WheelError, named
from elf_file import elf
from index_server import Index, running
from wheel_file import wheel

TODAY = "2026-11-26"
GOOD = elf(needed=["libcudart.so.13"], units=[["sm_90", "sm_120"]])
TAG = "cp312-cp312-manylinux_2_28_aarch64"


@pytest.fixture
def index() -> Iterator[Index]:
    with running(Index()) as serving:
        yield serving


def look(index: Index, tmp_path: Path, data: bytes, name: str = f"thing-1.0-{TAG}.whl", read: int = 64 << 20, **options) -> Wheel:
    url = index.add("thing", name, data)
    told = named(name)
    looker = Looker(fetch.Web(5), tmp_path / "cache", read, options.pop("download", 64 << 20))
    return looker.look(Wheel(name, told.project, told.version, told.tags, index.url), url, hashlib.sha256(data).hexdigest(), **options)


def judged(found: Wheel, spark: Target, itself: bool = True):
    return judge_wheel(found, spark, TODAY, itself=itself, brought=())


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (f"torch-2.15.0-{TAG}.whl", None),
        ("torch-2.15.0-cp313-cp313-manylinux_2_28_aarch64.whl", "Python 3.12"),
        ("a-1-cp310-cp310-linux_aarch64.whl", "Python 3.12"),
        ("a-1-cp38-abi3-manylinux_2_35_aarch64.whl", None),
        ("a-1-cp313-abi3-manylinux_2_35_aarch64.whl", "Python 3.12"),
        ("a-1-cp312-abi3-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl", None),
        ("a-1-cp312-cp312-linux_x86_64.whl", "it is for x86_64"),
        ("flash_attn-2.8.3+cu12torch2.11cxx11abiTRUE-cp312-cp312-linux_x86_64.whl", "it is for x86_64"),
        ("a-1-cp312-cp312-musllinux_1_2_aarch64.whl", "musl"),
        ("a-1-cp312-cp312-manylinux_2_41_aarch64.whl", "glibc 2.41"),
        ("a-1-cp312-cp312-manylinux_2_39_aarch64.whl", None),
        ("a-1-cp312-cp312-manylinux2014_aarch64.whl", None),
        ("a-1-cp313-cp313t-manylinux_2_28_aarch64.whl", "Python 3.12"),
        ("a-1-cp312-cp312-macosx_14_0_arm64.whl", "another system"),
        ("a-1-cp312-cp312-win_arm64.whl", "another system"),
        ("a-1-py2.py3-none-any.whl", None),
        ("a-1-py3-none-manylinux_2_17_aarch64.whl", None),
        ("a-1-py27-none-any.whl", "Python 3.12"),
        ("a-1-pp310-pypy310_pp73-manylinux_2_17_aarch64.whl", "Python 3.12"),
        ("a-1-cp39-cp39-manylinux_2_28_x86_64.manylinux_2_28_aarch64.whl", "Python 3.12"),
    ],
)
def test_names(name: str, problem: str | None, spark: Target) -> None:
    found = misfit(named(name).tags, spark)
    if problem is None:
        assert found is None
    else:
        assert found is not None
        assert problem in found[0]
        assert found[1]


@pytest.mark.parametrize("name", ["", "thing.whl", "a-b-c-d-e-f-g-h.whl", "../../etc/passwd", "thing-1.0.tar.gz", "-1-py3-none-any.whl"])
def test_what_is_no_wheel_name_is_refused(name: str) -> None:
    with pytest.raises(WheelError):
        named(name)


@pytest.mark.parametrize(
    ("found", "build"),
    [
        (Wheel("", "torch", "2.9.1+cu130"), 130),
        (Wheel("", "torch", "2.5.1+cu124"), 124),
        (Wheel("", "flash-attn", "2.8.3+cu12torch2.11cxx11abitrue"), 120),
        (Wheel("", "torch", "2.9.1+cpu"), 0),
        (Wheel("", "torch", "2.15.0", requires=("cuda-toolkit[cudart]==13.2.2", "triton~=3.9")), 132),
        (Wheel("", "torch", "2.10.0", requires=("filelock", "sympy")), 0),
        (Wheel("", "x", "1", requires=("nvidia-cuda-runtime-cu12==12.8.90",)), 128),
        (Wheel("", "x", "1", source="https://download.pytorch.org/whl/cu128"), 128),
        (Wheel("", "cupy-cuda12x", "14.2.0"), 120),
        (Wheel("", "cudf-cu13", "26.10"), 130),
        (Wheel("", "torch", "2.15.0"), None),
        (Wheel("", "sgl-kernel", "0.3.21"), None),
    ],
)
def test_which_cuda_a_wheel_was_built_for(found: Wheel, build: int | None) -> None:
    assert cuda_build(found) == build


def test_a_wheel_is_read_in_parts(index: Index, tmp_path: Path, spark: Target) -> None:
    data = wheel("thing", "1.0", TAG, {"thing/__init__.py": b"", "thing/data.bin": os.urandom(3_000_000), "thing/_C.so": GOOD})
    found = look(index, tmp_path, data)
    assert found.not_read is None
    assert found.members == 3
    assert found.binaries[0].units == (("sm_90", "sm_120"),)
    assert index.bytes_sent < 400_000
    verdict = judged(found, spark)
    assert (verdict.verdict, verdict.gpu) == (RUNS, "cuda")


def test_what_was_seen_is_kept_by_checksum(index: Index, tmp_path: Path) -> None:
    data = wheel("thing", "1.0", TAG, {"thing/_C.so": GOOD})
    first = look(index, tmp_path, data)
    before = len(index.requests)
    assert look(index, tmp_path, data) == first
    assert len(index.requests) == before


def test_an_index_without_ranges_is_downloaded_within_a_limit(index: Index, tmp_path: Path) -> None:
    index.ranges = False
    data = wheel("thing", "1.0", TAG, {"thing/_C.so": GOOD, "thing/data.bin": os.urandom(500_000)})
    found = look(index, tmp_path, data)
    assert found.not_read is None
    assert found.binaries[0].units
    assert list((tmp_path / "cache").rglob("*.whl")) == []
    refused = look(index, tmp_path / "second", data, download=100_000)
    assert "limit" in (refused.not_read or "")


def test_a_checksum_that_does_not_match_is_refused(index: Index, tmp_path: Path) -> None:
    index.ranges = False
    url = index.add("thing", f"thing-1.0-{TAG}.whl", wheel("thing", "1.0", TAG, {"thing/_C.so": GOOD}))
    looker = Looker(fetch.Web(5), tmp_path / "cache", 1 << 20, 1 << 20)
    assert "checksum" in (looker.look(Wheel("x"), url, "0" * 64).not_read or "")


def test_an_index_does_not_speak_for_the_wheels_of_another_one(index: Index, tmp_path: Path) -> None:
    """Where parts of a wheel are read nothing proves its checksum, so what was read counts for that link alone."""
    evil = index.add("evil", f"thing-1.0-{TAG}.whl", wheel("thing", "1.0", TAG, {"thing/evil.so": GOOD}))
    good = index.add("thing", f"thing-1.0-{TAG}.whl", wheel("thing", "1.0", TAG, {"thing/_C.so": GOOD}))
    looker = Looker(fetch.Web(5), tmp_path / "cache", 1 << 20, 1 << 20)
    assert looker.look(Wheel("x"), evil, "0" * 64).native == ("thing/evil.so",)
    assert looker.look(Wheel("x"), good, "0" * 64).native == ("thing/_C.so",)
    asked = len(index.requests)
    assert looker.look(Wheel("x"), good, "0" * 64).native == ("thing/_C.so",)
    assert len(index.requests) == asked, "it is read once"


def test_what_is_too_much_to_read_is_said_and_the_small_files_are_read(index: Index, tmp_path: Path, spark: Target) -> None:
    big = GOOD + os.urandom(2_000_000)
    data = wheel("thing", "1.0", TAG, {"thing/big.so": big, "thing/small.so": elf(units=[["sm_90"]])})
    found = look(index, tmp_path, data, read=1 << 20)
    assert "exceed the read limit of 1 MB" in (found.not_read or "")
    # What was read settles the matter: a library without code for this GPU.
    assert judged(found, spark).verdict == NEEDS_REBUILD
    fine = look(index, tmp_path / "b", wheel("thing", "1.0", TAG, {"thing/big.so": big}), read=1 << 20)
    assert judged(fine, spark).verdict == UNKNOWN


def test_the_names_alone_cost_little(index: Index, tmp_path: Path) -> None:
    data = wheel("thing", "1.0", TAG, {"thing/lib/libbig.so.13": GOOD + os.urandom(2_000_000)})
    found = look(index, tmp_path, data, depth=LISTED)
    assert found.native == ("thing/lib/libbig.so.13",)
    assert found.binaries == ()
    assert index.bytes_sent < 100_000


@pytest.mark.parametrize("cut", [0, 1, 100, 5000])
def test_a_truncated_wheel_is_one_sentence(index: Index, tmp_path: Path, spark: Target, cut: int) -> None:
    data = wheel("thing", "1.0", TAG, {"thing/_C.so": GOOD, "thing/data.bin": os.urandom(20_000)})
    found = look(index, tmp_path, data[:cut] if cut else data[:-30])
    assert found.not_read
    assert "\n" not in found.not_read
    assert judged(found, spark).verdict == UNKNOWN


def test_a_listing_without_end_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a gigabyte of it, from an index without byte ranges, would have taken five of the controller's memory."""
    entry = struct.pack("<4s4B4H3L5H2L", b"PK\1\2", 20, 0, 20, 0, 0, 0, 0, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    count = 200_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, len(entry) * count, 0, 0)
    stream = io.BytesIO(entry * count + end)
    monkeypatch.setattr(archive, "LISTING_LIMIT", 4 << 20)
    tracemalloc.start()
    with pytest.raises(archive.ArchiveError):
        archive.contents(stream, 1 << 20)
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 << 20


def test_a_zip_bomb_is_refused_before_it_unpacks(index: Index, tmp_path: Path) -> None:
    data = wheel("thing", "1.0", TAG, {"thing/_C.so": b"\x7fELF" + b"\0" * (200 << 20)})
    assert len(data) < 1 << 20
    found = look(index, tmp_path, data)
    assert "zip bomb" in (found.not_read or "")


def test_an_archive_that_lies_about_its_sizes_is_refused() -> None:
    data = bytearray(wheel("thing", "1.0", TAG, {"thing/_C.so": GOOD * 50}))
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = (100).to_bytes(4, "little")
    with pytest.raises(archive.ArchiveError):
        archive.contents(io.BytesIO(bytes(data)), 1 << 30)


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(wheel("thing", "1.0", TAG, {"thing/_C.so": GOOD}))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    with pytest.raises(archive.ArchiveError, match="encrypted"):
        archive.contents(io.BytesIO(bytes(data)), 1 << 30)


def test_too_many_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MEMBER_LIMIT", 5)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for number in range(9):
            packed.writestr(f"a/{number}.py", "")
    with pytest.raises(archive.ArchiveError, match="more than 5 files"):
        archive.contents(out, 1 << 20)


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip at all" * 100, b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(archive.ArchiveError, match="not a readable wheel"):
        archive.contents(io.BytesIO(data), 1 << 20)


def test_foreign_libraries_in_a_wheel_for_any_machine(index: Index, tmp_path: Path, spark: Target) -> None:
    name = "thing-1.0-py3-none-any.whl"
    foreign = look(index, tmp_path, wheel("thing", "1.0", "py3-none-any", {"thing/lib.so": elf("x86_64", units=[["sm_120"]])}), name)
    verdict = judged(foreign, spark)
    assert verdict.verdict == WONT_RUN
    assert "x86_64" in verdict.reason
    assert "installs on any machine" in verdict.reason
    both = {"thing/x86.so": elf("x86_64"), "thing/arm.so": elf(units=[["sm_121"]])}
    assert judged(look(index, tmp_path / "b", wheel("thing", "1.0", "py3-none-any", both), name), spark).verdict == RUNS


def test_of_variants_the_one_for_the_desks_cuda_counts(index: Index, tmp_path: Path, spark: Target) -> None:
    files = {
        "bnb/libbnb_cuda118.so": elf(needed=["libcudart.so.11.0"], units=[["sm_75"]]),
        "bnb/libbnb_cuda126.so": elf(needed=["libcudart.so.12"], units=[["sm_75", "sm_90"]]),
        "bnb/libbnb_cuda130.so": elf(needed=["libcudart.so.13"], units=[["sm_75", "sm_121"]]),
        "bnb/libbnb_cpu.so": elf(),
    }
    verdict = judged(look(index, tmp_path, wheel("thing", "1.0", TAG, files)), spark)
    assert (verdict.verdict, verdict.gpu) == (RUNS, "cuda")
    assert "variant" in verdict.rules
    del files["bnb/libbnb_cuda130.so"]
    assert judged(look(index, tmp_path / "b", wheel("thing", "1.0", TAG, files)), spark).verdict in (NEEDS_REBUILD, WONT_RUN)


def test_a_collection_of_cubins_for_others(index: Index, tmp_path: Path, spark: Target) -> None:
    name = "thing-1.0-py3-none-any.whl"
    cubins = {f"thing/k{number}_Sm100a.cubin": b"x" for number in range(9)}
    found = look(index, tmp_path, wheel("thing", "1.0", "py3-none-any", {**cubins, "thing/__init__.py": b""}), name)
    assert judged(found, spark).verdict == NEEDS_REBUILD
    needed = judged(found, spark, itself=False)
    assert needed.verdict == RUNS
    assert "none for 12.1" in needed.notes[0]
    fits = look(index, tmp_path / "b", wheel("thing", "1.0", "py3-none-any", {**cubins, "thing/k_sm120.cubin": b"x"}), name)
    assert judged(fits, spark).verdict == RUNS


def test_an_empty_placeholder(index: Index, tmp_path: Path, spark: Target) -> None:
    verdict = judged(look(index, tmp_path, wheel("thing", "0.0.0.dev0", "py3-none-any", {}), "thing-0.0.0.dev0-py3-none-any.whl"), spark)
    assert verdict.verdict == WONT_RUN
    assert "placeholder" in verdict.reason


def test_a_link_to_a_file_of_the_controller_is_not_followed(tmp_path: Path) -> None:
    local = tmp_path / "x.whl"
    local.write_bytes(wheel("thing", "1.0", TAG, {"a.so": GOOD}))
    looker = Looker(fetch.Web(2), tmp_path / "cache", 1 << 20, 1 << 20)
    for url in (f"file://{local}", f"ftp://127.0.0.1/{local}", "gopher://x/y"):
        assert looker.look(Wheel("x"), url, None).not_read


def test_a_server_that_hangs_is_left_in_time(index: Index, tmp_path: Path) -> None:
    index.hang = 3
    url = index.add("thing", "a.whl", b"x")
    with pytest.raises(fetch.FetchError, match="did not respond within 1 s") as caught:
        fetch.RangedFile(fetch.Web(1), url, 1 << 20)
    assert caught.value.kind == "timeout"


@pytest.mark.parametrize(
    ("status", "kind"), [(401, "no_access"), (403, "no_access"), (404, "not_found"), (429, "rate_limit"), (500, "other")]
)
def test_answers_of_an_index_have_kinds(index: Index, status: int, kind: str) -> None:
    index.status["/simple/thing/"] = status
    with pytest.raises(fetch.FetchError) as caught:
        fetch.Web(5).page(f"{index.url}/thing/")
    assert caught.value.kind == kind


def test_nobody_there() -> None:
    with pytest.raises(fetch.FetchError) as caught:
        fetch.Web(2).page("http://127.0.0.1:9/simple/x/")
    assert caught.value.kind == "no_network"


def test_credentials_reach_the_index_and_no_message(index: Index) -> None:
    index.files["thing"] = {}
    with_secret = index.url.replace("http://", "http://user:s3cret@")
    fetch.Web(5).page(f"{with_secret}/thing/")
    assert index.requests[-1][2] == "Basic dXNlcjpzM2NyZXQ="
    index.status["/simple/thing/"] = 403
    with pytest.raises(fetch.FetchError) as caught:
        fetch.Web(5).page(f"{with_secret}/thing/?token=abc")
    assert "s3cret" not in str(caught.value)
    assert "abc" not in str(caught.value)


def test_a_page_without_end_is_left(index: Index) -> None:
    index.files["thing"] = {f"thing-{number}-py3-none-any.whl": b"" for number in range(3000)}
    with pytest.raises(fetch.FetchError, match="too large"):
        fetch.Web(5).page(f"{index.url}/thing/", limit=10_000)


@pytest.mark.parametrize("html", [False, True])
def test_pages_of_both_kinds(index: Index, html: bool) -> None:
    index.html = html
    index.add("thing", f"thing-1.0+cu130-{TAG}.whl", b"x")
    index.add("thing", "thing-1.0.tar.gz", b"x")
    index.add("thing", "readme.txt", b"x")
    files = Indexes(fetch.Web(5), [index.url]).files("Thing")
    assert [file.filename for _index, file in files] == [f"thing-1.0+cu130-{TAG}.whl", "thing-1.0.tar.gz"]
    assert all(file.sha256 == hashlib.sha256(b"x").hexdigest() for _index, file in files)
    assert all(file.url.startswith(index.base) for _index, file in files)


def test_an_index_that_is_down_does_not_hide_another(index: Index) -> None:
    index.add("thing", f"thing-1.0-{TAG}.whl", b"x")
    assert Indexes(fetch.Web(2), ["http://127.0.0.1:9/simple", index.url]).files("thing")
    with pytest.raises(fetch.FetchError):
        Indexes(fetch.Web(2), ["http://127.0.0.1:9/simple"]).files("thing")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n"


@contextlib.contextmanager
def talking(*answers: tuple[bytes, bytes, float]) -> Iterator[str]:
    """A server that sends each connection a beginning, then the same bytes again and again after a pause."""
    over = threading.Event()

    def talk(server: socket.socket) -> None:
        for begin, more, pause in answers:
            connection, _address = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(begin)
                while more and not over.wait(pause):
                    connection.sendall(more)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=talk, args=(server,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        over.set()
    thread.join(10)


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\nX: ", HEAD + b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_drips_has_a_limit_in_all(begin: bytes) -> None:
    with talking((begin, b"x", 0.05)) as url, pytest.raises(fetch.FetchError, match="in full within 1 s") as caught:
        fetch.Web(0.5).page(url)
    assert caught.value.kind == "timeout"


def test_a_server_that_drips_its_handshake_has_a_limit_in_all() -> None:
    with talking((b"\x16\x03\x03\x40\x00", b"x", 0.05)) as url, pytest.raises(fetch.FetchError) as caught:
        fetch.Web(0.5).page(url.replace("http:", "https:"))
    assert caught.value.kind == "timeout"


def test_the_text_of_a_redirect_is_not_read() -> None:
    there = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 1000000000\r\n\r\n"
    with talking(
        (there, b"x" * 65536, 0.01), (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: text/html\r\n\r\nhere", b"", 0)
    ) as url:
        assert fetch.Web(2).page(url) == ("text/html", "here")


def test_many_links_are_made_harmless_in_one_go() -> None:
    begun = time.process_time()
    assert fetch.without_logins("://a" * 100_000) == "://a" * 100_000
    assert time.process_time() - begun < 5
    told = fetch.without_logins("see https://me:secret@x.example/a?token=1#part, (https://x.example/b?k=v) and a? no://more")
    assert told == "see https://x.example/a#part, (https://x.example/b and a? no://more"
