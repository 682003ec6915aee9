"""What is installed for a measurement: only what is missing, noted, and only that removed; the bundle checked file by file."""

from __future__ import annotations

import base64
import contextlib
import errno
import gzip
import hashlib
import io
import json
import os
import resource
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from ansible.errors import AnsibleActionFail
from ansible.module_utils.testing import patch_module_args
from ansible_collections.labops.dgx_spark.plugins.action import nccl_bundle, pair_tools
from ansible_collections.labops.dgx_spark.plugins.module_utils import desk as desk_module
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import bundle, received, tools
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer, Listing, LiveDesk, Text
from ansible_collections.labops.dgx_spark.plugins.modules import nccl_bundle as nccl_bundle_module
from ansible_collections.labops.dgx_spark.plugins.modules import pair_tools as pair_tools_module
from sample_run import run_of
from scripted_action import Script


class AptDesk:
    """A desk with a package database and an archive."""

    def __init__(
        self, present: set[str], archive: dict[str, set[str]], fresh_lists: bool = True, takes_along: tuple[str, ...] = ()
    ) -> None:
        self.present, self.archive, self.fresh, self.takes_along = set(present), archive, fresh_lists, takes_along
        self.left_over: set[str] = set()
        """Packages in state rc."""
        self.broken: dict[str, str] = {}
        """Package to the state in which it got stuck."""
        self.files: dict[str, str] = {}
        self.ran: list[list[str]] = []
        self.folders: list[str] = []
        """Folders that were taken away."""
        self.made: set[str] = set()
        self.accounts: dict[str, str] = {}
        """File to the lines that an installation adds to it."""
        self.needs: dict[str, set[str]] = {}
        """Package to those without which it cannot stay."""
        self.warns = ""
        """What a purge says although it went well."""
        self.says: dict[str, str] = {}
        """Verb of apt-get to the error with which it ends."""

    def run(self, argv, *, timeout: float = 10.0, stdin=None, env=None) -> Answer:
        command = list(argv)
        self.ran.append(command)
        if command[0] == "dpkg-query":
            rows = [f"{name}\t1.0\t{self.broken.get(name, 'installed')}\n" for name in sorted(self.present)]
            return Answer(tuple(command), 0, "".join([*rows, *(f"{name}\t1.0\tconfig-files\n" for name in sorted(self.left_over))]))
        if command[0] == "groupdel":
            lines = self.files["/etc/group"].splitlines(keepends=True)
            self.files["/etc/group"] = "".join(line for line in lines if line.split(":")[0] != command[1])
            return Answer(tuple(command), 0)
        said = next((self.says[verb] for verb in self.says if verb in command), None)
        if said is not None and ("--simulate" in self.says) == ("--simulate" in command):
            return Answer(tuple(command), 100, "", said)
        words = [word for word in command[1:] if not word.startswith("-") and "=" not in word]
        names = [word for word in words if word not in ("install", "remove", "purge", "update")]
        if "update" in command:
            self.fresh = True
        elif "install" in command:
            if not self.fresh or not set(names) <= set(self.archive):
                return Answer(tuple(command), 100, "", "E: Unable to locate package")
            for name in names:
                self.present |= {name, *self.archive[name]}
            for path, lines in self.accounts.items():
                self.files[path] = self.files.get(path, "") + lines
            self.left_over -= self.present
        elif "--simulate" in command:
            verb = "Purg" if "purge" in command else "Remv"
            going = {*names, *self.takes_along}
            while more := {name for name, needs in self.needs.items() if name in self.present and needs & going} - going:
                going |= more
            return Answer(tuple(command), 0, "".join(f"{verb} {name} [1.0]\n" for name in sorted(going)))
        elif "remove" in command:
            self.left_over |= self.present & set(names)
            self.present -= set(names)
        elif "purge" in command:
            self.present -= set(names)
            self.left_over -= set(names)
            return Answer(tuple(command), 0, "", self.warns)
        return Answer(tuple(command), 0)

    def read_text(self, path: str) -> Text:
        return Text(path, self.files.get(path), None if path in self.files else "missing")

    def write_text(self, path: str, text: str, mode: int = 0o644) -> None:
        self.files[path] = text

    def remove(self, path: str) -> None:
        self.files.pop(path, None)

    def list_dir(self, path: str) -> Listing:
        names = tuple(name.removeprefix(path + "/") for name in self.files if name.startswith(path + "/"))
        return Listing(path, names) if names or path in self.made else Listing(path, error="missing")

    def remove_empty_folder(self, path: str) -> None:
        self.folders.append(path)

    def make_folder(self, path: str, mode: int = 0o755) -> None:
        self.made.add(path)


ARCHIVE = {"perftest": {"libibverbs1"}, "openmpi-bin": {"libopenmpi3t64"}}
WANT = ["perftest", "openmpi-bin"]


def test_only_what_is_missing_is_installed_and_all_that_came_is_noted() -> None:
    desk = AptDesk({"perftest", "bash"}, ARCHIVE)
    outcome = tools.install(desk, WANT, [], 60, False)
    assert (outcome.changed, outcome.added) == (True, ["libopenmpi3t64", "openmpi-bin"])
    assert json.loads(desk.files[tools.RECORD]) == {"added": ["libopenmpi3t64", "openmpi-bin"]}
    [install] = [argv for argv in desk.ran if "install" in argv]
    assert "perftest" not in install and "DPkg::Lock::Timeout=60" in install and "--no-remove" in install


def test_nothing_is_done_when_all_is_there() -> None:
    desk = AptDesk({"perftest", "openmpi-bin"}, ARCHIVE)
    assert tools.install(desk, WANT, [], 60, False).commands == []


def test_old_package_lists_are_renewed_once() -> None:
    desk = AptDesk(set(), ARCHIVE, fresh_lists=False)
    assert tools.install(desk, WANT, [], 60, False).changed
    assert sum("update" in argv for argv in desk.ran) == 1


def test_a_package_that_nobody_has_is_named() -> None:
    with pytest.raises(tools.ToolsError, match="openmpi-bin") as caught:
        tools.install(AptDesk(set(), {"perftest": set()}), WANT, [], 60, False)
    assert "Unable to locate" in caught.value.said


def test_check_mode_installs_nothing() -> None:
    desk = AptDesk(set(), ARCHIVE)
    assert tools.install(desk, WANT, [], 60, True).added == WANT
    assert not any("install" in argv for argv in desk.ran)


def test_only_what_was_added_is_removed() -> None:
    desk = AptDesk({"perftest"}, ARCHIVE)
    tools.install(desk, WANT, [], 60, False)
    outcome = tools.remove(desk, 60, False)
    assert outcome.removed == ["libopenmpi3t64", "openmpi-bin"]
    assert desk.present == {"perftest"} and tools.RECORD not in desk.files
    assert not any("autoremove" in argv for argv in desk.ran)


def test_what_we_installed_leaves_no_configuration_and_no_empty_folder() -> None:
    desk = AptDesk({"perftest"}, ARCHIVE)
    tools.install(desk, WANT, [], 60, False)
    assert any("APT::Keep-Downloaded-Packages=false" in argv for argv in desk.ran if "install" in argv)
    desk.present.discard("libopenmpi3t64")
    desk.left_over.add("libopenmpi3t64")  # an admin removed it by hand in between
    outcome = tools.remove(desk, 60, False)
    assert desk.left_over == set() and desk.present == {"perftest"} and outcome.kept == []
    assert desk.folders == ["/var/lib/dgx_spark"]


@pytest.mark.parametrize("had", [frozenset({"perftest", "openmpi-bin"}), frozenset({"perftest"})])
def test_what_others_keep_in_our_folders_stays_and_is_named_also_where_no_package_was_added(had: frozenset[str]) -> None:
    desk = AptDesk(set(had), ARCHIVE)
    desk.files |= {"/etc/dgx_spark/notes.txt": "mine", "/etc/dgx_spark/pair.env~": "old"}
    desk.made.add("/opt/dgx_spark")
    tools.install(desk, WANT, [], 60, False)
    checked = tools.remove(desk, 60, True)
    assert checked.kept == [] and desk.folders == []
    outcome = tools.remove(desk, 60, False)
    [kept] = outcome.kept
    assert kept.startswith("/etc/dgx_spark: notes.txt, pair.env~ ") and "files of others" in kept
    assert outcome.changed and "/opt/dgx_spark" in desk.folders and "/etc/dgx_spark" not in desk.folders
    desk.made.clear()
    again = tools.remove(desk, 60, False)
    assert not again.changed and again.kept == [kept]


