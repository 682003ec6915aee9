# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every generator of documentation shares: the collection without Ansible, Ansible's markup as Markdown, write or check."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "ansible_collections.labops.dgx_spark"
MARKUP = re.compile(r"\b(RV|[BCEIMOV])\(((?:[^\\()]|\\.|\([^()]*\))*)\)")
LINK = re.compile(r"\bL\(([^,()]*), *([^()]*)\)|\bU\(([^()]*)\)")


def plain(name: str) -> Any:
    """A module of the collection, such as ``plugins.module_utils.judges.catalogue``, imported without Ansible."""
    parts = PACKAGE.split(".")
    for number in range(1, len(parts) + 1):
        package = ".".join(parts[:number])
        if package not in sys.modules:
            made = types.ModuleType(package)
            made.__path__ = [str(ROOT)] if number == len(parts) else []
            sys.modules[package] = made
    return importlib.import_module(f"{PACKAGE}.{name}")


def markdown(text: str | Sequence[str]) -> str:
    """Text in the markup of Ansible's documentation as Markdown; a list is joined to one paragraph."""
    joined = text if isinstance(text, str) else " ".join(text)
    joined = " ".join(joined.split())
    joined = MARKUP.sub(_marked, joined)
    return LINK.sub(lambda found: f"<{found[3]}>" if found[3] else f"[{found[1]}]({found[2]})", joined)


def _marked(found: re.Match[str]) -> str:
    kind, text = found[1], found[2].replace("\\", "")
    return {"B": f"**{text}**", "I": f"*{text}*"}.get(kind, f"`{text}`")


def cell(text: str) -> str:
    """The text for a cell of a table."""
    return text.replace("|", r"\|")


def value(default: Any) -> str:
    """A default as a cell shows it: as YAML writes it, nothing where there is none."""
    if default is None or default == "":
        return ""
    shown = (
        default if isinstance(default, str) else yaml.safe_dump(default, default_flow_style=True, width=1000).removesuffix("...\n").strip()
    )
    return f"`{shown}`"


def repository() -> str:
    """The address under which the files of the main branch are read; links that are shown outside the repository begin with it."""
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    return f"{galaxy['repository']}/blob/main"


def main(command: str, documents: Callable[[], Mapping[Path, str]], argv: Sequence[str] | None = None) -> int:
    """The command line of a generator: write its documents, or exit 1 with one line for each that is stale."""
    parser = argparse.ArgumentParser(description=command)
    parser.add_argument("--check", action="store_true", help="only say whether the files are up to date")
    options = parser.parse_args(argv)
    stale = 0
    for path, text in documents().items():
        current = path.read_text(encoding="utf-8") if path.exists() else None
        if current == text:
            continue
        stale += 1
        name = path.relative_to(ROOT)
        if options.check:
            print(f"{name} is {'missing' if current is None else 'stale'}: run make docs", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if stale and options.check else 0
