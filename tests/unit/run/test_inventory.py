from __future__ import annotations

from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_map import natural
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.inventory import (
    HostEntry,
    InventoryError,
    InventoryView,
    members_of,
    stacks_of,
    view_of_inventory,
)
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import RING, SWITCH, Stack

from inventories import begin, hostvars_of


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


@pytest.mark.parametrize(
    ("name", "address", "words"),
    [
        ("*", "10.0.0.66", "'*' is the name or address of a desk"),
        ("d-1,d-2", "10.0.0.66", "'d-1,d-2' is the name"),
        ("d-1 ssh-ed25519 QUFB x", "10.0.0.66", "is the name or address"),
        ("-oProxyCommand=x", "10.0.0.66", "is the name or address"),
        ("d-9", "-oProxyCommand=x", "'-oProxyCommand=x' is the name or address"),
        ("d-9", "[d-1]:22", "is the name or address"),
        ("d-9", "10.0.0.66,10.0.0.1", "is the name or address"),
        ("10.0.0.1", "10.0.0.66", "desk '10.0.0.1' has the address of d-1 ("),
        ("D-1", "10.0.0.66", "d-1 ("),
        ("D-1", "10.0.0.66", "are one name to ssh"),
        ("SPARK-A1B2.local", "10.0.0.66", "has the address of d-2 ("),
        ("fe80:0::2%eth0", "10.0.0.66", "has the address of d-3 ("),
        ("d-9", "fe80:0:0::2%eth0", "have the same address"),
    ],
)
def test_the_key_of_a_desk_is_no_others(name: str, address: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may add a machine to the source of an inventory had the key of that machine trusted for every desk."""
    monkeypatch.chdir(tmp_path)
    desks = {
        "d-1": {"ansible_host": "10.0.0.1"},
        "d-2": {"ansible_host": "spark-a1b2.local"},
        "d-3": {"ansible_host": "fe80::2%eth0"},
    }
    desks[name] = {"ansible_host": address}
    with pytest.raises(AnsibleActionFail) as refused:
        begin("enrol", hostvars_of(tmp_path, {}, desks))
    assert words in str(refused.value) and "no desk was touched" in str(refused.value)


def test_a_wrong_option_is_refused_without_the_secret_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"nccl_bundle_nccl": "https://bob:s3cret@git.lab/x", "spark_webhook": "https://hooks.lab/T0/s3cret"}
    with pytest.raises(AnsibleActionFail) as refused:
        begin("audit", hostvars_of(tmp_path, None, None, None, **given))
    assert all(name in str(refused.value) for name in given) and "s3cret" not in str(refused.value)


@pytest.mark.parametrize("name", ["desk_01", "desk-01.lab.example", "büro-1", "2001:db8::5"])
def test_usual_names_are_taken(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert name in begin("enrol", hostvars_of(tmp_path, {}, {name: {"ansible_host": "fe80::1%eth0"}, "d-2": {}}))["members"]


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
    assert [(item.stack, item.rank, item.out_of_service, item.in_scope, item.left_alone) for item in members.values()] == [
        (None, 0, False, True, False),
        ("pair_b", 0, True, False, True),
        ("pair_b", 1, True, True, False),
    ]


# ---- rings and switches ------------------------------------------------------------------------------------------------


def stacked(topology: str | None, *names: str, **changes: dict[str, object]) -> InventoryView:
    of_group: dict[str, dict[str, object]] = {name: {"topology": topology, **changes.get(name, {})} for name in names}
    return InventoryView(view({}, **of_group).desks, {}, {"lab_a": names})


def test_a_ring_has_three_cables_and_three_paths_and_a_switch_a_path_between_every_two() -> None:
    (ring,) = stacks_of(stacked("ring", "d-2", "d-1", "d-10"))
    assert (ring.topology, ring.members, ring.is_pair) == ("ring", ("d-1", "d-2", "d-10"), False)
    assert [(path.one.desk, path.other.desk) for path in ring.paths] == [("d-1", "d-2"), ("d-1", "d-10"), ("d-2", "d-10")]
    assert len(ring.cables) == 3 and ring.neighbours("d-2") == ("d-1", "d-10")
    (switch,) = stacks_of(stacked("switch", *(f"d-{number}" for number in range(1, 6)), **{"d-4": {"head": True}}))
    assert (switch.topology, switch.head, len(switch.cables), len(switch.paths)) == (SWITCH, "d-4", 5, 10)
    assert len(switch.neighbours("d-1")) == 4


def test_two_desks_of_spark_stacks_without_a_word_are_a_pair() -> None:
    (stack,) = stacks_of(stacked(None, "d-1", "d-2"))
    assert stack == Stack("lab_a", ("d-1", "d-2")) and stack.is_pair


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (stacked("ring", "d-1", "d-2"), ["lab_a", "2 host(s)", "d-1, d-2", "exactly three"]),
        (stacked("ring", "d-1", "d-2", "d-3", "d-4"), ["4 host(s)", "exactly three"]),
        (stacked("switch", "d-1"), ["1 host(s)", "two and more"]),
        (stacked("direct", "d-1", "d-2", "d-3"), ["3 host(s)", "exactly two"]),
        (stacked(None, "d-1", "d-2", "d-3"), ["3 host(s)", "no spark_topology", "ring", "switch"]),
        (stacked(None, "d-1"), ["1 host(s)", "exactly two"]),
        (stacked("mesh", "d-1", "d-2", "d-3"), ["'mesh'", "direct, ring, switch"]),
        (stacked("ring", "d-1", "d-2", "d-3", **{"d-3": {"topology": "switch"}}), ["ring for d-1, d-2", "switch for d-3", "once"]),
        (
            stacked("ring", "d-1", "d-2", **{"d-1": {"topology_origin": "hosts.yml:9", "origin": "hosts.yml:5"}}),
            ["hosts.yml:9", "d-1 (hosts.yml:5)"],
        ),
        (
            InventoryView(view({}, **{"d-1": {}, "d-2": {}, "d-3": {}}).desks, {"pair_a": ("d-1", "d-2")}, {"sw_a": ("d-2", "d-3")}),
            ["d-2", "two stacks", "pair_a", "sw_a"],
        ),
        (
            InventoryView(view({}, **{"d-1": {"topology": "ring"}, "d-2": {"topology": "ring"}}).desks, {"pair_a": ("d-1", "d-2")}),
            ["pair_a of spark_pairs", "spark_topology is ring", "child group of spark_stacks"],
        ),
        (stacked("ring", "d-1", "d-2", "d-3", **{"d-1": {"head": True}, "d-2": {"head": True}}), ["one desk of a stack is the head"]),
    ],
)
def test_a_stack_that_cannot_be_is_refused_by_name(seen: InventoryView, words: list[str]) -> None:
    with pytest.raises(InventoryError) as refused:
        stacks_of(seen)
    for word in words:
        assert word in str(refused.value)


RING_OF = {"ring_a": ("desk-01", "desk-02", "desk-03")}
IN_A_RING = {name: {"ansible_host": f"10.0.0.{number}", "spark_topology": "ring"} for number, name in enumerate(RING_OF["ring_a"], 1)}


def test_a_run_knows_its_ring_also_with_a_limit_to_one_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for scope in (None, ["desk-02"]):
        plan = begin("stack_pair", hostvars_of(tmp_path, {}, IN_A_RING, RING_OF), scope)
        (stack,) = plan["stacks"]
        assert (stack["name"], stack["topology"], stack["members"]) == ("ring_a", RING, ["desk-01", "desk-02", "desk-03"])


GROUP_WORD = """\
spark_stacks:
  children:
    ring_a:
      hosts:
        desk-01: {ansible_host: 10.0.0.1}
        desk-02: {ansible_host: 10.0.0.2}
      vars:
        spark_topology: ring
"""


def test_a_ring_of_two_is_refused_with_the_line_of_its_word(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(GROUP_WORD, encoding="utf-8")
    inventory = InventoryManager(loader=DataLoader(), sources=[str(path)])
    resolved = {host.name: inventory.groups["ring_a"].get_vars() for host in inventory.get_hosts()}
    with pytest.raises(InventoryError) as refused:
        stacks_of(view_of_inventory(inventory, resolved))
    for word in ("group ring_a of spark_stacks has 2 host(s)", "hosts.yml:8", "exactly three"):
        assert word in str(refused.value)


@pytest.mark.parametrize("address", ["10.0.0.5/24", "lab@10.0.0.5", "ssh://10.0.0.5", "10.0.0.5 # rack 4"])
def test_what_is_around_an_address_is_refused_before_any_desk_is_asked(tmp_path: Path, address: str) -> None:
    own = {"desk-01": {"ansible_host": address}, "desk-02": {"ansible_host": "10.0.0.6"}}
    with pytest.raises(AnsibleActionFail) as refused:
        begin("audit", hostvars_of(tmp_path, None, own))
    for word in ("desk-01", repr(address), "192.0.2.11"):
        assert word in str(refused.value)


def test_desks_of_spark_pairs_itself_are_in_no_pair(tmp_path: Path) -> None:
    path = tmp_path / "hosts.ini"
    path.write_text(
        "[spark_pairs]\ndesk-01\ndesk-02\ndesk-03\n[pair_a]\ndesk-01\ndesk-02\n[spark_pairs:children]\npair_a\n", encoding="utf-8"
    )
    inventory = InventoryManager(loader=DataLoader(), sources=[str(path)])
    with pytest.raises(InventoryError) as refused:
        view_of_inventory(inventory, {})
    assert str(refused.value).startswith("desk-03 is in group spark_pairs itself") and "child group" in str(refused.value)
    path.write_text(path.read_text(encoding="utf-8").replace("desk-03\n", "", 1), encoding="utf-8")
    assert view_of_inventory(InventoryManager(loader=DataLoader(), sources=[str(path)]), {}).pairs == {"pair_a": ("desk-01", "desk-02")}
