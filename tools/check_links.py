# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every link, path and make target in the project's Markdown leads somewhere. Needs no network.

A link to this repository's main branch counts as one to the file in this checkout. Pages that are shown outside the repository
(README.md and the roles' READMEs by Galaxy, the docsite's list of guides) may have absolute links only; in all others links are
relative, so that they work in a clone, on the forge and on the docsite. Every guide stands in the README and in the docsite's list.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import generated  # noqa: E402

FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\s*\1\s*$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?\)")
AUTOLINK = re.compile(r"<(https?://[^>\s]+)>")
RST = re.compile(r"`[^`<]*<(https?://[^>\s]+)>`_")
HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$", re.MULTILINE)
ANCHOR = re.compile(r"<a (?:id|name)=\"([^\"]+)\"")
TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
MAKE = re.compile(r"(?:^|[\s$;&|])make((?: [a-z][a-z-]*)+)(?![a-z=.])")
FOLDERS = "changelogs|docs|inventories|molecule|playbooks|plugins|roles|simulator|tests|tools"
PATH = re.compile(rf"(?:{FOLDERS})/[a-z0-9_./*-]+")
GUIDES = "docs/docsite/rst/guides.rst"
"""The page of the docsite that lists the guides, in the order of its menu."""
MADE = ("tests/recordings/", "playbooks/reports/")
"""Folders whose content is made when it is needed."""


class Page(NamedTuple):
    """A Markdown file."""

    path: str
    """Relative to the root, with slashes."""
    text: str

    @property
    def elsewhere(self) -> bool:
        """Whether Galaxy shows it outside the repository."""
        return self.path in ("README.md", GUIDES) or (self.path.startswith("roles/") and self.path.endswith("README.md"))


def in_repository(link: str) -> str | None:
    """The path (with anchor) of a link to the main branch of this repository, null for any other link."""
    base = generated.repository().removesuffix("/blob/main")
    found = re.match(rf"{re.escape(base)}/(?:blob|tree|raw)/main/?(.*)", link)
    return found[1] if found else None


def slug(heading: str) -> str:
    """The anchor of a heading, as forges make it."""
    shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    """Every anchor of a page."""
    found: dict[str, int] = {}
    for _level, heading in HEADING.findall(FENCE.sub("", text)):
        name = slug(heading)
        found[name] = found.get(name, 0) + 1
    made = set(found) | {f"{name}-{number}" for name, count in found.items() for number in range(1, count)}
    return made | set(ANCHOR.findall(text))


def links(text: str) -> Iterator[str]:
    """Every link of a page, those in code left out."""
    prose = SPAN.sub("`code`", FENCE.sub("", text))
    yield from LINK.findall(prose)
    yield from AUTOLINK.findall(prose)
    yield from RST.findall(text)


def code(text: str) -> Iterator[str]:
    """Every piece of code: spans and the lines of fenced blocks."""
    for block in FENCE.finditer(text):
        yield from block[0].splitlines()[1:-1]
    yield from SPAN.findall(FENCE.sub("", text))


def problems(page: Page, targets: set[str], root: Path = ROOT) -> Iterator[str]:
    """What leads nowhere, one sentence each."""
    for link in links(page.text):
        told = in_repository(link)
        if told is None and re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        if told is None and page.elsewhere and not link.startswith("#"):
            yield f"{page.path}: {link} is relative, but this page is shown elsewhere; begin it with {generated.repository()}/"
            continue
        if told is not None and not page.elsewhere and page.path.startswith("docs/"):
            yield f"{page.path}: {link} is in this repository; make it relative"
        place, _hash, anchor = (link if told is None else told).partition("#")
        folder = PurePosixPath(page.path).parent if told is None else PurePosixPath()
        target = root / folder / place if place or told is not None else root / page.path
        if not target.exists():
            yield f"{page.path}: {link} leads to nothing"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"{page.path}: {link} leads to no heading of that page"
    for piece in code(page.text):
        for called in MAKE.findall(piece):
            for target_name in set(called.split()) - targets:
                yield f"{page.path}: there is no `make {target_name}`"
        if PATH.fullmatch(piece) and not piece.startswith(MADE) and not any(root.glob(piece.rstrip("/"))):
            yield f"{page.path}: there is no {piece}"


def guides(text: str) -> list[str]:
    """The guides (``docs/NAME.md``) that a page links to, in its order."""
    told = (in_repository(link) or "" for link in links(text))
    return list(dict.fromkeys(place for link in told if re.fullmatch(r"docs/[a-z_]+\.md", place := link.partition("#")[0])))


def unlisted(root: Path = ROOT) -> Iterator[str]:
    """Guides that a list of guides does not name."""
    for page in ("README.md", GUIDES):
        named = guides((root / page).read_text(encoding="utf-8"))
        for path in sorted((root / "docs").glob("*.md")):
            if f"docs/{path.name}" not in named:
                yield f"{page}: docs/{path.name} is not linked from it"


def main() -> int:
    """Exit 1 with a line for each problem."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md", GUIDES],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = sorted(path for path in set(listed.stdout.split()) if (ROOT / path).exists())
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    found = list(unlisted())
    for path in paths:
        found += list(problems(Page(path, (ROOT / path).read_text(encoding="utf-8")), targets))
    for problem in found:
        print(problem, file=sys.stderr)
    print(f"{len(paths)} pages checked, {len(found)} problems")
    return 1 if found or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