def test_a_folder_that_dpkg_leaves_is_named() -> None:
    desk = AptDesk({"perftest"}, ARCHIVE)
    tools.install(desk, WANT, [], 60, False)
    desk.warns = "dpkg: warning: while removing openmpi-bin, directory '/etc/openmpi' not empty so not removed\n"
    kept = tools.remove(desk, 60, False).kept
    assert kept == ["/etc/openmpi: it came with openmpi-bin, and files that are not the package's lie in it"]


def with_accounts(member: str = "") -> AptDesk:
    """A desk on which the packages made a group (with a member) and a user, as their scripts do."""
    desk = AptDesk({"perftest"}, ARCHIVE)
    desk.files |= {"/etc/group": "root:x:0:\nrdma:x:110:\nlab:x:1000:\n", "/etc/passwd": "root:x:0:0::/root:/bin/sh\n"}
    desk.accounts = {"/etc/group": f"munge:x:120:{member}\nmpi:x:121:\n", "/etc/passwd": "munge:x:115:121::/:/bin/false\n"}
    tools.install(desk, WANT, [], 60, False)
    desk.files["/etc/group"] += "later:x:130:\n"
    return desk


def test_groups_that_our_packages_made_go_with_them_and_what_stays_is_named() -> None:
    desk = with_accounts()
    desk.files["/etc/passwd"] = desk.files["/etc/passwd"].replace(":115:121:", ":115:65534:")
    outcome = tools.remove(desk, 60, False)
    assert desk.files["/etc/group"] == "root:x:0:\nrdma:x:110:\nlab:x:1000:\nlater:x:130:\n"
    assert outcome.kept == ["user munge: it came with the packages, and files may belong to it"]
    assert [argv for argv in outcome.commands if argv[0] == "groupdel"] == [["groupdel", "mpi"], ["groupdel", "munge"]]


def test_a_group_that_somebody_is_in_or_that_is_another_one_now_stays() -> None:
    desk = with_accounts("lab")
    assert [text for text in tools.remove(desk, 60, False).kept if text.startswith("group")] == [
        "group mpi: it came with the packages but now has members",
        "group munge: it came with the packages but now has members",
    ]
    other = with_accounts()
    other.files["/etc/group"] = other.files["/etc/group"].replace("munge:x:120", "munge:x:99").replace("mpi:x:121:", "")
    assert not [argv for argv in tools.remove(other, 60, False).commands if argv[0] == "groupdel"]
    checked = with_accounts()
    assert not [argv for argv in tools.remove(checked, 60, True).commands if argv[0] == "groupdel"]


@pytest.mark.parametrize(
    "record", ['{"added": ["openmpi-bin"], "groups": ["mpi"]}', '{"added": ["openmpi-bin"], "groups": {"mpi": "121"}}']
)
def test_a_record_of_another_shape_takes_no_group_away(record: str) -> None:
    desk = with_accounts()
    desk.files[tools.RECORD] = record
    assert not [argv for argv in tools.remove(desk, 60, False).commands if argv[0] == "groupdel"]


def test_what_stays_is_told_on_the_console() -> None:
    kept = ["user munge: it came with the packages", "x\n  desk-09 ok"]
    answer = {"changed": True, "added": [], "removed": ["openmpi-bin"], "kept": kept, "commands": []}
    script = Script("pair_tools", {"state": "absent"}, [answer])
    assert script.run()["changed"] and script.shown == [
        "desk-01 keeps user munge: it came with the packages",
        "desk-01 keeps x   desk-09 ok",
    ]


def test_configuration_that_was_there_before_stays_and_is_named() -> None:
    desk = AptDesk({"perftest"}, ARCHIVE)
    desk.left_over.add("openmpi-bin")
    desk.files["/var/lib/dgx_spark/driver_lock"] = "x"
    tools.install(desk, WANT, [], 60, False)
    outcome = tools.remove(desk, 60, False)
    assert desk.left_over == {"openmpi-bin"} and desk.present == {"perftest"} and desk.folders == []
    assert "openmpi-bin: its configuration files were on the desk before" in outcome.kept
    assert any("driver_lock" in text for text in outcome.kept)


@pytest.mark.parametrize("state", ["half-configured", "unpacked", "half-installed"])
def test_a_package_of_ours_that_got_stuck_is_removed_too(state: str) -> None:
    desk = AptDesk({"perftest"}, ARCHIVE)
    desk.broken["libopenmpi3t64"] = state
    tools.install(desk, WANT, [], 60, False)
    assert json.loads(desk.files[tools.RECORD])["added"] == ["libopenmpi3t64", "openmpi-bin"]
    outcome = tools.remove(desk, 60, False)
    assert desk.present == {"perftest"} and outcome.removed == ["libopenmpi3t64", "openmpi-bin"]


def test_nothing_is_removed_when_something_else_would_go_along() -> None:
    desk = AptDesk(set(), ARCHIVE, takes_along=("dgx-release",))
    tools.install(desk, WANT, [], 60, False)
    outcome = tools.remove(desk, 60, False)
    assert {"openmpi-bin", "libopenmpi3t64", "perftest"} <= desk.present and outcome.removed == []
    assert not any("purge" in command and "--simulate" not in command for command in desk.ran)
    assert "libibverbs1, libopenmpi3t64, openmpi-bin, perftest: needed by dgx-release, which others installed" in " ".join(outcome.kept)


def test_what_others_installed_keeps_what_it_needs_and_no_more() -> None:
    """apt install python3-mpi4py after the stack: it needs Open MPI, and nobody needs perftest."""
    desk = AptDesk(set(), ARCHIVE)
    desk.accounts = {"/etc/group": "rdma:x:110:\n"}
    tools.install(desk, WANT, [], 60, False)
    desk.present.add("python3-mpi4py")
    desk.needs = {"python3-mpi4py": {"libopenmpi3t64"}, "openmpi-bin": {"libopenmpi3t64"}}
    rehearsed = tools.remove(desk, 60, True)
    assert rehearsed.removed == ["libibverbs1", "openmpi-bin", "perftest"] and {"openmpi-bin", "perftest"} <= desk.present
    outcome = tools.remove(desk, 60, False)
    assert desk.present == {"python3-mpi4py", "libopenmpi3t64"} and outcome.removed == rehearsed.removed
    told = "libopenmpi3t64: needed by python3-mpi4py, which others installed; once that is gone: sudo apt-get purge libopenmpi3t64"
    assert outcome.kept == rehearsed.kept == [told]
    assert "rdma" in desk.files["/etc/group"], "a package that stays may use the group"
    assert tools.RECORD not in desk.files


def test_alternatives_of_which_one_is_needed_are_left() -> None:
    """Each alone may go, both together take away what others installed."""
    desk = AptDesk(set(), ARCHIVE)
    tools.install(desk, WANT, [], 60, False)
    usual = desk.run

    def run(argv, **more):
        answer = usual(argv, **more)
        both = "--simulate" in argv and {"openmpi-bin", "perftest"} <= set(argv)
        return Answer(answer.argv, 0, f"{answer.stdout}Purg lab-tool [1.0]\n") if both else answer

    desk.run = run
    with pytest.raises(tools.ToolsError, match="lab-tool would be removed as well, so nothing was removed"):
        tools.remove(desk, 60, False)
    assert "openmpi-bin" in desk.present and "perftest" in desk.present


