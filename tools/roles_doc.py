# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the README of every role from its argument_specs and tasks, or check that they are up to date.

python3 tools/roles_doc.py           write the files
python3 tools/roles_doc.py --check   exit 1 with one line for each that is stale

Galaxy shows a role's README on a page of its own, so its links are absolute.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import generated  # noqa: E402

ROLES = ROOT / "roles"
EXAMPLES = ROOT / "docs" / "examples"
COLLECTION = "labops.dgx_spark"
GUIDES = {
    "cable_check": "cables.md",
    "desk_enrol": "enrol.md",
    "desk_facts": "findings.md",
    "dgx_os": "findings.md",
    "driver_lock": "driver.md",
    "desk_reboot": "driver.md",
    "desk_update": "update.md",
    "nccl_bundle": "proof.md",
    "pair_link": "link.md",
    "pair_proof": "proof.md",
    "pair_settings": "proof.md",
    "pair_tools": "proof.md",
    "pair_trust": "security.md",
    "persistenced": "driver.md",
    "workload_check": "workload.md",
}
"""Role to the guide that explains what it is about; a role that is not here has no guide."""


def specs(role: Path) -> dict[str, dict[str, Any]]:
    """Entry points of a role, ``main`` first."""
    read: dict[str, dict[str, Any]] = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    return dict(sorted(read.items(), key=lambda item: item[0] != "main"))


def options(spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The variables of an entry point."""
    return spec.get("options") or {}


def results(role: Path, entry: str) -> Iterator[tuple[str, str]]:
    """What an entry point registers: variable and module."""
    for task in yaml.safe_load((role / f"tasks/{entry}.yml").read_text(encoding="utf-8")) or []:
        module = next((name for name in task if str(name).startswith(f"{COLLECTION}.")), None)
        if module and "register" in task:
            yield task["register"], module
        if "ansible.builtin.import_tasks" in task:
            yield from results(role, Path(task["ansible.builtin.import_tasks"]).stem)


def kind(option: Mapping[str, Any]) -> str:
    """The type as a reader says it, with the choices."""
    name = option.get("type", "str")
    if "elements" in option:
        name = f"list of {option['elements']}"
    choices = [choice for choice in option.get("choices", []) if choice != ""]
    return f"{name}: {', '.join(f'`{choice}`' for choice in choices)}" if choices else str(name)


def table(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The variables as a table."""
    yield "| variable | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, option in rows.items():
        default = "required" if option.get("required") else generated.value(option.get("default"))
        cells = (f"`{name}`", kind(option), default, generated.markdown(option["description"]))
        yield f"| {' | '.join(generated.cell(text) for text in cells)} |"


def whole(role: str) -> list[str]:
    """The tested playbook that uses the role alone, where there is one."""
    path = EXAMPLES / f"{role}.yml"
    if not path.exists():
        return []
    return ["", "## Example", "", "```yaml", path.read_text(encoding="utf-8").removeprefix("---\n").strip(), "```"]


def example(role: str, entry: str, spec: Mapping[str, Any]) -> str:
    """What the argument_specs give as examples, else the import."""
    if "examples" in spec:
        return str(spec["examples"]).strip()
    lines = [f"- name: {spec['short_description']}", "  ansible.builtin.import_role:", f"    name: {COLLECTION}.{role}"]
    return "\n".join(lines + ([f"    tasks_from: {entry}"] if entry != "main" else []))


def document(role: Path) -> str:
    """The README of a role."""
    entries = specs(role)
    about = yaml.safe_load((role / "meta/main.yml").read_text(encoding="utf-8"))["galaxy_info"]["description"]
    base = generated.repository()
    lines = [f"# {role.name}", "", f"<!-- Made by tools/roles_doc.py from roles/{role.name}/meta/argument_specs.yml. Change it there. -->"]
    lines += ["", f"{generated.markdown(about)}."]
    guides = [*([GUIDES[role.name]] if role.name in GUIDES else []), "roles.md"]
    lines += ["", f"Guides: {', '.join(f'[docs/{guide}]({base}/docs/{guide})' for guide in guides)}", *whole(role.name)]
    shown: dict[str, Any] = {}
    for entry, spec in entries.items():
        lines += ["", f"## {spec['short_description']}"]
        lines += ["", generated.markdown(spec["description"])]
        lines += ["", "```yaml", example(role.name, entry, spec), "```"]
        told = [f"`{variable}` (see `ansible-doc {module}`)" for variable, module in results(role, entry)]
        lines += ["", f"The result is registered as {' and '.join(told)}."] if told else []
        rows = options(spec)
        if rows and rows == shown:
            lines += ["", "Variables: the same as above."]
        elif rows:
            lines += ["", *table(rows)]
            shown = rows
    lines += ["", "## Licence", "", f"GPL-3.0-or-later. Part of [{COLLECTION}]({base}/README.md).", ""]
    return "\n".join(lines)


def documents() -> dict[Path, str]:
    """Path to text of every role's README."""
    return {role / "README.md": document(role) for role in sorted(ROLES.iterdir()) if role.is_dir()}


if __name__ == "__main__":
    sys.exit(generated.main("Make the README of every role from its argument_specs.", documents))
