# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt's words about an archive are taken for, beside the usual ones."""

from __future__ import annotations

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.apt_errors import archive_findings, codes, explain
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where

WHERE = Where(desk="desk-01")
ARCHIVE = "http://ports.ubuntu.com/ubuntu-ports"
UNSIGNED = f"E: The repository '{ARCHIVE} noble InRelease' is not signed.\nN: Updating from such a repository can't be done securely.\n"


@pytest.mark.parametrize(
    "refusal",
    [
        "407  Proxy Authentication Required [IP: 192.0.2.1 3128]",
        "403  Forbidden [IP: 192.0.2.1 80]",
        "503  Service Unavailable",
        "Clearsigned file isn't valid, got 'NOSPLIT' (does the network require authentication?)",
        "Redirection from https to 'http://portal.lab/login' is forbidden [IP: 192.0.2.1 443]",
        "Redirection loop encountered [IP: 192.0.2.1 443]",
        "Bad header line Bad header data [IP: 192.0.2.1 80]",
    ],
)
def test_a_refused_request_is_no_missing_key(refusal: str) -> None:
    text = f"Err:1 {ARCHIVE} noble InRelease\n  {refusal}\nE: Failed to fetch {ARCHIVE}/dists/noble/InRelease  {refusal}\n{UNSIGNED}"
    (found,) = archive_findings(text, WHERE)
    assert found.code == "APT_ARCHIVE_UNREACHABLE" and "proxy" in found.remedy and ARCHIVE in found.message
    assert explain(["apt-get", "update"], text, WHERE).code == "APT_ARCHIVE_UNREACHABLE"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("Could not connect to proxy.lab:3128 (192.0.2.9). - connect (113: No route to host)", "(proxy.lab)"),
        ("Could not connect to 192.0.2.9:3128 (192.0.2.9), connection timed out", "(192.0.2.9)"),
        ("Could not resolve 'proxy.lab'", "(proxy.lab)"),
        ("Temporary failure resolving 'proxy.lab'", "(proxy.lab)"),
        ("Could not connect to ports.ubuntu.com:80 (192.0.2.9), connection timed out", None),
        ("Temporary failure resolving 'ports.ubuntu.com'", None),
        ("Could not resolve 'Ports.Ubuntu.com'", None),
    ],
)
def test_a_proxy_that_does_not_answer_is_not_the_archives_fault(words: str, named: str | None) -> None:
    (found,) = archive_findings(f"E: Failed to fetch {ARCHIVE}/dists/noble/InRelease  {words}\n", WHERE)
    assert found.code == "APT_ARCHIVE_UNREACHABLE" and ("apt-config dump" in found.remedy) is (named is not None)
    assert named is None or named in found.remedy


SPARK = "https://repo.download.nvidia.com/spark/ubuntu/arm64"
CUDA = "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/sbsa"


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        ("HTTP/1.0 403 CONNECT denied (ask the admin to allow HTTPS tunnels)     [IP: 192.0.2.9 3142]", 'Acquire::https::Proxy "DIRECT";'),
        ("HTTP/1.1 403 Forbidden  Server: squid/6.6  Mime-Version: 1.0 [IP: 192.0.2.9 3128]", 'Acquire::https::Proxy "DIRECT";'),
        ("HTTP/1.1 405 Method Not Allowed  Server: nginx [IP: 192.0.2.9 80]", 'Acquire::https::Proxy "DIRECT";'),
        ("HTTP/1.1 407 Proxy Authentication Required  Server: squid/6.6 [IP: 192.0.2.9 3128]", "requires a login"),
        ("HTTP/1.1 503 Service Unavailable  Server: squid/6.6 [IP: 192.0.2.9 3128]", "Wait some minutes"),
    ],
)
def test_a_proxy_that_passes_no_https_on_is_named(words: str, cure: str) -> None:
    why = f"Invalid response from proxy: {words}"
    text = f"Hit:1 {ARCHIVE} noble InRelease\nErr:2 {SPARK} noble InRelease\n  {why}\nW: Failed to fetch {SPARK}/dists/InRelease  {why}\n"
    (found,) = archive_findings(text, WHERE)
    assert (found.code, found.severity) == ("APT_ARCHIVE_UNREACHABLE", "warn") and cure in found.remedy
    assert explain(["apt-get"], f"E: Failed to fetch {SPARK}/pool/a_1_arm64.deb  {why}\n", WHERE).remedy == found.remedy


