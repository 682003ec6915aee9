# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors in the kernel log (journalctl -k, dmesg): GPU driver, PCIe, memory, lockups, modules that were refused.

Which of them matter is the judges' business; here they are only told apart and counted. A driver's words count where they begin a
message (`kernel_records`): behind its first words the kernel prints what its users chose.
"""

from __future__ import annotations

import re
from typing import Any

from . import kernel_records
from . import text as _text

LINES_LIMIT = 8
"""Lines kept of each kind: the first ones, which name the cause, and the last one."""

XIDS_LIMIT = 64

_ADDRESS = r"([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])"
_XID = re.compile(r"NVRM: Xid \((?:PCI:)?[0-9A-Fa-f:.]{4,16}(?: [A-Z][\w:.-]{1,20}){0,2}\): ([0-9]{1,4})\b")
_PROGRAM_OF_XID = re.compile(r"\bname=.{0,15}(?:, |$)", re.DOTALL)
"""The program that an Xid names: its user chose the name, of which the kernel keeps 15 characters."""
_CLIENT = re.compile(r"NVRM: API mismatch\b")
"""A message with the name and the version that a program gave itself."""
_RECOVERY = re.compile(r"GPU recovery action changed from .{0,60}? to 0x([0-9a-f]{1,4})(?: \(([A-Za-z ]{1,40})\))?")
"""What Xid 154 says."""
_GPU = re.compile(
    r"NVRM: (?s:.{0,300}?)(?:RmInitAdapter|fallen off the bus|GPU is lost|GSP RPC timeout|Cannot initialize GSP|marked for reset|"
    r"NV_ERR_GPU_IS_LOST|GPU lost from the bus|GSP-Crash ?Cat|heartbeat timed out|"
    r"GPU is probably locked|secure boot partition timed out|GPU has been lost|probe routine failed|rm_init_adapter failed|"
    r"requires use of the NVIDIA open)"
    r"|nvidia-modeset: ERROR: .{0,40}?Error while waiting for GPU progress"
    r"|INFO: task (?:nvidia|nv_|irq/[0-9]{1,5}-nvidia)[\w-]{0,16}:[0-9]{1,10} blocked for more than"
    r"|nvidia [0-9a-f:.]{12}: .{0,60}?(?:device|config space) inaccessible"
    r"|nvidia(?: [0-9a-f:.]{12})?: probe .{0,60}?failed with error"
    r"|nvidia [0-9a-f:.]{12}: (?:AER: )?(?:can't recover|PCIe Bus Error: severity=[^,]{0,24}\(Fatal\))",
    re.IGNORECASE,
)
_GPU_MEMORY = re.compile(r"NVRM: (?s:.{0,300}?)(?:Out of memory|NV_ERR_NO_MEMORY)")
_KILLED = re.compile(r"(?:Memory cgroup o|O)ut of memory: Killed process")
_OOM = re.compile(rf"{_KILLED.pattern}|oom-kill:\S|.{{1,{kernel_records.NAME_LIMIT}}} invoked oom-killer|oom_reaper: reaped")
_KEY = r"(?:Key was rejected by service|Required key not available)"
_REFUSED = re.compile(
    r"Loading of .{0,40}?module .{0,60}?is rejected|[\w-]{1,64}: module verification failed.{0,80}rejected|"
    r"Lockdown: .{0,60}unsigned module loading is restricted|PKCS#7 signature not signed with a trusted key|"
    rf"(?:\S{{1,64}} )?(?:systemd-(?:modules-load|udevd)|\(udev-worker\))\[[0-9]{{1,10}}\]: .{{0,200}}?{_KEY}|"
    rf"modprobe: ERROR: .{{0,200}}?{_KEY}"
)
_KEY_REFUSED = re.compile(_KEY)
_OTHER_MODULE = re.compile(r"insert (?:module )?['\"](?!nvidia)[\w-]{1,64}['\"]")
"""A refused module that the line names and that is not the driver's."""
_UNFIT = re.compile(r"nvidia: (?:version magic '|disagrees about version of symbol |Unknown symbol )")
_SECURE_BOOT = re.compile(r"secureboot: Secure boot (enabled|disabled)|Kernel is locked down from EFI Secure Boot mode", re.IGNORECASE)
_LOCKUP = re.compile(
    r"arm-smmu-v3 \S{1,40} CMD_SYNC timeout|(?:watchdog: )?BUG: soft lockup - CPU#|"
    r"(?:NMI )?watchdog: (?:CPU[0-9]{1,5}: )?Watchdog detected hard LOCKUP|BUG: workqueue lockup|"
    r"rcu: INFO: rcu_\w{1,20} (?:self-)?detected stall"
)
_AER = re.compile(rf"[a-z][\w-]{{1,31}} {_ADDRESS}: (?:AER: |PCIe Bus Error: |DPC: )")
_MLX5_ERROR = re.compile(
    rf"mlx5_core {_ADDRESS}:? .{{0,80}}?"
    r"(?:mlx5_pci_err_detected|mlx5_pci_slot_reset|wait vital|health (?:recovery|compromised)|device's health compromised|"
    r"handling bad device|Failed to (?:recover|unload|load)|recovery (?:flow )?failed|mlx5_error_sw_reset|fatal error|"
    r"Health issue observed, .{0,80}severity\([0-3]\)|TX timeout|NETDEV WATCHDOG|Will cause a leak of a command|No done completion|"
    r"pre-initializing state, aborting|mlx5_init_one failed|probe with driver mlx5_core failed)",
    re.IGNORECASE,
)
_PROBE = re.compile(rf"mlx5_core: probe of {_ADDRESS} failed")
"""How kernels before 6.9 say that a driver did not start."""
_STALLED = re.compile(r"TX timeout|NETDEV WATCHDOG|Will cause a leak of a command|No done completion")
_NOT_STARTED = re.compile(r"pre-initializing state, aborting|mlx5_init_one failed|probe with driver mlx5_core failed|: probe of ")
_PLUG = re.compile(rf"mlx5_core(?: {_ADDRESS})?:? .{{0,80}}?Port module event\[error\]: (module [0-9]{{1,3}}), Cable error, (.{{1,120}})")
_HEAT = re.compile(
    rf"mlx5_core {_ADDRESS}:? .{{0,80}}?(High temperature on sensors|Health issue observed, High temperature)", re.IGNORECASE
)
_FATAL = re.compile(r"\(Fatal\)|severity=Fatal|DPC: (?:containment event|unmasked uncorrectable)")
_RECOVERED = re.compile(r"AER: device recovery successful|health recovery succeeded", re.IGNORECASE)
_FAILED = re.compile(
    r"recovery (?:flow )?(?:failed|aborted)|reset failed|with error code|can't recover|Failed to (?:recover|load)",
    re.IGNORECASE,
)
_CHARACTERS = re.compile(r"[^\x20-\x7e]")


