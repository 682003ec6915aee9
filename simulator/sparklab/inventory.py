"""The inventory of a lab, from its record. Reads only."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import yaml

from sparklab import describe, desks, files, paths
from sparklab.errors import LabError
from sparklab.lab import Lab

SHEET_COLUMNS = ("name", "address", "mac", "pair", "stack", "topology", "position", "serial", "fingerprint", "out_of_service")
ONLY_WITH_STACKS = ("stack", "topology")

# The lab has no way to the internet: what desks would fetch from there comes from this machine.
OFFLINE: dict[str, Any] = {
    "nccl_bundle_nccl": {"archive": str(paths.SIMULATOR / "desk" / "packages" / "nccl")},
    "nccl_bundle_nccl_tests": {"archive": str(paths.SIMULATOR / "desk" / "packages" / "nccl-tests")},
}


def build(lab: Lab) -> dict[str, Any]:
    """The inventory as Ansible's dynamic inventory JSON."""
    record = lab.record
    passwords = lab.passwords()
    hostvars: dict[str, Any] = {}
    for name in record.spec.desks:
        entry: dict[str, Any] = {"ansible_host": lab.address(name), "ansible_become_password": passwords[name]}
        # A boxed desk lets this key in once the lab's own sheet was used to enrol it.
        entry["ansible_ssh_private_key_file"] = str(record.dir / "ssh" / "id_ed25519")
        hostvars[name] = entry
    known_hosts = " ".join(str(path) for path in lab.known_hosts)
    common: dict[str, Any] = {
        "ansible_user": "labadmin",
        "ansible_ssh_common_args": f"-o 'UserKnownHostsFile={known_hosts}' -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes",
        **OFFLINE,
    }
    groups: dict[str, Any] = {
        "_meta": {"hostvars": hostvars},
        "all": {"children": ["spark_desks"]},
        "spark_desks": {"hosts": list(record.spec.desks), "vars": common},
    }
    if record.spec.pairs:
        groups["all"]["children"].append("spark_pairs")
        groups["spark_pairs"] = {"children": list(record.spec.pairs)}
        for pair, members in record.spec.pairs.items():
            groups[pair] = {"hosts": list(members)}
    if record.spec.stacks:
        groups["all"]["children"].append("spark_stacks")
        groups["spark_stacks"] = {"children": list(record.spec.stacks)}
        for stack, (topology, members) in record.spec.stacks.items():
            groups[stack] = {"hosts": list(members), "vars": {"spark_topology": topology} if topology else {}}
    return groups


def as_yaml(lab: Lab) -> dict[str, Any]:
    """The same as a static YAML inventory."""
    data = build(lab)
    hosts = data["_meta"]["hostvars"]
    tree: dict[str, Any] = {"spark_desks": {"hosts": hosts, "vars": data["spark_desks"]["vars"]}}
    if "spark_pairs" in data:
        tree["spark_pairs"] = {
            "children": {pair: {"hosts": {name: {} for name in data[pair]["hosts"]}} for pair in data["spark_pairs"]["children"]}
        }
    if "spark_stacks" in data:
        children = {
            stack: {"hosts": {name: {} for name in data[stack]["hosts"]}, "vars": data[stack]["vars"]}
            for stack in data["spark_stacks"]["children"]
        }
        tree["spark_stacks"] = {"children": children}
    return tree


def sheet(lab: Lab, fingerprints: bool = False) -> str:
    """The lab sheet an admin would have of these desks, as CSV.

    A desk's `sheet` entry in the lab's description overrides columns, to describe a sheet that is wrong.
    """
    record = lab.record
    place = {name: (pair, number) for pair, names in record.spec.pairs.items() for number, name in enumerate(names, 1)}
    stack_of = {name: (stack, topology) for stack, (topology, names) in record.spec.stacks.items() for name in names}
    columns = [column for column in SHEET_COLUMNS if record.spec.stacks or column not in ONLY_WITH_STACKS]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for name, desk in record.spec.desks.items():
        pair, position = place.get(name, ("", ""))
        row: dict[str, Any] = {
            "name": name,
            "address": lab.address(name),
            "mac": describe.management_mac(desk),
            "pair": pair,
            "position": position,
            "serial": desk.serial,
            "fingerprint": "",
            "out_of_service": "",
        }
        if fingerprints:
            row["fingerprint"] = desks.fingerprint(lab.host_keys(name))
        for column, value in desk.sheet.items():
            if column not in SHEET_COLUMNS:
                raise LabError(f"{name}: the lab sheet has no column {column!r}; columns: {', '.join(SHEET_COLUMNS)}.")
            row[column] = value
        if record.spec.stacks:
            row = {**dict(zip(ONLY_WITH_STACKS, stack_of.get(name, ("", "")), strict=True)), **row}
        writer.writerow(row)
    return out.getvalue()


def write_folder(lab: Lab, fingerprints: bool = False) -> Path:
    """An admin's inventory of this lab, as inventories/lab is one: the sheet, the login user, and the passwords as a vault would give them.

    It lies in the lab's own folder and goes with it. Enrolment leaves its known_hosts.txt there.
    """
    folder = lab.sheet_folder
    secret = f"(lookup('ansible.builtin.file', '{lab.record.dir / 'secrets.json'}') | from_json)[inventory_hostname]"
    desks_vars = {
        "ansible_user": "labadmin",
        "ansible_ssh_private_key_file": str(lab.record.dir / "ssh" / "id_ed25519"),
        "ansible_password": f"{{{{ {secret} }}}}",
        "ansible_become_password": f"{{{{ {secret} }}}}",
        **OFFLINE,
    }
    (folder / "group_vars").mkdir(parents=True, exist_ok=True)
    files.write_atomic(folder / "lab.desks.csv", sheet(lab, fingerprints))
    files.write_atomic(folder / "group_vars" / "spark_desks.yml", yaml.safe_dump(desks_vars, sort_keys=False, width=1000))
    return folder
