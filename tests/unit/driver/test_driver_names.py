"""Package names, version numbers, preferences and what apt prints."""

from __future__ import annotations

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import apt_preferences, apt_text, driver_group
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.debian_version import compare
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.driver_lock import wanted
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.lock_record import RecordError, parse
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges import apt_errors
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where


@pytest.mark.parametrize(
    "name",
    [
        "nvidia-driver-580-open",
        "libnvidia-compute-580",
        "nvidia-firmware-580-580.159.03",
        "nvidia-dkms-580-open",
        "xserver-xorg-video-nvidia-580",
        "linux-modules-nvidia-580-open-nvidia-hwe-24.04",
        "linux-modules-nvidia-580-open-6.17.0-1021-nvidia-64k",
        "linux-nvidia-hwe-24.04",
        "linux-nvidia-64k-hwe-24.04",
        "linux-image-nvidia-64k-hwe-24.04",
        "linux-tools-nvidia-hwe-24.04",
        "linux-modules-nvidia-fs-nvidia-hwe-24.04",
        "nvidia-persistenced",
        "libnccl2",
        "libnccl-dev",
    ],
)
def test_the_group(name: str) -> None:
    assert driver_group.belongs(name, 580)


@pytest.mark.parametrize(
    "name",
    [
        "nvidia-container-toolkit",
        "libnvidia-container1",
        "cuda-toolkit-13-0",
        "nvidia-modprobe",
        "nvidia-driver-590-open",
        "linux-modules-nvidia-fs",
        "linux-image-6.17.0-1021-nvidia",
        "linux-firmware",
        "nvidia-spark-limits",
    ],
)
def test_not_the_group(name: str) -> None:
    assert not driver_group.belongs(name, 580)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("nvidia-driver-590-open", True),
        ("nvidia-driver-570-server", True),
        ("libnvidia-gl-610", True),
        ("linux-modules-nvidia-595-open-6.17.0-1021-nvidia", True),
        ("nvidia-open", True),
        ("nvidia-open-590", True),
        ("cuda-drivers-595", True),
        ("nvidia-driver-580-open", False),
        ("linux-modules-nvidia-580-open-6.17.0-999-nvidia", False),
        ("linux-modules-nvidia-fs-6.17.0-590-nvidia", False),
        ("nvidia-container-toolkit", False),
        ("cuda-toolkit-13-0", False),
        ("libnvidia-container-tools", False),
    ],
)
def test_other_branches(name: str, other: bool) -> None:
    assert driver_group.is_other_branch(name, 580) is other


def test_every_other_number_is_matched_and_ours_is_not() -> None:
    import re

    pattern = re.compile(driver_group.other_branches(580))
    assert [number for number in range(100, 1000) if not pattern.fullmatch(str(number))] == [580]
    with pytest.raises(ValueError, match="three digits"):
        driver_group.other_branches(58)


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        ("580.95.05-0ubuntu0.24.04.2", "580.159.03-0ubuntu0.24.04.1", -1),
        ("6.17.0-1021.21", "6.17.0-1021.21+1000", -1),
        ("1:1.0", "2.0", 1),
        ("1.0~rc1", "1.0", -1),
        ("1.0-1", "1.0-1", 0),
        ("7.0.0-1019.19", "6.17.0-1032.32", 1),
        ("1.01", "1.1", 0),
    ],
)
def test_versions(left: str, right: str, result: int) -> None:
    assert compare(left, right) == result


def test_a_comparison_turned_round_has_the_other_sign() -> None:
    assert (compare("1.2-1", "1.10-1"), compare("1.10-1", "1.2-1")) == (-1, 1)


def test_the_file_is_always_the_same_and_reads_back() -> None:
    text = apt_preferences.render(580, {"libnccl2": "2.30-1"})
    assert text == apt_preferences.render(580, {"libnccl2": "2.30-1"}) and apt_preferences.is_ours(text)
    assert apt_preferences.parse(text)[1] == apt_preferences.Stanza(("libnccl2",), "version 2.30-1", 990, "The one version of this fleet.")
    assert not apt_preferences.is_ours("Package: *\n")


def test_trusted_archives_shut_all_others_out() -> None:
    text = apt_preferences.render(580, trusted=("release l=NVIDIA DGX Spark",))
    assert "Pin: release l=NVIDIA DGX Spark\nPin-Priority: 500" in text and "Branch 580 from nowhere else." in text


