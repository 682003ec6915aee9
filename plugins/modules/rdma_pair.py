#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rdma_pair
short_description: Measure RDMA between the two DGX Sparks of a pair
version_added: 1.0.0
description:
  - Runs C(ib_write_bw) of perftest between the desks of a pair, hardest step first (both functions in both directions at once, with
    the figure of each direction). Where every function carries its share in both directions and all counters show it, each easier step
    follows from that, and the result says how (RV(hardest)).
  - Otherwise, and with O(depth=full), each function of the cabled port is measured alone in both directions, both functions in one
    direction and the other, then both functions in both directions at once; the verdict then depends on these nine steps only.
  - Runs once, on the pair's head. The peer is driven over ssh as the login user with the pair's own key (C(pair_trust) role).
  - A measurement counts only if the hardware address behind the peer's fabric address on each function belongs to the peer that
    the inventory names, and if the port and physical counters of both desks grew by the bytes that perftest reported.
  - Nothing outlives it. Programs on the head run in a transient unit of the login user, those on the peer under a process that ends
    them when the connection ends or the time is up.
  - Under C(stack_pair.yml) its action plugin fills in O(pair), O(head), O(peer), O(user) and O(run_id) from the run's facts.
extends_documentation_fragment:
  - labops.dgx_spark.measurement
options:
  head:
    description:
      - The head's end of the cable with its own names (C(desk), C(port), C(functions) with C(netdev), C(rdma_device), C(pci_domain),
        C(mac), C(address), C(mtu)), as C(plugins/module_utils/model/link.py) describes it. Defaults to that of the run's facts.
    type: dict
  paths:
    description:
      - Every path of a stack instead of O(head) and O(peer), each with its two ends C(first) and C(second). The head's path comes first.
      - Paths are measured in rounds of disjoint paths, so that no desk is in two at once. In a ring, whose desks have two cables each, all
        paths are measured at the same time afterwards.
    type: list
    elements: dict
  topology:
    description: How the desks are joined. The action plugin fills it in.
    type: str
    choices: [direct, ring, switch]
    default: direct
  run_id:
    description: Id of the run, for the result.
    type: str
  bootstrap:
    description: Where the desks meet over ssh, the fabric address of the function in PCI domain 0 or the management address.
    type: str
    choices: [fabric, management]
    default: fabric
  depth:
    description:
      - V(adaptive) measures the hardest step first and the nine steps only where it does not prove them.
      - V(full) always measures the nine steps. C(playbooks/calibrate.yml) and C(playbooks/isolate.yml) use it.
    type: str
    choices: [adaptive, full]
    default: adaptive
  seconds:
    description: Duration of each step. perftest leaves out the first and the last quarter.
    type: int
    default: 4
  message_size:
    description: Bytes of one message.
    type: int
    default: 1048576
  queue_pairs:
    description: Queue pairs of each transfer.
    type: int
    default: 4
  first_port:
    description: First of 32 TCP ports of which free ones are chosen; the two ends of perftest meet there.
    type: int
    default: 18515
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Measure with six seconds for each step
  labops.dgx_spark.rdma_pair:
    seconds: 6
  become: true

- name: Measure every step, whatever the hardest one says
  labops.dgx_spark.rdma_pair:
    depth: full
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
  description: Whether every step was measured, or follows from the hardest one.
  returned: always
  type: bool
hardest:
  description:
    - The step that O(depth=adaptive) measures first, with C(functions) (Gb/s of each function forward and back, all in use at once) and
      C(proves_all). Where it proves all, C(implied) holds each easier step with the least that it carries, its mark and the arithmetic,
      and the result's other figures are null where they were not measured. Otherwise C(measured_because) says why the steps were measured.
  returned: with depth=adaptive
  type: dict
functions:
  description: Gb/s of each function alone, forward (head to peer), back and in both directions at once; null where it was not measured.
  returned: when measured
  type: list
  elements: dict
  contains:
    function:
      description: 0 for the function in the lower PCI domain, 1 for its twin.
      returned: always
      type: int
    head_device:
      description: RDMA device of the head.
      type: str
    peer_device:
      description: RDMA device of the peer.
      type: str
    forward_gbps:
      description: Head to peer, alone.
      returned: always
      type: float
    back_gbps:
      description: Peer to head, alone.
      returned: always
      type: float
    both_ways_gbps:
      description: Both directions at once, alone.
      returned: always
      type: float
sum_forward_gbps:
  description: Both functions at once, head to peer, in Gb/s.
  returned: when measured
  type: float
sum_back_gbps:
  description: Both functions at once, peer to head, in Gb/s.
  returned: when measured
  type: float
