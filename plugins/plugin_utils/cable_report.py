# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cabling of a lab as text, as a picture, and as the inventory that matches it. Pure: plain data in, text out."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..module_utils.judges.cable_map import REASONS, natural, who
from ..module_utils.judges.cable_moves import reboot_sentence, touched
from ..module_utils.judges.cable_rings import closed_rings
from ..module_utils.judges.cable_switch import switches
from ..module_utils.model.cable import CableMap, Edge, Step
from . import plain_yaml

COLOURS = {
    "ok": "#1a7f37",
    "wrong_port": "#9a6700",
    "one_sided": "#6639ba",
    "wrong": "#cf222e",
    "looped": "#cf222e",
    "unplanned": "#59636e",
}
"""Colour of a cable by its verdict, as in the report's page."""

WORDS = {
    "ok": "right",
    "wrong_port": "works, cages differ",
    "one_sided": "seen from one side only",
    "wrong": "WRONG",
    "looped": "LOOP",
    "unplanned": "not in a pair of the inventory",
}


# ---- text --------------------------------------------------------------------------------------------------------------


def text_map(cables: CableMap, edges: Sequence[Mapping[str, Any]], steps: Sequence[Step]) -> list[str]:
    """The map in lines: cables, then what else is at the cages, then what hands should do."""
    rows: list[tuple[str, str, str, str, str]] = []
    for edge in edges:
        first, second = (f"{end['desk']} port {end['port']}" for end in edge["ends"])
        plug = " ".join(word for word in (edge.get("vendor"), edge.get("part")) if word)
        how = ", ".join(edge.get("methods") or ())
        rows.append(
            (first, second, WORDS.get(edge["verdict"], edge["verdict"]), edge.get("pair") or "", f"{how}{'  ' if plug else ''}{plug}")
        )
    on_switches = _switch_lines(cables)
    lines = ["CABLES"] if rows or not on_switches else []
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for row in rows:
        first, second, verdict, pair = (cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True))
        lines.append(f"  {first} ===== {second}  {verdict}  {pair}  {row[4]}".rstrip())
    if not rows and not on_switches:
        lines.append("  no cable between two desks was seen")
    lines += on_switches if lines else on_switches[1:]
    odd: list[tuple[str, str]] = []
    for stranger in cables.strangers:
        told = f", calls itself {', '.join(stranger.told)}" if stranger.told else ""
        odd.append((str(stranger.at), f"unknown desk or device: {who(stranger.macs, stranger.vendors)}{told}"))
    of_switches = {end for switch in switches(cables) if len(switch.ends) > 1 for end in switch.ends}
    for shared in cables.shared:
        if shared.at not in of_switches:
            odd.append((str(shared.at), f"more than one cage behind it: {', '.join(str(end) for end in shared.others)}"))
    for unseen in cables.unseen:
        odd.append((str(unseen.at), f"not seen: {REASONS.get(unseen.reason, unseen.reason)}"))
    cabled = {end.desk for edge in cables.edges for end in edge.ends} | {end.desk for end in of_switches}
    for end in cables.dark:
        if end.desk not in cabled:
            odd.append((str(end), "no signal"))
    for desk, reason in (cables.unread or {}).items():
        odd.append((desk, f"no response: {reason}"))
    if odd:
        width = max(len(item[0]) for item in odd)
        lines += ["", "CAGES WITHOUT A KNOWN CABLE"]
        lines += [f"  {place.ljust(width)}  {words}" for place, words in sorted(odd, key=lambda item: natural(item[0]))]
    empty = sum(end.desk in cabled for end in cables.dark)
    if empty:
        lines += ["", f"{empty} more cage{'s' if empty > 1 else ''} without a signal, at desks whose other cage has a cable."]
    if steps:
        lines += ["", "BY HAND"]
        lines += [f"  {number}. {step.sentence}" for number, step in enumerate(steps, start=1)]
        reboot = reboot_sentence(touched(steps))
        if reboot:
            lines.append(f"  {reboot} A cable plugged in while a desk is running often carries only 13 Gb/s.")
    return lines


def _switch_lines(cables: CableMap) -> list[str]:
    """The cages on each switch, and what it calls itself."""
    listed = [switch for switch in switches(cables) if len(switch.ends) > 1]
    if not listed:
        return []
    lines = ["", "SWITCHES"]
    for switch in listed:
        told = f"  calls itself {', '.join(switch.told)}" if switch.told else ""
        lines.append(f"  {', '.join(str(end) for end in switch.ends)}{told}")
    return lines


