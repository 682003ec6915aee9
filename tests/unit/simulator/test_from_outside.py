"""What a lab file that somebody sent, a desk, or another user of this machine cannot do to the machine that runs a lab."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sparklab import actions, desks, files, image, net, paths, qemu, recordings, shell, state, vm_image, vmlab, watcher
from sparklab.errors import LabError
from sparklab.lab import load_description

OPTION = "--pre-invoke=touch /tmp/owned"
"""Which dpkg would carry out."""


@pytest.mark.parametrize("fault", ["repo_key_missing", "half_configured", "upgraded_by_hand"])
@pytest.mark.parametrize("name", [OPTION, "", "a b", "A", "a/../b", "a\nb"])
def test_a_package_of_a_fault_is_no_option(fault: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(desks, "inside", lambda _pid, argv, **_more: ran.append(argv))
    _sentence, do, _undo = actions.ACTIONS[fault]
    with pytest.raises(LabError, match="not the name of a package"):
        do(os.getpid(), {"package": name, "version": "1"}, "trixie")
    assert not ran


def test_a_package_of_a_fault_is_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(desks, "inside", lambda _pid, argv, **_more: ran.append(argv))
    actions.remove_repo_key(1, {"package": "dgx-repo"}, "trixie")
    actions.remove_repo_key(1, {}, "trixie")
    assert [argv[-1] for argv in ran] == ["dgx-repo", "nvidia-spark-repo"]


def test_a_process_of_a_fault_is_started_under_a_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a path Python finds its own modules, and a recording may bring some."""
    monkeypatch.syspath_prepend(str(paths.SIMULATOR / "desk"))
    from desklib import effects

    started: list[Any] = []
    monkeypatch.setattr(effects.subprocess, "Popen", lambda argv, **_more: started.append(argv) or SimpleNamespace(pid=1))
    effects.Effects(Path("/nowhere"))._process(None, "gpu_process", {"name": "/opt/desk-state/recording/files/boot/bin/python3"}, {})
    assert started[0][0] == "python3"


def test_a_file_of_a_desk_is_a_file(tmp_path: Path) -> None:
    place = tmp_path / "desk.json"
    for make in (lambda: place.symlink_to("/etc/passwd"), lambda: os.mkfifo(place), place.mkdir, lambda: place.symlink_to("/dev/zero")):
        make()
        with pytest.raises(OSError):
            files.own_text(place)
        place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()
    place.write_text("x" * (files.OWN_LIMIT + 9))
    assert len(files.own_text(place)) == files.OWN_LIMIT


def test_what_a_desk_left_word_of_is_read_from_a_file_alone(tmp_path: Path) -> None:
    lab: Any = SimpleNamespace(record=SimpleNamespace(desk_dir=lambda _name: tmp_path))
    (tmp_path / "power-request").write_text("reboot\n")
    assert watcher.wish(lab, "desk-01") == "reboot"
    (tmp_path / "power-request").write_text("nonsense")
    assert watcher.wish(lab, "desk-01") == ""
    (tmp_path / "power-request").unlink()
    assert watcher.wish(lab, "desk-01") == ""


@pytest.mark.parametrize("said", [b"1" * 4 * files.OWN_LIMIT, b"[" * 500_000 + b"\n", b"[]\n"])
def test_a_desks_hardware_that_says_something_else_says_nothing(said: bytes, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "hw.sock"))
        server.listen(1)
        over = threading.Event()

        def talk() -> None:
            connection, _address = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(said)
                over.wait(30)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        assert desks.hardware(tmp_path, {"op": "reload"}) is None
        over.set()
        thread.join(30)


def test_disks_of_machines_are_for_root_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "STATE_ROOT", tmp_path)
    monkeypatch.setattr(shell, "run", lambda *_words, **_more: None)
    monkeypatch.setattr(qemu, "new_disk", lambda _image, disk: disk.write_text("the desk's password"))
    description: dict[str, Any] = {"desks": {"desk-01": {}, "desk-02": {}}}
    lab = vmlab.VmLab(state.new("vm", description, engine={"name": "qemu"}, subnet=77, enrolled=True, distribution="trixie"))
    monkeypatch.setattr(lab, "_image", lambda _model: None)
    lab.record.dir.mkdir(parents=True)
    lab.create(["desk-01", "desk-02"])
    assert lab._disk("desk-02").exists() and (lab.record.dir / "machines").stat().st_mode & 0o777 == 0o700


