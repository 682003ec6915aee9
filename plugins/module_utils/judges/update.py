# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a desk may be updated, what that would bring, where an update that was begun stands, and whether it was good. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..model.boot import menu_order
from ..model.desk import Desk
from ..model.finding import Finding, Where
from ..model.update import BEGUN, CHANGING, INSTALLED, ROLLED_BACK, ROLLING_BACK, STARTED, Change, Firmware, Journal, Look
from .apt_errors import outrun
from .busy import busy_findings
from .catalogue import finding
from .common import named, version_key
from .dgx_os import unknown_major
from .driver import mismatch, presence
from .gpu import judge_gpu
from .known_versions import KnownBad, known_bad
from .options import UPDATE, JudgeOptions

MIB = 1024**2
RESERVE_BYTES = 1024 * MIB
"""Room that stays free beside what is fetched and unpacked: kernels build their initial file system (this collection's rule)."""
FIRMWARE_MINUTES = 15
"""Minutes of a boot that flashes firmware (one fleet's report)."""
FWUPD_SILENT = (
    "Ask it on the desk: fwupdmgr get-devices. If that hangs or fails too: sudo systemctl restart fwupd (journalctl -u fwupd says why), "
    "then run again; or update the packages alone, without desk_update_firmware."
)

OWN_KERNEL = re.compile(r"linux-(?:image|modules|modules-extra|headers|tools|objects|signatures)-.*[0-9]+\.[0-9]+\.[0-9]+-[0-9]+-.+")
"""Packages of one kernel release."""
MODULE_OF = re.compile(r"linux-(?:modules|objects|signatures)-nvidia-(?:fs-)?(?:[0-9]{3}(?:-server)?(?:-open)?-)?[0-9]+\.[0-9]+\.[0-9]+-.+")
"""The driver's modules of one kernel release: they fit one driver, so a newer driver takes those of older kernels away."""
OLD_FIRMWARE = re.compile(r"nvidia-firmware-[0-9]{3}(?:-server)?-[0-9].*")
"""Firmware packages carry the driver's version in their name."""
IMAGE = re.compile(r"linux-image-(?:unsigned-)?([0-9].*)")
KHO_PACKAGE = "nvidia-spark-grub-kho"
DRIVER = re.compile(r"nvidia-driver-[0-9]{3}-open")
OTA = "dgx-spark-ota-update-meta"
CX7_FIRMWARE = "nvidia-spark-mlnx-firmware-manager"
"""Brings the firmware of the ConnectX-7 and flashes it at a boot with a cable in."""


@dataclass(frozen=True)
class Wishes:
    """What the admin wishes of an update."""

    branch: int = 580
    firmware: bool = False
    accept_known_bad: bool = False
    allow_downgrade: bool = False
    force: bool = False


@dataclass(frozen=True)
class Outlook:
    """What a look at a desk comes to."""

    findings: tuple[Finding, ...]
    todo: bool
    """Whether there is something to do: packages, firmware, or an update that was begun."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of driver, kernel and NCCL that the desk would end at."""
    row: Mapping[str, str] = field(default_factory=dict)
    """Before and after in words, for a table."""

    @property
    def refused(self) -> bool:
        """Whether nothing may be done."""
        return any(item.severity in ("fail", "unknown") for item in self.findings)


# ---- a look at a desk ---------------------------------------------------------------------------------------------------


def judge_look(desk: Desk, look: Look, where: Where, wishes: Wishes, group: Collection[str], foreign: Collection[str]) -> Outlook:
    """What would change, and why it may not. ``group``: packages of driver, kernel and NCCL on the desk; ``foreign``: those that are held,
    and not by the driver lock."""
    journal = desk.setup.update_journal
    going_on = journal is not None and journal.open
    unknown = unknown_major(desk, where)
    if unknown:
        return Outlook(tuple(unknown), False)
    firmware = wanted_firmware(look, wishes)
    todo = bool(look.changes or firmware or going_on)
    kernel = kernel_after(desk, look)
    found = [
        *_no_way(look, where),
        *judge_changes(desk, look, where, wishes),
        *_foreign_holds(look, where, foreign),
        *_known_bad(desk, look, where, wishes, kernel),
        *room(look, where),
        *_no_way_back(look, where, firmware, journal if going_on else None),
        *_firmware(look, where, wishes, firmware),
        *_vendor_waits(desk, look, where),
    ]
    if todo:
        found += [] if wishes.force else busy(desk, where)
        found.append(_available(desk, look, where, kernel, firmware))
    installed = {item.name: item.version for item in desk.driver.packages if item.name in group}
    return Outlook(tuple(found), todo, versions_after(installed, look.changes), row(desk, look, kernel, firmware))


