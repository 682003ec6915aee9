# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done so that a desk's link is as wanted. Pure: the same on the controller and on the desk.

First ``resolve`` finds the ports and functions that are meant, then ``plan`` compares, refuses or lists the steps. An empty plan
means that nothing has to be run on the desk.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..judges.busy import busy_findings
from ..judges.link_change import (
    BY_SERVER,
    management_findings,
    overlap_findings,
    owner_finding,
    refused,
    resolve_port,
    subnet_findings,
    unusable_functions,
)
from ..model.desk import Desk
from ..model.finding import Finding, Where
from ..model.link import WantedFunction, WantedLink
from ..model.owner import Owner
from ..model.ownership import in_use
from ..model.port import Function, Port
from .link_program.names import DHCP, NMCLI_WAIT, NMCLI_WAIT_DHCP
from .netplan import OUR_FILE, RENDERERS, Interface, interfaces_of, text

PRESENT, ABSENT = "present", "absent"
MTUS = (1500, 9000)
"""Bytes: what netplan leaves, and what NVIDIA Sync sets."""
SYSCTL_FILE = "/etc/sysctl.d/90-dgx-spark-link.conf"
UNSETTLED = ("prepared", "armed", "applying", "applied", "confirmed", "undoing", "undo_failed", "undone")


@dataclass(frozen=True)
class LinkRequest:
    """One cabled port, as an admin asks for it."""

    port: int | None
    """Null: the port that has a link."""
    addresses: tuple[str, ...]
    """IPv4 with prefix length (or `DHCP`), for the port's functions in PCI domain order."""
    mtu: int = 9000


@dataclass(frozen=True)
class LinkOptions:
    """How the change may go about."""

    state: str = PRESENT
    take_over: bool = False
    force: bool = False


@dataclass(frozen=True)
class PlannedFunction:
    """One function of the link with what it gets."""

    port: int
    netdev: str
    mac: str | None
    address: str
    """IPv4 with prefix length, or `DHCP`."""
    mtu: int


@dataclass(frozen=True)
class LinkPlan:
    """What would be done. ``steps`` is empty when nothing has to be."""

    state: str
    renderer: str | None = None
    functions: tuple[PlannedFunction, ...] = ()
    file_text: str | None = None
    """Our netplan file as it shall be, null for none."""
    set_aside: tuple[str, ...] = ()
    """Foreign files that are moved away and kept."""
    ids: tuple[str, ...] = ()
    """Netplan names of the interfaces concerned."""
    ours: tuple[str, ...] = ()
    """Addresses (with prefix length) of our file as it is now."""
    steps: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    """What tells the renderer, as argument lists."""
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    is_refused: bool = False

    @property
    def diff(self) -> dict[str, str]:
        """Before and after as Ansible shows them."""
        return {
            "before_header": "link before",
            "after_header": "link after",
            "before": formatted(self.before),
            "after": formatted(self.after),
        }


def formatted(state: dict[str, Any]) -> str:
    """The one formatter of a state of the link."""
    return json.dumps(state, indent=2, sort_keys=True) + "\n" if state else ""


def resolve(desk: Desk, where: Where, requests: Sequence[LinkRequest]) -> tuple[tuple[WantedLink, ...], tuple[Finding, ...]]:
    """The wanted links with port and functions named; findings say why one cannot be resolved (then it is left out)."""
    wants: list[WantedLink] = []
    findings: list[Finding] = []
    for number, request in enumerate(requests):
        problem = _invalid(request)
        if problem is not None:
            findings.append(refused(where, f"links[{number}]: {problem}"))
            continue
        port, reasons = resolve_port(desk, where, request.port, len(request.addresses))
        findings += reasons
        if port is None or port.number is None:
            continue
        functions = tuple(
            WantedFunction(item.pci_domain if item.pci_domain is not None else -1, address, request.mtu)
            for item, address in zip(port.functions, request.addresses, strict=False)
        )
        wants.append(WantedLink(port.number, functions))
    if len({item.port for item in wants}) < len(wants):
        findings.append(refused(where, "links names one port twice"))
        return (), tuple(findings)
    return tuple(wants), tuple(findings)