# ---- picture -----------------------------------------------------------------------------------------------------------

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 150, 58, 200, 26, 16
NAME_WIDTH = 110
"""Room for the pair's name. Pairs stand below each other, so that every cable runs in the gap between the two desks' cages and none
is hidden by another or by a box."""


def picture(report: Mapping[str, Any]) -> str:
    """An SVG element of the report's desks and cables (cables coloured by verdict); empty when the run looked at no cable."""
    cables = report.get("cables") or []
    seen = [item for desk in report["desks"] for item in desk["findings"] if item["code"].startswith("CABLE_")]
    if not cables and not seen and not any(item["code"].startswith("CABLE_") for pair in report["pairs"] for item in pair["findings"]):
        return ""
    verdicts = {desk["name"]: desk["verdict"] for desk in report["desks"]}
    places, width, height = _layout(report, cables)
    body = [_switch_box(pair, places) for pair in report["pairs"] if pair.get("topology") == "switch"]
    body += [_cable(edge, places) for edge in cables]
    body += [_name(pair["name"], places[pair["members"][0]["desk"]]) for pair in report["pairs"] if pair["members"]]
    body += [_box(name, place, verdicts.get(name), cables, seen) for name, place in places.items()]
    legend = _legend(height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 50}" width="{width}" height="{height + 50}" '
        f'role="img" aria-label="Cables between the desks" font-family="system-ui, sans-serif" font-size="12">'
        f"{''.join(body)}{legend}</svg>"
    )


@dataclass(frozen=True)
class _Place:
    x: int
    y: int
    right_edge: bool
    """Whether its cages are drawn at its right edge (the left desk of a pair)."""

    def cage(self, port: int) -> tuple[int, int]:
        return self.x + (BOX_WIDTH if self.right_edge else 0), self.y + 18 + 24 * min(port, 1)


def _layout(report: Mapping[str, Any], cables: Iterable[Mapping[str, Any]]) -> tuple[dict[str, _Place], int, int]:
    """Where each desk stands: pairs below each other, then desks that are in no pair, joined ones beside each other.

    The desks of a ring or of a switch stand two beside each other in rows of their own.
    """
    rows = [
        [member["desk"] for member in pair["members"][first : first + 2]]
        for pair in report["pairs"]
        for first in range(0, max(1, len(pair["members"])), 2)
    ]
    paired = {name for row in rows for name in row}
    joined: dict[str, str] = {}
    for edge in cables:
        ends = [str(end["desk"]) for end in edge["ends"]]
        if len(set(ends)) == 2 and not paired & set(ends):
            joined.setdefault(ends[0], ends[1])
            joined.setdefault(ends[1], ends[0])
    names = [str(desk["name"]) for desk in report["desks"]]
    names += [str(end["desk"]) for edge in cables for end in edge["ends"] if end["desk"] not in names]
    rest = [name for name in dict.fromkeys(sorted(names, key=natural)) if name not in paired]
    while rest:
        name = rest.pop(0)
        other = joined.get(name)
        if other in rest:
            rest.remove(str(other))
            rows.append([name, str(other)])
        else:
            rows.append([name])
    places: dict[str, _Place] = {}
    step = BOX_HEIGHT + GAP_Y
    for number, row in enumerate(rows):
        for index, name in enumerate(row[:2]):
            left = MARGIN + NAME_WIDTH + index * (BOX_WIDTH + GAP_X)
            places[name] = _Place(left, MARGIN + number * step, index == 0)
    return places, MARGIN * 2 + NAME_WIDTH + 2 * BOX_WIDTH + GAP_X, MARGIN * 2 + max(1, len(rows)) * step - GAP_Y


