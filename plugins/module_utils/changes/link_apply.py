# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The link change on the desk: settle, plan from the desk's own state, prepare, apply; then, over a new connection, confirm.

Writing is done by ``link_program`` in processes of its own (the applying one in a systemd unit), never by the module itself:
a lost ssh session cannot cut a change in half.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..desk import DENIED, MISSING, Answer, Desk, WritableDesk
from ..judges import link as link_judges
from ..judges.catalogue import CODES, finding
from ..judges.common import named
from ..judges.link_change import management_findings, refused
from ..judges.options import STACKED, JudgeOptions
from ..model.desk import Desk as Facts
from ..model.finding import Finding, Where
from ..model.owner import Owner
from ..model.port import Function
from ..programs import carrier
from ..programs.carrier import PYTHON
from ..programs.user_files import next_step
from .link_carried import program
from .link_plan import (
    ABSENT,
    PRESENT,
    SYSCTL_FILE,
    LinkOptions,
    LinkPlan,
    LinkRequest,
    PlannedFunction,
    inet,
    leases_of,
    network_findings,
    plan,
    resolve,
    state_of,
)
from .link_program.names import DHCP, HOME, JOURNAL, PROGRAM
from .link_result import functions_of
from .netplan import OUR_FILE, OUR_MODE
from .owners import NETPLAN_FOLDER, PROFILE_FOLDER, owners_of

ACTIVATION_PATIENCE = 20
"""Seconds that the renderer gets to show the wanted addresses and MTU."""

LEASE_PATIENCE = 60
"""Seconds that a DHCP server gets, and no more than half of the time in which the change has to be confirmed: a port of a switch with
spanning tree forwards nothing for 30 s."""

GID_PATIENCE = 8.0
"""Seconds that the kernel gets to list the RoCE GIDs of new addresses."""

LOOK_PATIENCE = 15.0
"""Seconds that functions which were switched off get to show a carrier: the other desk has to switch its own on as well."""

CONFIRM_PATIENCE = 20.0
"""Seconds that another run's applied change gets to be confirmed: its controller tries every two seconds. One that was interrupted never
does, and its change is then undone without waiting for the timer."""

ARP_WANTED = {"arp_ignore": 1, "arp_announce": 2}
"""What DGX OS ships (20-nvidia-defaults.conf); larger values are stricter."""


@dataclass
class Outcome:
    """What a phase gives back."""

    changed: bool = False
    failed: bool = False
    message: str = ""
    findings: list[Finding] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    functions: list[dict[str, Any]] = field(default_factory=list)
    armed: bool = False
    change_id: str | None = None
    confirm_within: int | None = None
    """Seconds that are left to confirm."""
    diff: dict[str, str] = field(default_factory=dict)

    def fail(self, *findings: Finding) -> Outcome:
        """Failed, with these findings as the reason."""
        self.failed = True
        self.findings += findings
        bad = [item for item in self.findings if item.severity in ("fail", "unknown")]
        self.message = " ".join(item.message for item in (bad or list(findings)))
        return self


