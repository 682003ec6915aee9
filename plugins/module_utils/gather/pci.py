# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PCI devices of the desk, for every subset that asks for them."""

from __future__ import annotations

from dataclasses import dataclass

from ..readers import lspci, uevent
from .ask import Ask, Source

FOLDER = "/sys/bus/pci/devices"
CX7_ID = ("15b3", "1021")
"""ConnectX-7 (public lspci reports of DGX Spark)."""
NVIDIA = "10de"
GB10_DEVICES = range(0x2E00, 0x2E40)
"""PCI device numbers of the GB10's GPU: the range that NVIDIA's kernel patch checks (2e12 and 2e2a were seen on desks)."""

DEVICES_LIMIT = 512


@dataclass(frozen=True)
class Pci:
    """PCI address to vendor and device; null when the bus could not be listed."""

    devices: dict[str, tuple[str | None, str | None]] | None
    drivers: dict[str, str | None]
    source: Source | None = None

    def having(self, identity: tuple[str, str]) -> list[str]:
        """Addresses of the devices of one kind."""
        return sorted(address for address, found in (self.devices or {}).items() if found == identity)

    def gb10(self) -> list[str]:
        """Addresses of GPUs of a GB10."""
        return sorted(address for address, found in (self.devices or {}).items() if is_gb10(*found))


def is_gb10(vendor: str | None, device: str | None) -> bool:
    """Whether a vendor and device (hexadecimal) are a GB10's GPU."""
    return vendor == NVIDIA and device is not None and int(device, 16) in GB10_DEVICES


def pci(ask: Ask) -> Pci:
    """The PCI bus."""
    return ask.memo("pci", lambda: _read(ask))


def device_id(ask: Ask, folder: str) -> tuple[tuple[str | None, str | None], str | None]:
    """Vendor and device of a device folder in sysfs, and its driver."""
    facts = uevent.read(ask.text(f"{folder}/uevent").text or "")
    vendor, device = facts["pci_vendor"], facts["pci_device"]
    if vendor is None:
        vendor, device = (_hex(ask.word(f"{folder}/{name}")) for name in ("vendor", "device"))
    driver = facts["driver"] or (ask.target(f"{folder}/driver") or "").rpartition("/")[2] or None
    return (vendor, device), driver


def _hex(value: str | None) -> str | None:
    short = (value or "").lower().removeprefix("0x")
    return short if len(short) == 4 and all(letter in "0123456789abcdef" for letter in short) else None


def _forms(ask: Ask) -> list[tuple[str, ...]]:
    """Other questions that list the bus (lspci of one device or as a tree does not)."""
    return [argv for argv in ask.recorded("lspci") if not any(word.startswith(("-s", "-t")) for word in argv)]


def _read(ask: Ask) -> Pci:
    listing = ask.listing(FOLDER)
    if listing.error is None:
        devices, drivers = {}, {}
        for address in listing.names[:DEVICES_LIMIT]:
            devices[address], drivers[address] = device_id(ask, f"{FOLDER}/{address}")
        if devices:
            return Pci(devices, drivers)
    answer = ask.first_answer(("lspci", "-D", "-nn"), ("lspci", "-D"), ("lspci", "-D", "-d", "15b3:"), *_forms(ask))
    if answer.ok:
        found = {}
        for item in lspci.read(answer.stdout):
            identity = (item["vendor"], item["device"])
            if item["vendor"] is None and "ConnectX-7" in item["description"]:
                identity = CX7_ID
            found[item["pci_address"]] = identity
        return Pci(found, {}, None)
    return Pci({} if listing.error is None else None, {}, listing if listing.error else answer)
