# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases built after public reports (system, driver, GPU): what is said about each, from the archive beside the checkout.

The archive is not part of the project; the project's own inputs of each kind are in tests/unit/readers/test_system_readers.py,
tests/unit/gather/test_system_kinds.py, tests/unit/judges and tests/unit/driver.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import Options, collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.apt_errors import archive_findings
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import dgx_release
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recorded_desk import load
from shared_archive import unpack

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = ROOT.parent / "shared" / "cases" / "system.tar.xz"

pytestmark = pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"{ARCHIVE} is not beside this checkout: its cases are not tried here")

MISSING = {"DRIVER_MISSING": "fail"}
WRONG = {"DRIVER_BRANCH_WRONG": "fail"}
NO_DRIVER_NEXT = {"NEXT_BOOT_KERNEL_WITHOUT_DRIVER": "fail"}
BROKEN = {"DPKG_BROKEN": "fail"}
MISMATCH = {"DRIVER_MISMATCH": "fail"}
SLEEPY = {"PERSISTENCED_INACTIVE": "warn"}
CAPPED = {"GPU_POWER_CAPPED": "warn"}
DEAD = {"GPU_FAILED": "fail"}

LOUD: dict[str, dict[str, str]] = {
    "01-smi-610-format/a-live-610": WRONG,
    "01-smi-610-format/b-table-only": WRONG,
    "01-smi-610-format/c-q-only": WRONG,
    "01-smi-610-format/e-nvml-two-part-580": {},
    "01-smi-610-format/f-new-keys-only": WRONG,
    "02-gpu-pci-2e2a/a-healthy": {},
    "02-gpu-pci-2e2a/b-acer-driver-missing": MISSING,
    "02-gpu-pci-2e2a/c-acer-2e12-driver-missing": MISSING,
    "02-gpu-pci-2e2a/d-fe-smi-hangs": {"VERSION_KNOWN_BAD": "warn", "FACTS_INCOMPLETE": "unknown"},
    "02-gpu-pci-2e2a/e-fe-smi-hangs-2e12": {"VERSION_KNOWN_BAD": "warn", "FACTS_INCOMPLETE": "unknown"},
    "03-secure-boot-key/a-dkms-unenrolled": MISSING,
    "03-secure-boot-key/b-nvml-driver-not-loaded": MISSING,
    "03-secure-boot-key/c-signed-not-loaded": MISSING,
    "04-next-boot-wrong-flavour/a-610-open-only": NO_DRIVER_NEXT,
    "04-next-boot-wrong-flavour/b-580-proprietary-only": NO_DRIVER_NEXT,
    "04-next-boot-wrong-flavour/c-580-server-open": {},
    "04-next-boot-wrong-flavour/d-nvidia-fs-only": NO_DRIVER_NEXT,
    "04-next-boot-wrong-flavour/e-fs-folder": NO_DRIVER_NEXT,
    "04-next-boot-wrong-flavour/f-packages-only-610": NO_DRIVER_NEXT,
    "04-next-boot-wrong-flavour/h-dkms-uvm-only": NO_DRIVER_NEXT,
    "05-grub-default/a-dangling-pin": NO_DRIVER_NEXT,
    "05-grub-default/c-64k-grub-d": {},
    "05-grub-default/d-4k-pin-64k-no-module": {},
    "05-grub-default/e-next-entry-64k": NO_DRIVER_NEXT,
    "05-grub-default/f-next-boot-known-bad": {"VERSION_KNOWN_BAD": "warn"},
    "05-grub-default/g-generic-7.0": NO_DRIVER_NEXT,
    "05-grub-default/h-number": {},
    "06-cdi-two-folders/b-only-run-stale": {"CDI_STALE": "warn"},
    "06-cdi-two-folders/c-etc-stale-run-fresh": {"CDI_STALE": "warn"},
    "06-cdi-two-folders/d-only-run-fresh": {},
    "06-cdi-two-folders/e-json-spec": {"CDI_STALE": "warn"},
    "08-gpu-faults/a-gpu-lost": DEAD,
    "08-gpu-faults/b-unknown-error": DEAD,
    "08-gpu-faults/c-requires-reset": DEAD,
    "08-gpu-faults/d-recovery-action-only": DEAD,
    "08-gpu-faults/f-gsp-init-failed": {"GPU_NOT_FOUND": "fail"},
    "08-gpu-faults/g-hang-with-xid": DEAD,
    "08-gpu-faults/h-xid13-43-storm": {},
    "08-gpu-faults/i-table-err": DEAD,
    "09-low-power-state/a-14w-611mhz": CAPPED,
    "09-low-power-state/b-14w-811mhz-85pct": CAPPED,
    "09-low-power-state/c-healthy-decode": {},
    "09-low-power-state/d-513mhz-30w": CAPPED,
    "09-low-power-state/e-latched-idle": {},
    "09-low-power-state/f-lgc-2200-healthy": {},
    "10-addressing-mode-none/a-none": {"GPU_MEMORY_MODE": "fail"},
    "10-addressing-mode-none/b-ats": {},
    "11-persistenced/a-restart-loop": SLEEPY,
    "11-persistenced/b-failed": SLEEPY,
    "11-persistenced/c-active-mode-off": SLEEPY,
    "11-persistenced/d-status-text": SLEEPY,
    "11-persistenced/e-static-unit": {},
    "11-persistenced/f-deactivating": SLEEPY,
    "12-dpkg-states/a-iU-iF": BROKEN,
    "12-dpkg-states/b-rH-pF": BROKEN,
    "12-dpkg-states/c-ri": {},
    "12-dpkg-states/d-triggers": {},
    "12-dpkg-states/e-reinstreq": BROKEN,
    "12-dpkg-states/f-hold-halfconf": BROKEN,
    "12-dpkg-states/g-dpkg-l": BROKEN,
    "12-dpkg-states/h-abbrev": BROKEN,
    "12-dpkg-states/i-apt-list": {},
    "13-known-bad/b-64k-610": WRONG | NO_DRIVER_NEXT,
    "13-known-bad/c-kho-with-cma-param": {"VERSION_KNOWN_BAD": "warn"},
    "13-known-bad/d-kho-off-7-0": {},
    "13-known-bad/e-kho-no-cmdline-7-0-1021": {},
    "14-dgx-os-8/a-8-0-595": {"DGX_OS_RULES_UNKNOWN": "unknown"},
    "18-runfile-and-unsuffixed/a-run590-loaded": WRONG,
    "18-runfile-and-unsuffixed/b-run590-after-reboot": MISMATCH,
    "18-runfile-and-unsuffixed/c-run-module-only": WRONG | NO_DRIVER_NEXT,
    "18-runfile-and-unsuffixed/d-dkms-580-open": {},
    "18-runfile-and-unsuffixed/e-unsuffixed-610": WRONG | NO_DRIVER_NEXT,
    "18-runfile-and-unsuffixed/f-unsuffixed-mismatch": MISMATCH | NO_DRIVER_NEXT,
    "18-runfile-and-unsuffixed/g-settings-610": {"NVIDIA_SETTINGS_OTHER": "warn"},
    "18-runfile-and-unsuffixed/h-run-module-no-package": WRONG | NO_DRIVER_NEXT,
    "19-nvml-shim/a-shim": MISMATCH,
    "19-nvml-shim/b-shim-rpath-ok": {},
    "19-nvml-shim/c-mismatch-without-reason": MISMATCH,
    "19-nvml-shim/d-rest-of-line": MISMATCH,
}
"""Recording to the findings above a note."""

