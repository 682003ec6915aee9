# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab sheet: which desk stands where, as an admin keeps it in a spreadsheet (CSV) or in YAML. Pure: text in, entries or problems out.

Every problem names its line, its column, what was found and what was expected, and all problems are told at once.
"""

from __future__ import annotations

import csv
import difflib
import io
import ipaddress
import re
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from .admission.text import line as one_line
from .known_hosts import looked_for
from .run.model import DIRECT, RING, SIZES, SWITCH, TOPOLOGIES
from .sheet_titles import ALIASES, COLUMNS, NEAR, OWN, header, meant, pairs_by_cells, title
from .sheet_variables import NoVariable, variable_of

POSITIONS = {"head": 1, "1": 1, "peer": 2, "2": 2}
TRUTH = {"yes": True, "true": True, "1": True, "x": True, "on": True, "no": False, "false": False, "0": False, "off": False, "": False}
RESERVED = ("all", "ungrouped", "spark_desks", "spark_pairs", "spark_stacks")
PAIR_SIZE = 2

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?")
_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}([.:-][0-9A-Fa-f]{4}){2}|[0-9A-Fa-f]{12}")
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
"""The scope of a link-local address, which to Python may be any text."""
_GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ADDRESS_FORM = "an IP address such as 192.0.2.11, or a host name (a port and a user have columns of their own)"
_GROUP_FORM = "letters from a to z, digits and underscores, no digit first, such as {} (it becomes a group), or nothing"
_SERIAL = re.compile(r"(?=[^0-9]*[0-9])[A-Za-z0-9][A-Za-z0-9._/-]{2,63}")
"""It has a digit, which the words for a missing one (n/a, TBD, unknown) have not: compared, they would make every desk a wrong one."""
VACANT = ("none", "null", "tbd", "tba", "na", "unknown")
"""What people write where a desk is in no pair; two desks of that "pair" would become one."""
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.@\\-]{0,127}")
"""A login user: of the desk, or of a directory service (Mara.Lind, CORP\\lab, lab@corp.example)."""
_HOST_KEY = re.compile(r"(?:256 )?(?:SHA256:)?([A-Za-z0-9+/]{43})=?(?: [^\n]{0,200}\(ED25519\))?")
"""A fingerprint, or the whole line that ssh-keygen prints of it."""
_NUMBER = re.compile(r"[0-9][.,]?[0-9]*[eE]\+[0-9]+|[0-9]{5,}[.,]0+")


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a sheet."""

    line: int
    column: str
    found: str
    expected: str

    def sentence(self, source: str) -> str:
        """In words."""
        place = f"{source} line {self.line}" if self.line else source
        column = f", column {self.column}" if self.column else ""
        # A sheet is often filled in by others, and its titles may hold what steers a terminal.
        return one_line(f"{place}{column}: found {self.found}, expected {self.expected}")


class SheetError(Exception):
    """A sheet that cannot be used; ``problems`` holds them all, in the order of their lines."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source, self.problems = source, tuple(sorted(problems))
        super().__init__("\n".join(f"  - {problem.sentence(source)}" for problem in self.problems))


@dataclass(frozen=True)
class Entry:
    """One desk of a sheet."""

    line: int
    name: str
    address: str | None = None
    """Address or name to reach it by, null when only a MAC is known."""
    mac: str | None = None
    port: int | None = None
    user: str | None = None
    pair: str | None = None
    position: int | None = None
    """1 for the head, 2 for the peer, null when the sheet does not say."""
    stack: str | None = None
    """Name of its ring or of its stack on a switch; a desk has this or a pair."""
    topology: str | None = None
    serial: str | None = None
    asset_tag: str | None = None
    host_key: str | None = None
    out_of_service: bool = False
    own: Mapping[str, str] = field(default_factory=dict)
    """Variables that the admin's own columns became, as text; empty text for an empty cell."""

    @property
    def group(self) -> str | None:
        """The pair or the stack that it is in."""
        return self.pair or self.stack


