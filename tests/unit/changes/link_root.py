"""A desk's root folder with real files and fake commands, for tests of the link program."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import yaml

FUNCTIONS = {"enp1s0f0np0": "02:00:5e:00:10:01", "enP2p1s0f0np0": "02:00:5e:00:10:02"}
MANAGEMENT = "enP7s7"
NAMES = ("netplan", "nmcli", "networkctl", "ip", "sysctl", "systemctl")

FAKE = """#!{python} -ES
import json, os, sys, pathlib
ROOT = pathlib.Path("{root}")
NAME, ARGS = os.path.basename(sys.argv[0]), sys.argv[1:]
STATE = ROOT / "state.json"
state = json.loads(STATE.read_text())
with open(ROOT / "calls.txt", "a") as calls:
    calls.write(" ".join([NAME, *ARGS]) + "\\n")
for rule in state.get("fail", []):
    if " ".join([NAME, *ARGS]).startswith(rule):
        print(state.get("words", "made to fail"))
        sys.exit(1)
SYSTEM = ROOT / "run/NetworkManager/system-connections"
UNITS = ROOT / "etc/systemd/system"


def save():
    STATE.write_text(json.dumps(state, indent=1))


def keyfile(path):
    values = dict(line.partition("=")[::2] for line in path.read_text().splitlines() if "=" in line)
    return {{
        "id": values.get("id"), "uuid": "uuid-of-" + str(values.get("id")), "interface": values.get("interface-name"),
        "mtu": int(values.get("mtu", 1500)), "addresses": [values["address1"]] if "address1" in values else [],
        "dhcp": values.get("method") == "auto",
    }}


def served(netdev, asked):
    # As ip shows it: an endless lease is not marked as one.
    given = state["server"].get(netdev) if asked else None
    link = state["links"][netdev]
    link["leased"] = [] if state["endless"] or not given else [given]
    link["addresses"] += [given] if state["endless"] and given else []


def activate(netdev, profile):
    link = state["links"][netdev]
    link.update(profile=profile["uuid"], mtu=profile["mtu"], addresses=list(profile["addresses"]), up=True)
    served(netdev, profile.get("dhcp"))


def auto(netdev):
    return {{"id": "Wired " + netdev, "uuid": "auto-" + netdev, "interface": netdev, "mtu": 1500, "addresses": []}}


def best(netdev):
    found = [item for item in state["profiles"].values() if item["interface"] == netdev]
    return found[0] if found else auto(netdev)


if NAME == "netplan":
    sys.path.append("{packages}")
    import yaml

    root = pathlib.Path(ARGS[ARGS.index("--root-dir") + 1])
    merged, renderer = {{}}, "networkd"
    files = sorted([*root.glob("lib/netplan/*.yaml"), *root.glob("etc/netplan/*.yaml")], key=lambda item: item.name)
    for path in files:
        if "INVALID" in path.read_text():
            print(path, "Error in network definition")
            sys.exit(78)
        network = (yaml.safe_load(path.read_text()) or {{}}).get("network") or {{}}
        renderer = network.get("renderer", renderer)
        for name, device in (network.get("ethernets") or {{}}).items():
            merged.setdefault(name, {{}}).update(device)
    rules = ""
    for name, device in merged.items():
        address = (device.get("addresses") or [None])[0]
        if device.get("renderer", renderer) == "NetworkManager":
            path = root / "run/NetworkManager/system-connections" / ("netplan-" + name + ".nmconnection")
            text = "id=netplan-" + name + "\\ninterface-name=" + name + "\\n"
            text += ("mtu=%s\\n" % device["mtu"] if device.get("mtu") else "") + ("address1=%s\\n" % address if address else "")
            text += "method=auto\\n" if device.get("dhcp4") else ""
        else:
            path = root / "run/systemd/network" / ("10-netplan-" + name + ".network")
            text = "Name=" + name + "\\n" + ("MTUBytes=%s\\n" % device["mtu"] if device.get("mtu") else "")
            text += "Address=%s\\n" % address if address else ""
            text += "DHCP=ipv4\\n" if device.get("dhcp4") else ""
        # As netplan 1.1 does for both renderers, in the order in which its files name the interfaces.
        seen = (device.get("match") or {{}}).get("name", name)
        rules += "# netplan: network.ethernets." + name + "\\n"
        rules += 'SUBSYSTEM=="net", ENV{{ID_NET_NAME}}=="' + seen + '", ENV{{NM_UNMANAGED}}="x"\\n'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    if rules:
        path = root / "run/udev/rules.d/90-netplan.rules"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rules)
