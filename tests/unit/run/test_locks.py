# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that desks of a run lock on the controller: another user who can open one can hold it, and the run with it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.known_hosts import remember
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.own_load import PLACES, place, processors
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.reboots import turn_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.shared import Shared

MANY = 1000


def a_place(folder: Path) -> None:
    assert PLACES * processors() < MANY, "this machine takes a place"
    with place(folder, tasks=MANY):
        pass


def a_turn(folder: Path) -> None:
    with turn_of(folder, "stack", "desk-01") as turn:
        turn.back()


def a_key(folder: Path) -> None:
    remember(folder / "known_hosts.txt", "desk-01", ("desk-01",), ["ssh-ed25519 a2V5"])


def an_answer(folder: Path) -> None:
    assert Shared(folder).once("question", lambda: "answer") == "answer"


@pytest.mark.parametrize("work", (a_place, a_turn, a_key, an_answer))
def test_no_other_user_can_open_what_a_run_locks(work: Callable[[Path], None], tmp_path: Path) -> None:
    with umask(0o022):
        work(tmp_path)
    locks = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix in ("", ".lock")]
    assert locks and not [path for path in locks if path.stat().st_mode & 0o007]


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