@pytest.mark.parametrize(
    ("why", "findings"),
    [
        ("Invalid response from proxy: HTTP/1.0 403 CONNECT denied (ask the admin)     [IP: 192.0.2.9 3142]", 1),
        ("Could not connect to proxy.lab:3142 (192.0.2.9). - connect (111: Connection refused)", 1),
        ("Connection timed out [IP: 203.0.113.1 443]", 2),
    ],
    ids=["no tunnel", "no proxy", "each for itself"],
)
def test_one_proxy_is_one_finding_for_all_its_archives(why: str, findings: int) -> None:
    text = "".join(f"Err:1 {url} InRelease\n  {why}\nW: Failed to fetch {url}/InRelease  {why}\n" for url in (SPARK, CUDA))
    found = archive_findings(f"{text}W: Some index files failed to download. They have been ignored, or old ones used instead.\n", WHERE)
    assert len(found) == findings and all(url in " ".join(item.message for item in found) for url in (SPARK, CUDA))


def test_a_clock_that_is_behind_is_one_finding_for_all_archives() -> None:
    text = "".join(
        f"E: Release file for {url}/dists/noble/InRelease is not valid yet (invalid for another 3h 2min 1s). Updates for this repository "
        "will not be applied.\n"
        for url in (ARCHIVE, SPARK)
    )
    (found,) = archive_findings(text, WHERE)
    assert found.code == "APT_RELEASE_TIME" and ARCHIVE in found.message and SPARK in found.message and "timedatectl" in found.remedy


GNUTLS = (
    "Certificate verification failed: The certificate is NOT trusted. The certificate {0}  Could not handshake: Error in the certificate "
    "verification."
)
OPENSSL = "SSL connection failed: error:0A000086:SSL routines::certificate verify failed (certificate {0}) / Success"


@pytest.mark.parametrize(
    ("words", "cure", "other"),
    [
        (GNUTLS.format("chain uses not yet valid certificate."), "clock is behind", "intercepts"),
        (OPENSSL.format("is not yet valid"), "clock is behind", "intercepts"),
        (GNUTLS.format("chain uses expired certificate."), "expired by the desk's clock", "ca-certificates"),
        (OPENSSL.format("has expired"), "expired by the desk's clock", "ca-certificates"),
        (GNUTLS.format("issuer is unknown."), "intercepts TLS", "set-ntp"),
    ],
)
def test_a_certificate_says_what_is_wrong_with_it(words: str, cure: str, other: str) -> None:
    why = f"{words} [IP: 192.0.2.7 443]"
    (found,) = archive_findings(f"Err:1 {SPARK} noble InRelease\n  {why}\nW: Failed to fetch {SPARK}/dists/InRelease  {why}\n", WHERE)
    assert found.code == "APT_ARCHIVE_UNREACHABLE" and cure in found.remedy and other not in found.remedy


def test_a_proxy_that_apt_cannot_read_is_named() -> None:
    found = explain(["apt-get", "update"], "E: Unsupported proxy configured: socks9://proxy.lab", WHERE)
    assert found.code == "APT_ARCHIVE_UNREACHABLE" and "apt-config dump" in found.remedy


MISSING_DETECTOR = (
    "E: ProxyAutoDetect command '/usr/share/squid-deb-proxy-client/apt-avahi-discover' can not be executed! - access (2: No such file or "
    "directory)\n"
)


@pytest.mark.parametrize("told", [MISSING_DETECTOR, "E: Sub-process ProxyAutoDetect returned an error code (1)\n"], ids=["gone", "fails"])
@pytest.mark.parametrize("reached", [True, False])
def test_a_program_that_finds_apts_proxy_no_more_is_one_cause(told: str, reached: bool) -> None:
    """A package that is gone leaves its file in apt.conf.d, which names a program of its own."""
    hosts = ("ports.ubuntu.com", "repo.download.nvidia.com")
    fetched = "".join(
        f"Hit:{number} http://{host}/x noble InRelease\n"
        if reached
        else f"Err:{number} http://{host}/x noble InRelease\n  Could not resolve '{host}'\n"
        for number, host in enumerate(hosts, 1)
    )
    text = f"{fetched}Reading package lists...\n{told * 4}"
    (found,) = archive_findings(text, WHERE)
    for item in (found, explain(["apt-get", "update"], text, WHERE)):
        assert item.code == "APT_ARCHIVE_UNREACHABLE" and "ProxyAutoDetect" in item.message and "proxy-?auto-?detect" in item.remedy
        assert "Could not resolve" not in item.message
    missing = f"Err:1 http://{hosts[0]}/x noble Release\n  404  Not Found [IP: 192.0.2.1 80]\n{told}"
    assert {item.code for item in archive_findings(missing, WHERE)} == {"APT_ARCHIVE_UNREACHABLE", "APT_SOURCE_WRONG"}


