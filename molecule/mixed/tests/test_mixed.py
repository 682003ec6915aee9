"""Two pairs, a ring and a switch in one run: from bare to PASS, nothing the second time, one sick stack leaves the others alone."""

from __future__ import annotations

from cables import Run, executions, moment, recable

STACKS = {"pair_a": ("direct", 2), "pair_b": ("direct", 2), "ring_a": ("ring", 3), "switch_a": ("switch", 3)}


def test_all_topologies_in_one_run() -> None:
    first = Run("stack.yml", seconds=2400)
    assert first.rc == 0, first.output
    for name, (topology, members) in STACKS.items():
        stack = first.pairs[name]
        assert (stack["verdict"], stack["topology"], len(stack["members"])) in (("PASS", topology, members), ("WARN", topology, members))
        assert stack["rdma"]["measured"] and stack["nccl"]["measured"] and stack["nccl"]["transport"] == "IB", first.output
    since = {item["desk"]: moment(item["desk"]) for name in STACKS for item in first.pairs[name]["members"]}
    again = Run("stack.yml", reports=first.reports, seconds=2400)
    assert again.rc == 0 and not any(stage["changed"] for desk in again.desks.values() for stage in desk["stages"].values()), again.output
    # A member of a ring or on a switch costs no more executions than one of a pair.
    spent = {name: [len(executions(item["desk"], since[item["desk"]])) for item in again.pairs[name]["members"]] for name in STACKS}
    assert max(max(spent[name]) for name in ("ring_a", "switch_a")) <= max(spent["pair_a"]), spent


def test_an_open_ring_leaves_the_other_stacks_proven() -> None:
    recable(cable_5=("desk-07/0", None))
    try:
        told = Run("stack.yml", seconds=2400)
        assert told.rc != 0 and told.pairs["ring_a"]["verdict"] != "PASS", told.output
        assert {told.pairs[name]["verdict"] for name in STACKS if name != "ring_a"} <= {"PASS", "WARN"}, told.output
    finally:
        recable(cable_5=("desk-07/0", "desk-05/1"))
