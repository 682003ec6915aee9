# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A peer that says what no desk says: its pair is not proven, and its head, which tells of both, is not the one to be doubted."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import measured
import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import side as side_module
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer, Text
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import fitting
from measured import measure
from proof_samples import nccl_text
from scripted_side import HEADER, LIMITS, ScriptedSide, World

Change = Callable[[Sequence[str], Any], Any]
"""What a question was, and the honest answer, to what the hostile peer says."""


def neigh(**changes: Any) -> Change:
    return lambda asked, answer: dataclasses.replace(answer, **changes) if list(asked[:3]) == ["ip", "-j", "neigh"] else answer


def file(end: str, text: str) -> Change:
    return lambda asked, answer: Text(asked[0], text) if asked[0].endswith(end) else answer


def ports_taken(asked: Sequence[str], answer: Any) -> Any:
    rows = "".join(f"   0: 00000000:{port:04X} 00000000:0000 0A\n" for port in range(18515, 18547))
    return Text(asked[0], f"head\n{rows}") if asked[0] == "/proc/net/tcp" else answer


def table(row: str) -> Change:
    return lambda asked, answer: dataclasses.replace(answer, stdout=HEADER + row) if asked[0] == "ib_write_bw" and "-F" in asked else answer


CASES: dict[str, tuple[str, Change]] = {
    "a word for a MAC": ("rdma_pair", neigh(stdout='[{"lladdr": "zz", "state": ["REACHABLE"]}]')),
    "deep lists for a MAC": ("rdma_pair", neigh(stdout="[" * 100_000)),
    "a counter of 20 digits": ("rdma_pair", file("port_rcv_data", "9" * 20)),
    "all ports taken": ("rdma_pair", ports_taken),
    "an enormous figure": ("rdma_pair", table(" 9e90  9e90  0.00  9e99  0.1\n")),
    "a process of 30 digits": ("nccl_pair", file("/rank.json", json.dumps({"pid": 10**30, "rank": True, "hostname": "h" * 300_000}))),
    "a rank of deep lists": ("nccl_pair", file("/rank.json", "[" * 100_000)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_peers_nonsense_is_no_answer_of_its_heads(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, change = CASES[case]

    class Peer(ScriptedSide):
        def read_text(self, path: str) -> Text:
            return change([path], super().read_text(path)) if self.which else super().read_text(path)

        def run(self, argv: Sequence[str], **more: Any) -> Answer:
            return change(argv, super().run(argv, **more)) if self.which else super().run(argv, **more)

        def wait(self, pid: int, patience: float) -> Answer | None:
            answer = super().wait(pid, patience)
            return change(self.jobs[pid][0], answer) if self.which and answer is not None else answer

        def start(self, argv: Sequence[str], **more: Any) -> side_module.Started:
            started = super().start(argv, **more)
            return dataclasses.replace(started, limits=LIMITS.format("9" * 20)) if self.which else started

    monkeypatch.setattr(measured, "ScriptedSide", Peer)
    world = World(nccl=Answer(("mpirun",), 0, nccl_text({1 << 30: 21.9, 4 << 30: 23.1})))
    seen = measure(name, world, tmp_path, monkeypatch, {"depth": "full"} if name == "rdma_pair" else {})
    assert "DESK_ANSWER_INVALID" not in seen.codes and "msg" not in seen.result, seen.codes
    assert seen.result["verdict"] != "PASS" or case in ("a process of 30 digits", "a rank of deep lists")


def test_output_of_another_desks_rank_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mpirun hands on what every rank prints."""
    row = " 1073741824  268435456  float  none  -1  9e99 9e99 9e99 9e99  9e99 9e99 9e99 9e99\n"
    said = nccl_text({1 << 30: 21.9, 4 << 30: 23.1}) + row * 5000
    seen = measure("nccl_pair", World(nccl=Answer(("mpirun",), 0, said)), tmp_path, monkeypatch)
    assert "DESK_ANSWER_INVALID" not in seen.codes and seen.result["verdict"] != "PASS"


def test_an_agent_that_answers_slowly_for_ever_ends_with_its_measurement() -> None:
    agent = side_module.AgentSide.__new__(side_module.AgentSide)
    agent.name, agent._number, agent._replies = "desk-02", 0, {}
    agent._buffer, agent._said, agent._errors, agent._over_ssh, agent._greeted = b"", b"", b"", True, True
    agent._send = lambda _data: None  # type: ignore[method-assign]
    told = iter([True] * 9)
    agent._collect = lambda _patience: next(told)  # type: ignore[method-assign]
    agent._ends = time.monotonic() - 1
    with pytest.raises(side_module.SideError) as error:
        agent.ask("hello", patience=3600.0)
    assert (error.value.desk, error.value.kind) == ("desk-02", "timed_out")


@pytest.mark.parametrize("held", ["exec sleep 60", "exec yes"])
def test_a_pipe_that_outlives_its_agent_holds_root_up_no_longer(held: str, tmp_path: Path) -> None:
    """Whoever may open what a program of its own has open keeps the other end of root's pipe, and may write there without end."""
    holder = tmp_path / "holder"
    script = f"sh -c 'echo $$ > {holder}; {held}' </dev/null 1>&2 & while [ ! -s {holder} ]; do sleep 0.05; done; echo left >&2; exit 3"
    begun = time.monotonic()
    try:
        with pytest.raises(side_module.SideError, match=r"left|y y y"):
            side_module.AgentSide("desk-02", ["sh", "-c", script], "0" * 16, 60.0)
        assert time.monotonic() - begun < 10.0
    finally:
        os.kill(int(holder.read_text(encoding="ascii")), signal.SIGKILL)


def test_an_agent_that_takes_no_question_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_module, "TAKING", 0.2)
    monkeypatch.setattr(side_module, "HEARTBEAT", 0.1)
    monkeypatch.setattr(side_module, "program", lambda: "x" * 1_000_000)
    deaf: list[Any] = []
    opened = side_module.AgentSide.__init__

    def keep(self: Any, *arguments: Any) -> None:
        deaf.append(self)
        opened(self, *arguments)

    monkeypatch.setattr(side_module.AgentSide, "__init__", keep)
    asked = ThreadPoolExecutor(1).submit(side_module.AgentSide, "desk-02", ["sleep", "600"], "token", 600.0)
    wait([asked], 10)
    ended = asked.done()
    deaf[0]._process.kill()
    assert ended and isinstance(error := asked.exception(), side_module.SideError) and error.kind == "timed_out"


@pytest.mark.parametrize(
    ("operation", "value"),
    [
        ("hello", '{"held": {"run": "run-1", "more": "%s"}}' % ("x" * 1000)),
        ("hello", '{"held": {"run": {"a": [[[[[]]]]]}}}'),
        ("hello", json.dumps({"held": {f"key{number}": "x" for number in range(100_000)}})),
        ("listen", '{"port": %s}' % ("9" * 30)),
        ("listen", '{"port": -1}'),
    ],
)
def test_who_has_a_peer_and_where_it_listens_has_the_form_that_its_head_hands_on(operation: str, value: str) -> None:
    """The head repeats the one in its own answer and connects to the other: a failure there would be the head's."""
    agent = side_module.AgentSide.__new__(side_module.AgentSide)
    agent.name, agent._number, agent._replies, agent._frame = "desk-02", 0, {}, b"frame "
    agent._said, agent._over_ssh, agent._greeted, agent._send = b"", True, True, lambda _data: None  # type: ignore[method-assign]
    agent._collect = lambda _patience: agent._take(f'frame {{"id": 1, "value": {value}}}'.encode()) or True  # type: ignore[method-assign]
    with pytest.raises(side_module.SideError, match="expected form"):
        agent.ask(operation)


def test_what_fits_stays_as_it_is() -> None:
    honest = {"a": [1, -2.5, None, True, "x"], "b": {"c": (1 << 64) - 1}}
    assert fitting(honest) == honest
    assert fitting([1 << 64, -(1 << 64), math.inf, math.nan, 10**400]) == [None] * 5
