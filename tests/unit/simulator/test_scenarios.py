"""The molecule scenarios against the tree. They run seldom; what they name must exist on every change."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import CODES
from house import MODULES, ROLE_NAMES, ROOT, role_variables, syntax
from sparklab.lab import known_faults

SCENARIOS = ROOT / "molecule"
TESTS = sorted(SCENARIOS.rglob("*.py"))
CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
ENVIRONMENT = re.compile(r"(ANSIBLE|MOLECULE|SPARK_LAB)_.*")


def named(path: Path) -> str:
    return str(path.relative_to(SCENARIOS))


each_test = pytest.mark.parametrize("path", TESTS, ids=named)


@each_test
def test_what_they_import_of_the_collection_is_there(path: Path) -> None:
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ansible_collections.labops"):
            module = importlib.import_module(str(node.module))
            missing = [item.name for item in node.names if not hasattr(module, item.name)]
            assert missing == [], f"line {node.lineno}: {node.module} has no {missing}"


@each_test
def test_the_codes_that_they_wait_for_are_in_the_catalogue(path: Path) -> None:
    unknown = {text for text in texts(path) if CODE.fullmatch(text) and not ENVIRONMENT.fullmatch(text)} - set(CODES)
    assert unknown == set()


@each_test
def test_the_faults_that_they_set_are_the_labs(path: Path) -> None:
    assert set(faults(path)) <= set(known_faults())


def test_modules_and_roles_are_there() -> None:
    known = {f"labops.dgx_spark.{name}" for name in (*ROLE_NAMES, *MODULES)}
    for path in sorted(SCENARIOS.rglob("*.yml")):
        unknown = set(re.findall(r"labops\.dgx_spark\.\w+", path.read_text(encoding="utf-8"))) - known
        assert unknown == set(), named(path)


@each_test
def test_variables_of_roles_are_theirs(path: Path) -> None:
    known = set(role_variables())
    prefixes = tuple(f"{role}_" for role in ROLE_NAMES)
    words = {keyword.arg for node in ast.walk(syntax(path)) if isinstance(node, ast.Call) for keyword in node.keywords if keyword.arg}
    words |= {match for text in texts(path) for match in re.findall(r"\b\w+(?==)|(?<=\")\w+(?=\":)", text)} | set(texts(path))
    assert {word for word in words if re.fullmatch(r"[a-z0-9_]+", word) and word.startswith(prefixes)} <= known


def texts(path: Path) -> Iterator[str]:
    return (node.value for node in ast.walk(syntax(path)) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def faults(path: Path) -> Iterator[str]:
    """Names of faults in calls ``lab("fault", "set", DESK, NAME)``, ``fault(DESK, NAME)`` and in tables for a test's ``name``."""
    for node in ast.walk(syntax(path)):
        if not isinstance(node, ast.Call):
            continue
        values = [item.value if isinstance(item, ast.Constant) else None for item in node.args]
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if called == "lab" and values[:1] == ["fault"]:
            yield from (str(value) for value in values[3:4] if value)
        elif called == "fault":
            yield from (str(value) for value in values[1:2] if value)
        elif called == "parametrize" and ast.unparse(node.args[0]) == "('name', 'expected')":
            yield from (row.elts[0].value for row in node.args[1].elts)  # type: ignore[attr-defined]
