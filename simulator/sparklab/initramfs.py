"""The first file system of a desk's virtual machine: a few kernel modules and one script, as the kernel unpacks it. Pure."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath


def closure(dependencies: str, wanted: Iterable[str]) -> list[str]:
    """The files of modules and of all they need, in the order in which they can be loaded.

    :param dependencies: modules.dep as depmod writes it.
    :param wanted: names of modules; one that the kernel has built in, or has not, is passed over.
    """
    needs = {}
    for line in dependencies.splitlines():
        name, _, rest = line.partition(":")
        needs[name] = rest.split()
    by_name = {module_name(path): path for path in needs}
    found: list[str] = []
    for name in wanted:
        path = by_name.get(name.replace("-", "_"))
        if path is not None:
            # modules.dep names what has to be loaded last first.
            found += [one for one in (*reversed(needs[path]), path) if one not in found]
    return found


def module_name(path: str) -> str:
    """The name of a module from its file's."""
    return PurePosixPath(path).name.split(".ko")[0].replace("-", "_")


def archive(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A cpio archive (newc) of files with their modes; folders come by themselves. A mode of a device or folder has its type."""
    names = {str(parent) for name in files for parent in PurePosixPath(name).parents if str(parent) != "."}
    entries = dict.fromkeys(names, (b"", stat.S_IFDIR | 493))
    for name, (data, mode) in files.items():
        entries[name] = (data, mode if stat.S_IFMT(mode) else stat.S_IFREG | mode)
    out = bytearray()
    for number, name in enumerate(sorted(entries), 1):
        data, mode = entries[name]
        out += _entry(number, name, data, mode)
    out += _entry(0, "TRAILER!!!", b"", 0)
    return bytes(out)


def _entry(number: int, name: str, data: bytes, mode: int) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + "".join(f"{field:08x}" for field in fields).encode() + encoded
    head += bytes(-len(head) % 4)
    return head + data + bytes(-len(data) % 4)
