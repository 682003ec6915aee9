# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the history remembers of a desk: the facts that explain why a pair became slower. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...module_utils.model.history import Difference
from ..report.words import line, number

PATHS: tuple[tuple[str, str], ...] = (
    ("identity.serial_sha256", "machine"),
    ("identity.boot_id", "start-up"),
    ("identity.bios_version", "system firmware"),
    ("dgx_os.version", "DGX OS"),
    ("kernel.running", "kernel"),
    ("kernel.next_boot", "kernel of the next boot"),
    ("kernel.kho", "kho parameter"),
    ("driver.module_version", "driver"),
    ("driver.user_space_version", "driver library"),
    ("driver.gsp_version", "GSP firmware"),
    ("driver.persistenced_active", "persistence daemon"),
    ("cx7.firmware", "ConnectX-7 firmware"),
    ("toolkit.cuda_toolkit", "CUDA toolkit"),
    ("toolkit.nccl", "NCCL package"),
    ("toolkit.perftest", "perftest"),
    ("toolkit.open_mpi", "Open MPI"),
    ("setup.nccl_bundle", "NCCL bundle"),
    ("network.renderer", "network renderer"),
)
"""Fact and what people call it. Computed besides: link.ports, link.mtu, link.speed, link.pcie_width, cable, cable.serial, nccl.version."""

COMPUTED = {
    "link.ports": "ports with a link",
    "link.mtu": "MTU",
    "link.speed": "link speed",
    "link.pcie_width": "PCIe lanes",
    "cable": "cable",
    "cable.serial": "cable serial number",
    "nccl.version": "NCCL",
}
TITLES = {**dict(PATHS), **COMPUTED}
ABBREVIATED = ("identity.serial_sha256", "identity.boot_id", "setup.nccl_bundle")
"""Long and meaningless to people: told by their first characters."""

State = Mapping[str, str]


def states_of(report: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Every desk's remembered facts: path to value. What was not read is absent, so that it never counts as a change;
    a desk that gave no facts is absent altogether."""
    found = {}
    for desk in report.get("desks") or ():
        facts = desk.get("facts") or {}
        state = {path: value for path, _title in PATHS if (value := _text(_at(facts, path))) is not None}
        if facts:
            found[str(desk["name"])] = {**state, **_link(facts)}
    _add_cables(report, found)
    _add_nccl(report, found)
    return found


def counts_of(facts: Mapping[str, Any]) -> dict[str, int]:
    """Netdev to carrier_down_count, of every function that has one."""
    counts = {}
    for function in _functions(_ports(facts)):
        count = number(function.get("carrier_down_count"))
        if function.get("netdev") and count is not None:
            counts[line(function["netdev"])] = int(count)
    return counts


def differences(desk: str, before: State, now: State, run: str = "") -> list[Difference]:
    """What both know and differ in, in the order of the table."""
    return [
        Difference(desk, path, title, shown(path, before[path]), shown(path, now[path]), run)
        for path, title in TITLES.items()
        if path in before and path in now and before[path] != now[path]
    ]


def shown(path: str, value: str) -> str:
    """A value as people read it."""
    return value[:8] if path in ABBREVIATED else value


def _at(facts: Mapping[str, Any], path: str) -> Any:
    value: Any = facts
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, (Mapping, list)):
        return None
    if isinstance(value, bool):
        return "on" if value else "off"
    return line(value)[:200]


def _items(value: Any) -> list[Mapping[str, Any]]:
    """The mappings of a list; nothing of what is none."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _ports(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    cx7 = facts.get("cx7")
    return _items(cx7.get("ports")) if isinstance(cx7, Mapping) else []


def _functions(ports: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [item for port in ports for item in _items(port.get("functions"))]


def _link(facts: Mapping[str, Any]) -> dict[str, str]:
    """What the ports with a link are."""
    ports = _ports(facts)
    if not ports:
        return {}
    up = [port for port in ports if port.get("carrier")]
    found = {"link.ports": ", ".join(sorted(line(port.get("number")) for port in up)) or "none"}
    functions = _functions(up)
    for path, key in (("link.mtu", "mtu"), ("link.speed", "speed_mbps"), ("link.pcie_width", "pcie_width")):
        values = [line(item[key]) for item in functions if item.get(key) is not None]
        if values and len(values) == len(functions):
            found[path] = ", ".join(values)
    return found


def _add_cables(report: Mapping[str, Any], states: dict[str, dict[str, str]]) -> None:
    told: dict[str, set[str]] = {}
    serials: dict[str, set[str]] = {}
    for edge in report.get("cables") or ():
        ends = [end for end in edge.get("ends") or () if isinstance(end, Mapping)]
        if len(ends) != 2:
            continue
        for end, other in (ends, ends[::-1]):
            desk = str(end.get("desk"))
            told.setdefault(desk, set()).add(f"port {line(end.get('port'))} to {line(other.get('desk'))} port {line(other.get('port'))}")
            if edge.get("serial"):
                serials.setdefault(desk, set()).add(line(edge["serial"]))
    for desk, state in states.items():
        for path, values in (("cable", told.get(desk)), ("cable.serial", serials.get(desk))):
            if values:
                state[path] = "; ".join(sorted(values))


def _add_nccl(report: Mapping[str, Any], states: dict[str, dict[str, str]]) -> None:
    for pair in report.get("pairs") or ():
        version = (pair.get("nccl") or {}).get("nccl_version") if isinstance(pair.get("nccl"), Mapping) else None
        for member in pair.get("members") or () if version else ():
            if member.get("desk") in states:
                states[member["desk"]]["nccl.version"] = line(version)