def run_module(desk: AptDesk, state: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The finding of the module on such a desk."""
    monkeypatch.setattr(pair_tools_module, "LiveDesk", lambda: desk)
    monkeypatch.setattr(pair_tools_module, "claim", lambda *_given: None)
    with patch_module_args({"state": state, "packages": WANT, "desk": "desk-01"}), pytest.raises(SystemExit):
        pair_tools_module.main()
    [found] = json.loads(capsys.readouterr().out)["findings"]
    return dict(found)


PROXY = "W: Failed to fetch http://ports.ubuntu.com/ubuntu-ports/dists/noble/InRelease  407  Proxy Authentication Required\n"


@pytest.mark.parametrize(
    ("says", "told", "cure"),
    [
        ({"install": "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (aptd)\n"}, "aptd", "named process"),
        ({"install": "E: You don't have enough free space in /var/cache/apt/archives/.\n"}, "enough free space", "Free some space"),
        ({"install": "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'\n"}, "interrupted", "dpkg"),
        ({"install": "E: Unable to locate package openmpi-bin\n", "update": PROXY}, "ports.ubuntu.com", "proxy"),
        ({"install": "E: Unable to locate package openmpi-bin\n"}, "locate package openmpi-bin", "pair_tools_debs"),
    ],
)
def test_apts_own_reason_and_its_cure_are_told(
    says: dict[str, str], told: str, cure: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = AptDesk({"perftest"}, ARCHIVE)
    desk.says = says
    found = run_module(desk, "present", monkeypatch, capsys)
    assert found["code"] == "PAIR_TOOLS_MISSING" and told in found["message"]
    assert cure in found["remedy"] and ("pair_tools_debs" in found["remedy"]) == (cure in ("proxy", "pair_tools_debs"))


@pytest.mark.parametrize(
    ("says", "told", "cure"),
    [
        ({"--simulate": "E: Unmet dependencies. Try 'apt --fix-broken install'.\n"}, "Unmet dependencies", "unstack_pair.yml"),
        ({"purge": "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (aptd)\n"}, "aptd", "named process"),
    ],
)
def test_what_keeps_our_packages_is_told_with_what_to_do(
    says: dict[str, str], told: str, cure: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = AptDesk({"perftest"}, ARCHIVE)
    tools.install(desk, WANT, [], 60, False)
    desk.says = says
    found = run_module(desk, "absent", monkeypatch, capsys)
    assert told in found["message"] and cure in found["remedy"] and "pair_tools_debs" not in found["remedy"]
    assert "openmpi-bin" in desk.present


HELD = (
    "The following packages will be REMOVED:\n  openmpi-bin* perftest*\nThe following held packages will be changed:\n"
    "  openmpi-bin perftest\n0 upgraded, 0 newly installed, 2 to remove and 0 not upgraded.\n"
)
"""What apt 2.6 and 2.7 say before they refuse."""
REFUSED = "E: Held packages were changed and -y was used without --allow-change-held-packages.\n"


def test_packages_that_somebody_holds_are_named_with_the_command_that_lets_them_go(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = AptDesk(set(), ARCHIVE)
    tools.install(desk, WANT, [], 60, False)
    usual = desk.run
    monkeypatch.setattr(
        desk, "run", lambda argv, **more: Answer(tuple(argv), 100, HELD, REFUSED) if "purge" in argv else usual(argv, **more), raising=False
    )
    found = run_module(desk, "absent", monkeypatch, capsys)
    assert "on hold: openmpi-bin, perftest" in found["message"] and "REMOVED" not in found["message"]
    assert "sudo apt-mark unhold openmpi-bin perftest" in found["remedy"] and "dpkg" not in found["remedy"]


@pytest.mark.parametrize(("state", "method"), [("present", "write_text"), ("absent", "remove")])
def test_a_record_that_cannot_be_changed_is_no_matter_of_packages(
    state: str, method: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = AptDesk({"perftest"}, ARCHIVE)
    if state == "absent":
        tools.install(desk, WANT, [], 60, False)

    def refuse(path: str, *_words: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    monkeypatch.setattr(desk, method, refuse, raising=False)
    found = run_module(desk, state, monkeypatch, capsys)
    assert tools.RECORD in found["message"] and "findmnt" in found["remedy"] and "package source" not in found["remedy"]


def test_without_a_note_nothing_is_removed() -> None:
    assert not tools.remove(AptDesk({"perftest"}, ARCHIVE), 60, False).changed


# The bundle.


def made(folder: Path, key: str = "k") -> Path:
    """A bundle of small files."""
    built = folder / "built"
    built.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in ("lib/libnccl.so.2", "bin/all_gather_perf"):
        path = built / name.replace("/", "_")
        path.write_text(name, encoding="ascii")
        files[name] = str(path)
    manifest = {"schema": bundle.SCHEMA, "key": key, "files": {name: bundle.digest(path) for name, path in files.items()}}
    target = folder / "bundle.tar.gz"
    target.unlink(missing_ok=True)
    bundle.pack(files, manifest, str(target))
    return target


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = made(tmp_path / "a"), made(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


def test_install_swaps_the_whole_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "OWN_FOLDER", str(tmp_path))
    folder = tmp_path / "nccl"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "old").write_text("x", encoding="ascii")
    bundle.install(str(made(tmp_path)), str(folder))
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["all_gather_perf", "libnccl.so.2", "manifest.json"]
    assert os.access(folder / "bin/all_gather_perf", os.X_OK)
    kept = tmp_path / "nccl.old"
    kept.mkdir()
    bundle.install(str(made(tmp_path / "again", "other")), str(folder))
    assert kept.is_dir() and not [path for path in tmp_path.iterdir() if path.name.startswith(".nccl")]


@pytest.mark.parametrize(
    ("number", "cure"),
    [(errno.ENOSPC, "df -i"), (errno.EROFS, "findmnt"), (errno.EPERM, "lsattr"), (errno.EIO, "what is wrong with")],
)
@pytest.mark.parametrize("place", ["room", "folder"])
def test_a_bundle_that_cannot_be_written_is_no_failed_build(
    place: str, number: int, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where the inodes of /opt or of /var/tmp are used up."""
    archive = made(tmp_path)
    monkeypatch.setattr(bundle, "OWN_FOLDER", str(tmp_path))
    monkeypatch.setattr(nccl_bundle_module, "claim", lambda *_given: None)

    def refuse(path: str | None = None, *_words: Any, **more: Any) -> None:
        raise OSError(number, os.strerror(number), path or f"{more.get('dir')}/x")

    if place == "room":
        monkeypatch.setattr(received.tempfile, "mkdtemp", refuse)
    else:
        monkeypatch.setattr(bundle, "make_folder", refuse)
    given = {"archive": str(archive), "sha256": received.digest(str(archive)), "folder": str(tmp_path / "nccl"), "desk": "desk-01"}
    with patch_module_args(given), pytest.raises(SystemExit):
        nccl_bundle_module.main()
    [found] = json.loads(capsys.readouterr().out)["findings"]
    assert found["code"] == "NCCL_BUNDLE_FAILED" and os.strerror(number) in found["message"]
    assert "last lines" not in found["remedy"] and cure in found["remedy"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_folder_of_others_is_neither_swapped_nor_removed(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """-e nccl_bundle_folder=/usr/local, by somebody who wants the bundle below it."""
    folder = tmp_path / "usr/local"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/theirs").write_text("x", encoding="ascii")
    archive = str(made(tmp_path))
    monkeypatch.setattr(nccl_bundle_module, "claim", lambda *_given: None)
    monkeypatch.setattr(nccl_bundle_module, "present", lambda given, folder: bundle.install(given["archive"], folder))
    with patch_module_args({"state": state, "folder": str(folder), "archive": archive, "desk": "desk-01"}), pytest.raises(SystemExit):
        nccl_bundle_module.main()
    [found] = json.loads(capsys.readouterr().out)["findings"]
    assert found["code"] == "NCCL_BUNDLE_FAILED" and "holds something else than a bundle (bin)" in found["message"]
    assert (folder / "bin/theirs").exists() and not list(tmp_path.glob("usr/local.*"))
    for wrong in ("/", "/opt", "opt/nccl"):
        with pytest.raises(bundle.BundleError, match="not a folder for a bundle"):
            bundle.refuse_foreign(wrong.rstrip("/"))


@pytest.mark.parametrize("which", ["nccl", "."])
def test_a_link_in_the_place_of_our_folder_is_named_and_not_replaced(which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, elsewhere = tmp_path / "dgx_spark", tmp_path / "data"
    monkeypatch.setattr(bundle, "OWN_FOLDER", str(own))
    elsewhere.mkdir()
    link = own / which
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere)
    archive = str(made(tmp_path))
    for _run in range(2):
        with pytest.raises(bundle.BundleError, match="is a symbolic link") as caught:
            bundle.install(archive, str(own / "nccl"))
        assert str(elsewhere) in caught.value.text and "bind mount" in caught.value.text
    assert link.is_symlink() and not list(elsewhere.iterdir()) and not Path(f"{own}/nccl.old").exists()


@pytest.mark.parametrize(
    ("mode", "linked", "state"),
    [
        *(
            (mode, linked, state)
            for mode, linked in ((0o777, 0), (0o775, 0), (0o777, 1), (0o777, 2))
            for state in ("present", "absent", "built")
        ),
        (0o1777, 0, "present"),
    ],
)
def test_root_uses_no_folder_in_whose_place_others_may_put_something(
    mode: int, linked: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """-e nccl_bundle_folder=/data/nccl on a desk whose /data is for everybody; ``linked``: a link in there leads to where only root is (1),
    and so does a link of root's elsewhere that leads to it (2)."""
    archive, data, roots = str(made(tmp_path)), tmp_path / "data", tmp_path / "roots"
    (roots / "lib").mkdir(parents=True)
    (roots / "lib/libnccl.so.2").symlink_to(roots / "shadow")
    (roots / "shadow").write_text("root:secret", encoding="ascii")
    data.mkdir()
    folder = data / "nccl"
    if state != "present":
        bundle.install(archive, str(folder))
    (data / ".nccl.new").symlink_to(roots)
    if linked:
        data.rename(tmp_path / "kept")
        data.mkdir()
        (data / "way").symlink_to(tmp_path / "kept")
        folder = data / "way/nccl"
    if linked == 2:
        (tmp_path / "short").symlink_to(data / "way")
        folder = tmp_path / "short/nccl"
    data.chmod(mode)
    monkeypatch.setattr(nccl_bundle_module, "claim", lambda *_given: None)
    monkeypatch.setattr(nccl_bundle_module, "present", lambda given, folder: bundle.install(given["archive"], folder))
    arguments = {"state": state, "folder": str(folder), "archive": archive, "key": "k", "desk": "desk-01"}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        nccl_bundle_module.main()
    [found] = json.loads(capsys.readouterr().out)["findings"]
    assert found["code"] == "NCCL_BUNDLE_FAILED" and f"others may change {data} (mode {mode:o}" in found["message"]
    assert (roots / "shadow").read_text(encoding="ascii") == "root:secret" and folder.exists() is (state != "present")


@pytest.mark.parametrize("left", ["link", "file", "folder"])
def test_what_lies_where_the_new_bundle_is_unpacked_is_taken_away(left: str, tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "opt/.nccl.new", tmp_path / "elsewhere"
    place.parent.mkdir()
    elsewhere.mkdir()
    {"link": lambda: place.symlink_to(elsewhere), "file": place.touch, "folder": lambda: (place / "lib").mkdir(parents=True)}[left]()
    bundle.install(str(made(tmp_path)), str(tmp_path / "opt/nccl"))
    assert (tmp_path / "opt/nccl/manifest.json").is_file() and not (tmp_path / "opt/nccl").is_symlink()
    assert not list(elsewhere.iterdir()) and not place.exists()


def test_a_pipe_in_the_place_of_a_manifest_holds_nobody_up(tmp_path: Path) -> None:
    folder = tmp_path / "opt/nccl"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "manifest.json")
    assert not bundle.repack(str(folder), "k", str(tmp_path / "again"))
    with pytest.raises(bundle.BundleError, match="something else than a bundle"):
        bundle.install(str(made(tmp_path)), str(folder))


def test_the_manifest_on_disk_has_the_checksum_that_the_controller_expects(tmp_path: Path) -> None:
    archive, folder = made(tmp_path), tmp_path / "nccl"
    bundle.install(str(archive), str(folder))
    expected = hashlib.sha256(bundle.manifest_of(str(archive)).encode()).hexdigest()
    assert bundle.digest(str(folder / "manifest.json")) == expected


def test_a_file_that_does_not_match_keeps_the_old_bundle(tmp_path: Path) -> None:
    folder = tmp_path / "nccl"
    bundle.install(str(made(tmp_path)), str(folder))
    files = {"lib/libnccl.so.2": str(tmp_path / "built" / "lib_libnccl.so.2")}
    bad = tmp_path / "bad.tar.gz"
    bundle.pack(files, {"schema": bundle.SCHEMA, "key": "k", "files": {"lib/libnccl.so.2": "0" * 64}}, str(bad))
    with pytest.raises(bundle.BundleError, match="its manifest says"):
        bundle.install(str(bad), str(folder))
    assert (folder / "bin/all_gather_perf").exists()


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil"
    path.write_text("x", encoding="ascii")
    archive = tmp_path / "evil.tar.gz"
    bundle.pack({"../evil": str(path)}, {"schema": bundle.SCHEMA, "key": "k", "files": {"../evil": bundle.digest(str(path))}}, str(archive))
    with pytest.raises(bundle.BundleError, match="points outside"):
        bundle.install(str(archive), str(tmp_path / "nccl"))


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b broken"])
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    with pytest.raises(bundle.BundleError, match="is not an NCCL bundle"):
        bundle.manifest_of(str(path))


def test_an_installed_bundle_is_packed_again_only_for_the_same_wishes_and_whole(tmp_path: Path) -> None:
    folder, target = tmp_path / "nccl", tmp_path / "again.tar.gz"
    archive = made(tmp_path)
    bundle.install(str(archive), str(folder))
    assert not bundle.repack(str(folder), "other wishes", str(target))
    assert bundle.repack(str(folder), "k", str(target))
    assert target.read_bytes() == archive.read_bytes()
    (folder / "lib/libnccl.so.2").write_text("changed", encoding="ascii")
    assert not bundle.repack(str(folder), "k", str(target))


def test_the_key_depends_on_sources_and_flags(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "Makefile").write_text("all:\n", encoding="ascii")
    given = {"gencode": "x", "cache": str(tmp_path / "cache"), "nccl": {"archive": str(source)}, "nccl_tests": {"url": "u", "tag": "v1"}}
    first = nccl_bundle.Wishes(given).key
    assert nccl_bundle.Wishes({**given, "gencode": "y"}).key != first
    assert nccl_bundle.Wishes({**given, "cuda_home": "/usr/local/cuda-13.0"}).key != first
    assert nccl_bundle.Wishes({**given, "cuda_home": "/usr/local/cuda"}).key == first, "what was built with the default is kept"
    assert nccl_bundle.Wishes({**given, "nccl_tests": {"url": "u", "tag": "v2"}}).key != first
    (source / "Makefile").write_text("all: x\n", encoding="ascii")
    assert nccl_bundle.Wishes(given).key != first


def test_a_manifest_without_end_is_not_read(tmp_path: Path) -> None:
    """It comes from the builder desk; a few kilobytes that unpack to gigabytes would fill the controller's memory."""
    archive = tmp_path / "bomb.tar.gz"
    entry = tarfile.TarInfo(bundle.MANIFEST)
    entry.size = 96 << 20
    with tarfile.open(archive, "w:gz") as file:
        file.addfile(entry, io.BytesIO(b" " * entry.size))
    tracemalloc.start()
    try:
        with pytest.raises(bundle.BundleError, match="at most"):
            bundle.manifest_of(str(archive))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_token_in_the_link_of_a_repository_goes_into_no_manifest(tmp_path: Path) -> None:
    """The manifest lies on every desk for everybody, the commands in the report."""
    commands: list[list[str]] = []
    desk: Any = SimpleNamespace(run=lambda argv, **_more: Answer(tuple(argv), 0, f"{'a' * 40}\n"))
    spec = bundle.Spec((bundle.Source("nccl"), bundle.Source("nccl-tests")), commands=commands)
    got = bundle._fetch(desk, spec, bundle.Source("nccl", "https://bob:s3cret@git.lab/nccl", "v1"), str(tmp_path))
    assert got["url"] == "https://git.lab/nccl" and "s3cret" not in repr(commands) and "git.lab" in repr(commands)


class Repository(BaseHTTPRequestHandler):
    """A git server that wants a login, and looks at the command lines of this machine while it is asked."""

    logins: ClassVar[list[str]]
    seen: ClassVar[list[str]]

    def do_GET(self) -> None:
        """Ask for a login, then have no such repository."""
        given = self.headers.get("Authorization", "")
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                self.seen.append(path.read_bytes().decode("utf-8", "replace"))
        if given:
            self.logins.append(base64.b64decode(given.removeprefix("Basic ")).decode())
        self.send_response(404 if given else 401)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.end_headers()

    def log_message(self, *_words: Any) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("login", "told"),
    [("bob:s3cret%2F%25", "bob:s3cret/%"), ("bob@corp.example:s3cret@1", "bob@corp.example:s3cret@1"), ("s3cret", "s3cret:")],
)
def test_the_login_of_a_repository_is_in_no_command_line(tmp_path: Path, login: str, told: str) -> None:
    """Any user of the builder desk sees them."""
    Repository.logins, Repository.seen = [], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Repository) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        spec = bundle.Spec((bundle.Source("nccl"), bundle.Source("nccl-tests")))
        source = bundle.Source("nccl", f"http://{login}@127.0.0.1:{server.server_port}/nccl", "v1")
        with pytest.raises(bundle.BundleError) as error:
            bundle._fetch(LiveDesk(), spec, source, str(tmp_path))
        server.shutdown()
    assert Repository.logins[:1] == [told], error.value.said
    assert any("remote-http" in line for line in Repository.seen) and not [line for line in Repository.seen if "s3cret" in line]
    assert "s3cret" not in error.value.said + error.value.text


@pytest.mark.parametrize("url", ["https://git.example/x.git", "ssh://git@git.example/x.git", "git@git.example:x.git", "/srv/git/a@b.git"])
def test_a_link_without_a_secret_stays_as_it_is(url: str) -> None:
    assert bundle.login_of(url) == (url, {})


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_without_end_is_not_read(tmp_path: Path, kind: bytes) -> None:
    """tarfile reads a header as large as the archive says."""
    archive = tmp_path / "bomb.tar.gz"
    entry = tarfile.TarInfo("header")
    entry.type, entry.size = kind, 96 << 20
    with tarfile.open(archive, "w:gz", format=tarfile.USTAR_FORMAT) as file:
        file.addfile(entry, io.BytesIO(b"0" * entry.size))
    tracemalloc.start()
    try:
        with pytest.raises(bundle.BundleError, match="more than a bundle has"):
            bundle.manifest_of(str(archive))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_an_archive_of_very_many_files_is_not_read(tmp_path: Path) -> None:
    """tarfile keeps a record of each: a few megabytes from the builder desk took the controller's whole memory."""
    archive = tmp_path / "many.tar.gz"
    with gzip.open(archive, "wb", 1) as file:
        file.write(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT) * 20_000)
    tracemalloc.start()
    try:
        with pytest.raises(bundle.BundleError, match="more than 64 files"):
            bundle.manifest_of(str(archive))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_bundle_unpacks_to_no_more_than_a_bundle_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root of every desk unpacks it; a few kilobytes filled their disks."""
    archive = made(tmp_path)
    monkeypatch.setattr(bundle, "UNPACKED_LIMIT", 1000)
    with pytest.raises(bundle.BundleError, match="more than a bundle has"):
        bundle.install(str(archive), str(tmp_path / "opt/nccl"))
    assert not (tmp_path / "opt/nccl").exists()


def test_a_manifest_that_is_a_link_or_nested_is_no_manifest(tmp_path: Path) -> None:
    for name, text in (("link", None), ("nested", b"[" * 200_000)):
        archive = tmp_path / f"{name}.tar.gz"
        entry = tarfile.TarInfo(bundle.MANIFEST)
        entry.size = len(text or b"")
        if text is None:
            entry.type, entry.linkname = tarfile.SYMTYPE, "lib/libnccl.so.2"
        with tarfile.open(archive, "w:gz") as file:
            file.addfile(entry, io.BytesIO(text or b""))
        with pytest.raises(bundle.BundleError, match="not an NCCL bundle"):
            bundle.manifest_of(str(archive))


def nest(folder: Path, levels: int) -> None:
    """A folder in a folder in a folder, more than a path can name."""
    here = os.open(folder, os.O_RDONLY)
    for _level in range(levels):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


@pytest.mark.parametrize("whose", ["left by others", "of the build"])
def test_a_folder_that_somebody_nested_without_end_stops_no_build(public: Path, monkeypatch: pytest.MonkeyPatch, whose: str) -> None:
    """Anybody may make it in /var/tmp under a name like ours, and the user who builds in our own; Python cannot remove it."""
    monkeypatch.setattr(received, "PLACE", str(public))
    trap = public / f"{received.HANDED_PREFIX}abcd_123"
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        if whose == "left by others":
            trap.mkdir()
            nest(trap, sys.getrecursionlimit() + 200)
            os.utime(trap, (1, 1))
        # As many open files as a login has.
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
        with received.room() as room:
            if whose == "of the build":
                nest(Path(received.given_away(room, "nobody")), sys.getrecursionlimit() + 200)
        assert not list(public.iterdir())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        subprocess.run(["rm", "-rf", str(trap)], check=False)


def test_a_ready_bundle_must_match_its_checksum(tmp_path: Path) -> None:
    archive = made(tmp_path)
    good = nccl_bundle.Wishes({"archive": str(archive), "checksum": "sha256:" + bundle.digest(str(archive))})
    assert good.given_archive() == archive
    with pytest.raises(bundle.BundleError, match="was expected"):
        nccl_bundle.Wishes({"archive": str(archive), "checksum": "0" * 64}).given_archive()
    with pytest.raises(bundle.BundleError, match="is not a file"):
        nccl_bundle.Wishes({"archive": str(tmp_path / "none"), "checksum": "0" * 64}).given_archive()


def spec_of(folder: Path, tmp_path: Path, user: str | None) -> bundle.Spec:
    """Both programs from one folder of source."""
    archive = nccl_bundle.packed(folder, tmp_path / "cache")
    sources = []
    for name in ("nccl", "nccl-tests"):
        copy = tmp_path / f"{name}.tar"
        copy.write_bytes(archive.read_bytes())
        copy.chmod(0o644)
        sources.append(bundle.Source(name, archive=str(copy)))
    return bundle.Spec((sources[0], sources[1]), mpi_home="/usr", user=user)


def source(tmp_path: Path, makefile: str) -> Path:
    """A folder of source."""
    folder = tmp_path / "nccl"
    folder.mkdir()
    (folder / "Makefile").write_text(makefile, encoding="ascii")
    return folder


def test_a_link_in_a_folder_of_source_brings_no_file_of_the_controller_to_a_desk(tmp_path: Path) -> None:
    folder, private = source(tmp_path, "src.build:\n"), tmp_path / "id_ed25519"
    private.write_text("PRIVATE", encoding="ascii")
    (folder / "LICENSE").symlink_to("../id_ed25519")
    (folder / "home").symlink_to(tmp_path)
    (folder / "more.mk").symlink_to("Makefile")
    archive = nccl_bundle.packed(folder, tmp_path / "cache")
    assert b"PRIVATE" not in archive.read_bytes()
    with tarfile.open(archive) as file:
        found = {item.name: item.linkname for item in file.getmembers()}
    assert found == {"nccl/LICENSE": "../id_ed25519", "nccl/Makefile": "", "nccl/home": str(tmp_path), "nccl/more.mk": "Makefile"}


@pytest.mark.parametrize(
    ("mode", "foreign", "sent"), [(0o777, False, True), (0o755, True, True), (0o1777, True, False), (0o777, True, False)]
)
def test_a_bundle_that_another_user_laid_into_a_folder_of_everybodys_goes_to_no_desk(
    mode: int, foreign: bool, sent: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """-e nccl_bundle_cache=/var/tmp/nccl: its name follows from what everybody knows, and what is in it runs on every desk."""
    cache = tmp_path / "cache"
    sources = {"nccl": {"url": "u", "tag": "v1"}, "nccl_tests": {"url": "t", "tag": "v2"}}
    script = Script("nccl_bundle", {"state": "present", "cache": str(cache), **sources}, [{"changed": True}])
    path = nccl_bundle.Wishes(script.action._checked()).cached
    cache.mkdir()
    cache.chmod(mode)
    made(tmp_path).rename(path)
    if foreign:
        if os.geteuid() == 0:
            os.chown(path, 4242, 4242)
        monkeypatch.setattr(nccl_bundle.os, "geteuid", lambda: 4243)
    answer = script.run(run=run_of(folder=tmp_path))
    assert (len(script.asked) == 1) is sent, answer
    assert sent or ("NCCL_BUNDLE_FAILED" in str(answer["findings"]) and "nccl_bundle_cache" in answer["msg"])


def test_what_lies_under_the_name_of_a_packed_source_is_no_proof_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "nccl"
    folder.mkdir()
    (folder / "a.c").write_text("int a;\n")
    archive = nccl_bundle.packed(folder, tmp_path / "cache")
    good = archive.read_bytes()
    archive.write_bytes(b"somebody else's")
    assert nccl_bundle.packed(folder, tmp_path / "cache").read_bytes() == good
    assert [item.name for item in (tmp_path / "cache").iterdir()] == [archive.name]


def test_a_build_that_fails_shows_its_last_lines(tmp_path: Path) -> None:
    spec = spec_of(source(tmp_path, "src.build:\n\t@echo the compiler is missing >&2; exit 3\n"), tmp_path, None)
    with received.room() as room, pytest.raises(bundle.BundleError, match="NCCL could not be built") as caught:
        bundle.build(LiveDesk(), spec, room, "k")
    assert "the compiler is missing" in caught.value.said


class ToldDesk(AptDesk):
    """Keeps what each apt-get is started with."""

    def __init__(self) -> None:
        super().__init__(set(), {"perftest": set()})
        self.environments: list[dict[str, str]] = []

    def run(self, argv, *, timeout: float = 10.0, stdin=None, env=None) -> Answer:
        if argv[0] == "apt-get":
            self.environments.append(dict(env or {}))
        return super().run(argv, timeout=timeout, stdin=stdin, env=env)


def test_no_apt_has_root_look_into_the_programs_of_users() -> None:
    """needrestart follows what stands in the environment of everybody's programs (CVE-2024-48990)."""
    desk = ToldDesk()
    tools.install(desk, ["perftest"], [], 300, False)
    tools.remove(desk, 300, False)
    assert len(desk.environments) >= 3 and all(told.get("NEEDRESTART_SUSPEND") == "1" for told in desk.environments)


class OtherCommit(LiveDesk):
    """A desk to which the repository gives another commit under the tag."""

    def run(self, argv: Sequence[str], **_more: Any) -> Answer:
        """See `Desk`."""
        return Answer(tuple(argv), 0, "f" * 40 + "\n" if "rev-parse" in argv else "")


def test_a_tag_that_was_moved_is_not_built() -> None:
    sources = tuple(bundle.Source(name, url=f"https://example.org/{name}", tag="v1", commit="0" * 40) for name in ("nccl", "nccl-tests"))
    spec = bundle.Spec((sources[0], sources[1]))
    with received.room() as room, pytest.raises(bundle.BundleError, match=f"nccl v1 has commit {'f' * 40}; {'0' * 40} was expected"):
        bundle.build(OtherCommit(), spec, room, "k")
    assert not [argv for argv in spec.commands if argv[0] == "make"]


def test_no_user_knows_the_next_room_or_sees_into_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(received, "PLACE", str(tmp_path))
    seen = []
    for _time in range(20):
        with received.room() as room:
            seen.append(room)
            assert os.lstat(room).st_mode & 0o7777 == 0o700 and os.lstat(room).st_uid == os.geteuid()
    assert len(set(seen)) == 20 and not list(tmp_path.iterdir())


MAKES = """all: src.build
\tmkdir -p build && printf program > build/all_gather_perf && printf program > build/all_reduce_perf
src.build:
\tid -un > who && stat -c '%U %a' $$TMPDIR > scratch && mkdir -p build/lib && {library}
"""
BUILDS = "printf library > build/lib/libnccl.so.2.1 && ln -s libnccl.so.2.1 build/lib/libnccl.so.2"


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that another user may enter; pytest's own shut everybody out."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    with received.room() as room:
        os.chmod(room, 0o755)
        yield Path(room)


def test_a_bundle_is_built_as_the_user_and_packed_from_our_own_copies(public: Path) -> None:
    spec = spec_of(source(public, MAKES.format(library=BUILDS)), public, "nobody")
    with received.room() as room:
        manifest, archive = bundle.build(LiveDesk(), spec, room, "k")
        assert sorted(manifest["files"]) == ["bin/all_gather_perf", "bin/all_reduce_perf", "lib/libnccl.so.2"]
        assert os.stat(archive).st_mode & 0o777 == 0o600 and os.stat(archive).st_uid == 0
        who = list(Path(room).rglob("who"))
        assert who and {path.read_text(encoding="ascii") for path in who} == {"nobody\n"} and os.stat(room).st_mode & 0o777 == 0o711
        # nvcc's files between its steps have names that another user can make first where many may write.
        assert {path.read_text(encoding="ascii") for path in Path(room).rglob("scratch")} == {"nobody 700\n"}
        bundle.install(archive, str(public / "installed"))
        handed = received.handed(archive, "nobody")
    about = os.lstat(os.path.dirname(handed))
    assert (about.st_uid, about.st_mode & 0o777) == (65534, 0o700) and nccl_bundle.BUILT.fullmatch(handed)
    assert LiveDesk().run(["rm", "-rf", os.path.dirname(handed)], user="nobody").ok and not os.path.exists(os.path.dirname(handed))
    assert (public / "installed/lib/libnccl.so.2").read_text(encoding="ascii") == "library" and not os.path.exists(room)


@pytest.mark.parametrize("makes", ["ln -s {secret} build/lib/libnccl.so.2", "mkfifo build/lib/libnccl.so.2 && (sleep 9; true)"])
def test_what_a_build_leads_to_is_read_with_the_users_rights_alone(public: Path, makes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "COPY_SECONDS", 2.0)
    secret = public / "shadow"
    secret.write_text("root:hash", encoding="ascii")
    secret.chmod(0o600)
    spec = spec_of(source(public, MAKES.format(library=makes.format(secret=secret))), public, "nobody")
    with received.room() as room:
        with pytest.raises(bundle.BundleError, match=r"the build did not produce .*libnccl"):
            bundle.build(LiveDesk(), spec, room, "k")
        assert not any(b"hash" in path.read_bytes() for path in Path(room).iterdir() if path.is_file())


def test_a_source_that_was_sent_is_for_the_user_who_builds_alone(public: Path) -> None:
    """The way through root's folder is open to everybody while that user builds."""
    sent = public / "sent.tar"
    sent.write_bytes(b"the lab's own")
    sent.chmod(0o644)
    asked = {"archive": str(sent), "sha256": bundle.digest(str(sent))}
    with received.room() as room:
        copy = nccl_bundle_module.source(LiveDesk(), "nccl", asked, "nobody", room).archive
        received.given_away(room, "nobody")
        assert LiveDesk().run(["cat", copy], user="nobody").stdout == "the lab's own"
        assert not LiveDesk().run(["cat", copy], user="daemon").ok and os.stat(copy).st_uid == 0


def test_a_folder_that_a_user_leads_elsewhere_is_not_looked_into(public: Path) -> None:
    """-e nccl_bundle_folder=/home/lab/b/nccl, where b is that user's link."""
    private, home = public / "private", public / "home"
    (private / "nccl/of-root").mkdir(parents=True)
    private.chmod(0o700)
    home.mkdir()
    (home / "b").symlink_to(private)
    os.chown(home, 65534, 65534)
    with pytest.raises(bundle.BundleError, match="is not root's alone") as caught:
        bundle.refuse_foreign(str(home / "b/nccl"))
    assert "of-root" not in str(caught.value)
    with pytest.raises(bundle.BundleError, match="is not root's alone"):
        bundle.repack(str(home / "b/nccl"), "k", str(public / "again"))


@pytest.mark.parametrize("whose", ["", "lib"])
def test_a_bundle_that_a_user_may_change_is_not_packed_again(public: Path, monkeypatch: pytest.MonkeyPatch, whose: str) -> None:
    """As where an admin made the folder of nccl_bundle_folder for the login user: between two looks a file there becomes a link."""
    folder, secret = public / "data/nccl", public / "root-only"
    secret.write_text("secret", encoding="ascii")
    secret.chmod(0o600)
    bundle.install(str(made(public)), str(folder))
    os.chown(folder / whose, 65534, 65534)
    whole = bundle.digest

    def looked_at(path: str) -> str:
        found = whole(path)
        if path.startswith(str(folder / "lib")):
            os.unlink(path)
            os.symlink(secret, path)
        return found

    monkeypatch.setattr(bundle, "digest", looked_at)
    assert not bundle.repack(str(folder), "k", str(public / "again"))
    assert not (public / "again").exists()


def test_a_file_that_was_swapped_after_it_was_announced_is_not_used(public: Path) -> None:
    archive = made(public)
    announced = bundle.digest(str(archive))
    with received.room() as room:
        assert bundle.digest(received.received(LiveDesk(), str(archive), announced, None, room, "good")) == announced
        archive.write_bytes(b"another bundle")
        with pytest.raises(received.ReceivedError, match="was announced"):
            received.received(LiveDesk(), str(archive), announced, None, room, "bad")
    (public / "root-only").write_text("secret", encoding="ascii")
    (public / "root-only").chmod(0o600)
    archive.unlink()
    archive.symlink_to(public / "root-only")
    with received.room() as room, pytest.raises(received.ReceivedError, match="cannot be read"):
        received.received(LiveDesk(), str(archive), announced, "nobody", room, "link")


def test_a_room_that_a_killed_module_left_is_cleared_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(received, "PLACE", str(tmp_path))
    for name in ("dgx-spark-old", "dgx-spark-handed-old", "dgx-spark-new", "of-others"):
        (tmp_path / name).mkdir()
        if name != "dgx-spark-new":
            os.utime(tmp_path / name, (1, 1))
    with received.room():
        pass
    assert sorted(item.name for item in tmp_path.iterdir()) == ["dgx-spark-new", "of-others"]


def test_installed_files_are_for_everybody_under_a_strict_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        bundle.install(str(made(tmp_path)), str(tmp_path / "opt/nccl"))
    finally:
        os.umask(old)
    modes = {path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777 for path in (tmp_path / "opt").rglob("*")}
    assert modes.pop("opt/nccl/manifest.json") == 0o644 and set(modes.values()) == {0o755}


def test_a_tag_keeps_the_commit_that_was_built_first(tmp_path: Path) -> None:
    wishes = nccl_bundle.Wishes(
        {"cache": str(tmp_path), "nccl": {"url": "u", "tag": "v1"}, "nccl_tests": {"url": "t", "tag": "v2", "commit": "c"}}
    )
    assert wishes.pinned("nccl") == {"url": "u", "tag": "v1"}
    wishes.pin({"sources": [{"url": "u", "tag": "v1", "commit": "a" * 40}, {"url": "other", "tag": "v1", "commit": "b" * 40}, 7]})
    assert wishes.pinned("nccl")["commit"] == "a" * 40 and wishes.pinned("nccl_tests")["commit"] == "c"
    wishes.pin({"sources": [{"url": "u", "tag": "v1", "commit": "f" * 40}]})
    secret = nccl_bundle.Wishes({**wishes.given, "nccl": {"url": "https://bob:s3cret@git.lab/x", "tag": "v2"}})
    secret.pin({"sources": [{"url": "https://git.lab/x", "tag": "v2", "commit": "c" * 40}]})
    assert secret.pinned("nccl")["commit"] == "c" * 40 and "s3cret" not in (secret.cache / nccl_bundle.COMMITS).read_text()
    assert wishes.pinned("nccl")["commit"] == "a" * 40
    assert "other" not in (tmp_path / nccl_bundle.COMMITS).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", ["/etc", "/var/tmp/dgx-spark-handed-abcdefgh/../../../etc/bundle.tar.gz", "/var/tmp/dgx_spark_nccl_bundle.tar.gz", ""]
)
def test_a_desk_cannot_name_another_place_to_fetch_and_remove(path: str) -> None:
    assert nccl_bundle.BUILT.fullmatch(path) is None


