"""What is installed for a measurement: only what is missing, noted, and only that removed; the bundle checked file by file."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.action import nccl_bundle
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import bundle, tools
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer, LiveDesk, Text


class AptDesk:
    """A desk with a package database and an archive."""

    def __init__(
        self, present: set[str], archive: dict[str, set[str]], fresh_lists: bool = True, takes_along: tuple[str, ...] = ()
    ) -> None:
        self.present, self.archive, self.fresh, self.takes_along = set(present), archive, fresh_lists, takes_along
        self.files: dict[str, str] = {}
        self.ran: list[list[str]] = []

    def run(self, argv, *, timeout: float = 10.0, stdin=None, env=None) -> Answer:
        command = list(argv)
        self.ran.append(command)
        if command[0] == "dpkg-query":
            return Answer(tuple(command), 0, "".join(f"{name}\t1.0\tinstalled\n" for name in sorted(self.present)))
        words = [word for word in command[1:] if not word.startswith("-") and "=" not in word]
        names = [word for word in words if word not in ("install", "remove", "update")]
        if "update" in command:
            self.fresh = True
        elif "install" in command:
            if not self.fresh or not set(names) <= set(self.archive):
                return Answer(tuple(command), 100, "", "E: Unable to locate package")
            for name in names:
                self.present |= {name, *self.archive[name]}
        elif "--simulate" in command:
            return Answer(tuple(command), 0, "".join(f"Remv {name} [1.0]\n" for name in [*names, *self.takes_along]))
        elif "remove" in command:
            self.present -= set(names)
        return Answer(tuple(command), 0)

    def read_text(self, path: str) -> Text:
        return Text(path, self.files.get(path), None if path in self.files else "missing")

    def write_text(self, path: str, text: str, mode: int = 0o644) -> None:
        self.files[path] = text

    def remove(self, path: str) -> None:
        self.files.pop(path, None)

    def make_folder(self, path: str, mode: int = 0o755) -> None:
        return None


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


def test_nothing_is_removed_when_something_else_would_go_along() -> None:
    desk = AptDesk(set(), ARCHIVE, takes_along=("dgx-release",))
    tools.install(desk, WANT, [], 60, False)
    with pytest.raises(tools.ToolsError, match="dgx-release would be removed as well"):
        tools.remove(desk, 60, False)
    assert "openmpi-bin" in desk.present


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
    bundle.pack(files, manifest, str(target))
    return target


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = made(tmp_path / "a"), made(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


def test_install_swaps_the_whole_folder(tmp_path: Path) -> None:
    folder = tmp_path / "nccl"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "old").write_text("x", encoding="ascii")
    bundle.install(str(made(tmp_path)), str(folder))
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["all_gather_perf", "libnccl.so.2", "manifest.json"]
    assert os.access(folder / "bin/all_gather_perf", os.X_OK)
    assert not Path(f"{folder}.old").exists() and not Path(f"{folder}.new").exists()


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
    with pytest.raises(bundle.BundleError, match="leads out"):
        bundle.install(str(archive), str(tmp_path / "nccl"))


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b broken"])
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    with pytest.raises(bundle.BundleError, match="is no NCCL bundle"):
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
    assert nccl_bundle.Wishes({**given, "nccl_tests": {"url": "u", "tag": "v2"}}).key != first
    (source / "Makefile").write_text("all: x\n", encoding="ascii")
    assert nccl_bundle.Wishes(given).key != first


def test_a_ready_bundle_must_match_its_checksum(tmp_path: Path) -> None:
    archive = made(tmp_path)
    good = nccl_bundle.Wishes({"archive": str(archive), "checksum": "sha256:" + bundle.digest(str(archive))})
    assert good.given_archive() == archive
    with pytest.raises(bundle.BundleError, match="was expected"):
        nccl_bundle.Wishes({"archive": str(archive), "checksum": "0" * 64}).given_archive()
    with pytest.raises(bundle.BundleError, match="is not a file"):
        nccl_bundle.Wishes({"archive": str(tmp_path / "none"), "checksum": "0" * 64}).given_archive()


def test_a_build_that_fails_shows_its_last_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "BUILD_FOLDER", str(tmp_path / "build"))
    source = tmp_path / "nccl"
    source.mkdir()
    (source / "Makefile").write_text("src.build:\n\t@echo the compiler is missing >&2; exit 3\n", encoding="ascii")
    archive = nccl_bundle.packed(source, tmp_path / "cache")
    spec = bundle.Spec((bundle.Source("nccl", archive=str(archive)), bundle.Source("nccl-tests", archive=str(archive))))
    with pytest.raises(bundle.BundleError, match="NCCL could not be made") as caught:
        bundle.build(LiveDesk(), spec, str(tmp_path / "out.tar.gz"), "k")
    assert "the compiler is missing" in caught.value.said
