"""What stands in YAML beside the plugins: the action group, and numbers that come as text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from house import MODULES, PLAYBOOKS, PLUGINS, ROLES, ROOT, load, role_variables, syntax, tasks_in
from jinja2 import Environment, nodes

# ---- the action group --------------------------------------------------------------------------------------------------

DOORS = {"execute", "_execute_module", "_low_level_execute_command", "_transfer_file"}
"""Calls with which an action reaches its desk."""


def connects(module: str) -> bool:
    """Whether a task of this module reaches the desk: it has no action, or its action, or what that builds on, opens a door."""
    path = PLUGINS / "action" / f"{module}.py"
    if not path.is_file():
        return True
    return _opens(path)


def _opens(path: Path) -> bool:
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in DOORS:
            return True
        if isinstance(node, ast.ImportFrom):
            told = node.module or ""
            if "ssh_door" in told:
                return True
            if told.endswith("pair_measurement"):
                return _opens(PLUGINS / "plugin_utils" / "pair_measurement.py")
    return False


def test_the_action_group_holds_every_module_that_connects_to_a_desk() -> None:
    groups = load(ROOT / "meta/runtime.yml")["action_groups"]
    wrong = set(groups["spark"]) ^ {module for module in MODULES if connects(module)}
    assert wrong == set(), f"in only one of action_groups (meta/runtime.yml) and the modules that connect to a desk: {sorted(wrong)}"


def test_what_connects_is_seen() -> None:
    assert connects("spark_facts") and connects("rdma_pair") and connects("enrol_desk") and connects("pair_files")
    assert not connects("spark_run") and not connects("dgx_os") and not connects("lock_file")


# ---- numbers -----------------------------------------------------------------------------------------------------------

FILES = sorted([*ROLES.glob("*/tasks/*.yml"), *PLAYBOOKS.glob("*.yml"), *PLAYBOOKS.glob("tasks/*.yml")])
REACH = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Neg)
NUMBERS = {"int", "float", "length", "count", "round", "abs"}
ENVIRONMENT = Environment(autoescape=True)


def strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for key, value in data.items():
            if key in ("when", "until", "that", "failed_when", "changed_when"):
                yield from (f"{{{{ {text} }}}}" for text in strings(value))
            else:
                yield from strings(value)
    elif isinstance(data, list):
        for item in data:
            yield from strings(item)


def loose(text: str) -> list[str]:
    """Variables that a template calculates with as they came: with ``-e x=60`` they are text."""
    if "{{" not in text:
        return []
    tree = ENVIRONMENT.parse(re.sub(r"lookup\([^)]*\)", "1", text))
    found: list[str] = []
    for node in tree.find_all((*REACH, nodes.Compare, nodes.Call)):
        if isinstance(node, nodes.Compare):
            ordered = any(operand.op in ("lt", "gt", "lteq", "gteq") for operand in node.ops)
            operands = [node.expr, *(operand.expr for operand in node.ops)] if ordered else []
        elif isinstance(node, nodes.Call):
            operands = list(node.args) if isinstance(node.node, nodes.Name) and node.node.name == "range" else []
        else:
            operands = [item for item in node.iter_child_nodes() if isinstance(item, nodes.Expr)]
        found += [text for item in operands if not _number(item)]
    return found


def _number(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Const | nodes.List):
        return True
    if isinstance(node, nodes.Filter):
        return node.name in NUMBERS
    return isinstance(node, REACH)  # which is looked at by itself


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_calculation_takes_numbers_that_come_as_text(path: Path) -> None:
    assert [text for data in strings(load(path)) for text in loose(data)] == []


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("{{ a | int + 1 }}", True),
        ("{{ (a | int) * 2 + 240 }}", True),
        ("{{ range(1, a | default(3) | int + 1) | list }}", True),
        ("{{ a }}", True),
        ("{{ a + 1 }}", False),
        ("{{ 60 + a.b * 2 }}", False),
        ("{{ (a + 1) | int }}", False),
        ("{{ range(a) | list }}", False),
        ("{{ a > 3 }}", False),
        ("{{ -a }}", False),
    ],
)
def test_a_loose_number_is_seen(text: str, fine: bool) -> None:
    assert (loose(text) == []) is fine


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_time_limit_is_a_number(path: Path) -> None:
    for task in tasks_in(load(path)):
        limit = task.get("timeout")
        assert limit is None or isinstance(limit, int) or "| int" in limit, limit


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_condition_on_an_admins_variable_takes_text_for_what_it_says(path: Path) -> None:
    yes_or_no = {name for name, option in role_variables().items() if option.get("type") == "bool"} | {"isolate_confirm"}
    for task in tasks_in(load(path)):
        conditions = task.get("when") or []
        for condition in [conditions] if isinstance(conditions, str) else conditions:
            for name in yes_or_no & set(re.findall(r"[a-z_0-9]+", str(condition))):
                assert re.search(rf"{name}(?: \| default\([a-z]+\))? \| bool", str(condition)), condition
