# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/findings.md from the list of codes, or check that it is up to date.

python3 tools/findings_doc.py           write the file
python3 tools/findings_doc.py --check   exit 1 with one line when it is stale
"""

from __future__ import annotations

import argparse
import importlib
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "ansible_collections.labops.dgx_spark"
TARGET = ROOT / "docs" / "findings.md"

TITLES = {
    "run": "The run",
    "identity": "Identity and first contact",
    "system": "System",
    "driver": "Driver and GPU",
    "lock": "Driver lock",
    "link": "ConnectX-7 and link",
    "change": "Changes of the link",
    "cable": "Cables",
    "pair": "Pair",
    "proof": "Measurements",
}

HEAD = """# Findings

<!-- Made by tools/findings_doc.py from plugins/module_utils/judges/codes/. Change it there. -->

A finding is one judged statement with a stable code, a severity, evidence and a remedy. The worst severity of a desk or a pair
makes its verdict:

| severity | meaning | verdict |
|---|---|---|
| `ok`, `note` | fine, or good to know | PASS |
| `warn` | works, but something should be mended | WARN |
| `unknown` | could not be read or measured, so nothing is claimed | UNKNOWN |
| `fail` | broken, or must not be used like this | FAIL |

Where a code has several severities, the first one is the usual one and its meaning says when another is used.
"""


def catalogue() -> Any:
    """The module with the list of codes, without Ansible."""
    parts = PACKAGE.split(".")
    for number in range(1, len(parts) + 1):
        name = ".".join(parts[:number])
        if name not in sys.modules:
            package = types.ModuleType(name)
            package.__path__ = [str(ROOT)] if number == len(parts) else []
            sys.modules[name] = package
    return importlib.import_module(f"{PACKAGE}.plugins.module_utils.judges.catalogue")


def document() -> str:
    """The whole page."""
    domains = catalogue().DOMAINS
    lines = [HEAD, "## All codes", "", "| code | title | severity |", "|---|---|---|"]
    for domain, codes in domains.items():
        if codes:
            lines.append(f"| **{TITLES.get(domain, domain.capitalize())}** | | |")
            lines += [f"| [{code.code}](#{code.code.lower()}) | {code.title} | {', '.join(code.allowed)} |" for code in codes]
    for domain, codes in domains.items():
        if not codes:
            continue
        lines += ["", f"## {TITLES.get(domain, domain.capitalize())}"]
        for code in codes:
            lines += [
                "",
                f"### {code.code}",
                "",
                f"**{code.title}** ({', '.join(f'`{severity}`' for severity in code.allowed)})",
                "",
                code.meaning,
                "",
                f"*What to do:* {code.remedy}",
            ]
            if code.source:
                lines += ["", f"*Known from:* {code.source}"]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make docs/findings.md from the list of codes.")
    parser.add_argument("--check", action="store_true", help="only say whether the file is up to date")
    options = parser.parse_args(arguments)
    text = document()
    current = TARGET.read_text(encoding="utf-8") if TARGET.exists() else None
    if options.check:
        if current != text:
            print(f"{TARGET.relative_to(ROOT)} is {'missing' if current is None else 'stale'}: run python3 tools/findings_doc.py")
            return 1
        return 0
    if current != text:
        TARGET.write_text(text, encoding="utf-8")
        print(f"wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