def _switch_box(stack: Mapping[str, Any], places: Mapping[str, _Place]) -> str:
    """A switch between its desks, with a line from each cage that is known to lead to it."""
    there = [(places[member["desk"]], member.get("ports") or ()) for member in stack["members"] if member["desk"] in places]
    if not there:
        return ""
    wrong = any(item["code"].startswith("CABLE_") and item["severity"] == "fail" for item in stack["findings"])
    left, right = MARGIN + NAME_WIDTH + BOX_WIDTH + GAP_X // 2 - 34, MARGIN + NAME_WIDTH + BOX_WIDTH + GAP_X // 2 + 34
    top, bottom = min(place.y for place, _ports in there), max(place.y for place, _ports in there) + BOX_HEIGHT
    parts = []
    for place, ports in there:
        for port in ports:
            x, y = place.cage(int(port))
            line = f'x1="{x}" y1="{y}" x2="{left if place.right_edge else right}" y2="{y}"'
            parts.append(f'<line {line} stroke="{COLOURS["wrong" if wrong else "ok"]}" stroke-width="3"/>')
    size = f'x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"'
    words = f'x="{(left + right) // 2}" y="{(top + bottom) // 2 + 4}" text-anchor="middle"'
    parts.append(f'<rect {size} rx="4" fill="#eaeef2" stroke="#59636e"/><text {words} fill="#1f2328">switch</text>')
    return "".join(parts)


def _name(pair: str, place: _Place) -> str:
    """The pair's name, left of its desks."""
    words, title = html.escape(_short(pair)), f"<title>{html.escape(pair)}</title>"
    return f'<text x="{MARGIN}" y="{place.y + BOX_HEIGHT // 2 + 4}" fill="#59636e">{words}{title}</text>'


def _box(name: str, place: _Place, verdict: str | None, cables: Sequence[Mapping[str, Any]], findings: Sequence[Mapping[str, Any]]) -> str:
    mine = {end["port"]: edge["verdict"] for edge in cables for end in edge["ends"] if end["desk"] == name}
    strange = {
        (item.get("where") or {}).get("port")
        for item in findings
        if item["code"] == "CABLE_UNKNOWN_PEER" and (item.get("where") or {}).get("desk") == name
    }
    edge_colour = {"PASS": "#1a7f37", "WARN": "#9a6700", "FAIL": "#cf222e", "UNKNOWN": "#6639ba"}.get(verdict or "", "#d0d7de")
    middle = f'x="{place.x + BOX_WIDTH // 2}" y="{place.y + BOX_HEIGHT // 2 + 4}"'
    size = f'x="{place.x}" y="{place.y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}"'
    name_text, title = html.escape(_short(name)), f"<title>{html.escape(name)}</title>"
    parts = ["<g>", *(_stub(place, port) for port in (0, 1) if port in strange)]
    parts += [f'<rect {size} rx="6" fill="#f6f8fa" stroke="{edge_colour}" stroke-width="1.5"/>']
    parts.append(f'<text {middle} text-anchor="middle" fill="#1f2328">{name_text}{title}</text>')
    for port in (0, 1):
        x, y = place.cage(port)
        colour = COLOURS.get(mine.get(port, ""), "#cf222e" if port in strange else "#ffffff")
        words = WORDS.get(mine.get(port, ""), "unknown device" if port in strange else "no known cable")
        words = f"<title>{html.escape(name)} port {port}: {html.escape(words)}</title>"
        number_x = x + (-14 if place.right_edge else 14)
        parts.append(f'<rect x="{x - 7}" y="{y - 7}" width="14" height="14" fill="{colour}" stroke="#59636e">{words}</rect>')
        parts.append(f'<text x="{number_x}" y="{y + 4}" text-anchor="middle" fill="#59636e" font-size="10">{port}</text>')
    return "".join(parts) + "</g>"


def _stub(place: _Place, port: int) -> str:
    """A cable that leads to somebody unknown."""
    x, y = place.cage(port)
    far = x + (34 if place.right_edge else -34)
    return (
        f'<line x1="{x}" y1="{y}" x2="{far}" y2="{y}" stroke="{COLOURS["wrong"]}" stroke-width="3" stroke-dasharray="5 4"/>'
        f'<text x="{far + (7 if place.right_edge else -7)}" y="{y + 4}" text-anchor="middle" fill="{COLOURS["wrong"]}">?</text>'
    )


