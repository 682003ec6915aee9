"""The fence around pip: what it may change, whatever an index makes it do. Each case in a process of its own, since a fence stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs import fence

SOURCE = Path(fence.__file__).read_text(encoding="utf-8")
WORK = """
import os, shutil, subprocess, tempfile
from pathlib import Path
inside, outside = Path(INSIDE), Path(OUTSIDE)
Fence([str(inside)]).put_up()
"""

REFUSED = {
    "a file": "open(outside / 'new', 'w')",
    "a file in binary": "open(outside / 'new', 'ab')",
    "a descriptor": "os.open(outside / 'new', os.O_CREAT | os.O_WRONLY)",
    "through a link that was there": "open(inside / 'way-out' / 'new', 'w')",
    "a file that is a link": "open(inside / 'link', 'w')",
    "dots": "open(inside / '..' / 'outside' / 'new', 'w')",
    "a name that only begins like it": "open(str(inside) + '-beside', 'w')",
    "a folder": "(outside / 'new').mkdir()",
    "moved out": "(inside / 'own').rename(outside / 'new')",
    "taken away": "(outside / 'theirs').unlink()",
    "a mode": "(outside / 'theirs').chmod(0o777)",
    "a hard link out": "os.link(inside / 'own', outside / 'new')",
    "a hard link in": "os.link(outside / 'theirs', inside / 'new')",
    "a link outside": "os.symlink('/', outside / 'new')",
    "a whole folder": "shutil.rmtree(outside)",
    "by the folder's descriptor": "os.unlink('theirs', dir_fd=os.open(outside, os.O_RDONLY))",
    "a process": "subprocess.run(['touch', outside / 'new'])",
    "a shell": "os.system('touch ' + str(outside / 'new'))",
}
ALLOWED = {
    "a file": "(inside / 'new').write_text('x')",
    "a link that leads out": "os.symlink(outside, inside / 'new')",
    "such a link taken away": "(inside / 'way-out').unlink()",
    "a folder that goes again": "shutil.rmtree(tempfile.mkdtemp(dir=inside))",
    "a read": "(outside / 'theirs').read_text()",
    "nowhere": "open(os.devnull, 'w').write('x')",
}


def tried(tmp_path: Path, act: str) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """The process, and what lies outside afterwards."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "theirs").write_text("kept")
    (inside / "own").write_text("own")
    (inside / "way-out").symlink_to(outside)
    (inside / "link").symlink_to(outside / "theirs")
    program = SOURCE + WORK.replace("INSIDE", repr(str(inside))).replace("OUTSIDE", repr(str(outside))) + act + "\n"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd="/", check=False)
    left = {item.name: f"{item.stat().st_mode & 0o777:o} {item.stat().st_nlink}" for item in outside.iterdir()}
    return ended, left | {"beside": str((tmp_path / "inside-beside").exists())}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return tried(tmp_path_factory.mktemp("untouched"), "pass")[1]


@pytest.mark.parametrize("act", REFUSED.values(), ids=REFUSED)
def test_what_is_outside_stays_as_it_is(tmp_path: Path, act: str, untouched: dict[str, str]) -> None:
    ended, left = tried(tmp_path, act)
    assert ended.returncode and "PermissionError" in ended.stderr, ended.stderr
    assert left == untouched


@pytest.mark.parametrize("act", ALLOWED.values(), ids=ALLOWED)
def test_what_is_inside_is_free(tmp_path: Path, act: str, untouched: dict[str, str]) -> None:
    ended, left = tried(tmp_path, act)
    assert ended.returncode == 0, ended.stderr
    assert left == untouched
