"""A desk on paper: desk.json and live.json in a folder, and the stand-ins run against it on this machine."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
DESK = ROOT / "simulator" / "desk"
TRANSCRIPTS = ROOT.parent / "shared" / "domain" / "transcripts"
sys.path.insert(0, str(DESK))

FUNCTIONS = [
    ("enp1s0f0np0", "rocep1s0f0", "0000:01:00.0", "p0", 0, "02:51:0a:00:00:10"),
    ("enp1s0f1np1", "rocep1s0f1", "0000:01:00.1", "p1", 1, "02:51:0a:00:00:11"),
    ("enP2p1s0f0np0", "roceP2p1s0f0", "0002:01:00.0", "p0", 0, "02:51:0a:00:00:14"),
    ("enP2p1s0f1np1", "roceP2p1s0f1", "0002:01:00.1", "p1", 1, "02:51:0a:00:00:15"),
]
FIGURES = {
    "one_way_gbps": 109.0,
    "dual_sum_gbps": 196.1,
    "both_ways_gbps": 213.0,
    "latency_us": 1.47,
    "nccl_busbw": {"1073741824": 20.8, "4294967296": 22.4, "17179869184": 23.0},
}


def description(model: str = "founders_7_5_0", cabled: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """A healthy desk with cables in the given ports."""
    facts = yaml.safe_load((ROOT / "simulator" / "models" / f"{model}.yml").read_text(encoding="utf-8"))
    ports: dict[str, Any] = {}
    for number in (0, 1):
        ports[str(number)] = {"cable": None, "plugged_after_boot": False, "speed_mbps": 200000, "figures": None}
        if number in cabled:
            ports[str(number)]["cable"] = {
                "id": f"cable-{number}",
                "vendor": "Amphenol",
                "part": "NJAAKK-N911",
                "serial": "SIM0001",
                "length_m": 0.4,
                "peer": {"desk": "desk-02", "port": number},
            }
            ports[str(number)]["figures"] = copy.deepcopy(FIGURES)
    return {
        "name": "desk-01",
        "hostname": "spark-a1b2",
        "boot_count": 1,
        "booted_at": 1790000000.0,
        "model": facts,
        "renderer": "NetworkManager",
        "management": {"netdev": "enP7s7", "mac": "02:5a:00:00:00:01", "wifi": False},
        "switch_id": "0a0b0c0d0e0f1011",
        "functions": [
            {
                "netdev": n,
                "rdma": r,
                "pci": p,
                "phys_port_name": name,
                "port": port,
                "mac": mac,
                "link_width": 4,
                "link_speed": "32.0 GT/s PCIe",
                "present": True,
            }
            for n, r, p, name, port, mac in FUNCTIONS
        ],
        "hotplug": {"enabled": True, "powered": True},
        "ports": ports,
        "faults": {},
        "processes": [],
    }


def live(desk: dict[str, Any], addresses: dict[str, list[str]] | None = None, mtu: int = 1500) -> dict[str, Any]:
    """Links of the desk: carrier where a cable is."""
    links = {}
    for index, function in enumerate(desk["functions"], start=3):
        links[function["netdev"]] = {
            "index": index,
            "up": True,
            "carrier": desk["ports"][str(function["port"])]["cable"] is not None,
            "mtu": mtu,
            "mac": function["mac"],
            "addresses": (addresses or {}).get(function["netdev"], []),
        }
    return {"links": links}


class PaperDesk:
    """A folder that the stand-ins take for their desk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = description()
        self.live = live(self.data)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "SPARK_DESK_STATE": str(self.folder),
            "SPARK_DESK_RUN": str(self.folder / "run"),
            "SPARK_DESK_DPKG": str(self.folder / "dpkg-status"),
            "LC_ALL": "C",
            "TZ": "UTC",
        }

    def write(self) -> None:
        (self.folder / "desk.json").write_text(json.dumps(self.data), encoding="utf-8")
        (self.folder / "live.json").write_text(json.dumps(self.live), encoding="utf-8")

    def argv(self, name: str, *arguments: str) -> list[str]:
        program = DESK / "standins" / name
        if not program.exists():
            program = DESK / "packages" / "perftest" / name
            code = f"import sys; sys.path.insert(0, {str(DESK)!r}); from desklib.standins.table import main; sys.exit(main(sys.argv[1:]))"
            return [sys.executable, "-S", "-c", code, str(program), *arguments]
        return [sys.executable, "-S", str(program), *arguments]

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.write()
        return subprocess.run(self.argv(name, *arguments), env=self.environment(), capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def paper(tmp_path: Path) -> PaperDesk:
    """A healthy desk with a cable in port 0."""
    return PaperDesk(tmp_path)


@pytest.fixture
def transcript() -> Callable[[str], str]:
    """Real output of a DGX Spark, where the collection of transcripts stands beside the checkout."""

    def read(name: str) -> str:
        path = TRANSCRIPTS / name
        if not path.exists():
            pytest.skip(f"{path} is not there: the transcripts of real desks are not part of this repository")
        return path.read_text(encoding="utf-8")

    return read