def _short(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "…"


def _cable(edge: Mapping[str, Any], places: Mapping[str, _Place]) -> str:
    ends = [(places.get(str(end["desk"])), int(end["port"])) for end in edge["ends"]]
    if len(ends) != 2:
        return ""
    (one, port_one), (two, port_two) = ends
    if one is None or two is None:
        return ""
    x1, y1 = one.cage(port_one)
    x2, y2 = two.cage(port_two)
    # Two cages on the same side: the farther apart, the wider the bow, so that one does not lie upon another.
    rows_apart = abs(one.y - two.y) // (BOX_HEIGHT + GAP_Y)
    bend = min(46 + 20 * rows_apart, GAP_X) if one.right_edge == two.right_edge else 46
    c1 = x1 + (bend if one.right_edge else -bend)
    c2 = x2 + (bend if two.right_edge else -bend)
    verdict = str(edge["verdict"])
    dash = ' stroke-dasharray="5 4"' if verdict == "one_sided" else ""
    title = f"{edge['ends'][0]['desk']} port {port_one} to {edge['ends'][1]['desk']} port {port_two}: {WORDS.get(verdict, verdict)}"
    return (
        f'<path d="M{x1} {y1} C{c1} {y1} {c2} {y2} {x2} {y2}" fill="none" stroke="{COLOURS.get(verdict, "#59636e")}" '
        f'stroke-width="3"{dash}><title>{html.escape(title)}</title></path>'
    )


def _legend(height: int) -> str:
    """Three verdicts in a row, so that it is no wider than the picture."""
    parts = []
    for number, (verdict, words) in enumerate((key, words) for key, words in WORDS.items() if key != "looped"):
        x, y = MARGIN + number % 3 * 200, height + 14 + number // 3 * 20
        parts.append(
            f'<line x1="{x}" y1="{y}" x2="{x + 22}" y2="{y}" stroke="{COLOURS[verdict]}" stroke-width="3"/>'
            f'<text x="{x + 27}" y="{y + 4}" fill="#59636e" font-size="11">{html.escape(words.lower())}</text>'
        )
    return "".join(parts)


# ---- the inventory that matches the cabling ----------------------------------------------------------------------------

KEPT = (
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_ssh_private_key_file",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
    "ansible_python_interpreter",
    "spark_expected_serial",
    "spark_expected_host_key",
    "spark_out_of_service",
    "spark_pair_head",
    "spark_ssh_port",
)
"""Host variables that are carried into a written inventory. Never a password."""


@dataclass(frozen=True)
class Discovered:
    """Pairs, rings and stacks on a switch as they are cabled."""

    pairs: Mapping[str, tuple[str, ...]]
    unsure: Mapping[str, str]
    """Desk to the reason why it was put into no pair."""
    stacks: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """Ring or stack on a switch to its topology and its desks."""


def discover(cables: CableMap, desks: Iterable[str], named: Mapping[str, Sequence[str]]) -> Discovered:
    """The pairs and stacks that the map proves. ``named``: those of the inventory, whose names are kept where the members are the same."""
    known = list(desks)
    stacked = _stacks_seen(cables, set(known))
    inside_stacks = {desk for _topology, members in stacked for desk in members}
    whole: dict[str, list[Edge]] = {}
    unsure: dict[str, str] = {}
    for edge in cables.edges:
        for desk in sorted({edge.a.desk, edge.b.desk}):
            whole.setdefault(desk, []).append(edge)
    for stranger in cables.strangers:
        unsure.setdefault(stranger.at.desk, f"an unknown device is behind port {stranger.at.port}")
    for shared in cables.shared:
        unsure[shared.at.desk] = f"more than one desk is behind port {shared.at.port}"
    for unseen in cables.unseen:
        if unseen.plugged:
            unsure.setdefault(unseen.at.desk, f"port {unseen.at.port}: {REASONS.get(unseen.reason, unseen.reason)}")
    for desk, reason in (cables.unread or {}).items():
        unsure[desk] = f"it gave no response: {reason}"
    for desk in inside_stacks:
        unsure.pop(desk, None)
    for desk, edges in whole.items():
        others = {edge.other(desk).desk for edge in edges}
        if desk in inside_stacks:
            continue
        if len(others) > 1:
            unsure[desk] = f"its cables lead to {' and '.join(sorted(others, key=natural))}"
        elif others == {desk}:
            unsure[desk] = "one cable joins its own two cages"
        elif any(edge.one_sided for edge in edges):
            unsure[desk] = f"the cable to {edges[0].other(desk).desk} was seen from one side only"
    found: list[tuple[str, str]] = []
    for desk in sorted(set(whole) - inside_stacks, key=natural):
        other = whole[desk][0].other(desk).desk
        if natural(desk) < natural(other) and desk not in unsure and other not in unsure and {desk, other} <= set(known):
            found.append((desk, other))
    names = {frozenset(members): name for name, members in named.items()}
    pairs = {name: pair for name, (_topology, pair) in _named([("pair", pair) for pair in found], names).items()}
    for desk in known:
        if desk not in whole and desk not in unsure:
            unsure[desk] = "no cable was seen at it"
    inside = {desk for pair in pairs.values() for desk in pair} | inside_stacks
    for desk in whole:
        if desk not in inside and desk in known:
            unsure.setdefault(desk, f"its partner {whole[desk][0].other(desk).desk} is not certain")
    return Discovered(
        pairs,
        {
            desk: reason
            for desk, reason in sorted(unsure.items(), key=lambda item: natural(item[0]))
            if desk in known and desk not in inside
        },
        _named(stacked, names),
    )


def _stacks_seen(cables: CableMap, known: set[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Topology and members of each closed ring, and of each switch whose desks all see each other with one cable each."""
    found = [("ring", {end.desk for edge in ring for end in edge.ends}) for ring in closed_rings(cables)]
    others = {shared.at: set(shared.others) for shared in cables.shared}
    beside = {end.desk for edge in cables.edges for end in edge.ends} | {item.at.desk for item in cables.strangers}
    for switch in switches(cables):
        members = {end.desk for end in switch.ends}
        mutual = all(set(switch.ends) - {end} <= others.get(end, set()) for end in switch.ends)
        if mutual and len(members) == len(switch.ends) > 1 and not members & beside:
            found.append(("switch", members))
    return [(topology, tuple(sorted(members, key=natural))) for topology, members in found if members <= known]


def _named(stacked: Iterable[tuple[str, tuple[str, ...]]], names: Mapping[frozenset[str], str]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Each pair or stack with its name in the inventory, or a new one."""
    listed = list(stacked)
    used = {names[frozenset(members)] for _topology, members in listed if frozenset(members) in names}
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for topology, members in listed:
        name, number = names.get(frozenset(members)), 0
        while name is None or (name in found):
            number += 1
            name = f"{topology}_{number:02d}" if f"{topology}_{number:02d}" not in used | set(found) else None
        found[name] = (topology, members)
    return found


def inventory_text(
    found: Discovered, variables: Mapping[str, Mapping[str, Any]], made: str, shared: Mapping[str, str] | None = None
) -> str:
    """A YAML inventory. ``variables``: each desk's host variables (only those in KEPT are written); ``shared``: those of every desk."""

    def host(desk: str) -> dict[str, Any]:
        kept = variables.get(desk, {})
        return {key: _plain(kept[key]) for key in KEPT if kept.get(key) not in (None, "")}

    paired = {desk for pair in found.pairs.values() for desk in pair} | {
        desk for _topology, desks in found.stacks.values() for desk in desks
    }
    alone = [desk for desk in sorted(variables, key=natural) if desk not in paired]
    groups: dict[str, Any] = {
        "spark_pairs": {"children": {str(name): {"hosts": {str(desk): host(desk) for desk in pair}} for name, pair in found.pairs.items()}},
        "spark_desks": {"children": {"spark_pairs": {}}, "hosts": {str(desk): host(desk) for desk in alone}},
    }
    if found.stacks:
        children = {
            str(name): {"hosts": {str(desk): host(desk) for desk in desks}, "vars": {"spark_topology": topology}}
            for name, (topology, desks) in found.stacks.items()
        }
        groups = {"spark_pairs": groups["spark_pairs"], "spark_stacks": {"children": children}, "spark_desks": groups["spark_desks"]}
        groups["spark_desks"]["children"]["spark_stacks"] = {}
    if shared:
        groups["spark_desks"]["vars"] = dict(shared)
    lines = [f"# The cabling as it was seen, {made}. Each pair was proven by both of its desks.", "---"]
    if found.unsure:
        lines.insert(1, "# Not put into a pair:")
        lines[2:2] = [f"#   {desk}: {reason}" for desk, reason in found.unsure.items()]
    return "\n".join(lines) + "\n" + plain_yaml.for_ansible(groups, width=120)


def _plain(value: Any) -> Any:
    """A scalar that YAML writes without tags (Ansible's strings carry their own type)."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    return str(value)
