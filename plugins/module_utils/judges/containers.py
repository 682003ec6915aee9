# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether containers reach the GPU: judged from what docker answered. Pure."""

from __future__ import annotations

import re
from typing import Any, Protocol

from ..model.finding import Finding, Where
from ..model.workload import WONT_RUN, Image
from . import docker_error
from .catalogue import finding
from .workload.image import judge_image
from .workload.parts import FACTORY


class Answer(Protocol):
    """What docker gave, as the door to the desk tells it."""

    @property
    def rc(self) -> int | None:
        """Null when it did not run to its end."""

    @property
    def stdout(self) -> str:
        """What it printed."""

    @property
    def stderr(self) -> str:
        """What it printed as errors."""

    @property
    def error(self) -> str | None:
        """missing, denied, timeout; null when it ran to its end."""

    @property
    def ok(self) -> bool:
        """Whether it ran to its end and returned 0."""


NO_START = {
    docker_error.NO_DOCKER: ("docker is not installed", "Install docker on the desk (DGX OS ships it), then run again."),
    docker_error.REFUSED: (
        "docker's socket refuses this user",
        "Run with root (-b), or add the login user to the group (sudo usermod -aG docker USER) and log in again.",
    ),
    docker_error.DAEMON: (
        "docker's daemon is not running",
        "Start it on the desk: sudo systemctl enable --now docker; journalctl -u docker says why it was down.",
    ),
    docker_error.ROOM: (
        "docker has no room left on the desk",
        "Remove what nobody needs (docker system df; docker image rm; docker container prune), then run again.",
    ),
    docker_error.TIMEOUT: ("docker did not respond in time", "Check the daemon on the desk (systemctl status docker), then run again."),
}
"""Why no container was started, and what to do: nothing of it is about the image."""
ARM64 = "Use an image for linux/arm64 (aarch64): set desk_containers_image; playbooks/check_workload.yml says whether an image has one."
CDI_MODE = (
    "sudo nvidia-ctk config --set nvidia-container-runtime.mode=cdi --in-place, sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml "
    "where there is no description yet, sudo systemctl restart docker"
)
NOT_THE_TOOLKIT = (
    "Nothing in docker's words is about the GPU: try a container without it (docker run --rm IMAGE true) on the desk, and read sudo "
    "journalctl -u docker -u containerd. If that one starts, check that the container toolkit is installed and that docker was restarted "
    "after it."
)
OLDER_THAN_THE_DRIVER = (
    "Where the file's name has a former version of the driver, the description for containers is older than the driver: sudo systemctl "
    "restart nvidia-cdi-refresh, or sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml."
)
REMEDIES: dict[str, str | None] = {
    docker_error.RUNTIME: "docker does not know how to give a container the GPU: sudo apt-get install nvidia-container-toolkit, sudo "
    "nvidia-ctk runtime configure --runtime=docker, sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml where there is no "
    "description yet, and sudo systemctl restart docker. Then run again.",
    docker_error.DRIVER: "The desk's own driver is the cause, and nvidia-smi on the desk says the same: do what its driver findings say "
    "(after a change of the driver, reboot), then run again.",
    docker_error.REQUIREMENT: "Use an image for the driver's CUDA version; playbooks/check_workload.yml says which condition of an image "
    "is not met.",
    docker_error.NODES: "A device file of the driver is missing on the desk: sudo nvidia-modprobe -u -c 0 makes those of nvidia-uvm, "
    "nvidia-smi the others; then sudo systemctl restart nvidia-cdi-refresh, and run again.",
    docker_error.RULES: "docker may not set rules for devices here, as in rootless mode or inside another container: use the desk's own "
    f"docker as root, or let the CDI mode do without them: {CDI_MODE}. Then run again.",
    docker_error.FILES: "The container may not open the GPU's device files: ls -l /dev/nvidia* on the desk must show crw-rw-rw-. If not, "
    "take NVreg_DeviceFileMode, NVreg_DeviceFileUID and NVreg_DeviceFileGID out of the file that grep -r NVreg_DeviceFile "
    "/etc/modprobe.d names, then sudo update-initramfs -u and reboot. If they are right, docker runs rootless or with user namespaces: "
    f"use the desk's own docker as root, or the CDI mode: {CDI_MODE}. Then run again.",
    docker_error.CACHE: "The toolkit does not find the desk's ldconfig: the file that the message names comes from libc-bin (sudo apt-get "
    "install --reinstall libc-bin), and /etc/nvidia-container-runtime/config.toml names it (ldconfig). Then run again.",
    docker_error.LOST: "If nvidia-smi fails on the desk too, see its GPU findings. If not, the container lost its right to the GPU's "
    f"device files, as happens in the legacy mode when systemd reloads its units: start it again, or change the mode: {CDI_MODE}.",
    docker_error.TOOLKIT: None,
    docker_error.TIMEOUT: "Try nvidia-smi on the desk, then a container without the GPU (docker run --rm IMAGE true). If nvidia-smi hangs, "
    "see the desk's GPU findings; if the container hangs too, the daemon is the cause (journalctl -u docker -u containerd; sudo systemctl "
    "restart containerd docker ends all containers). Where both are only slow, set desk_containers_limit to more seconds. Then run again.",
}
"""What to do about a container that did not reach the GPU, by docker's words; null for what the catalogue says."""
PULL_TIMEOUT = (
    "Pull the image by hand on the desk, where nothing ends it (docker pull IMAGE), or set desk_containers_limit to more seconds (a pull "
    "has ten times that), then run again."
)
NO_WAY = (
    "The daemon pulls, not the shell: on the desk, curl -sI https://REGISTRY/v2/ shows whether there is a way out. Where it leads through "
    "a proxy, the daemon must know it (HTTPS_PROXY in sudo systemctl edit docker, or proxies in /etc/docker/daemon.json, then sudo "
    "systemctl restart docker, which ends running containers). Without a way out bring the image by docker save and docker load. Then run "
    "again."
)
REGISTRY: dict[str, str] = {
    "no_network": NO_WAY,
    "timeout": NO_WAY,
    "certificate": "Check the desk's clock (timedatectl). If it is right, the registry, or a proxy that looks into TLS, has a certificate "
    "authority of its own: put that in /etc/docker/certs.d/REGISTRY/ca.crt, or in /usr/local/share/ca-certificates with sudo "
    "update-ca-certificates and sudo systemctl restart docker. Then run again.",
    "plain_http": "List the registry in insecure-registries of /etc/docker/daemon.json if it is meant to answer without TLS, and sudo "
    "systemctl restart docker. Then run again.",
    "rate_limit": "Log in to the registry on the desk as the user that pulls (with become that is root: sudo docker login), or wait "
    "(Docker Hub counts 6 hours), or pull the image elsewhere and bring it by docker save and docker load. Then run again.",
    "no_access": "Check the name (desk_containers_image). A login that docker keeps and that is no longer valid is refused for public "
    "images too: sudo docker logout REGISTRY (without sudo where the play does not become root) takes it away. If the image is private, "
    "log in as the user that pulls (sudo docker login nvcr.io, user $oauthtoken with an NGC key). Then run again.",
    "not_found": "The registry does not have it: check repository and tag (desk_containers_image), then run again.",
}
"""What to do where an image cannot be fetched, by the kind of the registry's words (readers.registry_error)."""
PACKAGES = {"libnvidia-gtk": "nvidia-settings and libxnvctrl0", "libXNVCtrl": "libxnvctrl0"}
"""Library to the package that brings it, where the name does not tell."""


