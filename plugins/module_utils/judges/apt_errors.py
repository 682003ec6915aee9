# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt and dpkg (C locale) print when something is wrong, as findings: apt's own reason, the archive it is about, the cure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..model.finding import Finding, Where
from .catalogue import finding
from .common import named

REFUSED_LOCK = r"Could not get lock|is another process using it|locked by another process|Unable to lock|dpkg frontend lock"
NO_ROOM = r"No space left on device|don't have enough free space|Disk quota exceeded|not enough free disk space"
READ_ONLY = r"Read-only file system"
BAD_LISTS = (
    r"Unable to parse package file|Problem with MergeList|Encountered a section with no Package: header|"
    r"Empty files can't be valid archives|List directory .{1,200} is missing"
)
BAD_STATUS = r"parsing file '/var/lib/dpkg/status'|(?:flAbsPath on|package file) /var/lib/dpkg/status"
NOT_OURS = r"Could not open file /var/(?:lib/apt/lists|cache/apt/archives)/partial/.{1,300}\(13: Permission denied\)"
CURES = {
    READ_ONLY: "A file system of the desk is read-only: findmnt -O ro -t ext4,xfs,btrfs names it, and sudo journalctl -k | grep -iE "
    "'remount|I/O error' says whether its disk is the cause. Reboot the desk (which checks the file system), then run again.",
    r"Input/output error": "The desk's disk returns errors: sudo journalctl -k | grep -iE 'I/O error|nvme' says which one. Save what is "
    "on it and replace it; nothing can be installed before.",
    BAD_STATUS: "The list of installed packages is damaged: compare /var/lib/dpkg/status with /var/lib/dpkg/status-old and "
    "/var/backups/dpkg.status*, copy the last good one over it, then run sudo apt-get check.",
    NOT_OURS: "apt's own user may not write into apt's folders: sudo chown _apt:root /var/lib/apt/lists/partial "
    "/var/cache/apt/archives/partial and sudo chmod 700 for both; every folder above them must be open to all (chmod 755). Then run again.",
    BAD_LISTS: "The downloaded package lists are damaged; fetch them again: sudo rm -r /var/lib/apt/lists && sudo apt-get update. Then run "
    "again.",
}
"""What stands on the desk's own disk and cannot be used: apt's words, and the cure."""
BAD_SOURCES = (
    r"Conflicting values set for option|list of sources could not be read|Malformed (?:entry|line|stanza)|Type '.*' is not known|"
    r"Syntax error /etc/apt|Invalid record in the preferences file|Did not understand pin type"
)
OLD_KEY = r"EXPKEYSIG|KEYEXPIRED|REVKEYSIG|key has expired|EXPSIG|key (?:on )?[0-9A-F]{16,40} (?:is|has) expired"
NO_KEY = (
    r"NO_PUBKEY|is not signed|is no longer signed|Missing key [0-9A-F]{8,40}|couldn't be verified because the public key|"
    r"cannot be authenticated|not readable by user '_apt'|OpenPGP signature verification failed"
)
WEAK_KEY = r"is not considered secure|Policy rejected"
"""What the sqv of newer systems says of a key or signature made with SHA1."""
WRONG_TIME = r"is not valid yet|is expired \(invalid since|Release file .{0,300} expired"
NEW_ORIGIN = r"changed its '(?:Origin|Label|Suite|Codename|Version|Default-Release)' value"
NO_SIGNATURE = "At least one invalid signature was encountered"
"""What apt says where it could not even look at the signature, mostly for want of room or rights in /tmp."""
NO_INDEX = "into data and signature failed"
"""What came in place of an archive's index is none: a page of something on the way, or the half of it."""
WRONG_SUM = rf"{NO_SIGNATURE}|{NO_INDEX}|were invalid: BADSIG|Hash Sum mismatch|has unexpected size|Hashes of expected file|hash mismatch"
FOREIGN = r"/binary-(?!arm64/|all/)([a-z0-9]{2,16})/Packages"
"""An index for another processor than the desk's."""
WRONG_PATH = (
    r"does not have a Release file|no longer has a Release file|Unable to find expected entry|InRelease.{0,200}404 |Release\s+404 |"
    rf"{FOREIGN}\S{{0,8}}\s{{1,4}}404 "
)
HALF_DONE = (
    r"dpkg was interrupted|dpkg: error processing|dpkg: unrecoverable|leaving unconfigured|Errors were encountered while processing|"
    r"Sub-process /usr/bin/dpkg|needs to be reinstalled, but I can't find an archive"
)
KEY_NAMED = r"NO_PUBKEY|Missing key|public key"
"""What apt says when a key is the cause."""
DENIED = (
    r"(?-i:(?:^|\s)(?:401|403|407|429|50[0-9]|511)\s{1,4}[A-Z][a-z]{2,20}\b)|Clearsigned file isn't valid|"
    r"does the network require authentication|Redirection (?:from https to|loop)|Bad header (?:line|data)"
)
"""A proxy, a sign-in page or the archive itself refused; apt then calls the archive "not signed", which is not the cause."""
OTHER_PYTHON = r"No module named '_?apt_(?:pkg|inst)'"
"""What programs of Ubuntu's say when /usr/bin/python3 was made another Python."""
BUSY = r"\s(?:429|50[0-9])\s{1,4}[A-Z][a-z]"
GONE = r"\s404\s"
"""What tells an archive that is not there from one that only refused: apt says of both that they have no Release file."""
NOT_THE_KEY = rf"{DENIED}|BADSIG|{NO_SIGNATURE}|{NO_INDEX}"
"""What apt also follows up with "not signed": a refusal, or an index that arrived changed on its way."""
NO_DETECTION = r"ProxyAutoDetect (?:command|returned)"
"""apt could not run the program that is to find its proxy, and went without one."""
NO_ARCHIVE = (
    rf"{DENIED}|{NO_DETECTION}|"
    r"Failed to fetch|Could not connect|Could not resolve|Connection (failed|timed out|refused|reset)|Temporary failure resolving|"
    r"Unable to connect|Network is unreachable|Some index files failed|Certificate verification failed|got 'NODATA'|"
    r"Unable to fetch some archives|Unsupported proxy configured|Invalid (?:URI for|response from) proxy"
)
NO_SOLUTION = (
    r"unmet dependencies|Unable to locate package|has no installation candidate|Version '.*' for '.*' was not found|"
    r"Packages need to be removed|Held packages were changed|held broken packages|Packages were downgraded|Unable to correct problems|"
    r"Unable to satisfy dependencies|Reached two conflicting|Essential packages were removed"
)
ERRORS: tuple[tuple[str, str], ...] = (
    ("APT_FAILED", "|".join(CURES)),
    ("DPKG_LOCKED", REFUSED_LOCK),
    ("DISK_FULL", NO_ROOM),
    ("APT_SOURCES_BROKEN", BAD_SOURCES),
    ("APT_KEY_EXPIRED", OLD_KEY),
    ("APT_KEY_MISSING", NO_KEY),
    ("APT_RELEASE_TIME", WRONG_TIME),
    ("APT_ORIGIN_CHANGED", NEW_ORIGIN),
    ("APT_CHECKSUM_WRONG", WRONG_SUM),
    ("APT_SOURCE_WRONG", WRONG_PATH),
    ("DPKG_BROKEN", HALF_DONE),
    ("APT_ARCHIVE_UNREACHABLE", NO_ARCHIVE),
    ("DRIVER_LOCK_UNSATISFIABLE", NO_SOLUTION),
)
"""Code and what apt or dpkg (C locale) prints for it, most telling first."""

