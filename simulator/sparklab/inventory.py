"""The inventory of a lab, from its record. Reads only."""

from __future__ import annotations

import csv
import io
from typing import Any

from sparklab import describe, desks, files, paths
from sparklab.errors import LabError
from sparklab.lab import Lab

SHEET_COLUMNS = ("name", "address", "mac", "pair", "position", "serial", "fingerprint", "out_of_service")


def build(lab: Lab) -> dict[str, Any]:
    """The inventory as Ansible's dynamic inventory JSON."""
    record = lab.record
    passwords = lab.passwords()
    hostvars: dict[str, Any] = {}
    for name, desk in record.spec.desks.items():
        entry: dict[str, Any] = {"ansible_host": lab.address(name), "ansible_become_password": passwords[name]}
        if lab.enrolled(desk):
            entry["ansible_ssh_private_key_file"] = str(record.dir / "ssh" / "id_ed25519")
        hostvars[name] = entry
    common: dict[str, Any] = {
        "ansible_user": "labadmin",
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={record.dir / 'known_hosts'} "
        "-o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes",
    }
    # The lab has no way to the internet: what desks would fetch from there comes from this machine.
    common["nccl_bundle_nccl"] = {"archive": str(paths.SIMULATOR / "desk" / "packages" / "nccl")}
    common["nccl_bundle_nccl_tests"] = {"archive": str(paths.SIMULATOR / "desk" / "packages" / "nccl-tests")}
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
    return tree


def sheet(lab: Lab, fingerprints: bool = False) -> str:
    """The lab sheet an admin would have of these desks, as CSV.

    A desk's `sheet` entry in the lab's description overrides columns, to describe a sheet that is wrong.
    """
    record = lab.record
    place = {name: (pair, number) for pair, names in record.spec.pairs.items() for number, name in enumerate(names, 1)}
    out = io.StringIO()
    writer = csv.DictWriter(out, SHEET_COLUMNS, lineterminator="\n")
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
        entry = record.desk(name)
        if fingerprints and files.process_alive(entry.get("pid")):
            row["fingerprint"] = desks.fingerprint(int(entry["pid"]["pid"]))
        for column, value in desk.sheet.items():
            if column not in SHEET_COLUMNS:
                raise LabError(f"{name}: the lab sheet has no column {column!r}; columns: {', '.join(SHEET_COLUMNS)}.")
            row[column] = value
        writer.writerow(row)
    return out.getvalue()