elif NAME == "nmcli" and ARGS[:2] == ["connection", "load"]:
    for name in ARGS[2:]:
        path = ROOT / name.lstrip("/")
        if path.exists():
            state["profiles"][name] = keyfile(path)
            continue
        gone = state["profiles"].pop(name, None)
        for netdev, link in state["links"].items():
            if gone and link["profile"] == gone["uuid"]:
                activate(netdev, best(netdev))
elif NAME == "nmcli" and "up" in ARGS:
    kind, value, netdev = ARGS[ARGS.index("up") + 1], ARGS[ARGS.index("up") + 2], ARGS[-1]
    known = [*state["profiles"].values(), *map(auto, state["links"])]
    found = [item for item in known if item[kind] == value]
    if not found:
        print("Error: unknown connection")
        sys.exit(10)
    activate(netdev, found[0])
    if state.get("late") and found[0].get("dhcp"):
        save()
        sys.exit(3)
elif NAME == "nmcli" and "--active" in ARGS:
    for netdev, link in state["links"].items():
        if link["profile"]:
            print(link["profile"] + ":" + netdev)
elif NAME == "nmcli" and "disconnect" in ARGS:
    state["links"][ARGS[-1]].update(profile=None, addresses=[], leased=[])
elif NAME == "networkctl":
    for netdev, link in state["links"].items():
        path = ROOT / ("run/systemd/network/10-netplan-" + netdev + ".network")
        if path.exists():
            values = dict(line.partition("=")[::2] for line in path.read_text().splitlines())
            set_here = [] if "DHCP" in values else link["addresses"]
            link.update(managed=True, up=True, addresses=[values["Address"]] if "Address" in values else set_here)
            link["mtu"] = int(values.get("MTUBytes", link["mtu"]))
            served(netdev, "DHCP" in values)
        elif link.get("managed"):
            # A lease may be given up a moment later.
            link.update(managed=False, addresses=[])
elif NAME == "ip" and ARGS[:2] == ["-j", "addr"]:
    print(json.dumps([
        {{"ifname": netdev, "flags": ["UP"] if link["up"] else [], "mtu": link["mtu"],
          "addr_info": [
              {{"family": "inet", "local": item.split("/")[0], "prefixlen": int(item.split("/")[1]),
                **({{"dynamic": True}} if kind == "leased" else {{}})}}
              for kind in ("addresses", "leased") for item in link.get(kind, [])
          ]}}
        for netdev, link in state["links"].items()
    ]))
elif NAME == "ip" and ARGS[0] == "address":
    link = state["links"][ARGS[4]]
    link["addresses"] = [item for item in link["addresses"] if item != ARGS[2]] + ([ARGS[2]] if ARGS[1] == "add" else [])
    link["leased"] = [item for item in link.get("leased", []) if item != ARGS[2]]
elif NAME == "ip" and ARGS[0] == "link":
    link = state["links"][ARGS[3]]
    if ARGS[4] == "mtu":
        link["mtu"] = int(ARGS[5])
    else:
        link["up"] = ARGS[4] == "up"
elif NAME == "sysctl":
    key, value = ARGS[-1].split("=")
    path = ROOT / "proc/sys" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value + "\\n")
