# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the recordings that tests replay, before any test module is read: several are named after them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def pytest_configure() -> None:
    """In a process of its own: the generator imports the collection without Ansible, which would be in the way of the tests."""
    subprocess.run([sys.executable, str(Path(__file__).resolve().parents[1] / "tools/make_recordings.py")], check=True, capture_output=True)