ARCHIVE_CODES = (
    "APT_SOURCES_BROKEN",
    "APT_KEY_EXPIRED",
    "APT_KEY_MISSING",
    "APT_RELEASE_TIME",
    "APT_ORIGIN_CHANGED",
    "APT_CHECKSUM_WRONG",
    "APT_SOURCE_WRONG",
    "APT_ARCHIVE_UNREACHABLE",
)
"""Codes that are about one archive, or about the list of archives."""

LINE = re.compile(r"^(E|W|Err|dpkg|W|Error)[: ]")
MESSAGE_LIMIT = 700
"""Characters of apt's words in a message."""

_URL = re.compile(r"\b(?:https?|ftp|file|copy|cdrom|mirror(?:\+\w{1,8})?|tor\+https?):/{0,3}[^\s'\"]{1,300}")
_REACHED = re.compile(
    r"(?:Could not (?:connect to|resolve(?: host:)?)|Temporary failure resolving|Connection failed:? ?to|Unable to connect to|resolving) '?"
    r"(?:\[IP: )?([A-Za-z0-9][A-Za-z0-9.-]{0,252})"
)
"""The machine that apt wanted to reach, which is a proxy where the address of the archive names another one."""
_NO_TUNNEL = r"Invalid response from proxy: (?!HTTP/\S{1,5} (?:407|429|50[0-9]))\S"
"""A proxy that will not pass https on; 407 asks for a login, and 5xx is a proxy that has its own trouble."""
_KEY = re.compile(r"(?:EXPKEYSIG|REVKEYSIG|NO_PUBKEY|Missing key|[Kk]ey on) ([0-9A-F]{16,40})((?: [^\s,;]{1,80}@[^\s,;]{1,80})?)")
"""A key and its owner; KEYEXPIRED names no key but the second in which it expired."""
_OTHERS_FILE = re.compile(r"trying to overwrite .{1,300}, which is also in package ([a-z0-9][a-z0-9+.:-]{1,100})")
_FIXED = re.compile(r"unable to \w[\w ]{1,40}? '(/[^'\n]{1,300})'[^\n]{0,300}: Operation not permitted")
"""A file that even root may not write."""
_BUILD = re.compile(
    r"Bad return status for module build on kernel: ([\w.+~-]{1,80})[^\n]{0,80}\n(?:[^\n]{0,300}\n)?.{0,40}?(/var/lib/dkms/\S{1,200})"
)
"""A module that DKMS could not build: the kernel, and its log (or Consult LOG for more information)."""
_FILE = r"/(?:dists|pool|\.)/|/(?:InRelease|Release|Packages|Sources|Contents|by-hash)\b|/[^/]{1,200}\.deb$"
"""Where a file of an archive begins in an address."""
_UNREAD = re.compile(r"in the keyring (/[^\s'\"]{1,200}) are ignored as the file is not readable by user '_apt'")
_OWN = re.compile(
    r"^\w{3,8}(?:\+\w+)?://(?:[^/]*\.)?(?:repo\.download\.nvidia\.com/(?:spark|baseos)|developer\.download\.nvidia\.com/|"
    r"(?:ports|archive|security)\.ubuntu\.com)"
)
"""Archives that DGX OS itself takes its driver, its kernel and its packages from."""
_BLOCK = (
    "The following packages have unmet dependencies",
    "The following packages will be REMOVED",
    "The following packages will be DOWNGRADED",
    "The following held packages",
    "WARNING: The following essential packages",
)


