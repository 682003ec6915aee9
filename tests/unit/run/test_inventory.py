from __future__ import annotations

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_map import natural
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.inventory import (
    HostEntry,
    InventoryError,
    InventoryView,
    members_of,
    stacks_of,
)


def view(pairs: dict[str, tuple[str, ...]], **changes: dict[str, object]) -> InventoryView:
    names = sorted({name for members in pairs.values() for name in members} | set(changes), key=natural)
    hosts = []
    for number, name in enumerate(names):
        values: dict[str, object] = {"name": name, "address": f"10.0.0.{number + 1}", **changes.get(name, {})}
        hosts.append(HostEntry(**values))  # type: ignore[arg-type]
    return InventoryView(tuple(hosts), pairs)


def test_pairs_come_in_natural_order_with_the_lower_name_as_head() -> None:
    pairs = stacks_of(view({"pair_10": ("d-3", "d-4"), "pair_9": ("d-10", "d-9")}))
    assert [(pair.name, pair.head, pair.members[1]) for pair in pairs] == [("pair_9", "d-9", "d-10"), ("pair_10", "d-3", "d-4")]


def test_the_marked_head_is_the_head() -> None:
    (pair,) = stacks_of(view({"pair_a": ("d-1", "d-2")}, **{"d-2": {"head": True}}))
    assert (pair.head, pair.members[1]) == ("d-2", "d-1")


def test_a_desk_out_of_service_takes_its_pair_out() -> None:
    (pair,) = stacks_of(view({"pair_a": ("d-1", "d-2")}, **{"d-2": {"out_of_service": True}}))
    assert pair.out_of_service


def test_a_desk_in_no_pair_is_fine() -> None:
    assert stacks_of(view({}, **{"d-1": {}})) == []


@pytest.mark.parametrize(
    ("pairs", "changes", "words"),
    [
        ({"pair_a": ("d-1",)}, {}, ["pair_a", "1 host(s)", "d-1", "exactly two"]),
        ({"pair_a": ("d-1", "d-2", "d-3")}, {}, ["pair_a", "3 host(s)", "exactly two"]),
        ({"pair_a": ()}, {"d-1": {}}, ["pair_a", "0 host(s)", "none"]),
        ({"pair_a": ("d-1", "d-2"), "pair_b": ("d-2", "d-3")}, {}, ["d-2", "two pairs", "pair_a", "pair_b"]),
        (
            {"pair_a": ("d-1", "d-2")},
            {"d-1": {"address": "10.9.9.9"}, "d-2": {"address": "10.9.9.9"}},
            ["same address 10.9.9.9", "d-1", "d-2"],
        ),
        ({"pair_a": ("d-1", "d-2")}, {"d-1": {"head": True}, "d-2": {"head": True}}, ["pair_a", "spark_pair_head", "one desk"]),
        ({}, {}, ["no desks", "spark_desks"]),
        ({"pair_a": ("d-1",)}, {"d-1": {"origin": "hosts.yml:7"}}, ["d-1 (hosts.yml:7)"]),
    ],
)
def test_a_broken_inventory_is_refused_by_name(
    pairs: dict[str, tuple[str, ...]], changes: dict[str, dict[str, object]], words: list[str]
) -> None:
    with pytest.raises(InventoryError) as refused:
        stacks_of(view(pairs, **changes))
    for word in words:
        assert word in str(refused.value)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(InventoryError) as refused:
        stacks_of(view({"pair_a": ("d-1",), "pair_b": ("d-2", "d-3", "d-4")}))
    assert len(refused.value.problems) == 2


def test_same_address_on_different_ports_are_different_desks() -> None:
    changes: dict[str, dict[str, object]] = {"d-1": {"address": "h", "port": 22}, "d-2": {"address": "h", "port": 2222}}
    assert stacks_of(view({"pair_a": ("d-1", "d-2")}, **changes))


def test_each_desk_knows_its_place_in_natural_order_and_whether_the_run_may_touch_it() -> None:
    seen = view({"pair_b": ("d-10", "d-9")}, **{"d-2": {}, "d-9": {"out_of_service": True}})
    members = members_of(seen, stacks_of(seen), ["d-2", "d-10"])
    assert list(members) == ["d-2", "d-9", "d-10"]
    assert [(item.stack, item.rank, item.out_of_service, item.in_scope) for item in members.values()] == [
        (None, 0, False, True),
        ("pair_b", 0, True, False),
        ("pair_b", 1, True, True),
    ]