sum_both_ways_gbps:
  description: Both functions, both directions at once, in Gb/s.
  returned: when measured
  type: float
commands:
  description: The command line of every client of C(ib_write_bw) that the figures rest on, in the order of the steps.
  returned: always
  type: list
  elements: list
paths:
  description: Each path of a stack with what was measured on it, in the form of the values above and below.
  returned: when a stack of more than two desks was measured
  type: list
  elements: dict
at_once:
  description: What each path carried while all of them were in use, in Gb/s both ways, beside what it carried alone.
  returned: when a ring was measured
  type: list
  elements: dict
  contains:
    path:
      description: The path, such as desk-01 port 0 - desk-02 port 1.
      type: str
    gbps:
      description: All functions, both directions, while every cable of the ring was in use; null where that failed.
      type: float
    alone_gbps:
      description: The same while nothing else was in use.
      type: float
latency_us:
  description: Typical latency of a small write in microseconds.
  returned: when measured
  type: float
counters:
  description: Growth of every counter in bytes, with the expected bytes.
  returned: when measured
  type: list
  elements: dict
  contains:
    desk:
      description: The desk.
      type: str
    function:
      description: The interface.
      type: str
    counter:
      description: Name of the counter.
      type: str
    state:
      description: fits, still, outside or unread.
      type: str
    bytes:
      description: Growth in bytes; null when it was not read twice.
      type: int
    expected_bytes:
      description: Fewest and most bytes expected.
      type: list
      elements: int
locked_bytes:
  description: Limit of locked memory of each desk's program in bytes, -1 for unlimited.
  returned: always
  type: dict
options:
  description: How it was measured.
  returned: always
  type: dict
neighbours:
  description: Who answered at the other desk's address on each function.
  returned: when asked
  type: list
  elements: dict
  contains:
    desk:
      description: The desk that asked.
      type: str
    netdev:
      description: Its interface.
      type: str
    address:
      description: The address that was resolved.
      type: str
    mac:
      description: The MAC address that answered; null when none did.
      type: str
    error:
      description: Why the neighbour table could not be read, such as timeout; null when it could.
      type: str
run_id:
  description: Id of the run, as given.
  returned: always
  type: str
seconds:
  description: How long it took.
  returned: always
  type: float
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.one_run import claim
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import guard, jumbo_ping
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.rdma import (
    ADAPTIVE,
    DEPTHS,
    RdmaOptions,
    measure,
    rounds,
    together,
)
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.session import ElsewhereError, PathError, all_sides, new_token
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.side import SideError
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.settings import login_addresses
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.busy import before_measurement, settled, stops
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.jumbo import judge_jumbo
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.marks import MarksError, with_lab_marks
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.rdma import judge_paths, summary
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict, fitting, from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where, verdict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.jumbo import JumboAnswer
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Path, members
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.proof import DeskUse, Problem, RdmaEvidence, RdmaStep