def judge_container(
    where: Where,
    image: str,
    inspect: Answer,
    run: Answer | None,
    described: Image | None = None,
    pull: Answer | None = None,
    registry: str | None = None,
) -> list[Finding]:
    """The finding for one image.

    ``inspect`` is docker's answer about the image and ``described`` what that says, ``pull`` about fetching it, ``run`` about the container
    (null: not done). ``registry``: the kind of what the registry said of a pull that failed.
    """
    evidence: dict[str, Any] = {"image": image}
    if not inspect.ok:
        return [_not_there(where, image, inspect, pull, registry)]
    refused = unfit(described)
    if refused is not None:
        message = f"{where.desk}: no container of {image} can start: {refused[0]}"
        return [finding("CONTAINER_GPU_FAILED", where, message, evidence={**evidence, "architecture": refused[2]}, remedy=refused[1])]
    if run is None:
        message = f"{where.desk}: no container of {image} was started"
        return [finding("CONTAINER_NOT_PROVEN", where, message, evidence=evidence, remedy="Run again without check mode.")]
    gpu = next((line.strip() for line in run.stdout.splitlines() if "GB10" in line), None)
    if run.ok and gpu is not None:
        # An image's own banner may stand before the answer.
        name = re.sub(r"^.*?((?:NVIDIA )?GB10).*$", r"\1", gpu)
        return [finding("CONTAINER_GPU_OK", where, f"{where.desk}: a container of {image} sees {name}", evidence={**evidence, "gpu": name})]
    return [_not_started(where, image, run)]


def unfit(described: Image | None) -> tuple[str, str, str] | None:
    """Why an image on the desk cannot run there, the remedy and its architecture: what playbooks/check_workload.yml says of it."""
    if described is None:
        return None
    judged = judge_image(described, FACTORY, "")
    if judged.verdict != WONT_RUN or "platform" not in judged.rules:
        return None
    return judged.reason, ARM64, str(described.architecture)


