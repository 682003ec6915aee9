# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No broken answer of a desk raises or hangs: garbage behind any file and command, refusals, folders for files, link loops."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import yaml
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import (
    DENIED,
    MISSING,
    NOT_RECORDED,
    TIMEOUT,
    TOO_LARGE,
    UNREADABLE,
    Answer,
    LiveDesk,
)
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import collect, gather
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict, from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recorded_desk import load
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from .fake_desk import FakeDesk, healthy, said

PATHS = sorted(healthy().files)
COMMANDS = sorted(healthy().commands)
ERRORS = (DENIED, MISSING, NOT_RECORDED, TOO_LARGE, UNREADABLE)
SECONDS = 20.0

garbage = st.one_of(
    st.text(max_size=200),
    st.binary(max_size=200).map(lambda data: data.decode("utf-8", "replace")),
    st.sampled_from(
        ["", "\n", "\x00" * 50, "[" * 5000, "{" * 5000, "9" * 5000, "-1\n", "a" * 100_000, "[{}]", "[[]]", "[null]", '{"lldp": 5}', "nan"]
    ),
)


def facts_of(desk) -> dict:
    """The facts, after a journey through JSON and back into the model."""
    facts = collect(desk)
    plain = as_dict(facts)
    text = json.dumps(plain, allow_nan=False)
    assert from_dict(Desk, json.loads(text)) == facts
    text.encode("utf-8")
    return plain


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_garbage_behind_some_files_and_commands(data):
    desk = healthy()
    for path in data.draw(st.lists(st.sampled_from(PATHS), max_size=12)):
        desk.files[path] = data.draw(garbage)
    for words in data.draw(st.lists(st.sampled_from(COMMANDS), max_size=6)):
        desk.commands[words] = said(data.draw(garbage), data.draw(st.sampled_from([0, 1, 9, 255])), data.draw(garbage))
    facts_of(desk)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_refusals(data):
    desk = healthy()
    for path in data.draw(st.lists(st.sampled_from(PATHS), max_size=30)):
        desk.files.pop(path, None)
        desk.errors[path] = data.draw(st.sampled_from(ERRORS))
    for words in data.draw(st.lists(st.sampled_from(COMMANDS), max_size=8)):
        desk.commands[words] = said(error=data.draw(st.sampled_from([TIMEOUT, DENIED, MISSING, TOO_LARGE])))
    facts_of(desk)


class Babbling(FakeDesk):
    """Answers everything, always with the same text: every folder has the same names, every command the same output."""

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        super().__init__({}, {}, {})
        self.text, self.words = text, names

    def read_text(self, path):
        return type(super().read_text(path))(path, self.text)

    def list_dir(self, path):
        return type(super().list_dir(path))(path, self.words)

    def read_link(self, path):
        return type(super().read_link(path))(path, self.text)

    def run(self, argv, **_options):
        return Answer(tuple(argv), 0, self.text, self.text)


NAMES = st.lists(
    st.one_of(st.text(min_size=1, max_size=12), st.sampled_from(["1", "x.yaml", "vmlinuz-6.1.0-x", "mlx5_0", "a.wants"])), max_size=6
)


@example(text="²", names=[])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=garbage, names=NAMES)
def test_a_desk_that_answers_nonsense_to_everything(text, names):
    facts_of(Babbling(text, tuple(names)))


@pytest.mark.parametrize(
    "text", [*(value for value in ("1\n", "PCI_ID=15B3:1021\nDRIVER=mlx5_core\n", "a" * 1_000_000)), '[{"ifname": []}]']
)
def test_nonsense_in_bounded_time(text):
    begun = time.process_time()
    facts_of(Babbling(text, tuple(f"n{number}" for number in range(300))))
    assert time.process_time() - begun < SECONDS


def broken_recording(folder: Path) -> Path:
    """A recording whose files are folders, loops, broken links, binary, huge or refused, and whose commands hang."""
    files = folder / "files"
    for path, text in healthy().files.items():
        here = files / path.lstrip("/")
        here.parent.mkdir(parents=True, exist_ok=True)
        here.write_text(text)
    (files / "etc/os-release").unlink()
    (files / "etc/os-release").mkdir()
    (files / "etc/os-release/inner").write_text("x")
    loop = files / "proc/meminfo"
    loop.unlink()
    loop.symlink_to("/proc/meminfo2")
    (files / "proc/meminfo2").symlink_to("meminfo")
    (files / "etc/machine-id").unlink()
    (files / "etc/machine-id").symlink_to("/nowhere/at/all")
    (files / "etc/dgx-release").write_bytes(os.urandom(5000))
    (files / "proc/cmdline").write_bytes(b"\xff\xfe\x00" * 100)
    (files / "var/lib/dpkg/status").write_text("x" * 10_000_000)
    (files / "sys/class/net/around").symlink_to("../net")
    (files / "etc/netplan/50-loop.yaml").symlink_to("50-loop.yaml")
    (files / "etc/netplan/60-folder.yaml").mkdir()
    (folder / "recording.yml").write_text(yaml.safe_dump({"name": "broken", "source": "test", "description": "all wrong"}))
    (folder / "denied.yml").write_text(yaml.safe_dump(["/etc/passwd", "/proc/locks"]))
    hanging = [{"argv": words.split(" "), "error": "timeout"} for words in ("nvidia-smi -q", "ip -j addr show", "uname -m")]
    (folder / "commands.yml").write_text(yaml.safe_dump(hanging))
    return folder


def test_a_broken_recording_gives_reasons_and_no_exception(tmp_path):
    begun = time.process_time()
    _recording, desk = load(broken_recording(tmp_path))
    facts = facts_of(desk)
    assert time.process_time() - begun < SECONDS
    assert facts["memory"]["total_kb"] is None
    assert "unreadable" in facts["unread"]["memory.total_kb"]
    assert "timeout" in facts["unread"]["driver.gsp_version"]
    assert facts["dgx_os"]["version"] is None
    assert facts["dgx_os"]["present"] is True
    assert facts["driver"]["packages"] == []
    assert "apt.lock_holder" in facts["unread"]


def test_this_machine_can_be_read():
    facts, processes = gather(LiveDesk())
    assert facts.memory.total_kb is not None and facts.memory.total_kb > 0
    assert processes <= 20
