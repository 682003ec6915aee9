#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cx7_link
short_description: Configure the 200G link of a desk, confirmed and undoable
version_added: 1.0.0
description:
  - Gives each PCIe function of a ConnectX-7 port an IPv4 address in its own network, and both one MTU, through a netplan file of its own
    and whichever of NetworkManager and networkd owns the desk.
  - A change is provisional. An undo is armed on the desk before the first write; the action plugin of the same name comes back over a new
    connection, reads the live state and confirms. Otherwise the desk restores itself, even after a reboot.
  - Only ConnectX-7 interfaces are touched. C(netplan apply) is never run. The combined netplan is generated in a temporary root first, and
    the change is refused when it would alter anything that netplan generates for another interface.
  - PFC and ECN are left alone; a direct cable needs neither. The ARP settings that DGX OS ships are checked and set, for the interfaces
    of the link alone, where they are missing.
  - With facts of this run (C(ansible_facts.spark)) the action plugin plans on the controller; nothing runs on a desk that is as wanted.
options:
  state:
    description:
      - C(present) configures the link; C(absent) restores, byte for byte, what was there before the first change.
    type: str
    choices: [present, absent]
    default: present
  links:
    description:
      - The cabled ports of this desk. Needed for C(state=present), unless O(pair) is given.
    type: list
    elements: dict
    suboptions:
      port:
        description: Number of the port, 0 beside the RJ45, 1 the farther one. Defaults to the one that has a link.
        type: int
      addresses:
        description:
          - IPv4 addresses with prefix length, for the port's functions in the order of their PCI domains. The word C(dhcp) stands for one
            that a DHCP server gives, without its routes, DNS servers or MTU.
        type: list
        elements: str
        required: true
      mtu:
        description: MTU in bytes, 9000 or 1500. It must be the same on both desks.
        type: int
        default: 9000
  pair:
    description:
      - Numbers from which the action plugin makes O(links), using the desk's place in the pair (variable C(spark_plan)).
    type: dict
    suboptions:
      port:
        description: Number of the port; defaults to the one in this run's cable map, or else the one that has a link.
        type: int
      addresses:
        description:
          - Where the addresses come from. C(static) computes them from the numbers below; C(dhcp), for a stack on a switch alone, takes
            those of the switch's DHCP server.
        type: str
        choices: [static, dhcp]
        default: static
      subnets:
        description: Networks, two for each cabled port, the first of the two for the function in the lower PCI domain.
        type: list
        elements: str
        default: [192.168.100.0/24, 192.168.101.0/24, 192.168.102.0/24, 192.168.103.0/24]
      head_host:
        description: Host number of the head.
        type: int
        default: 10
      peer_host:
        description: Host number of its peer. On a switch the third desk and each further one count on from here.
        type: int
        default: 11
      ring_subnets:
        description:
          - Networks of a ring, two for each of its three cables, the first of the two for the function in the lower PCI domain. First the
            cable of the head and the second desk, then that of the head and the third, then that of the second and the third.
        type: list
        elements: str
        default: [192.168.0.0/24, 192.168.1.0/24, 192.168.2.0/24, 192.168.3.0/24, 192.168.4.0/24, 192.168.5.0/24]
      ring_hosts:
        description: Host numbers on each cable of a ring, that of the desk of lower rank first.
        type: list
        elements: int
        default: [1, 2]
      mtu:
        description: MTU in bytes, 9000 or 1500.
        type: int
        default: 9000
  take_over:
    description: Whether other files that configure the same interfaces are set aside. C(state=absent) restores them.
    type: bool
    default: false
  force:
    description: Whether to change the link even while the GPU or RDMA is in use.
    type: bool
    default: false
  confirm_timeout:
    description: Seconds after which the desk undoes an unconfirmed change.
    type: int
    default: 120
  phase:
    description:
      - C(change) plans and applies with the undo armed, C(confirm) reads the live state and keeps the change, C(status) reports what became
        of one. The action plugin runs them one after the other, so that a task leaves it at C(change).
    type: str
    choices: [change, confirm, status]
    default: change
  change_id:
    description: Name of the change, as RV(change_id) gave it. Needed for C(phase=confirm).
    type: str
  desk:
    description: Name of the desk in findings. The action plugin fills it in.
    type: str
  pair_name:
    description: Name of the desk's pair in findings. The action plugin fills it in.
    type: str
attributes:
  check_mode:
    description: The same plan from the desk's own state, staged in a temporary root, with nothing written.
    support: full
  diff_mode:
    description: Shows the link before and after, function by function, with the netplan file.
    support: full
  platform:
    description: DGX OS 7 (Ubuntu 24.04) with NetworkManager or systemd-networkd, systemd and netplan.
    support: full
    platforms: linux
notes:
  - Needs C(become). Cannot be run with C(async), since the second half must come over a new connection.
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Link one desk by hand, as the lower end of a cable
  labops.dgx_spark.cx7_link:
    links:
      - port: 1
        addresses: [192.168.100.10/24, 192.168.101.10/24]
  become: true
  timeout: 300

- name: Link a desk of a pair, as playbooks/stack_pair.yml does
  labops.dgx_spark.cx7_link:
    pair:
      mtu: 9000
    take_over: false
  become: true
  timeout: 300

- name: Restore what was there before
  labops.dgx_spark.cx7_link:
    state: absent
  become: true
  timeout: 300
"""

RETURN = r"""
before:
  description: The link as it was.
  returned: always
  type: dict
  contains:
    file:
      description: Content of this collection's netplan file; null when it does not exist.
      type: str
    functions:
      description: Interface to C(port), C(mtu) and C(addresses).
      type: dict
    foreign_owners:
      description: Other files that configure the same interfaces.
      type: list
      elements: str
