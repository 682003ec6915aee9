"""A lab's description: reading and checking the YAML of `simulator/labs/`. Pure: text in, data out."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from sparklab import switches
from sparklab.errors import LabError
from sparklab.switches import SwitchSpec

RENDERERS = ("NetworkManager", "networkd")
MANAGEMENT = ("enP7s7", "wlP9s9")
STATES = ("boxed", "enrolled")
DEFAULT_CABLE = {"vendor": "Amphenol", "part": "NJAAKK-N911", "length_m": 0.4}
DEFAULT_MODEL = "founders_7_6_0"
MAX_DESKS = 200

_DESK = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
_GROUP = re.compile(r"[a-z][a-z0-9_]{0,30}\Z")
_HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_MODEL = re.compile(r"[A-Za-z0-9_]{1,60}\Z")
_SERIAL = re.compile(r"[A-Za-z0-9-]{1,40}\Z")
GROUPS = ("all", "ungrouped", "spark_desks", "spark_pairs", "spark_stacks")
"""Groups of the inventory, in whose place a pair would take the desks' host key checks away."""

_END = re.compile(r"(?P<desk>[a-z][a-z0-9-]*)[/:](?P<port>\d+)\Z")


@dataclass(frozen=True)
class End:
    """One end of a cable: a desk's QSFP port (0 is the one next to the RJ45 socket), or a switch's port (from 1)."""

    desk: str
    port: int

    def __str__(self) -> str:
        return f"{self.desk}/{self.port}"


@dataclass(frozen=True)
class CableSpec:
    """A cable as described: what it is and where its two ends are (None: lying loose)."""

    id: str
    ends: tuple[End | None, End | None]
    vendor: str
    part: str
    serial: str
    length_m: float


@dataclass(frozen=True)
class DeskSpec:
    """A desk as described, before it was ever switched on."""

    name: str
    index: int
    model: str
    hostname: str
    renderer: str
    management: str
    hotplug: bool
    power: bool
    state: str
    serial: str
    faults: dict[str, dict[str, Any]]
    sheet: dict[str, Any]
    recording: str | None = None
    """Folder of a recording that the desk answers from; None for a desk that is made from its model alone."""


@dataclass(frozen=True)
class LabSpec:
    """A whole lab as described."""

    title: str
    desks: dict[str, DeskSpec]
    cables: dict[str, CableSpec]
    pairs: dict[str, tuple[str, ...]]
    hotplug_delay: tuple[float, float]
    archive_set: str
    switches: dict[str, SwitchSpec]
    stacks: dict[str, tuple[str, tuple[str, ...]]]
    """Rings and stacks on a switch as the inventory will say: name -> topology and desks."""
    source: dict[str, Any] = field(repr=False)


def digest(*parts: str) -> str:
    """A stable hexadecimal digest of some words: what differs between desks is made from their names."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def pair_name(number: int) -> str:
    """The name of the pair with this number, from 0: pair_a .. pair_z, pair_aa ..."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return f"pair_{letters}"


def parse_end(text: Any, where: str, desks: Any = None, of_switches: dict[str, SwitchSpec] | None = None) -> End:
    """Read `desk-01/0` or `switch-1/3`; `desks` and `of_switches` are the names that exist (None: do not check)."""
    match = _END.match(str(text))
    if not match:
        raise LabError(f"{where}: {text!r} is not a port: write desk/port, like desk-01/0.")
    end = End(match["desk"], int(match["port"]))
    switch = (of_switches or {}).get(end.desk)
    if switch is not None:
        if end.port not in switch.settings:
            raise LabError(f"{where}: {end.desk} has the ports 1 to {switch.ports}, not {end.port}.")
        return end
    if desks is None:
        return end
    if end.desk not in desks:
        raise LabError(f"{where}: there is no desk {end.desk!r} in this lab; desks: {', '.join(sorted(desks))}.")
    if end.port not in (0, 1):
        raise LabError(f"{where}: a desk has the ports 0 and 1, not {end.port}.")
    return end


def generated(pairs: int) -> dict[str, Any]:
    """The description of `pairs` plain pairs, joined on port 0, as the YAML file would give it."""
    if not 1 <= pairs <= MAX_DESKS // 2:
        raise LabError(f"--pairs {pairs}: a lab has 1 to {MAX_DESKS // 2} pairs.")
    width = max(2, len(str(pairs * 2)))
    names = [f"desk-{number:0{width}d}" for number in range(1, pairs * 2 + 1)]
    return {
        "title": f"{pairs} plain pairs",
        "desks": {name: {} for name in names},
        "pairs": {pair_name(number): names[2 * number : 2 * number + 2] for number in range(pairs)},
        "cables": {f"cable-{number + 1}": {"ends": [f"{names[2 * number]}/0", f"{names[2 * number + 1]}/0"]} for number in range(pairs)},
    }


