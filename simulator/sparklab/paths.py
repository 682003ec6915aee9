"""Where the simulator keeps things on the machine that runs it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sparklab.errors import LabError

SIMULATOR = Path(__file__).resolve().parent.parent
STATE_ROOT = Path(os.environ.get("SPARK_LAB_STATE", "/var/lib/spark-lab"))
CACHE_ROOT = Path(os.environ.get("SPARK_LAB_CACHE", "/var/cache/spark-lab"))

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,15}\Z")


def check_lab_name(name: str) -> str:
    """Return the name, or refuse one that could not be part of a path and a namespace name."""
    if not _NAME.match(name):
        raise LabError(f"lab name {name!r} is not usable: use 1 to 16 of a-z, 0-9 and '-', starting with a letter or digit.")
    return name


def lab_dir(name: str) -> Path:
    """Folder of a lab's state; it exists while the lab, or a part of it, exists."""
    return STATE_ROOT / check_lab_name(name)
