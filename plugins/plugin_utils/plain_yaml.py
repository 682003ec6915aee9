# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML that somebody sent: plain data of a bounded size, without aliases and merge keys, by which a few lines can become gigabytes.

And YAML that is written for Ansible to read: what was no template does not become one.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

SIZE_LIMIT = 32 * 1024 * 1024
"""Bytes of one document; a recording's commands are about one megabyte."""

NODES_LIMIT = 200_000
"""Values in one document."""

NUMBER_LIMIT = 100
"""Characters of a whole number: making one of 1:1:1... takes time with the square of its length, and no long one can be shown."""

_BASE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class PlainYamlError(ValueError):
    """The text is no plain YAML; says why in one line."""


class _Loader(_BASE):  # type: ignore[misc,valid-type]
    """The safe loader, in C where PyYAML has it: a recording's commands are long texts."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.nodes = 0

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Each node is made once; a second time it is an alias."""
        if node in self.constructed_objects:
            raise PlainYamlError("aliases (*name) are not read")
        self.nodes += 1
        if self.nodes > NODES_LIMIT:
            raise PlainYamlError(f"more than {NODES_LIMIT} values")
        if node.tag == "tag:yaml.org,2002:int" and len(node.value) > NUMBER_LIMIT:
            raise PlainYamlError(f"a whole number of more than {NUMBER_LIMIT} characters")
        return super().construct_object(node, deep=deep)

    def flatten_mapping(self, node: Any) -> None:
        """Merge keys multiply."""
        if any(getattr(key, "tag", "") == "tag:yaml.org,2002:merge" for key, _value in node.value):
            raise PlainYamlError("merge keys (<<) are not read")


def load(text: str, size: int = SIZE_LIMIT) -> Any:
    """The value of a document. Raises PlainYamlError."""
    if len(text) > size:
        raise PlainYamlError(f"longer than {size} characters")
    try:
        return yaml.load(text, Loader=_Loader)
    except PlainYamlError:
        raise
    except RecursionError as error:
        raise PlainYamlError("nested too deeply") from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError) as error:
        # PyYAML lets several built-in errors through on hostile scalars (dates, tags).
        raise PlainYamlError(" ".join(str(error).split()) or type(error).__name__) from error


class _Dumper(yaml.SafeDumper):
    """See `for_ansible`."""


_TEMPLATE = re.compile(r"\{[{%#]")


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    if _TEMPLATE.search(value):
        return dumper.represent_scalar("!unsafe", value, style='"')
    return dumper.represent_str(value)


_Dumper.add_representer(str, _text)


def for_ansible(data: Any, **options: Any) -> str:
    """The text of a file of variables or of an inventory.

    A value that looks like a template came from where none counts, a cell of a lab sheet or another program: Ansible, which trusts such a
    file, is told to leave it as it is.
    """
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=False, **options))