@dataclass(frozen=True)
class LinkChange:
    """One desk whose link is to be changed."""

    desk: WritableDesk
    collect: Callable[[], Facts]
    """Reads the desk's facts (ConnectX-7, network, busy, own setup)."""
    where: Where

    # ---- first execution --------------------------------------------------------------------------------------------

    def change(
        self,
        requests: Sequence[LinkRequest],
        options: LinkOptions,
        *,
        confirm_timeout: int,
        change_id: str,
        check_mode: bool = False,
    ) -> Outcome:
        """Plan from the desk's own state and, unless it is empty or refused, apply with the undo armed."""
        outcome = Outcome()
        self._let_confirm()
        facts = self.collect()
        if facts.privileged is False:
            return outcome.fail(refused(self.where, "the module is not running as root (become is needed)"))
        found = self._settle(check_mode)
        outcome.findings += found
        if any(item.severity == "fail" for item in found):
            return outcome.fail()
        if found and not check_mode:
            facts = self.collect()
        if check_mode and found:
            # What the settling would do first; the plan below is made from the state as it is.
            facts = replace(facts, setup=replace(facts.setup, link_journal=None))
        if not check_mode:
            requests = self._named(facts, requests)
        made, owners = self._plan(facts, requests, options, outcome)
        if made is None:
            return outcome.fail()
        outcome.before, outcome.after, outcome.diff = made.before, made.after, made.diff
        outcome.findings += made.findings
        outcome.functions = functions_of(facts, [item.netdev for item in made.functions]) if made.state == PRESENT else []
        if made.is_refused:
            return outcome.fail()
        if not made.steps:
            outcome.message = "The link is as wanted."
            outcome.changed = bool(found) and not check_mode
            if outcome.changed:
                self._ask("tidy")
            return outcome
        taken = [] if made.state == ABSENT else self._taken(facts, made)
        if taken:
            return outcome.fail(*taken)
        description = self._description(facts, made, owners, confirm_timeout, change_id, outcome)
        outcome.steps, outcome.commands = list(made.steps), [list(argv) for argv in made.commands]
        if check_mode:
            answer = self._ask("check", json.dumps(description))
            if not answer.get("ok"):
                return outcome.fail(self._program_finding(answer))
            outcome.changed, outcome.message = True, "Would change: " + "; ".join(made.steps)
            return outcome
        return self._carry_out(description, confirm_timeout, outcome, facts)

    def _plan(
        self, facts: Facts, requests: Sequence[LinkRequest], options: LinkOptions, outcome: Outcome
    ) -> tuple[LinkPlan | None, tuple[Owner, ...]]:
        if options.state == ABSENT:
            return plan(facts, self.where, (), options), ()
        wants, findings = resolve(facts, self.where, requests)
        outcome.findings += findings
        if any(item.severity in ("fail", "unknown") for item in findings) or not wants:
            return None, ()
        own = {item.netdev for item in facts.cx7.functions}
        listed = self.desk.list_dir("/sys/class/net")
        others = None if listed.error else [name for name in listed.names if name not in own]
        owners = owners_of(facts.cx7.functions, *read_configuration(self.desk), others)
        return plan(facts, self.where, wants, options, owners), owners

    def _named(self, facts: Facts, requests: Sequence[LinkRequest]) -> list[LinkRequest]:
        """The requests with their ports, where all functions are switched off and no port is named.

        A function that is administratively down tells no carrier, and networkd leaves functions that nobody configured down. They are
        switched on for a look, without an address, and off again: both desks of a pair look at the same time.
        """
        down = [str(item.netdev) for item in facts.cx7.functions if item.netdev and item.admin_up is False]
        if not down or any(item.carrier for item in facts.cx7.functions) or all(item.port is not None for item in requests):
            return list(requests)
        lit: set[int] = set()
        try:
            for netdev in down:
                self.desk.run(["ip", "link", "set", "dev", netdev, "up"])
            deadline = time.monotonic() + LOOK_PATIENCE
            while not lit and time.monotonic() < deadline:
                time.sleep(0.5)
                for port in facts.cx7.ports:
                    texts = [self.desk.read_text(f"/sys/class/net/{item.netdev}/carrier").text for item in port.functions]
                    if port.number is not None and any((text or "").strip() == "1" for text in texts):
                        lit.add(port.number)
        finally:
            for netdev in down:
                self.desk.run(["ip", "link", "set", "dev", netdev, "down"])
        return [replace(item, port=next(iter(lit))) if item.port is None and len(lit) == 1 else item for item in requests]

    def _let_confirm(self) -> None:
        """Leave another run the time to confirm what it has just applied; nobody holds the desk between its two executions."""
        deadline = time.monotonic() + CONFIRM_PATIENCE
        while (self._journal() or {}).get("state") == "applied" and time.monotonic() < deadline:
            time.sleep(0.5)

    def _settle(self, check_mode: bool) -> list[Finding]:
        """Deal with what an earlier run left behind."""
        text = self.desk.read_text(JOURNAL)
        if text.error == MISSING:
            return []
        if text.text is None:
            return [refused(self.where, f"{JOURNAL} cannot be read ({text.error})")]
        answer = self._ask("status") if check_mode else self._ask("settle", timeout=90)
        if not answer.get("ok"):
            return [refused(self.where, f"an earlier change cannot be settled: {answer.get('error')}")]
        if check_mode:
            journal = answer.get("journal") or {}
            answer = {**journal, "found": journal.get("state")}
        found = answer.get("found")
        if found in (None, "confirmed"):
            return []
        would = "would be" if check_mode else "was"
        message = (
            f"An earlier run left a link change in state {found}"
            + (f" ({answer['reason']})" if answer.get("reason") else "")
            + (". The desk had undone it." if found == "undone" else f"; it {would} undone before anything else.")
        )
        evidence = {"state": found, "change": answer.get("id")}
        result = [finding("CX7_CHANGE_UNDONE", self.where, message, severity="note", evidence=evidence)]
        return result + self._kept(answer.get("kept") or [], "undoing the change")

    def _taken(self, facts: Facts, made: LinkPlan) -> list[Finding]:
        """Whom the wire names for the wanted addresses that are not ours yet."""
        functions = {item.netdev: item for item in facts.cx7.functions}
        own = {(item.mac or "").lower() for item in facts.cx7.functions}
        found = []
        for item in made.functions:
            function = functions[item.netdev]
            address = item.address.partition("/")[0]
            asked = function.admin_up and function.carrier and item.address != DHCP
            if not asked or any(held.address == address for held in function.addresses):
                continue
            found += self.taken(item.netdev, address, own)
        return found

    def taken(self, netdev: str, address: str, own: Iterable[str]) -> list[Finding]:
        """CX7_ADDRESS_TAKEN when a MAC that is not this desk's answers for an address."""
        answer = self._ask("probe", netdev, address)
        others = sorted(set(answer.get("macs") or ()) - set(own))
        if not others:
            return []
        place = replace(self.where, function=netdev)
        message = f"{address}, which {netdev} is to have, is used by {named(others)} on the same cable."
        return [finding("CX7_ADDRESS_TAKEN", place, message, evidence={"address": address, "macs": others})]

    def _description(
        self, facts: Facts, made: LinkPlan, owners: Sequence[Owner], confirm_timeout: int, change_id: str, outcome: Outcome
    ) -> dict[str, Any]:
        """The change as the program on the desk takes it."""
        sysctl = self._arp(made, outcome) if made.state == PRESENT else {}
        write = []
        if made.file_text is not None:
            write.append({"path": OUR_FILE, "content": made.file_text, "mode": OUR_MODE})
        if sysctl:
            lines = [f"net/ipv4/conf/{netdev}/{key} = {value}\n" for netdev, keys in sorted(sysctl.items()) for key, value in keys.items()]
            write.append({"path": SYSCTL_FILE, "content": "# Managed by labops.dgx_spark (cx7_link).\n" + "".join(lines), "mode": 0o644})
        known = {item.netdev: item for item in facts.cx7.functions}
        present = made.state == PRESENT
        concerned = sorted({item for item in made.ids if item in known} | {item.netdev for item in made.functions})
        concerned += [name for item in owners if item.path in made.set_aside for name in item.netdevs if name not in concerned]
        return {
            "id": change_id,
            "state": made.state,
            "renderer": made.renderer,
            "netdevs": concerned,
            "ids": sorted(set(made.ids) | set(concerned)),
            "macs": [known[name].mac for name in concerned if name in known and known[name].mac],
            "wanted": [{"netdev": item.netdev, "address": item.address, "mtu": item.mtu} for item in made.functions] if present else [],
            "ours": list(made.ours),
            "write": write,
            "remove": list(made.set_aside) if present else [OUR_FILE],
            "sysctl": sysctl,
            "confirm_timeout": confirm_timeout,
            "patience": min(LEASE_PATIENCE, confirm_timeout // 2)
            if present and any(item.address == DHCP for item in made.functions)
            else ACTIVATION_PATIENCE,
            "apply_unit": f"dgx-spark-link-apply-{change_id}",
            "management": facts.network.management_netdev,
        }

    def _arp(self, made: LinkPlan, outcome: Outcome) -> dict[str, dict[str, int]]:
        """ARP settings that are missing on the link's interfaces: the kernel takes the larger of ``all`` and the interface's own."""
        lacking: dict[str, dict[str, int]] = {}
        for item in made.functions:
            for key, wanted in ARP_WANTED.items():
                values = [self._number(f"/proc/sys/net/ipv4/conf/{name}/{key}") for name in ("all", item.netdev)]
                known = [value for value in values if value is not None]
                if known and max(known) < wanted:
                    lacking.setdefault(item.netdev, {})[key] = wanted
        if lacking:
            told = "; ".join(f"{netdev}: {', '.join(f'{key}={value}' for key, value in keys.items())}" for netdev, keys in lacking.items())
            message = f"ARP settings that DGX OS ships were missing and are now set for the link only ({told})."
            outcome.findings.append(finding("CX7_ARP_SETTINGS", self.where, message, evidence={"set": lacking}))
        return lacking

    def _number(self, path: str) -> int | None:
        text = (self.desk.read_text(path).text or "").strip()
        return int(text) if text.lstrip("-").isdecimal() else None

    def _carry_out(self, description: Mapping[str, Any], confirm_timeout: int, outcome: Outcome, facts: Facts) -> Outcome:
        try:
            self.desk.make_folder(HOME, 0o700)
            self.desk.write_text(PROGRAM, program(), 0o700)
        except OSError as error:
            self._ask("tidy")
            return outcome.fail(refused(self.where, f"{PROGRAM} cannot be written: {error.strerror or error}{next_step(error, PROGRAM)}"))
        answer = self._ask("prepare", json.dumps(description), timeout=120)
        if not answer.get("ok"):
            self._ask("tidy")
            return outcome.fail(self._program_finding(answer))
        begun = time.monotonic()
        unit = str(description["apply_unit"])
        argv = ["systemd-run", "--quiet", "--collect", "--wait", f"--unit={unit}", f"--property=RuntimeMaxSec={confirm_timeout}"]
        run = self.desk.run([*argv, PYTHON, "-I", PROGRAM, "apply"], timeout=confirm_timeout + 30)
        journal = (self._ask("status").get("journal")) or {}
        if journal.get("state") not in ("applied", "undone"):
            why = f"the applying unit {unit} ended with {run.rc if run.error is None else run.error} in state {journal.get('state')}"
            self._ask("undo", why, timeout=90)
            journal = (self._ask("status").get("journal")) or {}
        outcome.commands = [list(item["argv"]) for item in journal.get("commands") or []]
        outcome.findings += self._kept(journal.get("kept") or [], "the change")
        if journal.get("state") != "applied":
            unleased = self._unleased(facts, journal.get("unleased") or (), description["patience"])
            return outcome.fail(*unleased, self._undone(journal))
        outcome.changed, outcome.armed, outcome.change_id = True, True, str(description["id"])
        outcome.confirm_within = max(0, int(confirm_timeout - (time.monotonic() - begun)))
        outcome.message = f"Applied; the desk undoes it unless it is confirmed within {outcome.confirm_within} s."
        return outcome

    # ---- second execution -------------------------------------------------------------------------------------------

    def confirm(self, change_id: str) -> Outcome:
        """Read the live state and keep the change, or take it back at once when it is not as wanted."""
        outcome = Outcome(change_id=change_id)
        journal = self._journal()
        if journal is None or journal.get("id") != change_id or journal.get("state") != "applied":
            return outcome.fail(self._undone(journal or {}))
        asked = {str(item["netdev"]) for item in journal["wanted"] if item["address"] == DHCP}
        facts = self._settled(lambda seen: asked <= leases_of(seen).keys(), ACTIVATION_PATIENCE)
        problems = self._problems(facts, journal)
        unleased = self._unleased(facts, sorted(asked - leases_of(facts).keys()), ACTIVATION_PATIENCE)
        wrong = unleased or ([] if problems else self._wrong_leases(facts, asked))
        if problems or wrong:
            told = "; ".join([*problems, *(item.message for item in wrong)]).removesuffix(".")
            self._ask("undo", f"not as wanted after the change: {told}", timeout=90)
            return outcome.fail(*wrong, self._undone((self._ask("status").get("journal")) or {}))
        answer = self._ask("confirm", change_id, timeout=90)
        if not answer.get("ok"):
            return outcome.fail(self._undone((self._ask("status").get("journal")) or answer))
        outcome.changed = True
        outcome.commands = [list(item["argv"]) for item in answer.get("commands") or []]
        netdevs = [item["netdev"] for item in journal["wanted"]]
        facts = self._settled(lambda seen: _have_gids(seen, netdevs), GID_PATIENCE, facts)
        outcome.findings += self._kept(answer.get("kept") or [], "unstacking")
        outcome.findings += self._after(facts, journal["wanted"])
        outcome.functions = functions_of(facts, netdevs)
        outcome.after = state_of(facts, [item for item in facts.cx7.functions if item.netdev in journal["netdevs"]], [])
        outcome.message = "The link is configured and confirmed." if netdevs else "The desk is as it was before the link was set up."
        if any(item.severity == "fail" for item in outcome.findings):
            return outcome.fail()
        return outcome

    def _problems(self, facts: Facts, journal: Mapping[str, Any]) -> list[str]:
        """What is not as wanted on this desk alone; whether the peer answers is no reason to take a link back."""
        problems = [item.message for item in management_findings(facts, self.where)]
        management = facts.network.management_netdev
        if journal.get("management") and management != journal["management"]:
            problems.append(f"the management interface was {journal['management']} and is {management}")
        functions = {item.netdev: item for item in facts.cx7.functions}
        for item in journal["wanted"]:
            function = functions.get(item["netdev"], Function())
            held = inet(function)
            if item["address"] not in (DHCP, *held):
                problems.append(f"{item['netdev']} has {', '.join(held) or 'no address'}, not {item['address']}")
            if function.mtu != item["mtu"]:
                problems.append(f"{item['netdev']} has MTU {function.mtu}, not {item['mtu']}")
        for item in journal["files"]:
            if item["lasting"] and item["path"] == OUR_FILE and (facts.setup.link_file is None) != (item["after"] is None):
                problems.append(f"{OUR_FILE} is not as it was written")
        return problems

    def _wrong_leases(self, facts: Facts, asked: Collection[str]) -> list[Finding]:
        """What would have kept these addresses from being set, had it been known before the DHCP server gave them."""
        given = [
            PlannedFunction(port.number or 0, str(item.netdev), item.mac, DHCP, item.mtu or 0)
            for port in facts.cx7.ports
            for item in port.functions
            if item.netdev in asked
        ]
        return [item for item in network_findings(facts, self.where, given, fresh=True) if item.severity == "fail"] if given else []

    def _unleased(self, facts: Facts, netdevs: Sequence[str], patience: float) -> list[Finding]:
        """CX7_NO_LEASE of functions that got no lease."""
        lacking = {str(item.netdev): item.mac for item in facts.cx7.functions if item.netdev in netdevs}
        if not lacking:
            return []
        told = named(f"{netdev} ({mac})" for netdev, mac in lacking.items())
        message = f"{told} got no address from a DHCP server within {patience:.0f} s."
        return [finding("CX7_NO_LEASE", self.where, message, evidence={"macs": lacking})]

    def _settled(self, done: Callable[[Facts], bool], patience: float, facts: Facts | None = None) -> Facts:
        """The desk's facts as soon as they are as they should be, or when that has been waited for."""
        facts = facts or self.collect()
        deadline = time.monotonic() + patience
        while not done(facts) and time.monotonic() <= deadline:
            time.sleep(1)
            facts = self.collect()
        return facts

    def _after(self, facts: Facts, wanted: Sequence[Mapping[str, Any]]) -> list[Finding]:
        """RoCE after the change: GIDs and MTU of the link's ports, and addresses that somebody else has as well."""
        if not wanted:
            return []
        netdevs = {item["netdev"] for item in wanted}
        ports = tuple(port for port in facts.cx7.ports if any(item.netdev in netdevs for item in port.functions))
        mine = replace(facts, cx7=replace(facts.cx7, ports=ports, ungrouped=()))
        options = JudgeOptions(purpose=STACKED, wanted_mtu=int(wanted[0]["mtu"]))
        found = [*link_judges.gids(mine, self.where, options), *link_judges.mtu(mine, self.where, options)]
        own = {(item.mac or "").lower() for item in facts.cx7.functions}
        for item in wanted:
            if item["address"] != DHCP:
                found += self.taken(item["netdev"], item["address"].partition("/")[0], own)
        return found

    # ---- asking what became of it -----------------------------------------------------------------------------------

    def status(self, change_id: str | None) -> Outcome:
        """What became of a change: undone, still armed, or confirmed (then nothing is left of it)."""
        outcome = Outcome(change_id=change_id)
        journal = self._journal()
        if journal is None:
            return outcome
        state = journal.get("state")
        outcome.armed = state in ("armed", "applying", "applied", "undoing")
        if state in ("undone", "undo_failed"):
            outcome.fail(self._undone(journal))
        return outcome

    def _journal(self) -> dict[str, Any] | None:
        text = self.desk.read_text(JOURNAL).text
        try:
            data = json.loads(text) if text else None
        except ValueError:
            return None
        return data if isinstance(data, dict) else None

    def _undone(self, journal: Mapping[str, Any]) -> Finding:
        reason = journal.get("reason") or "it was not confirmed"
        state = journal.get("state")
        evidence = {
            "state": state,
            "change": journal.get("id"),
            "reason": reason,
            "unconfirmed": bool(journal.get("unconfirmed")),
            "kept": journal.get("kept"),
            "failed": [item for item in journal.get("commands") or [] if item.get("rc")],
        }
        if state == "undone":
            # In NetworkManager's words "strictly unmanaged": the cure is that of a link which it left later.
            remedy = CODES["CX7_NOT_MANAGED"].remedy if "unmanaged" in reason else None
            return finding("CX7_CHANGE_UNDONE", self.where, f"The desk undid the link change: {reason}.", evidence=evidence, remedy=remedy)
        if state == "undo_failed":
            message = f"The link change ({reason}) could not be undone completely: {'; '.join(journal.get('problems') or [])}."
            return finding("CX7_CHANGE_UNDONE", self.where, message, evidence=evidence)
        message = f"The link change cannot be confirmed: its journal is {'gone' if state is None else f'in state {state}'}."
        return finding("CX7_CHANGE_UNCONFIRMED", self.where, message, evidence=evidence)

    def _kept(self, paths: Sequence[str], when: str) -> list[Finding]:
        return [
            finding(
                "CX7_FILE_KEPT", self.where, f"{path} was edited in the meantime and was kept as it is by {when}.", evidence={"file": path}
            )
            for path in paths
        ]

    def _program_finding(self, answer: Mapping[str, Any]) -> Finding:
        error = str(answer.get("error") or "no answer")
        kind, _separator, rest = error.partition(": ")
        if kind == "netplan_invalid":
            return finding("CX7_NETPLAN_INVALID", self.where, f"The link was not changed: {rest}.", evidence={"error": rest})
        if kind == "arm":
            return refused(self.where, f"the undo could not be armed ({rest})")
        return refused(self.where, rest if kind == "other_interfaces" else error)

    def _ask(self, *words: str, timeout: float = 60) -> dict[str, Any]:
        """One command of the program, its text fed on standard input: nothing has to lie on the desk for it."""
        answer = self.desk.run(carrier.argv(*words), timeout=timeout, stdin=carrier.feed(program()))
        return program_answer(answer)


def _have_gids(facts: Facts, netdevs: Sequence[str]) -> bool:
    return all(item.roce_v2_ipv4_gid_index is not None for item in facts.cx7.functions if item.netdev in netdevs)


def program_answer(answer: Answer) -> dict[str, Any]:
    """The JSON that the program printed; an ``error`` when there is none."""
    last = answer.stdout.strip().splitlines()[-1:] if answer.stdout else []
    try:
        data = json.loads(last[0]) if last else None
    except ValueError:
        data = None
    if isinstance(data, dict):
        return data
    tail = " ".join((answer.stderr or answer.stdout).split())[-300:]
    return {"ok": False, "error": f"{PYTHON} gave no answer ({answer.error or f'exit {answer.rc}'}): {tail}"}


def read_configuration(desk: Desk) -> tuple[dict[str, str | None], dict[str, str]]:
    """Path to text of every file that may configure an interface, and path to reason where it could not be read."""
    files: dict[str, str | None] = {}
    errors: dict[str, str] = {}
    for folder, suffix in ((NETPLAN_FOLDER, ".yaml"), (PROFILE_FOLDER, "")):
        listing = desk.list_dir(folder)
        if listing.error not in (None, MISSING):
            files[folder], errors[folder] = None, DENIED if listing.error == DENIED else str(listing.error)
            continue
        for name in listing.names:
            if not name.endswith(suffix) or name.startswith("."):
                continue
            found = desk.read_text(f"{folder}/{name}")
            files[found.path] = found.text
            if found.error:
                errors[found.path] = found.error
    return files, errors
