"""Archives of cases that stand beside the project's own checkout."""

from __future__ import annotations

import tarfile
from pathlib import Path


def unpack(archive: Path, folder: Path) -> Path:
    """The archive's files below a folder. Python before 3.11.4 knows no filters; the archive is the project's own."""
    with tarfile.open(archive) as opened:
        if hasattr(tarfile, "data_filter"):
            opened.extractall(folder, filter="tar")
        else:
            opened.extractall(folder)
    return folder
