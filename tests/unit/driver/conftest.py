"""A real apt and dpkg in a temporary root, with archives of tiny packages, for the tests of the driver lock."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import aptroot


@pytest.fixture(scope="session")
def debs(tmp_path_factory: pytest.TempPathFactory) -> aptroot.Debs:
    """Built packages, shared by all tests of a session."""
    reason = aptroot.why_not()
    if reason:
        pytest.skip(reason)
    return aptroot.Debs(tmp_path_factory.mktemp("debs"))


@pytest.fixture
def root(tmp_path: Path, debs: aptroot.Debs) -> Iterator[aptroot.AptRoot]:
    """A desk's root with the stock packages installed and three archives."""
    desk = aptroot.stock_desk(tmp_path / "root", debs)
    yield desk
    desk.close()
