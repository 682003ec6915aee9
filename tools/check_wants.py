"""Every wish stands once: roles' defaults, their argument_specs, the modules' documentation and the list of wants agree.

The list of wants (plugin_utils/run/wants.py) is the source for what a judge, a gate or several stages read; a module's documentation is
the source for what it alone reads.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
ROLES = ROOT / "roles"
VARIABLE = re.compile(r"\{\{\s*([a-z_0-9]+)\s*(?:\|\s*(?:default\(omit\)|int|bool)\s*)?\}\}")


def collection() -> None:
    """Let the collection be imported from this checkout."""
    from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

    folder = str(ROOT / ".collections")
    _AnsibleCollectionFinder(paths=[folder])._install()
    sys.path.insert(0, folder)


def options_of(role: str) -> dict[str, dict[str, Any]]:
    """The variables that a role's argument_specs name, of all its entry points."""
    specs = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    return {name: option for spec in specs.values() for name, option in (spec.get("options") or {}).items()}


def passed(role: str) -> dict[str, set[tuple[str, str]]]:
    """Variable of a role to the module options (module, option) that its tasks pass it to, as it is."""
    found: dict[str, set[tuple[str, str]]] = {}
    for path in sorted((ROLES / role / "tasks").glob("*.yml")):
        for task in yaml.safe_load(path.read_text(encoding="utf-8")) or []:
            for action, arguments in task.items():
                if str(action).startswith("labops.dgx_spark.") and isinstance(arguments, dict):
                    _collect(str(action).rpartition(".")[2], "", arguments, found)
    return found


def _collect(module: str, above: str, arguments: dict[str, Any], found: dict[str, set[tuple[str, str]]]) -> None:
    for option, value in arguments.items():
        if isinstance(value, dict):
            _collect(module, f"{above}{option}.", value, found)
        elif isinstance(value, str) and (match := VARIABLE.fullmatch(value)):
            found.setdefault(match[1], set()).add((module, f"{above}{option}"))


def problems() -> list[str]:
    """What does not agree, one sentence each."""
    plugins = "ansible_collections.labops.dgx_spark.plugins.plugin_utils"
    spec_of = importlib.import_module(f"{plugins}.documented").spec_of
    wanted = importlib.import_module(f"{plugins}.run.wants").WANTS
    told = []
    wants = {want.variable: want for want in wanted}
    for role in sorted(path.name for path in ROLES.iterdir() if path.is_dir()):
        options = options_of(role)
        targets = passed(role)
        for name, option in options.items():
            want = wants.get(name)
            if want is not None:
                said = (want.type, want.default, list(want.choices) or None)
                stated = (option.get("type"), option.get("default"), option.get("choices"))
                if want.role != role or said != stated:
                    told.append(f"{role}: {name} is {stated} in argument_specs and {said} of role {want.role} in wants.py")
            for module, option_name in sorted(targets.get(name, ())):
                told += _differs(role, name, option, module, option_name, spec_of(module))
        told += [
            f"{role}: {name} is in wants.py but not in argument_specs"
            for name, want in wants.items()
            if want.role == role and name not in options
        ]
        told += [f"{role}: {name} is passed to a module but not in argument_specs" for name in targets if name not in options]
    return told


def _differs(role: str, name: str, option: dict[str, Any], module: str, path: str, spec: dict[str, Any]) -> list[str]:
    for part in path.split("."):
        if part not in spec:
            return [f"{role}: {name} is passed to {module}.{path}, which {module} does not document"]
        documented = spec[part]
        spec = documented.get("options", {})
    kinds = (option.get("type"), documented.get("type", "str"))
    if kinds[0] != kinds[1] and set(kinds) != {"path", "str"}:
        return [f"{role}: {name} is {kinds[0]}, {module}.{path} is {kinds[1]}"]
    unset: tuple[Any, ...] = (None, "", [], {})
    if documented.get("default") not in unset and option.get("default") not in (documented["default"], *unset):
        return [f"{role}: {name} is {option.get('default')!r} by default, {module}.{path} {documented['default']!r}"]
    return []


def main() -> int:
    """Exit 1 with a line for each problem."""
    collection()
    found = problems()
    for problem in found:
        print(problem)
    print(f"wants and roles compared, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