@pytest.mark.parametrize(("size", "fits"), [(4096, True), (4097, False)])
def test_a_desk_cannot_fill_the_controllers_disk(size: int, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    action, target = Script("nccl_bundle").action, tmp_path / "bundle.tar.gz"
    monkeypatch.setattr(nccl_bundle, "ARCHIVE_LIMIT", 4096)
    removed: list[str] = []
    action._connection = SimpleNamespace(
        fetch_file=lambda _path, local: Path(local).write_bytes(b"x" * size),
        _shell=SimpleNamespace(remove=lambda path, recurse: path),
    )
    action._low_level_execute_command = lambda command, sudoable: removed.append(command)
    told = {"archive": "/var/tmp/dgx-spark-handed-abcdefgh/bundle.tar.gz", "sha256": hashlib.sha256(b"x" * size).hexdigest()}
    if fits:
        action._fetch(told, target)
    else:
        with pytest.raises(bundle.BundleError, match="at most"):
            action._fetch(told, target)
    # The limit is for the fetching alone.
    (tmp_path / "other").write_bytes(b"x" * 10000)
    assert removed == ["/var/tmp/dgx-spark-handed-abcdefgh"]


def test_package_files_must_have_their_checksums(tmp_path: Path) -> None:
    deb = tmp_path / "perftest.deb"
    deb.write_bytes(b"x")
    got = bundle.digest(str(deb))
    assert pair_tools.proven([str(deb)], {}) == pair_tools.proven([str(deb)], {"perftest.deb": f"sha256:{got}"}) == {"perftest.deb": got}
    with pytest.raises(AnsibleActionFail, match="was expected"):
        pair_tools.proven([str(deb)], {"perftest.deb": "0" * 64})
    with pytest.raises(AnsibleActionFail, match="has no checksum for perftest"):
        pair_tools.proven([str(deb)], {"another.deb": got})


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ({"url": "u", "tag": "v2.30.4-1"}, True),
        ({"url": "u", "tag": "v2.30.4"}, True),
        ({"url": "u", "tag": "v2.30.3-1"}, False),
        ({"url": "u", "tag": "v2.31.2-1"}, False),
        ({"archive": "/srv/nccl.tar", "tag": "v2.30.4-1"}, False),
        ({}, False),
    ],
)
def test_a_tag_with_a_known_fault_is_not_built(source: dict[str, str], refused: bool) -> None:
    found = nccl_bundle.Wishes({"nccl": source}).refused("desk-01")
    assert [item.code for item in found] == (["NCCL_BUNDLE_FAILED"] if refused else [])
    assert not refused or ("2.30.4" in found[0].message and "nccl_bundle_nccl" in found[0].remedy)


