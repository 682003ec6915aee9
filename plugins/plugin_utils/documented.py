# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation of our modules says, as Ansible's argument specs: an action validates against what a user reads."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PLUGINS = Path(__file__).resolve().parents[1]
DOCUMENTATION, RETURN = "DOCUMENTATION", "RETURN"
KEPT = ("type", "required", "default", "choices", "elements", "aliases")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def text_of(module: str, block: str = DOCUMENTATION) -> dict[str, Any]:
    """The DOCUMENTATION (or RETURN) of a module of ours. Raises OSError, ValueError."""
    return _block(PLUGINS / "modules" / f"{module}.py", block)


def _block(path: Path, block: str) -> dict[str, Any]:
    source = path.read_text(encoding="utf-8")
    opening = f'{block} = r"""\n'
    begin = source.index(opening) + len(opening)
    documentation: dict[str, Any] = yaml.load(source[begin : source.index('"""', begin)], Loader=_LOADER)
    return documentation or {}


@functools.cache
def returned_of(module: str) -> dict[str, Any]:
    """What a module's documentation says that it returns."""
    return text_of(module, RETURN)


@functools.cache
def spec_of(module: str) -> dict[str, Any]:
    """The argument spec that a module's documentation and its fragments state."""
    documentation = text_of(module)
    fragments = [name.rpartition(".")[2] for name in documentation.get("extends_documentation_fragment") or ()]
    texts = [*(_block(PLUGINS / "doc_fragments" / f"{name}.py", DOCUMENTATION) for name in fragments), documentation]
    return _options({name: option for text in texts for name, option in (text.get("options") or {}).items()})


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    spec = {}
    for name, option in options.items():
        spec[name] = {key: option[key] for key in KEPT if key in option}
        if spec[name].get("type") == "path":
            spec[name]["type"] = "str"  # a path on the desk is not expanded with the controller's home
        if option.get("suboptions"):
            spec[name]["options"] = _options(option["suboptions"])
    return spec


def without_empty(given: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments without those that are null, or empty text where another type is wanted: a role's variable that nobody set."""
    kept = {}
    for name, value in given.items():
        kind = spec.get(name, {}).get("type", "str")
        if value is None or (value == "" and kind != "str"):
            continue
        if isinstance(value, Mapping) and spec.get(name, {}).get("options"):
            value = without_empty(value, spec[name]["options"])
        kept[name] = value
    return kept


def options(documented: Mapping[str, Any]) -> dict[str, Any]:
    """The argument spec of options as they are documented anywhere, such as in a role's argument_specs."""
    return _options(documented)
