"""What the tree says of itself: playbooks, roles, modules, and the source of plugins, as data."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.documented import spec_of

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = ROOT / "plugins"
ROLES = ROOT / "roles"
PLAYBOOKS = ROOT / "playbooks"
OURS = "labops.dgx_spark."

MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
ACTIONS = sorted(path.stem for path in (PLUGINS / "action").glob("*.py"))
ROLE_NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())
OFFLINE = {"history", "new_lab", "report", "verify_certificate"}
"""Playbooks that work on the controller alone: they know no desk and begin no run."""
OTHER_NAMES = {"stack": "stack_pair", "unstack": "unstack_pair"}
"""Playbooks that are another one under a second name."""
PLAYBOOK_NAMES = sorted(path.stem for path in PLAYBOOKS.glob("*.yml"))


def load(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def tasks_in(node: Any) -> Iterator[dict[str, Any]]:
    """Every task below plays, blocks and lists, in the order in which they stand."""
    if isinstance(node, list):
        for item in node:
            yield from tasks_in(item)
    elif isinstance(node, dict):
        if "hosts" in node:
            for part in ("pre_tasks", "tasks", "post_tasks"):
                yield from tasks_in(node.get(part) or [])
        elif "block" in node:
            for part in ("block", "rescue", "always"):
                yield from tasks_in(node.get(part) or [])
        else:
            yield node


def tasks_of(path: Path) -> list[dict[str, Any]]:
    """Every task of a playbook or of a file of tasks, with those of a file that it imports in place of the import."""
    found = []
    for task in tasks_in(load(path)):
        imported = task.get("ansible.builtin.import_tasks")
        found += tasks_of(path.parent / imported) if imported else [task]
    return found


@dataclass(frozen=True)
class RoleUse:
    """A role that a playbook imports."""

    file: str
    role: str
    entry: str
    stage: str | None
    wave: Any
    place: int
    """Number of the task in its file."""


def role_uses(path: Path) -> list[RoleUse]:
    """The roles that a file of playbooks/ imports."""
    found = []
    for number, task in enumerate(tasks_of(path)):
        given = task.get("ansible.builtin.import_role") or task.get("ansible.builtin.include_role")
        if given:
            variables = task.get("vars") or {}
            entry = str(given.get("tasks_from") or "main").removesuffix(".yml")
            name = str(given["name"]).removeprefix(OURS)
            found.append(RoleUse(path.name, name, entry, variables.get("spark_stage"), variables.get("spark_wave"), number))
    return found


@functools.cache
def role_options(role: str) -> dict[str, dict[str, Any]]:
    """The variables of a role, of all its entry points."""
    specs = load(ROLES / role / "meta/argument_specs.yml")["argument_specs"]
    return {name: option for spec in specs.values() for name, option in (spec.get("options") or {}).items()}


@functools.cache
def role_variables() -> dict[str, dict[str, Any]]:
    """The variables of all roles."""
    return {name: option for role in ROLE_NAMES for name, option in role_options(role).items()}


@dataclass(frozen=True)
class Passed:
    """An option of a module that a task fills in."""

    file: str
    module: str
    option: str
    """With a dot before a suboption."""
    text: str
    spec: dict[str, Any]
    """What the module documents of it."""


def passed_options() -> list[Passed]:
    """What every task of roles and playbooks gives to modules of ours."""
    files = [*sorted(ROLES.glob("*/tasks/*.yml")), *sorted(PLAYBOOKS.glob("*.yml")), *sorted(PLAYBOOKS.glob("tasks/*.yml"))]
    found: list[Passed] = []
    for path in files:
        for task in tasks_in(load(path)):
            for action, arguments in task.items():
                if str(action).startswith(OURS) and isinstance(arguments, dict):
                    module = str(action).removeprefix(OURS)
                    _options(str(path.relative_to(ROOT)), module, "", arguments, spec_of(module), found)
    return found


def _options(file: str, module: str, above: str, given: dict[str, Any], spec: dict[str, Any], found: list[Passed]) -> None:
    for name, value in given.items():
        documented = spec.get(name, {})
        if isinstance(value, dict):
            _options(file, module, f"{above}{name}.", value, documented.get("options") or {}, found)
        else:
            found.append(Passed(file, module, f"{above}{name}", str(value), documented))


def option_paths(spec: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every option of a module, suboptions too, with its path."""
    for name, option in spec.items():
        yield (*above, name), option
        yield from option_paths(option.get("options") or {}, (*above, name))


SAMPLES = {"str": "text", "int": 1, "float": 1.0, "bool": True, "path": "/x", "raw": "x", "list": [], "dict": {}}


def sample(option: dict[str, Any]) -> Any:
    """A value that the option takes."""
    if option.get("choices"):
        return option["choices"][0]
    if option.get("options") and option.get("type") == "dict":
        return needed(option["options"])
    return SAMPLES[option.get("type", "str")]


def needed(spec: dict[str, Any]) -> dict[str, Any]:
    """Values for what must be given."""
    return {name: sample(option) for name, option in spec.items() if option.get("required")}


def arguments_with(spec: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Arguments that are right but for the option at ``path``, which has ``value``."""
    name, *rest = path
    if not rest:
        return {**needed(spec), name: value}
    inner: Any = arguments_with(spec[name]["options"], tuple(rest), value)
    return {**needed(spec), name: [inner] if spec[name].get("type") == "list" else inner}


def value_at(arguments: Any, path: tuple[str, ...]) -> Any:
    """The value of an option among checked arguments."""
    for name in path:
        arguments = (arguments[0] if isinstance(arguments, list) else arguments)[name]
    return arguments


@functools.cache
def syntax(path: Path) -> ast.Module:
    """A Python file's tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def sources(*folders: str) -> list[Path]:
    """The Python files below folders of plugins/."""
    return [path for folder in folders for path in sorted((PLUGINS / folder).rglob("*.py"))]


def words(text: str) -> list[str]:
    """Words with underscores, as variables are written."""
    return re.findall(r"(?<![\w./-])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w/-]|\.[a-z])", text)
