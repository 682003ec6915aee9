# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether containers reach the GPU: judged from what docker answered. Pure."""

from __future__ import annotations

from ..desk import MISSING, Answer
from ..model.finding import Finding, Where
from .catalogue import finding


def judge_container(where: Where, image: str, inspect: Answer, run: Answer | None) -> list[Finding]:
    """The finding for one image: ``inspect`` is docker's answer about the image, ``run`` about the container (null: not started)."""
    if inspect.error == MISSING:
        return [finding("CONTAINER_NOT_PROVEN", where, f"{where.desk}: docker is not installed", evidence={"image": image})]
    if not inspect.ok and "no such image" in (inspect.stderr + inspect.stdout).lower():
        message = f"{where.desk}: image {image} is not on the desk, so no GPU container was started"
        return [finding("CONTAINER_NOT_PROVEN", where, message, evidence={"image": image})]
    if run is None:
        message = f"{where.desk}: docker did not answer about image {image}: {_words(inspect)}"
        return [finding("CONTAINER_NOT_PROVEN", where, message, evidence={"image": image, "error": _words(inspect)})]
    names = [line.strip() for line in run.stdout.splitlines() if line.strip()]
    if run.ok and any("GB10" in name for name in names):
        message = f"{where.desk}: a container of {image} sees {names[0]}"
        return [finding("CONTAINER_GPU_OK", where, message, evidence={"image": image, "gpu": names[0]})]
    message = f"{where.desk}: a container of {image} did not reach the GPU: {_words(run)}"
    return [finding("CONTAINER_GPU_FAILED", where, message, evidence={"image": image, "rc": run.rc, "error": _words(run)})]


def judge_docker_group(where: Where, user: str | None, groups: tuple[str, ...]) -> list[Finding]:
    """A note when the login user would need sudo for docker; nothing when the user's groups could not be read."""
    if user is None or not groups or "docker" in groups:
        return []
    return [finding("DOCKER_GROUP_MISSING", where, f"{where.desk}: {user} is not in group docker", evidence={"groups": list(groups)})]


def _words(answer: Answer) -> str:
    return " ".join((answer.stderr or answer.stdout or answer.error or "no output").split())[:400]