def codes(text: str) -> tuple[str, ...]:
    """Codes of the errors that a text of apt or dpkg names, most telling first. What apt only notes (N:) is no error."""
    told = "\n".join(line for line in text.splitlines() if not line.startswith("N: "))
    found = [code for code, pattern in ERRORS if re.search(pattern, told, re.IGNORECASE)]
    if "APT_KEY_MISSING" in found and re.search(NOT_THE_KEY, told) and not re.search(KEY_NAMED, told):
        found.remove("APT_KEY_MISSING")
    if "APT_SOURCE_WRONG" in found and re.search(DENIED, told) and not re.search(GONE, told):
        found.remove("APT_SOURCE_WRONG")
    if found[:1] == ["APT_FAILED"] and "DPKG_LOCKED" in found:
        found.remove("DPKG_LOCKED")  # a lock on a read-only file system is not somebody else's
    return tuple(found)


def telling_lines(text: str, code: str, limit: int = 4) -> list[str]:
    """Lines that made the code, without repetition; of a conflict between packages also the lines that name them."""
    pattern = dict(ERRORS).get(code, "")
    rows = text.splitlines()
    if code == "DRIVER_LOCK_UNSATISFIABLE":
        return _reason(rows, pattern)
    lines = [
        line.strip()
        for above, line in zip(["", *rows], rows, strict=False)
        # dpkg's reason stands below its error.
        if pattern and (re.search(pattern, line, re.IGNORECASE) or (line[:1] == " " and above.startswith("dpkg: ") and above[-1:] == ":"))
    ]
    if not lines:
        lines = [line.strip() for line in rows if LINE.match(line)] or [line.strip() for line in rows[-limit:]]
    return [line[:300] for line in dict.fromkeys(lines)][:limit]


