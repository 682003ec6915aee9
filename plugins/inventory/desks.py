# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: desks
short_description: A lab sheet of DGX Spark desks as an inventory
version_added: 0.1.0
author:
  - LabOps (@labops)
description:
  - Reads a lab sheet, one line for each desk, and makes the groups C(spark_desks), C(spark_pairs) and one group for each pair; for rings
    and stacks on a switch also C(spark_stacks) and one group for each, with C(spark_topology).
  - A sheet is a file named C(*.desks.csv), C(*.desks.tsv), C(*.desks.yml) or C(*.desks.yaml), or a YAML file with C(plugin) and O(sheet).
  - Columns are C(name), C(address) (or C(mdns), or C(mac)), C(pair), C(stack) and C(topology) (direct, ring or switch), C(position) (head
    or peer), C(serial), C(asset_tag), C(host_key) (fingerprint), C(out_of_service), C(user) and C(port). Other columns are left alone.
    Exports of spreadsheets work as they are, with commas, semicolons or tabs, a byte order mark, Windows line ends, quoted cells and blank
    lines.
  - The group C(spark_desks) gets C(spark_known_hosts), the file C(known_hosts.txt) beside the sheet that C(enrol.yml) writes, and
    C(ansible_ssh_extra_args) that make ssh look there first. Both may be overridden in group_vars.
  - Every line is checked. All problems are told at once, each with its line, its column, what was found and what was expected, and the
    command ends with exit code 4 before any desk is touched. It does not go on as with other inventory plugins, because the next one (ini)
    would take each line of a CSV file for the name of a host.
options:
  plugin:
    description: Says that the file is for this plugin. Only in a YAML file; a sheet named C(*.desks.*) needs none.
    type: str
  sheet:
    description:
      - The sheet to read, relative to the file.
      - Without it, the file itself is the sheet.
    type: path
notes:
  - Files named C(*.desks.csv) need this plugin in C(enable_plugins) of ansible.cfg, before C(ini); the checkout's ansible.cfg has it.
    A YAML file with C(plugin) needs no setting.
"""

EXAMPLES = r"""
# lab.desks.csv
# name,address,pair,position,serial,host_key
# desk-01,192.0.2.11,pair_a,head,1234567890123,
# desk-02,192.0.2.12,pair_a,peer,1234567890124,
# desk-03,spark-a1b2.local,,,,

# rings.desks.csv
# name,address,stack,topology
# desk-11,192.0.2.21,ring_a,ring
# desk-12,192.0.2.22,ring_a,
# desk-13,192.0.2.23,ring_a,

# inventory.yml, which needs no setting in ansible.cfg
---
plugin: labops.dgx_spark.desks
sheet: ../sheets/lab.csv

# or with the desks in it
# plugin: labops.dgx_spark.desks
# desks:
#   - {name: desk-01, address: 192.0.2.11, pair: pair_a, position: head}
#   - {name: desk-02, address: 192.0.2.12, pair: pair_a}
"""

import os
from pathlib import Path
from typing import Any

import yaml

from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.utils.display import Display

from ansible_collections.labops.dgx_spark.plugins.plugin_utils.known_hosts import ssh_arguments
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.lab_sheet import (
    Problem,
    Sheet,
    SheetError,
    addresses_of_macs,
    host_variables,
    read,
)

display = Display()

SUFFIXES = (".desks.csv", ".desks.tsv", ".desks.yml", ".desks.yaml")
KNOWN_HOSTS = "known_hosts.txt"
"""Beside the sheet. Not plain known_hosts: Ansible takes that for an inventory when it is given the folder; it leaves .txt alone."""

PARSER_ERROR = 4
"""Ansible's exit code for input that cannot be parsed."""


