# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DGX OS and the Ubuntu below it."""

from __future__ import annotations

from ..desk import MISSING
from ..model.desk import DgxOs, Ubuntu
from ..readers import dgx_release, os_release
from .ask import Ask
from .options import Options

RELEASE = "/etc/dgx-release"


def gather(ask: Ask, options: Options) -> DgxOs:
    """/etc/dgx-release and /etc/fastos-release."""
    file = ask.text(RELEASE)
    if file.text is None:
        ask.miss("dgx_os.version", file)
        return DgxOs(present=False if file.error == MISSING else None, fastos_version=_fastos(ask))
    read = dgx_release.read(file.text)
    ask.told("dgx_os.version", read["version"], f"{RELEASE} gives no version")
    return DgxOs(
        present=True,
        version=read["version"],
        factory_version=read["factory_version"],
        ota_history=tuple(read["ota_history"][-50:]),
        name=read["name"],
        pretty_name=read["pretty_name"],
        platform=read["platform"],
        build_date=read["build_date"],
        commit_id=read["commit_id"],
        fastos_version=_fastos(ask),
    )


def _fastos(ask: Ask) -> str | None:
    version: str | None = os_release.read(ask.text("/etc/fastos-release").text or "")["version"]
    return version


def ubuntu(ask: Ask) -> Ubuntu:
    """/etc/os-release."""
    file = ask.text("/etc/os-release")
    text = file.text if file.text is not None else ask.text("/usr/lib/os-release").text
    read = os_release.read(text or "")
    ask.told("ubuntu.version_id", read["version_id"], file)
    return Ubuntu(read["id"], read["version_id"], read["pretty_name"], read["version_codename"])
