"""Let unit tests import the collection from this checkout, by its full name, without installing it."""

from __future__ import annotations

import sys
from pathlib import Path

from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = ROOT / ".collections"

if not any(type(finder).__name__ == "_AnsibleCollectionFinder" for finder in sys.meta_path):
    _AnsibleCollectionFinder(paths=[str(COLLECTIONS)])._install()
sys.path.insert(0, str(COLLECTIONS))
# Helpers of more than one folder.
sys.path.insert(0, str(Path(__file__).parent / "support"))
