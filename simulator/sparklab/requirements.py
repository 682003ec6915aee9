"""What the simulator needs on this machine: listed first, installed only after a yes."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from sparklab import engine, paths, shell
from sparklab.errors import LabError

INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_WANTED = 8192
DESKS_WITHOUT_SYSCTL = 20
LEDGER = "installed.txt"


@dataclass(frozen=True)
class Tool:
    """A program, the Debian or Ubuntu package that has it, and what for."""

    program: str
    package: str
    why: str


TOOLS = (
    Tool("mmdebstrap", "mmdebstrap", "builds the desks' image"),
    Tool("dnsmasq", "dnsmasq-base", "leases and names in the lab"),
    Tool("ip", "iproute2", "cables and the lab's network"),
    Tool("nsenter", "util-linux", "works inside a lab's network"),
    Tool("ssh", "openssh-client", "logs in to desks"),
    Tool("ssh-keygen", "openssh-client", "makes the lab's key"),
    Tool("gpg", "gnupg", "signs the lab's apt archives"),
)
PODMAN = (
    Tool("podman", "podman", "runs the desks"),
    Tool("runc", "runc", "podman's runtime where crun lacks a capability"),
)
DOCKER = (
    Tool("docker", "docker.io", "runs the desks"),
    Tool("dockerd", "docker.io", "the daemon that docker asks; not needed where one answers"),
)
MACHINES = (
    Tool("qemu-system-x86_64", "qemu-system-x86", "runs desks that are virtual machines"),
    Tool("qemu-img", "qemu-utils", "gives each of them a disk of its own"),
    Tool("mke2fs", "e2fsprogs", "makes their disk"),
)


def missing(wish: str | None) -> list[Tool]:
    """The programs that are not there."""
    tools = [tool for tool in TOOLS if not _which(tool.program)]
    if wish == engine.MACHINES:
        return [tool for tool in MACHINES if not _which(tool.program)] + tools
    usable = [name for name in ([wish] if wish else engine.ENGINES) if shutil.which(str(name))]
    if wish == "docker":
        if not usable or not engine.docker_answers():
            tools = [tool for tool in DOCKER if not _which(tool.program)] + tools
    elif "podman" in usable or not usable or (wish is None and not engine.docker_answers()):
        tools = [tool for tool in PODMAN if not _which(tool.program)] + tools
    return tools


def _which(program: str) -> str | None:
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def sysctl_missing(desks: int) -> bool:
    """Whether this many desks need more inotify instances than the kernel allows (a desk uses 6)."""
    with contextlib.suppress(OSError, ValueError):
        return desks > DESKS_WITHOUT_SYSCTL and int(INOTIFY.read_text(encoding="ascii")) < 6 * desks + 64
    return False


def check(wish: str | None, desks: int) -> None:
    """Refuse to start a lab that this machine cannot carry, naming the command that helps."""
    tools = missing(wish)
    if tools:
        names = ", ".join(f"{tool.program} ({tool.package})" for tool in tools)
        more = f" --engine {wish}" if wish == engine.MACHINES else ""
        raise LabError(f"missing on this machine: {names}. Run `simulator/lab requirements --install{more}`.", code=2)
    if sysctl_missing(desks):
        raise LabError(
            f"{desks} desks need fs.inotify.max_user_instances={INOTIFY_WANTED}; "
            f"run `simulator/lab requirements --install --desks {desks}`.",
            code=2,
        )


def command(arguments: argparse.Namespace) -> int:
    """`simulator/lab requirements`."""
    tools = missing(arguments.engine)
    raise_sysctl = sysctl_missing(arguments.desks)
    runs = {engine.MACHINES: MACHINES, "docker": DOCKER}.get(arguments.engine, PODMAN)
    known = {tool.program: tool for tool in (*runs, *TOOLS)}
    gone = {tool.program for tool in tools}
    for tool in known.values():
        there = "missing" if tool.program in gone else "there" if _which(tool.program) else "not needed"
        print(f"{there:10} {tool.program:12} package {tool.package:16} {tool.why}")
    for tool in tools:
        if tool.program not in known:
            print(f"{'missing':10} {tool.program:12} package {tool.package:16} {tool.why}")
    print(
        f"{'missing' if raise_sysctl else 'ok':10} sysctl fs.inotify.max_user_instances={INOTIFY_WANTED} "
        f"(only for more than {DESKS_WITHOUT_SYSCTL} desks)"
    )
    if not tools and not raise_sysctl:
        print("nothing is missing.")
        return 0
    if not arguments.install:
        print("run `simulator/lab requirements --install` to add what is missing.")
        return 1
    if os.geteuid() != 0:
        raise LabError("root is needed to install packages; run this with sudo.", code=2)
    packages = sorted({tool.package for tool in tools})
    if packages and not shutil.which("apt-get"):
        raise LabError(f"this machine has no apt; install these yourself: {', '.join(packages)}.", code=2)
    plan = []
    if packages:
        plan.append(f"apt-get install --no-install-recommends {' '.join(packages)}")
    if raise_sysctl:
        plan.append(f"sysctl -w fs.inotify.max_user_instances={INOTIFY_WANTED} (until the next reboot of this machine)")
    print("this will change this machine:\n  " + "\n  ".join(plan))
    if not (arguments.yes or os.environ.get("YES") == "1"):
        if not sys.stdin.isatty():
            raise LabError("there is no terminal to confirm on; give --yes or set YES=1.", code=2)
        if input("continue? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing was changed.")
            return 1
    if packages:
        shell.run(["apt-get", "update"], timeout=600)
        shell.run(["apt-get", "install", "-y", "--no-install-recommends", *packages], timeout=1200)
        _note(packages)
    if raise_sysctl:
        INOTIFY.write_text(str(INOTIFY_WANTED), encoding="ascii")
        _note(["sysctl fs.inotify.max_user_instances"])
    print("done.")
    return 0


def _note(names: list[str]) -> None:
    paths.CACHE_ROOT.mkdir(parents=True, exist_ok=True)
    with open(paths.CACHE_ROOT / LEDGER, "a", encoding="utf-8") as stream:
        stream.writelines(f"{name}\n" for name in names)


def installed_by_us() -> str:
    """What `requirements --install` added to this machine, as one line."""
    try:
        names = (paths.CACHE_ROOT / LEDGER).read_text(encoding="utf-8").split("\n")
    except OSError:
        return ""
    return ", ".join(sorted({name for name in names if name}))
