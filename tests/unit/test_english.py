# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences that a user meets: none of the turns that a native editor had to take out comes back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

INSTEAD = {
    r"\bmend(s|ed|ing)?\b": "fix",
    r"(?<!there )\bis no (?!longer\b|more\b|less\b)": "is not a",
    r"\bno (finding|code) of its own\b": "unclassified",
    r"\bthat is none\b|\bis none that\b": "not valid",
    r"\banswer(s|ed)? (ssh )?no more\b": "stopped responding",
    r"\bwithin the patience\b": "within the timeout",
    r"\bhand movements?\b": "re-plugs",
    r"\bsaid, not made\b": "reported, not applied",
    r"\bbecause no cable is in\b": "no cable connected",
    r"\b(some|any)body\b": "who it is",
    r"\banew\b": "again",
    r"\bby (itself|themselves)\b": "on its own",
    r"\bway back\b": "rollback",
    r"\bg(i|a)ve[sn]? (it |them )?back\b|\bgiving back\b": "restore",
    r"\btak(es|en) (it |them )?back\b": "undo",
    r"\bh(o|e)lds? [\w' ]{1,30} against\b|\bheld against\b": "compare with",
    r"\bshall\b": "is to",
    r"\btells? (of|which|how|why|what|whether|that)\b": "says",
    r"\b(was|were|is|are|be|not|as|all) told\b(?! apart| to\b)": "reported",
    r"\bof a(nother)? (new|old)er branch\b|\bof another branch\b": "from",
}
"""Turn of phrase to what is written instead."""


def constants(path: Path) -> Iterator[tuple[int, str]]:
    """Texts of a Python file that its users may meet: every constant but docstrings; of an f-string the fixed parts."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a text file, without what stands in backquotes: commands and quotes of other programs."""
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        yield number, re.sub(r"`[^`]*`", "", line)


def files() -> list[Path]:
    """What the product says and what is written about it; the tests' own words are not looked at."""
    python = [path for top in ("plugins", "simulator", "tools") for path in (ROOT / top).rglob("*.py")]
    text = [
        *(ROOT / "roles").glob("*/meta/argument_specs.yml"),
        *(ROOT / "roles").glob("*/README.md"),
        *(ROOT / "playbooks").glob("*.yml"),
        *(ROOT / "playbooks/tasks").glob("*.yml"),
        *(ROOT / "plugins").rglob("*.j2"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "docs").rglob("*.rst"),
    ]
    return sorted([*python, *text, ROOT / "README.md", ROOT / "tests" / "replay.py"])


def found_in(path: Path) -> list[str]:
    """Each turn in a file: its line, the words around it and what to write."""
    texts = constants(path) if path.suffix == ".py" else lines(path)
    found = []
    for number, text in texts:
        words = " ".join(text.split())
        for turn, instead in INSTEAD.items():
            for hit in re.finditer(turn, words, re.IGNORECASE):
                context = words[max(0, hit.start() - 40) : hit.end() + 30]
                found.append(f"line {number}: '{hit.group()}' (write: {instead}) in: {context}")
    return found


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_user_meets_plain_english(path: Path) -> None:
    assert found_in(path) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mend what the message names.", 1),
        ("the file is no text", 1),
        ("There is no text in the file, and it is no longer read.", 0),
        ("The desk answered no more.", 1),
        ("Fix what the message names, then run again.", 0),
    ],
)
def test_the_turns_are_seen(text: str, found: int, tmp_path: Path) -> None:
    for name, content in (("page.md", text), ("module.py", f'"""{text}"""\n\nTEXT = f"{text} {{1}}"\n')):
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert len(found_in(tmp_path / name)) == found
