# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver: what is loaded, installed, held and pinned."""

from __future__ import annotations

import re

from ..desk import MISSING
from ..model.driver import Driver, Package
from ..readers import kernel_command_line, kernel_errors, modinfo, modprobe_conf, nvidia_smi_error, nvidia_smi_version, nvidia_version
from . import kernel_log
from .ask import Ask, first
from .gpu import gsp_version, smi
from .options import Options
from .packages import FAMILIES, Packages, packages, upstream
from .units import active, enabled, starts_once, state

PROC = "/proc/driver/nvidia/version"
LICENSE = ("modinfo", "-F", "license", "nvidia")
LIBRARIES = ("/usr/lib/aarch64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib64")
UNIT = "nvidia-persistenced.service"
PREFERENCES = "/etc/apt/preferences.d"
PACKAGES_LIMIT = 400
MODPROBE = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")
"""In the order of modprobe.d(5): of two files with one name, that of the earlier folder counts."""
NOT_LOADED = ("communicate with the NVIDIA driver", "Driver Not Loaded")
"""What nvidia-smi says where no module is loaded."""

SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""Four bytes of attributes, then 1 for on."""
NVML = "libnvidia-ml.so.1"

_VERSION = re.compile(r"([0-9]{3}\.[0-9]{1,4}(?:\.[0-9]{1,4})?)$")


def gather(ask: Ask, options: Options) -> Driver:
    """The driver, from /proc, the libraries' links, nvidia-smi and the package database."""
    file = ask.text(PROC)
    loaded = nvidia_version.read(file.text or "")
    module = loaded["version"] or ask.word("/sys/module/nvidia/version")
    told = smi(ask)
    database = packages(ask)
    license_text = _license(ask)
    is_open = loaded["open"]
    if is_open is None and license_text is not None and file.error != MISSING:
        is_open = {"Dual MIT/GPL": True, "NVIDIA": False}.get(license_text)
    is_loaded = _is_loaded(ask, module)
    module = module or _reported_by_smi(ask)
    user_space = _user_space(ask, database)
    cuda = first(
        [*(answer["cuda_version"] if answer else None for answer in (told.detail, told.table)), told.value("", "cuda_umd_version")]
    )
    if cuda is None and told.error is None and not (told.missing or told.hung):
        cuda = nvidia_smi_version.read(ask.run("nvidia-smi", "--version").stdout)["cuda"]
    gsp = gsp_version(ask)
    mode = told.value("persistence_mode", "persistence_mode")
    if mode is None and told.table and told.table["gpus"]:
        mode = told.table["gpus"][0]["persistence_mode"]
    ask.told("driver.module_version", module, file)
    ask.told("driver.open_module", is_open, file, ask.asked(*LICENSE))
    ask.told("driver.user_space_version", user_space, told.error, *told.sources[:1])
    ask.told("driver.gsp_version", gsp, told.error, *told.sources[:1])
    ask.told("driver.cuda_version", cuda, told.error, *told.sources[:1])
    if database.by_name is None:
        ask.miss("driver.packages", database.source)
    if not database.holds_known:
        ask.miss("driver.holds", database.source, "the package list does not say which packages are held")
    pins = ask.listing(PREFERENCES)
    if pins.error not in (None, MISSING):
        ask.miss("driver.pins", pins)
    is_enabled, is_active = enabled(ask, UNIT), active(ask, UNIT)
    ask.told("driver.persistenced_enabled", is_enabled, ask.asked("systemctl", "is-enabled", UNIT))
    ask.told("driver.persistenced_active", is_active, ask.asked("systemctl", "is-active", UNIT))
    return Driver(
        user_space_version=user_space,
        module_version=module,
        gsp_version=gsp,
        open_module=is_open,
        module_license=license_text,
        branch=_branch(module or user_space),
        loaded=is_loaded,
        blocked=_blocked(ask) if is_loaded is False else (),
        nvml_error=told.error,
        foreign_library=_foreign_library(ask),
        secure_boot=_secure_boot(ask, is_loaded),
        packages=_families(database),
        holds=tuple(sorted(name for name, item in (database.by_name or {}).items() if item.held)),
        pins=pins.names,
        cuda_version=cuda,
        persistence_mode=mode,
        persistenced_enabled=is_enabled,
        persistenced_active=is_active,
        persistenced_state=_daemon_state(ask),
    )


def _daemon_state(ask: Ask) -> str | None:
    """systemd's word for the daemon; ``starting`` where it is activating for the first time."""
    told = state(ask, UNIT)
    return "starting" if told == "activating" and starts_once(ask, UNIT) else told


