# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/reference.md, the index of roles, modules, other plugins and variables, or check that it is up to date.

python3 tools/reference_doc.py           write the file
python3 tools/reference_doc.py --check   exit 1 with one line when it is stale
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import generated, roles_doc  # noqa: E402
from tools.check_wants import collection  # noqa: E402

TARGET = ROOT / "docs" / "reference.md"
OTHERS = ("inventory", "lookup", "filter", "test", "callback")
"""Kinds of plugins beside modules; an action belongs to the module of its name."""

HEAD = """# Reference

<!-- Made by tools/reference_doc.py from the roles' argument_specs, the modules' documentation and plugins/plugin_utils/run/wants.py. -->

What the collection contains, with one line each. `ansible-doc labops.dgx_spark.NAME` prints the full documentation of a module or
plugin, `ansible-doc -t role labops.dgx_spark.NAME` that of a role.
"""


def documentation(path: Path) -> dict[str, Any]:
    """DOCUMENTATION of a module or plugin."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "DOCUMENTATION":
            read: dict[str, Any] = yaml.safe_load(ast.literal_eval(node.value))
            return read
    raise SystemExit(f"{path.relative_to(ROOT)} has no DOCUMENTATION")


def roles() -> Iterator[str]:
    """The table of roles."""
    yield from ("## Roles", "", "| role | entry point | what it does |", "|---|---|---|")
    for role in sorted(path for path in roles_doc.ROLES.iterdir() if path.is_dir()):
        for number, (entry, spec) in enumerate(roles_doc.specs(role).items()):
            name = "" if number else f"[{role.name}](../roles/{role.name}/README.md)"
            yield f"| {name} | `{entry}` | {generated.cell(generated.markdown(spec['short_description']))} |"


def plugins() -> Iterator[str]:
    """The tables of modules and other plugins."""
    internal = []
    yield from ("", "## Modules", "", "| module | what it does |", "|---|---|")
    for path in sorted((ROOT / "plugins/modules").glob("*.py")):
        read = documentation(path)
        row = f"| `{path.stem}` | {generated.cell(generated.markdown(read['short_description']))} |"
        if generated.markdown(read["description"]).startswith("Internal"):
            internal.append(row)
        else:
            yield row
    yield from (
        "",
        "Internal, called by the collection's own roles and playbooks:",
        "",
        "| module | what it does |",
        "|---|---|",
        *internal,
    )
    yield from ("", "## Other plugins", "", "| plugin | kind | what it does |", "|---|---|---|")
    for kind in OTHERS:
        for path in sorted((ROOT / "plugins" / kind).glob("*.py")):
            yield f"| `{path.stem}` | {kind} | {generated.cell(generated.markdown(documentation(path)['short_description']))} |"


def variables() -> Iterator[str]:
    """The tables of variables: those of the run, then those of the roles."""
    collection()
    wants = importlib.import_module(f"{generated.PACKAGE}.plugins.plugin_utils.run.wants").WANTS
    yield from ("", "## Variables", "", "Set them in the inventory or with `-e`. A wrong value is refused before the first desk is asked.")
    yield from ("", "### Inventory and every run", "")
    rows = {}
    for want in sorted((want for want in wants if not want.role), key=lambda want: want.variable):
        option: dict[str, Any] = {"type": want.type, "default": want.default, "description": want.description}
        option |= {"choices": list(want.choices)} if want.choices else {}
        rows[want.variable] = option | ({"elements": want.elements} if want.elements else {})
    yield from roles_doc.table(rows)
    for role in sorted(path for path in roles_doc.ROLES.iterdir() if path.is_dir()):
        found: dict[str, dict[str, Any]] = {}
        for spec in roles_doc.specs(role).values():
            found = roles_doc.options(spec) | found
        if found:
            yield from ("", f"### {role.name}", "")
            yield from roles_doc.table(found)


def document() -> str:
    """The whole page."""
    return "\n".join([HEAD, *roles(), *plugins(), *variables()]) + "\n"


if __name__ == "__main__":
    sys.exit(generated.main("Make docs/reference.md.", lambda: {TARGET: document()}))