@pytest.mark.parametrize(
    "text",
    [
        "E: Syntax error /etc/apt/apt.conf.d/99proxy:1: Extra junk at end of file\n",
        "E: Invalid record in the preferences file /etc/apt/preferences.d/lab, no Package header\n",
    ],
)
def test_a_configuration_that_apt_cannot_read_is_named_in_an_update_too(text: str) -> None:
    (found,) = archive_findings(text, WHERE)
    assert (found.code, found.severity) == ("APT_SOURCES_BROKEN", "fail") and "the file and line" in found.remedy
    assert text.split()[-1] in found.message


def test_a_disk_that_returns_errors_is_named() -> None:
    text = "dpkg-deb: error: failed to read archive 'x.deb': Input/output error\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n"
    found = explain(["apt-get", "install"], text, WHERE)
    assert found.code == "APT_FAILED" and "Input/output error" in found.message and "journalctl -k" in found.remedy


def test_another_python_in_the_place_of_ubuntus_is_named() -> None:
    text = (
        'Traceback (most recent call last):\n  File "/usr/lib/cnf-update-db", line 3, in <module>\n    import apt_pkg\n'
        "ModuleNotFoundError: No module named 'apt_pkg'\n"
        "E: Problem executing scripts APT::Update::Post-Invoke-Success 'if /usr/bin/test -w /var/lib/command-not-found/; then x; fi'\n"
        "E: Sub-process returned an error code\n"
    )
    found = explain(["apt-get", "update"], text, WHERE)
    assert found.code == "APT_FAILED" and "Problem executing scripts" in found.message and "update-alternatives" in found.remedy


def test_a_missing_key_stays_one() -> None:
    key = f"W: GPG error: {ARCHIVE} noble InRelease: The following signatures couldn't be verified: NO_PUBKEY 0123456789ABCDEF\n"
    assert [item.code for item in archive_findings(key + UNSIGNED, WHERE)] == ["APT_KEY_MISSING"]
    newer = f"Warning: OpenPGP signature verification failed: {ARCHIVE} noble InRelease: Missing key {'0A' * 20}, which is needed\n"
    (found,) = archive_findings(newer, WHERE)
    assert found.code == "APT_KEY_MISSING" and "0A" * 20 in found.remedy


def test_what_apt_only_notes_is_no_error() -> None:
    note = f"N: Repository '{ARCHIVE} noble InRelease' changed its 'Version' value from '24.04' to '24.04.1'\n"
    assert archive_findings(note, WHERE) == [] and codes(note) == ()
    assert codes(note.replace("N: ", "E: ")) == ("APT_ORIGIN_CHANGED",)


def test_a_file_that_the_archive_has_replaced() -> None:
    text = f"E: Failed to fetch {ARCHIVE}/pool/main/l/linux/a_1.deb  404  Not Found\nE: Unable to fetch some archives, maybe run update\n"
    (found,) = archive_findings(text, WHERE)
    assert found.code == "APT_ARCHIVE_UNREACHABLE" and "apt-get update" in found.remedy and "network" not in found.remedy


def test_the_newer_solver_of_apt() -> None:
    assert codes("Error: Unable to satisfy dependencies. Reached two conflicting assignments:\n") == ("DRIVER_LOCK_UNSATISFIABLE",)


@pytest.mark.parametrize("size", ["512 kB", "503 MB", "401 B", "500 kB"])
def test_a_size_is_no_refusal(size: str) -> None:
    text = f"Get:1 {ARCHIVE} noble InRelease [{size}]\nFetched {size} in 2s (407 kB/s)\nNeed to get {size} of archives.\n"
    assert codes(text) == () and archive_findings(text, WHERE) == []


