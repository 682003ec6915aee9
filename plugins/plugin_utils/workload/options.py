# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of workload_check as one value; what makes no sense is refused before anything is asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from .check import ITEM_LIMIT, Asked

ITEMS = ("images", "requirements", "wheels", "paths")
NUMBERS = ("limit", "resolve_limit", "read_mb", "download_mb")


def asked_of(given: Mapping[str, Any]) -> Asked:
    """What was asked for: ``given`` are the arguments, checked against the module's documentation. Raises AnsibleActionFail."""
    for name in NUMBERS:
        if given[name] < 1:
            raise AnsibleActionFail(f"workload_check: {name} must be 1 or more")
    lists = {
        name: tuple(dict.fromkeys(str(item).strip() for item in given[name] or () if str(item).strip()))
        for name in (*ITEMS, "indexes", "plain_http")
    }
    if not any(lists[name] for name in ITEMS):
        raise AnsibleActionFail(
            "workload_check: nothing to check; give images, requirements, wheels or paths, such as "
            """-e '{"images": ["nvcr.io/nvidia/pytorch:25.11-py3"]}' or -e requirements=requirements.txt"""
        )
    if sum(len(lists[name]) for name in ITEMS) > ITEM_LIMIT:
        raise AnsibleActionFail(f"workload_check: more than {ITEM_LIMIT} items at once; check them in batches")
    for path in lists["paths"]:
        if not path.startswith("/"):
            raise AnsibleActionFail(f"workload_check: {path} is not an absolute path on a desk")
    return Asked(
        **lists,
        python=given["python"] or None,
        resolve=given["resolve"],
        limit=float(given["limit"]),
        resolve_limit=float(given["resolve_limit"]),
        read_mb=given["read_mb"],
        download_mb=given["download_mb"],
        cache=given["cache"],
        mirrors={str(name): str(place) for name, place in (given["mirrors"] or {}).items()},
        authfile=str(Path(given["authfile"]).expanduser().absolute()) if given["authfile"] else None,
    )
