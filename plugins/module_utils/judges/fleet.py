# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does any identity appear twice in an inventory?"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from ..model.desk import Desk
from ..model.finding import Finding, Where
from .catalogue import finding
from .common import named


def judge_fleet(desks: Mapping[str, Desk], addresses: Mapping[str, str] | None = None) -> list[Finding]:
    """DESK_IDENTITY_DUPLICATE for each desk that shares an identity with another one.

    ``desks`` maps inventory names to facts, ``addresses`` inventory names to the address they are reached at (desks without facts
    included). Only a shared host name is a warning. Addresses and MACs of fabric, containers and virtual interfaces are never compared:
    they repeat by design.
    """
    shared: dict[str, dict[str, dict[str, list[str]]]] = {}
    for kind, owners in _identities(desks, addresses or {}).items():
        for value, names in owners.items():
            if len(names) > 1:
                for name in names:
                    shared.setdefault(name, {}).setdefault(kind, {})[value] = [other for other in names if other != name]
    return [_duplicate(name, kinds, desks) for name, kinds in sorted(shared.items())]


def _identities(desks: Mapping[str, Desk], addresses: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    """Kind to value to the names of the desks that have it."""
    table: dict[str, dict[str, list[str]]] = {
        kind: {} for kind in ("machine-id", "host key", "MAC", "address", "serial number", "boot", "host name")
    }

    def add(kind: str, name: str, values: Iterable[str | None]) -> None:
        for value in {item.strip().lower() if kind != "host key" else item.strip() for item in values if item and item.strip()}:
            table[kind].setdefault(value, []).append(name)

    for name, desk in sorted(desks.items()):
        identity = desk.identity
        add("machine-id", name, (identity.machine_id,))
        add("host key", name, identity.host_key_fingerprints)
        add("serial number", name, (identity.serial_sha256,))
        add("boot", name, (identity.boot_id,))
        add("host name", name, (identity.hostname,))
        add("MAC", name, _macs(desk))
        add("address", name, _management_addresses(desk))
    for name, address in sorted(addresses.items()):
        if address.strip().lower() not in {value for value, names in table["address"].items() if name in names}:
            add("address", name, (address,))
    return table


def _macs(desk: Desk) -> list[str | None]:
    """MACs that belong to the machine: management interface and ConnectX-7 functions."""
    return [mac for mac in (desk.network.management_mac, *(item.mac for item in desk.cx7.functions)) if mac and mac != "00:00:00:00:00:00"]


def _management_addresses(desk: Desk) -> list[str | None]:
    """Addresses of the management interface that can be reached from elsewhere (no link-local, no loopback)."""
    found: list[str | None] = []
    for item in desk.network.management_addresses:
        try:
            address = ipaddress.ip_address(item.address.split("%")[0])
        except ValueError:
            continue
        if not address.is_link_local and not address.is_loopback:
            found.append(str(address))
    return found


def _duplicate(name: str, kinds: Mapping[str, Mapping[str, list[str]]], desks: Mapping[str, Desk]) -> Finding:
    others = sorted({other for values in kinds.values() for names in values.values() for other in names})
    same_machine = "boot" in kinds or "serial number" in kinds
    told = [kind for kind in kinds if kind not in ("boot", "serial number")] or ["machine"]
    if same_machine:
        message = f"This is the same machine as {named(others)}: it is listed more than once."
    elif set(kinds) == {"host name"}:
        message = f"The host name {next(iter(kinds['host name']))} also belongs to {named(others)}."
    else:
        message = f"Shares its {', '.join(told)} with {named(others)}."
        if set(told) & {"machine-id", "host key"}:
            message += " The disk was probably cloned."
    # The serial stays out of results, also as a hash.
    shared = {kind: {value: list(names) for value, names in values.items()} for kind, values in kinds.items() if kind != "serial number"}
    evidence = {"shared": shared, "others": others}
    severity = "warn" if set(kinds) == {"host name"} else "fail"
    return finding("DESK_IDENTITY_DUPLICATE", Where(desk=name), message, severity=severity, evidence=evidence)
