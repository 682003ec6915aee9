# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing and verifying a file with ssh keys (``ssh-keygen -Y``), as admins have them anyway."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMESPACE = "certificate@dgx-spark.labops"
"""What a signature is for: one that was made for anything else is refused."""

LIMIT = 20.0
"""Seconds; a key that asks for a passphrase without an agent would wait for ever."""


class SigningError(Exception):
    """Signing or verifying failed; the text says why in one line."""


@dataclass(frozen=True)
class Signer:
    """Who signed."""

    fingerprint: str
    principal: str | None = None
    """The name that the list of allowed signers gives, null when no list was asked."""


def sign(path: Path, key: Path) -> Path:
    """Sign a file; gives the signature's file. ``key`` is a private key, or a public one whose private half is in the agent."""
    signature = path.with_name(path.name + ".sig")
    signature.unlink(missing_ok=True)
    _run(["-Y", "sign", "-q", "-n", NAMESPACE, "-f", str(key), str(path)])
    if not signature.is_file():
        raise SigningError(f"ssh-keygen wrote no {signature.name}")
    return signature


def verify(content: bytes, signature: Path, allowed: Path | None = None) -> Signer:
    """Who signed the content. With a list of allowed signers (ssh-keygen(1), ALLOWED SIGNERS) only one of it counts.

    Raises SigningError.
    """
    said = _run(["-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(signature)], content)
    found = re.search(r"SHA256:[A-Za-z0-9+/]{20,}", said)
    if not found:
        raise SigningError(f"ssh-keygen reports no key: {' '.join(said.split())[:200]}")
    if allowed is None:
        return Signer(found.group())
    listed = _run(["-Y", "find-principals", "-s", str(signature), "-f", str(allowed)]).split()
    for principal in listed:
        _run(["-Y", "verify", "-n", NAMESPACE, "-f", str(allowed), "-I", principal, "-s", str(signature)], content)
        return Signer(found.group(), principal)
    raise SigningError(f"{found.group()} is not in {allowed}")


def _run(arguments: list[str], content: bytes | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
    try:
        done = subprocess.run(
            ["ssh-keygen", *arguments],
            input=content if content is not None else b"",
            capture_output=True,
            timeout=LIMIT,
            check=False,
            env=environment,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise SigningError("ssh-keygen is not installed (package openssh-client)") from None
    except subprocess.TimeoutExpired:
        raise SigningError(f"ssh-keygen {arguments[1]} did not end within {LIMIT:.0f} s; a key with a passphrase needs ssh-agent") from None
    said = (done.stdout + b"\n" + done.stderr).decode(errors="replace").strip()
    if done.returncode != 0:
        raise SigningError(f"ssh-keygen {arguments[1]}: {' '.join(said.split())[:300] or f'exit code {done.returncode}'}")
    return said