def test_an_index_that_was_changed_on_its_way_is_no_missing_key() -> None:
    text = f"W: GPG error: {ARCHIVE} noble InRelease: The following signatures were invalid: BADSIG 0123456789ABCDEF An Archive <a@b.c>\n"
    (found,) = archive_findings(text + UNSIGNED, WHERE)
    assert found.code == "APT_CHECKSUM_WRONG" and "cache" in found.remedy
    assert explain(["apt-get", "update"], text + UNSIGNED, WHERE).code == "APT_CHECKSUM_WRONG"


def test_the_second_in_which_a_key_expired_is_not_its_name() -> None:
    expired = f"W: GPG error: {ARCHIVE} noble InRelease: The following signatures were invalid: "
    (found,) = archive_findings(expired + "KEYEXPIRED 1700000000\n", WHERE)
    assert found.code == "APT_KEY_EXPIRED" and "1700000000" not in found.remedy
    newer = f"{expired}Sub-process /usr/bin/sqv returned an error code (1): Signing key on {'0A' * 20} is expired.\n"
    (found,) = archive_findings(newer, WHERE)
    assert found.code == "APT_KEY_EXPIRED" and "0A" * 20 in found.remedy


SOLVER = """\
Error: Unable to satisfy dependencies. Reached two conflicting assignments:
   1. a:arm64=2 is selected for install
   2. b:arm64 Conflicts a
"""
DOWN = """\
The following packages will be DOWNGRADED:
  libnccl2
E: Packages were downgraded and -y was used without --allow-downgrades.
"""
ESSENTIAL = """\
WARNING: The following essential packages will be removed.
  libc6
E: Essential packages were removed and -y was used without --allow-remove-essential.
"""
SCRIPT = """\
dpkg: error processing package nvidia-dkms-580-open (--configure):
 subprocess returned error exit status 10
Errors were encountered while processing:
 nvidia-dkms-580-open
E: Sub-process /usr/bin/dpkg returned an error code (1)
"""


@pytest.mark.parametrize(
    ("text", "code", "name"),
    [
        (SOLVER, "DRIVER_LOCK_UNSATISFIABLE", "b:arm64 Conflicts a"),
        (DOWN, "DRIVER_LOCK_UNSATISFIABLE", "libnccl2"),
        (ESSENTIAL, "DRIVER_LOCK_UNSATISFIABLE", "libc6"),
        (SCRIPT, "DPKG_BROKEN", "nvidia-dkms-580-open"),
    ],
)
def test_the_message_names_the_packages(text: str, code: str, name: str) -> None:
    found = explain(["apt-get", "install"], text, WHERE)
    assert found.code == code and name in found.message


LISTS = "/var/lib/apt/lists"


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        (f"E: Unable to parse package file {LISTS}/ports.ubuntu.com_Packages (1)\nW: You may want to run apt-get update", "apt/lists"),
        (f"E: Problem with MergeList {LISTS}/x_Packages\nE: The package lists or status file could not be parsed or opened.", "apt/lists"),
        (f"E: Failed to fetch store:{LISTS}/partial/x  Empty files can't be valid archives", "apt/lists"),
        (f"E: List directory {LISTS}/partial is missing. - Acquire (2: No such file or directory)", "apt/lists"),
        (f"E: List directory {LISTS}/partial is missing. - Acquire (30: Read-only file system)", "findmnt"),
        (f"E: Could not open lock file {LISTS}/lock - open (30: Read-only file system)\nE: Unable to lock directory {LISTS}/", "findmnt"),
        ("dpkg: error processing archive /x.deb (--unpack):\n cannot create /var/lib/x.list-new: Read-only file system", "findmnt"),
        ("dpkg: error: parsing file '/var/lib/dpkg/status' near line 5 package 'dpkg':\n missing 'Version' field", "status-old"),
        ("E: flAbsPath on /var/lib/dpkg/status failed - realpath (2: No such file or directory)\nE: Problem opening", "status-old"),
    ],
)
def test_what_cannot_be_used_on_the_desks_own_disk_has_its_cure(text: str, cure: str) -> None:
    found = explain(["apt-get", "-q", "install", "perftest"], text, WHERE)
    assert (found.code, found.severity) == ("APT_FAILED", "fail") and cure in found.remedy
    assert "DPKG_LOCKED" not in codes(text)