def judge_changes(desk: Desk, look: Look, where: Where, wishes: Wishes) -> list[Finding]:
    """What an update may never do, asked at the look and again right before the change."""
    return [
        *_removals(look, where),
        *_downgrades(look, where, wishes),
        *_without_module(desk, look, where, kernel_after(desk, look)),
    ]


def versions_after(installed: Mapping[str, str], changes: Sequence[Change]) -> dict[str, str]:
    """Versions of what two desks must agree on, afterwards. Packages of one kernel release differ with the kernels that are kept."""
    after = {**installed, **{item.name: item.new for item in changes if item.new and item.name in installed}}
    gone = {item.name for item in changes if item.new is None}
    return {name: version for name, version in after.items() if name not in gone and not OWN_KERNEL.fullmatch(name)}


def kernel_after(desk: Desk, look: Look) -> str | None:
    """The kernel that GRUB would start afterwards: an entry that is set, else the first of its menu; null when unknown."""
    if desk.kernel.boot_entry or not desk.kernel.installed:
        return desk.kernel.next_boot
    gone = {match[1] for item in look.changes if item.new is None and (match := IMAGE.fullmatch(item.name))}
    come = {match[1] for item in look.changes if item.new and not item.old and (match := IMAGE.fullmatch(item.name))}
    there = ({item.release for item in desk.kernel.installed} | come) - gone
    highest_first = sorted(there, key=lambda release: version_key(release) or (), reverse=True)
    return next(iter(menu_order(highest_first, desk.kernel.boot_order)), None)


def _no_way(look: Look, where: Where) -> list[Finding]:
    if look.refusal is None:
        return []
    message = f"{where.subject}: apt finds no way to the wanted versions: {look.refusal}"
    # Where an archive did not respond, it may be the one that has the version.
    remedy = None if look.archives_failed else outrun(look.refusal, "desk_update_from")
    evidence = {"apt": look.refusal, "archives": list(look.archives_failed)}
    return [finding("UPDATE_UNSATISFIABLE", where, message, evidence=evidence, remedy=remedy)]


def _removals(look: Look, where: Where) -> list[Finding]:
    lost = [item.name for item in look.changes if item.new is None and not may_go(item.name)]
    if not lost:
        return []
    message = f"{where.subject}: the update would remove {named(lost)}; only driver modules of older kernels and old firmware may go"
    return [finding("UPDATE_UNSATISFIABLE", where, message, evidence={"would_remove": lost})]


def may_go(name: str) -> bool:
    """Whether an update may remove a package."""
    return bool(MODULE_OF.fullmatch(name) or OLD_FIRMWARE.fullmatch(name))


def _downgrades(look: Look, where: Where, wishes: Wishes) -> list[Finding]:
    down = [f"{item.name} {item.old} -> {item.new}" for item in look.changes if item.down]
    if not down or wishes.allow_downgrade:
        return []
    message = f"{where.subject}: older packages were requested ({named(down, 4)}), but desk_update_allow_downgrade is false"
    return [finding("UPDATE_UNSATISFIABLE", where, message, evidence={"downgrades": down})]


def _foreign_holds(look: Look, where: Where, foreign: Collection[str]) -> list[Finding]:
    stuck = sorted({item.name for item in look.changes if item.old} & set(foreign))
    if not stuck:
        return []
    message = f"{where.subject}: {named(stuck, 4)} would change, but they are held, and not by the driver lock"
    remedy = f"Release them (sudo apt-mark unhold {' '.join(stuck[:8])}) and run again; the driver lock then holds what belongs together."
    return [finding("UPDATE_UNSATISFIABLE", where, message, evidence={"held": stuck}, remedy=remedy)]


