# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which interfaces of the ConnectX-7 a netplan file or NetworkManager profile configures. Works on what readers read; pure.

The desk's facts and the plan of a link change use the same rule, so that both say the same.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from .owner import Owner
from .port import Function

DRIVER = "mlx5_core"
"""The kernel's driver of every ConnectX-7 function, and of nothing else in the machine."""

_AUTOMATIC = re.compile(r"Wired connection [0-9]{1,3}")
"""The name that NetworkManager gives to a profile that it makes by itself."""

_KERNELS = re.compile(r"en(?:P[0-9]{1,5})?p[0-9]{1,3}s[0-9]{1,3}(?:f[0-9]{1,2})?(?:np[0-9]{1,2})?")
"""A name after the place in the machine, which an interface has without any file."""


def in_use(functions: Iterable[Function]) -> set[str]:
    """Interfaces that have a link, or of which it is not known; one that is switched off has none."""
    return {str(item.netdev) for item in functions if item.netdev and item.carrier is not False and item.admin_up is not False}


def netplan_owner(path: str, data: Mapping[str, Any], wanted: Sequence[Function], others: Collection[str] | None) -> Owner | None:
    """The owner that a netplan file (as its reader gives it) is; null when it does not speak of the adapter.

    ``others``: names of the desk's interfaces that are not the adapter's; null when they are not known.
    """
    ids, netdevs, beside, automatic, patterns = [], [], [], [], []
    for name, device in data["ethernets"].items():
        here = [item for item in wanted if _matches(name, device, item)]
        if not here:
            beside.append(name)
            continue
        ids.append(name)
        netdevs += [str(item.netdev) for item in here]
        automatic.append(bool(device["nm_name"] and _AUTOMATIC.fullmatch(device["nm_name"]) and not device["addresses"]))
        patterns.append(_fits_many(name, device, others))
        if patterns[-1]:
            beside.append(f"{name} (matches by pattern)")
        given = device["set_name"]
        if any(item.netdev == given for item in here) and not _KERNELS.fullmatch(given):
            # Without the file the interface has another name from the next boot on.
            beside.append(f"{given} (which gets its name here)")
    own = {str(item.netdev) for item in wanted}
    for section in ("wifis", "vlans", "bonds", "bridges"):
        for name, device in data[section].items():
            parts = [*device["interfaces"], *([device["link"]] if device["link"] else [])]
            netdevs += [str(item.netdev) for item in wanted if item.netdev in parts]
            if not parts or any(item not in ids and item not in own for item in parts):
                beside.append(name)
                continue
            ids.append(name)
    beside += [f"{name} ({section})" for section, names in data["other_sections"].items() for name in names]
    netdevs += [str(item.netdev) for item in wanted for members in data["other_members"].values() if item.netdev in members]
    if not netdevs:
        return None
    return Owner(
        path,
        tuple(sorted(set(netdevs))),
        tuple(ids),
        tuple(beside),
        automatic=bool(automatic) and all(automatic) and not beside,
        by_pattern=bool(patterns) and all(patterns) and len(patterns) == len(ids),
    )


def _matches(name: str, device: Mapping[str, Any], function: Function) -> bool:
    if device["set_name"] == function.netdev:
        return True
    match = device["match"]
    if match is None:
        return name == function.netdev
    if not match:
        return True
    tests = []
    if match.get("name") is not None:
        tests.append(any(fnmatch.fnmatchcase(str(function.netdev), item) for item in _texts(match["name"])))
    if match.get("macaddress") is not None:
        tests.append(str(match["macaddress"]).lower() == (function.mac or "").lower())
    if match.get("driver") is not None:
        tests.append(any(fnmatch.fnmatchcase(function.driver or DRIVER, item) for item in _texts(match["driver"])))
    return bool(tests) and all(tests)


def _texts(value: Any) -> list[str]:
    return [str(item)[:200] for item in value] if isinstance(value, list) else [str(value)[:200]]