def test_an_archive_whose_server_fails_is_no_wrong_path() -> None:
    head = f"Ign:1 {ARCHIVE}  InRelease\nErr:2 {ARCHIVE}  Release\n"
    tail = f"E: The repository '{ARCHIVE}  Release' does not have a Release file."
    (found,) = archive_findings(f"{head}  502  Bad Gateway [IP: 192.0.2.1 80]\n{tail}", WHERE)
    assert found.code == "APT_ARCHIVE_UNREACHABLE" and "502" in found.message
    assert explain(["apt-get", "update"], f"{head}  502  Bad Gateway [IP: 192.0.2.1 80]\n{tail}", WHERE).code == "APT_ARCHIVE_UNREACHABLE"
    (gone,) = archive_findings(f"{head}  404  Not Found [IP: 192.0.2.1 80]\n{tail}", WHERE)
    assert gone.code == "APT_SOURCE_WRONG"


def test_a_keyring_that_apt_may_not_read_is_made_readable() -> None:
    ring = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
    text = (
        f"W: {ARCHIVE}/dists/noble/InRelease: The key(s) in the keyring {ring} are ignored as the file is not readable by user '_apt' "
        f"executing apt-key.\nW: GPG error: {ARCHIVE} noble InRelease: The following signatures couldn't be verified because the public "
        f"key is not available: NO_PUBKEY 871920D1991BC93C\n{UNSIGNED}"
    )
    (found,) = archive_findings(text, WHERE)
    assert found.code == "APT_KEY_MISSING" and f"chmod 644 {ring}" in found.remedy


@pytest.mark.parametrize("word", ["stanza 1 in source list", "entry 1 in sources file", "line 3 in source list"])
def test_a_slip_in_a_source_is_corrected_where_it_stands(word: str) -> None:
    text = f"E: Malformed {word} /etc/apt/sources.list.d/dgx.sources (Suite)\nE: The list of sources could not be read."
    (found,) = archive_findings(text, WHERE)
    assert found.code == "APT_SOURCES_BROKEN" and "dgx.sources" in found.message and found.remedy.startswith("Correct the file")


OVERWRITE = """\
dpkg: error processing archive /var/cache/apt/archives/libnvidia-compute-580_580.178.04_arm64.deb (--unpack):
 trying to overwrite '/usr/lib/aarch64-linux-gnu/libcuda.so.1', which is also in package libnvidia-compute 610.57.04-1ubuntu1
Errors were encountered while processing:
 /var/cache/apt/archives/libnvidia-compute-580_580.178.04_arm64.deb
E: Sub-process /usr/bin/dpkg returned an error code (1)
"""
UNFINISHED = """\
dpkg: unrecoverable fatal error, aborting:
 files list file for package 'libnccl2:arm64' is missing final newline
E: Sub-process /usr/bin/dpkg returned an error code (2)
"""
REINSTALL = "E: The package linux-image-6.17.0-1026-nvidia needs to be reinstalled, but I can't find an archive for it.\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OVERWRITE, "which is also in package libnvidia-compute 610.57.04"),
        (UNFINISHED, "'libnccl2:arm64' is missing final newline"),
        (REINSTALL, "linux-image-6.17.0-1026-nvidia needs to be reinstalled"),
        (SCRIPT, "subprocess returned error exit status 10"),
    ],
)
def test_what_dpkg_says_below_its_error_is_the_reason(text: str, words: str) -> None:
    found = explain(["apt-get", "install"], text, WHERE)
    assert found.code == "DPKG_BROKEN" and words in found.message
    assert ("sudo apt-get remove libnvidia-compute" in found.remedy) is (text is OVERWRITE)


