"""ethtool and lspci for what a veth in a container cannot tell."""

from __future__ import annotations

import hashlib
import sys

from ..counters import Traffic, ethtool_counters
from ..desk import fault_functions
from ..view import Function
from . import common
from .common import Context

_MODES = (
    "1000baseKX/Full",
    "10000baseKR/Full",
    "40000baseCR4/Full",
    "25000baseCR/Full",
    "50000baseCR2/Full",
    "100000baseCR4/Full",
    "50000baseCR/Full",
    "100000baseCR2/Full",
    "200000baseCR4/Full",
    "100000baseCR/Full",
    "200000baseCR2/Full",
)


def _ports_of(context: Context, fault: str) -> list[str]:
    return fault_functions(context.desk, fault, [f.netdev for f in context.functions])


def settings(context: Context, function: Function) -> str:
    """``ethtool IF``."""
    modes = ("\n" + "\t" + " " * 24).join(_MODES)
    up = function.carrier
    lines = [
        f"Settings for {function.netdev}:",
        "\tSupported ports: [ Backplane ]",
        f"\tSupported link modes:   {modes}",
        "\tSupported pause frame use: Symmetric",
        "\tSupports auto-negotiation: Yes",
        "\tSupported FEC modes: None\t RS\t BASER",
        f"\tAdvertised link modes:  {modes}",
        "\tAdvertised pause frame use: Symmetric",
        "\tAdvertised auto-negotiation: Yes",
        "\tAdvertised FEC modes: RS",
        f"\tSpeed: {f'{function.speed_mbps}Mb/s' if up else 'Unknown!'}",
        f"\tDuplex: {'Full' if up else 'Unknown! (255)'}",
        "\tAuto-negotiation: on",
        f"\tPort: {'Direct Attach Copper' if context.desk.cable(function.port) else 'None'}",
        "\tPHYAD: 0",
        "\tTransceiver: internal",
    ]
    if common.is_root():
        lines += ["\tSupports Wake-on: d", "\tWake-on: d", "        Current message level: 0x00000004 (4)"]
        lines.append(" " * 31 + "link")
    lines.append(f"\tLink detected: {'yes' if up else 'no'}")
    return "\n".join(lines) + "\n"


def module(context: Context, function: Function) -> tuple[str, int]:
    """``ethtool -m IF``: the cable's EEPROM, whose speed and length fields mislead as on the approved cable."""
    cable = context.desk.cable(function.port)
    if function.netdev in _ports_of(context, "eeprom_unreadable"):
        return "netlink error: Input/output error\n", 1
    if cable is None:
        return "netlink error: No such device or address\n", 1
    odd = context.desk.fault("cable_unapproved") if function.netdev in _ports_of(context, "cable_unapproved") else None
    vendor = (odd or {}).get("vendor") or ("OEM" if odd is not None else cable.get("vendor", "Amphenol"))
    part = (odd or {}).get("part") or ("QSFP-200G-PC005" if odd is not None else cable.get("part", "NJAAKK-N911"))
    serial = cable.get("serial") or "SIM" + hashlib.sha256(str(cable.get("id")).encode()).hexdigest()[:8].upper()
    facts = [
        ("Identifier", "0x11 (QSFP28)"),
        ("Extended identifier", "0x00"),
        ("Connector", "0x23 (No separable connector)"),
        ("Transceiver type", "40G Ethernet: 40G Base-CR4"),
        ("Encoding", "0x08 (PAM4)"),
        ("BR, Nominal", "25500Mbps"),
        ("Length (SMF,km)", "0km"),
        ("Length (OM1 62.5um)", "7m"),
        ("Length (Copper or Active cable)", "1m"),
        ("Transmitter technology", "0xa0 (Copper cable unequalized)"),
        ("Vendor name", str(vendor)),
        ("Vendor OUI", "78:a7:14"),
        ("Vendor PN", str(part)),
        ("Vendor rev", "A"),
        ("Vendor SN", str(serial)),
        ("Date code", "250611"),
        ("Revision Compliance", "Unallocated"),
    ]
    return "".join(f"\t{name:<41} : {value}\n" for name, value in facts), 0