@pytest.mark.parametrize("word", ["nvidia-driver-590-open", "nvidia-driver-*", "/^nvidia-driver/"])
def test_a_file_that_raises_another_branch_is_found(word: str) -> None:
    files = {"/etc/apt/preferences.d/10-mine": f"# mine\nPackage: {word}\nPin: version *\nPin-Priority: 700\n"}
    files["/etc/apt/preferences.d/20-low"] = "Package: nvidia-driver-590-open\nPin: version *\nPin-Priority: -1\n"
    assert apt_preferences.opponents(files, ["nvidia-driver-590-open"]) == ("/etc/apt/preferences.d/10-mine",)


def test_a_policy() -> None:
    text = (
        "a:\n  Installed: (none)\n  Candidate: 1.0\n  Version table:\n     1.0 500\n        500 http://x ./ Packages\nb:\n  Installed: 2\n"
    )
    assert apt_text.policy(text) == (apt_text.Choice("a", None, "1.0"), apt_text.Choice("b", "2", None))
    assert apt_text.policy("") == ()


def test_a_simulation() -> None:
    text = "Inst new (1.0 Lab:noble [arm64])\nInst old [1.0] (1.1 Lab:noble [arm64]) []\nRemv gone [1]\nInst same [1.0] (1.0 x [y])\n"
    found = apt_text.simulated(text)
    assert found == apt_text.Simulated({"new": "1.0"}, {"old": ("1.0", "1.1")}, ("gone",), {"gone": "1"}) and not found.nothing


def test_an_offer_needs_a_file_in_an_archive() -> None:
    known = "Package: a\nVersion: 1:2-3\nArchitecture: arm64\nFilename: ./a.deb\nSize: 10\nInstalled-Size: 2\n"
    found = apt_text.offers(f"{known}\nPackage: b\nVersion: 1\nStatus: install ok installed\n")
    assert [(item.spec, item.file_name, item.size) for item in found] == [("a=1:2-3", "a_1%3a2-3_arm64.deb", 10)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (unattended-upgr)", "DPKG_LOCKED"),
        ("dpkg: error: dpkg frontend lock was locked by another process with pid 42", "DPKG_LOCKED"),
        ("E: You don't have enough free space in /var/cache/apt/archives/.", "DISK_FULL"),
        ("dpkg: error processing archive x (--unpack): cannot copy: No space left on device", "DISK_FULL"),
        (
            "W: GPG error: the following signatures couldn't be verified because the public key is not available: NO_PUBKEY 1234",
            "APT_KEY_MISSING",
        ),
        ("E: The repository 'http://x noble InRelease' is not signed.", "APT_KEY_MISSING"),
        ("E: Failed to fetch http://x/a.deb  Hash Sum mismatch", "APT_CHECKSUM_WRONG"),
        ("E: Failed to fetch http://x/a.deb  File has unexpected size (1 != 2). Mirror sync in progress?", "APT_CHECKSUM_WRONG"),
        (
            "W: Failed to fetch http://x/InRelease  Could not connect to x:80 (10.0.0.1). - connect (111: Connection refused)",
            "APT_ARCHIVE_UNREACHABLE",
        ),
        ("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'", "DPKG_BROKEN"),
        ("E: Version '9' for 'a' was not found", "DRIVER_LOCK_UNSATISFIABLE"),
        ("E: Unable to locate package a", "DRIVER_LOCK_UNSATISFIABLE"),
        ("something else", "APT_FAILED"),
    ],
)
def test_an_error_of_apt_has_a_code(text: str, code: str) -> None:
    found = apt_errors.explain(["apt-get", "install"], text, Where(desk="desk-01"), severity="fail")
    assert found.code == code and found.severity == "fail" and found.remedy
    assert found.evidence["says"]


def test_a_missing_key_is_not_also_an_unreachable_archive() -> None:
    text = "W: GPG error: x NO_PUBKEY 12\nW: Failed to fetch http://x\nW: Some index files failed to download."
    assert [item.code for item in apt_errors.archive_findings(text, Where(desk="d"))] == ["APT_KEY_MISSING"]
    assert apt_errors.archive_findings("Reading package lists...", Where(desk="d")) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": "other"}', '{"schema": "labops.dgx_spark/driver_lock/1", "branch": "x"}'])
def test_a_broken_record_is_refused(text: str) -> None:
    with pytest.raises(RecordError):
        parse(text)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"branch": 58}, "branch"),
        ({"refused_archives": ["l=NVIDIA CUDA"]}, "refused_archives"),
        ({"trusted_archives": ["release l=x\nPackage: *"]}, "trusted_archives"),
        ({"versions": {"a b": "1"}}, "versions"),
    ],
)
def test_a_wrong_option_is_named(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        wanted(arguments)
