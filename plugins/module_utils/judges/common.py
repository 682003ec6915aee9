# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small questions that several judges ask."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..model.desk import Desk


def version_key(version: str | None) -> tuple[int, ...] | None:
    """The numbers of a dotted version for comparison (trailing zeros do not count); null when there is none."""
    numbers = [int(item) for item in re.findall(r"\d{1,9}", version or "")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers) or None


def older(version: str | None, other: str | None) -> bool | None:
    """Whether ``version`` is below ``other``; null when one of them is no version."""
    left, right = version_key(version), version_key(other)
    return None if left is None or right is None else left < right


def same_version(one: str | None, other: str | None) -> bool:
    """Whether two versions may be one: equal, or one is the other without its last parts (NVML calls 580.178.04 580.178)."""
    if one is None or other is None:
        return True
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def unread_reason(desk: Desk, path: str) -> str | None:
    """Why a fact could not be read: the reason of the path itself or of a part above it; null when it was read."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        reason = desk.unread.get(".".join(parts[:length]))
        if reason is not None:
            return reason
    return None


def unread_about(desk: Desk, prefix: str, words: Iterable[str]) -> bool:
    """Whether something below ``prefix`` whose path has one of ``words`` could not be read."""
    wanted = tuple(words)
    return any((path == prefix or path.startswith(prefix + ".")) and any(word in path for word in wanted) for path in desk.unread)


def fact(desk: Desk, path: str) -> Any:
    """The fact at a dotted path such as ``driver.module_version``; null when a part of the way is null.

    Raises AttributeError for a path that the model does not have.
    """
    value: Any = desk
    for part in path.split("."):
        if value is None:
            return None
        value = getattr(value, part)
    return value


def named(items: Iterable[object], limit: int = 8) -> str:
    """Some names in one line, the rest counted."""
    words = [str(item) for item in items]
    if len(words) <= limit:
        return ", ".join(words)
    return f"{', '.join(words[:limit])} and {len(words) - limit} more"


def edit_by_hand(path: str, netdevs: Iterable[str]) -> str:
    """The remedy for a file that also configures something else, so that it cannot be set aside."""
    remedy = f"Remove {named(netdevs)} from {path} by hand (or narrow its match)"
    if "cloud-init" in path.rpartition("/")[2]:
        remedy += (
            ", and keep cloud-init, which wrote the file, from writing it again: put the line network: {config: disabled} into "
            "/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg"
        )
    return f"{remedy}; then run again."


def serials_apart(wanted: str, found: str) -> tuple[str, str]:
    """Two different serial numbers, each shortened to at most four characters where they differ."""
    same = 0
    while wanted[same : same + 1].lower() == found[same : same + 1].lower() != "":
        same += 1
    rests = wanted[same:], found[same:]
    after = 0
    while after < min(map(len, rests)) and rests[0][-1 - after].lower() == rests[1][-1 - after].lower():
        after += 1
    shown = []
    for text in (wanted, found):
        end = len(text) - after
        start = max(0, same - 3, end - 4)
        shown.append(f"{'...' if start else ''}{text[start:end]}{'...' if after else ''}")
    if len(wanted) != len(found):
        shown = [f"{part} ({len(text)} characters)" for part, text in zip(shown, (wanted, found), strict=True)]
    return shown[0], shown[1]


def times(number: int) -> str:
    """A count in words: once, 2 times."""
    return "once" if number == 1 else f"{number} times"


def routed_over(netdev: str) -> str:
    """Where a route leads, in words; the kernel's list has ``*`` for one that leads nowhere."""
    if netdev != "*":
        return f"routed over {netdev}"
    return "led nowhere: ip rule and ip route show table all name the rule or route (blackhole, unreachable or prohibit)"


TAKES_ALL = (
    "A VPN that takes all traffic has a default route in a table of its own, and other networks for the link do not help against that: let "
    "it leave the link's networks out (sudo tailscale set --exit-node-allow-lan-access; AllowedIPs of WireGuard)."
)
"""What else may be done about a way that is not the main table's."""