def wheel(folder: Path, name: str = "nvidia_nccl_cu13-2.31.2-py3-none-manylinux_2_18_aarch64.whl") -> tuple[Path, str]:
    """A wheel in the layout of NVIDIA's (nvidia-nccl-cu13 2.31.2), and its SHA-256."""
    path = folder / name
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("nvidia/nccl/include/nccl.h", "header")
        packed.writestr("nvidia/nccl/lib/libnccl.so.2", "library of the wheel")
        packed.writestr("nvidia_nccl_cu13-2.31.2.dist-info/RECORD", "")
    path.chmod(0o644)
    return path, bundle.digest(str(path))


def test_a_wheel_needs_its_checksum_its_name_and_a_version_without_a_known_fault(tmp_path: Path) -> None:
    path, checksum = wheel(tmp_path)
    wishes = nccl_bundle.Wishes({"library": "wheel", "nccl": {"archive": str(path), "checksum": f"sha256:{checksum}"}})
    wishes.check()
    assert wishes.version == "2.31.2" and wishes.refused("desk-01") == []
    assert wishes.pinned("nccl") == {"version": "2.31.2", "archive": str(path)}
    for nccl, words in (
        ({"archive": str(path)}, "no checksum"),
        ({"archive": str(path), "checksum": "0" * 64}, "has SHA-256"),
        ({"archive": str(tmp_path / "nccl.tar.gz"), "checksum": checksum}, "aarch64.whl was expected"),
        ({"archive": str(tmp_path / "nvidia_nccl_cu13-2.31.2-py3-none-manylinux_2_18_x86_64.whl")}, "aarch64.whl was expected"),
        ({"url": "u", "tag": "v2.31.2-1"}, "aarch64.whl was expected"),
    ):
        with pytest.raises(bundle.BundleError, match=words):
            nccl_bundle.Wishes({"library": "wheel", "nccl": nccl}).check()
    old, checksum = wheel(tmp_path, "nvidia_nccl_cu13-2.28.9-py3-none-manylinux_2_18_aarch64.whl")
    [found] = nccl_bundle.Wishes({"library": "wheel", "nccl": {"archive": str(old), "checksum": checksum}}).refused("desk-01")
    assert found.code == "NCCL_BUNDLE_FAILED" and "libnccl2" in found.message