def _license(ask: Ask) -> str | None:
    answer = ask.run(*LICENSE)
    found: str | None = modinfo.read(answer.stdout)["license"] if answer.ok else None
    if found is None and answer.error is not None:
        answer = ask.run("modinfo", "nvidia")
        found = modinfo.read(answer.stdout)["license"] if answer.ok else None
    return found


def _is_loaded(ask: Ask, module: str | None) -> bool | None:
    """Whether a module is loaded: the driver's own file, the module list, else what nvidia-smi complains about."""
    if module is not None:
        return True
    modules = ask.text("/proc/modules")
    if modules.text is not None:
        return any(line.startswith("nvidia ") for line in modules.text.split("\n"))
    if ask.text(PROC).error == MISSING:
        return False
    if smi(ask).worked:
        return True
    return False if any(word in (smi(ask).error or "") for word in NOT_LOADED) else None


def _blocked(ask: Ask) -> tuple[str, ...]:
    """What keeps the module from being loaded."""
    files: dict[str, str] = {}
    for folder in MODPROBE:
        for name in ask.names(folder)[:200]:
            if name.endswith(".conf"):
                files.setdefault(name, f"{folder}/{name}")
    found = [f"{path}: {line}" for path in files.values() for line in modprobe_conf.read(ask.text(path).text or "")]
    words = kernel_command_line.read(ask.text("/proc/cmdline").text or "")["blocked"]
    return tuple([*(f"/proc/cmdline: {word}" for word in words), *found][:8])


def _foreign_library(ask: Ask) -> str | None:
    """Where the name of NVML leads when that is no NVML of a driver."""
    for folder in LIBRARIES:
        target = ask.target(f"{folder}/{NVML}")
        if target:
            place, _slash, name = target.rpartition("/")
            ours = name.startswith("libnvidia-ml.so.") and _VERSION.search(name) and place in ("", *LIBRARIES)
            return None if ours else target[:200]
    return None


def _secure_boot(ask: Ask, loaded: bool | None) -> bool | None:
    """Secure Boot: the firmware's own variable; where no module is loaded also the kernel log and a recording's mokutil."""
    variable = ask.text(SECURE_BOOT).text
    if variable:
        return variable[-1] == "\x01"
    log = kernel_log.text(ask) if loaded is False else None
    told: bool | None = kernel_errors.read(log)["secure_boot"] if log else None
    for argv in ask.recorded("mokutil", "--sb-state") if told is None else ():
        said = ask.run(*argv).stdout.lower()
        told = True if "secureboot enabled" in said else False if "secureboot disabled" in said else told
    return told


def _reported_by_smi(ask: Ask) -> str | None:
    """The module's version as nvidia-smi reports it (DRIVER version comes from the module)."""
    told = smi(ask)
    version = first([told.detail["driver_version"] if told.detail else None, told.value("", "driver_version")])
    if version is None and told.table is not None:
        version = told.table["driver_version"] if told.table["gpus"] else None
    if version is None and told.error is None and not (told.missing or told.hung):
        version = nvidia_smi_version.read(ask.run("nvidia-smi", "--version").stdout)["driver"]
    return str(version) if version is not None else None


def _user_space(ask: Ask, database: Packages) -> str | None:
    """Version of NVML: the library's link, what nvidia-smi names, what works with the module, else the package."""
    for folder in LIBRARIES:
        found = _VERSION.search((ask.target(f"{folder}/{NVML}") or "")[-100:])
        if found:
            return found.group(1)
    told = smi(ask)
    if told.missing:
        return None
    named = nvidia_smi_error.library_version(told.raw)
    names = [name for name in database.by_name or {} if re.match(r"libnvidia-compute(?:-[0-9]|$)", name) and database.installed(name)]
    package = upstream(database.version(max(names))) if names else None
    if named is not None:
        # The message leaves out the last part: 580.173 of 580.173.02.
        return package if package and package.startswith(f"{named}.") else named
    read = nvidia_smi_version.read("" if told.hung else ask.run("nvidia-smi", "--version").stdout)
    if read["nvml"] or read["nvidia_smi"]:
        return _whole(read["nvml"] or read["nvidia_smi"], read["nvidia_smi"], package, read["driver"])
    if package:
        return package
    return _reported_by_smi(ask) if told.worked else None


def _whole(short: str, *longer: str | None) -> str:
    """A version with all its parts: ``nvidia-smi --version`` gives NVML's with two, and another source may know the rest."""
    return next((version for version in longer if version and version.startswith(f"{short}.")), short)


def _branch(version: str | None) -> int | None:
    major = (version or "").partition(".")[0]
    return int(major) if major.isdecimal() and len(major) <= 4 else None


def _families(database: Packages) -> tuple[Package, ...]:
    chosen = [item for name, item in sorted((database.by_name or {}).items()) if FAMILIES.match(name) and item.state != "not-installed"]
    return tuple(chosen[:PACKAGES_LIMIT])
