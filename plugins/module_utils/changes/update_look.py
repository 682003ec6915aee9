# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an update would do to a desk, asked without changing it: apt's simulation over package lists of our own, fwupd's answer.

apt's own lists, its cache and the desk's pins stay as they are: fresh lists and the pins that will be in force (those of the driver lock
while it is paused) lie in a folder in /run that goes again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ..desk import MISSING, TIMEOUT, WritableDesk
from ..judges.apt_errors import telling_lines
from ..model.desk import Desk
from ..model.finding import Where
from ..model.update import Change, Firmware, Look
from ..readers import fwupd
from . import apt_preferences, apt_text, lock_record
from .apt_runner import APT_ENVIRONMENT, FETCH, QUICK, AptRunner, Limits
from .debian_version import compare
from .driver_group import held_group
from .lock_model import WantedLock
from .lock_record import deb_of
from .update_journal import DEBS, of_platform

FOLDER = "/run/dgx_spark_update"
LISTS = f"{FOLDER}/lists"
PINS = f"{FOLDER}/preferences.d"
CONFIGURATION = f"{FOLDER}/apt.conf"
NO_HOOKS = "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n"
"""Other programs' hooks (caches of desktop tools) would write on the desk."""
PRIVATE = (
    f"--config-file={CONFIGURATION}",
    *("-o", f"Dir::State::Lists={LISTS}"),
    *("-o", "Dir::Cache::pkgcache="),
    *("-o", "Dir::Cache::srcpkgcache="),
    *("-o", f"Dir::Etc::preferencesparts={PINS}"),
)
NO_PHASES = ("-o", "APT::Get::Never-Include-Phased-Updates=true")
"""Whom a phased update reaches first is drawn from the machine id, so two desks of a stack would part."""
SIMULATION = 300.0
"""Seconds that a simulation of the whole system may take."""
FWUPD = 60.0
SUPPLIES = "/sys/class/power_supply"
OTA_SNAPSHOT = (
    "busctl",
    "--json=short",
    "call",
    "com.nvidia.dgx.dashboard.admin1",
    "/com/nvidia/dgx/dashboard/admin",
    "com.nvidia.dgx.dashboard.admin1",
    "GetOTAAvailabilitySnapshot",
)


def upgrade_words(versions: Mapping[str, str], installed: Mapping[str, str]) -> list[str]:
    """apt's words for an update: everything, or the named versions of what is installed."""
    if not versions:
        return ["dist-upgrade"]
    return ["install", *(f"{name}={version}" for name, version in sorted(versions.items()) if installed.get(name, version) != version)]


