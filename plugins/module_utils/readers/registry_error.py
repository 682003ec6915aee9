# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why an image could not be looked at: the words of skopeo and of registries, by kind."""

from __future__ import annotations

import re

KINDS = (
    "client_missing",
    "timeout",
    "rate_limit",
    "no_network",
    "certificate",
    "plain_http",
    "no_access",
    "not_found",
    "not_readable",
    "other",
)
_NETWORK = (
    "no such host",
    "connection refused",
    "network is unreachable",
    "no route to host",
    "temporary failure in name resolution",
    "server misbehaving",
    "connection reset by peer",
    "proxyconnect",
)
_ACCESS = (
    "unauthorized",
    "authentication required",
    "requested access to the resource is denied",
    r"\bdenied\b",
    "invalid username/password",
    r"status ?(?:code)?:? ?40[13]",
    "unable to retrieve auth token",
    "invalid status code from registry 40[13]",
)
_UNREADABLE = (
    "unsupported (?:schema|manifest|media)",
    "invalid character",
    "cannot unmarshal",
    "unexpected end of JSON",
    "manifest invalid",
    "exceeded maximum allowed size",
    "does not match",
    r"\bEOF\b",
    "image is not",
    "parsing manifest",
    "parsing image configuration",
)
_TEXTS = (
    ("rate_limit", r"toomanyrequests|too many requests|status ?(?:code)?:? ?429|pull rate limit"),
    ("plain_http", r"server gave HTTP response to HTTPS client|first record does not look like a TLS handshake"),
    ("certificate", r"x509:|certificate (?:signed by unknown|has expired|is not valid|verify failed)|tls: failed to verify"),
    ("no_network", "|".join(_NETWORK)),
    ("timeout", r"context deadline exceeded|i/o timeout|TLS handshake timeout|Client\.Timeout exceeded|timeout awaiting"),
    (
        "not_found",
        r"manifest unknown|MANIFEST_UNKNOWN|NAME_UNKNOWN|name unknown|repository name not known|status code 404|404 \(Not Found\)",
    ),
    ("no_access", "|".join(_ACCESS)),
    ("not_readable", "|".join(_UNREADABLE)),
)


def read(text: str) -> str:
    """The kind of the failure, one of KINDS."""
    for kind, pattern in _TEXTS:
        if re.search(pattern, text[-8000:], re.IGNORECASE):
            return kind
    return "other"
