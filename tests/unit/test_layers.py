"""Who may import whom below ``plugins/module_utils`` (docs/architecture.md), read from the source itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "plugins" / "module_utils"

MAY: dict[str, set[str]] = {
    "readers": {"readers"},
    "model": {"model"},
    "judges": {"judges", "model"},
    "gather": {"gather", "desk", "readers", "model"},
    "benchmarks": {"benchmarks", "programs", "desk", "readers", "model", "judges"},
    "programs": {"programs", "desk"},
    "changes": {"changes", "programs", "desk", "readers", "model", "judges"},
}


def imported(path: Path) -> set[str]:
    """The folders and modules directly below module_utils that a file imports, and ``ansible`` for anything of Ansible."""
    package = ["module_utils", *path.relative_to(ROOT).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {"ansible" for item in node.names if item.name.partition(".")[0] in ("ansible", "ansible_collections")}
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            found |= {base[1]} if len(base) > 1 else {item.name for item in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("ansible", "ansible_collections"):
            found.add("ansible")
    return found


@pytest.mark.parametrize("folder", sorted(MAY))
def test_data_flows_one_way(folder: str) -> None:
    files = sorted((ROOT / folder).glob("*.py"))
    assert files
    broken = {(f"{folder}/{path.name}", name) for path in files for name in imported(path) - MAY[folder]}
    assert broken == set()


def test_a_breach_would_be_seen() -> None:
    assert "readers" in imported(ROOT / "benchmarks" / "nccl.py") and "judges" in imported(ROOT / "benchmarks" / "nccl.py")
