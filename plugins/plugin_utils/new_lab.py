# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a new lab's folder: a sample inventory, ansible.cfg, .gitignore. Pure: texts out, nothing is written."""

from __future__ import annotations

import csv
from collections.abc import Mapping

SETTINGS: Mapping[str, Mapping[str, str]] = {
    "defaults": {
        "inventory": "inventory",
        "forks": "64",
        "inject_facts_as_vars": "False",
        "host_key_checking": "True",
        "retry_files_enabled": "False",
        "callback_result_format": "yaml",
        "stdout_callback": "labops.dgx_spark.progress",
        "display_skipped_hosts": "False",
        "internal_poll_interval": "0.01",
    },
    "connection": {"pipelining": "True"},
    "inventory": {"enable_plugins": "labops.dgx_spark.desks, host_list, script, auto, yaml, ini"},
}
"""Section to setting to value, as the checkout's own ansible.cfg has them."""

REMARKS: Mapping[str, str] = {
    "forks": "As many as there are desks: both desks of a pair are asked, linked and measured at the same moment.",
    "internal_poll_interval": "While desks measure, this machine asks a hundred times a second for news instead of a thousand times.",
    "enable_plugins": "desks reads lab sheets (*.desks.csv); it must come before ini, which takes any line of text for a host.",
    "stdout_callback": "A live view of a run. Remove the line for Ansible's own output.",
}

GITIGNORE = """\
# Secrets and what the playbooks write. Vaulted variables (ansible-vault encrypt) may be kept in git; their password may not.
.vault*
*vault-pass*
*vault_pass*
*.pem
*.key
id_ed25519*
id_rsa*
# Reports and recordings name desks and addresses.
/reports/
/recordings/
.ansible/
*.retry
.*.lock
"""

SHEET = "inventory/lab.desks"


def files(sample: str, variables: str, kind: str, user: str, collections: str) -> dict[str, str]:
    """Path below the folder to its text.

    ``sample``: the lab sheet that the collection ships, ``variables`` its group variables, ``kind`` csv or yaml, ``user`` the login user,
    ``collections`` where this collection is installed, when Ansible does not look there by itself.
    """
    return {
        f"{SHEET}.csv" if kind == "csv" else f"{SHEET}.yml": sample if kind == "csv" else as_yaml(sample),
        "inventory/group_vars/spark_desks.yml": variables.replace("ansible_user: labadmin", f"ansible_user: {user}"),
        "ansible.cfg": configuration(collections),
        ".gitignore": GITIGNORE,
    }


def configuration(collections: str = "") -> str:
    """The text of ansible.cfg."""
    lines = ["# Settings of this lab. Nothing that decides a verdict lives here."]
    for section, settings in SETTINGS.items():
        lines += ["", f"[{section}]"] if len(lines) > 1 else [f"[{section}]"]
        if section == "defaults" and collections:
            lines.append(f"collections_path = {collections}")
        for name, value in settings.items():
            lines += [f"# {REMARKS[name]}"] if name in REMARKS else []
            lines.append(f"{name} = {value}")
    return "\n".join(lines) + "\n"


def as_yaml(sample: str) -> str:
    """A lab sheet in CSV as YAML with the same desks; empty cells are left out."""
    remarks = [line for line in sample.splitlines() if line.startswith("#")]
    rows = csv.DictReader(line for line in sample.splitlines() if line.strip() and not line.startswith("#"))
    desks = [", ".join(f"{key}: {value}" for key, value in row.items() if value) for row in rows]
    extras = ["# Groups of your own columns, for --limit rack_4:", "# keyed_groups: [{prefix: rack, key: rack}]"]
    return "\n".join(["---", *remarks, *extras, "desks:", *(f"  - {{{desk}}}" for desk in desks)]) + "\n"


def steps(folder: str, kind: str) -> list[str]:
    """What comes next, one command a line."""
    sheet = f"{SHEET}.csv" if kind == "csv" else f"{SHEET}.yml"
    enter = [f"cd {folder}"] if folder not in ("", ".") else []
    return [
        "Next:",
        *(f"  $ {line}" for line in enter),
        f"  Put your desks into {sheet}, one line each, then:",
        "  $ ansible-inventory --graph                     # the pairs, or every mistake with line and column",
        "  $ ansible-playbook labops.dgx_spark.enrol --ask-pass --ask-become-pass",
        "  $ ansible-playbook labops.dgx_spark.audit       # changes nothing",
    ]