class InventoryModule(BaseInventoryPlugin):
    """See DOCUMENTATION."""

    NAME = "labops.dgx_spark.desks"

    def verify_file(self, path: str) -> bool:
        """Whether the file is named as a sheet, or is YAML that names this plugin."""
        if not super().verify_file(path):
            return False
        return path.endswith(SUFFIXES) or (path.endswith((".yml", ".yaml")) and bool(_settings(path)))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Read the sheet and fill the inventory."""
        super().parse(inventory, loader, path, cache)
        target = Path(path)
        settings = _settings(path)
        if settings.get("sheet"):
            target = target.parent / os.path.expanduser(str(settings["sheet"]))
        try:
            sheet = _read(target)
        except SheetError as error:
            display.error(f"The lab sheet cannot be used; no desk was touched:\n{error}", wrap_text=False)
            # An AnsibleError would hand the file to the next inventory plugin; ini takes a line of CSV for a host.
            raise SystemExit(PARSER_ERROR) from None
        for warning in sheet.warnings:
            display.warning(warning)
        _fill(inventory, sheet)
        known_hosts = str(Path(path).resolve().parent / KNOWN_HOSTS)
        inventory.set_variable("spark_desks", "spark_known_hosts", known_hosts)
        try:
            arguments = ssh_arguments(known_hosts)
        except ValueError as error:
            display.error(f"The lab sheet cannot be used; no desk was touched:\n{error}", wrap_text=False)
            raise SystemExit(PARSER_ERROR) from None
        inventory.set_variable("spark_desks", "ansible_ssh_extra_args", arguments)


def _settings(path: str) -> dict[str, Any]:
    """The mapping with ``plugin`` that a YAML file holds, empty for any other file."""
    if not path.endswith((".yml", ".yaml")):
        return {}
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return data if isinstance(data, dict) and data.get("plugin") in (InventoryModule.NAME, "desks") else {}


def _read(path: Path) -> Sheet:
    """The sheet of a file, in UTF-8 or in what spreadsheets write on Windows."""
    name = os.path.relpath(path) if not os.path.relpath(path).startswith("..") else str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SheetError(name, [Problem(0, "", error.strerror or str(error), "a readable file")]) from None
    for encoding in ("utf-16",) if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8", "cp1252"):
        try:
            text = raw.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise SheetError(name, [Problem(0, "", "bytes that are no text", "a CSV or YAML file (not a spreadsheet file: export it as CSV)")])
    if "\0" in text or raw[:2] == b"PK":
        raise SheetError(name, [Problem(0, "", "a binary file", "a CSV or YAML file (export the spreadsheet as CSV)")])
    return read(text, name, "yaml" if path.suffix in (".yml", ".yaml") else "csv")


def _fill(inventory: Any, sheet: Sheet) -> None:
    inventory.add_group("spark_desks")
    inventory.add_group("spark_pairs")
    for pair in sheet.pairs:
        inventory.add_group(pair)
        inventory.add_child("spark_pairs", pair)
    if sheet.stacks:
        inventory.add_group("spark_stacks")
    for stack, (topology, _members) in sheet.stacks.items():
        inventory.add_group(stack)
        inventory.set_variable(stack, "spark_topology", topology)
        inventory.add_child("spark_stacks", stack)
    neighbours = addresses_of_macs(_arp()) if any(entry.mac and not entry.address for entry in sheet.desks) else {}
    for entry in sheet.desks:
        inventory.add_host(entry.name, group=entry.group or "spark_desks")
        if entry.group:
            inventory.add_child("spark_desks", entry.name)
        values = host_variables(entry, sheet)
        if entry.mac and not entry.address:
            if entry.mac in neighbours:
                values["ansible_host"] = neighbours[entry.mac]
            else:
                unknown = f"{entry.mac} is not in this machine's neighbour table"
                todo = "ping the lab's network from here, or write the address into the sheet"
                display.warning(f"{sheet.source} line {entry.line}: no address is known for {entry.name} ({unknown}); {todo}.")
        for key, value in values.items():
            inventory.set_variable(entry.name, key, value)


def _arp() -> str:
    try:
        return Path("/proc/net/arp").read_text(encoding="utf-8")
    except OSError:
        return ""
