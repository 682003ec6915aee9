# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells other systems: artifacts for AWX and ansible-runner, and one POST to an address of the admin's."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..history.store import overall
from .build import desk_word, outcome, stacks_of
from .todo import why
from .words import line

SCHEMA = "labops.dgx_spark/verdict/1"
LIMIT = 10.0
"""Seconds that a run waits for the receiver."""


class WebhookError(Exception):
    """The receiver did not take it; the text says why in one line, without the address's path or any header."""


def told(report: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """The verdict of a run in a few kilobytes: counts, and each stack and bad desk with its reason."""
    stacks = []
    for stack in stacks_of(report):
        figures = {item["id"]: item for item in stack["figures"]}
        chosen = {kind: figures.get(key) for kind, key in stack["headline"].items()}
        stacks.append(
            {
                "name": line(stack["name"]),
                "verdict": outcome(report, stack),
                "why": why(stack.get("reasons") or ()),
                **{kind: {key: item[key] for key in ("value", "unit")} if item else None for kind, item in chosen.items()},
            }
        )
    counts = dict(Counter(str(stack["verdict"]) for stack in stacks))
    run = report["run"]
    return {
        "schema": SCHEMA,
        "run": line(run["id"]),
        "playbook": line(run["playbook"]),
        "started": line(run["started"]),
        "finished": line(run["finished"]),
        "check_mode": run["check_mode"],
        "verdict": overall(report),
        "counts": counts,
        "stacks": stacks,
        "desks": [
            {"name": line(desk["name"]), "verdict": desk_word(desk), "why": why(desk["findings"])}
            for desk in report["desks"]
            if desk_word(desk) not in ("PASS", "OUT")
        ],
        "report": folder,
    }


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Headers may hold a secret: they go to the address that the admin named and nowhere else."""

    def redirect_request(self, *_arguments: Any, **_more: Any) -> None:
        """Refuse."""
        return


def wrong(url: str) -> str | None:
    """What is wrong with an address, without a word of it: any part may be a secret. Null for one that can be asked."""
    try:
        parts = urllib.parse.urlsplit(url)
        known, login, _port = parts.scheme in ("http", "https") and bool(parts.hostname), "@" in parts.netloc, parts.port
    except ValueError:
        known, login = False, False
    if login:
        # urllib would look the whole of it up as the name of a host.
        return "spark_webhook.url holds a user or a password; put it into spark_webhook.headers (Authorization: Basic ...)"
    if not known or re.search(r"[\x00-\x20\x7f]", url):
        return "spark_webhook has no url that begins with http:// or https:// and has a host, no blank and, if any, a port's number"
    return None


def post(url: str, headers: Mapping[str, str], content: Mapping[str, Any]) -> None:
    """One POST of JSON. Raises WebhookError."""
    problem = wrong(url)
    if problem:
        raise WebhookError(problem)
    where = urllib.parse.urlsplit(url).hostname or ""
    try:
        request = urllib.request.Request(
            url,
            data=json.dumps(content).encode(),
            headers={
                "Content-Type": "application/json",
                "User-Agent": "labops.dgx_spark",
                **{str(key): str(item) for key, item in headers.items()},
            },
            method="POST",
        )
        with urllib.request.build_opener(_NoRedirect()).open(request, timeout=LIMIT) as answer:
            answer.read(1024)
    except urllib.error.HTTPError as error:
        raise WebhookError(f"{where} answered {error.code}") from None
    except urllib.error.URLError as error:
        raise WebhookError(f"{where}: {line(error.reason)}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        # The text of a ValueError may repeat a header; that of an answer which is no HTTP is the other side's.
        raise WebhookError(f"{where}: {type(error).__name__}") from None
