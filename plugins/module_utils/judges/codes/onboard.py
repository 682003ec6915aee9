# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings: what onboarding adds."""

from __future__ import annotations

from .code import Code

CODES: tuple[Code, ...] = (
    Code(
        code="CONTAINER_GPU_OK",
        title="A GPU container starts",
        severity="ok",
        meaning="A container of the named arm64 image started with the GPU, and nvidia-smi worked in it.",
        remedy="Nothing to do.",
        source="this collection's rule",
    ),
    Code(
        code="CONTAINER_NOT_PROVEN",
        title="No GPU container was started",
        severity="unknown",
        other_severities=("note",),
        meaning="Docker or the image is not on the desk, so it was not tested whether containers reach the GPU. A check never pulls an "
        "image.",
        remedy="Pull the image named in the message on the desk (or set desk_containers_pull: true), then run again.",
        source="this collection's rule",
    ),
    Code(
        code="CONTAINER_GPU_FAILED",
        title="A GPU container does not start",
        severity="fail",
        meaning="Docker and the image are there, but the container did not start or nvidia-smi failed in it. After a driver change, a "
        "stale CDI specification is a common cause.",
        remedy="Read the error in the evidence; regenerate the CDI specification (nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml) "
        "and check that the container toolkit is installed and that docker was restarted afterwards.",
        source="community reports; NVIDIA container toolkit documentation",
    ),
    Code(
        code="DOCKER_GROUP_MISSING",
        title="The login user is not in the docker group",
        severity="note",
        meaning="Without the group the login user needs sudo for every docker command. Membership amounts to root on the desk, so this "
        "is the admin's choice.",
        remedy="If you want it: sudo usermod -aG docker USER on the desk, then log in again.",
        source="NVIDIA DGX Spark user guide as quoted by the community",
    ),
)
