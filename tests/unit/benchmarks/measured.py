"""A measurement from the role's task to the module on the head, with scripted desks behind it."""

from __future__ import annotations

import functools
import importlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import session
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.side import SideError
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import one_run
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Busy, Desk, Identity, Limits, Network
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Endpoint
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.port import Address, ConnectX7, Function, Port
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Run
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, Part, RunStore
from sample_run import run_of
from scripted_action import Script
from scripted_side import ScriptedSide, World

TAKE = one_run.lease.take


def facts_of(end: Endpoint, user: str = "lab") -> Desk:
    """Facts of a desk whose cabled port is an end of a cable."""
    functions = tuple(
        Function(
            netdev=item.netdev,
            rdma_device=item.rdma_device,
            pci_domain=item.pci_domain,
            mac=item.mac,
            mtu=item.mtu,
            speed_mbps=item.speed_mbps,
            pcie_width=item.pcie_width,
            addresses=(Address(item.address, item.prefix_length, "inet"),),
        )
        for item in end.functions
    )
    return Desk(
        identity=Identity(hostname=end.hostname, boot_id=end.boot_id),
        network=Network(management_netdev="enP7s7", management_addresses=(Address(str(end.management_address), 24, "inet"),)),
        cx7=ConnectX7(ports=(Port(number=end.port, functions=functions, carrier=True),)),
        limits=Limits(user=user, home=f"/home/{user}", uid=1000, gid=1000),
        busy=Busy(readable=True),
    )


class Measured:
    """What became of one measurement."""

    def __init__(self, result: Mapping[str, Any], opened: Sequence[str], asked: Mapping[str, Any], argvs: Mapping[str, list[str]]) -> None:
        self.result, self.opened, self.asked, self.argvs = result, opened, asked, argvs
        self.codes = {item["code"]: item["severity"] for item in result["findings"]}

    def finding(self, code: str) -> dict[str, Any]:
        return next(dict(item) for item in self.result["findings"] if item["code"] == code)


def measure(
    name: str,
    world: World,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: Mapping[str, Any] | None = None,
    *,
    run: Run | None = None,
    refuses: Mapping[str, tuple[str, str]] | None = None,
) -> Measured:
    """Run the action as stage rdma or nccl. ``refuses``: desks whose side cannot be opened, with kind and text."""
    opened: list[str] = []
    argvs: dict[str, list[str]] = {}

    def side(desk: str, argv: list[str], token: str, limit: float) -> ScriptedSide:
        del token, limit
        argvs[desk] = argv
        if refuses and desk in refuses:
            raise SideError(desk, *refuses[desk])
        opened.append(desk)
        return ScriptedSide(world, [end.desk for end in world.ends].index(desk))

    # Other tests on this machine work on other desks.
    monkeypatch.setattr(one_run.lease, "take", functools.partial(TAKE, name=f"\0dgx_spark_test/{os.getpid()}"))
    monkeypatch.setattr(session, "AgentSide", side)
    monkeypatch.setattr(session, "home_of", lambda desk, user: f"/home/{user}")
    run = run or run_of(folder=folder)
    for end in world.ends:
        RunStore(run.run_dir).write(Part("facts", end.desk, DONE, data={"spark": as_dict(facts_of(end))}))

    def answer(module_name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return module(module_name.rpartition(".")[2], arguments)

    script = Script(name, args or {}, answer)
    result = script.run(run=run, stage=name.partition("_")[0])
    return Measured(result, opened, script.asked[0] if script.asked else {}, argvs)


def module(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a module says to these arguments."""
    told: list[dict[str, Any]] = []
    loaded = importlib.import_module(f"ansible_collections.labops.dgx_spark.plugins.modules.{name}")
    original = loaded.AnsibleModule

    class Listening(original):  # type: ignore[misc,valid-type]
        def _return_formatted(self, kwargs: dict[str, Any]) -> None:
            told.append(json.loads(json.dumps(kwargs)))

    loaded.AnsibleModule = Listening
    try:
        with patch_module_args(dict(arguments)), pytest.raises(SystemExit):
            loaded.main()
    finally:
        loaded.AnsibleModule = original
    return told[0]