class Looker(AptRunner):
    """Asks one desk."""

    def __init__(self, desk: WritableDesk, where: Where, branch: int, pins: str, limits: Limits | None = None) -> None:
        """``pins``: text of the lock's preferences as they are while it is paused."""
        super().__init__(desk, where, WantedLock(branch=branch), limits)
        self.pins = pins

    def look(self, facts: Desk, versions: Mapping[str, str]) -> Look:
        """What would be changed for ``versions`` (package to version; empty for the newest of the branch). What apt's archives said is in
        ``outcome``. Raises OSError where the private folder cannot be written."""
        try:
            self._prepare()
            self._update_private()
            if self.outcome.failed:
                return Look()
            installed = {item.name: item.version for item in held_group(facts.driver.packages, self.want.branch)}
            words = upgrade_words(versions, installed)
            nothing: tuple[tuple[Change, ...], str | None] = ((), None)
            changes, refusal = nothing if words == ["install"] else self._simulate_private(words)
            firmware, firmware_unread = self._firmware()
            ota_title, ota_unread = self._ota()
            sizes = self._offers(changes)
            coming = [f"{item.name}={item.new}" for item in changes if item.new]
            back = [f"{item.name}={item.old}" for item in changes if item.old and of_platform(item.name, self.want.branch)]
            keepable = tuple(spec for spec in back if spec in sizes or self._kept(spec))
            return Look(
                changes=changes,
                refusal=refusal,
                offered_modules=self._modules(changes),
                keepable=keepable,
                lost=tuple(spec for spec in back if spec not in keepable),
                fetch_bytes=sum(sizes[spec][0] for spec in (*coming, *back) if spec in sizes and not self._kept(spec)),
                install_bytes=sum(sizes[spec][1] for spec in coming if spec in sizes),
                free={path: self.desk.free_bytes(path) for path in ("/", "/boot", "/var")},
                archives_failed=tuple(sorted({item.code for item in self.outcome.findings})),
                firmware=firmware,
                firmware_unread=firmware_unread,
                on_battery=self._on_battery(),
                ota_title=ota_title,
                ota_unread=ota_unread,
            )
        finally:
            self.desk.remove_folder(FOLDER)

    def _prepare(self) -> None:
        """The private folder: the desk's own lists to begin with, so that only what is new is fetched, and its pins with ours in place."""
        self.desk.remove_folder(FOLDER)
        self.desk.make_folder(FOLDER)
        self.desk.make_folder(PINS)
        # A desk without them (or without room) fetches them all.
        self.desk.run(["cp", "-a", "--reflink=auto", "/var/lib/apt/lists", FOLDER], timeout=QUICK)
        self.desk.make_folder(LISTS)
        self.desk.write_text(CONFIGURATION, NO_HOOKS)
        ours = apt_preferences.PATH.rsplit("/", 1)[1]
        folder = apt_preferences.PATH.rsplit("/", 1)[0]
        for name in self.desk.list_dir(folder).names:
            text = self.desk.read_text(f"{folder}/{name}").text
            if name != ours and text is not None:
                self.desk.write_text(f"{PINS}/{name}", text)
        self.desk.write_text(f"{PINS}/{ours}", self.pins)

    def _update_private(self) -> None:
        argv = ["apt-get", "-q", *PRIVATE, *FETCH, "-o", "APT::Update::Error-Mode=any", "update"]
        self._lists(self.desk.run(argv, timeout=self.limits.fetch, env=APT_ENVIRONMENT))

    def _simulate_private(self, words: Sequence[str]) -> tuple[tuple[Change, ...], str | None]:
        # As if the driver lock were open; what somebody else holds is told by the judge.
        held = ["--ignore-hold", "--allow-change-held-packages"]
        answer = self.desk.run(["apt-get", "-q", "-s", "-y", *PRIVATE, *NO_PHASES, *held, *words], timeout=SIMULATION, env=APT_ENVIRONMENT)
        if not answer.ok:
            text = answer.stderr + answer.stdout
            told = "; ".join(telling_lines(text, "DRIVER_LOCK_UNSATISFIABLE")) or answer.error or f"apt-get ended with {answer.rc}"
            return (), told[:700]
        if odd := apt_text.odd(apt_text.simulated(answer.stdout)):
            return (), f"an archive offers {odd}, but that is not a valid package and version; apt-cache policy PACKAGE shows the archive"
        return changes_of(answer.stdout), None

    def _offers(self, changes: Sequence[Change]) -> dict[str, tuple[int, int]]:
        """NAME=VERSION to bytes (fetched, installed) of what the archives have of the old and the new versions."""
        wanted = [f"{item.name}={version}" for item in changes for version in (item.new, item.old) if version]
        found: dict[str, tuple[int, int]] = {}
        for place in range(0, len(wanted), 200):
            answer = self.desk.run(["apt-cache", *PRIVATE, "show", *wanted[place : place + 200]], timeout=QUICK)
            found |= {offer.spec: (offer.size, offer.installed_size) for offer in apt_text.offers(answer.stdout)}
        return {spec: sizes for spec, sizes in found.items() if spec in set(wanted)}

    def _modules(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """Module packages that the archives have for kernels that would come."""
        names = [f"linux-modules-nvidia-{self.want.branch}-open-{release}" for release in new_kernels(changes)]
        if not names:
            return ()
        answer = self.desk.run(["apt-cache", *PRIVATE, "policy", *names], timeout=QUICK)
        return tuple(item.package for item in apt_text.policy(answer.stdout) if item.candidate)

    def _kept(self, spec: str) -> bool:
        return any(deb_of(spec, self.desk.list_dir(folder).names) for folder in (DEBS, lock_record.DEBS))

    def _firmware(self) -> tuple[tuple[Firmware, ...] | None, str | None]:
        """The devices, and why they could not be asked for."""
        devices = self.desk.run(["fwupdmgr", "get-devices", "--json"], timeout=FWUPD)
        known = fwupd.read(devices.stdout)
        if known is None:
            known_as = {MISSING: "fwupdmgr is not installed", TIMEOUT: f"it did not respond within {FWUPD:.0f} s"}
            reason = known_as.get(devices.error, devices.error) if devices.error else " ".join(devices.stderr.split())[-200:]
            return None, f"fwupdmgr get-devices: {reason or 'no JSON'}"
        updates = self.desk.run(["fwupdmgr", "get-updates", "--json"], timeout=FWUPD)
        offered = {(item["id"], item["name"]): item for item in fwupd.read(updates.stdout) or ()}
        found = []
        for item in known:
            update = offered.get((item["id"], item["name"]), {})
            problems = tuple(dict.fromkeys([*item["problems"], *update.get("problems", [])]))
            found.append(Firmware(item["name"], item["version"], item["vendor"], update.get("offered"), problems))
        return tuple(found), None

    def _on_battery(self) -> bool | None:
        """Whether a battery of the desk's own is being emptied; null when that could not be read."""
        supplies = self.desk.list_dir(SUPPLIES)
        if supplies.error == MISSING or (supplies.error is None and not supplies.names):
            return False
        if supplies.error is not None:
            return None
        words = [
            tuple((self.desk.read_text(f"{SUPPLIES}/{name}/{key}").text or "").strip() for key in ("type", "scope", "status"))
            for name in supplies.names
        ]
        # A mouse or a UPS beside it is no battery of the desk.
        return any(kind == "Battery" and scope != "Device" and status == "Discharging" for kind, scope, status in words)

    def _ota(self) -> tuple[str | None, str | None]:
        """What the Dashboard has on offer, and why it could not be asked.

        Its answer is ``ssbbs``: state, time, two truth values, title. One report shows it; what tells the two truth values apart is not
        known, so an update is on offer where both are true.
        """
        answer = self.desk.run(list(OTA_SNAPSHOT), timeout=QUICK)
        try:
            state, _time, one, other, title = json.loads(answer.stdout)["data"]
        except (ValueError, KeyError, TypeError):
            return None, f"GetOTAAvailabilitySnapshot: {answer.error or 'no answer'}"
        there = state == "ready" and one is True and other is True and isinstance(title, str)
        return (title[:100] if there else None), None


def changes_of(text: str) -> tuple[Change, ...]:
    """What ``apt-get -s`` says that it would change, by name. Pure."""
    would = apt_text.simulated(text)
    found = {name: Change(name, None, new) for name, new in would.installs.items()}
    found |= {name: Change(name, old, new, compare(new, old) < 0) for name, (old, new) in would.upgrades.items()}
    found |= {name: Change(name, would.removed.get(name), None) for name in would.removals}
    return tuple(found[name] for name in sorted(found))


def new_kernels(changes: Sequence[Change]) -> tuple[str, ...]:
    """Releases of kernels that would come."""
    names = (item.name for item in changes if item.new and not item.old and item.name.startswith("linux-image-"))
    releases = (name.removeprefix("linux-image-").removeprefix("unsigned-") for name in names)
    return tuple(release for release in releases if release[:1].isdigit())
