# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each playbook requires for a verdict: the one table. A required check without a result makes UNKNOWN."""

from __future__ import annotations

from dataclasses import dataclass

DESK, PAIR = "desk", "pair"


@dataclass(frozen=True)
class Check:
    """One required check: the stage whose part must be there, and a key of its data that must be true."""

    name: str
    stage: str
    scope: str
    key: str | None = None
    title: str = ""


ENROL = Check("enrol", "enrol", DESK, title="the desk was entered with a proven host key and key login")
FACTS = Check("facts", "facts", DESK, title="the desk's facts were read")
DRIVER = Check("driver", "driver", DESK, title="the driver was compared with the lock")
CABLE = Check("cable", "cable_map", PAIR, key="proven", title="the cable was seen to join the pair's two desks")
LINK = Check("link", "link", DESK, title="the link is configured as wanted")
RDMA = Check("rdma", "rdma", PAIR, key="measured", title="RDMA was measured in both directions")
NCCL = Check("nccl", "nccl", PAIR, key="measured", title="NCCL ran across the pair and its transport was proven")

REQUIRED: dict[str, tuple[Check, ...]] = {
    "enrol": (ENROL,),
    "stack_pair": (FACTS, DRIVER, CABLE, LINK, RDMA, NCCL),
    "onboard": (FACTS, DRIVER),
    "audit": (FACTS,),
    "cable_map": (FACTS, CABLE),
    "unstack_pair": (),
}
"""Playbook to the checks that it requires. A desk in no pair is judged by the desk checks alone."""


def required(playbook: str) -> tuple[Check, ...]:
    """The required checks of a playbook; the facts for one that is not listed."""
    return REQUIRED.get(playbook, (FACTS,))


STOPS_DESK = frozenset(
    {
        "AUTH_FAILED",
        "BECOME_FAILED",
        "DESK_IDENTITY_WRONG",
        "DESK_NOT_AARCH64",
        "DESK_NOT_GB10",
        "DESK_UNREACHABLE",
        "DGX_RELEASE_MISSING",
        "FIRST_BOOT_UPGRADE_PENDING",
        "OOBE_PENDING",
    }
)
"""Failing findings after which nothing more is done on a desk. Others (a wrong driver) still let desk stages mend it;
any failing finding keeps the desk's pair from being linked and measured."""