def _reason(rows: Sequence[str], pattern: str, limit: int = 16) -> list[str]:
    """apt's whole reason: its heads with the indented lines below them (which package needs what), and its errors."""
    found: list[str] = []
    inside = False
    for row in rows:
        # The newer solver's reason stands below its error.
        head = row.startswith(_BLOCK) or (row.rstrip().endswith(":") and LINE.match(row) is not None)
        inside = head or (inside and row.startswith(" "))
        if inside or LINE.match(row) or re.search(pattern, row, re.IGNORECASE):
            found.append(" ".join(row.split())[:300])
    return list(dict.fromkeys(found))[:limit]


_PROGRESS = re.compile(r"(?:Setting up|Preparing|Unpacking|Selecting|Processing|Get:|\(Reading|dpkg: )")


def _of_script(text: str, limit: int = 3) -> list[str]:
    """The last words of a package's script that failed, which stand above dpkg's error."""
    rows = [line.strip() for line in text.splitlines()]
    end = next((place for place, row in enumerate(rows[1:]) if "script subprocess returned error" in row), None)
    if end is None or not rows[end].startswith("dpkg: error processing"):
        return []
    found: list[str] = []
    for row in reversed(rows[max(0, end - 20) : end]):
        if _PROGRESS.match(row) or len(found) == limit:
            break
        found += [row[:300]] if row else []
    return found[::-1]


_NO_MODULE = re.compile(
    r"(?:Unable to locate package |Package ')(linux-modules-nvidia-\d{3}-open-(\d[\d.]{1,20}-\d{1,6}-[a-z0-9-]{1,40}))"
    r"(?=\s|' has no installation candidate)"
)
"""The module of one kernel, which no archive has: phased updates bring a kernel before it, and other kernels never get one."""
_GONE_VERSION = re.compile(r"Version '([^'\s]{1,100})' for '([^'\s]{1,100})' was not found")
_REMOVALS = re.compile(r"^The following packages will be REMOVED:\n((?: [^\n]{0,2000}\n?){1,50})", re.MULTILINE)
_OF_THE_DESK = re.compile(r"nv|dgx|linux|cuda|lib")
"""How names of driver, kernel, DGX OS and libraries begin, which no remedy lets anybody remove."""


def outrun(text: str, setting: str) -> str | None:
    """What to do where no archive has a version that was asked for; ``setting``: the variable that names the file of the versions."""
    gone = _GONE_VERSION.search(text)
    if gone is None:
        return None
    version, name = gone.groups()
    return (
        f"No archive of the desk has {name} {version} (apt-cache madison {name} lists what there is). Bring one desk to versions that the "
        f"archives have, write a new lock file from it (playbooks/lock_from.yml) and give that one ({setting}), or give the desks a mirror "
        "that keeps older versions."
    )


def _unsatisfied(text: str) -> str | None:
    """What to do about packages that apt cannot bring together; null for what the catalogue says."""
    gone = outrun(text, "driver_lock_from")
    if gone:
        return gone
    if module := _NO_MODULE.search(text):
        package, release = module.groups()
        return (
            f"No archive of this desk has {package}. Where {release} is a kernel of DGX OS, its module follows some days later: run again "
            "then, and do not reboot before. Otherwise start one that has its module, where that kernel runs now, and remove it, after a "
            f"look at what else apt would remove (sudo apt-get remove linux-image-{release}; never apt autoremove). Then run again."
        )
    removals = _REMOVALS.search(text)
    names = [word.rstrip("*") for word in removals.group(1).split()] if removals else []
    if names and not any(_OF_THE_DESK.match(name) for name in names):
        listed = " ".join(names[:8])
        return (
            f"What stands in the way is {named(names, 4)}, which needs other versions (apt-cache show {listed}). Update it, or remove it "
            f"where nothing needs it (sudo apt-get remove {listed}; never apt autoremove). Then run again."
        )
    return None


