# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine this is."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from ..model.desk import Identity
from ..readers import dgx_release, gpu_information, nvidia_version, uname
from .ask import Ask, first
from .gpu import gpu_names
from .options import Options
from .packages import packages
from .pci import pci

DMI = ("/sys/class/dmi/id", "/sys/devices/virtual/dmi/id")
SSH = "/etc/ssh"
HOTPLUG_DEVICE = "/sys/devices/platform/MTKP0001:00"

_PRODUCT = re.compile(r"DGX[_ -]{1,2}Spark|\bGX10\b|MS-C931|AI TOP ATOM|\bGB10\b|ZGX Nano|\b30KL[A-Z0-9]{6}\b|\bP4242\b", re.IGNORECASE)
"""Product and board names of GB10 desks in public reports (NVIDIA, ASUS, MSI, Gigabyte, Dell, HP, Lenovo)."""

_PLACEHOLDERS = ("not specified", "default string", "to be filled by o.e.m.", "none", "n/a", "system serial number", "unknown")


def gather(ask: Ask, options: Options) -> Identity:
    """DMI, architecture, evidence for GB10, and fingerprints of what makes the desk unique."""
    dmi = {name: _dmi(ask, name) for name in ("sys_vendor", "product_name", "product_version", "board_vendor", "board_name")}
    dmi |= {name: _dmi(ask, name) for name in ("bios_version", "bios_date")}
    for fact, name in (("vendor", "sys_vendor"), ("product", "product_name")):
        ask.told(f"identity.{fact}", dmi[name], ask.text(f"{DMI[0]}/{name}"))
    machine = architecture(ask)
    evidence, is_gb10 = _gb10(ask, dmi, machine)
    if is_gb10 is None:
        ask.miss("identity.is_gb10", f"product {dmi['product_name']!r} is not a known one and the GPU could not be read")
    number = serial(ask) if options.include_serial or ask.text(f"{DMI[0]}/product_serial").error is None else _release_serial(ask)
    if options.include_serial:
        ask.told("identity.serial", number, ask.text(f"{DMI[0]}/product_serial"))
    machine_id = ask.word("/etc/machine-id")
    ask.told("identity.machine_id", machine_id, ask.text("/etc/machine-id"))
    keys = host_public_keys(ask)
    if not keys:
        ask.miss("identity.host_key_fingerprints", ask.listing(SSH))
    return Identity(
        hostname=ask.told("identity.hostname", hostname(ask), ask.text("/proc/sys/kernel/hostname")),
        vendor=dmi["sys_vendor"],
        product=dmi["product_name"],
        product_version=dmi["product_version"],
        board_vendor=dmi["board_vendor"],
        board=dmi["board_name"],
        bios_version=dmi["bios_version"],
        bios_date=dmi["bios_date"],
        architecture=machine,
        is_gb10=is_gb10,
        gb10_evidence=evidence,
        machine_id=_sha256(machine_id),
        host_key_fingerprints=tuple(item for item in (_fingerprint(key) for key in keys) if item),
        serial=number if options.include_serial or options.judge_serial else None,
        serial_sha256=_sha256(number),
        boot_id=ask.word("/proc/sys/kernel/random/boot_id"),
    )


def _dmi(ask: Ask, name: str) -> str | None:
    return first(ask.word(f"{folder}/{name}") for folder in DMI)


def hostname(ask: Ask) -> str | None:
    """The host name."""
    named = ask.word("/proc/sys/kernel/hostname") or ask.word("/etc/hostname")
    if named:
        return named.split()[0]
    answer = ask.first_answer(("hostname",), ("uname", "-n"))
    if answer.ok and answer.stdout.strip():
        return answer.stdout.split()[0][:253]
    return uname.read(ask.run("uname", "-a").stdout)["hostname"]


