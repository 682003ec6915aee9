"""nvidia-smi, modinfo, lsmod, nvcc and nvidia-ctk of a GB10: layouts as in public transcripts of such machines."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from ..desk import RUN_DIR
from . import common
from .common import Context

NA = "[N/A]"
NO_MODULE = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n\n"
)
# What GB10 answers [N/A] to.
NOT_TOLD = (
    "memory.total",
    "memory.free",
    "memory.used",
    "memory.reserved",
    "power.limit",
    "power.default_limit",
    "power.min_limit",
    "power.max_limit",
    "enforced.power.limit",
    "clocks.mem",
    "clocks.current.memory",
    "clocks.max.mem",
    "clocks.max.memory",
    "temperature.memory",
    "fan.speed",
    "ecc.mode.current",
    "ecc.errors.uncorrected.volatile.total",
    "mig.mode.current",
    "gpu_operation_mode.current",
    "accounting.mode",
)
COMPUTE_FIELDS = {
    "pid": "pid",
    "process_name": "process_name",
    "name": "process_name",
    "used_memory": "used_gpu_memory [MiB]",
    "used_gpu_memory": "used_gpu_memory [MiB]",
    "gpu_uuid": "gpu_uuid",
    "gpu_name": "gpu_name",
    "gpu_bus_id": "gpu_bus_id",
    "timestamp": "timestamp",
}


def uuid(context: Context) -> str:
    raw = hashlib.sha256(f"gpu {context.desk.serial}".encode()).hexdigest()
    return f"GPU-{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:32]}"


def persistence(context: Context) -> bool:
    """Is the persistence daemon running on this desk."""
    if context.desk.fault("persistenced_stopped") is not None:
        return False
    return not RUN_DIR.exists() or Path("/run/nvidia-persistenced").exists()


def compute_processes(context: Context) -> list[dict[str, Any]]:
    """Compute clients of the GPU: pid, name, MiB."""
    found = [
        {"pid": p["pid"], "name": p.get("name", "python3"), "mib": int(p.get("mib", 512)), "type": "C"}
        for name, p in context.processes.items()
        if name == "gpu_process"
    ]
    for extra in context.desk.data.get("processes") or []:
        if extra.get("pid"):
            found.append(
                {"pid": extra["pid"], "name": extra.get("name", "?"), "mib": int(extra.get("mib", 0)), "type": extra.get("type", "C")}
            )
    return found


def query_fields(context: Context) -> dict[str, str]:
    """Every field that --query-gpu knows here, with unit; what GB10 does not tell is [N/A]."""
    gpu = context.desk.model["gpu"]
    driver = context.desk.driver()
    busy = bool(compute_processes(context))
    bus = str(gpu["bus_id"])
    fields = {
        "timestamp": time.strftime("%Y/%m/%d %H:%M:%S.000"),
        "index": "0",
        "count": "1",
        "name": str(gpu["name"]),
        "gpu_name": str(gpu["name"]),
        "uuid": uuid(context),
        "gpu_uuid": uuid(context),
        "serial": NA,
        "gpu_serial": NA,
        "pci.bus_id": bus,
        "gpu_bus_id": bus,
        "pci.domain": "0x" + bus.split(":")[0][-4:],
        "pci.bus": "0x01",
        "pci.device": "0x00",
        "pci.device_id": "0x2E1210DE",
        "driver_version": str(driver.user_version),
        "vbios_version": str(gpu.get("vbios")),
        "compute_cap": str(gpu["compute_cap"]),
        "compute_mode": "Default",
        "addressing_mode": "ATS",
        "persistence_mode": "Enabled" if persistence(context) else "Disabled",
        "display_active": "Disabled",
        "display_mode": "Disabled",
        "pstate": "P0" if busy else "P8",
        "temperature.gpu": str(61 if busy else gpu.get("temperature", 36)),
        "power.draw": f"{38.4 if busy else float(gpu.get('power_w', 4.1)):.2f} W",
        "utilization.gpu": "94 %" if busy else "0 %",
        "utilization.memory": "0 %",
        "clocks.sm": "2418 MHz" if busy else "208 MHz",
        "clocks.max.sm": f"{gpu.get('clocks_max_sm', 3003)} MHz",
        "pcie.link.gen.current": "1",
        "pcie.link.gen.max": "1",
        "pcie.link.width.current": "1",
        "pcie.link.width.max": "1",
        "clocks_event_reasons.active": "0x0000000000000000" if busy else "0x0000000000000001",
        "clocks_throttle_reasons.active": "0x0000000000000000" if busy else "0x0000000000000001",
    }
    for alias, name in {
        "gpu_temp": "temperature.gpu",
        "power.draw.average": "power.draw",
        "power.draw.instant": "power.draw",
        "clocks.gr": "clocks.sm",
        "clocks.current.sm": "clocks.sm",
        "clocks.current.graphics": "clocks.sm",
        "clocks.max.graphics": "clocks.max.sm",
        "clocks.max.gr": "clocks.max.sm",
    }.items():
        fields[alias] = fields[name]
    for name in NOT_TOLD:
        fields[name] = NA
    return fields


_UNITS = {"memory": "MiB", "power": "W", "clocks": "MHz", "utilization": "%", "fan": "%", "enforced": "W"}


def _header(name: str) -> str:
    head = name.split(".")[0]
    plain = {"clocks_event_reasons.active", "clocks_throttle_reasons.active"}
    return name if head not in _UNITS or name in plain else f"{name} [{_UNITS[head]}]"


def _csv(names: list[str], headers: list[str], rows: list[list[str]], layout: str) -> str:
    words = [word.strip() for word in layout.split(",")]
    out = "" if "noheader" in words else ", ".join(headers) + "\n"
    for row in rows:
        if "nounits" in words:
            row = [v.split(" ")[0] if _is_measure(v) else v for v in row]
        out += ", ".join(row) + "\n"
    return out


def _is_measure(value: str) -> bool:
    parts = value.split(" ")
    return len(parts) == 2 and parts[1] in ("MiB", "W", "MHz", "%")


def failure(context: Context) -> tuple[str, int] | None:
    """Text and exit code when the driver does not work."""
    driver = context.desk.driver()
    if driver.failure == "no_module":
        return NO_MODULE, 9
    if driver.failure == "mismatch":
        short = ".".join(str(driver.user_version).split(".")[:2])
        return f"Failed to initialize NVML: Driver/library version mismatch\nNVML library version: {short}\n", 18
    if driver.failure == "no_devices":
        # Reports give 6 and 0 for this text.
        return "No devices were found\n", int((context.desk.fault("gpu_not_found") or {}).get("rc", 6))
    return None


def table(context: Context) -> str:
    """The default screen."""
    driver = context.desk.driver()
    fields = query_fields(context)
    cuda = context.desk.model["driver"].get("cuda", "13.0")
    watts = round(float(fields["power.draw"].split()[0]))
    mode = "On" if persistence(context) else "Off"
    load = f"    {fields['utilization.gpu'].replace(' ', ''):>4}      Default"
    rule = "+-----------------------------------------+------------------------+----------------------+"
    wide = "+-----------------------------------------------------------------------------------------+"
    lines = [
        time.strftime("%a %b %e %H:%M:%S %Y") + "       ",
        wide,
        f"| NVIDIA-SMI {driver.user_version:<22} Driver Version: {driver.module_version:<14} CUDA Version: {cuda:<8} |",
        rule,
        "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |",
        "| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |",
        "|                                         |                        |               MIG M. |",
        "|=========================================+========================+======================|",
        f"|   0  {fields['name']:<27}{mode:>6}  |   {fields['pci.bus_id']} Off |                  N/A |",
        f"| N/A  {fields['temperature.gpu']:>3}C    {fields['pstate']:<4}        {watts:>5}W /  N/A  | Not Supported          |{load} |",
        "|                                         |                        |                  N/A |",
        rule,
        "",
        wide,
        "| Processes:                                                                              |",
        "|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |",
        "|        ID   ID                                                               Usage      |",
        "|=========================================================================================|",
    ]
    processes = compute_processes(context)
    for process in processes:
        name = str(process["name"])[:34]
        lines.append(f"|    0   N/A  N/A {process['pid']:>15}      {process['type']}   {name:<34}{process['mib']:>9}MiB |")
    if not processes:
        lines.append("|  No running processes found                                                             |")
    lines.append(wide)
    return "\n".join(lines) + "\n"


def long_query(context: Context) -> str:
    """The part of -q that is known of this machine."""
    driver, fields = context.desk.driver(), query_fields(context)

    def row(indent: int, name: str, value: str) -> str:
        return f"{' ' * indent + name:<54} : {value}"

    lines = [
        "",
        "==============NVSMI LOG==============",
        "",
        row(0, "Timestamp", time.strftime("%a %b %e %H:%M:%S %Y")),
        row(0, "Driver Version", str(driver.module_version)),
        row(0, "CUDA Version", str(context.desk.model["driver"].get("cuda", "13.0"))),
        "",
        row(0, "Attached GPUs", "1"),
        f"GPU {fields['pci.bus_id']}",
        row(4, "Product Name", fields["name"]),
        row(4, "Product Architecture", "Blackwell"),
        row(4, "Persistence Mode", fields["persistence_mode"]),
        row(4, "Addressing Mode", "ATS"),
        row(4, "GPU UUID", uuid(context)),
        row(4, "VBIOS Version", fields["vbios_version"]),
        row(4, "GSP Firmware Version", str(driver.gsp_version)),
        row(4, "GPU C2C Mode", "Enabled"),
        "    FB Memory Usage",
        row(8, "Total", "N/A"),
        row(8, "Reserved", "N/A"),
        row(8, "Used", "N/A"),
        row(8, "Free", "N/A"),
        "    GPU Power Readings",
        row(8, "Average Power Draw", fields["power.draw"]),
        row(8, "Current Power Limit", "N/A"),
        "    Max Clocks",
        row(8, "SM", fields["clocks.max.sm"]),
        row(8, "Memory", "N/A"),
        "",
    ]
    return "\n".join(lines)


def nvidia_smi(argv: list[str]) -> int:
    """The command."""
    context = common.context()
    broken = failure(context)
    if broken is not None:
        sys.stdout.write(broken[0])
        return broken[1]
    driver, bus = context.desk.driver(), context.desk.model["gpu"]["bus_id"]
    layout, query, apps = "csv", None, None
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name, _, value = word.partition("=")
        if name == "--format":
            layout = value or (rest.pop(0) if rest else "")
        elif name == "--query-gpu":
            query = value or (rest.pop(0) if rest else "")
        elif name == "--query-compute-apps":
            apps = value or (rest.pop(0) if rest else "")
        elif name in ("-i", "--id"):
            if not value and rest:
                rest.pop(0)
        elif word == "--version":
            print(
                f"NVIDIA-SMI version  : {driver.user_version}\nNVML version        : {driver.user_version}\n"
                f"DRIVER version      : {driver.module_version}\n"
                f"CUDA Version        : {context.desk.model['driver'].get('cuda', '13.0')}"
            )
            return 0
        elif word in ("-L", "--list-gpus"):
            print(f"GPU 0: {context.desk.model['gpu']['name']} (UUID: {uuid(context)})")
            return 0
        elif word in ("-q", "--query"):
            sys.stdout.write(long_query(context))
            return 0
        elif word == "topo":
            print("\tGPU0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID")
            print("GPU0\t X \t0-19\t0\t\tN/A")
            return 0
        elif name in ("-lgc", "--lock-gpu-clocks", "-rgc", "--reset-gpu-clocks", "-pm", "--persistence-mode", "-pl", "-ac"):
            if not value and rest and name not in ("-rgc", "--reset-gpu-clocks"):
                value = rest.pop(0)
            return _set(name, value, bus, persistence(context))
        else:
            print(f'Invalid combination of input arguments. Please run "nvidia-smi -h" for help.\n\n{word}')
            return 2
    if query is not None:
        return _query(query, query_fields(context), layout)
    if apps is not None:
        names = [n.strip() for n in apps.split(",")]
        bad = [n for n in names if n not in COMPUTE_FIELDS]
        if bad:
            print(f'Field "{bad[0]}" is not a valid field to query.\n')
            return 2
        rows = []
        for process in compute_processes(context):
            if process["type"] == "C":
                values = {
                    "pid": str(process["pid"]),
                    "process_name": str(process["name"]),
                    "gpu_uuid": uuid(context),
                    "used_gpu_memory [MiB]": f"{process['mib']} MiB",
                    "gpu_name": "NVIDIA GB10",
                    "gpu_bus_id": bus,
                    "timestamp": time.strftime("%Y/%m/%d %H:%M:%S.000"),
                }
                rows.append([values[COMPUTE_FIELDS[n]] for n in names])
        sys.stdout.write(_csv(names, [COMPUTE_FIELDS[n] for n in names], rows, layout))
        return 0
    sys.stdout.write(table(context))
    return 0


def _query(query: str, fields: dict[str, str], layout: str) -> int:
    names = [n.strip() for n in query.split(",")]
    bad = [n for n in names if n not in fields]
    if bad:
        print(f'Field "{bad[0]}" is not a valid field to query.\n')
        return 2
    headers = [_header({"gpu_name": "name", "gpu_uuid": "uuid", "gpu_bus_id": "pci.bus_id"}.get(n, n)) for n in names]
    sys.stdout.write(_csv(names, headers, [[fields[n] for n in names]], layout))
    return 0


def _set(option: str, value: str, bus: str, persistent: bool) -> int:
    if option in ("-pl", "-ac"):
        what = "power management limit" if option == "-pl" else "applications clocks"
        print(f"Changing {what} is not supported for GPU: {bus}.\nTreating as warning and moving on.\nAll done.")
        return 0
    if not common.is_root():
        what = "persistence mode" if option in ("-pm", "--persistence-mode") else "clocks"
        print(f"The current user does not have permission to change {what} for GPU {bus}.\nTerminating early due to previous errors.")
        return 4
    if option in ("-pm", "--persistence-mode"):
        wanted = value in ("1", "ENABLED")
        state = "already " if wanted == persistent else ""
        print(f"Persistence mode is {state}{'Enabled' if wanted else 'Disabled'} for GPU {bus}.\nAll done.")
    elif option in ("-rgc", "--reset-gpu-clocks"):
        print(f"All done.\nGPU clocks reset for GPU {bus}.")
    else:
        low, _, high = value.partition(",")
        print(f'GPU clocks set to "(gpuClkMin {low}, gpuClkMax {high or low})" for GPU {bus}\nAll done.')
    return 0


def modinfo(argv: list[str]) -> int:
    """modinfo of the graphics modules; of any other module the real one answers."""
    field, kernel, names = None, None, []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word in ("-F", "--field"):
            field = rest.pop(0)
        elif word.startswith("--field="):
            field = word.partition("=")[2]
        elif word in ("-k", "--set-version"):
            kernel = rest.pop(0)
        elif word == "-n":
            field = "filename"
        elif word.startswith("-F"):
            field = word[2:]
        else:
            names.append(word)
    if not names or names[0] not in ("nvidia", "nvidia_uvm", "nvidia_drm", "nvidia_modeset", "nvidia-uvm", "mlx5_core"):
        if (common.REAL / "modinfo").exists():
            common.real("modinfo", argv)
        print(f"modinfo: ERROR: Module {names[0] if names else ''} not found.", file=sys.stderr)
        return 1
    context = common.context()
    driver = context.desk.driver()
    kernel = kernel or context.desk.kernel
    name = names[0]
    if name == "mlx5_core":
        facts = {
            "filename": f"/lib/modules/{kernel}/kernel/drivers/net/ethernet/mellanox/mlx5/core/mlx5_core.ko.zst",
            "license": "Dual BSD/GPL",
            "vermagic": f"{kernel} SMP preempt mod_unload modversions aarch64",
        }
    else:
        on_disk = list(Path(f"/lib/modules/{kernel}/kernel").glob("nvidia-*/nvidia.ko*")) if RUN_DIR.exists() else [None]
        if not on_disk or context.desk.fault("driver_missing") is not None:
            print(f"modinfo: ERROR: Module {name} not found.", file=sys.stderr)
            return 1
        branch = context.desk.model["driver"].get("branch", 580)
        kind = "-open" if driver.open else ""
        facts = {
            "filename": f"/lib/modules/{kernel}/kernel/nvidia-{branch}{kind}/{name.replace('_', '-')}.ko",
            "firmware": f"nvidia/{driver.user_version}/gsp_ga10x.bin",
            "version": str(driver.user_version),
            "supported": "external",
            "license": "Dual MIT/GPL" if driver.open else "NVIDIA",
            "srcversion": hashlib.sha256(f"{driver.user_version}{kernel}".encode()).hexdigest()[:23].upper(),
            "depends": "",
            "name": name.replace("-", "_"),
            "vermagic": f"{kernel} SMP preempt mod_unload modversions aarch64",
        }
    if field is not None:
        if field in facts:
            print(facts[field])
        return 0
    for key, value in facts.items():
        print(f"{key + ':':<16}{value}")
    return 0


def lsmod(_argv: list[str]) -> int:
    """Loaded modules that matter here."""
    context = common.context()
    print("Module                  Size  Used by")
    rows = []
    if context.desk.driver().module_version:
        rows += [
            ("nvidia_uvm", 1900544, "4"),
            ("nvidia_drm", 135168, "11"),
            ("nvidia_modeset", 1957888, "12 nvidia_drm"),
            ("nvidia", 14675968, "183 nvidia_uvm,nvidia_modeset"),
        ]
    rows += [
        ("mlx5_ib", 524288, "0"),
        ("ib_uverbs", 217088, "1 mlx5_ib"),
        ("ib_core", 577536, "2 ib_uverbs,mlx5_ib"),
        ("mlx5_core", 2879488, "1 mlx5_ib"),
        ("r8127", 131072, "0"),
        ("mt7925e", 28672, "0"),
    ]
    for name, size, used in rows:
        print(f"{name:<19} {size:>8}  {used}")
    return 0


def nvcc(argv: list[str]) -> int:
    """The compiler's version; it compiles nothing here."""
    if "--version" not in argv and "-V" not in argv:
        print("nvcc fatal   : No input files specified; use option --help for more information", file=sys.stderr)
        return 1
    print(
        "nvcc: NVIDIA (R) Cuda compiler driver\nCopyright (c) 2005-2025 NVIDIA Corporation\n"
        "Built on Wed_Aug_20_01:57:39_PM_PDT_2025\nCuda compilation tools, release 13.0, V13.0.88\n"
        "Build cuda_13.0.r13.0/compiler.36424714_0"
    )
    return 0


def nvidia_ctk(argv: list[str]) -> int:
    """The container toolkit's version and its list of CDI devices."""
    context = common.context()
    version = str(context.desk.model.get("packages", {}).get("nvidia-container-toolkit", "1.19.0-1")).split("-")[0]
    if argv[:1] in (["--version"], ["-v"]):
        print(f"NVIDIA Container Toolkit CLI version {version}\ncommit: {hashlib.sha256(version.encode()).hexdigest()[:8]}")
        return 0
    if argv[:2] == ["cdi", "list"]:
        print('time="' + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) + '" level=info msg="Found 3 CDI devices"', file=sys.stderr)
        print(f"nvidia.com/gpu=0\nnvidia.com/gpu={uuid(context)}\nnvidia.com/gpu=all")
        return 0
    print(f"{os.path.basename(sys.argv[0])}: No help topic for '{' '.join(argv)}'", file=sys.stderr)
    return 3