def explain(argv: Sequence[str], text: str, where: Where, *, severity: str | None = None, timeout: bool = False) -> Finding:
    """The finding for a command that failed. ``severity`` is used where the code allows it."""
    remedy: str | None = None
    if timeout:
        code, lines = "APT_FAILED", [f"{argv[0]} did not end within its time limit"]
    else:
        found = codes(text)
        code = found[0] if found else "APT_FAILED"
        lines = telling_lines(text, code)
        cause = next((problem for problem in problems(text) if problem.code == code), None)
        remedy = cause.remedy if cause else None
        if cause and any(re.search(NO_DETECTION, line) for line in cause.says):
            lines = list(cause.says)
        if code == "APT_FAILED" and re.search(OTHER_PYTHON, text):
            remedy = (
                "The desk's /usr/bin/python3 is not Ubuntu's own, which programs of apt need: sudo update-alternatives --remove-all "
                "python3, then sudo ln -sf python3.12 /usr/bin/python3. Then run again."
            )
        elif code == "APT_FAILED":
            remedy = next((cure for words, cure in CURES.items() if re.search(words, text, re.IGNORECASE)), None)
        if code == "DRIVER_LOCK_UNSATISFIABLE":
            remedy = _unsatisfied(text)
        if code == "DPKG_BROKEN" and (other := _OTHERS_FILE.search(text)):
            remedy = (
                f"Two packages have one file. Remove the one that does not belong on the desk (sudo apt-get remove {other.group(1)}, if it "
                "is that one), then sudo apt-get -f install; never apt autoremove. Then run again."
            )
        if code == "DPKG_BROKEN" and (fixed := _FIXED.search(text)):
            folder = fixed.group(1).rpartition("/")[0] or "/"
            remedy = (
                f"A file or folder was made immutable: lsattr -d {folder} and lsattr {folder} show it (an i), sudo chattr -i NAME "
                "undoes it. Then sudo dpkg --configure -a and sudo apt-get -f install; never apt autoremove. Then run again."
            )
        if code == "DPKG_BROKEN" and (build := _BUILD.search(text)):
            remedy = (
                f"DKMS could not build a module for kernel {build.group(1)}; {build.group(2)} says why, sudo dkms status which one it is. "
                "Update or remove that module's own package (dkms remove for one without a package), then sudo dpkg --configure -a and "
                "sudo apt-get -f install; never apt autoremove. Then run again."
            )
    shown = lines if code == "DRIVER_LOCK_UNSATISFIABLE" else lines[:2]
    script = _of_script(text) if code == "DPKG_BROKEN" else []
    if script:
        lines, shown = [*script, *lines], [*script, *shown]
        remedy = remedy or (
            "What a package's script ran failed: put right what it says in the message first. Then, on the desk: sudo dpkg --configure -a, "
            "then sudo apt-get -f install; never apt autoremove. Then run again."
        )
    told = " ".join(shown)[:MESSAGE_LIMIT]
    message = f"{where.subject}: {told or 'no message'}"
    evidence = {"command": list(argv)[:24], "says": lines}
    try:
        return finding(code, where, message, evidence=evidence, severity=severity, remedy=remedy)
    except ValueError:
        return finding(code, where, message, evidence=evidence, remedy=remedy)


@dataclass(frozen=True)
class Problem:
    """What apt says about one archive."""

    code: str
    archive: str | None
    """Its address; null for the list of archives as a whole."""
    says: tuple[str, ...]
    remedy: str | None = None

    @property
    def needed(self) -> bool:
        """Whether DGX OS itself lives from it. One that somebody added is not: nothing that this collection installs is there."""
        return self.archive is None or bool(_OWN.match(self.archive))