def test_the_desks_own_library_needs_its_version() -> None:
    good = nccl_bundle.Wishes({"library": "system", "nccl": {"version": "2.28.9-1+cuda13.0"}})
    good.check()
    assert good.refused("desk-01") == [] and good.pinned("nccl") == {"version": "2.28.9-1+cuda13.0"}
    for nccl in ({}, {"version": "newest"}, {"version": "2.28.9-1+cuda13.0 --allow-downgrades"}, {"url": "u", "tag": "v2.31.2-1"}):
        with pytest.raises(bundle.BundleError, match="version in nccl_bundle_nccl"):
            nccl_bundle.Wishes({"library": "system", "nccl": nccl}).check()
    assert nccl_bundle.Wishes({"library": "system", "nccl": {"version": "2.30.4-1+cuda13.0"}}).refused("desk-01")


def test_the_key_tells_where_the_library_comes_from() -> None:
    given = {"gencode": "x", "nccl": {"version": "2.28.9-1+cuda13.0", "checksum": "a"}, "nccl_tests": {"url": "u", "tag": "v1"}}
    keys = {library: nccl_bundle.Wishes({**given, "library": library}).key for library in bundle.LIBRARIES}
    assert len(set(keys.values())) == 3
    assert keys["build"] == nccl_bundle.Wishes(given).key, "what was built before the choice existed is kept"
    other = {**given, "library": "system", "nccl": {"version": "2.28.10-1+cuda13.0"}}
    assert nccl_bundle.Wishes(other).key != keys["system"]


