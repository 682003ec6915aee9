"""The management subnet: never one that the machine uses."""

from __future__ import annotations

from pathlib import Path

import pytest
from sparklab import paths, state, subnets
from sparklab.errors import LabError


def test_the_first_free_one() -> None:
    assert subnets.choose(["192.0.2.0/24", "default", "fd00::/64"]) == 77
    assert subnets.choose(["10.77.0.0/22"]) == 78
    assert subnets.choose(["10.64.0.0/10"]) == 128


def test_a_route_to_everything_is_no_use() -> None:
    assert subnets.choose(["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"]) == 77


def test_a_wish_is_taken_or_refused() -> None:
    assert subnets.choose([], 5) == 5
    with pytest.raises(LabError, match=r"10\.5\.0\.0/22 is in use"):
        subnets.choose(["10.5.1.7"], 5)


def test_no_subnet_left() -> None:
    with pytest.raises(LabError, match="no subnet"):
        subnets.choose(["10.0.0.0/8"])


def test_addresses_do_not_meet() -> None:
    desks = {subnets.desk_address(77, index) for index in range(200)}
    assert len(desks) == 200
    assert not desks & {subnets.server_address(77), subnets.host_address(77)}


def test_leases_move() -> None:
    own = {"a": 0, "b": 1}
    assert subnets.leases(own, {}) == own
    assert subnets.leases(own, {"a": "b"}) == {"a": 1, "b": 0}
    moved = subnets.leases(own, {"a": None})
    assert moved["b"] == 1 and moved["a"] not in own.values()


def test_the_subnet_of_a_lab_that_is_only_written_down_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "STATE_ROOT", tmp_path / "labs")
    with state.choosing():
        assert state.subnets_of_others("one") == []
        (tmp_path / "labs" / "one").mkdir()
        state.new("one", {"desks": {"a": {}}}, subnet=77).save()
    with state.choosing():
        assert state.subnets_of_others("two") == ["10.77.0.0/22"] and state.subnets_of_others("one") == []
        assert subnets.choose(state.subnets_of_others("two")) == 78