def problems(text: str) -> list[Problem]:
    """The problems of the archives, one for each archive with its most telling reason, in the order of the text."""
    told: dict[str | None, dict[str, list[str]]] = {}
    current: str | None = None
    for row in text.splitlines():
        line = row.strip()
        # An indented reason is about the archive above it, whatever other address it names.
        address = None if row.startswith(" ") and current is not None else _URL.search(line)
        if address:
            current = _archive(address.group(0))
        elif not row.startswith(" "):
            current = None
        for code in (item for item in codes(line) if item in ARCHIVE_CODES):
            about = None if code == "APT_SOURCES_BROKEN" else current
            told.setdefault(about, {}).setdefault(code, []).append(" ".join(line.split())[:500])
        if re.match(r"\s+404\s", row) and current is not None:
            told.setdefault(current, {}).setdefault("APT_SOURCE_WRONG", []).append(f"{current}: {line[:200]}")
    nameless = told.get(None, {})
    if undetected := [line for line in nameless.get("APT_ARCHIVE_UNREACHABLE", ()) if re.search(NO_DETECTION, line)]:
        # Without the proxy no archive is reached; and apt reports the failure even where all are.
        nameless["APT_ARCHIVE_UNREACHABLE"] = undetected
        for archive, reasons in told.items():
            if archive is not None:
                reasons.pop("APT_ARCHIVE_UNREACHABLE", None)
    elif len(told) > 1:
        # "Some index files failed to download" names nothing that its archive's own line does not.
        nameless.pop("APT_ARCHIVE_UNREACHABLE", None)
    for reasons in told.values():
        lines = "\n".join(line for kept in reasons.values() for line in kept)
        if "APT_KEY_MISSING" in reasons and re.search(NOT_THE_KEY, lines) and not re.search(KEY_NAMED, lines):
            del reasons["APT_KEY_MISSING"]
        if re.search(DENIED, lines) and not re.search(GONE, lines):
            reasons.pop("APT_SOURCE_WRONG", None)
    if {"APT_KEY_MISSING", "APT_KEY_EXPIRED"} & set(nameless):
        # A refused signature is also a failed fetch: the key is the cause, not the line.
        for reasons in told.values():
            reasons.pop("APT_ARCHIVE_UNREACHABLE", None)
    found = []
    for archive, reasons in told.items():
        cause = next((item for item in ARCHIVE_CODES if item in reasons), None)
        if cause is not None:
            says = tuple(dict.fromkeys(reasons[cause]))[:4]
            found.append(Problem(cause, archive, says, _cure(cause, archive, says)))
    return found[:12]


def _archive(address: str) -> str:
    """The archive of an address: without a login and the file that was asked for. A flat one, as NVIDIA's for CUDA, has no folders of its
    own."""
    return re.split(_FILE, re.sub(_LOGIN, "", address).rstrip(".,:;)"))[0].rstrip("/")


_LOGIN = r"(?<=://)[^/\s@]{1,300}@"
"""User and password in an address, which apt does not hide in every line."""