@pytest.mark.parametrize("architecture", ["amd64", "armhf", "i386"])
def test_an_archive_that_has_nothing_for_a_second_architecture(architecture: str) -> None:
    text = (
        f"Err:9 {ARCHIVE} noble/main {architecture} Packages\n  404  Not Found [IP: 192.0.2.1 80]\n"
        f"E: Failed to fetch {ARCHIVE}/dists/noble/main/binary-{architecture}/Packages  404  Not Found [IP: 192.0.2.1 80]\n"
        "E: Some index files failed to download. They have been ignored, or old ones used instead.\n"
    )
    for found in (*archive_findings(text, WHERE), explain(["apt-get", "update"], text, WHERE)):
        assert found.code == "APT_SOURCE_WRONG" and f"dpkg --remove-architecture {architecture}" in found.remedy
    own = text.replace(architecture, "arm64")
    assert all("remove-architecture" not in found.remedy for found in archive_findings(own, WHERE))


def test_a_key_that_a_newer_apt_finds_too_weak() -> None:
    text = (
        "W: OpenPGP signature verification failed: https://lab.example/debian default InRelease: Sub-process /usr/bin/sqv returned an "
        f"error code (1), error message is: Signing key on {'0A' * 20} is not bound:            No binding signature at time "
        "2026-11-28T00:00:00Z   because: Policy rejected non-revocation signature (PositiveCertification) requiring second pre-image "
        "resistance   because: SHA1 is not considered secure since 2026-02-01T00:00:00Z\n"
        "E: The repository 'https://lab.example/debian default InRelease' is not signed.\n"
    )
    (found,) = archive_findings(text, WHERE)
    assert (found.code, found.severity) == ("APT_KEY_MISSING", "note") and "as weak as" in found.remedy and "0A" * 20 in found.remedy


def test_a_signature_that_could_not_be_checked_is_no_missing_key() -> None:
    text = f"W: GPG error: {ARCHIVE} noble InRelease: At least one invalid signature was encountered.\n{UNSIGNED}"
    for found in (*archive_findings(text, WHERE), explain(["apt-get", "update"], text, WHERE)):
        assert found.code == "APT_CHECKSUM_WRONG" and "df -h /tmp" in found.remedy


def test_an_index_that_is_none_is_no_missing_key() -> None:
    text = f"W: GPG error: {ARCHIVE} noble InRelease: Splitting up /var/lib/apt/lists/partial/x into data and signature failed\n{UNSIGNED}"
    for found in (*archive_findings(text, WHERE), explain(["apt-get", "update"], text, WHERE)):
        assert found.code == "APT_CHECKSUM_WRONG" and "cache" in found.remedy


def test_a_folder_that_apt_may_not_write_is_not_the_networks_fault() -> None:
    file = "/var/lib/apt/lists/partial/ports.ubuntu.com_ubuntu-ports_dists_noble_InRelease"
    text = f"E: Failed to fetch {ARCHIVE}/dists/noble/InRelease  Could not open file {file} - open (13: Permission denied) [IP: x 80]\n"
    for found in (*archive_findings(text, WHERE), explain(["apt-get", "update"], text, WHERE)):
        assert "chown _apt:root" in found.remedy and "proxy" not in found.remedy


@pytest.mark.parametrize("answer", ["429  Too Many Requests", "502  Bad Gateway", "503  Service Unavailable", "504  Gateway Time-out"])
def test_an_archive_that_is_busy_is_waited_for(answer: str) -> None:
    text = f"E: Failed to fetch {ARCHIVE}/dists/noble/InRelease  {answer} [IP: 192.0.2.1 80]\n{UNSIGNED}"
    for found in (*archive_findings(text, WHERE), explain(["apt-get", "update"], text, WHERE)):
        assert "Wait" in found.remedy and "login" not in found.remedy


def test_a_file_that_dpkg_may_not_write_is_not_cured_by_configure_alone() -> None:
    text = (
        "dpkg: error processing archive /var/cache/apt/archives/x_1_arm64.deb (--unpack):\n"
        " unable to create '/usr/lib/x.dpkg-new' (while processing './usr/lib/x'): Operation not permitted\n"
        "E: Sub-process /usr/bin/dpkg returned an error code (1)\n"
    )
    found = explain(["apt-get", "install"], text, WHERE)
    assert found.code == "DPKG_BROKEN" and "lsattr -d /usr/lib" in found.remedy and "chattr -i" in found.remedy


