"""What a lab is now: as data for programs, as tables for people."""

from __future__ import annotations

from typing import Any

from sparklab import describe, files, spec, subnets
from sparklab.lab import Lab

SERVICES = ("dnsmasq", "httpd", "watcher")


def collect(lab: Lab) -> dict[str, Any]:
    """Everything that `status --json` prints."""
    record = lab.record
    return {
        "lab": record.name,
        "complete": bool(record.data.get("complete")),
        "engine": record.data["engine"],
        "subnet": str(subnets.subnet(lab.number)),
        "archive_set": record.data.get("archive_set"),
        "desks": [_desk(lab, name) for name in record.spec.desks],
        "cables": _cables(lab),
        "services": {name: files.process_alive(record.data["processes"].get(name)) for name in SERVICES},
    }


def _desk(lab: Lab, name: str) -> dict[str, Any]:
    desk, entry = lab.record.spec.desks[name], lab.record.desk(name)
    runs = bool(entry.get("running")) and files.process_alive(entry.get("pid"))
    return {
        "desk": name,
        "hostname": desk.hostname,
        "model": desk.model,
        "power": "on" if runs else "off",
        "ssh": runs and lab.listens(name) and lab.answers(name),
        "address": lab.address(name),
        "renderer": desk.renderer,
        "management": desk.management,
        "state": "enrolled" if lab.enrolled(desk) else "boxed",
        "boots": entry.get("boot_count", 0),
        "adapter": "present" if entry.get("nic") else "gone",
        "ports": {str(port): lab.record.wiring.at(spec.End(name, port)) for port in (0, 1)},
        "faults": lab.record.data["faults"].get(name, {}),
        "container": entry.get("container", ""),
    }


def _cables(lab: Lab) -> list[dict[str, Any]]:
    wiring, functions = lab.record.wiring, lab.functions()
    return [
        {
            "cable": cable,
            "ends": [None if end is None else str(end) for end in ends],
            "replugged": [str(end) for end in ends if end in wiring.stale],
            "one_way_gbps": _one_way(lab, ends[0], functions),
        }
        for cable, ends in wiring.ends.items()
    ]


def _one_way(lab: Lab, end: spec.End | None, functions: dict[str, list[dict[str, Any]]]) -> float | None:
    """Gb/s of a function in one direction, None when this end is loose or dark."""
    if end is None:
        return None
    record = lab.record
    if end.desk in record.spec.switches:
        return None
    port = describe.ports(end.desk, record.wiring, record.spec.cables, functions, record.data["faults"], lab.switches())[str(end.port)]
    return None if port["figures"] is None else float(port["figures"]["one_way_gbps"])


def lines(data: dict[str, Any]) -> list[str]:
    """The tables of `status`."""
    unfinished = "" if data["complete"] else ", HALF MADE (run up again)"
    text = [f"lab {data['lab']}: {data['subnet']}, {data['engine']['name']}, archive set {data['archive_set']}{unfinished}"]
    text += _table(
        {
            "desk": [row["desk"] for row in data["desks"]],
            "host name": [row["hostname"] for row in data["desks"]],
            "model": [row["model"] for row in data["desks"]],
            "power": [row["power"] for row in data["desks"]],
            "ssh": ["yes" if row["ssh"] else "no" for row in data["desks"]],
            "address": [row["address"] for row in data["desks"]],
            "renderer": [row["renderer"] for row in data["desks"]],
            "management": [row["management"] for row in data["desks"]],
            "state": [row["state"] for row in data["desks"]],
            "boots": [str(row["boots"]) for row in data["desks"]],
            "CX-7": [row["adapter"] for row in data["desks"]],
            "port 0": [row["ports"]["0"] or "-" for row in data["desks"]],
            "port 1": [row["ports"]["1"] or "-" for row in data["desks"]],
            "faults": [", ".join(row["faults"]) or "-" for row in data["desks"]],
        }
    )
    text += [
        "",
        *_table(
            {
                "cable": [row["cable"] for row in data["cables"]],
                "end": [row["ends"][0] or "loose" for row in data["cables"]],
                "other end": [row["ends"][1] or "loose" for row in data["cables"]],
                "Gb/s a function": [str(row["one_way_gbps"] or "-") for row in data["cables"]],
                "plugged after boot": [", ".join(row["replugged"]) or "-" for row in data["cables"]],
            }
        ),
    ]
    dead = [name for name, alive in data["services"].items() if not alive]
    if dead:
        text += ["", f"not running: {', '.join(dead)}; `simulator/lab up --lab {data['lab']}` starts them again"]
    return text


def _table(columns: dict[str, list[str]]) -> list[str]:
    padded = []
    for head, cells in columns.items():
        width = max(len(cell) for cell in (head, *cells))
        padded.append([cell.ljust(width) for cell in (head, *cells)])
    return ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]
