# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pip resolves requirements on the desk itself: a dry run that installs and builds nothing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from ..desk import MISSING, TIMEOUT, Desk
from ..model.data import as_dict
from ..readers import pip_report

SHARED = (
    "install",
    "--dry-run",
    "--quiet",
    "--ignore-installed",
    "--only-binary",
    ":all:",
    "--no-input",
    "--disable-pip-version-check",
    "--use-feature=fast-deps",
)
"""The part of pip's command line that every resolution shares. fast-deps: metadata is read from a part of a wheel."""
NO_PIP = 97
"""Exit status of the program (programs/pip_resolver.py) where this pip cannot be made to resolve alone."""
TOLD_LIMIT = 8 << 20
"""Characters of JSON of a set; the gate reads 16 Mi of an answer. What a package requires is in its maker's words."""


def with_indexes(text: str, indexes: Sequence[str], links: Sequence[str] = ()) -> str:
    """A requirements file that begins with its indexes: the first takes the place of PyPI, the others are asked too; then pages of links.

    In the file, which one user can read, and not on the command line, which all users of a machine can: an index may hold credentials.
    """
    options = [("--extra-index-url" if number else "--index-url", index) for number, index in enumerate(indexes)]
    options += [("--find-links", link) for link in links]
    return literal("".join(f"{name} {shlex.quote(value)}\n" for name, value in options) + text)


def literal(text: str) -> str:
    """A file's text in which pip finds no variable: it would put what ``${NAME}`` is here into a link, and ask a stranger's server for it.

    In a link %24 means the same; elsewhere in a requirement no dollar is allowed.
    """
    return text.replace("$", "%24")


def resolve(desk: Desk, command: Sequence[str], program: str, limit: float) -> dict[str, Any]:
    """``chosen`` (pip_report.Chosen as dicts) or ``refusal`` (pip_report.Refusal as a dict) of one resolution.

    ``command`` runs what it is fed (``program``) and ends in a report on standard output. The desk's own pip configuration counts, as it
    will when the requirements are installed there.
    """
    answer = desk.run(command, timeout=limit, stdin=program)
    if answer.ok:
        try:
            told = {"chosen": [as_dict(item) for item in pip_report.chosen(answer.stdout)], "refusal": None}
            if len(json.dumps(told)) > TOLD_LIMIT:
                raise pip_report.PipReportError("what the packages of the set require is too long to be read")
            return told
        except pip_report.PipReportError as error:
            return {"chosen": [], "refusal": as_dict(pip_report.Refusal("other", words=str(error)))}
    if answer.error == TIMEOUT:
        found = pip_report.Refusal("timeout", words=f"pip found no set within {limit:.0f} s")
    elif answer.error == MISSING or answer.rc == NO_PIP:
        found = pip_report.Refusal("no_pip", words="this desk has no pip that can resolve")
    else:
        found = pip_report.refusal(f"{answer.stderr}\n{answer.stdout[:2000]}")
    return {"chosen": [], "refusal": as_dict(found)}