WORDS: dict[str, tuple[str, str, str]] = {
    "03-secure-boot-key/a-dkms-unenrolled": ("DRIVER_MISSING", "message", "key is not enrolled"),
    "03-secure-boot-key/b-nvml-driver-not-loaded": ("DRIVER_MISSING", "remedy", "mokutil --import"),
    "03-secure-boot-key/c-signed-not-loaded": ("DRIVER_MISSING", "remedy", "sudo modprobe nvidia"),
    "05-grub-default/a-dangling-pin": ("NEXT_BOOT_KERNEL_WITHOUT_DRIVER", "message", "6.17.0-1032-nvidia', which is not installed"),
    "05-grub-default/f-next-boot-known-bad": ("VERSION_KNOWN_BAD", "message", "next boot starts kernel 7.0.0-1019-nvidia"),
    "06-cdi-two-folders/b-only-run-stale": ("CDI_STALE", "remedy", "restart nvidia-cdi-refresh"),
    "06-cdi-two-folders/e-json-spec": ("CDI_STALE", "message", "/etc/cdi/nvidia.json"),
    "08-gpu-faults/f-gsp-init-failed": ("GPU_NOT_FOUND", "message", "Xid (PCI:000f:01:00): 119"),
    "08-gpu-faults/g-hang-with-xid": ("GPU_FAILED", "message", "Xid (PCI:000f:01:00): 169"),
    "08-gpu-faults/h-xid13-43-storm": ("GPU_ERRORS_LOGGED", "message", "killed programs for lack of memory"),
    "09-low-power-state/e-latched-idle": ("GPU_POWER_CAPPED", "message", "14 W"),
    "11-persistenced/c-active-mode-off": ("PERSISTENCED_INACTIVE", "remedy", "nvidia-smi -pm 1"),
    "14-dgx-os-8/a-8-0-595": ("DGX_OS_RULES_UNKNOWN", "message", "not known for this version"),
    "18-runfile-and-unsuffixed/a-run590-loaded": ("DRIVER_BRANCH_WRONG", "remedy", "nvidia-uninstall"),
    "18-runfile-and-unsuffixed/b-run590-after-reboot": ("DRIVER_MISMATCH", "remedy", "nvidia-uninstall"),
    "19-nvml-shim/a-shim": ("DRIVER_MISMATCH", "message", "/usr/local/lib/libnvidia-ml-shim.so.1.0.0"),
    "19-nvml-shim/c-mismatch-without-reason": ("DRIVER_MISMATCH", "message", "from another place"),
}
"""Recording to a finding and words that it must have."""

