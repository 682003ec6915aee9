# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything an admin may wish that a judge, a gate or more than one stage reads: the one list.

A wish that only one module reads is an option of that module and a variable of its role; ``tools/check_wants.py`` holds both kinds
against the roles' defaults, their argument_specs and the modules' documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ...module_utils.judges.options import PURPOSES, JudgeOptions
from ..secret_shapes import cut

_JUDGE = JudgeOptions()
VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,3}")


class WantError(ValueError):
    """A variable has a value that it cannot have; the text is for the admin."""


def without_secrets(text: str) -> str:
    """What is said of a wrong value, without tokens and passwords; a link ends behind its host, since the rest may be as good as one."""
    return cut(re.sub(r"(://[^/\s'\"]+)/[^\s'\"]+", r"\1/...", text))


@dataclass(frozen=True)
class Want:
    """One wish."""

    variable: str
    """What the admin sets, in the inventory or with ``-e``."""
    type: str
    """As in Ansible's argument specs."""
    default: Any
    description: str
    judge: str = ""
    """Field of `JudgeOptions` that it becomes; empty for one that no judge reads."""
    role: str = ""
    """Role in whose defaults and argument_specs it stands; empty for a variable of the inventory or of a playbook."""
    choices: tuple[Any, ...] = ()
    elements: str = ""
    is_version: bool = False
    """Whether the text must be a version: one that nothing can be compared with would make a finding disappear."""

    def read(self, variables: Mapping[str, Any], where: str = "") -> Any:
        """The wish among a desk's (resolved) variables, converted to its type; the default where it is not set.

        Empty text means not set, except where the wish is a text. Raises WantError.
        """
        value = variables.get(self.variable)
        if value is None or (value == "" and self.type != "str"):
            return self.default
        spec: dict[str, Any] = {"type": self.type}
        if self.choices:
            spec["choices"] = list(self.choices)
        if self.elements:
            spec["elements"] = self.elements
        told = ArgumentSpecValidator({self.variable: spec}).validate({self.variable: value})
        if told.error_messages:
            at = f"{where}: " if where else ""
            raise WantError(without_secrets(f"{at}{self.variable} is {value!r}: {'; '.join(told.error_messages)}"))
        wish = told.validated_parameters[self.variable]
        if self.is_version and not VERSION.fullmatch(wish):
            at = f"{where}: " if where else ""
            raise WantError(f"{at}{self.variable} is {value!r}; a version such as {self.default} was expected")
        return wish


PAIR_HEAD = Want(
    "spark_pair_head",
    "bool",
    None,
    "Whether this desk is the head of its pair. Without it, the head is the first desk in natural name order.",
)
OUT_OF_SERVICE = Want(
    "spark_out_of_service",
    "bool",
    False,
    "Keeps a desk listed and leaves it alone: nothing is read from it or done on it, and its stack is skipped; the report says so.",
)
TOPOLOGY = Want(
    "spark_topology",
    "str",
    None,
    "How the desks of a child group of C(spark_stacks) are joined, set for the whole group. C(direct) is two desks and one cable, C(ring) "
    "three desks and three cables, C(switch) two desks and more with one cable each to a switch. Two desks without it are C(direct).",
)
SSH_PORT = Want(
    "spark_ssh_port",
    "int",
    None,
    "Port of the desk's sshd as the other desk of its pair reaches it. Defaults to C(ansible_port): set it where that is the port of a "
    "gateway in between.",
)
STACK_MEMBERS = Want(
    "spark_stack_members",
    "list",
    None,
    "Names of all desks of the stack that this desk is in. The inventory plugins desks and slices set it, so that an inventory of which a "
    "part is missing (a slice of a job) is known from a wrong one.",
    elements="str",
)
WAVES = Want(
    "spark_waves",
    "raw",
    None,
    "How many stacks take part in each wave of a stage that can cost a desk its network, as numbers or percentages; the last entry "
    "repeats.",
)
ONLY_STAGES = Want(
    "spark_stages",
    "list",
    None,
    "The only stages to run, such as rdma and nccl for a nightly proof that changes nothing; the facts are always read.",
    elements="str",
)
REPORT_DIR = Want(
    "spark_report_dir",
    "path",
    "reports",
    "Folder on the controller in which each run gets a folder of its own; relative to the working directory.",
)
KNOWN_HOSTS = Want("spark_known_hosts", "path", None, "File of the host keys that enrolment proved, on the controller.")
PURPOSE = Want(
    "desk_facts_purpose",
    "str",
    "",
    "What the facts are judged for. This decides which unread facts are unknown and which wanted states are only notes. C(stack) is "
    "before the link is configured, C(stacked) after it. Empty means what the playbook wants, or C(audit) without one.",
    role="desk_facts",
    choices=("", *PURPOSES),
)
TAKE_OVER = Want(
    "pair_link_take_over",
    "bool",
    _JUDGE.take_over,
    "Whether other files that configure the same interfaces are set aside (unstack_pair.yml restores them).",
    judge="take_over",
    role="pair_link",
)
LINK_MTU = Want(
    "pair_link_mtu",
    "int",
    9000,
    "MTU in bytes of both functions. Set it for the pair, never for one desk.",
    role="pair_link",
    choices=(1500, 9000),
)
LINK_ADDRESSES = Want(
    "pair_link_addresses",
    "str",
    "static",
    "Where the addresses of a stack on a switch come from. C(static) computes them from the numbers below, C(dhcp) takes those of the "
    "switch's DHCP server, which must give the two functions of a port addresses in different subnets. Set it for the whole stack; on a "
    "direct cable (pairs, rings) there is no DHCP server.",
    role="pair_link",
    choices=("static", "dhcp"),
)
BASELINE = Want(
    "audit_baseline", "raw", None, "A desk in the inventory, or a file of facts, that audit.yml compares every desk with.", role=""
)
REBOOT_POLICY = Want(
    "desk_reboot_policy",
    "str",
    "inherit",
    "C(if_needed) reboots a desk that needs it. C(inherit) uses C(driver_lock_reboot), or C(never) where that is not set.",
    role="desk_reboot",
    choices=("inherit", "never", "if_needed"),
)
LOCK_REBOOT = Want(
    "driver_lock_reboot",
    "str",
    "never",
    "Whether C(onboard.yml) may reboot a desk that needs it. C(stack_pair.yml) never reboots.",
    role="driver_lock",
    choices=("never", "if_needed"),
)

