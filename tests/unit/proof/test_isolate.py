"""Who is to blame: every way through the swaps."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.isolate import (
    AS_IT_IS,
    FAIL,
    GOOD_FOR_HEAD,
    GOOD_FOR_PEER,
    OTHER_PORT,
    PASS,
    UNKNOWN,
    WITHOUT_SWITCH,
    Suspects,
    Trial,
    advance,
)

WHAT = Suspects("desk-01", "desk-02", "desk-03", 0, 0, 1)


def world(sick: str, kind: str) -> str:
    """What a trial measures when one thing is sick: cable, head, peer, head_port, peer_port, none."""
    uses = {
        AS_IT_IS: {"cable", "head", "peer", "head_port", "peer_port"},
        GOOD_FOR_PEER: {"cable", "head", "head_port"},
        GOOD_FOR_HEAD: {"cable", "peer", "peer_port"},
    }
    if kind == OTHER_PORT:
        return FAIL if sick in ("head", "peer", "cable") else PASS
    return FAIL if sick in uses[kind] else PASS


@pytest.mark.parametrize(
    ("sick", "blame", "trials"),
    [
        ("none", "none", 1),
        ("cable", "cable", 3),
        ("peer", "desk desk-02", 3),
        ("peer_port", "port 0 of desk-02", 3),
        ("head", "desk desk-01", 4),
        ("head_port", "port 0 of desk-01", 4),
    ],
)
def test_the_culprit_is_found(sick: str, blame: str, trials: int) -> None:
    done: list[Trial] = []
    for _trial in range(6):
        move = advance(WHAT, done)
        if move.done:
            break
        assert move.instruction and len(move.ports) == 2
        done.append(Trial(move.kind, world(sick, move.kind)))
    assert (move.blame, len(done)) == (blame, trials)
    assert move.conclusion


SWITCHED = Suspects("desk-01", "desk-02", "desk-03", 0, 0, 1, on_switch=True)


@pytest.mark.parametrize(
    ("sick", "blame", "trials"),
    [
        ("none", "none", 1),
        ("switch", "switch port of desk-01", 2),
        ("cable", "cable", 3),
        ("head", "desk desk-01", 4),
        ("head_port", "port 0 of desk-01", 4),
    ],
)
def test_the_culprit_at_a_switch_is_found(sick: str, blame: str, trials: int) -> None:
    uses = {
        AS_IT_IS: {"switch", "cable", "head", "head_port"},
        WITHOUT_SWITCH: {"cable", "head", "head_port"},
        GOOD_FOR_HEAD: {"cable"},
        OTHER_PORT: {"cable", "head"},
    }
    # Where the two ends of the suspect cable are, by what was told.
    ends = {"desk-01": 0, "the switch": None}
    done: list[Trial] = []
    for _trial in range(6):
        move = advance(SWITCHED, done)
        if move.done:
            break
        if move.kind != AS_IT_IS:
            (new,) = [desk for desk in move.desks if ends.get(desk, "") != move.ports[desk]]
            (gone,) = set(ends) - {desk for desk in move.desks if ends.get(desk, "") == move.ports[desk]}
            assert gone in move.instruction and f"into {new}, port {move.ports[new]}" in move.instruction
            ends = dict(move.ports)
        done.append(Trial(move.kind, FAIL if sick in uses[move.kind] else PASS))
    assert (move.blame, len(done)) == (blame, trials)


def test_a_trial_without_the_reboot_is_inconclusive() -> None:
    assert advance(WHAT, [Trial(AS_IT_IS, PASS, rebooted=False)]).blame == "inconclusive"


def test_a_trial_that_was_not_measured_is_inconclusive() -> None:
    move = advance(WHAT, [Trial(AS_IT_IS, FAIL), Trial(GOOD_FOR_PEER, UNKNOWN, codes=("PAIR_TRUST_BROKEN",))])
    assert move.blame == "inconclusive" and "PAIR_TRUST_BROKEN" in move.conclusion


def test_each_move_names_the_ports_that_are_used() -> None:
    swap = advance(WHAT, [Trial(AS_IT_IS, FAIL)])
    assert (swap.desks, dict(swap.ports)) == (("desk-01", "desk-03"), {"desk-01": 0, "desk-03": 1})
    other = advance(WHAT, [Trial(AS_IT_IS, FAIL), Trial(GOOD_FOR_PEER, PASS)])
    assert (other.desks, dict(other.ports)) == (("desk-01", "desk-02"), {"desk-01": 0, "desk-02": 1})


@pytest.mark.parametrize("what", [WHAT, SWITCHED])
def test_no_way_through_the_trials_is_without_an_end(what: Suspects) -> None:
    for verdicts in itertools.product((PASS, FAIL, UNKNOWN), repeat=5):
        done: list[Trial] = []
        for verdict in verdicts:
            move = advance(what, done)
            if move.done:
                break
            done.append(Trial(move.kind, verdict))
        assert advance(what, done).done
