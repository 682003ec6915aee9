"""Let unit tests import the collection from this checkout, by its full name, without installing it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = ROOT / ".collections"

if not any(type(finder).__name__ == "_AnsibleCollectionFinder" for finder in sys.meta_path):
    _AnsibleCollectionFinder(paths=[str(COLLECTIONS)])._install()
sys.path.insert(0, str(COLLECTIONS))
# Helpers of more than one folder.
sys.path.insert(0, str(Path(__file__).parent / "support"))


@pytest.fixture(autouse=True)
def _idle_machine() -> Iterator[None]:
    """What a time limit means depends on the controller's load, and here that is whatever else the machine does."""
    # A patch of its own: asking for `monkeypatch` here would change the order in which a test's own fixtures end.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getloadavg", lambda: (0.1, 0.1, 0.1))
        yield
