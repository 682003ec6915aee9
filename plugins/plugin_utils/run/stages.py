# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of a run and what each playbook requires for a verdict: the one table of each.

A playbook names a stage (variable ``spark_stage`` of an imported role) and nothing else; who takes part, what stops it and where its
result goes stands here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

DESK = "desk"
"""Every desk by itself; only what makes a desk unusable stops it."""
MEMBER = "member"
"""Every member of a stack, where no member has failed."""
UNIT = "unit"
"""Every member of a stack, where no member has failed; a desk in no stack alone."""
STACK = "stack"
"""Once for a stack, on its head, where no member has failed."""

EVERYTHING = frozenset({"*"})
"""As ``despite``: no failing finding keeps the stage from running."""


@dataclass(frozen=True)
class Stage:
    """One stage: a role's entry point, run for each desk or stack, whose result is a part of the run."""

    name: str
    role: str
    """Empty for a judgement on the controller, which is no role."""
    scope: str = DESK
    entry: str = "main"
    part: str = ""
    """Name under which the result is kept; the stage's own where empty. Facts that are read again replace the first ones."""
    despite: frozenset[str] = frozenset()
    """Stages whose failing findings do not keep this one from running."""
    waves: bool = False
    """Whether it can cost a desk its network, so that it goes in waves."""
    after_change: bool = False
    """Runs only where a stage of this run changed the desk."""
    needs: str = ""
    """The stage that it judges: it is left out together with it."""
    always: bool = False
    """Whether it runs also where the admin wants other stages only."""
    asked_by: str = ""
    """A judgement on the controller that must have found something ``todo`` for the desk; elsewhere the stage is left out."""
    meeting: bool = False
    """Whether its desks wait for each other, so that none of them may be kept waiting for the controller's load to fall."""
    past: bool = False
    """A picture from before a change: what it finds is told as a note, and stops nothing."""

    @property
    def kept_as(self) -> str:
        """The name of its part."""
        return self.part or self.name


REPAIRED = frozenset({"facts"})
"""An update may be what mends a desk (a driver that does not fit), and it takes up one that was cut off."""

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("enrol", "desk_enrol"),
        Stage("facts", "desk_facts", always=True),
        Stage("dgx_os", "dgx_os"),
        Stage("driver", "driver_lock"),
        Stage("persistence", "persistenced"),
        Stage("containers", "desk_containers"),
        Stage("workload", "workload_check"),
        Stage("reboot", "desk_reboot", waves=True),
        Stage("tools", "pair_tools"),
        Stage("keys", "pair_trust", entry="keys"),
        Stage("cable", "cable_check", meeting=True),
        Stage("link", "pair_link", MEMBER, waves=True, meeting=True),
        Stage("facts_again", "desk_facts", part="facts", after_change=True, always=True),
        Stage("trust", "pair_trust", MEMBER),
        Stage("bundle_build", "nccl_bundle", MEMBER, entry="build"),
        Stage("bundle", "nccl_bundle", MEMBER, entry="install"),
        Stage("rdma", "pair_proof", STACK, entry="rdma"),
        # A slow link is measured with NCCL too; nccl_pair itself refuses where RDMA was not measured.
        Stage("nccl", "pair_proof", STACK, entry="nccl", despite=frozenset({"rdma"})),
        # Settings of an earlier proof are withdrawn when anything failed this time.
        Stage("settings", "pair_settings", MEMBER, despite=EVERYTHING),
        Stage("settings_absent", "pair_settings", entry="absent", part="settings"),
        Stage("trust_absent", "pair_trust", entry="absent", part="trust"),
        Stage("link_absent", "pair_link", entry="absent", part="link", meeting=True),
        Stage("bundle_absent", "nccl_bundle", entry="absent", part="bundle"),
        Stage("tools_absent", "pair_tools", entry="absent", part="tools"),
        # An update: what is measured right before it is a picture to hold the proof against.
        Stage("update_plan", "desk_update", entry="plan", despite=frozenset({"facts"})),
        Stage("rdma_before", "pair_proof", STACK, entry="rdma", asked_by="update_targets", past=True),
        Stage("nccl_before", "pair_proof", STACK, entry="nccl", asked_by="update_targets", past=True),
        Stage("settings_withdrawn", "pair_settings", UNIT, entry="absent", despite=REPAIRED, asked_by="update_targets"),
        Stage("lock_open", "driver_lock", UNIT, despite=REPAIRED, asked_by="update_targets"),
        Stage("update", "desk_update", UNIT, despite=REPAIRED, waves=True, asked_by="update_targets"),
        # Whatever went wrong, holds are not left open.
        Stage("lock_closed", "driver_lock", UNIT, part="driver", despite=EVERYTHING),
        Stage("update_end", "desk_update", UNIT, entry="prove", despite=EVERYTHING),
        Stage("lock_open_back", "driver_lock", UNIT, despite=EVERYTHING),
        Stage("roll_back", "desk_update", UNIT, entry="roll_back", despite=EVERYTHING),
        # Judgements on the controller, about all desks together.
        Stage("update_targets", "", needs="update_plan"),
        Stage("together", ""),
        Stage("cable_map", "", needs="cable"),
        Stage("enrol_pairs", ""),
    )
}

NUMBERED = re.compile(r"_[0-9]+$")


