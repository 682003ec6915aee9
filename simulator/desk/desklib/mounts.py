"""Mounts made without the mount program: bind, overlay, detach.  Needs CAP_SYS_ADMIN."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC = 1, 32, 4096, 16384
MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", what)


def mount(source: str, target: Path, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2).  Raises OSError naming the target."""
    result = _libc.mount(source.encode(), str(target).encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    _call("mount", result, str(target))


def bind(source: Path, target: Path, recursive: bool = False) -> None:
    mount(str(source), target, "none", MS_BIND | (MS_REC if recursive else 0))


def overlay(lowers: list[Path], target: Path) -> None:
    """Read-only overlay, first folder on top."""
    # A PCI address in a path has colons, which part the folders here.
    mount("desk", target, "overlay", MS_RDONLY, "lowerdir=" + ":".join(str(p).replace(":", "\\:") for p in lowers))


def detach(target: Path) -> None:
    """Unmount lazily; a target that is not mounted is no error."""
    _libc.umount2(str(target).encode(), MNT_DETACH)