@dataclass(frozen=True)
class Sheet:
    """A lab sheet without problems."""

    source: str
    desks: tuple[Entry, ...]
    warnings: tuple[str, ...] = ()
    pairs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Pair to its desks, the head first where the sheet says which it is."""
    stacks: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """Stack to its topology and its desks, the head first where the sheet says which it is."""


@dataclass
class Row:
    """The cells of one desk."""

    line: int
    cells: dict[str, str]
    """Column of `COLUMNS` to its cell."""
    others: dict[Any, str] = field(default_factory=dict)
    """Any other column, by its place or key, to its cell."""
    own: dict[str, str] = field(default_factory=dict)
    """Variable to its value: those of the others that are the admin's own."""
    whole: bool = True
    """False for one that is refused as it stands; what its cells mean is then not certain."""


def read(text: str, source: str, kind: str) -> Sheet:
    """The sheet in ``text``. ``kind``: ``csv`` or ``yaml``; ``source`` is only named in messages. Raises SheetError."""
    text = text.removeprefix("\ufeff")
    problems: list[Problem] = []
    rows, warnings = (_csv_rows if kind == "csv" else _yaml_rows)(text, problems)
    entries = [entry for row in rows if row.whole and (entry := _entry(row, problems)) is not None]
    if not entries and not problems:
        problems.append(Problem(0, "", "no desk", "one line for each desk below a line of column titles (at least name and address)"))
    doubtful = _doubtful(rows, entries)
    pairs = _pairs(entries, doubtful, problems)
    stacks = _stacks(entries, doubtful, problems)
    _unique(entries, problems)
    if problems:
        raise SheetError(source, problems)
    return Sheet(source, tuple(entries), tuple(f"{source}: {warning}" for warning in warnings), pairs, stacks)


# ---- from text to rows -------------------------------------------------------------------------------------------------


TITLE_LINES = 10
"""Lines among which the titles are looked for: spreadsheets often have a heading above them."""


def _csv_rows(text: str, problems: list[Problem]) -> tuple[list[Row], list[str]]:
    """Rows with their line numbers. The separator is the one of comma, semicolon and tab that the title line has most of."""
    lines = text.splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip(" \t,;\"'") and not line.lstrip().startswith("#")), None)
    if first is None:
        return [], []
    warnings: list[str] = []
    # Excel writes "sep=;" as the first line of some exports.
    match = re.fullmatch(r"\"?sep=(.)\"?", lines[first].strip())
    told = match.group(1) if match else None
    first += match is not None
    found = header(_first_rows(lines, first, told))
    if found is not None and found > first:
        above = [line.strip(" \t,;") for line in lines[first:found]]
        warnings += [
            f"line {number + 1} ({line[:60]!r}) is above the titles and is not used" for number, line in enumerate(above, first) if line
        ]
        first = found
    separator = told or (max(",;\t", key=_row_at(lines, first).count) if first < len(lines) else ",")
    body = "\n".join(lines[first:])
    reader = csv.reader(io.StringIO(body), delimiter=separator, strict=False)
    titles: list[str] | None = None
    others: dict[int, tuple[str, int]] = {}
    rows: list[Row] = []
    begun = first
    try:
        for cells in reader:
            line, begun = begun + 1, first + reader.line_num
            if not any(cell.strip() for cell in cells) or (cells[0].lstrip().startswith("#")):
                continue
            if titles is None:
                titles = _titles(cells, line, problems)
                if titles is None:
                    return [], warnings
                others = {place: (cells[place].strip(), line) for place, name in enumerate(titles) if name not in COLUMNS}
                continue
            swallowed = [part for cell in cells for part in cell.split("\n")[1:] if part.count(separator) >= max(1, len(titles) - 1)]
            if swallowed:
                told = f"a cell that begins with a quote and goes on over {len(swallowed)} whole line{'s' if len(swallowed) > 1 else ''}"
                problems.append(Problem(line, "", told, "the quote's end in the same cell (a quote of its own is written twice)"))
                parts = re.split(f"[\n{re.escape(separator)}]", separator.join(cells))
                rows.append(Row(line, {}, dict(enumerate(part.strip() for part in parts)), whole=False))
                continue
            if len(cells) > len(titles) and any(cell.strip() for cell in cells[len(titles) :]):
                expected = f"{len(titles)} cells as the title line has; a cell that holds the separator {separator!r} needs quotes"
                problems.append(Problem(line, "", f"{len(cells)} cells", expected))
                rows.append(Row(line, {}, dict(enumerate(cell.strip() for cell in cells)), whole=False))
                continue
            known = {title: cell.strip() for title, cell in zip(titles, cells, strict=False) if title in COLUMNS}
            own = {place: cells[place].strip() if place < len(cells) else "" for place in others}
            rows.append(Row(line, known, own))
    except csv.Error as error:
        problems.append(Problem(begun + 1, "", f"a line that cannot be read ({error})", "cells with matching quotes"))
    _others(rows, others, titles or [], problems, warnings)
    return rows, warnings


