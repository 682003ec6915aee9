# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: slices
short_description: Groups of desks for jobs that share a lab, none of which splits a stack
version_added: 0.1.0
author:
  - LabOps (@labops)
description:
  - Makes groups named O(prefix) and a number from 1 of the desks that other inventory sources gave. Every desk is in exactly one, all desks
    of a stack are in the same, and the slices are of about the same size. A job or workflow node takes one with C(--limit).
  - The job slices of AWX deal out hosts one by one and so take pairs apart; these groups are used in place of them.
  - Every desk of a stack gets C(spark_stack_members), by which a run knows an inventory from which a part was taken from a wrong one.
options:
  plugin:
    description: Says that the file is for this plugin.
    type: str
    required: true
    choices: [labops.dgx_spark.slices]
  count:
    description: How many slices.
    type: int
    required: true
  prefix:
    description: What the groups' names begin with.
    type: str
    default: spark_slice_
notes:
  - The desks must be known already. Name the file behind the inventory (C(-i inventory -i slices.yml)), or let it be the last one of the
    inventory's folder by its name.
"""

EXAMPLES = r"""
# inventory/zz_slices.yml
plugin: labops.dgx_spark.slices
count: 4
"""

import difflib
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.utils.display import Display

from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.text import clean
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.inventory import DESKS_GROUP, GROUPS, PAIRS_GROUP, STACKS_GROUP
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.wants import STACK_MEMBERS
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.slices import slices, units_of

display = Display()

PARSER_ERROR = 4
"""Ansible's exit code for input that cannot be parsed."""


class InventoryModule(BaseInventoryPlugin):
    """See DOCUMENTATION."""

    NAME = "labops.dgx_spark.slices"

    def verify_file(self, path: str) -> bool:
        """A YAML file; whether it names this plugin is seen when it is read."""
        return super().verify_file(path) and path.endswith((".yml", ".yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add the groups."""
        super().parse(inventory, loader, path, cache)
        config = loader.load_from_file(path, cache="none")
        if not isinstance(config, Mapping) or config.get("plugin") not in (self.NAME, "slices"):
            raise AnsibleParserError(f"{path} does not name {self.NAME}")
        try:
            self._add(inventory, config)
        except AnsibleError as error:
            # The file is ours, so no other plugin can read it; a limit to a slice that is missing must not become a run on all desks.
            display.error(clean(f"The slices cannot be made; no desk was touched: {path}: {error}"), wrap_text=False)
            raise SystemExit(PARSER_ERROR) from None

    def _add(self, inventory: Any, config: Mapping[str, Any]) -> None:
        """Check the settings, make the groups. Raises AnsibleError."""
        unknown = [key for key in config if key not in self.option_definitions]
        if unknown:
            close = difflib.get_close_matches(unknown[0], list(self.option_definitions), n=1, cutoff=0.6)
            raise AnsibleParserError(f"unknown key {unknown[0]}, expected {close[0] if close else ', '.join(self.option_definitions)}")
        self.set_options(direct={**config, "plugin": self.NAME}, var_options=self._vars)
        count, prefix = self.get_option("count"), self.get_option("prefix")
        if count < 1:
            raise AnsibleParserError(f"count is {count}, a number from 1 was expected")
        groups = inventory.groups
        stacks = [
            [host.name for host in group.get_hosts()]
            for parent in (PAIRS_GROUP, STACKS_GROUP)
            for group in (groups[parent].child_groups if parent in groups else ())
        ]
        desks = [host.name for group in GROUPS if group in groups for host in groups[group].get_hosts()]
        if not desks:
            raise AnsibleParserError(
                f"no desk of group {DESKS_GROUP}, {PAIRS_GROUP} or {STACKS_GROUP} is known yet; name this file behind the inventory, or "
                "let it be the last one of its folder by its name (zz_slices.yml)"
            )
        for members in stacks:
            for desk in members:
                inventory.set_variable(desk, STACK_MEMBERS.variable, list(members))
        for number, part in enumerate(slices(units_of(desks, stacks), count), 1):
            name = inventory.add_group(f"{prefix}{number}")
            for desk in part:
                inventory.add_child(name, desk)
            if not part:
                display.warning(f"group {name} has no desk: there are fewer stacks and lone desks than slices ({count})")
