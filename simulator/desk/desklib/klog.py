"""The kernel log of a desk: what boot, hotplug and cables print, kept in klog.jsonl until the next boot.

The journal of a container cannot hold kernel messages of its own, so ``dmesg`` and ``journalctl -k`` are stand-ins
that read this log.  Times are seconds since the desk's boot.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .desk import STATE_DIR, Desk, fault_functions
from .view import Function

_PREFIX = "cx7-pcie-hotplug MTKP0001:00:"


@dataclass(frozen=True)
class Line:
    """One kernel message: seconds since boot, syslog priority, text."""

    at: float
    priority: int
    text: str


def boot_lines(desk: Desk, functions: list[dict[str, Any]], carriers: dict[str, bool]) -> list[Line]:
    """What the kernel says while it boots.  ``functions`` are those found on the bus at boot."""
    dmi = desk.model.get("dmi", {})
    build = desk.model.get("kernel_build", "#1-Ubuntu SMP PREEMPT_DYNAMIC")
    lines = [
        Line(0.0, 5, f"Linux version {desk.kernel} (buildd@bos03-arm64-sim) (aarch64-linux-gnu-gcc-13) {build}"),
        Line(
            0.0,
            6,
            f"DMI: {dmi.get('sys_vendor')} {dmi.get('product_name')}/{dmi.get('board_name')}, "
            f"BIOS {dmi.get('bios_version')} {dmi.get('bios_date')}",
        ),
        Line(0.0, 5, f"Kernel command line: {desk.model.get('cmdline', '')}"),
    ]
    lines += enumerate_lines(desk, functions, 0.4)
    if desk.model.get("hotplug", {}).get("supported", True):
        lines.append(Line(1.1, 6, f"{_PREFIX} PCIe hotplug driver initialized"))
        if desk.hotplug_enabled:
            lines.append(Line(1.2, 6, f"{_PREFIX} Hotplug enabled"))
    for function in functions:
        if desk.cable(int(function["port"])):
            lines.append(Line(1.4, 6, _module_event(function, True)))
            if carriers.get(function["netdev"]):
                lines.append(Line(1.5, 6, f"mlx5_core {function['pci']} {function['netdev']}: Link up"))
    lines += gpu_lines(desk, 1.8)
    return lines


def gpu_lines(desk: Desk, at: float) -> list[Line]:
    """Messages of the graphics module."""
    driver = desk.driver()
    if driver.module_version is None:
        return []
    kind = "Open Kernel Module for aarch64" if driver.open else "aarch64 Kernel Module"
    lines = [Line(at, 5, f"NVRM: loading NVIDIA UNIX {kind}  {driver.module_version}  Release Build")]
    if desk.fault("gsp_mismatch") is not None:
        lines.append(
            Line(
                at + 6,
                3,
                "NVRM: Xid (PCI:000f:01:00): 119, Timeout after 6s of waiting for RPC response "
                "from GPU0 GSP! Expected function 4097 (GSP_INIT_DONE).",
            )
        )
    if not driver.open:
        lines.append(Line(at + 1, 3, "NVRM: GPU 000f:01:00.0: RmInitAdapter failed! (0x62:0x1a:2631)"))
    return lines


def enumerate_lines(desk: Desk, functions: list[dict[str, Any]], at: float) -> list[Line]:
    """A ConnectX-7 comes onto the bus."""
    lines = [Line(at, 6, f"pci {f['pci']}: [15b3:1021] type 00 class 0x020000 PCIe Endpoint") for f in functions]
    firmware = desk.model.get("cx7", {}).get("firmware", "28.45.4028")
    for number, function in enumerate(functions):
        when = at + 0.1 + 0.1 * number
        who = f"mlx5_core {function['pci']}:"
        width = desk.link_width(function)
        power = "126.028 Gb/s available PCIe bandwidth (32.0 GT/s PCIe x4 link)"
        if width < 4:
            power = (
                f"{31.507 * width:.3f} Gb/s available PCIe bandwidth, limited by 32.0 GT/s PCIe x{width} link at "
                f"{function['pci'].split(':')[0]}:00:00.0 (capable of 126.028 Gb/s with 32.0 GT/s PCIe x4 link)"
            )
        lines += [
            Line(when, 6, f"{who} firmware version: {firmware}"),
            Line(when, 6, f"{who} {power}"),
            Line(when + 0.01, 4, f"{who} Detected insufficient power on the PCIe slot (27W)."),
            Line(when + 0.02, 6, f"mlx5_core {function['pci']} {function['netdev']}: renamed from eth0"),
        ]
    return lines


def _module_event(function: dict[str, Any], plugged: bool) -> str:
    word = "plugged" if plugged else "unplugged"
    return f"mlx5_core {function['pci']}: Port module event: module {function['port']}, Cable {word}"


def change_lines(old: Desk, new: Desk, now: float) -> list[Line]:
    """What the kernel says when power or cables changed between two descriptions."""
    lines: list[Line] = []
    was = [f for f in old.data["functions"] if old.present(f)]
    is_ = [f for f in new.data["functions"] if new.present(f)]
    if new.powered and not old.powered:
        lines.append(Line(now, 6, f"{_PREFIX} Cable plugin"))
        lines += enumerate_lines(new, is_, now + 0.1)
        now += 0.8
    for function in is_:
        port = int(function["port"])
        before, after = old.cable(port), new.cable(port)
        if before and after and before != after:
            lines.append(Line(now, 6, _module_event(function, False)))
        if after and (before != after or not old.powered):
            lines.append(Line(now, 6, _module_event(function, True)))
        elif before and not after:
            lines.append(Line(now, 6, _module_event(function, False)))
    if old.powered and not new.powered:
        lines += [Line(now, 6, _module_event(f, False)) for f in was if old.cable(int(f["port"]))]
        lines += removal_lines(now)
    if old.driver() != new.driver():
        lines += gpu_lines(new, now)
    return lines


def removal_lines(at: float) -> list[Line]:
    """The hotplug driver takes the ConnectX-7 off the bus."""
    return [
        Line(at, 6, f"{_PREFIX} Cable removal"),
        Line(at + 0.01, 4, "pcieport 0000:00:00.0: PCIe Bus Error: severity=Correctable, type=Physical Layer, (Receiver ID)"),
        Line(at + 0.02, 4, "pcieport 0000:00:00.0:    [ 0] RxErr                  (First)"),
    ]


def carrier_line(function: Function, at: float) -> Line:
    """A function's link went up or down."""
    word = "up" if function.carrier else "down"
    return Line(at, 6, f"mlx5_core {function.pci} {function.netdev}: Link {word}")


