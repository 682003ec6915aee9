# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door to the machine, and the recording that takes its place: refusals are values, nothing hangs, nothing is left running."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils import desk as door
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import LiveDesk
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recorded_desk import RecordingError, load

LIVE = LiveDesk()


def test_read_text_replaces_what_is_not_utf8(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"a\xffb\x00\n")
    assert LIVE.read_text(str(path)).text == "a\ufffdb\x00\n"


def test_read_text_refusals_are_values(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    errors = {name: LIVE.read_text(str(tmp_path / name)).error for name in ("nothing", "folder", "loop", "pipe", "file/below")}
    assert errors == {"nothing": "missing", "folder": "unreadable", "loop": "unreadable", "pipe": "unreadable", "file/below": "missing"}
    monkeypatch.setattr(door, "FILE_LIMIT", 10)
    (tmp_path / "long").write_text("x" * 11)
    assert LIVE.read_text(str(tmp_path / "long")).error == "too_large"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_read_text_denied(tmp_path):
    path = tmp_path / "secret"
    path.write_text("x")
    path.chmod(0)
    assert LIVE.read_text(str(path)).error == "denied"


def test_list_dir_and_read_link(tmp_path):
    (tmp_path / "b").write_text("")
    (tmp_path / "a").symlink_to("b")
    assert LIVE.list_dir(str(tmp_path)).names == ("a", "b")
    assert LIVE.list_dir(str(tmp_path / "b")).error == "missing"
    assert LIVE.list_dir(str(tmp_path / "c")).error == "missing"
    assert LIVE.read_link(str(tmp_path / "a")).target == "b"
    assert LIVE.read_link(str(tmp_path / "b")).error == "unreadable"
    assert LIVE.read_link(str(tmp_path / "c")).error == "missing"


@pytest.mark.parametrize(("mode", "parents"), [(0o755, 0o755), (0o700, 0o755)])
def test_folders_have_their_mode_under_every_umask(tmp_path, mode, parents):
    (tmp_path / "kept").mkdir(mode=0o750)
    old = os.umask(0o077)
    try:
        LIVE.make_folder(str(tmp_path / "kept/a/b"), mode)
        LIVE.make_folder(str(tmp_path / "kept/a/b"), 0o711)
    finally:
        os.umask(old)
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "kept", tmp_path / "kept/a", tmp_path / "kept/a/b")]
    assert modes == [0o750, parents, mode]


def test_a_mode_is_never_set_through_a_link(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o600)
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(OSError, match="symbolic links"):
        LIVE.set_mode(str(tmp_path / "link"), 0o755)
    LIVE.set_mode(str(tmp_path / "file"), 0o644)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_commands_work_in_the_root_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert LIVE.run(["pwd"]).stdout == "/\n"


def test_an_unknown_user_is_a_refusal():
    answer = LIVE.run(["id"], user="no-such-user")
    assert (answer.error, answer.rc) == ("denied", None) and "no user no-such-user" in answer.stderr


def python(code: str, **options):
    return LIVE.run([sys.executable, "-c", code], **options)


def test_run_keeps_code_and_both_outputs():
    answer = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (answer.rc, answer.stdout, answer.stderr, answer.error, answer.ok) == (3, "out\n", "err\n", None, False)


def test_run_feeds_stdin_without_deadlock():
    text = "x" * 1_000_000
    assert python("import sys; print(len(sys.stdin.read()))", stdin=text).stdout == "1000000\n"


def test_run_speaks_c_and_hides_the_display(monkeypatch):
    monkeypatch.setenv("LC_MESSAGES", "de_DE.UTF-8")
    monkeypatch.setenv("DISPLAY", ":0")
    code = "import os; print(os.environ.get('LC_ALL'), os.environ.get('LC_MESSAGES'), os.environ.get('DISPLAY'), os.environ.get('EXTRA'))"
    assert python(code, env={"EXTRA": "1"}).stdout == "C None None 1\n"


def test_run_of_a_missing_program():
    answer = LIVE.run(["/nonexistent/program"])
    assert (answer.error, answer.rc, answer.ok) == ("missing", None, False)


def test_run_ends_the_whole_group_at_the_time_limit(tmp_path):
    mark = tmp_path / "pid"
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(mark)!r}, 'w').write(str(child.pid))\n"
        "print('before', flush=True)\ntime.sleep(60)\n"
    )
    begun = time.monotonic()
    answer = python(code, timeout=2.0)
    assert time.monotonic() - begun < 8
    assert (answer.error, answer.rc, answer.stdout) == ("timeout", None, "before\n")
    child = Path(f"/proc/{mark.read_text()}/stat")
    for _attempt in range(50):
        if not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("the command's child outlived the time limit")


