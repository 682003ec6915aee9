"""A login user for tests."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Person:
    """The login user."""

    name: str
    uid: int
    gid: int
    home: Path

    def put(self, name: str, data: bytes, mode: int = 0o600) -> Path:
        """A file of the user's."""
        path = self.home / name
        for folder in [item for item in reversed(path.parents) if self.home in item.parents]:
            if not folder.exists():
                folder.mkdir()
                os.chown(folder, self.uid, self.gid)
        path.write_bytes(data)
        path.chmod(mode)
        os.chown(path, self.uid, self.gid)
        return path

    def link(self, name: str, target: str | Path) -> Path:
        """A symbolic link of the user's."""
        path = self.home / name
        if not path.parent.exists():
            path.parent.mkdir()
            os.chown(path.parent, self.uid, self.gid)
        path.symlink_to(target)
        os.lchown(path, self.uid, self.gid)
        return path
