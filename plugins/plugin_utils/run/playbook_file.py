# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which stages a playbook has, read from the playbook itself: a table of them would have to be kept in step with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError

FOLLOWED = ("import_tasks", "include_tasks", "import_playbook")
MOST_FILES = 64


def stages_in(path: str, load: Callable[[str], Any]) -> frozenset[str]:
    """Every ``spark_stage`` that a task of the playbook or of a file which it brings in sets; empty where a part of it cannot be read
    before the run, as with a file or a stage that is named by an expression."""
    found: set[str] = set()
    waiting, seen = [Path(path)], set()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        try:
            told = _told(load(str(file)))
        except (AnsibleError, OSError, ValueError):
            return frozenset()
        for key, value in told:
            if "{{" in value or len(seen) > MOST_FILES:
                return frozenset()
            if key == "spark_stage":
                found.add(value)
            else:
                waiting.append(file.parent / value)
    return frozenset(found)


def _told(node: Any) -> list[tuple[str, str]]:
    """Stages and files, wherever they stand in the tasks."""
    found: list[tuple[str, str]] = []
    for key, value in node.items() if isinstance(node, dict) else ():
        plain = str(key).rpartition(".")[2]
        if plain in FOLLOWED:
            value = value.get("file") if isinstance(value, dict) else value
            found += [(plain, str(value))]
        elif key == "spark_stage":
            found.append(("spark_stage", str(value)))
        else:
            found += _told(value)
    for item in node if isinstance(node, list) else ():
        found += _told(item)
    return found