def _without_module(desk: Desk, look: Look, where: Where, kernel: str | None) -> list[Finding]:
    if not look.changes or kernel is None:
        return []
    image = next((item for item in desk.kernel.installed if item.release == kernel), None)
    package = f"linux-modules-nvidia-580-open-{kernel}"
    comes = any(item.name == package and item.new for item in look.changes)
    goes = any(item.name == package and item.new is None for item in look.changes)
    if comes or (image is not None and image.has_driver and not goes):
        return []
    offered = package in look.offered_modules
    told = "the archives have it, but nothing asks for it" if offered else "no archive has it yet"
    message = f"{where.subject}: after the update GRUB would start kernel {kernel} without its R580 open module ({package}: {told})"
    evidence = {"kernel": kernel, "package": package, "offered": offered, "running": desk.kernel.running}
    return [finding("UPDATE_KERNEL_WITHOUT_MODULE", where, message, evidence=evidence)]


def _known_bad(desk: Desk, look: Look, where: Where, wishes: Wishes, kernel: str | None) -> list[Finding]:
    now = {"driver": desk.driver.module_version or desk.driver.user_space_version, "kernel": desk.kernel.running, "nccl": desk.toolkit.nccl}
    come: dict[str, str] = {"kernel": kernel} if kernel else {}
    for item in look.changes:
        if item.new and DRIVER.fullmatch(item.name):
            come["driver"] = item.new.partition("-")[0]
        elif item.new and item.name == "libnccl2":
            come["nccl"] = item.new.partition("-")[0]
    found = []
    for component, version in come.items():
        entry = known_bad(component, version)
        if entry is None or version == now[component] or (entry.cured_by_kho_off and _kho_off_comes(desk, look)):
            continue
        found.append(_bad(entry, version, where, wishes))
    return found


def _bad(entry: KnownBad, version: str, where: Where, wishes: Wishes) -> Finding:
    severity = "fail" if entry.severity == "warn" and not wishes.accept_known_bad else entry.severity
    message = (
        f"{where.subject}: the update would bring {entry.component} {version}: {entry.fault} ({entry.source}). Advice: {entry.advice}."
    )
    evidence = {"component": entry.component, "version": version, "grade": entry.grade, "reports": entry.reports, "source": entry.source}
    return finding("UPDATE_KNOWN_BAD", where, message, evidence=evidence, severity=severity)


def _kho_off_comes(desk: Desk, look: Look) -> bool:
    return desk.kernel.next_boot_kho == "off" or any(item.name == KHO_PACKAGE and item.new for item in look.changes)


