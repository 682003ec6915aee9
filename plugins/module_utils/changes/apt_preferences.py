# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preferences file of the driver lock: which versions of driver packages apt may ever choose. Pure.

How apt reads pins (checked against apt 2.6 and its manual page): a priority belongs to a version; of several records that
match a version the first one in the order of reading counts, whether its Package field is a name or a pattern; files are
read in the order of their names. The file's name starts with zz, so DGX OS's own pins keep the first word, and within
the file exceptions stand above the rule.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .driver_group import (
    BRANCH,
    DISTRIBUTION_LIBRARIES,
    DRIVER_NAMES,
    DRIVER_SOURCES,
    MODPROBE,
    UNBRANCHED_METAS,
    UNBRANCHED_USER_SPACE,
    branch_number,
    family_patterns,
    older_versions,
    other_branches,
    other_versions,
)

PATH = "/etc/apt/preferences.d/zz-dgx-spark-driver-lock"

CUDA_ARCHIVE = "release l=NVIDIA CUDA"
"""The archive whose driver packages DGX OS itself pins away (label in its own pins)."""

HEADER = "Written by labops.dgx_spark (role driver_lock); playbooks/unlock_driver.yml removes it. Manual changes are overwritten."

NEVER, AS_INSTALLED, EXACT, TRUSTED = -1, 100, 990, 500


@dataclass(frozen=True)
class Stanza:
    """One record of a preferences file."""

    packages: tuple[str, ...]
    pin: str
    priority: int
    explanation: str = ""

    def text(self) -> str:
        """As apt reads it."""
        lines = [f"Explanation: {self.explanation}"] if self.explanation else []
        return "\n".join([*lines, f"Package: {' '.join(self.packages)}", f"Pin: {self.pin}", f"Pin-Priority: {self.priority}"]) + "\n"

    def names(self, package: str) -> bool:
        """Whether the record's Package field covers a package."""
        return any(_covers(word, package) for word in self.packages)


def stanzas(
    branch: int = BRANCH, exact: Mapping[str, str] | None = None, refused: Sequence[str] = (CUDA_ARCHIVE,), trusted: Sequence[str] = ()
) -> tuple[Stanza, ...]:
    """The records of the lock. ``exact``: package to the one version that it may have. ``refused``/``trusted``: Pin expressions."""
    this, other = branch_number(branch), other_branches(branch)
    ours, others = _patterns(this), _patterns(other)
    unbranched = (*UNBRANCHED_USER_SPACE, MODPROBE)
    # Since R590 most packages of NVIDIA's own archive carry no branch in their names: version and source tell what they are.
    every = (f"/{DRIVER_NAMES}/", f"src:/{DRIVER_SOURCES}/")
    closed = (
        f"nvidia-driver-{this}",
        f"nvidia-dkms-{this}",
        f"nvidia-kernel-source-{this}",
        f"nvidia-headless-{this}",
        f"nvidia-headless-no-dkms-{this}",
        f"/^linux-(modules|objects)-nvidia-{this}-([^o]|o[^p])/",
        f"/^(lib)?nvidia-([a-z][a-z0-9]*-)*{this}-server/",
    )
    result = [
        Stanza(
            (*ours, *others, *UNBRANCHED_METAS, *unbranched, *every, *sorted(exact or {})),
            "release a=now",
            AS_INSTALLED,
            "What is installed stays.",
        ),
    ]
    for name, version in sorted((exact or {}).items()):
        result.append(Stanza((name,), f"version {version}", EXACT, "The one version of this fleet."))
    if exact:
        result.append(Stanza(tuple(sorted(exact)), "version *", NEVER, "No other version of a locked package."))
    for archive in refused:
        result.append(
            Stanza((*ours, *unbranched), archive, NEVER, f"No branch {branch} driver from an archive that is not DGX OS's source of it.")
        )
    result.append(Stanza(closed, "version *", NEVER, "GB10 needs the open kernel module."))
    if trusted:
        result.extend(Stanza(ours, archive, TRUSTED, f"Branch {branch} from the named archives.") for archive in trusted)
        result.append(Stanza(ours, "version *", NEVER, f"Branch {branch} from nowhere else."))
    result.append(Stanza(unbranched, f"version {branch}.*", TRUSTED, f"Helpers of branch {branch}."))
    result.append(
        Stanza(DISTRIBUTION_LIBRARIES, f"version /{older_versions(branch)}/", TRUSTED, "The distribution's own, which Open MPI depends on.")
    )
    result.append(Stanza((*others, *UNBRANCHED_METAS, *unbranched), "version *", NEVER, f"No driver of a branch other than {branch}."))
    result.append(Stanza(every, f"version /{other_versions(branch)}/", NEVER, "Nor under a name without a branch."))
    return tuple(result)


def render(
    branch: int = BRANCH, exact: Mapping[str, str] | None = None, refused: Sequence[str] = (CUDA_ARCHIVE,), trusted: Sequence[str] = ()
) -> str:
    """The file's whole text. The same arguments always give the same bytes."""
    items = stanzas(branch, exact, refused, trusted)
    head = Stanza(items[0].packages, items[0].pin, items[0].priority, f"{HEADER} {items[0].explanation}")
    return "\n".join(item.text() for item in (head, *items[1:]))


def is_ours(text: str) -> bool:
    """Whether a preferences file was written by the lock."""
    return HEADER in text


def parse(text: str) -> tuple[Stanza, ...]:
    """The records of any preferences file, as apt reads it (comments and explanations left out)."""
    found = []
    for block in re.split(r"\n[ \t]*\n", "\n".join(line for line in text.splitlines() if not line.startswith("#"))):
        fields: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line[:1] in (" ", "\t") and key:
                fields[key] += " " + line.strip()
            elif ":" in line:
                key, _colon, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        try:
            priority = int(fields.get("pin-priority", ""))
        except ValueError:
            continue
        if fields.get("package") and fields.get("pin"):
            found.append(Stanza(tuple(fields["package"].split()), fields["pin"], priority, fields.get("explanation", "")))
    return tuple(found)


def opponents(files: Mapping[str, str], packages: Iterable[str]) -> tuple[str, ...]:
    """Other preferences files that give one of the packages a priority above zero: they are read before ours and win."""
    names = list(packages)
    found = []
    for path, text in sorted(files.items()):
        if path == PATH:
            continue
        if any(item.priority > 0 and any(item.names(name) for name in names) for item in parse(text)):
            found.append(path)
    return tuple(found)


def _patterns(number: str) -> tuple[str, ...]:
    return tuple(f"/{pattern}/" for pattern in family_patterns(number))


def _covers(word: str, package: str) -> bool:
    # Of which source a package is, the name does not tell.
    if word.startswith("src:"):
        return False
    if len(word) > 1 and word.startswith("/") and word.endswith("/"):
        try:
            return re.search(word[1:-1], package, re.IGNORECASE) is not None
        except re.error:
            return False
    return fnmatch.fnmatchcase(package, word)
