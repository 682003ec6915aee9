"""An inventory as a task sees it: hostvars with Ansible's own inventory object behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from scripted_action import Script

PAIR = {"pair_a": ("desk-01", "desk-02")}


class HostVars(dict):  # type: ignore[type-arg]
    """Host to its variables."""

    def __init__(self, inventory: InventoryManager, more: dict[str, Any]) -> None:
        super().__init__({host.name: {**host.get_vars(), **more} for host in inventory.get_hosts()})
        self._inventory = inventory


def hostvars_of(
    folder: Path,
    pairs: dict[str, tuple[str, ...]] | None = None,
    own: dict[str, dict[str, Any]] | None = None,
    stacks: dict[str, tuple[str, ...]] | None = None,
    **extra: Any,
) -> HostVars:
    """Hostvars of pairs, of the children of spark_stacks and of desks in none (those that only ``own`` names); ``extra`` are variables of
    every host, as ``-e`` gives."""
    pairs, own, stacks = PAIR if pairs is None else pairs, own or {}, stacks or {}
    grouped = {name for desks in (*pairs.values(), *stacks.values()) for name in desks}
    tree = {
        "spark_stacks": {"children": {stack: {"hosts": {name: own.get(name, {}) for name in desks}} for stack, desks in stacks.items()}},
        "spark_pairs": {"children": {pair: {"hosts": {name: own.get(name, {}) for name in desks}} for pair, desks in pairs.items()}},
        "spark_desks": {"hosts": {name: values for name, values in own.items() if name not in grouped}},
    }
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return HostVars(InventoryManager(loader=DataLoader(), sources=[str(path)]), extra)


def begin(playbook: str, hostvars: HostVars, scope: list[str] | None = None, **of_the_play: Any) -> dict[str, Any]:
    """``spark_plan`` as the first task of a playbook makes it, whose play has these variables. Raises AnsibleActionFail."""
    hosts = list(hostvars) if scope is None else scope
    script = Script("spark_run", {"phase": "begin", "playbook": playbook})
    return script.run(hosts[0], ansible_play_hosts_all=hosts, hostvars=hostvars, **{**hostvars[hosts[0]], **of_the_play})
