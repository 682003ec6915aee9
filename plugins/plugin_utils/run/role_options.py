# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of our roles that an admin gave, held against the roles' argument specs before any desk is asked.

A stage holds its own options against its module's documentation; where it comes last, everything before it has changed the desks by then.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ...module_utils.judges.marks import MarksError, with_lab_marks
from .. import lock_file
from ..documented import options as spec_of_options
from ..documented import without_empty
from .wants import WANTS, without_secrets

ROLES = Path(__file__).resolve().parents[3] / "roles"


_NEVER_ZERO = re.compile(r"_(?:iterations|bytes|message_size|queue_pairs|seconds|time_limit|first_port)$")
"""Numbers of which none at all measures nothing; a timeout of 0 is none, as Ansible has it, and a host may have the number 0."""


_OWN_FOLDER = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[^/\x00-\x1f]+){2,}/?")
PORTS = (0, 1)


@functools.cache
def specs() -> dict[str, dict[str, Any]]:
    """Variable to its spec, of every role; without the wishes, which are held against their own list."""
    found: dict[str, dict[str, Any]] = {}
    listed = {want.variable for want in WANTS}
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        told = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        for entry in (told.get("argument_specs") or {}).values():
            found |= {name: spec for name, spec in spec_of_options(entry.get("options") or {}).items() if name not in listed}
    return found


def given(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The options of roles among a desk's variables. One that is a template of something not yet known is left to its role."""
    found = {}
    for name in specs():
        try:
            value = variables.get(name)
        except Exception:  # whatever a template raises
            continue
        if value is not None:
            found[name] = value
    return found


def converted(values: Mapping[str, Any], *names: str) -> dict[str, Any] | None:
    """Those of the named options that were given, as their roles get them; null where one is wrong, see `check`."""
    asked = without_empty({name: values[name] for name in names if name in values}, specs())
    told = ArgumentSpecValidator({name: specs()[name] for name in asked}).validate(asked)
    return None if told.error_messages else {name: told.validated_parameters[name] for name in asked}


def check(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with these options, one sentence each."""
    problems = []
    for name, value in without_empty(values, specs()).items():
        told = ArgumentSpecValidator({name: specs()[name]}).validate({name: value})
        if told.error_messages:
            # Ansible's own words repeat the value as well.
            problems.append(without_secrets(f"{name} is {value!r}: {'; '.join(told.error_messages)}"))
        elif problem := _wrong_content(name, told.validated_parameters[name]):
            problems.append(f"{name} is {value!r}: {problem}")
        elif specs()[name].get("type") == "int" and told.validated_parameters[name] < (least := int(bool(_NEVER_ZERO.search(name)))):
            problems.append(f"{name} is {value!r}: a number of {least} or more was expected")
    return problems


def _wrong_content(name: str, value: Any) -> str | None:
    """What is wrong with marks, a place on the desk, or a file on the controller that a later stage would use."""
    try:
        if name == "pair_proof_marks":
            with_lab_marks(value)
        elif name in ("driver_lock_from", "desk_update_from"):
            lock_file.read(Path(value).expanduser())
        elif name == "nccl_bundle_folder" and not _OWN_FOLDER.fullmatch(str(value)):
            return "an absolute path below another folder was expected, such as /opt/dgx_spark/nccl: all that is in it is the bundle's"
        elif name == "pair_link_port" and value not in PORTS:
            return "a desk has ports 0 and 1"
        elif name == "pair_link_confirm_timeout" and not 30 <= value <= 3600:
            return "30 to 3600 seconds were expected"
        elif name == "pair_proof_rdma_first_port" and not 1024 <= value <= 65000:
            return "a port from 1024 to 65000 was expected"
        elif name == "nccl_bundle_archive" and not Path(value).expanduser().is_file():
            return "it is not a file on the controller"
    except (MarksError, lock_file.LockFileError) as error:
        return str(error)
    return None
