"""Both ports of a desk in use at once: they share the adapter's budget, and NCCL over two ports is a ring's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from .conftest import description, live

HEALTHY = {"one_way_gbps": 109.0, "dual_sum_gbps": 196.1, "both_ways_gbps": 213.0, "nccl_busbw": {"4294967296": 22.4}}


@pytest.fixture
def desk() -> tuple[Any, list[Any]]:
    from desklib.desk import Desk
    from desklib.netlink import Link
    from desklib.view import functions

    data = description()
    data["ports"] = {str(number): {**data["ports"].get(str(number), {}), "figures": HEALTHY} for number in (0, 1)}
    known = Desk(data)
    links = {name: Link(name=name, **facts) for name, facts in live(data, {}, 9000)["links"].items()}
    return known, [replace(item, width=4, mtu=9000) for item in functions(known, links)]


def both_ways(desk: Any, functions: list[Any], running: int, far: dict[str, Any] | None = None) -> float:
    from desklib import figures

    mine = [item for item in functions if item.port == 0]
    used = [*mine, *[item for item in functions if item.port == 1]][:running]
    return sum(figures.bandwidth(desk, item, [other for other in used if other is not item], True, 1 << 20, far) for item in mine)


def test_a_cable_alone_has_all_and_with_another_half(desk: tuple[Any, list[Any]]) -> None:
    known, functions = desk
    assert len(functions) == 4
    alone, shared = both_ways(known, functions, 2), both_ways(known, functions, 4)
    assert alone == pytest.approx(392.2) and shared == pytest.approx(alone / 2)


def test_the_slower_end_decides(desk: tuple[Any, list[Any]]) -> None:
    known, functions = desk
    far = {"one_way_gbps": 49.0, "dual_sum_gbps": 98.0, "both_ways_gbps": 98.0}
    assert both_ways(known, functions, 2, far) == pytest.approx(2 * 98.0)


def test_nccl_over_both_ports_is_a_ring(desk: tuple[Any, list[Any]]) -> None:
    from desklib import figures

    known, functions = desk
    one = figures.nccl_busbw(known, [item for item in functions if item.port == 0], 4 << 30)
    assert figures.nccl_busbw(known, functions, 4 << 30) == pytest.approx(one * figures.RING_SHARE, rel=0.01)
