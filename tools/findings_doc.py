# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/findings.md from the list of codes, or check that it is up to date.

python3 tools/findings_doc.py           write the file
python3 tools/findings_doc.py --check   exit 1 with one line when it is stale
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import generated  # noqa: E402

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


def document() -> str:
    """The whole page."""
    domains = generated.plain("plugins.module_utils.judges.catalogue").DOMAINS
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


if __name__ == "__main__":
    sys.exit(generated.main("Make docs/findings.md from the list of codes.", lambda: {TARGET: document()}))
