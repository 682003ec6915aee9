"""Virtual machines: their command line, their monitor, and whether this machine's processor can run them by itself (KVM)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparklab import files, paths, shell
from sparklab.errors import LabError
from sparklab.vm_image import Image

PROGRAM = "qemu-system-x86_64"
MEMORY = 1024
"""MiB of a desk."""
CMDLINE = "console=ttyS0 quiet loglevel=4 net.ifnames=0 mitigations=off systemd.show_status=error random.trust_cpu=on"
MONITOR = "qmp.sock"
PROBE_SECONDS = 20.0


@dataclass(frozen=True)
class Adapter:
    """A network adapter: its name in the monitor, the tap on this machine, its MAC."""

    name: str
    tap: str
    mac: str


def argv(title: str, image: Image, disk: Path, seed: Path, folder: Path, adapters: Sequence[Adapter], accel: str) -> list[str]:
    """The command line of one machine; its monitor and its console are files in ``folder``."""
    line = [PROGRAM, "-name", title, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35"]
    line += ["-accel", "kvm" if accel == "kvm" else "tcg,thread=multi,tb-size=256", "-cpu", "host" if accel == "kvm" else "max"]
    line += ["-smp", "1", "-m", str(MEMORY), "-kernel", str(image.kernel), "-initrd", str(image.initramfs), "-append", CMDLINE]
    line += ["-drive", f"if=virtio,format=qcow2,cache=unsafe,file={disk}", "-drive", f"if=virtio,format=raw,readonly=on,file={seed}"]
    line += ["-device", "virtio-rng-pci", "-serial", f"file:{folder / 'console.log'}"]
    line += ["-qmp", f"unix:{folder / MONITOR},server=on,wait=off"]
    for one in adapters:
        line += ["-netdev", f"tap,id={one.name},ifname={one.tap},script=no,downscript=no,vnet_hdr=off"]
        line += ["-device", f"virtio-net-pci,netdev={one.name},mac={one.mac}"]
    return line


def ask(folder: Path, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
    """Say one thing to a machine's monitor.

    :raises LabError: when it does not listen, or refuses.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(30)
        try:
            connection.connect(str(folder / MONITOR))
            stream = connection.makefile("rw", encoding="utf-8")
            stream.readline()
            for name, more in (("qmp_capabilities", None), (command, arguments)):
                stream.write(json.dumps({"execute": name, **({"arguments": dict(more)} if more else {})}) + "\n")
                stream.flush()
                answer = _answer(stream)
        except (OSError, ValueError) as error:
            raise LabError(f"the virtual machine of {folder.name} does not answer: {error}") from error
    if "error" in answer:
        raise LabError(f"the virtual machine of {folder.name} refused {command}: {answer['error'].get('desc', answer['error'])}")
    return answer.get("return")


def _answer(stream: Any) -> dict[str, Any]:
    """The next answer; events in between are passed over."""
    while True:
        line = stream.readline()
        if not line:
            raise OSError("it closed the connection")
        found: dict[str, Any] = json.loads(line)
        if "event" not in found:
            return found


def set_link(folder: Path, adapter: str, up: bool) -> None:
    """Give an adapter carrier, or take it away, as a cable does."""
    ask(folder, "set_link", {"name": adapter, "up": up})


def accelerator(image: Image) -> str:
    """`kvm` where a kernel really starts with it, else `tcg` (the processor is imitated: everything takes ten times as long).

    The variable SPARK_LAB_ACCEL decides where it is set. Else the answer is kept until this machine starts again.
    """
    wish = os.environ.get("SPARK_LAB_ACCEL")
    if wish:
        if wish not in ("kvm", "tcg"):
            raise LabError(f"SPARK_LAB_ACCEL={wish}: known are kvm and tcg.", code=2)
        return wish
    note = paths.CACHE_ROOT / "vm" / "accelerator.json"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    with contextlib.suppress(OSError, ValueError, KeyError):
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["boot"] == boot:
            return str(known["accelerator"])
    found = "kvm" if _kvm_starts(image) else "tcg"
    files.write_json(note, {"boot": boot, "accelerator": found})
    return found


def _kvm_starts(image: Image) -> bool:
    """Whether a kernel comes to its end (it has no disk and gives up): on some machines /dev/kvm opens and nothing runs."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    line = [PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "256"]
    line += ["-no-reboot", "-kernel", str(image.kernel), "-append", "console=ttyS0 panic=-1", "-serial", "stdio"]
    try:
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and b"Kernel panic" in done.stdout


def new_disk(image: Image, disk: Path) -> None:
    """A layer over the image's disk that a desk writes into."""
    disk.unlink(missing_ok=True)
    shell.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image.disk), str(disk)])
