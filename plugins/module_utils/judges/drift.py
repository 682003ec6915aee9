# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences of a desk from a wanted state (another desk, or a file)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.data import as_dict
from ..model.desk import Desk
from ..model.finding import Finding, Where
from .catalogue import finding
from .common import named, unread_reason

BASELINE_PATHS = (
    "dgx_os.version",
    "ubuntu.version_id",
    "kernel.running",
    "kernel.next_boot",
    "kernel.kho",
    "driver.module_version",
    "driver.user_space_version",
    "driver.gsp_version",
    "driver.open_module",
    "driver.holds",
    "driver.pins",
    "driver.persistenced_active",
    "toolkit.cuda_toolkit",
    "toolkit.container_toolkit",
    "toolkit.perftest",
    "toolkit.open_mpi",
    "toolkit.nccl",
    "cx7.firmware",
    "cx7.hotplug_enabled",
    "network.renderer",
)
"""Facts that a desk gives as a baseline: the levels that a fleet shares. Vendor, names, addresses and serials are each desk's own."""


def baseline_of(desk: Desk) -> dict[str, Any]:
    """The wanted state that this desk stands for: path to value, without what could not be read."""
    values = {path: _at(as_dict(desk), path) for path in BASELINE_PATHS}
    return {path: value for path, value in values.items() if value is not None}


def flatten(wanted: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested or a dotted mapping as dotted paths."""
    flat: dict[str, Any] = {}
    for key, value in wanted.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, path + "."))
        else:
            flat[path] = value
    return flat


def unknown_paths(wanted: Mapping[str, Any]) -> list[str]:
    """Paths of a baseline that no desk has (spelling mistakes)."""
    plain = as_dict(Desk())
    return sorted(path for path in flatten(wanted) if not _exists(plain, path))


def judge_drift(desk: Desk, wanted: Mapping[str, Any], where: Where, name: str | None = None) -> list[Finding]:
    """DRIFT_FROM_BASELINE with every difference. ``name`` tells where the baseline comes from.

    Lists are compared without their order. A wanted fact that could not be read counts as a difference with its reason.
    Raises ValueError for a path that no desk has.
    """
    strangers = unknown_paths(wanted)
    if strangers:
        raise ValueError(f"the baseline names facts that do not exist: {', '.join(strangers)}")
    plain = as_dict(desk)
    differences: dict[str, dict[str, Any]] = {}
    for path, value in flatten(wanted).items():
        found = _at(plain, path)
        if _same(value, found):
            continue
        differences[path] = {"wanted": value, "found": found}
        if found is None:
            differences[path]["reason"] = unread_reason(desk, path) or "no answer"
    if not differences:
        return []
    told = "; ".join(_told(path, item) for path, item in differences.items())
    source = f" {name}" if name else ""
    message = f"{len(differences)} differences from the baseline{source}: {told}."
    return [finding("DRIFT_FROM_BASELINE", where, message, evidence={"baseline": name, "differences": differences})]


def _told(path: str, item: Mapping[str, Any]) -> str:
    wanted, found = item["wanted"], item["found"]
    if isinstance(wanted, (list, tuple)) and isinstance(found, (list, tuple)):
        missing, extra = (sorted(set(map(str, one)) - set(map(str, other))) for one, other in ((wanted, found), (found, wanted)))
        parts = [f"lacks {named(missing, 20)}"] if missing else []
        parts += [f"also has {named(extra, 20)}"] if extra else []
        return f"{path} {' and '.join(parts)}"
    if found is None:
        return f"{path} should be {wanted}, not read ({item['reason']})"
    return f"{path} should be {wanted}, is {found}"


def _same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, (list, tuple)) and isinstance(found, (list, tuple)):
        return sorted(map(str, wanted)) == sorted(map(str, found))
    if isinstance(wanted, bool) or isinstance(found, bool) or wanted is None or found is None:
        return wanted is found
    # YAML turns 13.0 or 24.04 into numbers; versions are text in the facts.
    return str(wanted) == str(found)


def _at(plain: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(plain, Mapping):
            return None
        plain = plain.get(part)
    return plain


def _exists(plain: Any, path: str) -> bool:
    for part in path.split("."):
        if not isinstance(plain, Mapping) or part not in plain:
            return False
        plain = plain[part]
    return True
