"""Every shipped recording, replayed: the findings it expects and no louder one; and what a recorder writes replays the same."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import Options, collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import DOMAINS
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import JudgeOptions, judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.recorder import RecordingDesk
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recorded_desk import load
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recording_writer import recorded_from_dict, sanitised, write
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.sanitiser import Sanitiser

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "tests" / "recordings").glob("*/recording.yml"))
LOUD = ("warn", "unknown", "fail")
HEALTHY = (
    *("founders_7_2_3", "founders_7_5_0", "founders_7_6_0", "founders_stacked", "founders_without_root", "asus_gx10", "lenovo_pgx"),
    *("msi_edgexpert", "gigabyte_atom_no_cable", "dell_promax", "hp_zgx", "spark_64gb", "both_ports_cabled", "renamed_interfaces"),
    *("no_cable_hotplug_on", "no_cable_hotplug_off", "link_local_only"),
)


def script(path: str) -> ModuleType:
    """A script of the project as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def findings(folder: Path, **options: Any) -> dict[str, str]:
    """Code to severity of everything found in a recording."""
    recording, desk = load(folder)
    facts = collect(desk, Options(login_user=recording.login_user))
    return {item.code: item.severity for item in judge(facts, Where(desk=recording.name), JudgeOptions(**options))}


@pytest.mark.parametrize("folder", FOLDERS, ids=[folder.name for folder in FOLDERS])
def test_each_recording_gives_what_it_expects(folder: Path) -> None:
    recording, _desk = load(folder)
    assert recording.expect is not None and recording.source and recording.description
    found = findings(folder)
    assert set(recording.expect) - set(found) == set()
    assert {code for code, severity in found.items() if severity in LOUD} - set(recording.expect) == set()


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_desk_of_each_vendor_raises_nothing_above_note(name: str) -> None:
    assert {code for code, severity in findings(ROOT / "tests" / "recordings" / name).items() if severity in LOUD} == set()


def test_a_stacked_desk_is_also_fit_for_stacking() -> None:
    options = {"purpose": "stacked", "wanted_mtu": 9000}
    assert {code for code, severity in findings(ROOT / "tests/recordings/founders_stacked", **options).items() if severity in LOUD} == set()


def test_there_is_a_recording_for_every_code_that_one_desk_alone_can_show() -> None:
    cannot = {
        *("DESK_IDENTITY_DUPLICATE", "DESK_IDENTITY_WRONG", "AUTH_FAILED", "BECOME_FAILED", "OOBE_PENDING"),
        *("CX7_LINK_FLAPPED", "CX7_IS_MANAGEMENT", "DRIFT_FROM_BASELINE"),
    }
    listed = {code.code for domain in ("identity", "system", "driver", "link") for code in DOMAINS[domain]} - cannot
    shown = {code for folder in FOLDERS for code in findings(folder)}
    assert listed - shown == set()


def test_the_goldens_are_what_their_descriptions_make() -> None:
    assert script("tools/make_recordings.py").main(["--check"]) == 0
    assert len(list((ROOT / "tests/recordings").glob("*.yml"))) >= 3


def test_a_golden_that_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    module = script("tools/make_recordings.py")
    golden = (ROOT / "tests/recordings/founders_stacked.yml").read_text()
    (tmp_path / "founders_stacked.yml").write_text(golden.replace("mtu: 9000", "mtu: 1500"))
    monkeypatch.setattr(module, "TARGET", tmp_path)
    assert module.main(["--check"]) == 1
    assert "founders_stacked: files/etc/netplan/90-dgx-spark-link.yaml differs" in capsys.readouterr().out


def test_a_packed_recording_is_the_same_folder_again(tmp_path: Path) -> None:
    module = script("tools/make_recordings.py")
    for name in ("founders_without_root", "no_cable_hotplug_on", "neglected_desk"):
        source = ROOT / "tests/recordings" / name
        (tmp_path / f"{name}.yml").write_text(module.pack(source), encoding="utf-8")
        module.expand(tmp_path / f"{name}.yml", tmp_path / name)
        assert module.difference(source, tmp_path / name) is None


def test_what_cannot_be_a_recording_is_neither_packed_nor_expanded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = script("tools/make_recordings.py")
    assert module.main(["--pack", str(tmp_path)]) == 2
    assert "it has no recording.yml" in capsys.readouterr().err
    (tmp_path / "evil.yml").write_text("recording: {name: evil}\nfiles: {/../../evil: x}\n")
    with pytest.raises(module.PackError, match="not a path below"):
        module.expand(tmp_path / "evil.yml", tmp_path / "evil")
    (tmp_path / "sent.yml").write_text("recording: {name: &a [x, x]}\nfiles: {/a: *a}\n")
    with pytest.raises(module.PackError, match="aliases"):
        module.expand(tmp_path / "sent.yml", tmp_path / "swollen")
    (tmp_path / "sent/files").mkdir(parents=True)
    (tmp_path / "sent/recording.yml").write_text("name: sent\n")
    os.mkfifo(tmp_path / "sent/files/pipe")
    with pytest.raises(module.PackError, match="not a regular file"):
        module.pack(tmp_path / "sent")


