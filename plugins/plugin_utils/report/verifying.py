# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a certificate still is what was issued: its signature, its page, and the report that it speaks of."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..run.store import file_bytes
from .certificate import SCHEMA, CertificateError, certificate
from .read import ReportError, report_file
from .signing import Signer, SigningError, verify
from .words import line

LIMIT = 4 * 1024 * 1024
"""Bytes of a certificate's file."""


@dataclass
class Verified:
    """What was found. ``problems`` is empty only for a certificate that can be relied upon."""

    stack: str = ""
    verdict: str = ""
    issued: str = ""
    signer: Signer | None = None
    problems: list[str] = field(default_factory=list)


def check(
    path: Path, *, report: Path | None = None, allowed: Path | None = None, fingerprint: str = "", unsigned: bool = False
) -> Verified:
    """Check a certificate (JSON file) against its report, its page and its signature.

    ``report``: report.json, looked for in the folder above the certificate when not given. ``allowed``: a file of allowed signers;
    ``fingerprint``: the SHA256:... of the one key that counts. Without one of the two the signer cannot be trusted, which is a problem.
    ``unsigned`` accepts a certificate without a signature.
    """
    found = Verified()
    try:
        raw = file_bytes(path, LIMIT)
        data = json.loads(raw)
    except OSError as error:
        found.problems.append(f"{path} cannot be read: {error.strerror}")
        return found
    except (ValueError, RecursionError):
        found.problems.append(f"{path} is not JSON")
        return found
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found.problems.append(f"{path} is not a certificate; {SCHEMA} was expected")
        return found
    found.stack, found.verdict, found.issued = (line(data.get(key)) for key in ("stack", "verdict", "issued"))
    _signature(found, path, raw, allowed, fingerprint, unsigned)
    _page(found, path, data)
    _report(found, data, report or path.parent.parent / "report.json")
    return found


def _signature(found: Verified, path: Path, raw: bytes, allowed: Path | None, fingerprint: str, unsigned: bool) -> None:
    signature = path.with_name(path.name + ".sig")
    if not signature.is_file():
        if allowed or fingerprint or not unsigned:
            found.problems.append(
                f"{path.name} has no signature ({signature.name} is missing): anyone could have made it; -e accept_unsigned=true only "
                "checks whether certificate, page and report belong together"
            )
        return
    try:
        found.signer = verify(raw, signature, allowed)
    except SigningError as error:
        found.problems.append(f"the signature is not valid: {error}")
        return
    if fingerprint and found.signer.fingerprint != fingerprint:
        found.problems.append(f"it was signed with {found.signer.fingerprint}; {fingerprint} was expected")
    if not allowed and not fingerprint:
        found.problems.append(
            f"it is signed with {found.signer.fingerprint}, but nothing says whose key that is: give -e allowed_signers=FILE "
            "(ssh-keygen(1), ALLOWED SIGNERS) or -e signer_fingerprint=SHA256:..."
        )


def _page(found: Verified, path: Path, data: dict[str, Any]) -> None:
    page = path.with_suffix(".html")
    try:
        digest = hashlib.sha256(file_bytes(page)).hexdigest()
    except FileNotFoundError:
        return
    except OSError as error:
        found.problems.append(f"{page.name} cannot be read: {error.strerror}")
        return
    if digest != data.get("page_sha256"):
        found.problems.append(f"the page {page.name} is not the one that was issued")


def _report(found: Verified, data: dict[str, Any], path: Path) -> None:
    try:
        report, digest = report_file(path)
    except ReportError as error:
        found.problems.append(f"its report cannot be compared: {error} (-e certificate_report=PATH gives another path)")
        return
    if digest != data.get("report_sha256"):
        found.problems.append(
            f"{path} is not the report that was certified (SHA-256 {digest[:16]}..., "
            f"{line(data.get('report_sha256'))[:16]}... was expected)"
        )
        return
    try:
        again = certificate(report, str(data.get("stack")), digest, data.get("serials") is True)
    except CertificateError as error:
        found.problems.append(f"the report does not support it: {error}")
        return
    wrong = sorted(key for key in {*again, *data} if again.get(key) != data.get(key) and key != "page_sha256")
    if wrong:
        found.problems.append(f"the report says otherwise about: {', '.join(map(line, wrong))}")
