# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions made a run, for the report and its certificates."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]


def versions() -> dict[str, str]:
    """Versions of the collection, of ansible-core and of the controller's Python; an unknown one is left out."""
    from ansible.release import __version__ as ansible_version

    found = {"collection": collection_version(), "ansible_core": str(ansible_version), "python": platform.python_version()}
    return {name: version for name, version in found.items() if version}


def collection_version(root: Path = ROOT) -> str:
    """The version that the tarball's manifest states, else that of the checkout's galaxy.yml; empty when there is neither."""
    try:
        return str(json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))["collection_info"]["version"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        return str(yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))["version"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return ""