def test_run_cuts_endless_output(monkeypatch):
    monkeypatch.setattr(door, "OUTPUT_LIMIT", 1000)
    answer = python("print('x' * 100000)")
    assert (answer.error, len(answer.stdout)) == ("too_large", 1000)


def recording(folder: Path, **texts: str) -> Path:
    (folder / "files/etc").mkdir(parents=True)
    (folder / "recording.yml").write_text(texts.pop("about", "name: x\nsource: test\ndescription: y\n"))
    for name, text in texts.items():
        (folder / f"{name}.yml").write_text(text)
    return folder


def test_recording_answers_in_order_and_repeats_the_last(tmp_path):
    commands = """
- argv: [a]
  responses: [{stdout: one}, {stdout: two, rc: 1}, {error: timeout}]
- {argv: [b, 1], stdout: b}
- {argv: [a], stdout: never}
- {argv: [c], error: missing}
"""
    _about, desk = load(recording(tmp_path, commands=commands))
    answers = [desk.run(["a"]) for _turn in range(4)]
    told = [(item.stdout, item.rc, item.error) for item in answers]
    assert told == [("one", 0, None), ("two", 1, None), ("", None, "timeout"), ("", None, "timeout")]
    assert desk.run(["b", "1"]).ok
    assert desk.run(["b"]).error == "not_recorded"
    assert desk.run(["c"]).error == "missing"


def test_recording_reads_links_from_its_own_root(tmp_path):
    folder = recording(tmp_path, denied="[/etc/secret]", missing="[/run/reboot-required]")
    (folder / "files/etc/real").write_text("text")
    (folder / "files/etc/absolute").symlink_to("/etc/real")
    (folder / "files/etc/out").symlink_to("../../../../../../../../etc/real")
    (folder / "files/etc/round").symlink_to("round")
    (folder / "files/etc/secret").write_text("hidden")
    _about, desk = load(folder)
    assert desk.read_text("/etc/absolute").text == "text"
    assert desk.read_text("/etc/out").text == "text"
    assert desk.read_text("/etc/round").error == "unreadable"
    assert desk.read_text("/etc/secret").error == "denied"
    assert desk.read_text("/etc/other").error == "not_recorded"
    assert desk.read_text("/run/reboot-required").error == "missing"
    assert desk.read_text("/etc").error == "unreadable"
    assert desk.list_dir("/etc").names == ("absolute", "out", "real", "round", "secret")


@pytest.mark.parametrize(
    ("about", "commands"),
    [
        ("[1]", "[]"),
        ("name: x\nexpect: CODE\n", "[]"),
        ("name: x", "{a: b}"),
        ("name: x", "- {rc: 0}"),
        ("name: x", "- {argv: [a], rc: x}"),
    ],
)
def test_recording_that_is_none(tmp_path, about, commands):
    with pytest.raises(RecordingError, match=r".*yml"):
        load(recording(tmp_path, about=about, commands=commands))


def test_a_file_without_end_is_copied_as_far_as_one_may_be_long(tmp_path, monkeypatch):
    """A user may put it in the place of what was sent, and root would fill the disk with it."""
    monkeypatch.setattr(door, "COPY_LIMIT", 1000)
    LIVE.copy_as(None, "/dev/zero", str(tmp_path / "copy"))
    assert (tmp_path / "copy").stat().st_size == 1000


def test_the_program_that_reads_for_a_user_never_holds_our_copy(tmp_path):
    """Its user may take an open file from it, and write into the copy after it was proven."""
    source, target, held = tmp_path / "sent", tmp_path / "copy", []
    os.mkfifo(source)

    def feed():
        with source.open("wb") as file:
            for place in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    if str(source).encode() in place.read_bytes().split(b"\0"):
                        held.extend(os.readlink(item) for item in (place.parent / "fd").iterdir())
            file.write(b"x" * 200_000)

    feeder = threading.Thread(target=feed)
    feeder.start()
    LIVE.copy_as(None, str(source), str(target))
    feeder.join()
    assert target.read_bytes() == b"x" * 200_000
    assert str(source) in held and str(target) not in held


def test_a_copy_is_bounded_by_us_and_not_by_the_program_of_the_user(tmp_path, monkeypatch):
    """Whoever took the pipe may write on, or keep it open."""
    process = subprocess.Popen(["sh", "-c", "yes & sleep 60"], stdout=subprocess.PIPE, start_new_session=True)
    try:
        monkeypatch.setattr(door, "COPY_LIMIT", 100_000)
        with (tmp_path / "copy").open("wb") as file, pytest.raises(OSError, match="larger"):
            door._drain(process, file, time.monotonic() + 20, "sent")
        assert (tmp_path / "copy").stat().st_size <= 100_000
    finally:
        door._end_group(process)
