# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in is a function, a row of the table, a link, and a place on the desk: none without the others."""

from __future__ import annotations

import pytest
from desklib.identity import STANDINS
from desklib.standins.table import COMMANDS, find

from .conftest import DESK

LINKS = {path.name: path for path in (DESK / "standins").iterdir() if path.name not in ("run", "__pycache__")}
OF_PACKAGES = {"ib_write_bw", "ib_read_bw", "ib_write_lat"}
"""Installed by apt from the lab's archive, as on a real desk."""
BY_PATH = {"nccl-fabric"}
"""Run by its path, no command of a desk."""
SCRIPTS = {"ip"}
"""Files of their own: they hide something and hand over to the real program."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_row_names_a_function(name: str) -> None:
    assert callable(find(name))


def test_every_row_has_a_link_and_every_link_a_row() -> None:
    wrong = (set(COMMANDS) - OF_PACKAGES) ^ (set(LINKS) - SCRIPTS)
    assert wrong == set(), f"in only one of COMMANDS (desklib/standins/table.py) and simulator/desk/standins/: {sorted(wrong)}"
    assert all(path.is_symlink() and path.readlink().name == "run" for name, path in LINKS.items() if name not in SCRIPTS)


def test_every_link_has_its_place_on_a_desk() -> None:
    wrong = set(STANDINS) ^ (set(LINKS) - BY_PATH)
    assert wrong == set(), f"in only one of STANDINS (desklib/identity.py) and simulator/desk/standins/: {sorted(wrong)}"
