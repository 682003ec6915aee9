# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: scope
short_description: The hosts of a play on desks; an error when there are none
version_added: 1.0.0
description:
  - Internal to the playbooks of this collection. Gives the host pattern of a play on desks.
  - Ansible skips a play that matches no host and ends with success, so a nightly job would pass with nothing tested. This lookup,
    used as the C(hosts) of a first play, ends the playbook with the reason instead.
options: {}
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Begin
  hosts: "{{ lookup('labops.dgx_spark.scope') }}"
  tasks: []
"""

RETURN = r"""
_raw:
  description: The pattern of the groups C(spark_desks), C(spark_pairs) and C(spark_stacks).
  type: list
  elements: str
"""

from collections.abc import Mapping
from typing import Any

from ansible import context
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.plugins.lookup import LookupBase

from ..plugin_utils.run.inventory import DESKS_GROUP, GROUPS, PAIRS_GROUP, PATTERN, STACKS_GROUP

LISTING = ("syntax", "listhosts", "listtasks", "listtags")


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: list[Any], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """The pattern. Raises AnsibleError when no desk is in scope."""
        if any(context.CLIARGS.get(name) for name in LISTING):
            return [PATTERN]
        known = variables or {}
        groups: Mapping[str, list[str]] = known.get("groups") or {}
        desks = list(dict.fromkeys(host for group in GROUPS for host in groups.get(group) or ()))
        if not desks:
            raise AnsibleError(f"No desk was touched: {_no_desks(groups, known.get('ansible_inventory_sources') or ())}")
        limit = known.get("ansible_limit")
        if limit and not _limited(groups, desks, str(limit), self._loader):
            raise AnsibleError(
                f"No desk was touched: --limit {limit} leaves none of the {len(desks)} desks in the inventory; known desks are "
                f"{', '.join(desks[:20])}{' ...' if len(desks) > 20 else ''}"
            )
        return [PATTERN]


def _no_desks(groups: Mapping[str, list[str]], sources: Any) -> str:
    named = ", ".join(str(source) for source in sources) or "none"
    hosts = [host for host in groups.get("all") or () if host != "localhost"]
    text = f"the inventory ({named}) has no host in group {DESKS_GROUP}, {PAIRS_GROUP} or {STACKS_GROUP}."
    if any("," in host for host in hosts):
        return (
            f"{text} Its hosts look like lines of a lab sheet ({hosts[0][:60]!r}): enable the inventory plugin labops.dgx_spark.desks "
            "before ini (enable_plugins in ansible.cfg, or ANSIBLE_INVENTORY_ENABLED=labops.dgx_spark.desks,host_list,yaml,ini), and "
            "give the sheet a name that ends in .desks.csv."
        )
    return (
        f"{text} Name an inventory with -i; every desk belongs in group {DESKS_GROUP}, each pair in a child group of {PAIRS_GROUP} (see "
        "inventories/lab)."
    )


def _limited(groups: Mapping[str, list[str]], desks: list[str], limit: str, loader: Any) -> bool:
    """Whether a limit leaves a desk. Asked of an inventory of the same hosts and groups: the real one is not given to a lookup."""
    copy = InventoryManager(loader=loader, sources=[], parse=False)
    for group, hosts in groups.items():
        if group != "all":
            copy.add_group(group)
        for host in hosts:
            copy.add_host(host, group=None if group == "all" else group)
    copy.reconcile_inventory()
    copy.subset(limit)
    return bool({host.name for host in copy.get_hosts(PATTERN)} & set(desks))
