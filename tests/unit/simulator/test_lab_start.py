"""A desk whose first process ends while it starts: started once more, then named with what it said."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sparklab import files, recordings
from sparklab.errors import LabError
from sparklab.lab import Lab


class ShortLived:
    """An engine whose container ends at once for its first `failures` starts."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.starts = 0

    def start(self, container: str) -> int:
        self.starts += 1
        return 100 + self.starts

    def pid(self, container: str) -> int:
        return 0 if self.starts <= self.failures else 100 + self.starts

    def last_words(self, container: str) -> str:
        return "desk: no description of this desk"


def start(engine: ShortLived, said: list[str]) -> int:
    def prepare(pid: int) -> None:
        if not engine.pid("c"):
            raise LabError("nsenter failed with code 1")

    lab: Any = SimpleNamespace(engine=engine, say=said.append)
    lab._start = lambda *words, **options: Lab._start(lab, *words, **options)
    return int(lab._start("desk-01", "c", prepare))


def test_a_desk_that_ended_once_is_started_again() -> None:
    said: list[str] = []
    assert start(ShortLived(1), said) == 102
    assert said == ["desk-01 ended while starting; its last line: desk: no description of this desk; starting it again"]


def test_a_desk_that_ends_each_time_is_named_with_its_last_line() -> None:
    engine = ShortLived(9)
    with pytest.raises(LabError, match="desk-01 ended while starting; its last line: desk: no description"):
        start(engine, [])
    assert engine.starts == 2


def test_a_recording_is_unpacked_where_only_root_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any user of this machine could otherwise lay links in its way."""
    modes: list[int] = []
    monkeypatch.setattr(recordings, "find", Path)
    monkeypatch.setattr(recordings, "unpack", lambda _source, folder: modes.append(folder.stat().st_mode & 0o777))
    lab: Any = SimpleNamespace(name="x", say=print, engine=SimpleNamespace(call=lambda *_words, **_more: "", create=lambda *_words: "c"))
    lab.record = SimpleNamespace(
        spec=SimpleNamespace(desks={"desk-01": SimpleNamespace(recording="sent", hostname="h", model="m")}),
        desk_dir=lambda name: tmp_path / "desks" / name,
        data={"images": {"m": "i"}},
        desk=lambda _name: {},
        save=lambda: None,
    )
    Lab.create(lab, ["desk-01"])
    assert len(modes) == 1 and not modes[0] & 0o022
    assert (tmp_path / "desks/desk-01").stat().st_mode & 0o777 == 0o777
    assert (tmp_path / "desks").stat().st_mode & 0o777 == 0o700, "no other user of this machine gets there"


def test_what_root_writes_into_a_desk_s_folder_follows_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode was set by name after the file was closed: who laid a link there could then read any file of this machine."""
    private = tmp_path / "shadow"
    private.write_text("secret")
    private.chmod(0o600)
    folder = tmp_path / "desk-01"
    folder.mkdir(mode=0o777)
    set_mode = os.chmod

    def late(path: Any, mode: int, **more: Any) -> None:
        (new,) = folder.iterdir()
        new.unlink()
        new.symlink_to(private)
        set_mode(path, mode, **more)

    monkeypatch.setattr(os, "chmod", late)
    files.write_json(folder / "desk.json", {"name": "desk-01"})
    assert private.stat().st_mode & 0o777 == 0o600
    assert (folder / "desk.json").stat().st_mode & 0o777 == 0o644


def test_another_failure_is_not_tried_again() -> None:
    engine = ShortLived(0)
    lab: Any = SimpleNamespace(engine=engine, say=print)

    def prepare(pid: int) -> None:
        raise LabError("no shell")

    with pytest.raises(LabError, match="no shell"):
        Lab._start(lab, "desk-01", "c", prepare)
    assert engine.starts == 1