def _invalid(request: LinkRequest) -> str | None:
    if request.port not in (None, 0, 1):
        return f"port is {request.port}; a desk has ports 0 and 1"
    if request.mtu not in MTUS:
        return f"mtu is {request.mtu}; one of {', '.join(map(str, MTUS))} was expected"
    if not request.addresses:
        return "addresses is empty; one for each function was expected"
    for address in request.addresses:
        if address == DHCP:
            continue
        try:
            found = ipaddress.IPv4Interface(address)
        except ValueError as error:
            return f"address {address!r} is not an IPv4 address with a prefix length, nor the word dhcp: {error}"
        if "/" not in address or found.network.prefixlen > 31:
            return f"address {address!r} needs a prefix length of 31 or less"
        # A network of two addresses (RFC 3021) has neither a network address nor a broadcast one.
        if found.network.prefixlen < 31 and found.ip in (found.network.network_address, found.network.broadcast_address):
            return f"address {address!r} is the network address or the broadcast address"
        if found.ip.is_loopback or found.ip.is_multicast or found.ip.is_link_local or found.ip.is_unspecified:
            return f"address {address!r} is not usable on an interface"
    return None


def plan(
    desk: Desk,
    where: Where,
    wants: Sequence[WantedLink],
    options: LinkOptions | None = None,
    owners: Sequence[Owner] | None = None,
) -> LinkPlan:
    """The plan from what is known of the desk.

    ``owners``: the foreign files as the desk itself read them; null on the controller, where the facts count.
    """
    options = options or LinkOptions()
    if options.state == ABSENT:
        return _plan_absent(desk, where, options)
    functions = _functions(desk, wants)
    renderer = desk.network.renderer if desk.network.renderer in RENDERERS else None
    planned = tuple(item for item, _function in functions)
    content = text((Interface(item.netdev, item.address, item.mtu) for item in planned), renderer) if renderer and planned else None
    foreign = _foreign(desk, owners, functions)
    # NetworkManager's profile for every Ethernet interface yields to one that names the interface; networkd takes the first file.
    foreign = tuple(item for item in foreign if not (item.by_pattern and renderer == "NetworkManager"))
    set_aside = tuple(item.path for item in foreign if (item.automatic or options.take_over) and not item.others and item.error is None)
    known = interfaces_of(desk.setup.link_file)
    leases = leases_of(desk)
    steps = [
        *_settle_steps(desk),
        *(f"set {path} aside" for path in set_aside),
        *([f"write {OUR_FILE}"] if desk.setup.link_file != content else []),
        *(step for item, function in functions for step in _live_steps(item, function, leases)),
    ]
    result = LinkPlan(
        state=PRESENT,
        renderer=renderer,
        functions=planned,
        file_text=content,
        set_aside=set_aside,
        ids=tuple(
            sorted(
                {item.netdev for item in planned}
                | {item.netdev for item in known}
                | {name for item in foreign for name in (*item.ids, *(item.netdevs if item.path in set_aside else ()))}
            )
        ),
        ours=static(known),
        before=state_of(desk, _concerned(desk, planned, known), [item.path for item in foreign]),
    )
    # A foreign file that must go needs a change even where everything else is as wanted.
    blocking = [item for item in foreign if item.path not in set_aside]
    networks = network_findings(desk, where, planned)
    if not steps and not blocking:
        # Nothing is written, so routes that could not be read keep nobody; what was read is judged in every run.
        led = tuple(item for item in networks if item.code != "CX7_CHANGE_REFUSED")
        return _with(result, after=result.before, findings=led, is_refused=bool(led))
    findings = [
        *networks,
        *management_findings(desk, where),
        *unusable_functions(desk, where, [function for _item, function in functions]),
        *(owner_finding(where, item, item.path in set_aside) for item in foreign if not item.automatic),
        *(busy_findings(desk, where, severity="warn" if options.force else "unknown") if steps else []),
    ]
    if renderer is None:
        findings.append(
            refused(
                where,
                f"the desk's network is configured by {desk.network.renderer or 'an unknown renderer'}; NetworkManager or networkd was "
                "expected",
                severity="unknown" if desk.network.renderer is None else "fail",
            )
        )
    bad = any(item.severity in ("fail", "unknown") for item in findings)
    after = {
        "file": content,
        "functions": {item.netdev: {"port": item.port, "mtu": item.mtu, "addresses": [item.address]} for item in planned},
        "foreign_owners": [item.path for item in blocking],
    }
    return _with(
        result,
        steps=tuple(steps),
        commands=() if bad else _commands(renderer, planned),
        after=result.before if bad else after,
        findings=tuple(findings),
        is_refused=bad,
    )


