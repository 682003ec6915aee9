# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write RETURN of spark_facts from the dataclasses of the model, or check that it is up to date.

The model is the one source: its types are what the controller lets through, its docstrings are what a user reads.

python3 tools/facts_doc.py           write the part of plugins/modules/spark_facts.py
python3 tools/facts_doc.py --check   exit 1 with one line when it is stale
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import generated  # noqa: E402

TARGET = ROOT / "plugins" / "modules" / "spark_facts.py"
BEGIN = "    spark:\n"
END = '"""\n\nimport time\n'
WIDTH = 140
LARGE = 10
"""Fields from which on a class is described once and referred to afterwards."""
SCALARS = {str: "str", int: "int", float: "float", bool: "bool"}


@functools.cache
def descriptions(cls: type) -> dict[str, str]:
    """Field to the text below it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            value = text.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[field.target.id] = re.sub(r"``([^`]+)``", r"C(\1)", " ".join(value.value.split()))
    return found


def lines(cls: type, indent: int, path: str, seen: dict[type, str]) -> Iterator[str]:
    """The entries of a class."""
    hints = typing.get_type_hints(cls)
    told = descriptions(cls)
    for field in dataclasses.fields(cls):
        if field.name not in told:
            raise SystemExit(f"{cls.__name__}.{field.name} has no docstring; write one below it")
        yield from entry(field.name, told[field.name], hints[field.name], indent, f"{path}.{field.name}", seen)


def entry(name: str, text: str, hint: Any, indent: int, path: str, seen: dict[type, str]) -> Iterator[str]:
    """One value: description, type and what it contains."""
    kind, inner = typed(hint)
    refers = inner is not None and inner in seen and len(dataclasses.fields(inner)) > LARGE
    if refers and inner is not None:
        text = f"{text.rstrip('.')}; same keys as in RV({seen[inner]})."
    pad = " " * indent
    yield f"{pad}{name}:"
    yield from description(text, indent + 2)
    yield f"{pad}  type: {kind}"
    if kind == "list":
        yield f"{pad}  elements: {'dict' if inner is not None else element(hint)}"
    if inner is not None and not refers:
        seen.setdefault(inner, path)
        here = f"{path}[]" if kind == "list" else path
        yield f"{pad}  contains:"
        yield from lines(inner, indent + 4, here, seen)


def typed(hint: Any) -> tuple[str, Any]:
    """The type as Ansible's documentation names it, and the dataclass that it holds."""
    hint = bare(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        inner: Any = bare(arguments[0])
        return "list", inner if dataclasses.is_dataclass(inner) else None
    if origin is dict:
        return "dict", None
    if dataclasses.is_dataclass(hint):
        return "dict", hint
    return SCALARS[hint], None


def element(hint: Any) -> str:
    """The type of the elements of a list of scalars."""
    return SCALARS[bare(typing.get_args(bare(hint))[0])]


def bare(hint: Any) -> Any:
    """The type without null."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(item for item in typing.get_args(hint) if item is not types.NoneType)
    return hint


def description(text: str, indent: int) -> Iterator[str]:
    """The description as YAML, folded where it does not fit a line."""
    pad = " " * indent
    plain = re.fullmatch(r"[A-Za-z0-9/][^:#]*|[A-Za-z0-9/](?:[^:#]|:(?=\S)|(?<=\S)#)*", text) is not None
    one = f"{pad}description: {text if plain else quoted(text)}"
    if len(one) <= WIDTH:
        yield one
        return
    yield f"{pad}description: >-"
    for line in textwrap.wrap(text, WIDTH - indent - 2, break_long_words=False, break_on_hyphens=False):
        yield f"{pad}  {line}"


def quoted(text: str) -> str:
    """A YAML text in single quotes."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def renewed(source: str) -> str:
    """The module's source with the part made anew."""
    begin = source.index(BEGIN)
    end = source.index(END, begin)
    made = [BEGIN.rstrip("\n"), "      description: All facts of the desk.", "      type: dict", "      contains:"]
    desk = generated.plain("plugins.module_utils.model.desk").Desk
    made += lines(desk, 10, "ansible_facts.spark", {})
    return source[:begin] + "\n".join(made) + "\n" + source[end:]


if __name__ == "__main__":
    sys.exit(generated.main("Make RETURN of spark_facts from the model.", lambda: {TARGET: renewed(TARGET.read_text(encoding="utf-8"))}))