def parse(data: Any, where: str = "lab file") -> LabSpec:
    """Check a description and fill in what it leaves out.

    :raises LabError: naming the file, the entry, what is wrong and what is expected.
    """
    top = _mapping(data, where)
    _known(top, where, ("title", "desks", "switches", "cables", "pairs", "stacks", "hotplug_delay", "archive_set"))
    raw_desks = _mapping(top.get("desks"), f"{where}: desks")
    if not raw_desks:
        raise LabError(f"{where}: desks is empty; a lab needs at least one desk.")
    if len(raw_desks) > MAX_DESKS:
        raise LabError(f"{where}: {len(raw_desks)} desks are too many; the limit is {MAX_DESKS}.")
    desks = {}
    taken = {str(entry["hostname"]) for entry in raw_desks.values() if isinstance(entry, dict) and "hostname" in entry}
    for index, (name, entry) in enumerate(raw_desks.items()):
        desk = _desk(str(name), index, entry, f"{where}: desks.{name}", taken)
        taken.add(desk.hostname)
        desks[str(name)] = desk
    _unique(where, "hostname", {desk.name: desk.hostname for desk in desks.values()})
    _unique(where, "serial", {desk.name: desk.serial for desk in desks.values()})
    of_switches = switches.parse(_mapping(top.get("switches"), f"{where}: switches"), where)
    twice = next((name for name in of_switches if name in desks or not _DESK.match(name)), None)
    if twice is not None:
        raise LabError(f"{where}: switches.{twice}: {twice!r} must be a name of its own: a-z first, then a-z, 0-9 and '-'.")
    cables = _cables(top.get("cables"), where, desks, of_switches)
    return LabSpec(
        title=str(top.get("title", "")),
        desks=desks,
        cables=cables,
        pairs=_pairs(top.get("pairs"), where, desks),
        switches=of_switches,
        stacks=_stacks(top.get("stacks"), where, desks),
        hotplug_delay=_delay(top.get("hotplug_delay", [5, 22]), f"{where}: hotplug_delay"),
        archive_set=str(top.get("archive_set", "base")),
        source=top,
    )


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise LabError(f"{where} must be a mapping (name: value), not {type(value).__name__}.")
    return value


def _known(entry: dict[str, Any], where: str, names: tuple[str, ...]) -> None:
    for key in entry:
        if key not in names:
            raise LabError(f"{where}: unknown key {key!r}; known keys: {', '.join(names)}.")


def _choice(entry: dict[str, Any], key: str, default: str, choices: tuple[str, ...], where: str) -> str:
    value = entry.get(key, default)
    if value not in choices:
        raise LabError(f"{where}: {key} is {value!r}; it must be one of: {', '.join(choices)}.")
    return str(value)


def _flag(entry: dict[str, Any], key: str, default: bool, where: str) -> bool:
    value = entry.get(key, default)
    if not isinstance(value, bool):
        raise LabError(f"{where}: {key} must be true or false, not {value!r}.")
    return value


def _unique(where: str, what: str, values: dict[str, str]) -> None:
    seen: dict[str, str] = {}
    for name, value in values.items():
        if value in seen:
            raise LabError(f"{where}: desks {seen[value]} and {name} have the same {what} {value!r}.")
        seen[value] = name


def _desk(name: str, index: int, raw: Any, where: str, taken: set[str]) -> DeskSpec:
    if not _DESK.match(name):
        raise LabError(f"{where}: {name!r} is not usable as a desk name: a-z first, then a-z, 0-9 and '-'.")
    entry = _mapping(raw, where)
    _known(
        entry,
        where,
        ("model", "hostname", "renderer", "management", "hotplug", "power", "state", "serial", "faults", "sheet", "recording"),
    )
    model = str(entry.get("model", DEFAULT_MODEL))
    if not _MODEL.match(model):
        raise LabError(f"{where}: model {model!r} is not the name of a file in simulator/models/.")
    mark = digest("desk", name)
    # Four hexadecimal digits, as from the factory; the first of the name's digest that no other desk has.
    free = (f"spark-{mark[place : place + 4]}" for place in range(len(mark) - 3))
    hostname = str(entry.get("hostname") or next(one for one in free if one not in taken))
    if not _HOSTNAME.match(hostname):
        raise LabError(f"{where}: hostname {hostname!r} is not a valid host name.")
    serial = str(entry.get("serial", f"SIM{int(mark[4:14], 16) % 10**10:010d}"))
    if not _SERIAL.match(serial):
        raise LabError(f"{where}: serial {serial!r} must be 1 to 40 letters, digits or '-'.")
    power = entry.get("power", True)
    if isinstance(power, str) and power in ("on", "off"):
        power = power == "on"
    if not isinstance(power, bool):
        raise LabError(f"{where}: power must be on or off, not {entry['power']!r}.")
    faults = {
        str(fault): _mapping(params, f"{where}.faults.{fault}")
        for fault, params in _mapping(entry.get("faults"), f"{where}.faults").items()
    }
    return DeskSpec(
        name=name,
        index=index,
        model=model,
        hostname=hostname,
        renderer=_choice(entry, "renderer", "NetworkManager", RENDERERS, where),
        management=_choice(entry, "management", "enP7s7", MANAGEMENT, where),
        hotplug=_flag(entry, "hotplug", True, where),
        power=power,
        state=_choice(entry, "state", "", ("", *STATES), where),
        serial=serial,
        faults=faults,
        sheet=_mapping(entry.get("sheet"), f"{where}.sheet"),
        recording=_recording(entry.get("recording"), where),
    )


