# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of workload_check, checked: a misspelt or wrong one is refused before anything is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .check import ITEM_LIMIT, Asked

SPEC: dict[str, Any] = {
    "desk": {"type": "str"},
    "images": {"type": "list", "elements": "str", "default": []},
    "requirements": {"type": "list", "elements": "str", "default": []},
    "wheels": {"type": "list", "elements": "str", "default": []},
    "paths": {"type": "list", "elements": "str", "default": []},
    "indexes": {"type": "list", "elements": "str", "default": []},
    "python": {"type": "str"},
    "resolve": {"type": "str", "choices": ["auto", "controller", "desk"], "default": "auto"},
    "limit": {"type": "int", "default": 30},
    "resolve_limit": {"type": "int", "default": 600},
    "read_mb": {"type": "int", "default": 96},
    "download_mb": {"type": "int", "default": 512},
    "cache": {"type": "str", "default": "~/.cache/dgx_spark/workload"},
    "mirrors": {"type": "dict", "default": {}},
    "plain_http": {"type": "list", "elements": "str", "default": []},
    "authfile": {"type": "str"},
}


def asked_of(arguments: Mapping[str, Any]) -> Asked:
    """What was asked for. Raises AnsibleActionFail."""
    checked = ArgumentSpecValidator(SPEC).validate(dict(arguments))
    if checked.error_messages:
        raise AnsibleActionFail("workload_check: " + "; ".join(checked.error_messages))
    given: dict[str, Any] = dict(checked.validated_parameters)
    for name in ("limit", "resolve_limit", "read_mb", "download_mb"):
        if given[name] < 1:
            raise AnsibleActionFail(f"workload_check: {name} must be 1 or more")
    lists = {name: tuple(dict.fromkeys(str(item).strip() for item in given[name] if str(item).strip())) for name in _LISTS}
    if not any(lists[name] for name in ("images", "requirements", "wheels", "paths")):
        raise AnsibleActionFail(
            "workload_check: nothing to check; give images, requirements, wheels or paths, such as "
            """-e '{"images": ["nvcr.io/nvidia/pytorch:25.11-py3"]}' or -e requirements=requirements.txt"""
        )
    if sum(len(items) for items in lists.values()) > ITEM_LIMIT:
        raise AnsibleActionFail(f"workload_check: more than {ITEM_LIMIT} items at once; check them in parts")
    for path in lists["paths"]:
        if not path.startswith("/"):
            raise AnsibleActionFail(f"workload_check: {path} is no absolute path on a desk")
    return Asked(
        **lists,
        python=given["python"] or None,
        resolve=given["resolve"],
        limit=float(given["limit"]),
        resolve_limit=float(given["resolve_limit"]),
        read_mb=given["read_mb"],
        download_mb=given["download_mb"],
        cache=given["cache"],
        mirrors={str(name): str(place) for name, place in given["mirrors"].items()},
        authfile=given["authfile"] or None,
    )


_LISTS = ("images", "requirements", "wheels", "paths", "indexes", "plain_http")
