"""Reaching into a desk from this machine: preparing it before its systemd, its hardware's socket, its host keys."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import shlex
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sparklab import files, paths, shell
from sparklab.errors import LabError

HARDWARE_TIMEOUT = 10.0

# Faults that the lab itself makes; the others are in simulator/desk/faults.json.
OUTSIDE_FAULTS: dict[str, str] = {
    "nic_missing": "All four ConnectX-7 functions are gone although a cable is in: a fault, not power saving.",
    "frozen": "The desk is frozen: nothing in it runs, and its address no longer responds.",
    "lease_moved": "DHCP gives this desk another address (with=DESK: they swap) from its next start.",
    "mute": "The management interface has lost its cable; the desk keeps running.",
}


def load_model(name: str) -> dict[str, Any]:
    """A desk model of simulator/models/.

    :raises LabError: naming the models that there are.
    """
    path = paths.SIMULATOR / "models" / f"{name}.yml"
    try:
        model = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        there = ", ".join(sorted(one.stem for one in path.parent.glob("*.yml"))) or "none"
        raise LabError(f"there is no desk model {name!r}; models: {there}.") from error
    except yaml.YAMLError as error:
        raise LabError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return json.loads(json.dumps(model, default=str)) if isinstance(model, dict) else {}


def script(scripts: Sequence[str], settings: dict[str, str]) -> str:
    """Scripts of simulator/image/ as one, with their variables in front."""
    text = "".join(f"{key}={shlex.quote(value)}\n" for key, value in settings.items())
    return text + "".join((paths.SIMULATOR / "image" / name).read_text(encoding="utf-8") for name in scripts)


def prepare(pid: int, scripts: Sequence[str], settings: dict[str, str]) -> None:
    """Run scripts of simulator/image/ in a desk whose systemd has not started yet."""
    text = script(scripts, settings)
    # In its process namespace too: umount finds no /proc/self of its own otherwise, and takes nothing away.
    shell.run(["nsenter", "-t", str(pid), "-m", "-u", "-p", "--", "/bin/sh", "-s"], stdin=text)


def inside(pid: int, argv: Sequence[str], *, check: bool = True, stdin: str | None = None, timeout: float = 60) -> str:
    """Run a command in a desk, as its root, in all of its namespaces."""
    done = shell.run(["nsenter", "-t", str(pid), "-a", "--", *argv], check=check, stdin=stdin, timeout=timeout)
    return done.stdout


def host_keys(pid: int) -> list[str]:
    """The public host keys of a desk, read from its file system."""
    keys = []
    for path in sorted(Path(f"/proc/{pid}/root/etc/ssh").glob("ssh_host_*_key.pub")):
        with contextlib.suppress(OSError):
            keys.append(" ".join(path.read_text(encoding="ascii").split()[:2]))
    return keys


def fingerprint(keys: Sequence[str]) -> str:
    """The SHA256 fingerprint of the ed25519 key among a desk's host keys, as ssh-keygen -l prints it; empty when it has none."""
    for key in keys:
        kind, _, body = key.partition(" ")
        if kind == "ssh-ed25519":
            value = base64.b64encode(hashlib.sha256(base64.b64decode(body)).digest()).decode()
            return f"SHA256:{value.rstrip('=')}"
    return ""


def hardware(folder: Path, request: dict[str, Any]) -> dict[str, Any] | None:
    """Ask a desk's hardware daemon; None when it does not listen (the desk starts or stops just now).

    :raises LabError: when it listens and refuses, or does not answer in time.
    """
    path = folder / "hw.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(HARDWARE_TIMEOUT)
        try:
            connection.connect(str(path))
        except OSError:
            return None
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            text = connection.makefile("r", encoding="utf-8").readline(files.OWN_LIMIT)
            answer = json.loads(text)
        except TimeoutError as error:
            raise LabError(f"the hardware daemon of {folder.name} did not respond within {HARDWARE_TIMEOUT:g} s.") from error
        except (OSError, ValueError, RecursionError):
            return None
    if not isinstance(answer, dict):
        return None
    if not answer.get("ok", True):
        raise LabError(f"the hardware daemon of {folder.name} refused: {str(answer.get('error', answer))!r}")
    return dict(answer)