def main() -> None:
    """Open both sides, measure, judge."""
    module = AnsibleModule(
        argument_spec={
            "pair": {"type": "str"},
            "head": {"type": "dict"},
            "peer": {"type": "dict"},
            "paths": {"type": "list", "elements": "dict"},
            "topology": {"type": "str", "choices": ["direct", "ring", "switch"], "default": "direct"},
            "ssh_port": {"type": "int", "default": 22},
            "ssh_ports": {"type": "dict"},
            "user": {"type": "str"},
            "run_id": {"type": "str"},
            "bootstrap": {"type": "str", "choices": ["fabric", "management"], "default": "fabric"},
            "depth": {"type": "str", "choices": list(DEPTHS), "default": ADAPTIVE},
            "seconds": {"type": "int", "default": 4},
            "message_size": {"type": "int", "default": 1048576},
            "queue_pairs": {"type": "int", "default": 4},
            "first_port": {"type": "int", "default": 18515},
            "marks": {"type": "list", "elements": "dict", "default": []},
            "force": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    listed = given["paths"] or [{"first": given["head"], "second": given["peer"]}]
    missing = [name for name in ("pair", "user") if not given[name]]
    missing += [] if all(item.get("first") and item.get("second") for item in listed) else ["paths (or head and peer)"]
    if missing:
        module.fail_json(msg=f"{', '.join(missing)} must be given when rdma_pair runs outside the playbooks of this collection")
    pair = given["pair"]
    if module.check_mode:
        found = finding("NOT_MEASURED_CHECK_MODE", Where(pair=pair), f"pair {pair}: RDMA was not measured in check mode")
        module.exit_json(changed=False, measured=False, findings=[found.as_dict()], verdict="UNKNOWN")
    claim(module, "rdma_pair")
    paths = tuple(from_dict(Path, item) for item in listed)
    ends = tuple(dict.fromkeys(end for path in paths for end in path.ends))
    options = RdmaOptions(given["seconds"], given["message_size"], given["queue_pairs"], given["first_port"], depth=given["depth"])
    try:
        marks, addresses = with_lab_marks(given["marks"]), login_addresses(ends, given["bootstrap"])
    except (MarksError, ValueError) as error:
        module.fail_json(msg=str(error))
    token = new_token()
    plan = rounds(paths)
    limit = options.time_limit * len(plan) + 60.0
    pings: tuple[JumboAnswer, ...] = ()
    measured: list[tuple[Path, RdmaEvidence]] = []
    at_once: list[RdmaStep] = []
    before: tuple[DeskUse, ...] = ()
    after: tuple[DeskUse, ...] = ()
    listens = {str(desk): int(port) for desk, port in (given["ssh_ports"] or {}).items()} or given["ssh_port"]
    try:
        with all_sides("rdma", pair, given["user"], ends, addresses, token, limit, listens) as sides:
            side = dict(zip(members(ends), sides, strict=True))
            before = guard.uses(sides)
            free = not stops(before_measurement(pair, before, given["force"]))

            def one(path: Path) -> tuple[tuple[JumboAnswer, ...], RdmaEvidence]:
                first, second = path.ends
                # Before the measurement: a link of the wrong MTU is told by its name, not by a low figure.
                asked = (*jumbo_ping.ask(side[first.desk], first, second), *jumbo_ping.ask(side[second.desk], second, first))
                return asked, measure([side[first.desk], side[second.desk]], path, options, marks)

            results: dict[Path, RdmaEvidence] = {}
            for disjoint in plan if free else ():
                with ThreadPoolExecutor(max_workers=len(disjoint)) as pool:
                    for path, (asked, evidence) in zip(disjoint, pool.map(one, disjoint), strict=True):
                        pings += asked
                        results[path] = evidence
                measured = [(path, results[path]) for path in paths if path in results]
            if free and given["topology"] == "ring" and all(summary(path.ends, own, marks)["measured"] for path, own in measured):
                at_once = together(side, paths, options)
            after = guard.uses(sides) if free else ()
    except ElsewhereError as error:
        module.exit_json(changed=False, held_elsewhere={**error.holder, "desk": error.desk})
    except PathError as error:
        pings = error.pings
        # Who answered on a cable is told with that cable, where other ends of the stack are not known.
        for place, path in enumerate(paths):
            there = {function.address for end in path.ends for function in end.functions}
            seen = tuple(item for item in error.seen if item.address in there)
            if seen or (place == 0 and not pings):
                measured.append((path, RdmaEvidence(problems=error.problems if place == 0 else (), neighbours=seen)))
    except SideError as error:
        lost = RdmaEvidence(problems=(Problem(error.kind, error.desk, error.text),))
        measured.append((paths[min(len(measured), len(paths) - 1)], lost))
    macs = {end.desk: [function.mac for other in ends if other.desk == end.desk for function in other.functions] for end in ends}
    said = [*judge_jumbo(pair, pings, macs, given["topology"]), *judge_paths(pair, measured, marks, at_once)]
    findings = settled(pair, before, after, given["force"], said)
    counts = not stops([item for item in findings if item not in said])
    told = [summary(path.ends, evidence, marks) for path, evidence in measured or [(paths[0], RdmaEvidence())]]
    more: dict[str, Any] = {}
    if len(paths) > 1:
        more["paths"] = [
            {"path": path.name, "ends": [{"desk": end.desk, "port": end.port} for end in path.ends], **item}
            for (path, _evidence), item in zip(measured, told, strict=False)
        ]
    if at_once:
        more["at_once"] = [
            {
                "path": path.name,
                "gbps": None if any(run.gbps is None for run in step.runs) else round(sum(run.gbps or 0.0 for run in step.runs), 2),
                "alone_gbps": item["sum_both_ways_gbps"],
            }
            for (path, _evidence), step, item in zip(measured, at_once, told, strict=False)
        ]
    module.exit_json(
        changed=False,
        findings=fitting([item.as_dict() for item in findings]),
        verdict=verdict(item.severity for item in findings),
        run_id=given["run_id"],
        options=as_dict(options),
        **{**fitting({**told[0], **more}), "measured": counts and len(told) == len(paths) and all(item["measured"] for item in told)},
    )


if __name__ == "__main__":
    main()
