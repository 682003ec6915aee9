"""What every stand-in needs: the desk, its functions right now, and the real program where there is one."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from .. import client, netlink
from ..counters import Traffic
from ..desk import STATE_DIR, Desk, load
from ..view import Function, Gid, functions

REAL = Path("/usr/lib/desk-real")


@dataclass
class Context:
    """A stand-in's view of its desk."""

    desk: Desk
    functions: list[Function]
    traffic: dict[str, Traffic] = field(default_factory=dict)
    links: dict[str, netlink.Link] = field(default_factory=dict)
    processes: dict[str, dict[str, Any]] = field(default_factory=dict)
    benches: list[dict[str, Any]] = field(default_factory=list)

    def by_netdev(self, name: str) -> Function | None:
        return next((f for f in self.functions if f.netdev == name), None)

    def by_rdma(self, name: str) -> Function | None:
        return next((f for f in self.functions if f.rdma == name), None)


def context() -> Context:
    """Ask the hardware daemon; without one (tests) use live.json beside desk.json, or the links of this machine."""
    desk = load()
    try:
        answer = client.ask({"op": "state"})
        return Context(
            desk,
            [_function(f) for f in answer["functions"]],
            {k: Traffic(**v) for k, v in answer["traffic"].items()},
            {k: netlink.Link(**v) for k, v in answer["links"].items()},
            answer["processes"],
            answer.get("benches", []),
        )
    except OSError:
        pass
    extra: dict[str, Any] = {}
    try:
        extra = json.loads((STATE_DIR / "live.json").read_text(encoding="utf-8"))
        links = {name: netlink.Link(name=name, **facts) for name, facts in extra.get("links", {}).items()}
    except OSError:
        links = netlink.links()
    traffic = {k: Traffic(**v) for k, v in extra.get("traffic", {}).items()}
    return Context(desk, functions(desk, links), traffic, links, extra.get("processes", {}), extra.get("benches", []))


def _function(raw: dict[str, Any]) -> Function:
    gids = tuple(Gid(**gid) for gid in raw["gids"])
    return Function(**{**raw, "gids": gids, "addresses": tuple(raw["addresses"])})


def real(name: str, arguments: list[str]) -> NoReturn:
    """Become the real program; where it is missing say so as a shell would."""
    program = REAL / name
    if not program.exists():
        print(f"{name}: this option needs the real program, which this simulated desk has not", file=sys.stderr)
        raise SystemExit(127)
    os.execv(program, [name, *arguments])


def is_root() -> bool:
    return os.geteuid() == 0