def _row_at(lines: Sequence[str], number: int) -> str:
    """The row that begins in a line: on to the line where each quote has its other one, for a quoted title may have a line end in it
    (Alt+Enter). The line alone where none has."""
    for end in range(number + 1, min(number + TITLE_LINES, len(lines)) + 1):
        text = "\n".join(lines[number:end])
        if text.count('"') % 2 == 0:
            return text
    return lines[number]


def _first_rows(lines: Sequence[str], first: int, separator: str | None) -> dict[int, list[str]]:
    """The rows among which the titles are looked for, by the line in which each begins; a row that cannot be read alone has no cells."""
    rows: dict[int, list[str]] = {}
    number = first
    while number < min(first + TITLE_LINES, len(lines)):
        row = _row_at(lines, number)
        reader = csv.reader(io.StringIO(row), delimiter=separator or max(",;\t", key=row.count))
        try:
            rows[number] = next(reader, [])
        except csv.Error:
            rows[number] = []
        number += max(reader.line_num, 1)
    return rows


TITLES_LIMIT = 1000
"""Titles of one sheet; each is compared with all that are known, and somebody may have sent it."""


def _titles(cells: Sequence[str], line: int, problems: list[Problem]) -> list[str] | None:
    count = sum(bool(cell.strip()) for cell in cells)
    if count > TITLES_LIMIT:
        problems.append(Problem(line, "", f"{count} column titles", f"{TITLES_LIMIT} at most"))
        return None
    titles = [title(cell) for cell in cells]
    if "name" not in titles:
        listed = ", ".join(cell.strip() for cell in cells if cell.strip())
        expected = f"a title line with name and some of {', '.join(COLUMNS)}"
        maybe = {column: cell.strip() for cell in reversed(cells) if (column := meant(cell, (), titles))}
        asked = ", ".join(f"{cell!r} the {column}" for column, cell in reversed(maybe.items()))
        expected += f"; is {asked}?" if "name" in maybe else ""
        expected += "; a full-width comma or semicolon separates no cells" if re.search("[\uff0c\uff1b]", listed) else ""
        problems.append(Problem(line, "", f"the titles {listed[:120]}", expected))
        return None
    for twice in sorted({name for name in titles if name in COLUMNS and titles.count(name) > 1}):
        problems.append(Problem(line, twice, "the column twice", "each column once"))
    return [_known(name, cell.strip(), line, problems) for name, cell in zip(titles, cells, strict=True)]


def _others(
    rows: Sequence[Row], titles: Mapping[Any, tuple[str, int]], known: Sequence[str], problems: list[Problem], warnings: list[str]
) -> None:
    """Make variables of the columns that are not read (place to title and line). One that may be a known column is asked about."""
    named: dict[str, str] = {}
    rows = [row for row in rows if row.whole]
    for place, (told, line) in titles.items():
        holding = [row for row in rows if place in row.others]
        cells = [row.others[place] for row in holding]
        if not told and not any(cells):
            continue
        column = meant(told, cells, known, [row.cells.get("name", "") for row in holding])
        if column is not None:
            expected = f"{column} ({COLUMNS[column]}) as its title, or {OWN} in front of it if it is the lab's own column"
            problems.append(Problem(line, told or "without a title", "a column that is not read", expected))
            continue
        try:
            name = variable_of(told)
        except NoVariable as error:
            warnings.append(f"column {told!r} is not used here: {error}")
            continue
        if name in named:
            warnings.append(f"column {told!r} is not used here: {named[name]!r} is the variable {name} already")
            continue
        named[name] = told
        if pairs_by_cells(told, cells, known):
            warnings.append(
                f"column {told!r} has each of its values at two desks. If it names the pairs, its title must be pair; {OWN} in front of it "
                "says that it is the lab's own"
            )
        for row in rows:
            row.own[name] = row.others.get(place, "")