def _fits_many(name: str, device: Mapping[str, Any], others: Collection[str] | None) -> bool:
    """Whether a match was written for more than the adapter, as far as can be told."""
    match = device["match"]
    if match is None or match.get("macaddress"):
        return False
    if match.get("driver") is not None:
        return any(not _only_adapter(item) for item in _texts(match["driver"])) and match.get("name") is None
    names = _texts(match["name"]) if match.get("name") is not None else ["*"]
    return _general(names, others)


def _only_adapter(driver: str) -> bool:
    return "mlx" in driver.lower()


def _general(patterns: Sequence[str], others: Collection[str] | None) -> bool:
    wild = [item for item in patterns if any(sign in item for sign in "*?[")]
    if others is None:
        return bool(wild) or len(patterns) > 1
    return any(fnmatch.fnmatchcase(other, item) for other in others for item in patterns)


def profile_owner(
    path: str, sections: Mapping[str, Mapping[str, Sequence[str]]], wanted: Sequence[Function], others: Collection[str] | None
) -> Owner | None:
    """The owner that a NetworkManager profile (sections of its key file) is; null when it is bound to none of the adapter's interfaces."""
    connection = sections.get("connection", {})
    ethernet = sections.get("ethernet") or sections.get("802-3-ethernet") or {}
    name, mac = _last(connection, "interface-name"), _last(ethernet, "mac-address").lower()
    match = {key: _elements(_last(sections.get("match", {}), key)) for key in ("interface-name", "driver", "path")}
    match = {key: elements for key, elements in match.items() if elements}
    below = [_last(sections.get(kind, {}), "parent") for kind in ("vlan", "macvlan", "ipvlan", "vxlan", "802-1q")]
    parents = [item for item in wanted if any(word and (word == item.netdev or word.lower() == (item.mac or "").lower()) for word in below)]
    if parents:
        return Owner(path, tuple(str(item.netdev) for item in parents), others=(f"{name or 'a device'} (set upon it)",))
    if not (name or mac or match):
        return None
    here = [
        item
        for item in wanted
        if (not name or item.netdev == name) and (not mac or (item.mac or "").lower() == mac) and _in_match(match, item)
    ]
    if not here:
        return None
    many = False
    if not name and not mac:
        patterns = [text for _mandatory, inverted, text in match.get("interface-name", []) if not inverted]
        specific = bool(match.get("path")) or all(_only_adapter(text) for _m, inverted, text in match.get("driver", []) if not inverted)
        many = _general(patterns, others) if patterns else not (specific and (match.get("path") or match.get("driver")))
    automatic = (
        _AUTOMATIC.fullmatch(_last(connection, "id")) is not None and (_last(sections.get("ipv4", {}), "method") or "auto") == "auto"
    )
    return Owner(
        path,
        tuple(str(item.netdev) for item in here),
        others=("other interfaces (matches by pattern)",) if many else (),
        automatic=automatic,
        by_pattern=many,
    )


def _last(section: Mapping[str, Sequence[str]], key: str) -> str:
    values = section.get(key) or [""]
    return str(values[-1]).strip()


def _elements(text: str) -> list[tuple[bool, bool, str]]:
    """Elements of a list of NetworkManager's [match]: mandatory (``&``), inverted (``!``, which is mandatory by itself), pattern."""
    found = []
    for part in text.split(";"):
        item = part.strip()
        if not item:
            continue
        mandatory = item[0] == "&" or item[0] == "!"
        item = item[1:] if item[0] in "|&" else item
        inverted = item[:1] == "!"
        item = item.removeprefix("!").removeprefix("\\")
        if item:
            found.append((mandatory, inverted, item[:200]))
    return found


def _in_match(match: Mapping[str, Sequence[tuple[bool, bool, str]]], function: Function) -> bool:
    values = {
        "interface-name": str(function.netdev),
        "driver": function.driver or DRIVER,
        "path": f"pci-{function.pci_address}" if function.pci_address else "",
    }
    for key, elements in match.items():
        fits = [(mandatory, fnmatch.fnmatchcase(values[key], pattern) != inverted) for mandatory, inverted, pattern in elements]
        optional = [fit for mandatory, fit in fits if not mandatory]
        if not all(fit for mandatory, fit in fits if mandatory) or (optional and not any(optional)):
            return False
    return True
