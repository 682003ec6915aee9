# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a package lock, on desks whose other users may hold any locks of their own."""

from __future__ import annotations

import fcntl
import os

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import LiveDesk
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather import apt
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.apt import FILES
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.ask import Ask
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.reboot import reboot_refusals
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where

from .fake_desk import healthy, said


def held_by(desk, *locks):
    """What is told of the holder, where process 811 is apt-get and others are a user's."""
    desk.files["/proc/locks"] = "".join(f"{number}: POSIX  ADVISORY  WRITE {lock}\n" for number, lock in enumerate(locks, 1))
    desk.files["/proc/811/comm"] = "apt-get\n"
    apt = collect(desk).apt
    return apt.lock_holder, apt.lock_readable


def test_a_file_of_another_file_system_with_the_inodes_number_is_no_package_lock():
    """On a tmpfs (/dev/shm) anybody makes files until one has the number."""
    assert held_by(healthy(), "6 00:1e:11 0 EOF") == (None, True)
    assert held_by(healthy(), "6 00:1e:11 0 EOF", "811 103:02:11 0 EOF") == ("811 apt-get", True)


def test_many_locks_of_a_user_do_not_hide_the_holder():
    many = [f"6 00:1e:5 {2 * number} {2 * number}" for number in range(30_000)]
    assert held_by(healthy(), *many, "811 103:02:12 0 EOF") == ("811 apt-get", True)


@pytest.mark.parametrize("answers", [{}, {"lslocks -J": said("", error="too_large")}, {"lslocks -J": '{"locks": [{"pid": 1, "pa'}])
def test_more_locks_than_can_be_read_are_nobody_knows_who(answers):
    desk = healthy()
    desk.commands |= answers
    assert held_by(desk, *[f"6 00:1e:5 {2 * number} {2 * number}" for number in range(201_000)]) == (None, False)
    facts = collect(desk)
    assert "/proc/locks: too many locks" in facts.unread["apt.lock_holder"]
    found = {item.code: item for item in judge(facts, Where(desk="desk-01"), JudgeOptions())}
    assert "DPKG_LOCKED" not in found and "apt.lock_holder" in found["FACTS_INCOMPLETE"].message
    (refused,) = reboot_refusals(facts, Where(desk="desk-01"))
    assert refused.severity == "unknown" and "too many locks" in refused.message


MOUNTED = "findmnt -n -o MAJ:MIN -T /var/lib/dpkg/lock-frontend"


@pytest.mark.parametrize(
    ("mount", "lock", "told"),
    [
        ("  0:178 \n", "811 00:b2:257 0 EOF", ("811 apt-get", True)),
        ("  0:178 \n", "6 00:b4:257 0 EOF", (None, True)),
        (None, "6 00:b4:256 0 EOF", (None, True)),
        (None, "811 00:b2:257 0 EOF", (None, False)),
    ],
)
def test_a_file_system_without_a_device_of_its_own_is_named_by_its_mount(mount, lock, told):
    """stat tells a device of the subvolume (btrfs) or layer (overlayfs, on two file systems), /proc/locks that of the mount."""
    desk = healthy()
    desk.commands[" ".join(FILES)] = "180 257 /var/lib/dpkg/lock-frontend\n"
    if mount is not None:
        desk.commands[MOUNTED] = mount
    assert held_by(desk, lock) == told


def test_the_holder_on_this_machines_own_file_system(tmp_path, monkeypatch):
    place = tmp_path / "lock-frontend"
    monkeypatch.setattr(apt, "LOCKS", (str(place),))
    monkeypatch.setattr(apt, "FILES", (*FILES[:3], str(place)))
    with place.open("w") as file:
        assert apt.lock_holder(Ask(LiveDesk())) == (None, True, None)
        fcntl.lockf(file, fcntl.LOCK_EX)
        holder, readable, _reason = apt.lock_holder(Ask(LiveDesk()))
    assert readable and holder is not None and holder.startswith(f"{os.getpid()} ")


@pytest.mark.parametrize(("inode", "told"), [(99, (None, True)), (11, (None, False))])
def test_a_recording_of_an_earlier_version_has_inodes_without_devices(inode, told, monkeypatch):
    desk = healthy()
    answer = desk.commands.pop(" ".join(FILES))
    asked = ("stat", "-c", "%i %n", *FILES[3:])
    desk.commands[" ".join(asked)] = answer.replace("66306 ", "")
    monkeypatch.setattr(desk, "recorded_commands", lambda: (asked,))
    assert held_by(desk, f"811 103:02:{inode} 0 EOF") == told
