# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack build/gpu-check.tar.gz: this checkout's collection and the Python packages that it needs, for a machine without network.

The packages are those of the virtual environment that runs this (ansible-core 2.19 for the oldest Python), without compiled parts: all of
them work without, on any processor and any Python from 3.11 to 3.13.
"""

from __future__ import annotations

import importlib.metadata
import io
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = ROOT / "build" / "gpu-check.tar.gz"
PACKAGES = ("ansible-core", "jinja2", "markupsafe", "packaging", "pyyaml", "resolvelib")
TREE = ("ansible.cfg", "galaxy.yml", "meta", "playbooks", "plugins", "roles", "tests/replay.py", "LICENSE")
LEFT_OUT = (".so", ".pyc", ".pyd")


def library() -> dict[str, Path]:
    """Place in the archive to file, of the packages."""
    found = {}
    for name in PACKAGES:
        for file in importlib.metadata.files(name) or ():
            path = Path(str(file.locate()))
            if ".." in file.parts or path.suffix in LEFT_OUT or "__pycache__" in file.parts or file.parts[0] == "ansible_test":
                continue
            found[f"lib/{file.as_posix()}"] = path
    return found


def tree() -> dict[str, Path]:
    """Place in the archive to file, of the collection as it is here: what git knows of."""
    listed = subprocess.run(["git", "ls-files", "-z", *TREE], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {f"collection/{name}": ROOT / name for name in listed.split("\0") if name}


def main() -> int:
    """Write the archive and say where it is."""
    TARGET.parent.mkdir(exist_ok=True)
    files = {**library(), **tree(), "check.py": HERE / "check.py", "run": HERE / "run"}
    with tarfile.open(TARGET, "w:gz") as archive:
        for place, path in sorted(files.items()):
            if path.is_symlink() or path.is_file():
                archive.add(path, f"gpu-check/{place}", recursive=False, filter=_plain)
        link = tarfile.TarInfo("gpu-check/collection/.collections/ansible_collections/labops/dgx_spark")
        link.type, link.linkname = tarfile.SYMTYPE, "../../.."
        archive.addfile(link)
        about = f"ansible-core {importlib.metadata.version('ansible-core')}\n".encode()
        info = tarfile.TarInfo("gpu-check/about")
        info.size = len(about)
        archive.addfile(info, io.BytesIO(about))
    print(f"wrote {TARGET} ({TARGET.stat().st_size >> 20} MiB): unpack it on a machine with an NVIDIA driver and start gpu-check/run")
    return 0


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info


if __name__ == "__main__":
    sys.exit(main())
