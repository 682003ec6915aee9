# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changelog tells a user of the last release what is new: no corrections of what was never released, a summary for each release.

galaxy.yml names the version that is being prepared; every other version in changelogs/changelog.yaml is one that was released.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
BEFORE = ("breaking_changes", "deprecated_features", "removed_features", "security_fixes", "bugfixes")
"""Sections that speak of an earlier release."""


def problems(version: str, releases: Mapping[str, Any], fragments: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What is wrong, one sentence each."""
    for name, release in releases.items():
        if not release.get("changes", {}).get("release_summary"):
            yield f"changelogs/changelog.yaml: {name} has no release_summary"
    if set(releases) - {version}:
        return
    texts = {f"changelogs/fragments/{name}": sections for name, sections in fragments.items()}
    if version in releases:
        texts["changelogs/changelog.yaml"] = releases[version].get("changes", {})
    for path, sections in texts.items():
        for section in sorted(set(BEFORE) & set(sections)):
            yield f"{path}: {section}, but {version} is the first release; say under minor_changes what it does, or leave it out"


def main() -> int:
    """Exit 1 with a line for each problem."""
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    folder = ROOT / "changelogs"
    releases = yaml.safe_load((folder / "changelog.yaml").read_text(encoding="utf-8"))["releases"]
    fragments = {
        path.name: yaml.safe_load(path.read_text(encoding="utf-8")) or {} for path in sorted((folder / "fragments").glob("*.y*ml"))
    }
    found = list(problems(version, releases, fragments))
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
