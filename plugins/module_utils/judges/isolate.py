# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of cable, desk or port is to blame for a bad pair: what to move next, and what the measurements so far say. Pure.

Every trial changes one thing: the suspect cable stays in use and one of its ends goes into a desk that is known to be good. A trial
counts only after both desks were started with the cable in, because a plug that was moved while a desk runs makes any link slow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

AS_IT_IS, GOOD_FOR_PEER, GOOD_FOR_HEAD, OTHER_PORT = "as_it_is", "good_for_peer", "good_for_head", "other_port"
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


@dataclass(frozen=True)
class Move:
    """What to do next, or what was found out."""

    done: bool
    kind: str = ""
    desks: tuple[str, str] = ("", "")
    ports: Mapping[str, int] = field(default_factory=dict)
    instruction: str = ""
    blame: str = ""
    """none, cable, desk NAME, port N of NAME, or inconclusive"""
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
            "none", "Now that both desks were started with the cable in, the pair is good: a plug had been moved while a desk was running."
        )
    if GOOD_FOR_PEER not in results:
        return _swap(what, GOOD_FOR_PEER, what.peer, what.peer_port, what.head, what.head_port)
    if results[GOOD_FOR_PEER] == PASS:
        # Head and cable are good with another partner.
        return _blamed(what, what.peer, what.peer_port, what.head, what.head_port, results)
    if GOOD_FOR_HEAD not in results:
        return _swap(what, GOOD_FOR_HEAD, what.head, what.head_port, what.peer, what.peer_port)
    if results[GOOD_FOR_HEAD] == PASS:
        return _blamed(what, what.head, what.head_port, what.peer, what.peer_port, results)
    return _found(
        "cable",
        f"The cable is bad with {what.head} and with {what.peer}, each time against {what.good}, a known good desk: replace the cable.",
    )


def _as_it_is(what: Suspects) -> Move:
    text = (
        f"Leave the cable between {what.head} (port {what.head_port}) and {what.peer} (port {what.peer_port}) as it is, pushed in "
        "firmly at both ends. Both desks will be restarted with the cable in."
    )
    return Move(False, AS_IT_IS, (what.head, what.peer), {what.head: what.head_port, what.peer: what.peer_port}, text)


def _swap(what: Suspects, kind: str, out: str, out_port: int, stays: str, stays_port: int) -> Move:
    back = "" if kind == GOOD_FOR_PEER else f"Put the end of the suspect cable that is in {what.good} back into {what.peer}. Then: "
    text = (
        f"{back}Pull the suspect cable out of {out} (port {out_port}) and put that end into {what.good}, port {what.good_port} (unplug "
        f"what is there and note where it was). The other end stays in {stays} (port {stays_port}). {stays} and {what.good} will be "
        "restarted with the cable in."
    )
    return Move(False, kind, (stays, what.good), {stays: stays_port, what.good: what.good_port}, text)


def _blamed(what: Suspects, desk: str, port: int, partner: str, partner_port: int, results: Mapping[str, str]) -> Move:
    """A desk is at fault: its other port tells whether the port or the desk is."""
    other = 1 - port
    if OTHER_PORT not in results:
        text = (
            f"Put the end of the suspect cable that is in {what.good} into {desk}, port {other} (not the port used before). The other "
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