def _plan_absent(desk: Desk, where: Where, options: LinkOptions) -> LinkPlan:
    known = interfaces_of(desk.setup.link_file)
    renderer = desk.network.renderer if desk.network.renderer in RENDERERS else None
    functions = {item.netdev: item for item in desk.cx7.functions if item.netdev}
    steps = [*_settle_steps(desk)]
    if desk.setup.link_file is not None:
        steps += [f"remove {OUR_FILE}", "restore what was there before the first change"]
    ports = {function.netdev: port.number for port in desk.cx7.ports for function in port.functions}
    planned = tuple(
        PlannedFunction(ports.get(item.netdev) or 0, item.netdev, functions[item.netdev].mac, item.address, item.mtu)
        for item in known
        if item.netdev in functions
    )
    before = state_of(desk, _concerned(desk, planned, known), [])
    result = LinkPlan(
        state=ABSENT,
        renderer=renderer,
        functions=planned,
        ids=tuple(item.netdev for item in known),
        ours=(*static(known), *leases_of(desk).values()),
        before=before,
        after=before,
    )
    if not steps:
        return result
    findings = [*management_findings(desk, where), *busy_findings(desk, where, severity="warn" if options.force else "unknown")]
    if renderer is None:
        findings.append(refused(where, f"the desk's network is configured by {desk.network.renderer or 'not known'}", severity="unknown"))
    bad = any(item.severity in ("fail", "unknown") for item in findings)
    return _with(
        result,
        steps=tuple(steps),
        commands=() if bad else _commands(renderer, ()),
        after=before if bad else {"file": None, "functions": {}, "foreign_owners": ["as before the first change"]},
        findings=tuple(findings),
        is_refused=bad,
    )


def _with(plan_: LinkPlan, **changes: Any) -> LinkPlan:
    return LinkPlan(**{**plan_.__dict__, **changes})


def _functions(desk: Desk, wants: Sequence[WantedLink]) -> list[tuple[PlannedFunction, Function]]:
    found = []
    for want in wants:
        port = next((item for item in desk.cx7.ports if item.number == want.port), Port())
        for wanted in want.functions:
            function = next((item for item in port.functions if _domain(item) == wanted.pci_domain), None)
            if function is not None and function.netdev:
                found.append((PlannedFunction(want.port, function.netdev, function.mac, wanted.address, wanted.mtu), function))
    return found


def _foreign(desk: Desk, owners: Sequence[Owner] | None, functions: Sequence[tuple[PlannedFunction, Function]]) -> tuple[Owner, ...]:
    """The foreign files that concern this link."""
    if owners is None and desk.cx7.owners is None:
        return _owners_of_facts(function for _item, function in functions)
    known = owners if owners is not None else desk.cx7.owners or ()
    link = {item.netdev for item, _function in functions}
    seen = (item.beside(link, in_use(desk.cx7.functions)) for item in known)
    return tuple(item for item in seen if item is not None)


def _owners_of_facts(functions: Iterable[Function]) -> tuple[Owner, ...]:
    """Where the files could not be read for the facts, they still name one owner for each function."""
    by_path: dict[str, list[str]] = {}
    for item in functions:
        if item.owner_kind == "foreign" and item.owner:
            by_path.setdefault(item.owner, []).append(str(item.netdev))
    return tuple(Owner(path, tuple(netdevs)) for path, netdevs in by_path.items())


def _domain(function: Function) -> int:
    return function.pci_domain if function.pci_domain is not None else -1


def _settle_steps(desk: Desk) -> list[str]:
    state = desk.setup.link_journal
    return [f"settle the change that an earlier run left ({state})"] if state in UNSETTLED else []


