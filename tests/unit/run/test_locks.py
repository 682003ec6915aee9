# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the controller that others may have made or can open: who opens a lock can hold the run with it, and a pipe has no end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.audit import BaselineError, baseline
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.known_hosts import remember, text_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.lock_file import SIZE_LIMIT, LockFileError, read
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.own_load import PLACES, place, processors
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.reboots import turn_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Run
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import RunStore, is_of_others
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.requirements import FileProblem, wanted_of
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


@pytest.mark.parametrize("work", (a_turn, a_key, an_answer))
def test_no_link_is_followed_to_a_lock_and_no_pipe_waited_for(work: Callable[[Path], None], tmp_path: Path) -> None:
    """A lab's folder that was sent, or one that a colleague can write to: an empty /etc/nologin keeps everybody out."""
    work(tmp_path / "before")
    [name] = [path.relative_to(tmp_path / "before") for path in (tmp_path / "before").rglob("*.lock")]
    for number, lay in enumerate((lambda place: place.symlink_to(tmp_path / "nologin"), os.mkfifo)):
        place = tmp_path / str(number) / name
        place.parent.mkdir(parents=True)
        lay(place)
        with pytest.raises(OSError):
            work(tmp_path / str(number))
    assert not (tmp_path / "nologin").exists()


def test_a_pipe_in_place_of_known_hosts_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "known_hosts.txt")
    with pytest.raises(OSError, match="not a regular file"):
        a_key(tmp_path)
    assert text_of(Path(os.devnull)) == ""


def test_a_run_takes_no_folder_that_somebody_else_made(tmp_path: Path) -> None:
    """Its name can be guessed, and whoever owns it decides what the run learned about every desk."""
    for number, lay in enumerate((Path.mkdir, lambda place: place.symlink_to(tmp_path))):
        place = tmp_path / f"run-{number}"
        lay(place)
        with pytest.raises(OSError):
            RunStore(place).begin(Run(place.name, str(place), "2026-11-22T10:15:00Z", "audit"))
    assert not list(tmp_path.rglob("run.json"))


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_a_pipe_or_a_file_without_end_in_place_of_what_was_sent_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "endless.txt").symlink_to("/dev/zero")
    (tmp_path / "large.txt").write_text("#" * (SIZE_LIMIT + 1))
    for path in tmp_path.iterdir():
        with pytest.raises(LockFileError, match=path.name):
            read(path)
        with pytest.raises(BaselineError, match=path.name):
            baseline(str(path), {})
        assert is_of_others(path, "mark")
        if path.name != "large.txt":
            with pytest.raises(FileProblem, match="not a regular file"):
                wanted_of(path)