def stage_of_part(name: str) -> str:
    """The stage behind a part: calibrate.yml keeps a measurement that it repeats as ``rdma_1``, ``rdma_2``."""
    return NUMBERED.sub("", name)


@dataclass(frozen=True)
class Check:
    """One required check: the stage whose part must be there, and a key of its data that must be true."""

    name: str
    stage: str
    scope: str
    """DESK, or STACK for one that only a whole stack can pass."""
    key: str | None = None
    title: str = ""


ENROL = Check("enrol", "enrol", DESK, title="the desk was reached with a proven host key and key login")
FACTS = Check("facts", "facts", DESK, title="the desk's facts were read")
DRIVER = Check("driver", "driver", DESK, title="the driver was compared with the lock")
CABLE = Check("cable", "cable_map", STACK, key="proven", title="the cable was seen to join the pair's two desks")
LINK = Check("link", "link", DESK, title="the link is configured as wanted")
UNLINKED = Check("link", "link", DESK, title="what stacking left was taken away")
UNLOCKED = Check("driver", "driver", DESK, title="the driver lock was taken away")
RDMA = Check("rdma", "rdma", STACK, key="measured", title="RDMA was measured in both directions")
WORKLOAD = Check("workload", "workload", DESK, title="the workload was checked against the desk")
UPDATE_PLAN = Check("update_plan", "update_plan", DESK, title="what an update would do was checked")
ROLL_BACK = Check("roll_back", "roll_back", DESK, title="the last update was undone")
NCCL = Check("nccl", "nccl", STACK, key="measured", title="NCCL ran across the pair and its transport was proven")


@dataclass(frozen=True)
class Playbook:
    """What a playbook wants of a run."""

    name: str
    purpose: str = "audit"
    """What the facts are judged for, see `module_utils.judges.options`."""
    required: tuple[Check, ...] = (FACTS,)
    """Checks without which there is no verdict. A desk in no stack is judged by the desk checks alone."""
    needs_stacks: bool = False
    despite: frozenset[str] = frozenset()
    """Stages whose failing findings stop no stage of this playbook."""
    follows: str = ""
    """Stage whose waves every stage follows once they are chosen: a wave then is a stack's whole way."""
    proven_by: str = ""
    """Stage that must have ended well for a wave's desks before the next wave begins, where stages follow one."""
    removes: tuple[str, ...] = ()
    """The stages that take something away: without any of them nothing is removed, whatever else went well."""
    compares: bool = False
    """Whether it judges all desks together, and each against the baseline where one is wished for."""


PLAYBOOKS: dict[str, Playbook] = {
    playbook.name: playbook
    for playbook in (
        Playbook("enrol", required=(ENROL,)),
        Playbook("stack_pair", "stack", (FACTS, DRIVER, CABLE, LINK, RDMA, NCCL), needs_stacks=True, compares=True),
        Playbook("onboard", "onboard", (FACTS, DRIVER)),
        Playbook("audit", compares=True),
        Playbook("cable_map", required=(FACTS, CABLE)),
        Playbook("unstack_pair", required=(UNLINKED,), removes=tuple(name for name in STAGES if name.endswith("_absent"))),
        Playbook("check_workload", required=(FACTS, WORKLOAD)),
        Playbook("unlock_driver", required=(FACTS, UNLOCKED), removes=("driver",)),
        Playbook("lock_from"),
        Playbook("update_plan", "update", (FACTS, UPDATE_PLAN)),
        Playbook(
            "update",
            "update",
            (FACTS, UPDATE_PLAN, DRIVER, CABLE, LINK, RDMA, NCCL),
            follows="update",
            proven_by="update_end",
            compares=True,
        ),
        Playbook("rollback_update", "update", (FACTS, ROLL_BACK, DRIVER, CABLE, LINK, RDMA, NCCL), compares=True),
        # What is being calibrated or isolated must not stop it.
        Playbook("calibrate", needs_stacks=True, despite=frozenset({"facts", "rdma", "nccl"})),
        Playbook("isolate", needs_stacks=True, despite=frozenset({"facts", "tools", "keys", "link"})),
    )
}


def is_wanted(stage: Stage, only: Sequence[str] | None) -> bool:
    """Whether a stage runs where the admin wants these stages only (null: all)."""
    return only is None or stage.always or (not stage.role and not stage.needs) or (stage.needs or stage.name) in only


def required(name: str, only: Sequence[str] | None = None) -> tuple[Check, ...]:
    """The checks that a verdict of a playbook needs; those of stages that nobody wanted are not asked for."""
    return tuple(check for check in playbook(name).required if is_wanted(STAGES[check.stage], only))


def playbook(name: str) -> Playbook:
    """What a playbook wants; one that is not listed requires the facts."""
    return PLAYBOOKS.get(name) or Playbook(name)


STOPS_DESK = frozenset(
    {
        "AUTH_FAILED",
        "BECOME_FAILED",
        "DESK_ANSWER_INVALID",
        "DESK_IDENTITY_WRONG",
        "DESK_NOT_AARCH64",
        "DESK_NOT_GB10",
        "DESK_UNREACHABLE",
        "DGX_RELEASE_MISSING",
        "FIRST_BOOT_UPGRADE_PENDING",
        "OOBE_PENDING",
    }
)
"""Failing findings after which nothing more is done on a desk. Others (a wrong driver) still let desk stages repair it;
any failing finding keeps the desk's stack from being linked and measured."""
