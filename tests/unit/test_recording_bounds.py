# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording that somebody sent cannot swell, reach out of its folder or be read by others; and every question has a rule."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
import sys
import time
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import Options, collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.recorder import RecordingDesk
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import recording_policy, recording_writer
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.one_pattern import literals
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.plain_yaml import PlainYamlError
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.plain_yaml import load as load_yaml
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recorded_desk import RecordingError, load
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recording_writer import (
    ShapeError,
    recorded_from_dict,
    sanitised,
    unpacked,
    write,
)
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.sanitiser import Sanitiser

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "tests" / "recordings").glob("*/recording.yml"))
BOMBS = {
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n",
    "merge keys": "a: &a {k: 1}\nb: {<<: *a}\n",
    "merge keys without aliases": "b: {<<: {k: 1}}\n",
    "depth": "[" * 5000 + "]" * 5000,
    "values": "[" + "1," * 200_100 + "1]",
    "a number in base 60": "a: 1" + ":1" * 4000,
    "a number by its tag": "a: !!int '1" + ":1" * 4000 + "'",
    "a number that no text can show": "a: 0x" + "f" * 10_000,
}


def packed(data: Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(data).encode())).decode()


@pytest.mark.parametrize("kind", BOMBS)
def test_yaml_that_swells_is_refused(kind: str) -> None:
    with pytest.raises(PlainYamlError):
        load_yaml(BOMBS[kind])


def test_yaml_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(PlainYamlError, match="longer than 10"):
        load_yaml("a: " + "b" * 20, 10)


@pytest.mark.parametrize("name", ["recording.yml", "commands.yml", "denied.yml", "missing.yml", "links.yml"])
@pytest.mark.parametrize("kind", ["aliases", "merge keys"])
def test_a_recording_with_a_bomb_is_one_line(kind: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "recording.yml").write_text("name: x\n")
    (tmp_path / name).write_text(BOMBS[kind])
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/replay.py"), str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1 and name in done.stderr and "not read" in done.stderr


def test_a_compressed_bomb_is_refused_while_it_is_small() -> None:
    opener = zlib.compressobj(9)
    block = b"\x00" * (1 << 20)
    bomb = base64.b64encode(b"".join([opener.compress(block) for _block in range(800)]) + opener.flush()).decode()
    tracemalloc.start()
    with pytest.raises(ShapeError, match="larger than"):
        unpacked(bomb)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * recording_writer.UNPACKED_LIMIT


@pytest.mark.parametrize(
    "answer",
    [
        None,
        5,
        "no base64!",
        base64.b64encode(b"not compressed").decode(),
        base64.b64encode(zlib.compress(b"{")[:-4]).decode(),
        base64.b64encode(zlib.compress(b"[" * 100_000)).decode(),
        packed([]),
        packed({"files": ["x"]}),
        packed({"files": {"/a": 5}}),
        packed({"files": {"/" + "a" * 5000: "x"}}),
        packed({"folders": {"/a": [5]}}),
        packed({"folders": {"/a": "b"}}),
        packed({"links": {"/a": None}}),
        packed({"denied": "x"}),
        packed({"missing": [5]}),
        packed({"commands": [{"argv": [], "responses": [{}]}]}),
        packed({"commands": [{"argv": ["a"], "responses": []}]}),
        packed({"commands": [{"argv": ["a", 5], "responses": [{}]}]}),
        packed({"commands": [{"argv": ["a"], "responses": [{"rc": "0; x"}]}]}),
        packed({"commands": [{"argv": ["a"], "responses": [{"error": "odd"}]}]}),
        packed({"commands": [{"argv": ["a"], "responses": [{"stdout": ["x"]}]}]}),
        packed({"files": {f"/{number}": "" for number in range(50_001)}}),
    ],
)
def test_what_is_no_recording_is_refused_with_words(answer: Any) -> None:
    with pytest.raises(ShapeError) as error:
        unpacked(answer)
    assert len(str(error.value)) < 400


def test_the_names_of_a_desk_are_bounded_and_take_time_with_their_number_alone() -> None:
    """Each was held against every other one, and each place of a text against all of them: 2000 accounts took a minute and a half."""

    def clean(count: int) -> None:
        accounts = "".join(f"u{number}x:x:{1000 + number}:1000:Person{number}:/h{number}z/u{number}x:/bin/sh\n" for number in range(count))
        sanitised(recorded_from_dict({"files": {"/etc/passwd": accounts}}), Sanitiser("recorded-01", hostnames=["a"], users=["lab"]))

    begun = time.process_time()
    clean(1500)
    assert time.process_time() - begun < 15.0
    with pytest.raises(recording_writer.LeakError, match=r"names 6001 accounts.*at most 5000"):
        clean(2000)


