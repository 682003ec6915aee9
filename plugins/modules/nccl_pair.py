#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nccl_pair
short_description: Run nccl-tests across the two DGX Sparks of a pair and prove what carried it
version_added: 1.0.0
description:
  - Runs C(all_gather_perf) (or C(all_reduce_perf)) with one rank on each desk of a pair, started by C(mpirun) on the head as the login
    user, with the NCCL bundle that the C(nccl_bundle) role installed.
  - The verdict rests on evidence only - exit code, one world of two ranks, a complete table without wrong values, the RDMA transport on
    the functions of the cabled port on both desks, counters of both functions that grew by what NCCL moved, and a bus bandwidth above
    the mark for the message size.
  - Runs once, on the pair's head. The memory that the test needs is computed first, and the test is refused when it does not fit on both
    desks, because a desk that runs out of memory freezes.
  - Both ranks are stopped at the time limit, on both desks, even if the controller or the head dies.
  - Under C(stack_pair.yml) its action plugin fills in O(pair), O(head), O(peer), O(user), O(run_id) and O(slow_13g).
extends_documentation_fragment:
  - labops.dgx_spark.measurement
options:
  head:
    description: The head's end of the cable; see M(labops.dgx_spark.rdma_pair). Defaults to that of the run's facts.
    type: dict
  ends:
    description:
      - Every end of every cable of a stack, the head's first, instead of O(head) and O(peer). A pair has two, a member of a ring two
        of its own.
    type: list
    elements: dict
  topology:
    description:
      - How the desks are joined. The action plugin fills it in.
      - A V(ring) and a V(switch) run with C(NCCL_IB_SUBNET_AWARE_ROUTING=1) and logins from the head only; a ring meets at the management
        addresses and takes no foreign network plugin.
    type: str
    choices: [direct, ring, switch]
    default: direct
  run_id:
    description: Id of the run; it is recorded in the proven settings.
    type: str
  slow_13g:
    description: Whether this run's RDMA measurement found the 13 Gb/s state. Only then is a slow NCCL attributed to it.
    type: bool
    default: false
  bootstrap:
    description: Where ssh, MPI and NCCL's bootstrap meet, the fabric address of the function in PCI domain 0 or the management address.
    type: str
    choices: [fabric, management]
    default: fabric
  collective:
    description: The test. NVIDIA's pass mark is for C(all_gather).
    type: str
    choices: [all_gather, all_reduce]
    default: all_gather
  min_bytes:
    description: Smallest message size. O(max_bytes) where that is smaller.
    type: int
    default: 1073741824
  max_bytes:
    description: Largest message size. Each desk needs about three times as much memory.
    type: int
    default: 4294967296
  iterations:
    description: Timed iterations of each size.
    type: int
    default: 20
  warmups:
    description: Iterations before the clock starts.
    type: int
    default: 5
  bundle:
    description: Folder of the NCCL bundle on both desks.
    type: path
    default: /opt/dgx_spark/nccl
  time_limit:
    description: Seconds after which both ranks are stopped.
    type: int
    default: 300
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Run NVIDIA's size, 16 GiB
  labops.dgx_spark.nccl_pair:
    min_bytes: 17179869184
    max_bytes: 17179869184
  become: true
"""

RETURN = r"""
findings:
  description: What the measurement means; empty for a pass.
  returned: always
  type: list
  elements: dict
verdict:
  description: PASS, WARN, FAIL or UNKNOWN from the findings.
  returned: always
  type: str
measured:
  description: Whether NCCL ran to the end with both ranks in one world.
  returned: always
  type: bool
rows:
  description: The table, one entry for each message size.
  returned: when measured
  type: list
  elements: dict
  contains:
    bytes:
      description: Message size.
      returned: always
      type: int
    count:
      description: Elements.
      type: int
    type:
      description: Type of the elements.
      type: str
    redop:
      description: Reduction, where there is one.
      type: str
    root:
      description: Root rank, where there is one.
      type: int
    out_of_place:
      description: With a second buffer.
      returned: always
      type: dict
      contains:
        time_us:
          description: Microseconds.
          type: float
        algbw:
          description: Algorithm bandwidth in GB/s.
          type: float
        busbw:
          description: Bus bandwidth in GB/s.
          returned: always
          type: float
        wrong:
          description: Wrong values; null when they were not checked.
          type: int
    in_place:
      description: In one buffer.
      returned: always
      type: dict
      contains:
        time_us:
          description: Microseconds.
          type: float
        algbw:
          description: Algorithm bandwidth in GB/s.
          type: float
        busbw:
          description: Bus bandwidth in GB/s.
          returned: always
          type: float
        wrong:
          description: Wrong values; null when they were not checked.
          type: int
