# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in a wheel: its listing, and its files with machine code one by one. An archive from outside is hostile: all has limits."""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO

from ...module_utils.model.workload import Binary
from .elf import Passing, binary_of_file
from .fetch import FetchError

MEMBER_LIMIT = 100_000
UNPACKED_LIMIT = 4 << 30
"""Bytes that one file may have unpacked."""
RATIO_LIMIT = 200
"""Unpacked bytes for a packed one; real libraries with much zero padding have reached 40."""
METADATA_LIMIT = 1 << 20
LISTING_LIMIT = 32 << 20
NATIVE = re.compile(r"\.so(?:\.[0-9][0-9.]{0,20})?$|\.(?:fatbin|ptx)$|\.dylib$|\.dll$|\.pyd$", re.IGNORECASE)
CUBIN = re.compile(r"\.cubin(?:\.[a-z]{1,4})?$", re.IGNORECASE)
FOREIGN = re.compile(r"\.(?:dylib|dll|pyd)$", re.IGNORECASE)
CUBIN_TARGET = re.compile(r"sm_?([0-9]{2,3})([af]?)(?![0-9])", re.IGNORECASE)


@dataclass(frozen=True)
class Contents:
    """What was seen of an archive."""

    members: int
    native: tuple[str, ...]
    binaries: tuple[Binary, ...]
    cubin_names: tuple[str, ...]
    loose: int
    """Files with device code alone (cubin, fatbin, PTX)."""
    not_read: str | None
    requires: tuple[str, ...] = ()
    """Requirements as its metadata lists them, markers included."""


class ArchiveError(Exception):
    """The file is no archive that can be read; the message is one sentence."""


class _Listed(Passing):
    """An archive whose listing, which the library reads in one piece and unpacks into objects before anybody counts them, has a limit."""

    def read(self, count: int = -1) -> bytes:
        """As files do. Raises ArchiveError."""
        if count > LISTING_LIMIT:
            raise ArchiveError(f"its listing is larger than {LISTING_LIMIT >> 20} MB")
        return self._stream.read(LISTING_LIMIT if count < 0 else count) or b""


def contents(stream: IO[bytes] | io.RawIOBase, limit: int, partly: bool = True) -> Contents:
    """The contents of a wheel. ``limit``: packed bytes of native files that are read.

    Where they have more, the smallest are read up to a quarter of it (one that does not fit may settle the matter), or none without
    ``partly``. Raises ArchiveError and FetchError.
    """
    try:
        with zipfile.ZipFile(_Listed(stream)) as archive:
            return _contents(archive, limit, partly)
    except FetchError:
        raise
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        NotImplementedError,
        ValueError,
        OSError,
        EOFError,
        zlib.error,
        RuntimeError,
    ) as error:
        words = re.sub(r"[^\x20-\x7e]", "?", str(error))[:120]
        raise ArchiveError(f"it is not a readable wheel, or it is truncated ({words or type(error).__name__})") from None


def _contents(archive: zipfile.ZipFile, limit: int, partly: bool) -> Contents:
    infos = archive.infolist()
    if len(infos) > MEMBER_LIMIT:
        raise ArchiveError(f"it holds more than {MEMBER_LIMIT} files")
    files = [info for info in infos if not info.is_dir()]
    own = [info for info in files if not re.match(r"[^/]{1,200}\.dist-info/", info.filename)]
    native = [info for info in own if _is_native(info)]
    cubins = [info.filename for info in own if CUBIN.search(info.filename)]
    targets = dict.fromkeys(
        f"sm_{found[0]}{found[1].lower()}" for name in cubins for found in CUBIN_TARGET.findall(name.rpartition("/")[2])
    )
    loose = len(cubins) + sum(info.filename.endswith((".ptx", ".fatbin")) for info in own)
    readable = [info for info in native if not FOREIGN.search(info.filename)]
    for info in readable:
        problem = _bomb(info)
        if problem:
            raise ArchiveError(problem)
    total = sum(info.compress_size for info in readable)
    not_read = None
    if total > limit:
        not_read = f"its files with machine code ({max(1, total >> 20)} MB packed) exceed the read limit of {limit >> 20} MB"
        if not limit:
            not_read = "its libraries were listed but not read"
    room = limit if total <= limit else limit // 4 if partly else 0
    binaries = []
    for info in sorted(readable, key=lambda item: (item.compress_size, item.filename)):
        room -= info.compress_size
        if room < 0:
            break
        binary = _binary(archive, info)
        if binary is not None:
            binaries.append(binary)
    return Contents(
        len(own), tuple(info.filename for info in native), tuple(binaries), tuple(targets), loose, not_read, _requires(archive, files)
    )


def _requires(archive: zipfile.ZipFile, files: list[zipfile.ZipInfo]) -> tuple[str, ...]:
    info = next((item for item in files if re.fullmatch(r"[^/]{1,200}\.dist-info/METADATA", item.filename)), None)
    if info is None or info.file_size > METADATA_LIMIT:
        return ()
    with archive.open(info) as member:
        text = member.read(METADATA_LIMIT).decode("utf-8", "replace")
    head = text.partition("\n\n")[0]
    return tuple(found[:1000] for found in re.findall(r"^Requires-Dist: (.+)$", head, re.MULTILINE)[:500])


def _is_native(info: zipfile.ZipInfo) -> bool:
    """By name, or a program: executable and without an ending."""
    if NATIVE.search(info.filename):
        return True
    base = info.filename.rpartition("/")[2]
    executable = (info.external_attr >> 16) & 0o111 != 0
    return executable and "." not in base and info.file_size > 4096 and ("/bin/" in info.filename or ".data/scripts/" in info.filename)


def _bomb(info: zipfile.ZipInfo) -> str | None:
    name = re.sub(r"[^\x20-\x7e]", "?", info.filename)[-100:]
    if info.file_size > UNPACKED_LIMIT:
        return f"{name} in it claims {info.file_size >> 30} GB unpacked"
    if info.file_size > (64 << 20) and info.file_size > RATIO_LIMIT * max(1, info.compress_size):
        return f"{name} in it unpacks to more than {RATIO_LIMIT} times its size, as a zip bomb does"
    if info.flag_bits & 0x1:
        return f"{name} in it is encrypted"
    return None


def _binary(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Binary | None:
    """One file, unpacked into a temporary one that is gone at once."""
    with tempfile.TemporaryFile(prefix="dgx-spark-") as file, archive.open(info) as member:
        size = 0
        while chunk := member.read(1 << 20):
            size += len(chunk)
            if size > info.file_size:
                raise ArchiveError(f"{info.filename[-100:]} in it is larger than the archive says")
            file.write(chunk)
        return binary_of_file(file, info.filename[-1000:], size)