FACTS: dict[str, dict[str, Any]] = {
    "01-smi-610-format/a-live-610": {"driver.cuda_version": "13.3"},
    "01-smi-610-format/b-table-only": {"driver.cuda_version": "13.3", "driver.module_version": "610.57.04"},
    "01-smi-610-format/c-q-only": {"driver.module_version": "610.57.04"},
    "01-smi-610-format/f-new-keys-only": {"driver.cuda_version": "13.3"},
    "02-gpu-pci-2e2a/d-fe-smi-hangs": {"gpu.present": True},
    "05-grub-default/a-dangling-pin": {"kernel.next_boot": "7.0.0-1021-nvidia"},
}

APT: dict[str, dict[str, str]] = {
    "a-workbench-key-expired": {"APT_KEY_EXPIRED": "note"},
    "b-baseos8-404": {"APT_SOURCE_WRONG": "warn"},
    "c-launchpad-ppa-unreachable": {"APT_ARCHIVE_UNREACHABLE": "note"},
    "d-clock-skew": {"APT_RELEASE_TIME": "warn"},
    "e-release-expired": {"APT_RELEASE_TIME": "warn"},
    "f-changed-suite": {"APT_ORIGIN_CHANGED": "warn"},
    "g-duplicate-source": {},
    "h-conflicting-signed-by": {"APT_SOURCES_BROKEN": "fail"},
    "i-sha1-key": {},
    "j-tls-intercept": {"APT_ARCHIVE_UNREACHABLE": "warn"},
    "k-rotated-key-no-pubkey-rsa": {"APT_KEY_MISSING": "warn"},
}

RELEASES: dict[str, str | None] = {
    "a-pretty-and-iso-date": "7.6.0",
    "b-consecutive": "7.6.0",
    "c-duplicate": "7.5.0",
    "d-orphan-date": "7.2.3",
    "e-dangling": "7.6.0",
    "f-suffix": "7.4.1-GB300ws",
    "g-one-line": "7.6.0",
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(ARCHIVE, tmp_path_factory.mktemp("system"))


def test_no_case_of_the_archive_is_left_out(cases: Path) -> None:
    found = {str(path.parent.relative_to(cases)) for path in cases.glob("*/*/recording.yml")}
    # 13a's recording holds a newer driver than its name says: there is nothing to be found in it.
    assert found - {"13-known-bad/a-580-159-03"} == set(LOUD)
    assert {path.stem for path in cases.glob("07-apt-update-texts/*.txt")} == set(APT)
    assert {path.stem for path in cases.glob("20-dgx-release/*.txt")} == set(RELEASES)


@pytest.mark.parametrize("name", sorted(LOUD))
def test_what_is_said_about_a_recording(cases: Path, name: str) -> None:
    recording, desk = load(cases / name)
    facts = collect(desk, Options(login_user=recording.login_user))
    findings = [item.as_dict() for item in judge(facts, Where(desk=recording.name), JudgeOptions())]
    loud = {item["code"]: item["severity"] for item in findings if item["severity"] not in ("ok", "note")}
    assert loud == LOUD[name]
    if name in WORDS:
        code, key, words = WORDS[name]
        assert words in next(item for item in findings if item["code"] == code)[key]
    for path, value in FACTS.get(name, {}).items():
        part, _dot, key = path.partition(".")
        assert as_dict(facts)[part][key] == value


@pytest.mark.parametrize("name", sorted(APT))
def test_what_is_said_about_apts_words(cases: Path, name: str) -> None:
    found = archive_findings((cases / "07-apt-update-texts" / f"{name}.txt").read_text(), Where(desk="desk-01"))
    assert {item.code: item.severity for item in found} == APT[name]
    assert len(found) == len(APT[name])


@pytest.mark.parametrize("name", sorted(RELEASES))
def test_what_a_release_file_tells(cases: Path, name: str) -> None:
    assert dgx_release.read((cases / "20-dgx-release" / f"{name}.txt").read_text())["version"] == RELEASES[name]