def judge_docker_group(where: Where, user: str | None, groups: tuple[str, ...]) -> list[Finding]:
    """A note when the login user would need sudo for docker; nothing when the user's groups could not be read."""
    if user is None or not groups or "docker" in groups:
        return []
    return [finding("DOCKER_GROUP_MISSING", where, f"{where.desk}: {user} is not in the docker group", evidence={"groups": list(groups)})]


def _not_there(where: Where, image: str, inspect: Answer, pull: Answer | None, registry: str | None) -> Finding:
    kind = docker_error.read(f"{inspect.stderr}\n{inspect.stdout}", inspect.error)
    if kind in NO_START:
        sentence, remedy = NO_START[kind]
        evidence = {"image": image, "error": _words(inspect)}
        return finding(
            "CONTAINER_NOT_PROVEN", where, f"{where.desk}: {sentence}, so no GPU container was started", evidence=evidence, remedy=remedy
        )
    if pull is not None and not pull.ok:
        words = _words(pull)
        refused = docker_error.read(f"{pull.stderr}\n{pull.stdout}", pull.error)
        if refused == docker_error.ARCHITECTURE:
            message = f"{where.desk}: {image} has no variant for linux/arm64: {words}"
            return finding("CONTAINER_GPU_FAILED", where, message, evidence={"image": image, "error": words}, remedy=ARM64)
        message = f"{where.desk}: {image} could not be pulled: {words}"
        remedy = "See docker's output; pull the image by hand on the desk (docker pull), then run again."
        if refused == docker_error.ROOM:
            remedy = NO_START[refused][1]
        elif refused == docker_error.TIMEOUT:
            message, remedy = f"{where.desk}: the pull of {image} did not end in time", PULL_TIMEOUT
        elif refused == docker_error.OTHER:
            remedy = REGISTRY.get(registry or "", remedy)
        return finding("CONTAINER_NOT_PROVEN", where, message, evidence={"image": image, "error": words}, remedy=remedy)
    if kind == docker_error.ABSENT:
        message = f"{where.desk}: image {image} is not on the desk, so no GPU container was started"
        return finding("CONTAINER_NOT_PROVEN", where, message, evidence={"image": image})
    message = f"{where.desk}: docker did not respond about image {image}: {_words(inspect)}"
    remedy = "See docker's output, try docker image inspect by hand on the desk, then run again."
    return finding("CONTAINER_NOT_PROVEN", where, message, evidence={"image": image, "error": _words(inspect)}, remedy=remedy)


def _not_started(where: Where, image: str, run: Answer) -> Finding:
    text = f"{run.stderr}\n{run.stdout}"
    kind = docker_error.read(text, run.error)
    evidence = {"image": image, "rc": run.rc, "error": _words(run)}
    if kind in (docker_error.NO_DOCKER, docker_error.REFUSED, docker_error.DAEMON, docker_error.ROOM):
        sentence, start = NO_START[kind]
        return finding(
            "CONTAINER_NOT_PROVEN", where, f"{where.desk}: {sentence}, so no GPU container was started", evidence=evidence, remedy=start
        )
    remedy = REMEDIES.get(kind, None if run.ok or not text.strip() else NOT_THE_TOOLKIT)
    message = f"{where.desk}: a container of {image} did not reach the GPU: {_words(run)}"
    if kind == docker_error.TIMEOUT:
        message = f"{where.desk}: a container of {image} did not end in time"
    elif kind == docker_error.ARCHITECTURE:
        message, remedy = f"{where.desk}: {image} is made for an architecture other than the desk's arm64: {_words(run)}", ARM64
    elif kind == docker_error.LIBRARY:
        library = docker_error.library(text) or "a library of the driver"
        own = next((name for start, name in PACKAGES.items() if library.startswith(start)), None)
        package = own or f"the package that ships {library}"
        remedy = (
            f"Bring {package} to the driver's version (apt install with that version, or remove it): {library} is listed for containers "
            "but is not on the desk. A new CDI specification does not help where docker uses the legacy mode."
        )
        if own is None:
            remedy = f"{OLDER_THAN_THE_DRIVER} Otherwise: {remedy[0].lower()}{remedy[1:]}"
    return finding("CONTAINER_GPU_FAILED", where, message, evidence=evidence, remedy=remedy)


def _words(answer: Answer) -> str:
    """What was said, in one line; of a long chain of causes the begin and the last one."""
    said = " ".join((answer.stderr or answer.stdout or answer.error or "no output").split())
    return said if len(said) <= 400 else f"{said[:120]} ... {said[-275:]}"
