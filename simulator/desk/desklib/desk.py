"""The description of one simulated desk: desk.json as written by the lab, and what its faults mean.

Everything here is plain data. ``Desk`` wraps the document, answers what is true of the hardware right now, and
rejects faults nobody knows.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATE_DIR = Path(os.environ.get("SPARK_DESK_STATE", "/opt/desk-state"))
# Where the running desk keeps what lasts one boot (a tmpfs); tests point it elsewhere.
RUN_DIR = Path(os.environ.get("SPARK_DESK_RUN", "/run/spark-hw"))


def _fault_table() -> dict[str, dict[str, Any]]:
    """Read the one list of faults, faults.json beside this package."""
    text = (Path(__file__).resolve().parent.parent / "faults.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, Any]] = json.loads(text)
    return table


def unknown_faults(faults: dict[str, Any]) -> list[str]:
    """Names in ``faults`` that this half of the simulator does not know, sorted."""
    return sorted(set(faults) - set(_fault_table()))


def upstream(version: str) -> str:
    """The upstream part of a Debian version: epoch and revision removed."""
    return version.split(":", 1)[-1].rsplit("-", 1)[0]


@dataclass(frozen=True)
class Driver:
    """What the graphics driver is at this moment; a version of None means absent."""

    user_version: str | None
    module_version: str | None
    gsp_version: str | None
    open: bool
    failure: str | None  # None, "no_module", "mismatch" or "no_devices"


@dataclass(frozen=True)
class Desk:
    """One desk as desk.json describes it."""

    data: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.data.get("name", "desk"))

    @property
    def hostname(self) -> str:
        return str(self.data.get("hostname", self.name))

    @property
    def model(self) -> dict[str, Any]:
        model: dict[str, Any] = self.data["model"]
        return model

    @property
    def virtual(self) -> bool:
        """Does it run as a virtual machine, with a kernel, adapters and RDMA of its own."""
        return self.data.get("machine") == "vm"

    @property
    def faults(self) -> dict[str, Any]:
        return self.data.get("faults") or {}

    def fault(self, name: str) -> dict[str, Any] | None:
        """Parameters of a fault that is on (may be empty), or None when it is off."""
        if name not in self.faults:
            return None
        return dict(self.faults[name] or {})

    @property
    def boot_count(self) -> int:
        return int(self.data.get("boot_count", 1))

    @property
    def booted_at(self) -> float:
        if self.virtual:
            return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        return float(self.data.get("booted_at") or 0.0)

    @property
    def boot_id(self) -> str:
        """Stable within one boot, different after the next."""
        if self.virtual:
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        if self.data.get("boot_id"):
            return str(self.data["boot_id"])
        raw = hashlib.sha256(f"{self.name}/{self.boot_count}/{self.booted_at}".encode()).hexdigest()
        return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:32]}"

    @property
    def serial(self) -> str:
        """A made-up chassis serial: plainly not a real one, the same for the life of the desk."""
        return str(self.data.get("serial") or "SIM" + hashlib.sha256(self.name.encode()).hexdigest()[:10].upper())

    @property
    def powered(self) -> bool:
        """Is the ConnectX-7 on the PCI bus (hotplug power save takes it away)."""
        return bool((self.data.get("hotplug") or {}).get("powered", True))

    @property
    def hotplug_enabled(self) -> bool:
        hotplug = self.data.get("hotplug") or {}
        return bool(hotplug.get("enabled", self.model.get("hotplug", {}).get("enabled", False)))

    @property
    def kernel(self) -> str:
        """The running kernel: the one this boot chose, else the model's."""
        try:
            return (RUN_DIR / "osrelease").read_text(encoding="ascii").strip()
        except OSError:
            return str(self.model["kernel"])

    def cable(self, port: int) -> dict[str, Any] | None:
        cable = (self.data.get("ports") or {}).get(str(port), {}).get("cable")
        return dict(cable) if cable else None

    def port(self, port: int) -> dict[str, Any]:
        return dict((self.data.get("ports") or {}).get(str(port)) or {})

    def present(self, function: dict[str, Any]) -> bool:
        """Is this function on the PCI bus."""
        missing = self.fault("twin_missing")
        if missing is not None and function["netdev"] in _targets(missing, self.data["functions"], ["enP2p1s0f0np0"]):
            return False
        return self.powered and bool(function.get("present", True))

    def link_width(self, function: dict[str, Any]) -> int:
        """PCIe lanes in use: 4, or 2 where the half width fault says so (second PCI domain unless named)."""
        narrow = self.fault("half_width")
        default = [f["netdev"] for f in self.data["functions"] if f["pci"].startswith("0002:")]
        if narrow is not None and function["netdev"] in _targets(narrow, self.data["functions"], default):
            return int(narrow.get("width", 2))
        return int(function.get("link_width", 4))

    def speed_mbps(self, port: int) -> int:
        """Link speed of a cabled port in Mb/s."""
        slow = self.fault("speed_100g")
        if slow is not None and int(slow.get("port", port)) == port:
            return 100000
        return int(self.port(port).get("speed_mbps") or 200000)

    def installed_driver(self) -> str | None:
        """Upstream version of the user-space driver, as dpkg has it; the model's where dpkg knows none."""
        return dpkg_versions().get("driver") or str(self.model["driver"]["version"])

    def driver(self) -> Driver:
        """User space, module and firmware of the driver, faults included."""
        base = self.model["driver"]
        user = self.installed_driver()
        module: str | None = str(base.get("module_version") or base["version"])
        try:
            module = (RUN_DIR / "module_version").read_text(encoding="ascii").strip() or None
        except OSError:
            if module == base["version"]:
                module = user
        gsp: str | None = str(base.get("gsp_version")) if base.get("gsp_version") != base["version"] else gsp_firmware(module)
        is_open = bool(base.get("open", True))
        failure = None
        if (fault := self.fault("driver_mismatch")) is not None:
            module = str(fault.get("module_version", "580.126.09"))
            gsp = module
        if (fault := self.fault("gsp_mismatch")) is not None:
            gsp = str(fault.get("gsp_version", "580.126.09"))
        if self.fault("driver_proprietary") is not None:
            is_open = False
        if self.fault("driver_missing") is not None:
            module = None
        if module is None:
            failure, gsp = "no_module", None
        elif module != user:
            failure = "mismatch"
        elif gsp != module or not is_open or self.fault("gpu_not_found") is not None:
            failure = "no_devices"
        return Driver(user, module, gsp, is_open, failure)


