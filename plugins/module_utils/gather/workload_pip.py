# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pip resolves requirements on the desk itself: a dry run that installs and builds nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .. import pip_program
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
"""The part of pip's command line that every resolution shares."""


def program(environment: str) -> list[str]:
    """The start of a command line: the program that resolves, for an environment."""
    loader: Any = pip_program.__loader__
    text = loader.get_source(pip_program.__name__)
    # The loader of collections on a controller gives bytes.
    return ["-I", "-c", text.decode() if isinstance(text, bytes) else str(text), environment]


def index_arguments(indexes: Sequence[str]) -> list[str]:
    """The first index takes the place of PyPI, the others are asked too."""
    return [part for number, index in enumerate(indexes) for part in ("--extra-index-url" if number else "--index-url", index)]


def resolve(desk: Desk, text: str, indexes: Sequence[str], limit: float, constraints: str) -> dict[str, Any]:
    """``chosen`` (pip_report.Chosen as dicts) or ``refusal`` (pip_report.Refusal as a dict) for the text of a requirements file;
    ``constraints`` is the path of a file with constraints.

    The desk's own pip configuration counts, as it will when the requirements are installed there.
    """
    arguments = [
        "python3",
        *program(json.dumps({})),
        *SHARED,
        *index_arguments(indexes),
        "--report",
        "-",
        "-r",
        "/dev/stdin",
        "-c",
        constraints,
    ]
    answer = desk.run(arguments, timeout=limit, stdin=text)
    if answer.ok:
        try:
            return {"chosen": [as_dict(item) for item in pip_report.chosen(answer.stdout)], "refusal": None}
        except pip_report.PipReportError as error:
            return {"chosen": [], "refusal": as_dict(pip_report.Refusal("other", words=str(error)))}
    if answer.error == TIMEOUT:
        found = pip_report.Refusal("timeout", words=f"pip found no set within {limit:.0f} s")
    elif answer.error == MISSING or answer.rc == pip_program.REFUSED:
        found = pip_report.Refusal("no_pip", words="this desk has no pip that can resolve")
    else:
        found = pip_report.refusal(f"{answer.stderr}\n{answer.stdout[:2000]}")
    return {"chosen": [], "refusal": as_dict(found)}
