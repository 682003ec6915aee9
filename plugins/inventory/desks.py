# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: desks
short_description: A lab sheet of DGX Spark desks as an inventory
version_added: 1.0.0
author:
  - LabOps (@labops)
description:
  - Reads a lab sheet, one line for each desk, and creates the groups C(spark_desks), C(spark_pairs) and one group for each pair; for rings
    and stacks on a switch also C(spark_stacks) and one group for each, with C(spark_topology).
  - A sheet is a file named C(*.desks.csv), C(*.desks.tsv), C(*.desks.yml) or C(*.desks.yaml), or a YAML file with C(plugin) and O(sheet).
  - Columns are C(name), C(address) (or C(mdns), or C(mac)), C(pair), C(stack) and C(topology) (direct, ring or switch), C(position) (head
    or peer), C(serial), C(asset_tag), C(host_key) (fingerprint), C(out_of_service), C(user) and C(port). Spreadsheet exports work as they
    are, with commas, semicolons or tabs, a byte order mark, Windows line endings, quoted cells and blank lines.
  - Any other column (rack, room, owner) is a variable of the desk. Its name is the title in lower case with underscores, its value the
    cell as text, which is never a template. A column can never set what Ansible, a connection or this collection reads; one whose title
    cannot be a variable is reported in a warning.
  - The group C(spark_desks) gets C(spark_known_hosts), the file C(known_hosts.txt) beside the sheet that C(enrol.yml) writes, and
    C(ansible_ssh_extra_args) that make ssh look there first. Both can be overridden in group_vars.
  - A desk that is known by C(mac) gets C(ansible_ssh_extra_args) of its own once it is enrolled, because its host key is then looked for
    under its name, whatever address it has.
  - Several sheets of one inventory (a folder with one for each room) become one lab; a desk, a pair, an address or a serial number that
    two of them have is refused. Keep them in one folder, since all desks use the same C(known_hosts.txt).
  - Every line is checked. All problems are reported at once, each with its line, its column, what was found and what was expected, and the
    command ends with exit code 4 before any desk is touched. Unlike other inventory plugins, it stops there, because the next one (ini)
    would take each line of a CSV file for a host name.
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: Marks the file as one for this plugin. Only in a YAML file; a sheet named C(*.desks.*) does not need it.
    type: str
  sheet:
    description:
      - The sheet to read, relative to the file.
      - Without it, O(desks) or the file itself is the sheet.
    type: str
  desks:
    description:
      - The desks themselves, as a list of mappings with C(name), or as a mapping of names to mappings. The keys are a sheet's columns.
      - Not together with O(sheet).
    type: raw
  cache:
    description:
      - Keeps the addresses of desks that the sheet knows by C(mac) alone, so that a desk is still found when this machine's neighbour table
        has forgotten it. The sheet itself is always read afresh.
      - Needs a cache plugin that outlives the command, such as C(ansible.builtin.jsonfile).
    type: bool
    default: false
    env:
      - name: ANSIBLE_INVENTORY_CACHE
    ini:
      - section: inventory
        key: cache
notes:
  - Files named C(*.desks.csv) need this plugin in C(enable_plugins) of ansible.cfg, before C(ini); the checkout's ansible.cfg has this.
    A YAML file with C(plugin) needs no setting.
  - Keys of a YAML file that are no option are refused, with the nearest one that is.
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

# with a column Rack: groups for --limit rack_4, a variable, and a group of desks that are lent
# plugin: labops.dgx_spark.desks
# sheet: lab.csv
# keyed_groups:
#   - {prefix: rack, key: rack}
# compose:
#   lab_place: room ~ ', rack ' ~ rack
# groups:
#   lent: owner != ''

# or with the desks in it
# plugin: labops.dgx_spark.desks
# desks:
#   - {name: desk-01, address: 192.0.2.11, pair: pair_a, position: head}
#   - {name: desk-02, address: 192.0.2.12, pair: pair_a}
"""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.display import Display

from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.text import clean
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.known_hosts import alias_of, ssh_arguments, text_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.lab_sheet import (
    READ,
    Problem,
    Sheet,
    SheetError,
    addresses_of_macs,
    clashes,
    host_variables,
    read,
    remembered,
)
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.inventory import DESKS_GROUP, PAIRS_GROUP, STACKS_GROUP

display = Display()

SUFFIXES = (".desks.csv", ".desks.tsv", ".desks.yml", ".desks.yaml")
KNOWN_HOSTS = "known_hosts.txt"
"""Beside the sheet. Not plain known_hosts: Ansible takes that for an inventory when it is given the folder; it leaves .txt alone."""

_NO_WORDS = re.compile("[^\x00-\x7f\u00a0\u2010-\u2026\u00ab\u00bb\u20ac]{3}|[\x81\x8d\x8f\x90\x9d]")
"""What no Western European text has in Windows' encoding; other scripts that are read in it look so. Dashes may stand in rows."""