def _targets(params: dict[str, Any], functions: list[dict[str, Any]], default: list[str]) -> list[str]:
    """Netdevs a fault names: by ``function`` (netdev, RDMA or PCI name, or a list), by ``port``, or the default."""
    named = params.get("function")
    if named is None and "port" in params:
        return [f["netdev"] for f in functions if int(f["port"]) == int(params["port"])]
    if named is None:
        return default
    names = [named] if isinstance(named, str) else list(named)
    return [f["netdev"] for f in functions if {f["netdev"], f["rdma"], f["pci"]} & set(names)]


def fault_functions(desk: Desk, fault: str, default: list[str]) -> list[str]:
    """Netdevs that an active fault names; empty when the fault is off."""
    params = desk.fault(fault)
    return [] if params is None else _targets(params, desk.data["functions"], default)


def load(state_dir: Path | None = None) -> Desk:
    """Read desk.json.  Raises OSError or ValueError with the path when it cannot be read."""
    path = (state_dir or STATE_DIR) / "desk.json"
    try:
        return Desk(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{path} is not a desk description: {error}") from error


FIRMWARE = Path(os.environ.get("SPARK_DESK_GSP", "/usr/lib/firmware/nvidia"))


def gsp_firmware(module: str | None) -> str | None:
    """The version of the GSP firmware that lies where the module loads its own from; the module's where no file is there."""
    if module is None:
        return None
    try:
        text = (FIRMWARE / module / "gsp_ga10x.bin").read_text(encoding="ascii", errors="replace")
    except OSError:
        return module
    return text.removeprefix("GSP ").strip() or module


_STATUS = Path(os.environ.get("SPARK_DESK_DPKG", "/var/lib/dpkg/status"))


def dpkg_versions() -> dict[str, str]:
    """What dpkg has of the driver: ``driver`` = upstream version of the 580/590/... user space, if installed."""
    try:
        text = _STATUS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found: dict[str, str] = {}
    for stanza in text.split("\n\n"):
        name = re.match(r"Package: (nvidia-utils-\d+|libnvidia-compute-\d+|nvidia-driver-\d+-open)\n", stanza)
        if not name or ("\nStatus: install ok installed" not in stanza and "\nStatus: hold ok installed" not in stanza):
            continue
        version = re.search(r"^Version: (\S+)$", stanza, re.M)
        if version:
            found[name.group(1)] = upstream(version.group(1))
    for prefix in ("nvidia-utils-", "libnvidia-compute-", "nvidia-driver-"):
        versions = [v for n, v in found.items() if n.startswith(prefix)]
        if versions:
            return {"driver": max(versions, key=lambda v: [int(p) for p in re.findall(r"\d+", v)])}
    return {}
