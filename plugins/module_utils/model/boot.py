# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kernel comes first in GRUB's menu. The facts and the plan of an update use the same rule."""

from __future__ import annotations

from collections.abc import Iterable


def menu_order(releases: Iterable[str], setting: str | None) -> list[str]:
    """Releases, which come with the highest version first, in the order of the menu. ``setting``: GRUB_TOP_LEVEL=FILE, which puts one
    kernel first, or GRUB_FLAVOUR_ORDER="FLAVOUR ...", which puts these flavours before all others; null for neither."""
    name, _equals, value = (setting or "").partition("=")
    if name == "GRUB_TOP_LEVEL":
        return sorted(releases, key=lambda release: value.rpartition("/")[2] not in (f"vmlinuz-{release}", f"vmlinux-{release}"))
    wanted = value.split()
    return sorted(
        releases, key=lambda release: next((place for place, word in enumerate(wanted) if release.endswith(f"-{word}")), len(wanted))
    )
