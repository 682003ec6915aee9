# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that is not ours and configures interfaces of the adapter."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Owner:
    """A file that is not ours and configures interfaces of the adapter."""

    path: str
    """The file or profile."""
    netdevs: tuple[str, ...] = ()
    """Which of the adapter's interfaces."""
    ids: tuple[str, ...] = ()
    """The names under which netplan knows them."""
    others: tuple[str, ...] = ()
    """What else it configures; such a file cannot be moved aside."""
    error: str | None = None
    """Why it could not be read, so that nothing is known about it; null when it was read."""
    automatic: bool = False
    """NetworkManager made it on its own."""
    by_pattern: bool = False
    """It matches our interfaces only because it matches many."""

    def beside(self, link: Collection[str], lit: Collection[str]) -> Owner | None:
        """The same file seen from one link: null when it does not concern the link.

        ``link``: interfaces of the link; ``lit``: those of the adapter that are in use. What it configures on a port without a
        cable does no harm when it is moved aside; another port that has a link does count as something else.
        """
        if self.error is not None:
            return self
        here = [name for name in self.netdevs if name in link]
        if not here:
            return None
        elsewhere = [name for name in self.netdevs if name not in link and name in lit]
        if not elsewhere:
            return self
        return replace(self, netdevs=tuple(here), others=(*self.others, *(f"{name} (which has a link)" for name in elsewhere)))