class _Kept:
    """The first lines of a kind and the last one, and how many there were."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def add(self, line: str) -> None:
        self.count += 1
        if len(self.lines) >= LINES_LIMIT:
            self.lines[-1] = line
        else:
            self.lines.append(line)


def read(text: str) -> dict[str, Any]:
    """Keys: xids (number of each Xid's lines, by its number as text), gpu_lines (what the GPU driver complained of, Xids included, as the
    log has them), gpu_failures (those that say that the GPU cannot be used), recovery_action (the last one that Xid 154 named, such as Node
    Reboot Required; null for none), gpu_memory_errors (how often the driver ran out of memory), gpu_memory_lines (what it said then),
    oom_kills (processes that the kernel killed for memory), oom_lines, refused_modules (lines about a signature or key that was not
    accepted), unfit_modules (lines about a module of the driver that was built for another kernel), secure_boot (whether it is on; null
    when not told), lockups (lines of soft lockups, stalls and SMMUs that do not answer), pcie (list of address, kind: fatal, nonfatal,
    mlx5, failed, recovered, stalled or start, line), plugs (list of about: module and address, error, line: what the adapter says of a plug
    or of its temperature), lines (how many records the log has)."""
    xids: dict[str, int] = {}
    kept = {kind: _Kept() for kind in ("gpu", "failed", "memory", "oom", "refused", "unfit", "lockup")}
    pcie: list[dict[str, str]] = []
    plugs: list[dict[str, str]] = []
    counts = {"killed": 0, "lines": 0}
    recovery: str | None = None
    secure: bool | None = None
    for record in kernel_records.read(text):
        counts["lines"] += 1
        message, short = record.message, _short(record.line)
        if _OOM.match(message):
            kept["oom"].add(short)
            counts["killed"] += bool(_KILLED.match(message))
        if record.by_users_name:
            continue
        xid = _XID.match(message)
        if xid and (xid.group(1) in xids or len(xids) < XIDS_LIMIT):
            xids[xid.group(1)] = xids.get(xid.group(1), 0) + 1
            if xids[xid.group(1)] <= 2:
                kept["gpu"].add(short)
        changed = _RECOVERY.search(message) if xid and xid.group(1) == "154" else None
        if changed:
            named = (changed.group(2) or "").strip()
            recovery = None if int(changed.group(1), 16) == 0 else named or f"0x{changed.group(1)}"
        # The driver goes on in further lines of one record: "... installed in this system has / NVRM: fallen off the bus".
        said = _PROGRAM_OF_XID.sub("", record.whole) if xid else "" if _CLIENT.match(message) else record.whole
        if _GPU.match(said):
            kept["failed"].add(_short(" ".join((record.line, *record.more))))
            if xid is None:
                kept["gpu"].add(kept["failed"].lines[-1])
        elif _GPU_MEMORY.match(said):
            kept["memory"].add(short)
        if _REFUSED.match(message) and not _OTHER_MODULE.search(message):
            kept["refused"].add(short)
        if _UNFIT.match(message):
            kept["unfit"].add(short)
        boot = _SECURE_BOOT.match(message)
        if boot:
            secure = boot.group(1) is None or boot.group(1).lower() == "enabled"
        if _LOCKUP.match(message):
            kept["lockup"].add(short)
        event = _pcie(message)
        if event is not None and len(pcie) < 200:
            pcie.append({"address": event[0], "kind": event[1], "line": short})
        complaint = _complaint(message)
        if complaint is not None and len(plugs) < 200:
            plugs.append({"about": complaint[0], "error": complaint[1], "line": short})
    return {
        "xids": xids,
        "gpu_lines": kept["gpu"].lines,
        "gpu_failures": kept["failed"].lines,
        "recovery_action": recovery,
        "gpu_memory_errors": kept["memory"].count,
        "gpu_memory_lines": kept["memory"].lines,
        "oom_kills": counts["killed"],
        "oom_lines": kept["oom"].lines,
        "refused_modules": kept["refused"].lines,
        "unfit_modules": kept["unfit"].lines,
        "secure_boot": secure,
        "lockups": kept["lockup"].lines,
        "pcie": pcie,
        "plugs": plugs,
        "lines": counts["lines"],
    }


def refused_modules(said: str) -> list[str]:
    """Lines of a program that loads modules (modprobe) about a key or a signature that was not accepted."""
    lines = (line for line in _text.lines(said, kernel_records.LINE_LIMIT) if _KEY_REFUSED.search(line) or _REFUSED.match(line.strip()))
    return [_short(line) for line in lines if not _OTHER_MODULE.search(line)][:LINES_LIMIT]


def _short(line: str) -> str:
    return _CHARACTERS.sub("?", line.strip())[:240]


def _pcie(message: str) -> tuple[str, str] | None:
    """Address and kind of a PCIe event; corrected errors are no event."""
    found = _AER.match(message) or _MLX5_ERROR.match(message) or _PROBE.match(message)
    if found is None:
        return None
    address = found.group(1)
    if _RECOVERED.search(message):
        return address, "recovered"
    if _STALLED.search(message):
        return address, "stalled"
    if _NOT_STARTED.search(message):
        return address, "start"
    if _FAILED.search(message):
        return address, "failed"
    if found.re is _MLX5_ERROR:
        return address, "mlx5"
    if _FATAL.search(message):
        return address, "fatal"
    return (address, "nonfatal") if "Non-Fatal" in message else None


def _complaint(message: str) -> tuple[str, str] | None:
    """What the adapter complains of besides PCIe, and of which part of it: a plug in a cage, or its own heat."""
    plug = _PLUG.match(message)
    if plug:
        return " of ".join(part for part in (plug.group(2), plug.group(1)) if part), _CHARACTERS.sub("?", plug.group(3).strip())
    heat = _HEAT.match(message)
    return (f"the adapter at {heat.group(1)}", "High temperature") if heat else None
