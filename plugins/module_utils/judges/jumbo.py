# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the other desk answers packets of the link's whole MTU, and whether it is the other desk that answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..model.finding import Finding, Where
from ..model.jumbo import JumboAnswer
from .catalogue import finding

STANDARD = 1500


OF_A_SWITCH = (
    "On the switch set the largest MTU that its ports take (at least 9216 bytes; l2mtu 9216 on a MikroTik) on the ports of all desks, "
    "then run "
    "again; or set pair_link_mtu to 1500 for the whole stack."
)
"""A switch drops what is larger than its own MTU, which by default is 1500 on most."""


def judge_jumbo(pair: str, answers: Iterable[JumboAnswer], macs: Mapping[str, Iterable[str]], topology: str = "direct") -> list[Finding]:
    """Findings of a pair's full-size pings. ``macs``: desk to the MACs of its ConnectX-7 functions."""
    found = []
    on_a_switch = topology == "switch"
    for item in answers:
        where = Where(pair=pair, desk=item.desk, function=item.netdev)
        evidence = {"address": item.address, "mtu": item.mtu, "mac": item.mac, "small_answered": item.small, "error": item.error}
        theirs = {mac.lower() for mac in macs.get(item.other, ())}
        if item.mac is not None and theirs and item.mac.lower() not in theirs:
            message = f"{item.address} on {item.netdev} is answered by {item.mac}, which is not a function of {item.other}."
            found.append(finding("CX7_ADDRESS_TAKEN", where, message, evidence=evidence))
        if item.full is None:
            message = f"Could not test whether {item.other} answers a full-size ping on {item.netdev} ({item.error})."
            found.append(finding("CX7_JUMBO_PING_FAILED", where, message, severity="unknown", evidence=evidence))
        elif not item.full and item.small and item.mtu > STANDARD:
            why = "the switch's MTU, or its own, is smaller" if on_a_switch else "its MTU is smaller"
            message = f"{item.other} answers small packets on {item.netdev}, but none of {item.mtu} bytes: {why}."
            remedy = OF_A_SWITCH if on_a_switch else None
            found.append(finding("CX7_MTU_MISMATCH", where, message, severity="fail", evidence=evidence, remedy=remedy))
        elif not item.full:
            who = f"{item.mac} has the address" if item.mac else "no machine has the address"
            message = f"{item.other} ({item.address}) does not answer a ping of {item.mtu} bytes on {item.netdev}; {who}."
            found.append(finding("CX7_JUMBO_PING_FAILED", where, message, evidence=evidence))
    return found