def _recording(value: Any, where: str) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise LabError(f"{where}: recording must be the folder of a recording, not {value!r}.")
    return value


def _cables(raw: Any, where: str, desks: dict[str, DeskSpec], of_switches: dict[str, SwitchSpec]) -> dict[str, CableSpec]:
    cables: dict[str, CableSpec] = {}
    used: dict[End, str] = {}
    for name, value in _mapping(raw, f"{where}: cables").items():
        spot = f"{where}: cables.{name}"
        if not _DESK.match(str(name)):
            raise LabError(f"{spot}: {name!r} is not usable as a cable name: a-z first, then a-z, 0-9 and '-'.")
        entry = _mapping(value, spot)
        _known(entry, spot, ("ends", "vendor", "part", "serial", "length_m"))
        ends = entry.get("ends")
        if not isinstance(ends, list) or len(ends) != 2:
            raise LabError(f"{spot}: ends must be a list of two ports, like [desk-01/0, desk-02/0] (null: loose end).")
        parsed = [None if end is None else parse_end(end, spot, desks, of_switches) for end in ends]
        for end in parsed:
            if end is None:
                continue
            if end in used:
                raise LabError(f"{spot}: port {end} already holds {used[end]}; one port takes one cable.")
            used[end] = str(name)
        cables[str(name)] = CableSpec(
            id=str(name),
            ends=(parsed[0], parsed[1]),
            vendor=str(entry.get("vendor", DEFAULT_CABLE["vendor"])),
            part=str(entry.get("part", DEFAULT_CABLE["part"])),
            serial=str(entry.get("serial", f"SIMC{int(digest('cable', str(name))[:8], 16):010d}")),
            length_m=_length(entry.get("length_m", DEFAULT_CABLE["length_m"]), spot),
        )
    return cables


def _length(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1000:
        raise LabError(f"{where}: length_m must be metres, more than 0 and less than 1000, not {str(value)[:40]!r}.")
    return float(value)


def _pairs(raw: Any, where: str, desks: dict[str, DeskSpec]) -> dict[str, tuple[str, ...]]:
    """Pairs are what the inventory will say. A lab may describe a wrong inventory on purpose, so sizes are free."""
    pairs: dict[str, tuple[str, ...]] = {}
    for name, members in _mapping(raw, f"{where}: pairs").items():
        if not _GROUP.match(str(name)):
            raise LabError(f"{where}: pairs.{name}: a pair's name is a group name: a-z first, then a-z, 0-9 and '_'.")
        if name in GROUPS:
            raise LabError(f"{where}: pairs.{name}: {name} is a group of the inventory; choose another name.")
        if not isinstance(members, list):
            raise LabError(f"{where}: pairs.{name} must be a list of desks.")
        for member in members:
            if not isinstance(member, str) or member not in desks:
                raise LabError(f"{where}: pairs.{name} names {member!r}, which is not among the desks.")
        pairs[str(name)] = tuple(str(member) for member in members)
    return pairs


def _stacks(raw: Any, where: str, desks: dict[str, DeskSpec]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Rings and stacks on a switch. As with pairs, a lab may describe a wrong inventory on purpose."""
    stacks: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name, entry in _mapping(raw, f"{where}: stacks").items():
        spot = f"{where}: stacks.{name}"
        entry = _mapping(entry, spot)
        _known(entry, spot, ("topology", "desks"))
        members = _pairs({name: entry.get("desks")}, where, desks)[str(name)]
        topology = str(entry.get("topology", ""))
        if topology and not _GROUP.match(topology):
            # It becomes a variable of the inventory, where Ansible would carry out a template.
            raise LabError(f"{spot}: topology {topology!r} is not a word: a-z first, then a-z, 0-9 and '_'.")
        stacks[str(name)] = (topology, members)
    return stacks


def _delay(raw: Any, where: str) -> tuple[float, float]:
    values = raw if isinstance(raw, list) else [raw, raw]
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(values) != 2 or len(numbers) != 2 or not 0 <= numbers[0] <= numbers[1]:
        raise LabError(f"{where} must be seconds, one number or [least, most], not {raw!r}.")
    return float(numbers[0]), float(numbers[1])
