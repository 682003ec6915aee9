# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fact of the model is filled in by something in gather/: one that nothing gathers is null on every desk, and looks read."""

from __future__ import annotations

import ast
import dataclasses
import typing
from collections.abc import Iterator

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from house import sources, syntax

OF_THE_MODEL = {"schema", "unread"}
"""What no answer of a desk gives."""


def classes(hint: typing.Any) -> Iterator[type]:
    """The dataclasses of a field's type, theirs included."""
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        yield hint
        for inner in typing.get_type_hints(hint).values():
            yield from classes(inner)
    for inner in typing.get_args(hint):
        yield from classes(inner)


FACTS = {cls.__name__: [item.name for item in dataclasses.fields(cls)] for cls in classes(Desk)}


def given() -> set[tuple[str, str]]:
    """Class and field of what gather/ fills in (some with what model/ makes of it); no class where a field is named alone."""
    found = set()
    for path in sources("module_utils/gather", "module_utils/model"):
        for node in ast.walk(syntax(path)):
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                found.add(("", str(node.slice.value)))
            elif isinstance(node, ast.Dict):
                found |= {("", str(key.value)) for key in node.keys if isinstance(key, ast.Constant)}
            elif isinstance(node, ast.Call):
                named = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                # dataclasses.replace and helpers name fields of any class.
                cls = named if named[:1].isupper() else ""
                found |= {(cls, item.arg or "**") for item in node.keywords}
                found |= {(named, field) for field, _value in zip(FACTS.get(named, ()), node.args, strict=False)}
    return found


GIVEN = given()
CALLED = {cls for cls, _field in GIVEN}
READ = {str(node.value) for path in sources("module_utils/readers") for node in ast.walk(syntax(path)) if isinstance(node, ast.Constant)}
"""Texts of the readers: they name the fields of a class that is made of a reader's answer as a whole."""


@pytest.mark.parametrize("cls", FACTS)
def test_every_fact_is_gathered(cls: str) -> None:
    whole = (cls, "**") in GIVEN or cls not in CALLED
    missing = [
        name for name in FACTS[cls] if not {(cls, name), ("", name)} & GIVEN and not (whole and name in READ) and name not in OF_THE_MODEL
    ]
    assert missing == [], f"nothing in gather/ fills in {', '.join(missing)} of {cls}: every desk would answer null"