def room(look: Look, where: Where) -> list[Finding]:
    """DISK_FULL."""
    found = []
    needs = {"/": look.install_bytes + RESERVE_BYTES, "/boot": RESERVE_BYTES // 2, "/var": look.fetch_bytes + RESERVE_BYTES}
    for path, needed in needs.items() if look.changes else ():
        free = look.free.get(path)
        if free is not None and free < needed:
            message = f"{where.subject}: {path} has {free // MIB} MiB free; the update needs {needed // MIB} MiB; nothing was changed"
            evidence = {"path": path, "needed_bytes": needed, "free_bytes": free}
            found.append(finding("DISK_FULL", where, message, evidence=evidence))
    return found[:1]


def _no_way_back(look: Look, where: Where, firmware: Sequence[Firmware], begun: Journal | None) -> list[Finding]:
    """Said before the update: what a later rollback_update.yml could not put back. The way back from an update that was ``begun`` leads to
    what was there before its first step."""
    known = {*begun.before, *begun.added} if begun is not None else set()
    lost = [*(begun.lost if begun is not None else ()), *(spec for spec in look.lost if spec.partition("=")[0] not in known)]
    if not lost and not firmware:
        return []
    told = [named(lost, 4)] if lost else []
    told += [f"firmware ({named(item.name for item in firmware)})"] if firmware else []
    message = f"{where.subject}: no rollback for {' and '.join(told)}: " + (
        "no archive has these versions any longer" if lost else "firmware is not rolled back"
    )
    severity = "warn" if any(DRIVER.match(spec) or spec.startswith(("libnccl", "linux-")) for spec in lost) else "note"
    return [finding("UPDATE_NO_WAY_BACK", where, message, evidence={"lost": lost}, severity=severity)]


def wanted_firmware(look: Look, wishes: Wishes) -> tuple[Firmware, ...]:
    """Devices whose firmware would be updated."""
    return tuple(item for item in look.firmware or () if item.offered) if wishes.firmware else ()


def _firmware(look: Look, where: Where, wishes: Wishes, firmware: Sequence[Firmware]) -> list[Finding]:
    if not wishes.firmware:
        offered = [item for item in look.firmware or () if item.offered]
        if not offered:
            return []
        told = named(f"{item.name} {item.version} -> {item.offered}" for item in offered)
        message = f"{where.subject}: the vendor offers firmware: {told}; it is only flashed on request"
        return [finding("UPDATE_FIRMWARE", where, message, evidence={"offered": [item.name for item in offered]}, severity="note")]
    if look.firmware is None:
        message = f"{where.subject}: firmware was requested, but fwupd could not be asked ({look.firmware_unread})"
        return [finding("UPDATE_FIRMWARE", where, message, evidence={"reason": look.firmware_unread}, remedy=FWUPD_SILENT)]
    blocked = [f"{item.name}: {', '.join(item.problems)}" for item in firmware if item.problems]
    if firmware and (look.on_battery is not False or blocked):
        why = "the desk runs on a battery" if look.on_battery else "it is not known whether it runs on mains power"
        message = f"{where.subject}: firmware cannot be flashed now: {'; '.join(blocked) if blocked else why}"
        return [finding("UPDATE_FIRMWARE", where, message, evidence={"on_battery": look.on_battery, "problems": blocked})]
    return []


def _vendor_waits(desk: Desk, look: Look, where: Where) -> list[Finding]:
    """The Dashboard has an update on offer and neither apt nor fwupd has anything: seen on OEM boards, whose vendor had not published."""
    vendor = desk.identity.board_vendor
    if look.ota_title is None or look.changes or look.firmware is None or any(item.offered for item in look.firmware):
        return []
    if vendor is None or vendor.upper().startswith("NVIDIA"):
        return []
    message = (
        f"{where.subject}: the Dashboard offers {look.ota_title}, but apt and fwupd have nothing: it is waiting for firmware that "
        f"{vendor} has not published"
    )
    return [finding("UPDATE_WAITS_FOR_VENDOR", where, message, evidence={"offered": look.ota_title, "vendor": vendor})]


def busy(desk: Desk, where: Where) -> list[Finding]:
    """Who computes: a driver is not taken away from under somebody. Where no module is loaded nobody does."""
    return busy_findings(desk, where, require=desk.driver.loaded is not False)


def _available(desk: Desk, look: Look, where: Where, kernel: str | None, firmware: Sequence[Firmware]) -> Finding:
    told = [f"{name} {value}" for name, value in row(desk, look, kernel, firmware).items() if "->" in value]
    count = len(look.changes)
    time = f"; flashing firmware takes about {FIRMWARE_MINUTES} minutes of the boot" if firmware else ""
    message = f"{where.subject}: {count} packages would change, {look.fetch_bytes // MIB} MiB to fetch" + (
        f" ({'; '.join(told)})" if told else ""
    )
    evidence = {"packages": {item.name: [item.old, item.new] for item in look.changes}, "fetch_bytes": look.fetch_bytes}
    return finding("UPDATE_AVAILABLE", where, f"{message}{time}", evidence=evidence)


def levels(desk: Desk) -> dict[str, str]:
    """The levels of a desk as it is, in words."""
    installed = {item.name: item.version for item in desk.driver.packages}
    known = {
        "DGX OS": desk.dgx_os.version,
        "OTA": installed.get(OTA),
        "driver": desk.driver.user_space_version or desk.driver.module_version,
        "kernel": desk.kernel.running,
        "NCCL": plain_version(desk.toolkit.nccl or installed.get("libnccl2")),
        "CX-7 firmware": desk.cx7.firmware,
        "UEFI": desk.identity.bios_version,
    }
    return {name: value or "unknown" for name, value in known.items()}


def row(desk: Desk, look: Look, kernel: str | None, firmware: Sequence[Firmware]) -> dict[str, str]:
    """The levels of a desk, and what they would become."""
    new = {item.name: item.new for item in look.changes if item.new}
    driver = next((version for name, version in new.items() if DRIVER.fullmatch(name)), None)
    then = {
        "DGX OS": plain_version(new.get("dgx-release")),
        "OTA": new.get(OTA),
        "driver": plain_version(driver),
        "kernel": kernel,
        "NCCL": plain_version(new.get("libnccl2")),
    }
    told = moved(levels(desk), {name: value for name, value in then.items() if value})
    if CX7_FIRMWARE in new:
        told["CX-7 firmware"] += " (the package that flashes it changes)"
    return {**told, "firmware": named(f"{item.name} {item.version} -> {item.offered}" for item in firmware)} if firmware else told


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """Each level as it was, with what it became where that is another one."""
    return {name: was if after.get(name, was) == was else f"{was} -> {after[name]}" for name, was in before.items()}


def plain_version(version: str | None) -> str | None:
    """A package's version without revision and build."""
    return version.partition("-")[0].partition("+")[0] if version else None


# ---- desks together -----------------------------------------------------------------------------------------------------


def judge_together(stacks: Mapping[str, Sequence[str]], versions: Mapping[str, Mapping[str, str]]) -> list[Finding]:
    """UPDATE_TARGETS_DIFFER: desks that would not end at one version. ``versions``: desk to what it would end at."""
    found = []
    for stack, members in stacks.items():
        differ = _apart([versions[name] for name in members if name in versions])
        if differ:
            message = f"pair {stack}: its desks would end up at different versions: {_told(differ)}"
            found.append(finding("UPDATE_TARGETS_DIFFER", Where(pair=stack), message, evidence={"versions": differ}))
    if not found and len(versions) > 1:
        differ = _apart(list(versions.values()))
        if differ:
            message = f"The stacks would end up at different versions: {_told(differ)}"
            evidence = {"versions": differ}
            found = [
                finding("UPDATE_TARGETS_DIFFER", Where(desk=name), message, evidence=evidence, severity="warn") for name in _fewer(versions)
            ]
    return found


def _fewer(versions: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The desks that would end at other versions than most: no desk is to blame for what one other says. The first where none are fewer."""
    counts = Counter(item for several in versions.values() for item in several.items())
    most: dict[str, int] = {}
    for (name, _version), count in counts.items():
        most[name] = max(count, most.get(name, 0))
    fewer = [desk for desk, several in versions.items() if any(counts[item] < most[item[0]] for item in several.items())]
    return sorted(fewer) or [min(versions)]


def _apart(several: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    names = {name for item in several for name in item}
    values = {name: sorted({item[name] for item in several if name in item}) for name in names}
    return {name: values[name] for name in sorted(values) if len(values[name]) > 1}


def _told(differ: Mapping[str, Sequence[str]]) -> str:
    return named((f"{name} {' or '.join(values)}" for name, values in differ.items()), 4)


# ---- one that was begun -------------------------------------------------------------------------------------------------

STANDS = {
    BEGUN: "was begun but has not changed any package yet",
    CHANGING: "was cut off while packages were being changed",
    INSTALLED: "has installed its packages and is waiting for the reboot",
    STARTED: "is installed and running, but not proven",
    ROLLING_BACK: "was being undone when it was cut off",
    ROLLED_BACK: "was undone, but what is there now is not proven",
}


def half_done(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """UPDATE_HALF_DONE. A note in the run that takes it up."""
    journal = desk.setup.update_journal
    if journal is None or not journal.open:
        return []
    stands = STANDS.get(journal.phase, f"stands at {journal.phase!r}, which this version does not know")
    kernel = f"; kernel {desk.kernel.running} is running, but {journal.kernel_after} was to start" if _waits(desk, journal) else ""
    message = f"The update of run {journal.run_id or 'unknown'} {stands}{kernel}."
    severity = "note" if options.purpose == UPDATE else "warn" if journal.phase == BEGUN else "fail"
    evidence = {"phase": journal.phase, "run": journal.run_id, "stack": journal.stack, "target": dict(journal.target)}
    return [finding("UPDATE_HALF_DONE", where, message, evidence=evidence, severity=severity, remedy=resume(where.pair or where.desk))]


def resume(limit: str | None) -> str | None:
    """How an update of a stack (or of a desk in none) goes on or back; null, the code's own words, where neither is known."""
    if not limit:
        return None
    return (
        f"Run playbooks/update.yml --limit {limit} again: it resumes from there. Or undo it: playbooks/rollback_update.yml --limit {limit}."
    )


def _waits(desk: Desk, journal: Journal) -> bool:
    return bool(journal.phase == INSTALLED and journal.kernel_after and journal.kernel_after != desk.kernel.running)


def came_back(before: Desk, after: Desk, where: Where, expected: str | None) -> list[Finding]:
    """What is wrong with a desk after its reboot: another machine, no new start, another kernel."""
    one, other = before.identity, after.identity
    differ = [
        word
        for word, mine, its in (
            ("serial number", one.serial_sha256, other.serial_sha256),
            ("machine-id", one.machine_id, other.machine_id),
            ("host keys", set(one.host_key_fingerprints), set(other.host_key_fingerprints)),
        )
        if mine and its and mine != its
    ]
    if differ:
        message = f"{where.subject}: what responds after the reboot has a different {', '.join(differ)}"
        return [finding("DESK_IDENTITY_WRONG", where, message, evidence={"differs": differ})]
    if one.boot_id and one.boot_id == other.boot_id:
        return [finding("REBOOT_FAILED", where, f"{where.subject} responds, but it was not rebooted", evidence={"boot_id": "unchanged"})]
    if expected and after.kernel.running != expected:
        message = f"{where.subject} came back with kernel {after.kernel.running}; {expected} was expected"
        return [finding("REBOOT_FAILED", where, message, evidence={"expected": expected, "running": after.kernel.running})]
    return []


def gpu_lost(desk: Desk, where: Where) -> list[Finding]:
    """What fails about driver and GPU right after an update's reboot: reason enough to leave the other desks of the stack as they are."""
    found = [*presence(desk, where), *mismatch(desk, where), *judge_gpu(desk, where)]
    return [item for item in found if item.severity == "fail"]


# ---- good or bad --------------------------------------------------------------------------------------------------------

LEAST_FALL = 0.05
"""Share of a figure from right before that must be lost: two runs of a good pair differ by up to 2 % (this collection's rule)."""


def slower(stack: str, before: Mapping[str, float], after: Mapping[str, float], titles: Mapping[str, str]) -> list[Finding]:
    """UPDATE_SLOWER: figures of the proof right before the update that the proof after it does not reach."""
    falls = {key: (before[key], after[key]) for key in before if key in after and after[key] < (1 - LEAST_FALL) * before[key]}
    if not falls:
        return []
    worst = min(falls, key=lambda key: falls[key][1] / falls[key][0])
    was, now = falls[worst]
    message = (
        f"stack {stack}: {titles.get(worst, worst)} {now:.1f} after the update, {was:.1f} right before it (-{100 * (1 - now / was):.0f} %)"
    )
    evidence = {"figures": {key: [round(was, 2), round(now, 2)] for key, (was, now) in list(falls.items())[:8]}}
    remedy = f"playbooks/rollback_update.yml --limit {stack} undoes the update. Report the two versions to NVIDIA."
    return [finding("UPDATE_SLOWER", Where(pair=stack), message, evidence=evidence, remedy=remedy)]