def ethtool(argv: list[str]) -> int:
    """What is asked of a ConnectX-7 netdev is answered here, the rest by the real program."""
    context = common.context()
    name = next((w for w in argv if context.by_netdev(w)), None)
    function = context.by_netdev(name) if name else None
    management = (context.desk.data.get("management") or {}).get("netdev")
    if function is None:
        if management in argv and len(argv) == 1:
            wifi = bool((context.desk.data.get("management") or {}).get("wifi"))
            link = context.links.get(str(management))
            up = bool(link and link.carrier)
            speed = "" if wifi else f"\tSpeed: {'10000Mb/s' if up else 'Unknown!'}\n\tDuplex: {'Full' if up else 'Unknown! (255)'}\n"
            print(f"Settings for {management}:\n{speed}\tLink detected: {'yes' if up else 'no'}")
            return 0
        if management in argv and argv[:1] in (["-i"], ["--driver"]):
            driver = "mt7925e" if (context.desk.data.get("management") or {}).get("wifi") else "r8127"
            print(
                f"driver: {driver}\nversion: {context.desk.kernel}\nfirmware-version: \nexpansion-rom-version: \n"
                f"bus-info: {'0009' if driver == 'mt7925e' else '0007'}:01:00.0"
            )
            return 0
        return common.real("ethtool", argv)
    option = argv[0] if argv and argv[0].startswith("-") else ""
    if option == "":
        sys.stdout.write(settings(context, function))
        return 0
    if option in ("-i", "--driver"):
        cx7 = context.desk.model["cx7"]
        print(
            f"driver: mlx5_core\nversion: {context.desk.kernel}\nfirmware-version: {cx7['firmware']} ({cx7['psid']})\n"
            f"expansion-rom-version: \nbus-info: {function.pci}\nsupports-statistics: yes\nsupports-test: yes\n"
            "supports-eeprom-access: no\nsupports-register-dump: no\nsupports-priv-flags: yes"
        )
        return 0
    if option in ("-m", "--module-info", "--dump-module-eeprom"):
        if not common.is_root():
            print("netlink error: Operation not permitted", file=sys.stderr)
            return 1
        text, code = module(context, function)
        (sys.stderr if code else sys.stdout).write(text)
        return code
    if option in ("-S", "--statistics"):
        data = ethtool_counters(
            context.traffic.get(function.rdma, Traffic()),
            function.net_rx_bytes,
            function.net_tx_bytes,
            function.net_rx_packets,
            function.net_tx_packets,
        )
        print("NIC statistics:")
        for key, value in data.items():
            print(f"     {key}: {value}")
        return 0
    if option == "--show-fec":
        port = context.desk.port(function.port)
        if not function.carrier:
            active = "None"
        else:
            # Reports: RS on a healthy link, None after a cable was moved while the desk ran.
            active = "None" if port.get("plugged_after_boot") else "RS"
        print(f"FEC parameters for {function.netdev}:\nSupported/Configured FEC encodings: Auto\nActive FEC encoding: {active}")
        return 0
    if option in ("-P", "--show-permaddr"):
        print(f"Permanent address: {function.mac}")
        return 0
    return common.real("ethtool", argv)


_BRIDGE = ("0604", "PCI bridge", "MediaTek Inc. Device 0a06", "14c3:0a06")


def devices(context: Context) -> list[tuple[str, str, str, str, str]]:
    """Address, class number, class, name and ids of everything on the bus, sorted by address."""
    mellanox = "Mellanox Technologies MT2910 Family [ConnectX-7]"
    rows = [(pci, *_BRIDGE) for pci in ("0000:00:00.0", "0002:00:00.0", "0007:00:00.0", "0009:00:00.0")]
    rows += [(f.pci, "0200", "Ethernet controller", mellanox, "15b3:1021") for f in context.functions]
    rows += [
        ("0007:01:00.0", "0200", "Ethernet controller", "Realtek Semiconductor Co., Ltd. Device 8127", "10ec:8127"),
        ("0009:01:00.0", "0280", "Network controller", "MEDIATEK Corp. Device 7925", "14c3:7925"),
        ("000f:00:00.0", "0604", "PCI bridge", "NVIDIA Corporation Device 22ce", "10de:22ce"),
        ("000f:01:00.0", "0300", "VGA compatible controller", "NVIDIA Corporation Device 2e12", "10de:2e12"),
    ]
    return sorted(rows)


def lspci(argv: list[str]) -> int:
    """The PCI bus; options -D -d -s -n -nn -k -v."""
    vendor, slot, numeric, both, driver, verbose = "", "", False, False, False, 0
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word.startswith("-d"):
            vendor = word[2:] or (rest.pop(0) if rest else "")
        elif word.startswith("-s"):
            slot = word[2:] or (rest.pop(0) if rest else "")
        elif word.startswith("-"):
            numeric = numeric or "n" in word
            both = both or "nn" in word
            driver = driver or "k" in word
            verbose += word.count("v")
    context = common.context()
    by_pci = {f.pci: f for f in context.functions}
    for pci, number, klass, name, ids in devices(context):
        if slot and not (pci == slot or pci.endswith(slot) or pci.startswith(slot)):
            continue
        if vendor and not _matches(vendor.lower(), ids):
            continue
        if both:
            print(f"{pci} {klass} [{number}]: {name} [{ids}]")
        elif numeric:
            print(f"{pci} {number}: {ids}")
        else:
            print(f"{pci} {klass}: {name}")
        if verbose and pci in by_pci:
            function = by_pci[pci]
            down = " (downgraded)" if function.width < 4 else ""
            print(f"\tLnkCap:\tPort #0, Speed 32GT/s, Width x4, ASPM not supported\n\tLnkSta:\tSpeed 32GT/s, Width x{function.width}{down}")
        if driver or verbose:
            used = {"15b3": "mlx5_core", "10ec": "r8127", "10de": "nvidia"}.get(ids[:4])
            if used and number != "0604":
                print(f"\tKernel driver in use: {used}")
        if verbose:
            print()
    return 0


def _matches(wanted: str, ids: str) -> bool:
    vendor, _, device = wanted.partition(":")
    return (not vendor or vendor == ids[:4]) and (not device or device.split(":")[0] in ("", ids[5:]))