mark_name:
  description: Name of the marks that the bus bandwidth is compared with, where they are not those of two desks or a switch.
  returned: when a ring was measured
  type: str
collective:
  description: What was run, such as all_gather.
  returned: when measured
  type: str
nccl_version:
  description: Version of NCCL, as it reported it.
  returned: when measured
  type: str
ranks:
  description: Each rank as its launcher saw it.
  returned: when started
  type: list
  elements: dict
  contains:
    desk:
      description: The desk.
      type: str
    hostname:
      description: Its host name.
      type: str
    pid:
      description: Process id.
      type: int
    rank:
      description: Rank.
      type: int
    env_sha256:
      description: SHA-256 of the settings that it was started with.
      type: str
    locked_soft:
      description: Soft limit of locked memory in bytes, -1 for unlimited.
      type: int
    locked_hard:
      description: Hard limit of locked memory in bytes, -1 for unlimited.
      type: int
    libnccl_sha256:
      description: SHA-256 of the library that it loaded.
      type: str
    program_sha256:
      description: SHA-256 of the test program.
      type: str
hcas:
  description: The RDMA devices that NCCL used, by host.
  returned: when measured
  type: dict
errors:
  description: Lines of the log that report an error, ten at most.
  returned: when started
  type: list
  elements: str
avg_busbw:
  description: Average bus bandwidth in GB/s as the test prints it.
  returned: when measured
  type: float
transport:
  description: C(IB), C(Socket) or null.
  returned: when measured
  type: str
counters:
  description: Growth of every counter in bytes, with the expected bytes, summed over the functions.
  returned: when measured
  type: list
  elements: dict
  contains:
    desk:
      description: The desk.
      type: str
    counter:
      description: Name of the counter.
      type: str
    state:
      description: fits, still, outside, one_half or unread.
      type: str
    bytes:
      description: Growth in bytes; null when it was not read twice.
      type: int
    expected_bytes:
      description: Fewest and most bytes expected.
      type: list
      elements: int
    by_function:
      description: Growth in raw counts by interface.
      type: dict
available_kb:
  description: Memory that was available on each desk before the start, in kB.
  returned: always
  type: dict
left_running:
  description: Processes on each desk that had to be killed afterwards.
  returned: when started
  type: dict
environment:
  description: The settings of each desk, as read from its pair.env.
  returned: always
  type: dict
exit_code:
  description: Exit code of mpirun; null when it did not end on its own.
  returned: when started
  type: int
command:
  description: The argument list of mpirun.
  returned: when started
  type: list
  elements: str
settings:
  description: >-
    Text and checksum of the pair.env of each desk, the hostfile and the names that the run used. Computed on the controller from both
    desks' facts, regardless of what the head answers.
  returned: when measured
  type: dict
run_id:
  description: Id of the run, as given.
  returned: always
  type: str
seconds:
  description: How long it took.
  returned: always
  type: float
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.one_run import claim
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import guard
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.nccl import Launch, NcclOptions, measure
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.session import ElsewhereError, PathError, all_sides, new_token
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.side import SideError
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import settings
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.busy import before_measurement, settled, stops
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.marks import MarksError, with_lab_marks
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.nccl import judge, summary
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import fitting, from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where, verdict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Endpoint
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.proof import DeskUse, NcclEvidence, Problem