SINCE = Want(
    "audit_since",
    "str",
    "last",
    "The run that desks are compared with: C(last), C(never), a run's id, a weekday, C(yesterday), a date or a time.",
)
SHOW_NOTES = Want("spark_show_notes", "bool", False, "Also prints the notes at the end of a run.")
FAIL_ON = Want(
    "spark_fail_on",
    "str",
    "",
    "What fails the play when a role is used on its own, without a run: C(fail) means a finding of severity fail, C(unknown) also one "
    "of severity unknown, C(never) nothing. Empty fails only when the role could not do its work. In a run, the verdict decides.",
    choices=("", "fail", "unknown", "never"),
)
CERTIFICATES = Want("spark_certificates", "bool", True, "Issues a certificate for each stack that was measured and is PASS or WARN.")
CERTIFICATE_KEY = Want(
    "spark_certificate_key",
    "path",
    None,
    "The ssh key that signs certificates: a private key, or a public one whose private half is in ssh-agent.",
)
CERTIFICATE_SERIALS = Want("spark_certificate_serials", "bool", False, "Includes the serial numbers of desks and cables in certificates.")
METRICS_PATH = Want(
    "spark_metrics_path",
    "path",
    None,
    "Where to write the metrics: a folder that node_exporter's textfile collector reads (each playbook keeps a file in it), or a file.",
)
WEBHOOK = Want(
    "spark_webhook",
    "dict",
    None,
    "C(url) and C(headers) of a receiver that gets one POST with the verdict as JSON after the report; a failure to send it is a warning.",
)

WANTS: tuple[Want, ...] = (
    SINCE,
    SHOW_NOTES,
    FAIL_ON,
    CERTIFICATES,
    CERTIFICATE_KEY,
    CERTIFICATE_SERIALS,
    METRICS_PATH,
    WEBHOOK,
    PAIR_HEAD,
    TOPOLOGY,
    OUT_OF_SERVICE,
    SSH_PORT,
    STACK_MEMBERS,
    WAVES,
    ONLY_STAGES,
    REPORT_DIR,
    KNOWN_HOSTS,
    PURPOSE,
    TAKE_OVER,
    LINK_MTU,
    LINK_ADDRESSES,
    BASELINE,
    REBOOT_POLICY,
    LOCK_REBOOT,
    Want(
        "dgx_os_minimum",
        "str",
        _JUDGE.minimum_dgx_os,
        "Oldest DGX OS that is accepted. 7.2.3 is the factory image of the first desks.",
        judge="minimum_dgx_os",
        role="dgx_os",
        is_version=True,
    ),
    Want(
        "dgx_os_newest_known",
        "str",
        _JUDGE.newest_known_dgx_os,
        "Newest DGX OS that this collection's rules cover; a newer one gets a note.",
        judge="newest_known_dgx_os",
        role="dgx_os",
        is_version=True,
    ),
    Want("driver_lock_branch", "int", _JUDGE.wanted_branch, "Driver branch.", judge="wanted_branch", role="driver_lock"),
    Want(
        "desk_facts_cuda_major",
        "int",
        _JUDGE.wanted_cuda_major,
        "CUDA major version that the driver must offer.",
        judge="wanted_cuda_major",
        role="desk_facts",
    ),
    Want(
        "desk_facts_minimum_memlock_mib",
        "int",
        _JUDGE.minimum_memlock_mib,
        "MiB of memory that the login user must be able to lock. This collection's rule: the default NCCL test registers less than 4 GiB.",
        judge="minimum_memlock_mib",
        role="desk_facts",
    ),
    Want(
        "desk_facts_minimum_memory_gib",
        "float",
        _JUDGE.minimum_memory_gib,
        "GiB of memory that the system must see; empty accepts the 64 GB and the 128 GB model.",
        judge="minimum_memory_gib",
        role="desk_facts",
    ),
    Want(
        "desk_facts_mtu",
        "int",
        _JUDGE.wanted_mtu,
        "MTU in bytes that both functions must have once the link is set up; empty only requires that they are equal.",
        judge="wanted_mtu",
        role="desk_facts",
    ),
)


def judge_wants(variables: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """What the judges are told of an admin's wishes: `JudgeOptions` field to value. Raises WantError."""
    return {want.judge: value for want in WANTS if want.judge and (value := want.read(variables, where)) is not None}


def check(variables: Mapping[str, Any], where: str = "") -> list[str]:
    """What is wrong with a desk's wishes, one sentence each."""
    problems = []
    for want in WANTS:
        try:
            want.read(variables, where)
        except WantError as error:
            problems.append(str(error))
    return problems