def test_no_desk_is_this_machines_router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    (tmp_path / "sparklab77").mkdir()
    monkeypatch.setattr(net, "CONF", tmp_path)
    monkeypatch.setattr(net, "exists", lambda _netns: True)
    monkeypatch.setattr(net, "links", lambda _netns: {})
    monkeypatch.setattr(net, "batch", lambda _netns, lines, **_more: said.extend(lines))
    net.make("lab-x", 77, 0)
    assert (tmp_path / "sparklab77/accept_ra").read_text() == "0" and said[-1] == "link set sparklab77 up"


def test_no_other_user_of_this_machine_holds_a_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "STATE_ROOT", tmp_path / "state")
    with state.choosing(), state.locked("demo"), files.held(tmp_path / "build.lock"):
        found = [tmp_path / "build.lock", *(path for path in (tmp_path / "state").rglob("*") if path.is_file())]
        assert {path.name: path.stat().st_mode & 0o777 for path in found} == {"build.lock": 0o600, ".lock": 0o600, "lock": 0o600}
        # A folder that others may look into is nothing to lock.
        descriptor = os.open(tmp_path / "state", os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
    assert state.names() == []


BOMBS = {
    "aliases": "a: &a [x, x]\nb: [*a, *a]\n",
    "merge keys": "a: {<<: {k: 1}}\n",
    "depth": "[" * 5000,
    "a number in base 60": "a: 1" + ":1" * 4000,
    "a date that is none": "a: 2026-99-99\n",
    "no text": "a: \udcff",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_lab_file_or_recording_that_somebody_sent_is_plain_data(kind: str, tmp_path: Path) -> None:
    (tmp_path / "commands.yml").write_bytes(BOMBS[kind].encode("utf-8", "surrogateescape"))
    with pytest.raises(LabError, match=r"commands\.yml"):
        load_description(tmp_path / "commands.yml")
    with pytest.raises(LabError, match=r"commands\.yml"):
        recordings.commands(tmp_path)


def test_a_pipe_or_device_in_place_of_a_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "commands.yml")
    with pytest.raises(LabError, match="not a regular file"):
        recordings.commands(tmp_path)
    with pytest.raises(LabError, match="not a regular file"):
        load_description(tmp_path / "commands.yml")
    (tmp_path / "files").mkdir()
    os.mkfifo(tmp_path / "files" / "pipe")
    with pytest.raises(LabError, match="not a regular file"):
        recordings.unpack(tmp_path, tmp_path / "state")


def test_no_name_of_a_folder_is_a_command_of_an_image_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my lab; touch owned #"
    (folder / "vm").mkdir(parents=True)
    for name in ("packages.txt", "extra-debs.txt", "vm/packages.txt"):
        (folder / name).write_text("sshd\n")
    monkeypatch.setattr(image, "FOLDER", folder)
    monkeypatch.setattr(vm_image, "FOLDER", folder / "vm")
    monkeypatch.setattr(vm_image.archives, "architecture", lambda _distribution: "amd64")
    ran: list[str] = []
    done = SimpleNamespace(returncode=0)
    monkeypatch.setattr(shell, "run", lambda argv, **_more: ran.extend(argv) or done)
    image._build_trixie(folder / "built")
    vm_image._bootstrap("trixie", folder / "work")
    hooks = [word.partition("=")[2] for word in ran if word.startswith("--customize-hook=") and str(folder) in word]
    assert len(hooks) >= 6 and not [hook for hook in hooks if "owned" in shlex.split(hook, comments=True)]
    assert all(str(folder) in " ".join(shlex.split(hook, comments=True)) for hook in hooks)