def _known(name: str, told: str, line: int, problems: list[Problem]) -> str:
    """The column that is meant. A title close to a known one is a slip; any other is left as it is."""
    if not name or name in COLUMNS or name.startswith(OWN):
        return name
    close = difflib.get_close_matches(name, NEAR, n=1, cutoff=0.8)
    column = ALIASES.get(close[0], close[0]) if close else None
    if column is not None and meant(told, (), ()) in (None, column):
        problems.append(Problem(line, told, "an unknown column title", f"{column} ({COLUMNS[column]})"))
        return column  # so that the slip is not told again on every line
    return name


def _yaml_rows(text: str, problems: list[Problem]) -> tuple[list[Row], list[str]]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError:
        problems.append(Problem(0, "", "lists or mappings that are nested too deeply", "a list of desks"))
        return [], []
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problems.append(
            Problem(mark.line + 1 if mark else 0, "", f"not YAML ({getattr(error, 'problem', None) or error})", "a list of desks")
        )
        return [], []
    if root is None:
        return [], []
    if isinstance(root, yaml.MappingNode):
        listed = {str(key.value): value for key, value in root.value}
        root = listed.get("desks", root)
    warnings: list[str] = []
    rows: list[Row] = []
    others: dict[str, tuple[str, int]] = {}
    used: set[str] = set()
    for node, name in _yaml_desks(root, problems):
        line = node.start_mark.line + 1
        cells = {"name": name} if name is not None else {}
        own: dict[Any, str] = {}
        whole = True
        for key, value in node.value:
            at = key.start_mark.line + 1
            if not isinstance(value, yaml.ScalarNode):
                problems.append(Problem(at, str(key.value), "a list or mapping", "one value"))
                whole = False
                continue
            column = _known(title(str(key.value)), str(key.value), at, problems)
            # The text as it stands: YAML must not make 0x12 or 1e9 of a serial number.
            cell = "" if value.tag.endswith(":null") else str(value.value).strip()
            where, place = (cells, column) if column in COLUMNS else (own, str(key.value))
            if place in where:
                problems.append(Problem(at, place, "the key twice", "each key once"))
            where[place] = cell
            if where is own:
                others.setdefault(place, (place, at))
        used |= set(cells)
        rows.append(Row(line, cells, own, whole=whole))
    _others(rows, others, sorted(used), problems, warnings)
    return rows, warnings


def _yaml_desks(root: yaml.Node, problems: list[Problem]) -> Iterator[tuple[yaml.MappingNode, str | None]]:
    """The mapping of each desk; with its name where desks are keys."""
    if isinstance(root, yaml.SequenceNode):
        for node in root.value:
            if isinstance(node, yaml.MappingNode):
                yield node, None
            else:
                problems.append(Problem(node.start_mark.line + 1, "", "not a mapping", "name, address and so on of one desk"))
    elif isinstance(root, yaml.MappingNode):
        for key, node in root.value:
            if isinstance(node, yaml.MappingNode):
                yield node, str(key.value)
            else:
                problems.append(Problem(key.start_mark.line + 1, str(key.value), "not a mapping", "address and so on of one desk"))
    else:
        problems.append(Problem(root.start_mark.line + 1, "", "a single value", "desks: with a list of desks"))


# ---- from rows to entries ----------------------------------------------------------------------------------------------


