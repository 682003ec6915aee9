"""A login user with a home, with ids of its own: these tests drop root's rights as the product does."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HELPERS = str(Path(__file__).parent)
if HELPERS not in sys.path:
    sys.path.insert(0, HELPERS)
from person import Person  # noqa: E402

NAME = "nobody"


@pytest.fixture
def person() -> Iterator[Person]:
    """A home where the user may go; pytest's own folders shut everybody out."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    account = pwd.getpwnam(NAME)
    place = Path(tempfile.mkdtemp(prefix="dgx-spark-test-"))
    place.chmod(0o755)
    home = place / "home"
    home.mkdir()
    os.chown(home, account.pw_uid, account.pw_gid)
    yield Person(NAME, account.pw_uid, account.pw_gid, home)
    shutil.rmtree(place)


@pytest.fixture
def secret(person: Person) -> Path:
    """A file that only root may read, with lines that look like ours."""
    path = person.home.parent / "shadow"
    path.write_text("root:$6$hash:: dgx_spark_pair\nssh-ed25519 AAAAroot dgx_spark_pair\n", encoding="ascii")
    path.chmod(0o600)
    return path
