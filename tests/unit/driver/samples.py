"""Desks as data for the tests of the planner."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import apt_preferences
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.driver_plan import plan
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.lock_model import LockPlan, WantedLock
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import sha256
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Apt, Busy, Desk, Identity, Setup
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import Driver, GpuProcess, Kernel, KernelImage, Package

KERNEL = "6.17.0-1021-nvidia"
INSTALLED = {
    "linux-nvidia-hwe-24.04": "6.17.0-1021.21",
    "linux-image-nvidia-hwe-24.04": "6.17.0-1021.21",
    "linux-modules-nvidia-580-open-nvidia-hwe-24.04": "6.17.0-1021.21",
    f"linux-modules-nvidia-580-open-{KERNEL}": "6.17.0-1021.21",
    f"linux-image-{KERNEL}": "6.17.0-1021.21",
    "nvidia-driver-580-open": "580.159.03-0ubuntu0.24.04.1",
    "libnvidia-compute-580": "580.159.03-0ubuntu0.24.04.1",
    "libnccl2": "2.30.7-1+cuda13.0",
    "nvidia-modprobe": "610.43.02-1",
    "nvidia-container-toolkit": "1.19.0-1",
}
GROUP = tuple(sorted(name for name in INSTALLED if name not in (f"linux-image-{KERNEL}", "nvidia-modprobe", "nvidia-container-toolkit")))


def desk(versions: dict[str, str] | None = None, *, holds: tuple[str, ...] = (), **parts: Any) -> Desk:
    """A factory desk; ``parts`` replace whole parts of it."""
    packages = tuple(Package(name, version, name in holds) for name, version in sorted((versions or INSTALLED).items()))
    values: dict[str, Any] = {
        "identity": Identity(hostname="spark-0a1b", boot_id="one"),
        "kernel": Kernel(running=KERNEL, next_boot=KERNEL, installed=(KernelImage(KERNEL, True),)),
        "driver": Driver(packages=packages, holds=holds, pins=("cuda-compute-repo-lowpri2",), loaded=True),
        "apt": Apt(first_boot_upgrade="done", reboot_required=False),
        "busy": Busy(readable=True),
    }
    return Desk(**{**values, **parts})


def after(start: Desk, done: LockPlan) -> Desk:
    """The desk once a plan has been carried out."""
    driver = replace(
        start.driver,
        holds=done.after.holds,
        pins=(*start.driver.pins, apt_preferences.PATH.rsplit("/", 1)[1]) if done.record else start.driver.pins,
    )
    files = {} if done.after.preferences is None else {apt_preferences.PATH: sha256(done.after.preferences)}
    record = None if done.record is None else replace(done.record, pins=driver.pins).to_json()
    marked = done.after.protected
    return replace(
        start,
        driver=driver,
        setup=Setup(driver_lock=record, pair_files=files),
        apt=replace(start.apt, autoremove_platform=tuple(item for item in start.apt.autoremove_platform if item not in marked)),
    )


def locked(start: Desk | None = None, **options: Any) -> Desk:
    """A desk that was locked."""
    start = start or desk()
    return after(start, plan(start, WantedLock(**options), name="desk-01"))


def somebody() -> Busy:
    """A process that computes."""
    return Busy((GpuProcess(4711, "train.py", "C", 900, "ada"),), (), True)