def _entry(desk: Row, problems: list[Problem]) -> Entry | None:
    line, row = desk.line, desk.cells

    def wrong(column: str, expected: str) -> None:
        problems.append(Problem(line, column, repr(row.get(column, ""))[:90] if row.get(column) else "nothing", expected))

    for column, cell in row.items():
        if _NUMBER.fullmatch(cell):
            wrong(column, "the exact digits (the spreadsheet made a number of them: format the column as text and type it again)")
            return None
    name = row.get("name", "")
    if not _NAME.fullmatch(name):
        wrong("name", "a name of at most 63 letters (a to z), digits, hyphens, dots or underscores, such as desk-01")
        return None
    if name in RESERVED:
        wrong("name", f"another name: {', '.join(RESERVED)} are groups")
    address = _address(row, wrong)
    mac = row.get("mac") or None
    if mac is not None and not _MAC.fullmatch(mac):
        wrong("mac", "six bytes in hex, such as 4c:bb:47:01:02:03")
        mac = None
    if not any(row.get(column) for column in ("address", "mdns", "mac")):
        wrong("address", "an address, or an entry in the column mdns or mac")
    port = row.get("port") or None
    if port is not None and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        wrong("port", "a number from 1 to 65535, or nothing")
        port = None
    user = row.get("user") or None
    if user is not None and not USER.fullmatch(user):
        wrong("user", "a Linux user name")
    pair = row.get("pair") or None
    if pair is not None and (not _GROUP.fullmatch(pair) or pair in RESERVED or pair.casefold() in VACANT):
        wrong("pair", _GROUP_FORM.format("pair_a"))
        pair = None
    stack = row.get("stack") or None
    if stack is not None and (not _GROUP.fullmatch(stack) or stack in RESERVED or stack.casefold() in VACANT):
        wrong("stack", _GROUP_FORM.format("ring_a"))
        stack = None
    elif stack is not None and row.get("pair"):
        wrong("stack", f"nothing: {name} is in the pair {row['pair']}, and a desk is in one of both")
        stack = None
    topology = row.get("topology", "").casefold() or None
    if topology is not None and topology not in TOPOLOGIES:
        wrong("topology", f"{', '.join(TOPOLOGIES)}, or nothing")
        topology = None
    elif topology is not None and not stack and not row.get("stack") and (topology != DIRECT or not row.get("pair")):
        problems.append(Problem(line, "stack", "nothing", f"the stack of {name}, which is joined as a {topology}"))
    position = row.get("position", "").casefold()
    if position and position not in POSITIONS:
        wrong("position", "head, peer, 1 or 2, or nothing")
        position = ""
    elif position and not row.get("pair") and not row.get("stack"):
        problems.append(Problem(line, "pair", "nothing", f"the pair in which {name} is {position}"))
    serial = row.get("serial") or None
    if serial is not None and not _SERIAL.fullmatch(serial):
        wrong("serial", "the serial number on the chassis (letters and digits), or nothing where it is not known")
    host_key = row.get("host_key") or None
    if host_key is not None:
        match = _HOST_KEY.fullmatch(host_key)
        if match is None:
            wrong("host_key", "SHA256: and 43 characters, as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints it")
        else:
            host_key = f"SHA256:{match.group(1)}"
    out = TRUTH.get(row.get("out_of_service", "").casefold())
    if out is None:
        wrong("out_of_service", "yes or no, or nothing")
    return Entry(
        line=line,
        name=name,
        address=address,
        mac=_plain_mac(mac),
        port=int(port) if port else None,
        user=user,
        pair=pair,
        position=POSITIONS.get(position),
        serial=serial,
        asset_tag=row.get("asset_tag") or None,
        host_key=host_key,
        out_of_service=bool(out),
        stack=stack,
        topology=topology,
        own=dict(desk.own),
    )


def _address(row: Mapping[str, str], wrong: Any) -> str | None:
    """The address column, else the mDNS name."""
    for column in ("address", "mdns"):
        text = row.get(column)
        if not text:
            continue
        if re.fullmatch(r"[0-9.]+(?:/[0-9]+)?", text) or ":" in text:
            # An address book such as NetBox tells an address with its network's prefix.
            host, _slash, prefix = text.partition("/")
            try:
                address = ipaddress.ip_address(host)
                network = ipaddress.ip_network(f"{host.partition('%')[0]}/{prefix or address.max_prefixlen}", strict=False)
            except ValueError:
                wrong(column, _ADDRESS_FORM)
                return None
            if not _INTERFACE.fullmatch(getattr(address, "scope_id", None) or "any"):
                wrong(column, "an IP address such as 192.0.2.11, behind its % the name of an interface of this machine")
                return None
            if network.prefixlen < address.max_prefixlen - 1 and network.network_address == address:
                wrong(column, "the address of one machine; this is a whole network")
                return None
            return str(address)
        if not _HOST.fullmatch(text):
            wrong(column, _ADDRESS_FORM)
            return None
        if column == "mdns" and "." not in text:
            return f"{text}.local"
        return text
    return None


