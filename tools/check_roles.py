"""Every role's defaults and argument_specs name the same variables with the same default values."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[1] / "roles"


def problems_of(role: Path) -> list[str]:
    """What is wrong with one role, a sentence each."""
    defaults_file, specs_file = role / "defaults/main.yml", role / "meta/argument_specs.yml"
    if not specs_file.exists():
        return [f"{role.name}: meta/argument_specs.yml is missing"]
    if not (role / "meta/main.yml").exists():
        return [f"{role.name}: meta/main.yml is missing; its galaxy_info.description is the first line of the role's README"]
    defaults: dict[str, Any] = (yaml.safe_load(defaults_file.read_text(encoding="utf-8")) or {}) if defaults_file.exists() else {}
    specs = yaml.safe_load(specs_file.read_text(encoding="utf-8"))["argument_specs"]
    options: dict[str, Any] = {}
    found = []
    for entry, spec in specs.items():
        for name, option in (spec.get("options") or {}).items():
            if name in options and options[name].get("default") != option.get("default"):
                found.append(f"{role.name}: {name} has two defaults in argument_specs ({entry})")
            options[name] = option
    for name in sorted(defaults.keys() - options.keys()):
        found.append(f"{role.name}: {name} is in defaults but not in argument_specs")
    for name, option in sorted(options.items()):
        if not name.startswith(role.name + "_"):
            found.append(f"{role.name}: {name} does not start with the role's name")
        if option.get("required"):
            if name in defaults:
                found.append(f"{role.name}: {name} is required and has a default")
        elif "default" not in option:
            if defaults.get(name) is not None:
                found.append(f"{role.name}: {name} has a default in defaults/main.yml that argument_specs does not state")
        elif name not in defaults:
            found.append(f"{role.name}: {name} has a default in argument_specs but is not in defaults/main.yml")
        elif "{{" not in str(defaults[name]) and defaults[name] != option["default"]:
            found.append(f"{role.name}: {name} is {defaults[name]!r} in defaults and {option['default']!r} in argument_specs")
    tasks = role / "tasks"
    entry_points = {path.stem for path in tasks.glob("*.yml")} if tasks.is_dir() else set()
    found += [
        f"{role.name}: argument_specs describes {entry}, tasks/{entry}.yml does not exist" for entry in specs if entry not in entry_points
    ]
    return found


def main() -> int:
    """Exit 1 with a line for each problem."""
    roles = sorted(path for path in ROLES.iterdir() if path.is_dir())
    found = [problem for role in roles for problem in problems_of(role)]
    for problem in found:
        print(problem)
    print(f"{len(roles)} roles checked, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