def main() -> None:
    """Open both sides, run, judge."""
    module = AnsibleModule(
        argument_spec={
            "pair": {"type": "str"},
            "head": {"type": "dict"},
            "peer": {"type": "dict"},
            "ends": {"type": "list", "elements": "dict"},
            "topology": {"type": "str", "choices": ["direct", "ring", "switch"], "default": "direct"},
            "ssh_port": {"type": "int", "default": 22},
            "ssh_ports": {"type": "dict"},
            "user": {"type": "str"},
            "run_id": {"type": "str"},
            "slow_13g": {"type": "bool", "default": False},
            "bootstrap": {"type": "str", "choices": ["fabric", "management"], "default": "fabric"},
            "collective": {"type": "str", "choices": ["all_gather", "all_reduce"], "default": "all_gather"},
            "min_bytes": {"type": "int", "default": 1 << 30},
            "max_bytes": {"type": "int", "default": 4 << 30},
            "iterations": {"type": "int", "default": 20},
            "warmups": {"type": "int", "default": 5},
            "bundle": {"type": "path", "default": "/opt/dgx_spark/nccl"},
            "time_limit": {"type": "int", "default": 300},
            "marks": {"type": "list", "elements": "dict", "default": []},
            "force": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    listed = given["ends"] or [given["head"], given["peer"]]
    missing = [name for name in ("pair", "user") if not given[name]]
    missing += [] if len(listed) > 1 and all(listed) else ["ends (or head and peer)"]
    if missing:
        module.fail_json(msg=f"{', '.join(missing)} must be given when nccl_pair runs outside the playbooks of this collection")
    pair = given["pair"]
    if module.check_mode:
        found = finding("NOT_MEASURED_CHECK_MODE", Where(pair=pair), f"pair {pair}: NCCL was not measured in check mode")
        module.exit_json(changed=False, measured=False, findings=[found.as_dict()], verdict="UNKNOWN")
    claim(module, "nccl_pair")
    ends = tuple(from_dict(Endpoint, item) for item in listed)
    options = NcclOptions(
        given["collective"],
        given["min_bytes"],
        given["max_bytes"],
        given["iterations"],
        given["warmups"],
        given["bundle"].rstrip("/"),
        float(given["time_limit"]),
        given["bootstrap"] == settings.FABRIC,
    )
    try:
        marks, meet = with_lab_marks(given["marks"]), settings.meeting(ends, given["bootstrap"])
        used = settings.proven(pair, ends, meet, given["run_id"] or "unknown", given["topology"])
    except (MarksError, ValueError) as error:
        module.fail_json(msg=str(error))
    envs = {desk: item["pair_env"] for desk, item in used["desks"].items()}
    token = new_token()
    listens = {str(desk): int(port) for desk, port in (given["ssh_ports"] or {}).items()} or given["ssh_port"]
    names = list(envs)
    launch = Launch(tuple(envs.values()), settings.hostfile(meet), settings.values_of(envs[names[0]]))
    limit = options.time_limit + 120.0
    evidence = NcclEvidence()
    before: tuple[DeskUse, ...] = ()
    after: tuple[DeskUse, ...] = ()
    try:
        with all_sides("nccl", pair, given["user"], ends, meet.addresses, token, limit, listens) as sides:
            before = guard.uses(sides)
            if not stops(before_measurement(pair, before, given["force"])):
                evidence = measure(sides, ends, launch, token, options)
                after = guard.uses(sides)
    except ElsewhereError as error:
        module.exit_json(changed=False, held_elsewhere={**error.holder, "desk": error.desk})
    except PathError as error:
        narrow = [Problem("timed_out", item.desk, f"{item.other} answers small packets only") for item in error.pings if not item.full]
        evidence = NcclEvidence(problems=(*error.problems, *narrow[:1]), neighbours=error.seen)
    except SideError as error:
        evidence = dataclasses.replace(evidence, problems=(*evidence.problems, Problem(error.kind, error.desk, error.text)))
    said = judge(pair, ends, evidence, iterations=options.iterations, warmups=options.warmups, slow_13g=given["slow_13g"], marks=marks)
    findings = settled(pair, before, after, given["force"], said)
    counts = not stops([item for item in findings if item not in said])
    environments = {desk: settings.values_of(env) for desk, env in envs.items()}
    told = summary(ends, evidence, iterations=options.iterations, warmups=options.warmups, environments=environments)
    module.exit_json(
        changed=False,
        findings=fitting([item.as_dict() for item in findings]),
        verdict=verdict(item.severity for item in findings),
        run_id=given["run_id"],
        settings=used,
        **{**fitting(told), "measured": counts and told["measured"]},
    )


if __name__ == "__main__":
    main()