def _cure(code: str, archive: str | None, says: Sequence[str]) -> str | None:
    """What to do in this very case; null for what the catalogue says."""
    key = next((match for line in says if (match := _KEY.search(line))), None)
    name = f" {key.group(1)}{key.group(2)}" if key else ""
    file = f"grep -rl {archive} /etc/apt/sources.list /etc/apt/sources.list.d names its file"
    if code == "APT_SOURCES_BROKEN" and not any("Conflicting" in line for line in says):
        return "Correct the file and line that the message names (or remove the file if nothing needs it), then run sudo apt-get update."
    if code == "APT_KEY_MISSING" and (hidden := next((match for line in says if (match := _UNREAD.search(line))), None)):
        return f"The key is there, but apt's own user may not read it: sudo chmod 644 {hidden.group(1)}. Then run sudo apt-get update."
    if code == "APT_KEY_EXPIRED":
        return (
            f"The key{name} of {archive or 'the archive'} has expired: install the archive's new key (its own package or its vendor's "
            f"page), or, if the archive is not needed, disable its source (Enabled: no; {file}). Then run sudo apt-get update."
        )
    if code == "APT_KEY_MISSING" and any(re.search(WEAK_KEY, line) for line in says):
        return (
            f"The desk's apt no longer accepts signatures as weak as those of the key{name} of {archive or 'the archive'}: install the "
            f"archive's new key (its own package or its vendor's page), or, if the archive is not needed, disable its source (Enabled: no; "
            f"{file}). Then run sudo apt-get update."
        )
    if code == "APT_KEY_MISSING" and archive is not None and "/spark/" not in f"{archive}/":
        return (
            f"Restore the key{name} of {archive} by reinstalling the archive's own keyring package (cuda-keyring for NVIDIA's CUDA "
            "archive); never use --allow-unauthenticated or trusted=yes. Then run sudo apt-get update."
        )
    if code == "APT_CHECKSUM_WRONG" and any(NO_SIGNATURE in line for line in says):
        return (
            "apt could not check the signature: look at the room and the rights of /tmp (df -h /tmp; ls -ld /tmp must show drwxrwxrwt) and "
            "at the clock (timedatectl), then fetch the lists again: sudo rm -r /var/lib/apt/lists && sudo apt-get update."
        )
    foreign = next((match.group(1) for line in says if (match := re.search(FOREIGN, line))), None)
    if code == "APT_SOURCE_WRONG" and foreign:
        return (
            f"The desk was given a second architecture, {foreign} (dpkg --print-foreign-architectures); this archive has nothing for it. "
            f"Take it away again (sudo dpkg --remove-architecture {foreign}, after removing its packages), or let the source say "
            f"Architectures: arm64 ({file}). Then run sudo apt-get update."
        )
    if code == "APT_SOURCE_WRONG":
        return (
            f"There is no archive at this address: correct the source's path, or disable the source ({file}). Then run sudo apt-get update."
        )
    if any(re.search(r"not valid yet|ertificate\b[^\n]{0,80} not yet (?:valid|activated)", line) for line in says):
        return (
            "The desk's clock is behind (or the archive's ahead): timedatectl; sudo timedatectl set-ntp true. Then run sudo apt-get update."
        )
    if code == "APT_RELEASE_TIME":
        return f"{archive or 'The archive'} is out of date: a mirror or proxy stopped updating. Use another one ({file})."
    if code == "APT_ORIGIN_CHANGED":
        return (
            "Find out whether the archive's owner renamed it (its release notes). If so, accept it once on the desk: sudo apt-get update "
            "--allow-releaseinfo-change. Pins that name the old value (Pin: release o=, l=) must be changed too."
        )
    if code == "APT_ARCHIVE_UNREACHABLE":
        own = next((cure for words, cure in CURES.items() if any(re.search(words, line) for line in says)), None)
        if own is not None:
            return own
    if code == "APT_ARCHIVE_UNREACHABLE" and any(re.search(NO_DETECTION, line) for line in says):
        return (
            "apt asks a program for its proxy, and that program is missing or fails: grep -rniE 'proxy-?auto-?detect' /etc/apt/apt.conf "
            "/etc/apt/apt.conf.d names the file. If a package that is gone left it (squid-deb-proxy-client, auto-apt-proxy), install that "
            "again or remove the file; where the network needs a proxy, set Acquire::http::Proxy. Then run sudo apt-get update."
        )
    if code == "APT_ARCHIVE_UNREACHABLE" and any(re.search(_NO_TUNNEL, line) for line in says):
        return (
            "apt's proxy (apt-config dump | grep -i proxy shows it) does not pass https on: allow CONNECT in it (apt-cacher-ng: "
            "PassThroughPattern: .* in its acng.conf, then restart it), or let apt go past it with the line "
            'Acquire::https::Proxy "DIRECT"; in a new file of /etc/apt/apt.conf.d. Then run sudo apt-get update.'
        )
    if code == "APT_ARCHIVE_UNREACHABLE" and (proxy := _proxy(archive, says)) is not None:
        return (
            f"apt goes through a proxy{proxy} that does not respond as one: apt-config dump | grep -i proxy shows it, /etc/apt/apt.conf.d "
            "and http_proxy in /etc/environment set it. Correct or remove it, then run sudo apt-get update."
        )
    if code == "APT_ARCHIVE_UNREACHABLE" and any(re.search(BUSY, line) for line in says):
        return (
            f"{archive or 'The archive'} (or a proxy on the way to it) is overloaded or being worked on; its keys are not the cause. Wait "
            "some minutes, then run sudo apt-get update. If it stays so, use another mirror."
        )
    if code == "APT_ARCHIVE_UNREACHABLE" and any(re.search(DENIED, line) for line in says):
        return (
            f"Something along the way refused the request for {archive or 'the archive'}: a proxy that requires a login (http_proxy, "
            "/etc/apt/apt.conf.d: Acquire::http::Proxy), a network's sign-in page, or the archive itself. Its keys are not the cause. "
            "Then run sudo apt-get update."
        )
    if code == "APT_ARCHIVE_UNREACHABLE" and any(re.search(r"\.deb\s+404\s", line) for line in says):
        return "The archive has a newer version than the desk's package lists: run sudo apt-get update, then run again."
    if code == "APT_ARCHIVE_UNREACHABLE" and any(re.search(r"ertificate\b[^\n]{0,80} (?:has )?expired", line) for line in says):
        return (
            f"What answered for {archive or 'the archive'} has a certificate that has expired by the desk's clock: see timedatectl (sudo "
            "timedatectl set-ntp true). If the clock is right, the certificate of the archive, or of a proxy that intercepts TLS, must be "
            "renewed there. Then run sudo apt-get update."
        )
    if code == "APT_ARCHIVE_UNREACHABLE" and any("ertificate" in line for line in says):
        return (
            "Something between the desk and the archive answers with its own certificate (a proxy that intercepts TLS), or the desk's "
            "clock is wrong (timedatectl). Give the desk the proxy's certificate (/usr/local/share/ca-certificates) or exempt the "
            "archive's host."
        )
    return None


