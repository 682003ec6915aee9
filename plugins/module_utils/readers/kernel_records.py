# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of a kernel log (journalctl -k, dmesg): where each begins, and what the kernel said in it.

The kernel prints words of its users: a program's name or path, the name of a control group. They may hold line ends, and then whole lines
are theirs. journalctl and dmesg set the further lines of a record in, below its message and without a time: a record begins where a
time stands at the begin of a line. In a message the users' words come behind words of the kernel's own; only a program's name, of
`NAME_LIMIT` characters, begins some of them. Readers therefore look for a driver's words at the begin of a message alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from . import pasted as _pasted
from . import text as _text

LINE_LIMIT = 1024
MORE_LIMIT = 16
"""Further lines kept of one record; the driver's longest message has four."""
NAME_LIMIT = 15
"""Characters that the kernel keeps of a program's name."""

_ANCHOR = re.compile(
    r"\[ {0,12}\+?[0-9]{1,9}\.[0-9]{1,9}[\] <]|\[[A-Z][a-z]{2} {0,2}[0-9]{1,2} [0-9]{2}:[0-9]{2}\]"
    r"|\[[^\W\d_]{2,5}\.? [A-Z][a-z]{2} {1,2}[0-9]{1,2} [0-9:]{8} [0-9]{4}\]"
)
"""Times with which a line of the log begins, whatever somebody's tool wrote in front of it."""
_SECONDS = r"\[ {0,12}\+?[0-9]{1,9}\.[0-9]{1,9}(?: {0,4}< {0,12}\+?[0-9.]{1,20} {0,4}>)?\]"
_STAMP = (
    rf"(?:{_SECONDS}"
    r"|\[[^\[\]]{0,40}[0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?: [0-9]{4})?\]"
    r"|[0-9]{1,4},[0-9]{1,12},[0-9]{1,18},[^;]{0,40};"
    r"|(?:[A-Z][a-z]{2} )?[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2}| [A-Z+-][A-Z0-9+-]{1,6}(?= ))?"
    r"|[^\W\d_]{2,6}\.? {1,2}[0-9]{1,2} [0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"|[0-9]{10}\.[0-9]{3,9}|[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)"
)
_LEVEL = r"(?:<[0-9]{1,3}>(?:1 )?|[a-z0-9]{2,10} {0,8}: ?[a-z]{2,8} {0,8}: ?)?"
_SPEAKER = rf"(?:(?:\S{{1,64}} )?kernel(?: - - -|:) (?:(?P<own>{_SECONDS}) )?)?"
_HEAD = re.compile(rf"{_LEVEL}{_STAMP}(?:\[ {{0,12}}[TC][0-9]{{1,10}}\])? ?{_SPEAKER}")
"""A time in every form of journalctl, dmesg, syslog and /dev/kmsg, and who speaks where that is told."""
_NO_TIME = re.compile(_SPEAKER)
_PROGRAM = re.compile(
    rf".{{1,{NAME_LIMIT}}}?(?:\[[0-9]{{1,10}}\](?:[: ]|$)| \([0-9]{{1,10}}\)(?:[: ]|$)|: (?:page allocation|vmalloc error))", re.DOTALL
)
"""Messages that begin with a program's name and go on with further words of its user's."""
_INTERFACE = re.compile(r"\S{1,15}: (?:renamed from |port [0-9]{1,5}\(|\(slave |(?:entered|left) |link (?:becomes|is) )")
"""Messages that begin with the name of an interface, which whoever may rename it chooses (root of a container, too)."""


class Record(NamedTuple):
    """One record of the log."""

    line: str
    """Its first line, with the time."""
    message: str
    """That line without time, host and speaker."""
    time_at: int
    """Where in the line its time begins: the kernel's own, where syslog put another before it."""
    more: tuple[str, ...]
    """Its further lines, without the blanks before them."""

    @property
    def whole(self) -> str:
        """The message with its further lines."""
        return "\n".join((self.message, *self.more))

    @property
    def by_users_name(self) -> bool:
        """Whether a name that users choose begins the message, so that nothing in it is a driver's."""
        return _PROGRAM.match(self.whole) is not None or _INTERFACE.match(self.message) is not None


def read(text: str) -> list[Record]:
    """The records in order. In a log whose tool left the times out each line is one, unless it is set in."""
    lines = [line for line in _lines(text) if line.strip() and not line.startswith("-- ")]
    heads = [_HEAD.match(line) for line in lines]
    timed = any(heads)
    found: list[tuple[str, re.Match[str], list[str]]] = []
    for line, time in zip(lines, heads, strict=True):
        head = time if timed or (found and line.startswith((" ", "\t"))) else _NO_TIME.match(line)
        if head is not None:
            found.append((line, head, []))
        elif found and len(found[-1][2]) < MORE_LIMIT:
            found[-1][2].append(line.strip())
    return [Record(line, line[head.end() :], max(head.start("own"), 0), tuple(more)) for line, head, more in found]


def _lines(text: str) -> list[str]:
    lines = _text.lines(text, LINE_LIMIT)
    first = next((line for line in lines if line.strip() and not line.startswith("-- ")), "")
    if _HEAD.match(first.lstrip()):
        # Nobody put anything in front of this log, blanks apart. What looks like a front in a later line is some user's.
        before = first[: len(first) - len(first.lstrip())]
        return [line.removeprefix(before) for line in lines]
    return _pasted.without_fronts(_pasted.bare(lines), _ANCHOR)