def _plain_mac(mac: str | None) -> str | None:
    if mac is None:
        return None
    digits = re.sub(r"[^0-9a-f]", "", mac.lower())
    return ":".join(digits[index : index + 2] for index in range(0, 12, 2))


def _doubtful(rows: Iterable[Row], entries: Iterable[Entry]) -> frozenset[str]:
    """Every cell of the rows that no desk was made of: of a pair or stack among them it is not known how many desks it has."""
    read = {entry.line for entry in entries}
    return frozenset(cell for row in rows if row.line not in read for cell in (*row.cells.values(), *row.others.values()))


def _pairs(entries: Sequence[Entry], doubtful: frozenset[str], problems: list[Problem]) -> dict[str, tuple[str, ...]]:
    members: dict[str, list[Entry]] = {}
    names = {entry.name for entry in entries}
    for entry in entries:
        if entry.pair:
            members.setdefault(entry.pair, []).append(entry)
    for pair, found in members.items():
        line = found[-1].line
        listed = ", ".join(f"{entry.name} (line {entry.line})" for entry in found)
        if pair in names:
            problems.append(Problem(line, "pair", repr(pair), "a name that is not a desk's name"))
        if len(found) < PAIR_SIZE and pair in doubtful:
            continue
        if len(found) != PAIR_SIZE:
            plural = "desk" if len(found) == 1 else "desks"
            problems.append(Problem(line, "pair", f"{len(found)} {plural} in {pair}: {listed}", "two desks in a pair"))
            continue
        positions = [entry.position for entry in found if entry.position]
        if len(positions) == PAIR_SIZE and positions[0] == positions[1]:
            place = "heads" if positions[0] == 1 else "peers"
            problems.append(Problem(line, "position", f"two {place} in {pair}: {listed}", "one head and one peer"))
    return {pair: tuple(entry.name for entry in sorted(found, key=_rank)) for pair, found in members.items()}


_COUNTS = {DIRECT: "two desks", RING: "three desks in a ring", SWITCH: "two desks and more on a switch"}


def _stacks(entries: Sequence[Entry], doubtful: frozenset[str], problems: list[Problem]) -> dict[str, tuple[str, tuple[str, ...]]]:
    members: dict[str, list[Entry]] = {}
    names = {entry.name for entry in entries} | {entry.pair for entry in entries if entry.pair}
    for entry in entries:
        if entry.stack:
            members.setdefault(entry.stack, []).append(entry)
    stacks = {}
    for stack, found in members.items():
        line = found[-1].line
        listed = ", ".join(f"{entry.name} (line {entry.line})" for entry in found)
        if stack in names:
            problems.append(Problem(line, "stack", repr(stack), "a name that neither a desk nor a pair has"))
        told = {entry.topology: entry for entry in found if entry.topology}
        if len(told) > 1:
            said = ", ".join(f"{word} (line {entry.line})" for word, entry in told.items())
            problems.append(Problem(line, "topology", f"{said} for {stack}", "one word for all desks of a stack"))
            continue
        word = next(iter(told), None) or DIRECT
        least, most = SIZES[word]
        if stack in doubtful:
            continue
        if not least <= len(found) <= (most or len(found)):
            what = f"{len(found)} desk{'' if len(found) == 1 else 's'} in {stack}: {listed}"
            if not told and len(found) > least:
                problems.append(Problem(line, "topology", f"nothing for {what}", "ring (three desks) or switch on one line of the stack"))
            else:
                problems.append(Problem(line, "stack", what, _COUNTS[word]))
            continue
        heads = [entry for entry in found if entry.position == POSITIONS["head"]]
        if len(heads) > 1:
            problems.append(Problem(line, "position", f"two heads in {stack}: {listed}", "head on one line of a stack"))
        peers = [entry for entry in found if entry.position == POSITIONS["peer"]]
        if peers and len(found) != PAIR_SIZE:
            problems.append(Problem(peers[0].line, "position", "peer in a stack of more than two", "head for one of them, nothing else"))
        elif len(peers) > 1:
            problems.append(Problem(line, "position", f"two peers in {stack}: {listed}", "one head and one peer"))
        stacks[stack] = (word, tuple(entry.name for entry in sorted(found, key=_rank)))
    return stacks


def _rank(entry: Entry) -> int:
    """The head, then a desk without a word, then the peer."""
    return {POSITIONS["head"]: 0, POSITIONS["peer"]: 2}.get(entry.position or 0, 1)


