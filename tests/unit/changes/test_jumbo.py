"""Full-size pings: asked of a scripted desk, judged from a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import jumbo_ping
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.jumbo import judge_jumbo
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.jumbo import JumboAnswer
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Endpoint, EndpointFunction

PEER_MAC = "02:00:5e:00:30:11"
GOOD = JumboAnswer("desk-01", "desk-02", "enp1s0f0np0", "192.168.100.11", 9000, True, None, PEER_MAC)


def end(desk: str, host: int, mac: str) -> Endpoint:
    function = EndpointFunction("enp1s0f0np0", "rocep1s0f0", 0, mac, f"192.168.100.{host}", 3, 9000, 200000, 4)
    return Endpoint(desk, 0, None, (function,))


class Side:
    """A desk that answers pings of some sizes."""

    def __init__(self, sizes: Sequence[int], error: str | None = None) -> None:
        self.sizes, self.error, self.asked = sizes, error, []

    def run(self, argv: Sequence[str], **_options: Any) -> Answer:
        self.asked.append(list(argv))
        if argv[0] == "ip":
            return Answer(tuple(argv), 0, f'[{{"dst": "x", "lladdr": "{PEER_MAC.upper()}", "state": ["REACHABLE"]}}]')
        if self.error:
            return Answer(tuple(argv), error=self.error)
        return Answer(tuple(argv), 0 if int(argv[argv.index("-s") + 1]) in self.sizes else 1)


def asked(side: Side) -> JumboAnswer:
    (found,) = jumbo_ping.ask(side, end("desk-01", 10, "02:00:5e:00:30:01"), end("desk-02", 11, PEER_MAC))  # type: ignore[arg-type]
    return found


def test_the_whole_mtu_is_asked_without_fragments() -> None:
    side = Side([8972])
    assert asked(side) == GOOD
    assert side.asked[0] == [
        "ping",
        "-n",
        "-q",
        "-M",
        "do",
        "-c",
        "3",
        "-i",
        "0.2",
        "-W",
        "1",
        "-s",
        "8972",
        "-I",
        "enp1s0f0np0",
        "192.168.100.11",
    ]


def test_a_small_packet_tells_mtu_from_silence() -> None:
    assert (asked(Side([56])).full, asked(Side([56])).small) == (False, True)
    assert (asked(Side([])).full, asked(Side([])).small) == (False, False)
    assert (asked(Side([], "missing")).full, asked(Side([], "missing")).error) == (None, "missing")


@pytest.mark.parametrize(
    ("answer", "code", "severity"),
    [
        (GOOD, None, None),
        (replace(GOOD, mac=None), None, None),
        (replace(GOOD, full=False, small=True), "CX7_MTU_MISMATCH", "fail"),
        (replace(GOOD, full=False, small=True, mtu=1500), "CX7_JUMBO_PING_FAILED", "fail"),
        (replace(GOOD, full=False, small=False, mac=None), "CX7_JUMBO_PING_FAILED", "fail"),
        (replace(GOOD, full=None, error="missing"), "CX7_JUMBO_PING_FAILED", "unknown"),
        (replace(GOOD, mac="02:00:5e:00:99:99"), "CX7_ADDRESS_TAKEN", "fail"),
    ],
)
def test_judgement(answer: JumboAnswer, code: str | None, severity: str | None) -> None:
    found = judge_jumbo("pair_a", [answer], {"desk-02": [PEER_MAC.upper()]})
    assert [(item.code, item.severity) for item in found] == ([] if code is None else [(code, severity)])
    assert all(item.remedy and item.where.desk == "desk-01" for item in found)
