"""The right column of the table in docs/architecture.md: what may import what. Asked of the source, so that no import can hide."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import PLUGINS, ROOT, sources, syntax

COLLECTION = ("ansible_collections", "labops", "dgx_spark")
ALLOWED = {
    "readers": {"readers"},
    "model": {"model"},
    "judges": {"judges", "model"},
    "gather": {"gather", "desk", "readers", "model"},
    "programs": {"programs", "desk"},
    "changes": {"changes", "desk", "readers", "model", "judges", "programs"},
    "benchmarks": {"benchmarks", "desk", "readers", "model", "judges", "programs"},
    "desk": set(),
}
"""Part of module_utils to the parts that it may import."""


def imports(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line and absolute dotted name of everything that a file imports, functions and conditions included."""
    home = (*COLLECTION, *path.relative_to(ROOT).with_suffix("").parts) if ROOT in path.parents else path.parts
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, tuple(name.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = home[: -node.level] if node.level else ()
            for name in node.names:
                yield node.lineno, (*base, *(node.module or "").split("."), name.name) if node.module else (*base, name.name)


def ours(name: tuple[str, ...]) -> tuple[str, ...] | None:
    """The path below plugins/ that an import leads to, null for one of somebody else."""
    start = (*COLLECTION, "plugins")
    return name[len(start) :] if name[: len(start)] == start else None


def parts_of(path: Path) -> str:
    return path.relative_to(PLUGINS / "module_utils").with_suffix("").parts[0]


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_a_part_of_module_utils_imports_only_what_it_may(part: str) -> None:
    files = [path for path in sources("module_utils") if parts_of(path) == part]
    assert files
    broken = []
    for path in files:
        for line, name in imports(path):
            target = ours(name)
            if target is not None and (target[0] != "module_utils" or target[1] not in ALLOWED[part]):
                broken.append(f"{path.relative_to(ROOT)}:{line} imports {'.'.join(target)}")
    assert broken == []


def test_what_runs_on_a_desk_imports_nothing_of_the_controller() -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {'.'.join(target)}"
        for path in sources("module_utils", "modules")
        for line, name in imports(path)
        if (target := ours(name)) is not None and target[0] != "module_utils"
    ]
    assert broken == []


def test_the_controller_half_below_the_actions_imports_no_action() -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {'.'.join(target)}"
        for path in sources("plugin_utils")
        for line, name in imports(path)
        if (target := ours(name)) is not None and target[0] not in ("module_utils", "plugin_utils")
    ]
    assert broken == []


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_nothing_of_ansible_below_the_modules(part: str) -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {'.'.join(name)}"
        for path in sources("module_utils")
        if parts_of(path) == part
        for line, name in imports(path)
        if name[0] == "ansible"
    ]
    assert broken == []


@pytest.mark.parametrize("part", ["readers", "model", "judges"])
def test_readers_model_and_judges_touch_no_machine(part: str) -> None:
    machine = {"os", "subprocess", "socket", "shutil", "pathlib", "tempfile", "urllib", "http", "io"}
    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {'.'.join(name)}"
        for path in sources(f"module_utils/{part}")
        for line, name in imports(path)
        if name[0] in machine
    ]
    opened = [
        f"{path.relative_to(ROOT)}:{node.lineno} opens a file"
        for path in sources(f"module_utils/{part}")
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "input", "exec", "eval")
    ]
    assert broken + opened == []


def test_the_simulator_and_the_product_know_nothing_of_each_other() -> None:
    simulator = sorted((ROOT / "simulator").rglob("*.py"))
    names = {path.name for path in (ROOT / "simulator").iterdir() if path.is_dir()} | {"sparklab", "simulator"}
    assert simulator
    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {'.'.join(name)}"
        for path in simulator
        for line, name in imports(path)
        if name[0] in ("ansible", "plugins")
        or (name[0] == "ansible_collections" and name[: len(COLLECTION) + 1] != (*COLLECTION, "simulator"))
    ]
    broken += [
        f"{path.relative_to(ROOT)}:{line} imports {'.'.join(name)}"
        for path in sorted(PLUGINS.rglob("*.py"))
        for line, name in imports(path)
        if name[0] in names or "simulator" in name
    ]
    assert broken == []


def test_a_hidden_import_would_be_seen(tmp_path: Path) -> None:
    source = PLUGINS / "module_utils" / "readers" / "uname.py"
    hidden = tmp_path / "x.py"
    hidden.write_text("def read():\n    if True:\n        import subprocess\n    from ..desk import Answer\n")
    assert [name[0] for _line, name in imports(hidden)] and any(name == ("subprocess",) for _line, name in imports(hidden))
    assert all(ours(name) is None or ours(name)[0] == "module_utils" for _line, name in imports(source))  # type: ignore[index]