PARSER_ERROR = 4
"""Ansible's exit code for input that cannot be parsed."""


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """See DOCUMENTATION."""

    NAME = "labops.dgx_spark.desks"

    def verify_file(self, path: str) -> bool:
        """Whether the file is named as a sheet, or is YAML that names this plugin."""
        if not super().verify_file(path):
            return False
        return path.endswith(SUFFIXES) or bool(_keys(path))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Read the sheet and fill the inventory."""
        super().parse(inventory, loader, path, cache)
        try:
            sheet = self._sheet(path)
            for warning in sheet.warnings:
                display.warning(clean(warning))
            known_hosts = str(Path(path).resolve().parent / KNOWN_HOSTS)
            _beside_others(inventory, sheet, known_hosts)
            _fill(inventory, sheet, self._addresses(sheet, path, cache), known_hosts)
            inventory.set_variable(DESKS_GROUP, "spark_known_hosts", known_hosts)
            inventory.set_variable(DESKS_GROUP, "ansible_ssh_extra_args", ssh_arguments(known_hosts))
            self._construct(sheet)
        except (AnsibleError, SheetError, ValueError) as error:
            text = str(error) if isinstance(error, SheetError) else f"  - {_shown(path)}: {error}"
            display.error(clean(f"The lab sheet cannot be used; no desk was touched:\n{text}"), wrap_text=False)
            # An AnsibleError would hand the file to the next inventory plugin; ini takes a line of CSV for a host.
            raise SystemExit(PARSER_ERROR) from None

    def _sheet(self, path: str) -> Sheet:
        """The sheet that a file is or names; its other keys become options. Raises SheetError."""
        keys = _keys(path)
        if not keys:
            self.set_options(var_options=self._vars)
            return _read(Path(path))
        config = self.loader.load_from_file(path, cache="none", trusted_as_template=True)
        problems = _wrong(keys, config, self.option_definitions)
        if ("sheet" in config) == ("desks" in config):
            problems.append(Problem(0, "", "both sheet and desks" if "sheet" in config else "neither sheet nor desks", "one of them"))
        if problems:
            raise SheetError(_shown(path), problems)
        self.set_options(direct={key: value for key, value in config.items() if key != "desks"}, var_options=self._vars)
        named = self.get_option("sheet")
        return _read(Path(path).parent / os.path.expanduser(named) if named else Path(path))

    def _addresses(self, sheet: Sheet, path: str, cache: bool) -> dict[str, str]:
        """Addresses of the desks that are known by their MAC alone."""
        macs = [entry.mac for entry in sheet.desks if entry.mac and not entry.address]
        if not macs:
            return {}
        found = addresses_of_macs(_arp())
        if self.get_option("cache"):
            self.load_cache_plugin()
            key = self.get_cache_key(path)
            before = self.cache.get(key) if cache else None
            found = self.cache[key] = remembered(macs, found, before or {})
        return found

    def _construct(self, sheet: Sheet) -> None:
        """Variables and groups of the admin's expressions. Raises AnsibleError, SheetError."""
        strict = self.get_option("strict")
        for entry in sheet.desks:
            host = self.inventory.get_host(entry.name)
            self._set_composite_vars(self.get_option("compose"), host.get_vars(), entry.name, strict)
            self._add_host_to_composed_groups(self.get_option("groups"), host.get_vars(), entry.name, strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), host.get_vars(), entry.name, strict)
        problems = []
        stacks = {stack: members for stack, (_topology, members) in sheet.stacks.items()}
        for pair, members in {**sheet.pairs, **stacks}.items():
            more = sorted({host.name for host in self.inventory.groups[pair].get_hosts()} - set(members))
            if more:
                kind = "stack" if pair in stacks else "pair"
                expected = f"names other than {pair}, which is a {kind} in the sheet: give the keyed group a prefix"
                problems.append(Problem(0, "", f"groups or keyed_groups that put {', '.join(more)} into {pair}", expected))
        if problems:
            raise SheetError(sheet.source, problems)


