# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet's lock file: one reviewed YAML file that says which driver, kernel, NCCL and firmware every desk shall have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..module_utils.changes.driver_group import belongs, held_group
from ..module_utils.judges.driver_lock import DRIFT_PATHS
from ..module_utils.model.desk import Desk
from . import plain_yaml
from .run.store import file_text, is_of_others, write_atomically

SCHEMA = "labops.dgx_spark/lock/1"

SIZE_LIMIT = 1 << 20
"""Characters; one of a real desk has about ten thousand."""

PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,100}")
VERSION = re.compile(r"[0-9][A-Za-z0-9.+:~-]{0,100}")
"""As Debian's policy has them."""

KERNEL_OWN = re.compile(r"\d+\.\d+\.\d+-\d+")
"""Packages of one kernel release: they follow from the metas and are not named in the file."""


class LockFileError(ValueError):
    """The lock file cannot be written or used; the text says why in one line."""


@dataclass(frozen=True)
class LockFile:
    """A fleet lock file."""

    name: str
    """What it is called in findings."""
    made_from: str
    made_at: str
    branch: int
    facts: Mapping[str, str] = field(default_factory=dict)
    """Dotted fact path to wanted value (driver, kernel, DGX OS, NCCL, firmware)."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Package to version."""


def from_desk(desk: Desk, name: str, findings: Sequence[Mapping[str, Any]], made_at: str, branch: int = 580) -> LockFile:
    """The lock file of a known-good desk. Raises LockFileError for a desk that is not PASS or not fully known."""
    bad = [item for item in findings if item.get("severity") not in ("ok", "note")]
    if bad:
        told = "; ".join(f"{item.get('code')}: {item.get('message')}" for item in bad[:4])
        raise LockFileError(f"{name} is not PASS, so it cannot represent the fleet: {told}")
    facts = {}
    unknown = []
    for path, words, _severity in DRIFT_PATHS:
        part, _dot, key = path.partition(".")
        value = getattr(getattr(desk, part), key)
        if value is None:
            unknown.append(words)
        else:
            facts[path] = str(value)
    # NCCL and the adapter's firmware may be absent (not installed, no cable); driver and kernel may not.
    missing = [words for path, words, _severity in DRIFT_PATHS if words in unknown and path.split(".")[0] in ("driver", "kernel", "dgx_os")]
    if missing:
        raise LockFileError(f"{name} does not report its {', '.join(missing)}; read its facts as root and try again")
    packages = {item.name: item.version for item in held_group(desk.driver.packages, branch) if not KERNEL_OWN.search(item.name)}
    if not packages:
        raise LockFileError(f"{name} has no package of the {branch} driver; it cannot represent the fleet")
    return LockFile(f"the lock of {name}", name, made_at, branch, facts, packages)


def to_text(lock: LockFile) -> str:
    """The file's text."""
    data = {
        "schema": SCHEMA,
        "made_from": lock.made_from,
        "made_at": lock.made_at,
        "branch": lock.branch,
        "facts": dict(sorted(lock.facts.items())),
        "packages": dict(sorted(lock.packages.items())),
    }
    head = (
        "# Lock file of the fleet, written by labops.dgx_spark.lock_from from the desk named below. Review it, commit it, then enforce "
        "it:\n#   ansible-playbook -i INVENTORY playbooks/onboard.yml -e driver_lock_from=THIS_FILE\n"
    )
    text: str = yaml.safe_dump(data, sort_keys=False, default_flow_style=False)
    return head + "---\n" + text


def differs(lock: LockFile, path: Path) -> bool:
    """Whether the file does not say the same yet (apart from when it was made)."""
    try:
        have = read(path)
    except LockFileError:
        return True
    return (have.branch, dict(have.facts), dict(have.packages)) != (lock.branch, dict(lock.facts), dict(lock.packages))


def text_before(path: Path) -> str:
    """The text of the lock file that is there, empty for none. Raises LockFileError for a file that is no lock: it is nobody's to show."""
    if is_of_others(path, SCHEMA.rpartition("/")[0]):
        raise LockFileError(f"{path} is there and is not a lock file, so it is left alone; name another one with -e lock_file=PATH")
    return file_text(path, errors="replace") if path.exists() else ""


def write(lock: LockFile, path: Path) -> None:
    """Write the file; never over one that is no lock. Raises LockFileError."""
    text_before(path)
    try:
        write_atomically(path, to_text(lock), 0o644)
    except OSError as error:
        raise LockFileError(f"{path} cannot be written: {error.strerror}") from error


def read(path: Path) -> LockFile:
    """The lock file at ``path``. Raises LockFileError with the path of the bad value."""
    try:
        # Somebody may have sent it: no aliases, which multiply, and no more than a lock has reason to be.
        data = plain_yaml.load(file_text(path, SIZE_LIMIT), SIZE_LIMIT)
    except (OSError, UnicodeDecodeError, plain_yaml.PlainYamlError) as error:
        raise LockFileError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise LockFileError(f"{path}: schema is {data.get('schema') if isinstance(data, dict) else None!r}, {SCHEMA!r} was expected")
    branch = data.get("branch")
    if not isinstance(branch, int) or not 100 <= branch <= 999:
        raise LockFileError(f"{path}: branch is {branch!r}; a number such as 580 was expected")
    known = {item for item, _words, _severity in DRIFT_PATHS}
    facts, packages = _texts(path, data, "facts"), _texts(path, data, "packages")
    for name, version in packages.items():
        if not PACKAGE.fullmatch(name) or not VERSION.fullmatch(version):
            raise LockFileError(f"{path}: packages has {name!r}: {version!r}, a Debian package and its version were expected")
    # An update installs what a lock names, and an archive has programs that let others in.
    others = sorted(name for name in packages if not belongs(name, branch))
    if others:
        raise LockFileError(f"{path}: packages has {', '.join(others[:6])}; only packages of driver, kernel and NCCL were expected")
    strangers = sorted(set(facts) - known)
    if strangers:
        raise LockFileError(f"{path}: facts has {', '.join(strangers)}; known facts are {', '.join(sorted(known))}")
    if not packages:
        raise LockFileError(f"{path}: packages is empty; the versions of the locked group were expected")
    return LockFile(path.name, str(data.get("made_from") or "unknown"), str(data.get("made_at") or "unknown"), branch, facts, packages)


def _texts(path: Path, data: Mapping[str, Any], key: str) -> dict[str, str]:
    value = data.get(key) or {}
    if not isinstance(value, dict):
        raise LockFileError(f"{path}: {key} holds {type(value).__name__}; a mapping was expected")
    for name, item in value.items():
        if not isinstance(name, str) or not isinstance(item, str) or not item or any(c.isspace() for c in name + item):
            raise LockFileError(f"{path}: {key}[{name!r}] is {item!r}; quoted text without spaces was expected")
    return dict(value)
