"""Firmware of the devices that fwupd knows: what is in them, what the vendor offers, and the capsule that the next boot flashes.

Laws: a capsule is flashed by the next boot, which takes long (15 minutes on the machine, here shortened by FACTOR); nothing is flashed on
a battery; a vendor without files offers nothing.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from .desk import Desk

STORE = Path(os.environ.get("SPARK_DESK_FIRMWARE", "/var/lib/spark-desk/firmware.json"))
REAL_SECONDS = 900.0
FACTOR = 0.01


def state() -> dict[str, Any]:
    """``versions`` of flashed devices and the ``pending`` capsules, by name."""
    try:
        found = json.loads(STORE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    return {"versions": dict(found.get("versions") or {}), "pending": dict(found.get("pending") or {})}


def save(values: dict[str, Any]) -> None:
    """Keep it through a power cut."""
    STORE.parent.mkdir(parents=True, exist_ok=True)
    temporary = STORE.with_suffix(".new")
    temporary.write_text(json.dumps(values), encoding="utf-8")
    temporary.replace(STORE)


def devices(desk: Desk) -> list[dict[str, Any]]:
    """The devices as they are."""
    flashed = state()["versions"]
    return [{**device, "Version": flashed.get(device["Name"], device["Version"])} for device in desk.model.get("firmware", [])]


def updates(desk: Desk) -> list[dict[str, Any]]:
    """The devices that the vendor has something newer for, each with its releases."""
    offer = desk.fault("firmware_offered")
    if offer is None:
        return []
    version = str(offer.get("version", "0x03000600"))
    wanted = str(offer.get("device", "Embedded Controller"))
    problems = ["require-ac-power"] if on_battery(desk) else []
    return [
        {**device, "Releases": [{"Version": version}], **({"Problems": problems} if problems else {})}
        for device in devices(desk)
        if device["Name"] == wanted and device["Version"] != version
    ]


def on_battery(desk: Desk) -> bool:
    """Whether the mains power is gone."""
    return desk.fault("on_battery") is not None


def stage(desk: Desk) -> list[str]:
    """Hand what is offered to the next boot; the names."""
    values = state()
    for device in updates(desk):
        values["pending"][device["Name"]] = device["Releases"][0]["Version"]
    save(values)
    return list(values["pending"])


def flash() -> float:
    """What a boot does with pending capsules; the seconds that it takes."""
    values = state()
    if not values["pending"]:
        return 0.0
    seconds = REAL_SECONDS * FACTOR
    time.sleep(seconds)
    save({"versions": {**values["versions"], **values["pending"]}, "pending": {}})
    return seconds