def architecture(ask: Ask) -> str | None:
    """The machine name of the kernel; where nothing names it, the architecture that the loaded driver or the packages are built for."""
    answer = ask.run("uname", "-m")
    machine = answer.stdout.strip().split(" ")[0][:32] if answer.ok else ""
    found = (
        machine
        or ask.word("/proc/sys/kernel/arch")
        or uname.read(ask.run("uname", "-a").stdout)["machine"]
        or nvidia_version.read(ask.text("/proc/driver/nvidia/version").text or "")["arch"]
        or _package_architecture(ask)
        or _built_for(ask.first_answer(("dpkg", "--print-architecture"), ("arch",)).stdout.strip())
    )
    return ask.told("identity.architecture", found or None, answer)


def _package_architecture(ask: Ask) -> str | None:
    package = packages(ask).installed("base-files") or packages(ask).installed("libc6")
    return _built_for(package.architecture) if package else None


def _built_for(name: str | None) -> str | None:
    """The kernel's word for one of Debian's architectures."""
    return {"arm64": "aarch64", "amd64": "x86_64", "aarch64": "aarch64", "x86_64": "x86_64"}.get(name or "")


def _gb10(ask: Ask, dmi: dict[str, str | None], machine: str | None) -> tuple[tuple[str, ...], bool | None]:
    """Evidence for GB10 and what it says: product, GPU and PCI id together, not one of them alone."""
    evidence: list[str] = []
    for name in ("product_name", "board_name"):
        value = dmi[name]
        if value and _PRODUCT.search(value[:200]):
            evidence.append(f"DMI {name} {value[:60]}")
    bus = pci(ask)
    evidence += [f"PCI {address} is {':'.join(map(str, (bus.devices or {})[address]))}" for address in bus.gb10()[:2]]
    names = gpu_names(ask)
    for folder in ask.names("/proc/driver/nvidia/gpus")[:8]:
        model = gpu_information.read(ask.text(f"/proc/driver/nvidia/gpus/{folder}/information").text or "")["model"]
        names += [model] if model else []
    evidence += sorted({f"GPU {name[:60]}" for name in names if re.search(r"\bGB10\b", name[:200])})
    if not evidence:
        platform = dgx_release.read(ask.text("/etc/dgx-release").text or "")["platform"]
        if platform and re.search(r"\b(?:ZGX Nano|GX10|GB10)\b", platform):
            evidence.append(f"DGX_PLATFORM {platform[:60]}")
    if evidence and machine not in (None, "aarch64", "arm64"):
        return tuple(evidence), True
    if evidence:
        if ask.listing(HOTPLUG_DEVICE).error is None:
            evidence.append("hotplug device MTKP0001")
        return tuple(evidence), True
    if machine not in (None, "aarch64", "arm64") or names:
        return (), False
    listed = any(vendor for vendor, _device in (bus.devices or {}).values())
    return (), False if listed and dmi["product_name"] is not None else None


def serial(ask: Ask) -> str | None:
    """The chassis serial number: DMI (root only), else /etc/dgx-release."""
    number = ask.word(f"{DMI[0]}/product_serial") or ask.word(f"{DMI[1]}/product_serial")
    if number and number.lower() not in _PLACEHOLDERS:
        return number
    return _release_serial(ask)


def _release_serial(ask: Ask) -> str | None:
    return dgx_release.serial_number(ask.text("/etc/dgx-release").text or "")


def host_public_keys(ask: Ask) -> tuple[str, ...]:
    """The public ssh host keys, type and key, in order of their file names."""
    found = []
    for name in ask.names(SSH):
        if name.startswith("ssh_host_") and name.endswith("_key.pub"):
            words = (ask.word(f"{SSH}/{name}") or "").split()
            if len(words) >= 2:
                found.append(f"{words[0]} {words[1]}")
    return tuple(found[:16])


def _fingerprint(key: str) -> str | None:
    try:
        blob = base64.b64decode(key.split()[1], validate=True)
    except (binascii.Error, ValueError):
        return None
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _sha256(value: str | None) -> str | None:
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest() if value else None
