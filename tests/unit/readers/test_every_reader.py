# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader is called ``read``, as the fuzz test and tests/replay.py look for it, and something reads with it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from house import PLUGINS, sources, syntax

READERS = PLUGINS / "module_utils" / "readers"
FILES = {path.stem: path for path in sorted(READERS.glob("*.py")) if path.stem != "__init__"}
OTHERS = {
    "elf_parts": "bytes of a file",
    "fatbin": "bytes of a file",
    "image_reference": "a word of the admin's",
    "oci": "several documents of a registry",
    "pasted": "helpers for pasted text",
    "pip_report": "pip's report and its complaint",
    "requirement_lines": "files that name files",
    "simple_index": "two formats of an index",
    "text": "helpers of the readers",
}
"""File that is no reader of one text, and what it is; tests/unit/workload/test_readers.py gives those of a workload any input."""


def imported() -> set[str]:
    """Names of files below readers/ that something in plugins/ imports."""
    found = set()
    for path in sources("module_utils", "plugin_utils", "modules", "action"):
        for node in ast.walk(syntax(path)):
            if not isinstance(node, ast.ImportFrom):
                continue
            module = node.module or ""
            found |= {module.rpartition(".")[2]} if "readers." in module else set()
            if module.endswith("readers") or path.parent == READERS:
                found |= {name.name for name in node.names} | {module}
    return found


USED = imported()


@pytest.mark.parametrize("name", FILES)
def test_a_reader_is_called_read(name: str) -> None:
    functions = {node.name for node in syntax(FILES[name]).body if isinstance(node, ast.FunctionDef)}
    assert ("read" in functions) is (name not in OTHERS), f"{name}.py: name its public function read, so that the fuzz test finds it"


@pytest.mark.parametrize("name", FILES)
def test_a_reader_is_used(name: str) -> None:
    assert name in USED, f"nothing in plugins/ imports readers/{name}.py: call it in gather/, or remove it"


def test_the_others_are_there() -> None:
    assert set(OTHERS) <= set(FILES) and Path(READERS / "text.py").is_file()