def test_a_module_that_dkms_cannot_build_is_named() -> None:
    text = (
        "Error! Bad return status for module build on kernel: 7.0.0-1021-nvidia (aarch64)\n"
        "Consult /var/lib/dkms/r8127/11.014/build/make.log for more information.\n"
        "dpkg: error processing package linux-headers-7.0.0-1021-nvidia (--configure):\n subprocess returned error exit status 1\n"
        "E: Sub-process /usr/bin/dpkg returned an error code (1)\n"
    )
    found = explain(["apt-get", "install"], text, WHERE)
    assert found.code == "DPKG_BROKEN" and "/var/lib/dkms/r8127/11.014/build/make.log" in found.remedy and "7.0.0-1021" in found.remedy


FLAT = "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/sbsa"


@pytest.mark.parametrize(
    "words", ["File has unexpected size (10 != 12). Mirror sync in progress? [IP: 192.0.2.1 443]", "Hash Sum mismatch"]
)
@pytest.mark.parametrize("name", ["Packages.gz", "Packages", "./Packages.xz", "by-hash/SHA256/0a1b2c"])
def test_an_archive_without_folders_is_told_once(words: str, name: str) -> None:
    text = (
        f"Err:5 {FLAT}  Packages\n  {words}\nE: Failed to fetch {FLAT}/{name}  {words}\n"
        "E: Some index files failed to download. They have been ignored, or old ones used instead.\n"
    )
    (found,) = archive_findings(text, WHERE)
    assert (found.code, found.evidence["archive"]) == ("APT_CHECKSUM_WRONG", FLAT)


@pytest.mark.parametrize(
    "address",
    [
        f"{FLAT}/./libnccl2_2.31.2-1%2bcuda13.2_arm64.deb",
        f"{FLAT}/cuda-toolkit-13-0_13.0.3-1_arm64.deb",
        f"{ARCHIVE}/pool/universe/o/openmpi/openmpi-bin_4.1.6-7ubuntu2_arm64.deb",
    ],
)
def test_a_package_that_is_no_longer_there_needs_new_lists(address: str) -> None:
    text = (
        f"E: Failed to fetch {address}  404  Not Found [IP: 192.0.2.1 443]\n"
        "E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?\n"
    )
    found = explain(["apt-get", "install"], text, WHERE)
    assert found.code == "APT_ARCHIVE_UNREACHABLE" and "newer version than the desk's package lists" in found.remedy


FAILED_SCRIPT = (
    "dpkg: error processing package linux-image-7.0.0-1021-nvidia (--configure):\n"
    " installed linux-image-7.0.0-1021-nvidia package post-installation script subprocess returned error exit status 1\n"
    "Errors were encountered while processing:\n linux-image-7.0.0-1021-nvidia\n"
    "E: Sub-process /usr/bin/dpkg returned an error code (1)\n"
)


def test_what_a_packages_script_said_is_told() -> None:
    text = (
        "Setting up linux-image-7.0.0-1021-nvidia (7.0.0-1021.21) ...\n"
        "/etc/kernel/postinst.d/zz-update-grub:\n/usr/sbin/grub-probe: error: failed to get canonical path of `/dev/mapper/x'.\n"
        "run-parts: /etc/kernel/postinst.d/zz-update-grub exited with return code 1\n"
    )
    found = explain(["apt-get", "install"], text + FAILED_SCRIPT, WHERE)
    assert found.code == "DPKG_BROKEN" and "failed to get canonical path" in found.message and "exit status 1" in found.message
    assert "Setting up" not in found.message and found.remedy.startswith("What a package's script ran failed")


def test_a_script_that_said_nothing_leaves_the_message_as_it_was() -> None:
    found = explain(["apt-get", "install"], "Setting up x (1) ...\n" + FAILED_SCRIPT, WHERE)
    assert found.code == "DPKG_BROKEN" and found.message.startswith("desk-01: dpkg: error processing package")
    assert "script ran failed" not in found.remedy


@pytest.mark.parametrize("name", ["nvidia-driver-580-open", "libnvidia-compute-580", "linux-nvidia-hwe-24.04", "dgx-release", "nv-limits"])
def test_no_remedy_removes_what_the_desk_lives_from(name: str) -> None:
    text = f"The following packages will be REMOVED:\n  lab-tools {name}\nE: Packages need to be removed but remove is disabled.\n"
    found = explain(["apt-get", "install"], text, WHERE)
    assert found.code == "DRIVER_LOCK_UNSATISFIABLE" and "apt-get remove" not in found.remedy