UNIQUE = ("name", "address", "mac", "serial", "asset_tag", "host_key")
"""Columns in which no two desks have the same."""


def _own(entry: Entry, column: str) -> Any:
    """What no other desk may have in a column, in one spelling; null for an empty cell."""
    value = getattr(entry, column)
    if value is None:
        return None
    return (looked_for(str(value)), entry.port) if column == "address" else str(value).casefold()


def _unique(entries: Sequence[Entry], problems: list[Problem]) -> None:
    for column in UNIQUE:
        seen: dict[Any, Entry] = {}
        for entry in entries:
            key = _own(entry, column)
            if key is None:
                continue
            if key in seen:
                first, value = seen[key], getattr(entry, column)
                problems.append(
                    Problem(entry.line, column, f"{value!r} again (line {first.line} gives it to {first.name})", "a value of its own")
                )
            seen.setdefault(key, entry)


READ: weakref.WeakKeyDictionary[Any, list[tuple[Sheet, str]]] = weakref.WeakKeyDictionary()
"""The sheets of each inventory so far, with their file of host keys: Ansible makes a plugin of its own for every file."""


def clashes(sheet: Sheet, other: Sheet) -> list[Problem]:
    """What a sheet has in common with another sheet of the same inventory, where both become one."""
    expected = f"a value of its own: {other.source} belongs to the same inventory"
    found: list[Problem] = []
    twice: set[str] = set()
    for entry in sheet.desks:
        for column in UNIQUE:
            key = _own(entry, column)
            first = next((item for item in other.desks if key is not None and _own(item, column) == key), None)
            if first is not None:
                twice.add(entry.name)
                told = f"{getattr(entry, column)!r} again ({other.source} line {first.line} gives it to {first.name})"
                found.append(Problem(entry.line, column, told, expected))
                break
    groups = {entry.group: entry.line for entry in other.desks if entry.group}
    for entry in {entry.group: entry for entry in reversed(sheet.desks) if entry.group in groups}.values():
        if entry.name not in twice:
            told = f"{entry.group!r} again ({other.source} line {groups.get(entry.group or '')} has it)"
            found.append(Problem(entry.line, "pair" if entry.pair else "stack", told, expected))
    return found


# ---- from entries to an inventory --------------------------------------------------------------------------------------


def host_variables(entry: Entry, sheet: Sheet) -> dict[str, Any]:
    """What the inventory says of one desk. Columns of the admin's own come first, so that they replace nothing."""
    told = {
        "ansible_host": entry.address,
        "ansible_port": entry.port,
        "ansible_user": entry.user,
        "spark_management_mac": entry.mac,
        "spark_expected_serial": entry.serial,
        "spark_expected_host_key": entry.host_key,
        "spark_asset_tag": entry.asset_tag,
        "spark_out_of_service": entry.out_of_service,
    }
    values: dict[str, Any] = {**entry.own, **{name: value for name, value in told.items() if value}}
    positions = {item.name: item.position for item in sheet.desks if entry.group and item.group == entry.group}
    if entry.group:
        values["spark_stack_members"] = list(sheet.pairs[entry.pair] if entry.pair else sheet.stacks[entry.group][1])
    # Naming the peer names the head too.
    if entry.position == POSITIONS["head"] or (
        len(positions) == PAIR_SIZE and entry.position is None and POSITIONS["peer"] in positions.values()
    ):
        values["spark_pair_head"] = True
    return values


def addresses_of_macs(neighbours: str) -> dict[str, str]:
    """MAC to IPv4 address, from the text of /proc/net/arp; incomplete entries are left out."""
    found: dict[str, str] = {}
    for line in neighbours.splitlines()[1:]:
        cells = line.split()
        if len(cells) >= 4 and cells[2] != "0x0" and _MAC.fullmatch(cells[3]):
            found[cells[3].lower()] = cells[0]
    return found


def remembered(macs: Iterable[str], found: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """The addresses of ``macs``: those found now, else those found before that are nobody else's now."""
    taken = set(found.values())
    kept = {mac: address for mac, address in before.items() if address not in taken}
    return {mac: address for mac in macs if (address := found.get(mac) or kept.get(mac))}
