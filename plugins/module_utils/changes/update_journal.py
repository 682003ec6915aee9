# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of an update as text, and the packages that are kept beside it for a way back. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..model.data import as_dict, from_dict
from ..model.update import BEGUN, SETTLED, Change, Journal
from ..readers import update_journal
from .driver_group import belongs

FOLDER = "/var/lib/dgx_spark/update"
PATH = f"{FOLDER}/journal.json"
DEBS = f"{FOLDER}/debs"

PLATFORM = re.compile(r"(?:dgx|nv|nvidia)-|linux-(?:image|modules|headers|tools)-")
"""Packages of DGX OS itself that an update moves with driver, kernel and NCCL. Ubuntu's own are not taken back."""


def of_platform(name: str, branch: int) -> bool:
    """Whether a way back restores a package."""
    return belongs(name, branch) or PLATFORM.match(name) is not None


def to_json(journal: Journal) -> str:
    """As it is written: the same journal always gives the same bytes."""
    return json.dumps({"schema": update_journal.SCHEMA, **as_dict(journal)}, indent=1, sort_keys=True) + "\n"


def parse(text: str | None) -> Journal | None:
    """The journal from its text; null for no text, or for one that is no journal."""
    data = update_journal.read(text) if text else None
    return None if data is None else from_dict(Journal, data)


def begun(
    last: Journal | None,
    changes: Sequence[Change],
    branch: int,
    target: Mapping[str, str],
    kernel: str | None,
    run_id: str,
    stack: str | None,
) -> Journal:
    """The journal before the first change. What an update that was not settled noted as the state from before stays that state."""
    going_on = last if last is not None and last.phase not in (SETTLED,) else None
    before = {item.name: item.old for item in changes if item.old and of_platform(item.name, branch)}
    added = {item.name for item in changes if item.new and not item.old and of_platform(item.name, branch)}
    if going_on is None:
        return Journal(BEGUN, run_id, stack, before, dict(target), tuple(sorted(added)), kernel_before=kernel)
    # A package that the interrupted update brought was not there before.
    before = {name: version for name, version in before.items() if name not in going_on.added}
    return replace(
        going_on,
        phase=BEGUN,
        run_id=run_id,
        stack=stack,
        before={**before, **going_on.before},
        target=dict(target),
        added=tuple(sorted({*going_on.added, *(name for name in added if name not in going_on.before)})),
        kernel_after=None,
    )