after:
  description: The link as it is after the change (in check mode, as it would be), in the same form.
  returned: always
  type: dict
commands:
  description: The argument lists that changed the live state. Empty when nothing had to be changed.
  returned: always
  type: list
  elements: list
steps:
  description: The plan in words.
  returned: always
  type: list
  elements: str
functions:
  description: The link's functions. Values that could not be read are null.
  returned: when state is present
  type: list
  elements: dict
  contains:
    port:
      description: The QSFP cage.
      type: int
    netdev:
      description: Network interface.
      type: str
    rdma_device:
      description: RDMA device.
      type: str
    pci_domain:
      description: PCI domain as a number.
      type: int
    mac:
      description: MAC address.
      type: str
    addresses:
      description: IPv4 addresses with the length of their prefix.
      type: list
      elements: str
    mtu:
      description: MTU in bytes.
      type: int
    active_mtu:
      description: RoCE MTU in bytes.
      type: int
    gid_index:
      description: Index of the RoCE v2 GID for IPv4, read from the GID table.
      type: int
    speed_mbps:
      description: Speed in Mb/s.
      type: int
    pcie_width:
      description: PCIe lanes in use.
      type: int
findings:
  description: Findings about the change.
  returned: always
  type: list
  elements: dict
armed:
  description: Whether an unconfirmed change is waiting on the desk.
  returned: always
  type: bool
change_id:
  description: Name of the change.
  returned: when something was changed
  type: str
confirm_within:
  description: Seconds left to confirm an armed change.
  returned: when armed
  type: int
"""

import uuid

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.one_run import claim
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_apply import LinkChange, Outcome
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_plan import LinkOptions, LinkRequest
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import gather
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.options import Options
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.session import session_address
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs.homes import LiveHomes

SUBSETS = ("cx7", "network", "busy", "setup")


def arguments() -> dict:
    """The argument spec, as documented."""
    return {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "links": {
            "type": "list",
            "elements": "dict",
            "options": {
                "port": {"type": "int"},
                "addresses": {"type": "list", "elements": "str", "required": True},
                "mtu": {"type": "int", "default": 9000},
            },
        },
        "pair": {
            "type": "dict",
            "options": {
                "port": {"type": "int"},
                "addresses": {"type": "str", "choices": ["static", "dhcp"], "default": "static"},
                "subnets": {
                    "type": "list",
                    "elements": "str",
                    "default": ["192.168.100.0/24", "192.168.101.0/24", "192.168.102.0/24", "192.168.103.0/24"],
                },
                "head_host": {"type": "int", "default": 10},
                "peer_host": {"type": "int", "default": 11},
                "ring_subnets": {
                    "type": "list",
                    "elements": "str",
                    "default": [f"192.168.{number}.0/24" for number in range(6)],
                },
                "ring_hosts": {"type": "list", "elements": "int", "default": [1, 2]},
                "mtu": {"type": "int", "default": 9000},
            },
        },
        "take_over": {"type": "bool", "default": False},
        "force": {"type": "bool", "default": False},
        "confirm_timeout": {"type": "int", "default": 120},
        "phase": {"type": "str", "choices": ["change", "confirm", "status"], "default": "change"},
        "change_id": {"type": "str"},
        "desk": {"type": "str"},
        "pair_name": {"type": "str"},
    }


def result_of(outcome: Outcome, diff: bool) -> dict:
    """The module's result."""
    result = {
        "changed": outcome.changed,
        "before": outcome.before,
        "after": outcome.after,
        "commands": outcome.commands,
        "steps": outcome.steps,
        "functions": outcome.functions,
        "findings": [item.as_dict() for item in outcome.findings],
        "armed": outcome.armed,
        "msg": outcome.message,
    }
    if outcome.change_id is not None:
        result["change_id"] = outcome.change_id
    if outcome.confirm_within is not None:
        result["confirm_within"] = outcome.confirm_within
    if diff and outcome.diff:
        result["diff"] = outcome.diff
    return result


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=arguments(), supports_check_mode=True)
    params = module.params
    if params["phase"] == "change":
        # Another run may have come since: what was applied is confirmed or asked about all the same, or the desk would undo it.
        claim(module, "cx7_link")
    if params["phase"] == "change" and params["state"] == "present" and not params["links"]:
        module.fail_json(msg="links is empty: name the ports and addresses (pair is turned into links by the action plugin, within a run)")
    if params["phase"] == "confirm" and not params["change_id"]:
        module.fail_json(msg="phase=confirm needs change_id, the name of the change that is to be kept")
    if not 30 <= params["confirm_timeout"] <= 3600:
        module.fail_json(msg=f"confirm_timeout is {params['confirm_timeout']}; 30 to 3600 seconds were expected")
    desk = LiveHomes()
    options = Options(subsets=SUBSETS, session_address=session_address(desk))
    change = LinkChange(
        desk=desk,
        collect=lambda: gather(desk, options)[0],
        where=Where(pair=params["pair_name"], desk=params["desk"]),
    )
    if params["phase"] == "confirm":
        outcome = change.confirm(params["change_id"])
    elif params["phase"] == "status":
        outcome = change.status(params["change_id"])
    else:
        outcome = change.change(
            [LinkRequest(item["port"], tuple(item["addresses"]), item["mtu"]) for item in params["links"] or []],
            LinkOptions(params["state"], params["take_over"], params["force"]),
            confirm_timeout=params["confirm_timeout"],
            change_id=params["change_id"] or uuid.uuid4().hex[:12],
            check_mode=module.check_mode,
        )
    result = result_of(outcome, module._diff)
    if outcome.failed:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
