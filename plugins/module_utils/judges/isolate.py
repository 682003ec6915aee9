# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of cable, desk or port is to blame for a bad path: what to move next, and what the measurements so far say. Pure.

Every trial changes one thing: the suspect cable stays in use and one of its ends goes into a desk that is known to be good. Of a switch,
the suspect cable is that of the first desk; without the switch in between it is one like any other. A trial
counts only after both desks were started with the cable in, because a plug that was moved while a desk runs makes any link slow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

AS_IT_IS, GOOD_FOR_PEER, GOOD_FOR_HEAD, OTHER_PORT = "as_it_is", "good_for_peer", "good_for_head", "other_port"
WITHOUT_SWITCH = "without_switch"
PASS, FAIL, UNKNOWN = "PASS", "FAIL", "UNKNOWN"


@dataclass(frozen=True)
class Trial:
    """One measurement after one move."""

    kind: str
    verdict: str
    """PASS, FAIL or UNKNOWN; a warning counts as PASS."""
    rebooted: bool = True
    """Whether both desks were started with the cable in."""
    codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suspects:
    """What is known before the first trial."""

    head: str
    peer: str
    good: str
    head_port: int
    peer_port: int
    good_port: int
    on_switch: bool = False
    """Whether head and peer are joined by a switch; the head is then the suspect."""


@dataclass(frozen=True)
class Move:
    """What to do next, or what was found out."""

    done: bool
    kind: str = ""
    desks: tuple[str, str] = ("", "")
    ports: Mapping[str, int] = field(default_factory=dict)
    instruction: str = ""
    blame: str = ""
    """none, cable, desk NAME, port N of NAME, switch port of NAME, or inconclusive"""
    conclusion: str = ""


def advance(what: Suspects, trials: Sequence[Trial]) -> Move:
    """The next move after some trials, or the conclusion."""
    results: dict[str, str] = {}
    for trial in trials:
        if not trial.rebooted:
            return _found("inconclusive", f"The trial '{trial.kind}' was measured without restarting both desks, so it proves nothing.")
        if trial.verdict == UNKNOWN:
            return _found(
                "inconclusive", f"The trial '{trial.kind}' could not be measured ({', '.join(trial.codes) or 'no reason given'})."
            )
        results[trial.kind] = FAIL if trial.verdict == FAIL else PASS
    if AS_IT_IS not in results:
        return _as_it_is(what)
    if results[AS_IT_IS] == PASS:
        return _found(
            "none",
            "Now that both desks were started with the cable in, the path is good: a plug had been moved while a desk was running.",
        )
    if what.on_switch:
        return _at_a_switch(what, results)
    if GOOD_FOR_PEER not in results:
        return _swap(what, GOOD_FOR_PEER, what.peer, what.peer_port, what.head, what.head_port)
    if results[GOOD_FOR_PEER] == PASS:
        # Head and cable are good with another partner.
        return _blamed(what.good, what.peer, what.peer_port, (what.head, what.head_port), results)
    if GOOD_FOR_HEAD not in results:
        return _swap(what, GOOD_FOR_HEAD, what.head, what.head_port, what.peer, what.peer_port)
    if results[GOOD_FOR_HEAD] == PASS:
        return _blamed(what.good, what.head, what.head_port, (what.peer, what.peer_port), results)
    return _bad_cable(what)


def _at_a_switch(what: Suspects, results: Mapping[str, str]) -> Move:
    """The first desk's cable without the switch, then without the first desk."""
    head, peer, good = what.head, what.peer, what.good
    if WITHOUT_SWITCH not in results:
        text = (
            f"Pull the cable of {head} (port {what.head_port}) out of the switch and put that end into {good}, port {what.good_port} "
            f"(unplug what is there and note where it was). The other end stays in {head}. Both desks will be restarted with the cable in."
        )
        return Move(False, WITHOUT_SWITCH, (head, good), {head: what.head_port, good: what.good_port}, text)
    if results[WITHOUT_SWITCH] == PASS:
        return _found(
            f"switch port of {head}",
            f"{head} and its cable are good without the switch: look at the settings of the switch's port that the cable was in (speed, "
            "MTU, VLAN, bridge), then use another port.",
        )
    if GOOD_FOR_HEAD not in results:
        text = (
            f"Pull the suspect cable out of {head} (port {what.head_port}) and put that end into {peer}, port {what.peer_port} (unplug "
            f"what is there and note where it was). The other end stays in {good} (port {what.good_port}). {peer} and {good} will be "
            "restarted with the cable in."
        )
        return Move(False, GOOD_FOR_HEAD, (peer, good), {peer: what.peer_port, good: what.good_port}, text)
    if results[GOOD_FOR_HEAD] == PASS:
        return _blamed(peer, head, what.head_port, (good, what.good_port), results)
    return _bad_cable(what)


def _bad_cable(what: Suspects) -> Move:
    return _found(
        "cable",
        f"The cable is bad with {what.head} and with {what.peer}, each time against {what.good}, a known good desk: replace the cable.",
    )


def _as_it_is(what: Suspects) -> Move:
    cable = (
        f"cables of {what.head} (port {what.head_port}) and {what.peer} (port {what.peer_port}) in the switch"
        if what.on_switch
        else f"cable between {what.head} (port {what.head_port}) and {what.peer} (port {what.peer_port}) as it is"
    )
    text = f"Leave the {cable}, pushed in firmly at both ends. Both desks will be restarted with the cable in."
    return Move(False, AS_IT_IS, (what.head, what.peer), {what.head: what.head_port, what.peer: what.peer_port}, text)


def _swap(what: Suspects, kind: str, out: str, out_port: int, stays: str, stays_port: int) -> Move:
    back = "" if kind == GOOD_FOR_PEER else f"Put the end of the suspect cable that is in {what.good} back into {what.peer}. Then: "
    text = (
        f"{back}Pull the suspect cable out of {out} (port {out_port}) and put that end into {what.good}, port {what.good_port} (unplug "
        f"what is there and note where it was). The other end stays in {stays} (port {stays_port}). {stays} and {what.good} will be "
        "restarted with the cable in."
    )
    return Move(False, kind, (stays, what.good), {stays: stays_port, what.good: what.good_port}, text)


def _blamed(holder: str, desk: str, port: int, stays: tuple[str, int], results: Mapping[str, str]) -> Move:
    """A desk is at fault: its other port tells whether the port or the desk is. ``holder`` holds the end that goes there."""
    other, (partner, partner_port) = 1 - port, stays
    if OTHER_PORT not in results:
        text = (
            f"Put the end of the suspect cable that is in {holder} into {desk}, port {other} (not the port used before). The other "
            f"end stays in {partner} (port {partner_port}). Both desks will be restarted with the cable in."
        )
        return Move(False, OTHER_PORT, (partner, desk), {partner: partner_port, desk: other}, text)
    if results[OTHER_PORT] == PASS:
        return _found(
            f"port {port} of {desk}", f"{desk} is good on port {other} and bad on port {port}: use port {other} and ask for a repair."
        )
    return _found(f"desk {desk}", f"{desk} is bad on both ports with a good cable and a good partner: ask for a repair.")


def _found(blame: str, text: str) -> Move:
    return Move(True, blame=blame, conclusion=text)
