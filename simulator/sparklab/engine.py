"""The container engine: podman or Docker, told apart in as few places as possible."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparklab import shell
from sparklab.errors import LabError

LABEL = "spark-lab"
ENGINES = ("podman", "docker")
MACHINES = "qemu"
"""In place of an engine: desks are virtual machines (vmlab.py)."""
CHOICES = (*ENGINES, MACHINES)
CAPABILITIES = ("SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "AUDIT_WRITE", "MKNOD", "SYS_TIME")


@dataclass(frozen=True)
class Engine:
    """An engine that answered, and the OCI runtime that podman has to use (None: its own choice)."""

    name: str
    runtime: str | None = None

    def argv(self, *words: str) -> list[str]:
        """A command line of the engine."""
        start = [self.name]
        if self.name == "podman" and self.runtime:
            start += ["--runtime", self.runtime]
        return [*start, *words]

    def call(self, *words: str, stdin: str | None = None, timeout: float = 120, check: bool = True) -> str:
        """Run the engine and return what it printed."""
        return shell.run(self.argv(*words), stdin=stdin, timeout=timeout, check=check).stdout.strip()

    def create(self, name: str, labels: dict[str, str], hostname: str, mounts: Sequence[tuple[Path, str, str]], image: str) -> str:
        """Create a desk's container, without network of its own, and return its id."""
        words = ["create", "--name", name, "--hostname", hostname, "--network", "none"]
        for key, value in labels.items():
            words += ["--label", f"{key}={value}"]
        for cap in CAPABILITIES:
            words += ["--cap-add", cap]
        words += ["--security-opt", "seccomp=unconfined", "--ulimit", "nofile=20000:20000"]
        words += ["--ulimit", "nproc=32768:32768", "--pids-limit", "-1"]
        if self.name == "podman":
            words += ["--systemd", "always", "--cgroupns", "private"]
        else:
            words += ["--security-opt", "apparmor=unconfined", "--cgroupns", "private", "-e", "container=docker"]
            for place in ("/run", "/run/lock", "/tmp"):
                words += ["--tmpfs", f"{place}:exec"]
        for source, target, mode in mounts:
            words += ["-v", f"{source}:{target}:{mode}"]
        return self.call(*words, image, "/opt/desk/entry").splitlines()[-1]

    def start(self, container: str) -> int:
        """Start a container and return the number of its first process on this machine."""
        self.call("start", container)
        return self.pid(container)

    def pid(self, container: str) -> int:
        """The number of the container's first process, 0 when it does not run."""
        text = self.call("inspect", "--type", "container", "-f", "{{.State.Pid}}", container, check=False)
        return int(text) if text.isdecimal() else 0

    def last_words(self, container: str) -> str:
        """The last line that the container's first process wrote."""
        done = shell.run(self.argv("logs", "--tail", "20", container), check=False)
        return shell.last_line(done.stdout + done.stderr)

    def kill(self, container: str) -> None:
        """Take the power away."""
        self.call("kill", container, check=False)

    def remove(self, containers: Sequence[str]) -> None:
        """Remove containers by id; those that are gone already are passed over."""
        if containers:
            # Without this podman would give each of them ten seconds to end by itself.
            self.call("kill", *containers, check=False)
            self.call("rm", "-f", "-v", *containers, check=False, timeout=300)

    def find(self, lab: str) -> dict[str, str]:
        """The containers of a lab: id -> name, stopped ones too."""
        if self.name == MACHINES:
            return {}
        text = self.call("ps", "-a", "--no-trunc", "--filter", f"label={LABEL}={lab}", "--format", "{{.ID}} {{.Names}}")
        return dict(line.split(maxsplit=1) for line in text.splitlines() if line.strip())

    def image_exists(self, image: str) -> bool:
        """Whether an image with this name is there."""
        return shell.run(self.argv("image", "inspect", image), check=False).returncode == 0

    def images(self) -> list[dict[str, Any]]:
        """The simulator's images: `name` and `id`."""
        text = self.call("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
        found = []
        for line in text.splitlines():
            name, _, number = line.partition(" ")
            if "spark-desk" in name.split("/")[-1]:
                found.append({"name": name, "id": number})
        return found


def detect(wish: str | None = None) -> Engine:
    """Find an engine that answers: the wished one, else podman, else Docker.

    :raises LabError: saying which engines were tried and why each does not do.
    """
    reasons = []
    if wish == MACHINES:
        return Engine(MACHINES)
    for name in [wish] if wish else ENGINES:
        if name not in ENGINES:
            raise LabError(f"--engine {name}: known engines are {', '.join(CHOICES)}.")
        if shutil.which(name) is None:
            reasons.append(f"{name} is not installed")
            continue
        if name == "docker":
            if not docker_answers():
                reasons.append("docker is installed but its daemon does not respond")
                continue
            return Engine("docker")
        with contextlib.suppress(LabError):
            return Engine("podman", _podman_runtime())
        reasons.append("podman does not respond")
    raise LabError(
        f"no container engine: {'; '.join(reasons)}. Run `simulator/lab requirements --install`, or install podman and runc.",
        code=2,
    )


def docker_answers() -> bool:
    """Whether Docker's daemon runs; the client alone is on many machines."""
    return shell.run(["docker", "info", "--format", "{{.ServerVersion}}"], check=False, timeout=20).returncode == 0


def _podman_runtime() -> str | None:
    """runc where it exists: crun needs a capability (SYS_RESOURCE) that a small machine's root may lack."""
    info = json.loads(shell.run(["podman", "info", "--format", "json"]).stdout)
    name = info.get("host", {}).get("ociRuntime", {}).get("name")
    if name != "runc" and shutil.which("runc"):
        return "runc"
    return str(name) if name else None