def _proxy(archive: str | None, says: Sequence[str]) -> str | None:
    """The proxy that apt could not use, with a blank before its name where that is told; null when no proxy is the cause."""
    if any(re.search(r"Unsupported proxy configured|Invalid URI for proxy", line) for line in says):
        return ""
    own = re.match(r"\w{3,8}(?:\+\w+)?://(?:[^/@]*@)?([^/:]+)", archive or "")
    reached = next((found.group(1).rstrip(".") for line in says if (found := _REACHED.search(line))), None)
    return f" ({reached})" if own and reached and reached.lower() != own.group(1).lower() else None


def archive_findings(text: str, where: Where, severity: str = "warn") -> list[Finding]:
    """Findings about the archives from what ``apt-get update`` printed, warnings included. Archives that one cure puts right are one
    finding. An archive that somebody added and that nothing here needs is a note; a list of archives that apt cannot read at all is a
    failure."""
    alike: dict[tuple[str, bool, str | None], list[Problem]] = {}
    for problem in problems(text):
        # The catalogue's own remedy is not about one cause: each archive may have another.
        cure = problem.remedy or problem.archive
        alike.setdefault((problem.code, problem.needed, cure), []).append(problem)
    found = []
    for (code, needed, _cured), same in alike.items():
        first = same[0]
        chosen = severity if needed else "note"
        if code == "APT_SOURCES_BROKEN":
            chosen = "fail"
        archive = f"{first.archive}: " if first.archive and first.archive not in first.says[0] else ""
        others = [item.archive for item in same[1:] if item.archive]
        more = f" The same of {named(others)}." if others else ""
        evidence = {"archive": first.archive, "says": [line for item in same for line in item.says][:12]}
        message = f"{where.subject}: {archive}{first.says[0]}{more}"
        found.append(finding(code, where, message, evidence=evidence, severity=chosen, remedy=first.remedy))
    return found
