# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pip resolves requirements for a desk: on the desk itself, or here with the desk's tags and markers. Nothing is installed or built."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...module_utils.desk import TIMEOUT, Answer
from ...module_utils.gather.workload_pip import NO_PIP, SHARED, literal, with_indexes
from ...module_utils.judges.workload.parts import FACTORY, version
from ...module_utils.model.workload import Target
from ...module_utils.programs import carrier, fence, pip_resolver
from ...module_utils.readers import pip_report
from .fetch import own_logins
from .process import run

Runner = Callable[..., Answer]
SYSTEM = "python3"
NETRC = "netrc"
OLDEST_GLIBC = 17
"""manylinux_2_17 is manylinux2014, the oldest for aarch64."""
NEWEST_GLIBC = 99
"""Each minor version is a tag, and a desk may tell any number."""


@dataclass(frozen=True)
class Resolved:
    """What pip said: a set, or why there is none."""

    chosen: tuple[pip_report.Chosen, ...] = ()
    refusal: pip_report.Refusal | None = None


def environment_of(target: Target) -> dict[str, str]:
    """The values of environment markers on a desk."""
    python = target.python or str(FACTORY.python)
    return {
        "platform_machine": target.architecture or str(FACTORY.architecture),
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_release": "",
        "platform_version": "",
    }


def platforms_of(target: Target) -> list[str]:
    """Every platform tag that a desk takes, newest glibc first: pip expands none of them for a foreign machine."""
    machine = target.architecture or str(FACTORY.architecture)
    glibc = version(target.glibc) or version(FACTORY.glibc) or (2, OLDEST_GLIBC)
    newest = min(glibc[1], NEWEST_GLIBC) if len(glibc) > 1 and glibc[0] == 2 else OLDEST_GLIBC
    return [
        *(f"manylinux_2_{minor}_{machine}" for minor in range(newest, OLDEST_GLIBC - 1, -1)),
        f"manylinux2014_{machine}",
        f"linux_{machine}",
    ]


@functools.cache
def interpreter() -> str | None:
    """A Python of the controller that has pip: Ansible's own, else the system's."""
    return next((found for found in (sys.executable or "", SYSTEM) if found and run([found, "-I", "-c", "import pip"], 30).ok), None)


def resolve(
    text: str,
    target: Target,
    indexes: Sequence[str],
    limit: float,
    *,
    constraints: str = "",
    links: Sequence[str] = (),
    cache: Path | None = None,
    runner: Runner = run,
) -> Resolved:
    """Resolve the requirements of a file's text for a desk with pip on the controller.

    Only the given indexes count (PyPI without any): pip configuration, constraints and environment of the controller are left out.
    ``cache``: pip's cache for checks alone; what an index serves here does not get into the one that pip installs from.
    """
    python = interpreter()
    if python is None:
        return Resolved(refusal=pip_report.Refusal("no_pip", words="pip is not installed on the controller"))
    short = (target.python or str(FACTORY.python)).replace(".", "")
    with tempfile.TemporaryDirectory(prefix="dgx-spark-") as folder:
        wanted, report = Path(folder) / "requirements.txt", Path(folder) / "report.json"
        wanted.write_text(with_indexes(text, indexes, links), encoding="utf-8")
        logins = Path(folder) / NETRC
        logins.write_text(_netrc(own_logins([*indexes, *links])), encoding="utf-8")
        bounds = Path(folder) / "constraints.txt"
        bounds.write_text(literal(constraints), encoding="utf-8")
        argv = [
            python,
            *carrier.argv(json.dumps(environment_of(target)))[1:],
            *SHARED,
            *(("--no-cache-dir",) if cache is None else ("--cache-dir", str(cache))),
            "--report",
            str(report),
            "--target",
            str(Path(folder) / "nothing"),
            "--implementation",
            "cp",
            "--python-version",
            target.python or str(FACTORY.python),
            *(part for abi in (f"cp{short}", "abi3", "none") for part in ("--abi", abi)),
            *(part for platform in platforms_of(target) for part in ("--platform", platform)),
            "-r",
            str(wanted),
            "-c",
            str(bounds),
        ]
        answer = runner(argv, limit, _environment(folder), carrier.feed(carrier.text([fence, pip_resolver])))
        return _told(answer, report, limit)


def _environment(folder: str) -> dict[str, str]:
    """Only what makes the network work: proxy, certificates, logins. The controller's pip settings are not the desk's."""
    network = (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    )
    kept = {name: value for name, value in os.environ.items() if name.upper() in network or name == "PIP_CERT"}
    pip = {name: "" for name in os.environ if name.startswith("PIP_") and name not in kept}
    return {**pip, **kept, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INPUT": "1", "TMPDIR": folder, "NETRC": os.path.join(folder, NETRC)}


def _netrc(logins: Mapping[str, tuple[str, str]]) -> str:
    """A .netrc for pip, which takes what it finds there to whatever host a link or a redirect names, over http too."""

    def word(text: str) -> str:
        return re.sub(r"""([\s"'#\\])""", r"\\\1", text)

    return "".join(f"machine {host} login {word(user)} password {word(password)}\n" for host, (user, password) in logins.items())


def _told(answer: Answer, report: Path, limit: float) -> Resolved:
    if answer.error == TIMEOUT:
        return Resolved(refusal=pip_report.Refusal("timeout", words=f"pip found no set within {limit:.0f} s"))
    if answer.rc == NO_PIP:
        return Resolved(
            refusal=pip_report.Refusal(
                "no_pip", words="this controller's pip cannot be given the desk's environment; use workload_check_resolve: desk"
            )
        )
    if not answer.ok:
        return Resolved(refusal=pip_report.refusal(answer.stderr + "\n" + answer.stdout))
    try:
        return Resolved(pip_report.chosen(report.read_text(encoding="utf-8")))
    except (OSError, pip_report.PipReportError) as error:
        return Resolved(refusal=pip_report.Refusal("other", words=str(error)))