def test_recordings_are_made_where_they_are_missing_and_left_alone_where_they_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A golden is not expanded over what is made, a sent one becomes a folder, one that is gone leaves, and a foreign folder stays."""
    module = script("tools/make_recordings.py")
    monkeypatch.setattr(module, "TARGET", tmp_path)
    monkeypatch.setattr(module, "DESKS", dict(list(module.DESKS.items())[:2]))
    made = next(iter(module.DESKS))
    (tmp_path / "sent.yml").write_text("recording: {name: sent}\nfiles: {/etc/hostname: recorded-01}\n")
    (tmp_path / "mine").mkdir()
    assert module.ready() == tmp_path
    assert (tmp_path / "sent/files/etc/hostname").read_text() == "recorded-01"
    before = (tmp_path / made / "recording.yml").stat().st_mtime_ns
    (tmp_path / "sent.yml").unlink()
    module.ready()
    assert not (tmp_path / "sent").exists() and (tmp_path / "mine").is_dir()
    assert (tmp_path / made / "recording.yml").stat().st_mtime_ns == before
    (tmp_path / made / "recording.yml").unlink()
    module.ready()
    assert (tmp_path / made / "recording.yml").is_file()


def test_two_hundred_recordings_replay_in_one_process() -> None:
    for number in range(200):
        assert findings(FOLDERS[number % len(FOLDERS)]) or FOLDERS[number % len(FOLDERS)].name.startswith("founders")


@pytest.mark.parametrize(
    "name", ["founders_stacked", "driver_library_mismatch", "founders_without_root", "no_cable_hotplug_on", "not_a_spark"]
)
def test_what_the_recorder_writes_replays_the_same_without_a_name(name: str, tmp_path: Path) -> None:
    """Gather through the recorder, sanitise, write, read again: same findings, same facts but for names, nothing of the owner left."""
    folder = ROOT / "tests" / "recordings" / name
    recording, desk = load(folder)
    recorder = RecordingDesk(desk)
    before = collect(recorder, Options(login_user=recording.login_user, include_serial=True))
    sanitiser = Sanitiser("recorded-01", hostnames=[before.identity.hostname or ""], users=["lab"])
    clean = sanitised(recorded_from_dict(recorder.recorded()), sanitiser)
    again = write(clean, tmp_path / "recorded-01", {"name": "recorded-01", "source": "test", "login_user": sanitiser.text("lab")})
    loaded, copy = load(again)
    after = collect(copy, Options(login_user=loaded.login_user, include_serial=True))
    assert findings(again) == findings(folder)
    for part in ("dgx_os", "driver", "gpu", "memory", "toolkit", "apt", "clock", "busy"):
        assert getattr(after, part) == getattr(before, part), part
    assert after.identity.hostname == "recorded-01"
    ours, theirs = before.cx7.functions, after.cx7.functions
    assert [(item.netdev, item.pci_address, item.carrier, len(item.addresses), item.roce_v2_ipv4_gid_index) for item in ours] == [
        (item.netdev, item.pci_address, item.carrier, len(item.addresses), item.roce_v2_ipv4_gid_index) for item in theirs
    ]
    everything = "\n".join(
        f"{path}\n{path.readlink() if path.is_symlink() else path.read_text() if path.is_file() else ''}"
        for path in sorted(again.rglob("*"))
    )
    values = [
        *(item.mac for item in ours),
        *(address.address for item in ours for address in item.addresses),
        *(address.address for address in before.network.management_addresses),
        *before.identity.host_key_fingerprints,
        *(key.split()[1] for key in before.setup.host_public_keys),
        *(item.phys_switch_id for item in ours),
        before.network.management_mac,
        before.identity.hostname,
        before.identity.serial,
        before.identity.boot_id,
    ]
    assert [value for value in values if value and value in everything] == []
    assert before.identity.machine_id != after.identity.machine_id


def test_a_recording_is_not_overwritten_unless_told_so(tmp_path: Path) -> None:
    recorded = recorded_from_dict({"files": {"/etc/x": "1\n"}, "folders": {"/etc": ["x", "unread"], "/empty": []}})
    write(recorded, tmp_path / "a", {"name": "a"})
    with pytest.raises(FileExistsError):
        write(recorded, tmp_path / "a", {"name": "a"})
    write(recorded, tmp_path / "a", {"name": "a"}, replace=True)
    _about, desk = load(tmp_path / "a")
    assert desk.list_dir("/etc").names == ("unread", "x")
    assert desk.read_text("/etc/unread").error == "not_recorded"
    assert desk.list_dir("/empty").names == ()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_paths_that_would_leave_the_recording_are_not_written(tmp_path: Path) -> None:
    recorded = recorded_from_dict({"files": {"/../../evil": "x", "/etc/../../evil": "x", "/a/b": "1"}, "links": {"/a/../../l": "/etc"}})
    write(recorded, tmp_path / "inner" / "a", {"name": "a"})
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "inner/a/commands.yml",
        "inner/a/files/a/b",
        "inner/a/recording.yml",
    ]


def test_what_is_sent_does_not_name_who_made_it(tmp_path: Path) -> None:
    """The command that record.yml tells: an archive keeps the login name of its files' owner unless it is told not to."""
    told = next(line for line in (ROOT / "playbooks/record.yml").read_text(encoding="utf-8").splitlines() if "Send it: " in line)
    command = told.partition("Send it: ")[2].rstrip('"').replace("{{ record_result.path | dirname | quote }}", str(tmp_path))
    write(recorded_from_dict({"files": {"/etc/hostname": "x"}}), tmp_path / "recorded-01", {"name": "recorded-01"})
    subprocess.run(shlex.split(command.replace("{{ record_result.name }}", "recorded-01")), check=True, cwd=tmp_path)
    with tarfile.open(tmp_path / "recorded-01.tar.gz") as archive:
        assert len(archive.getmembers()) > 2 and not any(item.uname or item.gname for item in archive.getmembers())