def _keys(path: str) -> dict[str, int]:
    """The keys of a YAML file with their lines, where it names this plugin, or is named as a sheet and holds ``desks``; else none."""
    if not path.endswith((".yml", ".yaml")):
        return {}
    try:
        root = yaml.compose(Path(path).read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return {}
    if not isinstance(root, yaml.MappingNode):
        return {}
    named = any(key.value == "plugin" and value.value in (InventoryModule.NAME, "desks") for key, value in root.value)
    keys = {str(key.value): key.start_mark.line + 1 for key, _value in root.value}
    return keys if named or ("desks" in keys and path.endswith(SUFFIXES)) else {}


def _wrong(keys: Mapping[str, int], config: Mapping[str, Any], options: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with a file's keys, and with those inside ``keyed_groups``. Ansible takes any text for false."""
    problems = [_no_option(line, key, options) for key, line in keys.items() if key not in options]
    inner = options["keyed_groups"]["suboptions"]
    groups = config.get("keyed_groups")
    for group in groups if isinstance(groups, list) else ():
        problems += [_no_option(keys["keyed_groups"], str(key), inner) for key in group if key not in inner]
    for key, line in keys.items():
        if options.get(key, {}).get("type") in ("bool", "boolean"):
            try:
                boolean(config[key])
            except TypeError:
                problems.append(Problem(line, key, repr(config[key])[:90], "true or false"))
    return problems


def _no_option(line: int, key: str, options: Iterable[str]) -> Problem:
    close = difflib.get_close_matches(key, list(options), n=1, cutoff=0.6)
    return Problem(line, key, "an unknown key", close[0] if close else f"one of {', '.join(sorted(options))}")


def _shown(path: Path | str) -> str:
    """A path as an admin reads it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _read(path: Path) -> Sheet:
    """The sheet of a file, in UTF-8 or in what spreadsheets write on Windows."""
    name = _shown(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SheetError(name, [Problem(0, "", error.strerror or str(error), "a readable file")]) from None
    text, encoding = None, ""
    for encoding in ("utf-16",) if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8", "cp1252", "latin-1"):
        try:
            text = raw.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    if "\0" in (text or "") or raw[:2] == b"PK":
        raise SheetError(name, [Problem(0, "", "a binary file", "a CSV or YAML file (export the spreadsheet as CSV)")])
    if text is None or (encoding in ("cp1252", "latin-1") and _NO_WORDS.search(text)):
        # Windows writes what is no UTF-8 in the country's own way, which a file does not tell: only Western Europe's is known by its words.
        expected = "CSV in UTF-8 (Excel: Save As, CSV UTF-8) or YAML"
        raise SheetError(name, [Problem(0, "", "letters in another encoding than UTF-8", expected)])
    return read(text, name, "yaml" if path.suffix in (".yml", ".yaml") else "csv")


def _beside_others(inventory: Any, sheet: Sheet, known_hosts: str) -> None:
    """Hold a sheet against the inventory's other ones; one that two files name is one. Raises SheetError."""
    # ansible-core hands every parse a wrapper of its own.
    sheets = READ.setdefault(getattr(inventory, "__wrapped__", inventory), [])
    others = [item for item in sheets if item[0].source != sheet.source]
    problems = [problem for other, _known in others for problem in clashes(sheet, other)]
    if problems:
        raise SheetError(sheet.source, problems)
    for other, known in others:
        if known != known_hosts:
            told = f"{sheet.source} and {other.source} are in two folders, but an inventory has one file of host keys"
            known_files = f"{_shown(known_hosts)} is used for all desks, {_shown(known)} is not"
            display.warning(clean(f"{told}: {known_files}. Put both sheets into one folder."))
    sheets.append((sheet, known_hosts))


def _fill(inventory: Any, sheet: Sheet, addresses: Mapping[str, str], known_hosts: str) -> None:
    """Groups, desks and their variables. ``addresses``: MAC to the address of a desk whose address the sheet does not say."""
    known = text_of(Path(known_hosts)) if addresses else ""
    inventory.add_group(DESKS_GROUP)
    inventory.add_group(PAIRS_GROUP)
    for pair in sheet.pairs:
        inventory.add_group(pair)
        inventory.add_child(PAIRS_GROUP, pair)
    if sheet.stacks:
        inventory.add_group(STACKS_GROUP)
    for stack, (topology, _members) in sheet.stacks.items():
        inventory.add_group(stack)
        inventory.set_variable(stack, "spark_topology", topology)
        inventory.add_child(STACKS_GROUP, stack)
    for entry in sheet.desks:
        inventory.add_host(entry.name, group=entry.group or DESKS_GROUP)
        if entry.group:
            inventory.add_child(DESKS_GROUP, entry.name)
        values = host_variables(entry, sheet)
        if entry.mac and not entry.address:
            if entry.mac in addresses:
                values["ansible_host"] = addresses[entry.mac]
                # Any neighbour can claim a MAC, an enrolled desk too, whose address has a key.
                if alias := alias_of(known, entry.name, addresses[entry.mac]):
                    values["ansible_ssh_extra_args"] = ssh_arguments(known_hosts, alias)
            else:
                unknown = f"{entry.mac} is not in this machine's neighbour table"
                todo = "ping the lab's network from here, or put the address in the sheet"
                display.warning(clean(f"{sheet.source} line {entry.line}: no address is known for {entry.name} ({unknown}); {todo}."))
        for key, value in values.items():
            inventory.set_variable(entry.name, key, value)


def _arp() -> str:
    try:
        return Path("/proc/net/arp").read_text(encoding="utf-8")
    except OSError:
        return ""
