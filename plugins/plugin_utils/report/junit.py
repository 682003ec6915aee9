# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as JUnit XML, one suite a pair or lone desk, one case a finding. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree


def junit(report: Mapping[str, Any]) -> str:
    """JUnit XML: fail -> failure, unknown -> error, the rest passes with its text as output."""
    root = ElementTree.Element("testsuites", name=f"labops.dgx_spark {report['run']['playbook']}")
    for kind, owner in [("pair", pair) for pair in report["pairs"]] + [("desk", desk) for desk in report["desks"]]:
        suite = ElementTree.SubElement(root, "testsuite", name=f"{kind} {owner['name']}", timestamp=str(report["run"]["started"]))
        cases = owner["findings"] or [{"code": "VERDICT", "severity": "ok", "message": f"verdict {owner['verdict']}", "remedy": ""}]
        failures = errors = 0
        for item in cases:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"{kind}.{owner['name']}", name=_clean(f"{item['code']}: {item['message']}")
            )
            text = _clean(f"{item['message']}\nRemedy: {item['remedy']}")
            if item["severity"] == "fail":
                failures += 1
                ElementTree.SubElement(case, "failure", message=item["code"]).text = text
            elif item["severity"] == "unknown":
                errors += 1
                ElementTree.SubElement(case, "error", message=item["code"]).text = text
            elif item["severity"] != "ok":
                ElementTree.SubElement(case, "system-out").text = text
        suite.set("tests", str(len(cases)))
        suite.set("failures", str(failures))
        suite.set("errors", str(errors))
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _clean(text: str) -> str:
    """Without the control characters that XML 1.0 forbids."""
    return "".join(char if char in "\t\n" or ord(char) >= 32 else "?" for char in text)
