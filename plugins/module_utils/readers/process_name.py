# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nvidia-smi names a process by: often its whole command line."""

from __future__ import annotations

import re

LIMIT = 200
_PYTHON = re.compile(r"\S{0,180}\bpython[0-9.]{0,6}(?: -[BEIOPSsuv]{1,6}){0,6}(?: -m [A-Za-z_][\w.]{0,120}| [\w./~+-]{0,150}\.py(?= |$))")
_NO_NAME = re.compile(r"\[[A-Za-z ]{1,40}\]")


def read(text: str) -> str:
    """The program without its arguments, which may hold passwords; of Python also the module or the script, since it says what runs."""
    line = " ".join(text[:4096].split())
    whole = _PYTHON.match(line) or _NO_NAME.fullmatch(line)
    return (whole.group() if whole else line.partition(" ")[0])[:LIMIT] or "unknown"