TESTS_ONLY = """all:
\ttest -f $(NCCL_HOME)/include/nccl.h && test -f $(NCCL_HOME)/lib/libnccl.so
\tmkdir -p build && printf program > build/all_gather_perf && printf program > build/all_reduce_perf
"""


def test_only_nccl_tests_are_compiled_against_a_wheel(public: Path) -> None:
    path, checksum = wheel(public)
    spec = spec_of(source(public, TESTS_ONLY), public, "nobody")
    of_wheel = bundle.Source("nccl", archive=str(path), version="2.31.2")
    spec = bundle.Spec((of_wheel, spec.sources[1]), library="wheel", mpi_home="/usr", user="nobody")
    with received.room() as room:
        manifest, archive = bundle.build(LiveDesk(), spec, room, "k")
        bundle.install(archive, str(public / "bundle"))
    assert manifest["library"] == {"from": "wheel", "version": "2.31.2"} and manifest["sources"][0]["commit"] == checksum
    assert (public / "bundle/lib/libnccl.so.2").read_text(encoding="ascii") == "library of the wheel"
    assert not any("src.build" in command for command in spec.commands)


def test_only_nccl_tests_are_compiled_against_the_desks_own_library(public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (public / "libnccl.so.2").write_text("library of the desk", encoding="ascii")
    (public / "nccl.h").write_text("header", encoding="ascii")
    for name in ("libnccl.so.2", "nccl.h"):
        (public / name).chmod(0o644)
    monkeypatch.setattr(bundle, "library_folders", lambda _desk: [str(public)])
    monkeypatch.setattr(bundle, "HEADER", str(public / "nccl.h"))
    tests = spec_of(source(public, TESTS_ONLY), public, "nobody").sources[1]
    own = bundle.Source("nccl", version="2.28.9-1+cuda13.0")
    spec = bundle.Spec((own, tests), library="system", mpi_home="/usr", user="nobody")
    with received.room() as room:
        manifest, archive = bundle.build(LiveDesk(), spec, room, "k")
        bundle.install(archive, str(public / "bundle"))
    assert manifest["library"] == {"from": "system", "version": "2.28.9-1+cuda13.0"}
    assert (public / "bundle/lib/libnccl.so.2").read_text(encoding="ascii") == "library of the desk"
    monkeypatch.setattr(bundle, "library_folders", lambda _desk: [])
    with received.room() as room, pytest.raises(bundle.BundleError, match="was not found"):
        bundle.build(LiveDesk(), spec, room, "k")


class PinnedDesk(AptDesk):
    """Its archive has each package in one version, which must be asked for."""

    def run(self, argv, *, timeout: float = 10.0, stdin=None, env=None) -> Answer:
        if "install" in argv:
            self.ran.append(list(argv))
            self.present |= {word.partition("=")[0] for word in argv if word.endswith("=1.0")}
            return Answer(tuple(argv), 0)
        return super().run(argv, timeout=timeout, stdin=stdin, env=env)


def test_the_desks_own_library_is_installed_in_its_version_where_it_is_missing() -> None:
    desk = PinnedDesk({"libnccl2"}, {})
    assert tools.install_version(desk, bundle.SYSTEM_PACKAGES, "1.0", 60).added == ["libnccl-dev"]
    [install] = [argv for argv in desk.ran if "install" in argv]
    assert install[-1] == "libnccl-dev=1.0" and json.loads(desk.files[tools.RECORD]) == {"added": ["libnccl-dev"]}
    assert not tools.install_version(desk, bundle.SYSTEM_PACKAGES, "1.0", 60).changed


def test_another_version_of_the_desks_own_library_is_left_alone() -> None:
    desk = PinnedDesk({"libnccl2", "libnccl-dev"}, {})
    with pytest.raises(tools.ToolsError, match=r"libnccl2 1\.0, libnccl-dev 1\.0 is installed; version 2\.0 was expected"):
        tools.install_version(desk, bundle.SYSTEM_PACKAGES, "2.0", 60)
    assert not any("install" in argv for argv in desk.ran)


@pytest.mark.parametrize("beside", [(), ("others",)])
def test_the_folder_of_the_bundle_goes_with_it_when_nothing_else_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: tuple[str, ...]
) -> None:
    own = tmp_path / "dgx_spark"
    for name in ("nccl", *beside):
        (own / name).mkdir(parents=True)
    monkeypatch.setattr(nccl_bundle_module, "OWN", str(own))
    monkeypatch.setattr(nccl_bundle_module, "claim", lambda *_given: None)
    with patch_module_args({"state": "absent", "folder": str(own / "nccl")}), pytest.raises(SystemExit):
        nccl_bundle_module.main()
    assert own.exists() is bool(beside) and not (own / "nccl").exists()


def test_only_an_empty_folder_is_removed(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("x")
    (tmp_path / "empty").mkdir()
    for name in ("full", "empty", "none"):
        LiveDesk().remove_empty_folder(str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


@pytest.mark.parametrize("login", ["ana", "ana:Gletscher77", "ana:Gletscher@77", "Gletscher77@corp.example:x@y"])
def test_no_part_of_a_login_stays_in_a_link(login: str) -> None:
    assert bundle.without_login(f"https://{login}@git.example/x.git") == "https://git.example/x.git"