def test_one_pattern_finds_the_longest_of_many_names() -> None:
    values = ["ana", "anakowalska", "Anna", "zebra", "zebra-17", "z.b*", "a" * 300, "a" * 299 + "b", "İx", "ß"]
    pattern = re.compile(literals(values), re.IGNORECASE)
    for value in values:
        assert pattern.fullmatch(value) and pattern.fullmatch(value.swapcase() if value.isascii() else value), value
    assert pattern.findall("ANAKOWALSKA, zebra-1 zebra-17 zxbb an") == ["ANAKOWALSKA", "zebra", "zebra-17"]
    assert literals([]) == ""


def test_what_the_module_sends_is_unpacked() -> None:
    recorded = unpacked(packed({"files": {"/a": "1"}, "commands": [{"argv": ["a"], "responses": [{"rc": 0, "extra": "x"}]}]}))
    assert recorded.files == {"/a": "1"}
    assert recorded.commands == ({"argv": ["a"], "responses": [{"rc": 0}]},)


def test_a_recording_is_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(recorded_from_dict({"files": {"/etc/os-release": "x\n"}, "folders": {"/empty": []}}), tmp_path / "new/a", {"name": "a"})
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in [tmp_path / "new", *(tmp_path / "new").rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_links_are_data_and_never_lead_out_of_the_folder(tmp_path: Path) -> None:
    links = {
        "/etc/a": "/root/.ssh/id_ed25519",
        "/etc/b": "../../../../../../../../etc/passwd",
        "/sys/class/net/x": "../../devices/x",
        "/../../out": "/etc",
        "/boot": "/",
    }
    files = {"/sys/devices/x/address": "1\n", "/boot/grub/grubenv": "x\n"}
    folder = write(
        recorded_from_dict({"files": files, "links": links, "folders": {"/sys/class/net": ["x"]}}), tmp_path / "a", {"name": "a"}
    )
    assert [path for path in folder.rglob("*") if path.is_symlink()] == []
    _about, desk = load(folder)
    assert desk.read_link("/etc/a").target == "/root/.ssh/id_ed25519"
    assert desk.read_text("/etc/a").text is None and desk.read_text("/etc/b").text is None
    assert desk.read_text("/sys/class/net/x/address").text == "1\n"
    assert desk.list_dir("/sys/class/net").names == ("x",)
    assert not (tmp_path / "out").exists() and not (folder / "files/boot").exists()


@pytest.mark.parametrize("name", ["files", "recording.yml", "commands.yml", "links.yml"])
def test_a_link_in_place_of_a_part_is_not_followed(name: str, tmp_path: Path) -> None:
    """It would show the reader's own files as the desk's, and a report would send them on."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("name: stolen\n")
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "recording.yml").write_text("name: x\n")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / ("secret" if name == "files" else "secret/file"))
    with pytest.raises(RecordingError, match=r"symbolic link|not a regular file"):
        load(folder)


def test_a_real_link_in_a_hand_made_recording_is_read_from_the_desks_root(tmp_path: Path) -> None:
    (tmp_path / "files/etc").mkdir(parents=True)
    (tmp_path / "recording.yml").write_text("name: x\n")
    (tmp_path / "files/etc/mine").symlink_to(ROOT / "README.md")
    _about, desk = load(tmp_path)
    assert desk.read_text("/etc/mine").error == "not_recorded"


def test_only_a_recording_is_replaced(tmp_path: Path) -> None:
    recorded = recorded_from_dict({"files": {"/etc/x": "1\n"}})
    (tmp_path / "work").mkdir()
    (tmp_path / "work/thesis").write_text("x")
    with pytest.raises(FileExistsError, match="is not a recording"):
        write(recorded, tmp_path / "work", {"name": "a"}, replace=True)
    (tmp_path / "link").symlink_to(tmp_path / "work")
    with pytest.raises(FileExistsError):
        write(recorded, tmp_path / "link", {"name": "a"}, replace=True)
    assert (tmp_path / "work/thesis").read_text() == "x"


def test_a_stand_in_is_never_a_value_of_the_original() -> None:
    """A desk whose root file system has the very UUID that the first stand-in would be, and one that was recorded before."""
    sanitiser = Sanitiser("recorded-01", hostnames=["spark-7f3a"], users=["lab"])
    texts = [
        "root=UUID=00000000-0000-4000-8000-000000000001 and 4d8a6d4c-7a9a-4b7c-9d55-2f6a1b0c9e11",
        "serial: S00000000001 serial: QX77712345 host spark-7f3a by account1 lab",
        "mac 02:00:00:00:01:44 4c:11:22:33:44:4e 0200:0000:0000:0001 4c11:2203:0033:444e",
        "mail person1@example.org ana@zebra-gmbh.de",
        "address 10.0.0.7/24 10.20.30.7/24 2001:db8::1 2003:e5:1f00::17",
    ]
    for text in texts:
        sanitiser.learn_file("/x", text)
    everything = "\n".join(texts)
    for text in texts:
        new = sanitiser.text(text)
        assert sanitiser.leaks(new) == []
        words = {word for word in new.split() if any(item.isdigit() for item in word)}
        assert {word for word in words if word in everything.split() and word != "account1"} == set()


def test_a_stacked_desk_with_a_stand_in_for_its_root_can_be_recorded() -> None:
    recording, desk = load(ROOT / "tests/recordings/founders_stacked")
    recorder = RecordingDesk(desk)
    facts = collect(recorder, Options(login_user=recording.login_user, include_serial=True))
    data = recorder.recorded()
    data["files"]["/proc/cmdline"] = "BOOT_IMAGE=/boot/vmlinuz root=UUID=00000000-0000-4000-8000-000000000001 ro\n"
    clean = sanitised(recorded_from_dict(data), Sanitiser("recorded-01", hostnames=[facts.identity.hostname or ""], users=["lab"]))
    assert "000000000001" not in clean.files["/proc/cmdline"] and "root=UUID=00000000-0000-4000-8000-" in clean.files["/proc/cmdline"]


@pytest.mark.parametrize("folder", FOLDERS[::4], ids=[folder.name for folder in FOLDERS[::4]])
def test_every_question_has_a_rule(folder: Path) -> None:
    """A new question to the desks without a line in recording_policy would be missing in every recording."""
    recording, desk = load(folder)
    asked: set[str] = set()

    class Spy(RecordingDesk):
        def read_text(self, path: str) -> Any:
            asked.add(path)
            return super().read_text(path)

        def run(self, argv: Any, **more: Any) -> Any:
            if recording_policy.command_rule(argv) is None:
                asked.add("command " + " ".join(argv))
            return super().run(argv, **more)

    collect(Spy(desk), Options(login_user=recording.login_user, include_serial=True))
    assert len(asked) > 30
    assert sorted(item for item in asked if item.startswith("command ") or recording_policy.file_rule(item) is None) == []


def test_what_no_rule_names_is_not_recorded() -> None:
    for path in (
        "/etc/shadow",
        "/root/.netrc",
        "/home/lab/.ssh/id_ed25519",
        "/proc/1/environ",
        "/proc/1/cmdline",
        "/sys/class/net/a/ifalias",
        "/x",
    ):
        assert recording_policy.reduced_file(path, "secret", ()) is None
        assert recording_policy.reduced_file(f"/etc/netplan/../..{path}", "secret", ()) is None
    for line in (
        "env",
        "cat /etc/shadow",
        "sudo env",
        "/usr/bin/env",
        "sudo -n cat /etc/shadow",
        "systemctl show x",
        "nmcli connection show x",
    ):
        assert recording_policy.reduced_output(line.split(), "secret", ()) is None


PUMPS = {
    "/etc/netplan/01.yaml": "\n" * 60_000,
    "/etc/hosts": "eyJ-" * 40_000,
    "/proc/meminfo": "eyJ-" * 40_000,
    "/etc/resolv.conf": "search" + " " * 60_000 + "#",
    "/etc/os-release": "Domains=" + " " * 60_000 + "#",
    "/etc/dgx-release": "ssid=a" + " " * 120_000 + '""a',
    "/proc/version": "access-points:\n" + " " * 60_000,
    "/proc/cmdline": "phys_switch_id" + " " * 60_000,
    "hostnamectl": "\n" * 60_000,
    "/proc/uptime": "password" + " " * 60_000,
    "/proc/stat": "authorization: x" + "y " * 60_000,
    "/proc/modules": "serial number" + " " * 60_000 + "A" * 60_000,
    "/proc/loadavg": "token A" * 20_000,
    "/proc/locks": "aB3" * 40_000,
    "dmesg": f"[    1.0] nvidia: {'task a' * 9000}\n[    1.0] NVRM: {'name=' * 9000}\n[    1.0] BUG: {'[a' * 9000}",
    "journalctl -k": f"[    1.0] a kernel: mlx5_core {'/a' * 9000}",
    "nvidia-smi": "/:" * 20_000,
    "nvidia-smi -q": "            Name : " + "a/" * 40_000,
    "nvidia-smi --query-compute-apps=pid": "a/" * 40_000,
}


@pytest.mark.parametrize("place", sorted(PUMPS))
def test_a_text_that_is_made_to_be_slow_is_read_in_time(place: str) -> None:
    """Each took minutes: the time grew with the square of the length, and a desk may give far longer ones."""
    text = PUMPS[place] + "\x01"
    data: dict[str, Any] = {"files": {place: text}} if place.startswith("/") else {}
    if not data:
        data = {"commands": [{"argv": place.split(), "responses": [{"rc": 0, "stdout": text}]}]}
    begun = time.process_time()
    sanitised(recorded_from_dict(data), Sanitiser("recorded-01"))
    assert time.process_time() - begun < 10.0