elif NAME == "systemctl":
    unit = ARGS[1] if len(ARGS) > 1 else ""
    if ARGS[0] == "start":
        text = (UNITS / unit).read_text()
        state["units"][unit] = text
    elif ARGS[0] == "stop":
        state["units"].pop(unit, None)
    elif ARGS[0] == "is-active":
        sys.exit(0 if state["renderer_active"] else 3)
    elif ARGS[0] == "show" and unit.endswith(".timer"):
        text = state["units"].get(unit)
        print("ActiveState=" + ("active" if text else "inactive"))
        if text:
            seconds = int([line for line in text.splitlines() if line.startswith("OnActiveSec")][0].partition("=")[2])
            parts = ["%dmin" % (seconds // 60) if seconds >= 60 else "", "%ds" % (seconds % 60) if seconds % 60 else ""]
            span = " ".join(filter(None, parts))
            print("Unit=" + unit.replace(".timer", ".service"))
            print("TimersMonotonic={{ OnActiveUSec=" + span + " ; next_elapse=1h }}")
    elif ARGS[0] == "show":
        here = UNITS / unit
        print("LoadState=" + ("loaded" if here.exists() else "not-found"))
        print(here.read_text() if here.exists() else "")
save()
"""


class LinkRoot:
    """A root folder below ``folder``."""

    def __init__(self, folder: Path, renderer: str = "NetworkManager") -> None:
        self.root = folder
        self.renderer = renderer
        script = FAKE.format(python=sys.executable, root=folder, packages=Path(yaml.__file__).parents[1])
        for name in NAMES:
            here = self.path(f"/usr/bin/{name}")
            here.parent.mkdir(parents=True, exist_ok=True)
            here.write_text(script)
            here.chmod(0o755)
        for name in ("/etc/netplan", "/run/NetworkManager/system-connections", "/etc/systemd/system/sysinit.target.wants", "/var/lib"):
            self.path(name).mkdir(parents=True, exist_ok=True)
        self.write("/proc/sys/kernel/random/boot_id", "boot-one\n")
        self.write("/etc/netplan/01-all.yaml", f"network:\n  version: 2\n  renderer: {renderer}\n")
        self.write("/etc/netplan/10-management.yaml", f"network:\n  ethernets:\n    {MANAGEMENT}:\n      dhcp4: true\n")
        nm = renderer == "NetworkManager"
        links = {
            name: {"up": True, "mtu": 1500, "addresses": [], "profile": f"auto-{name}" if nm else None, "managed": False}
            for name in FUNCTIONS
        }
        links[MANAGEMENT] = {"up": True, "mtu": 1500, "addresses": ["10.9.0.5/24"], "profile": "uuid-of-management", "managed": False}
        self.set_state({"links": links, "profiles": {}, "units": {}, "renderer_active": True, "fail": [], "server": {}, "endless": False})

    def path(self, path: str) -> Path:
        """Where a path of the desk lies."""
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str, mode: int = 0o600, mtime_ns: int = 1_700_000_000_123_456_789) -> None:
        """Put a file there."""
        here = self.path(path)
        here.parent.mkdir(parents=True, exist_ok=True)
        here.write_text(text)
        here.chmod(mode)
        os.utime(here, ns=(mtime_ns, mtime_ns))

    def state(self) -> dict[str, Any]:
        """What the fake commands know."""
        data: dict[str, Any] = json.loads(self.path("/state.json").read_text())
        return data

    def set_state(self, state: dict[str, Any]) -> None:
        """Replace it."""
        self.path("/state.json").write_text(json.dumps(state))

    def change_state(self, **values: Any) -> None:
        """Replace parts of it."""
        self.set_state({**self.state(), **values})

    def links(self) -> dict[str, Any]:
        """The live interfaces."""
        found: dict[str, Any] = self.state()["links"]
        return found

    def calls(self) -> list[str]:
        """Every command so far."""
        here = self.path("/calls.txt")
        return here.read_text().splitlines() if here.exists() else []

    def picture(self, *folders: str) -> dict[str, tuple[Any, ...]]:
        """Every file below some folders: content, mode, time stamp."""
        found: dict[str, tuple[Any, ...]] = {}
        for folder in folders or ("/etc", "/run"):
            for here in sorted(self.path(folder).rglob("*")):
                about = here.lstat()
                if here.is_symlink():
                    found[str(here)] = ("link", os.readlink(here))
                elif here.is_dir():
                    found[str(here)] = ("folder",)
                else:
                    found[str(here)] = (here.read_bytes(), stat.S_IMODE(about.st_mode), about.st_mtime_ns)
        return found