def inet(function: Function) -> list[str]:
    """The IPv4 addresses of a function, with prefix length."""
    return [f"{address.address}/{address.prefix_length}" for address in function.addresses if address.family == "inet"]


def static(known: Iterable[Interface]) -> tuple[str, ...]:
    """The addresses that a file of ours sets."""
    return tuple(item.address for item in known if item.address and item.address != DHCP)


def leases_of(desk: Desk) -> dict[str, str]:
    """Interface to the address (with prefix length) that a DHCP server gave it, where our file asks for one.

    An endless lease is not marked as one, so that any address counts that is not link-local.
    """
    asked = {item.netdev for item in interfaces_of(desk.setup.link_file) if item.address == DHCP}
    found = {}
    for function in desk.cx7.functions:
        held = [item for item in function.addresses if item.family == "inet" and item.scope != "link"]
        if function.netdev in asked and held:
            given = next((item for item in held if item.dynamic), held[0])
            found[str(function.netdev)] = f"{given.address}/{given.prefix_length}"
    return found


def network_findings(desk: Desk, where: Where, planned: Sequence[PlannedFunction], fresh: bool = False) -> list[Finding]:
    """Networks that twins share or that the desk reaches otherwise: of the addresses that are to be set, and of those that were leased
    (``fresh``: by the change that is being confirmed)."""
    leases = leases_of(desk)
    told = [replace(item, address=leases.get(item.netdev, DHCP)) if item.address == DHCP else item for item in planned]
    told = [item for item in told if item.address != DHCP]
    found = [
        *subnet_findings(where, told),
        *overlap_findings(desk, where, told, {item.netdev for item in interfaces_of(desk.setup.link_file)}, fresh),
    ]
    by_server = any(item.address == DHCP for item in planned)
    return [replace(item, remedy=BY_SERVER) if by_server and item.code != "CX7_CHANGE_REFUSED" else item for item in found]


def _live_steps(item: PlannedFunction, function: Function, leases: Mapping[str, str]) -> list[str]:
    held = inet(function)
    steps = []
    if item.address == DHCP:
        if item.netdev not in leases:
            steps.append(f"wait for the address that {item.netdev} gets by DHCP")
    elif item.address not in held:
        steps.append(f"give {item.netdev} the address {item.address}")
    if function.mtu != item.mtu:
        steps.append(f"set the MTU of {item.netdev} to {item.mtu}")
    if function.admin_up is False:
        steps.append(f"switch {item.netdev} on")
    return steps


def _concerned(desk: Desk, planned: Iterable[PlannedFunction], known: Iterable[Interface]) -> list[Function]:
    names = {item.netdev for item in planned} | {item.netdev for item in known}
    return [item for item in desk.cx7.functions if item.netdev in names]


def state_of(desk: Desk, functions: Iterable[Function], foreign: Iterable[str]) -> dict[str, Any]:
    """The link as it is, in the form of ``before`` and ``after``."""
    ports = {function.netdev: port.number for port in desk.cx7.ports for function in port.functions}
    return {
        "file": desk.setup.link_file,
        "functions": {
            str(item.netdev): {
                "port": ports.get(item.netdev),
                "mtu": item.mtu,
                "addresses": inet(item),
            }
            for item in functions
        },
        "foreign_owners": list(foreign),
    }


def _commands(renderer: str | None, planned: Sequence[PlannedFunction]) -> tuple[tuple[str, ...], ...]:
    """What the renderer is told. Names of generated files are netplan's own (checked by the staged generation)."""
    if renderer == "networkd":
        return (("networkctl", "reload"), *(("networkctl", "reconfigure", item.netdev) for item in planned))
    if not planned:
        return ()
    folder = "/run/NetworkManager/system-connections"
    return (
        ("nmcli", "connection", "load", *sorted(f"{folder}/netplan-{item.netdev}.nmconnection" for item in planned)),
        *(
            ("nmcli", "--wait", _patience(item), "connection", "up", "id", f"netplan-{item.netdev}", "ifname", item.netdev)
            for item in planned
        ),
    )


def _patience(item: PlannedFunction) -> str:
    return NMCLI_WAIT_DHCP if item.address == DHCP else NMCLI_WAIT