def flap_lines(desk: Desk) -> list[Line]:
    """The link went down and up many times since boot."""
    lines = []
    names = fault_functions(desk, "flapping", [])
    params = desk.fault("flapping") or {}
    for number in range(int(params.get("count", 21)) if names else 0):
        for function in desk.data["functions"]:
            if function["netdev"] in names:
                who = f"mlx5_core {function['pci']} {function['netdev']}:"
                lines += [Line(20.0 + number * 3, 6, f"{who} Link down"), Line(21.0 + number * 3, 6, f"{who} Link up")]
    return lines


class Log:
    """The log on disk; appending and reading are each one pass over a small file."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or STATE_DIR / "klog.jsonl"

    def boot_key(self) -> str | None:
        """Boot id that the stored log belongs to."""
        try:
            with self.path.open(encoding="utf-8") as stream:
                return str(json.loads(stream.readline())["boot_id"])
        except (OSError, ValueError, KeyError):
            return None

    def start(self, desk: Desk, lines: list[Line]) -> None:
        """Begin the log of a new boot."""
        head = json.dumps({"boot_id": desk.boot_id, "booted_at": desk.booted_at})
        body = "".join(json.dumps([line.at, line.priority, line.text]) + "\n" for line in lines)
        self.path.write_text(head + "\n" + body, encoding="utf-8")
        self.path.chmod(0o644)

    def append(self, lines: list[Line]) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            for line in lines:
                stream.write(json.dumps([round(line.at, 6), line.priority, line.text]) + "\n")

    def read(self, upto: float | None = None) -> list[Line]:
        """Messages in order of time, those of the future left out."""
        lines = []
        try:
            rows = self.path.read_text(encoding="utf-8").splitlines()[1:]
        except OSError:
            return []
        for row in rows:
            at, priority, text = json.loads(row)
            if upto is None or at <= upto:
                lines.append(Line(float(at), int(priority), str(text)))
        return sorted(lines, key=lambda line: line.at)


def since_boot(desk: Desk) -> float:
    """Seconds since the desk's boot."""
    return max(0.0, time.time() - desk.booted_at)


def matches(line: Line, pattern: str) -> bool:
    """Does the message match a regular expression, ignoring case unless it has capitals (as journalctl --grep)."""
    flags = 0 if re.search("[A-Z]", pattern) else re.I
    return re.search(pattern, line.text, flags) is not None
