# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that may be shown: what steers a terminal, turns the writing direction or no XML may hold is replaced by U+FFFD."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MARK = "\ufffd"
STEERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, delete, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional
    "\u2028\u2029"  # line ends that are none to a terminal
    "\ufeff\ufffe\uffff\ud800-\udfff]"  # none of XML's: non-characters and lone surrogates; and the byte order mark
)
END_OF_LINE = re.compile("(?<!\r)\r+\n")
"""What a terminal makes of a line feed; without pipelining Ansible asks for one. Looked for where such a run begins and nowhere in it: else
a desk that sends nothing but carriage returns keeps the controller busy for hours, and no time limit interrupts Python 3.11 in it."""
CUT = " [cut]"


def clean(text: str) -> str:
    """The text with what steers replaced. Tabs stay, and line feeds, those of a terminal as plain ones."""
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return STEERS.sub(MARK, END_OF_LINE.sub("\n", text)) if STEERS.search(text) else text


def line(text: str) -> str:
    """The text as one line, cleaned: nothing that a desk says begins a line of its own."""
    text = clean(text)
    return text.replace("\n", " ") if "\n" in text else text


def everything(value: Any) -> Any:
    """Plain data with every text in it cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {everything(name): everything(item) for name, item in value.items()}
    return [everything(item) for item in value] if isinstance(value, list | tuple) else value


def cut(text: str, limit: int) -> str:
    """The text, cleaned, of at most ``limit`` characters; what was cut is marked."""
    if len(text) > limit:
        text = text[: limit - len(CUT)] + CUT
    return clean(text)


def ends(text: str, limit: int) -> str:
    """A long text without its middle: a login's banner stands before what ssh or sudo says itself, which comes last."""
    return text if len(text) <= limit else f"{text[: limit // 3]} ... {text[limit // 3 + 5 - limit :]}"


def shown(value: object, limit: int = 60) -> str:
    """A value as a message may quote it."""
    text = repr(value[: 2 * limit] if isinstance(value, str) else value) if not isinstance(value, dict | list) else type(value).__name__
    return line(text if len(text) <= limit else f"{text[:limit]}...")
