"""Cabling a lab wrongly and running a playbook over it, for testinfra."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from desks import ROOT, as_root, inventory, kill, lab, play

AFTER_BOOT = "CX7_PLUGGED_AFTER_BOOT"

PATIENCE = {"desk_facts_timeout": 300, "cable_check_timeout": 300}
"""Eight desks on a busy machine of two cores answer more slowly than any real desk."""


class Run:
    """One run of a playbook, ended, with its report."""

    def __init__(
        self, playbook: str, *arguments: str, reports: Path | None = None, source: Path | None = None, seconds: float = 900
    ) -> None:
        self.reports = reports or Path(tempfile.mkdtemp(prefix="cable-run-"))
        process = play(ROOT / "playbooks" / playbook, *arguments, source=source, spark_report_dir=str(self.reports), **PATIENCE)
        try:
            self.output, _nothing = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            kill(process)
            raise
        self.rc = process.returncode
        folders = sorted(self.reports.glob("*/report.json"), key=lambda path: path.stat().st_mtime)
        assert folders, self.output
        self.folder = folders[-1].parent
        self.report: dict[str, Any] = json.loads(folders[-1].read_text(encoding="utf-8"))
        self.pairs: dict[str, dict[str, Any]] = {item["name"]: item for item in self.report["pairs"]}
        self.desks: dict[str, dict[str, Any]] = {item["name"]: item for item in self.report["desks"]}

    def codes(self, pair: str) -> dict[str, str]:
        """Codes about cables of a pair, with their severity."""
        return {item["code"]: item["severity"] for item in self.pairs[pair]["findings"] if item["code"].startswith("CABLE_")}

    def finding(self, code: str, pair: str | None = None) -> dict[str, Any]:
        """The first finding with a code."""
        rows = [*self.pairs.values(), *self.desks.values()] if pair is None else [self.pairs[pair]]
        found = [item for row in rows for item in row["findings"] if item["code"] == code]
        assert found, (code, self.output)
        return found[0]

    def fine(self, *pairs: str) -> bool:
        """Whether pairs are proven and pass. A plug of theirs that an earlier test moved may still wait for a reboot."""
        return all(
            self.codes(pair).get("CABLE_OK") == "ok"
            and self.pairs[pair]["verdict"] in ("PASS", "WARN")
            and self._worse(pair) <= {AFTER_BOOT}
            for pair in pairs
        )

    def _worse(self, pair: str) -> set[str]:
        members = [item["desk"] for item in self.pairs[pair]["members"]]
        rows = [self.pairs[pair], *(self.desks[desk] for desk in members)]
        return {item["code"] for row in rows for item in row["findings"] if item["severity"] not in ("ok", "note")}

    @property
    def by_hand(self) -> list[str]:
        """The numbered sentences below BY HAND of the printed map."""
        text = (self.folder / "cables.txt").read_text(encoding="utf-8")
        assert text.strip() in self.output
        rows = text.partition("BY HAND")[2].splitlines()
        return [row.strip().partition(" ")[2] for row in rows if row.strip()[:1].isdigit()]


def cable_map(*arguments: str, **options: Any) -> Run:
    """Draw the map."""
    return Run("cable_map.yml", *arguments, **options)


def wires() -> dict[str, list[str | None]]:
    """Cable to the ports that it is in now, as the lab says."""
    return {item["cable"]: list(item["ends"]) for item in json.loads(lab("status", "--json"))["cables"]}


def recable(**wanted: tuple[str | None, str | None]) -> None:
    """Put cables (``cable_1=("desk-01/0", "desk-02/0")``) where they are wanted; null is loose. Others stay."""
    now = wires()
    moves = {name.replace("_", "-"): ends for name, ends in wanted.items()}
    for cable, ends in moves.items():
        for end in now[cable]:
            if end is not None and end not in ends:
                lab("cable", "pull", cable, end)
    now = wires()
    for cable, ends in moves.items():
        missing = [end for end in ends if end is not None and end not in now[cable]]
        if missing:
            lab("cable", "plug", cable, *missing)


def home() -> None:
    """Every cable as described."""
    recable(
        cable_1=("desk-01/0", "desk-02/0"),
        cable_2=("desk-03/0", "desk-04/0"),
        cable_3=("desk-05/0", "desk-06/0"),
        cable_4=("desk-07/0", "desk-08/0"),
        cable_5=(None, None),
    )


def ipv6(*desks: str, on: bool) -> None:
    """Switch IPv6 of the ConnectX-7 functions off or on, and filter it: NetworkManager switches it on again when it tries DHCP anew."""
    for desk in desks:
        value, act = ("0", "-D") if on else ("1", "-I")
        as_root(desk).check_output(
            "for each in /proc/sys/net/ipv6/conf/en*np*/disable_ipv6; do "
            f"echo {value} > $each; name=$(basename $(dirname $each)); "
            f"ip6tables -w {act} INPUT -i $name -j DROP; ip6tables -w {act} OUTPUT -o $name -j DROP; done; true"
        )


def moment(desk: str) -> str:
    """Now, by the desk's clock."""
    return as_root(desk).check_output("date '+%Y-%m-%d %H:%M:%S'").strip()


def executions(desk: str, since: str) -> list[str]:
    """The modules that ran on a desk since a moment of its own clock, from its journal."""
    rows = as_root(desk).run(f"journalctl --no-pager -o short --since '{since}' | grep 'Invoked with'").stdout.splitlines()
    return sorted(row.partition("ansible-")[2].partition("[")[0].rpartition(".")[2] for row in rows)


def written(folder: Path, drop: Iterable[str] = (), pairs: bool = True) -> Path:
    """An inventory of the lab in a file, without some desks, or without any pair. Secrets stay with their hosts."""
    told, drop = inventory(), set(drop)
    hosts = {name: values for name, values in told["_meta"]["hostvars"].items() if name not in drop}
    common = {key: value for group in told.values() for key, value in (group.get("vars") or {}).items()}
    groups: dict[str, Any] = {"spark_desks": {"hosts": {name: dict(values) for name, values in hosts.items()}, "vars": common}}
    if pairs:
        members = {name: told[name]["hosts"] for name in told["spark_pairs"]["children"]}
        groups["spark_pairs"] = {
            "children": {name: {"hosts": {desk: {} for desk in desks}} for name, desks in members.items() if not drop & set(desks)}
        }
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump(groups), encoding="utf-8")
    return path
