"""The apt archives: packages, indexes, and that the catalogue carries what a desk of each model has."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from sparklab import debs
from sparklab.catalogue import Catalogue, branch, upload
from sparklab.debs import File, Package
from sparklab.errors import LabError

ROOT = Path(__file__).resolve().parents[3] / "simulator"
DATA: dict[str, Any] = yaml.safe_load((ROOT / "archive" / "catalogue.yml").read_text(encoding="utf-8"))
SHELF = Catalogue(DATA, "amd64")
MODELS = sorted((ROOT / "models").glob("*.yml"))


def test_a_package_reads_back() -> None:
    package = Package(
        "thing", "1:2.0-1", "amd64", {"Depends": "other (= 1)"}, {"usr/bin/thing": File(b"x", 0o755), "usr/l": File(link="bin")}
    )
    deb = debs.build(package)
    control = debs.read_control(deb)
    assert (control["Package"], control["Version"], control["Depends"]) == ("thing", "1:2.0-1", "other (= 1)")
    assert package.filename == "thing_2.0-1_amd64.deb"
    assert debs.build(package) == deb, "the same package gives the same bytes"


def test_a_package_is_one_that_dpkg_takes(tmp_path: Path) -> None:
    path = tmp_path / "t.deb"
    path.write_bytes(debs.build(Package("thing", "1", "amd64", {}, {"usr/bin/thing": File(b"x", 0o755)})))
    try:
        done = subprocess.run(["dpkg-deb", "--contents", str(path)], capture_output=True, text=True, check=True, timeout=30)
    except FileNotFoundError:
        pytest.skip("dpkg-deb is not on this machine")
    assert "./usr/bin/thing" in done.stdout


def test_data_holds_folders_before_files() -> None:
    deb = debs.build(Package("thing", "1", "amd64", {}, {"a/b/c": File(b"")}))
    head = deb.rindex(b"data.tar.gz")
    data = deb[head + 60 : head + 60 + int(deb[head + 48 : head + 58])]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
        assert archive.getnames() == ["./a", "./a/b", "./a/b/c"]


@pytest.mark.parametrize("junk", [b"", b"not a deb", b"!<arch>\n"])
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(LabError):
        debs.read_control(junk)


def test_unknown_script_is_refused() -> None:
    with pytest.raises(LabError, match="not a maintainer script"):
        debs.build(Package("thing", "1", "amd64", {}, {}, {"postints": ""}))


@pytest.mark.parametrize(("name", "version"), [("/etc/cron.d/x", "1"), ("../x", "1"), ("x", "1/2"), ("x\nDepends: y", "1")])
def test_a_package_of_a_lab_file_is_written_nowhere_else(name: str, version: str) -> None:
    with pytest.raises(LabError, match="is not the file of a package"):
        debs.build(Package(name, version, "amd64"))


def test_release_lists_its_indexes() -> None:
    when = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
    text = debs.release({"Origin": "NVIDIA", "Label": "NVIDIA CUDA"}, {"Packages": b"abc"}, when, ["amd64", "all"])
    assert "Date: Sun, 22 Nov 2026 10:00:00 UTC\n" in text
    assert " ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad            3 Packages\n" in text


def test_names_of_the_families() -> None:
    assert branch("580.178.04") == "580"
    assert upload("6.17.0-1021") == "6.17.0-1021.21"
    names = {one.name for one in SHELF.kernel("7.0.0-1019", "580.178.04")}
    assert "linux-modules-nvidia-580-open-7.0.0-1019-nvidia" in names
    assert not any("nvidia-580" in one.name for one in SHELF.kernel("7.0.0-1022", None))


@pytest.mark.parametrize("name", SHELF.set_names())
def test_every_set_is_whole(name: str) -> None:
    offers = SHELF.offers(name)
    keys = [(one.archive, one.package.name, one.package.version) for one in offers]
    assert len(set(keys)) == len(keys), "a version is offered twice in one archive"
    versions = {one.package.version for one in offers if one.package.name == "nvidia-driver-610-open"}
    assert versions, "the tempting branches are always there"
    for offer in offers:
        debs.build(offer.package)


def test_a_newer_set_drops_the_old_builds() -> None:
    def driver(name: str) -> set[str]:
        return {one.package.version for one in SHELF.offers(name) if one.package.name == "nvidia-utils-580"}

    assert not driver("base") & driver("next")


def test_phased_kernel_has_no_modules_yet() -> None:
    names = {one.package.name for one in SHELF.offers("phased_kernel")}
    assert "linux-image-7.0.0-1022-nvidia" in names
    assert "linux-modules-nvidia-580-open-7.0.0-1022-nvidia" not in names
    meta = [one.package for one in SHELF.offers("phased_kernel") if one.package.name == "linux-nvidia-hwe-24.04"]
    assert [one.version for one in meta] == ["7.0.0-1022.22"]


def test_unknown_set() -> None:
    with pytest.raises(LabError, match="no archive set 'nope'"):
        SHELF.resolve("nope")


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_installed_set_of_each_model(path: Path) -> None:
    model = yaml.safe_load(path.read_text(encoding="utf-8"))
    installed = {one.package.name: one for one in SHELF.installed(model, {})}
    driver = model["driver"]["version"]
    assert installed["nvidia-driver-580-open"].package.version.startswith(driver + "-")
    for kernel in model["kernels_installed"]:
        modules = installed[f"linux-modules-nvidia-580-open-{kernel}"].package
        assert f"lib/modules/{kernel}/kernel/nvidia-580-open/nvidia.ko" in modules.files
        assert f"nvidia-kernel-common-580 (>= {driver})" in modules.fields["Depends"]
    for name, version in model.get("packages", {}).items():
        assert installed[name].package.version == str(version)
    assert installed["nvidia-dgx-telemetry"].auto
    assert not installed["dgx-spark-ota-update-meta"].auto


def content(name: str, package: str, path: str) -> str:
    found = [one.package for one in SHELF.offers(name) if one.package.name == package and path in one.package.files]
    assert found, f"{name} has no {package} with {path}"
    return found[0].files[path].data.decode()


def test_updates_are_good_blind_broken_and_slow_as_they_say() -> None:
    assert content("ota", "nvidia-firmware-580-580.190.02", "usr/lib/firmware/nvidia/580.190.02/gsp_ga10x.bin") == "GSP 580.190.02\n"
    broken = content("ota_broken_gpu", "nvidia-firmware-580-580.191.01", "usr/lib/firmware/nvidia/580.191.01/gsp_ga10x.bin")
    assert broken == "GSP 580.190.02\n"
    module = "lib/modules/{0}/kernel/nvidia-580-open/nvidia.ko"
    for name, kernel, slow in (("ota", "7.0.0-1024-nvidia", False), ("ota_slow_nccl", "7.0.0-1026-nvidia", True)):
        text = content(name, f"linux-modules-nvidia-580-open-{kernel}", module.format(kernel))
        assert ("nccl_factor=0.66" in text) is slow
    names = {one.package.name for one in SHELF.offers("ota_no_module")}
    assert "linux-image-7.0.0-1027-nvidia" in names and "linux-modules-nvidia-580-open-7.0.0-1027-nvidia" not in names
    metas = {one.package.version for one in SHELF.offers("ota") if one.package.name == "dgx-spark-ota-update-meta"}
    assert metas == {"26.09.2", "26.10.1"}


def test_a_kernels_package_writes_the_menu() -> None:
    image = next(one for one in SHELF.kernel("7.0.0-1019", "580.178.04") if one.name.startswith("linux-image-"))
    assert set(image.scripts) == {"postinst", "postrm"} and "update-grub" in image.scripts["postinst"]
