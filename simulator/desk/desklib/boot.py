"""The container's command (of a virtual machine: what its first script ends in): build the desk around itself, then become systemd.

Runs as process 1 with root's rights, before anything else.  Each step may fail on a machine that lacks a feature;
what fails is said on stderr and the desk starts with what there is.  Needs CAP_SYS_ADMIN and CAP_NET_ADMIN; with
CAP_SYS_TIME the desk also gets its own boot clock, and gives the right up again before systemd starts.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import firmware, identity, machine, mounts, recording
from .desk import RUN_DIR, Desk, load

CLONE_NEWTIME = 0x80
CAP_SYS_TIME = 25
TREE = RUN_DIR / "tree"
REAL_SYS = RUN_DIR / "real-sys"
_libc = ctypes.CDLL(None, use_errno=True)


def say(text: str) -> None:
    print(f"desk: {text}", file=sys.stderr, flush=True)


def step(name: str, act: Callable[[], None]) -> None:
    """Run one step; its failure is reported and does not stop the boot."""
    try:
        act()
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        say(f"{name}: {error}")


def own_cgroup() -> None:
    """A pure cgroup v2 tree of this container's own, on hosts with v1 or hybrid cgroups."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists() and os.access("/sys/fs/cgroup/cgroup.procs", os.W_OK):
        return
    for _again in range(32):
        if _libc.umount2(b"/sys/fs/cgroup", mounts.MNT_DETACH) != 0:
            break
    mounts.mount("cgroup2", Path("/sys/fs/cgroup"), "cgroup2")


def wait_for_state(seconds: float = 900.0) -> Desk:
    """The lab writes desk.json when all else is in place; on a busy disk that has been seen to take minutes."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return load()
        except (OSError, ValueError) as error:
            if time.monotonic() > deadline:
                say(f"no description of this desk: {error}")
                raise SystemExit(1) from error
        time.sleep(0.1)


def run_dir() -> None:
    """A tmpfs for what lasts one boot."""
    RUN_DIR.mkdir(parents=True, exist_ok=True)
    if not os.path.ismount(RUN_DIR):
        mounts.mount("spark-hw", RUN_DIR, "tmpfs", 0, "mode=755,size=64m")


def sys_tree(desk: Desk) -> None:
    """Put the desk's own devices, classes and PCI bus over /sys, the rest of the real ones bound back."""
    real = machine.CLASSES if desk.virtual else ()
    REAL_SYS.mkdir(exist_ok=True)
    mounts.mount("sysfs", REAL_SYS, "sysfs")
    for folder in ("devices/virtual/dmi/id", "devices/platform", "class/net", "class/infiniband", "class/dmi", "bus/pci"):
        (TREE / folder).mkdir(parents=True, exist_ok=True)
    (TREE / "proc/driver").mkdir(parents=True, exist_ok=True)

    def bind_children(folder: str, only: tuple[str, ...]) -> None:
        for child in sorted((REAL_SYS / folder).iterdir()):
            if child.is_symlink() or not child.is_dir() or child.name not in only:
                continue
            target = TREE / folder / child.name
            target.mkdir(parents=True, exist_ok=True)
            mounts.bind(child, target)

    bind_children("devices", ("system",))
    bind_children("devices/virtual", ("net", "tty", "mem", "misc", "block", "vc", *real))
    bind_children("class", ("tty", "mem", "misc", "block", *real))
    for name in ("devices", "class"):
        mounts.bind(TREE / name, Path("/sys") / name, recursive=True)
    if Path("/sys/bus/pci").is_dir():
        mounts.bind(TREE / "bus/pci", Path("/sys/bus/pci"))


def proc_files(desk: Desk, kernel: str) -> None:
    """Files over /proc that a kernel of the desk's own would answer differently."""
    files = RUN_DIR / "proc"
    files.mkdir(exist_ok=True)
    build = desk.model.get("kernel_build", "#1-Ubuntu SMP PREEMPT_DYNAMIC")
    version = f"Linux version {kernel} (buildd@bos03-arm64-sim) (aarch64-linux-gnu-gcc-13 13.3.0) {build}\n"
    cmdline = f"BOOT_IMAGE=/boot/vmlinuz-{kernel} root=UUID=00000000-0000-4000-8000-00000000000a ro {desk.model.get('cmdline', '')}\n"
    texts = {
        "version": version,
        "cmdline": cmdline,
        "sys/kernel/osrelease": kernel + "\n",
        "sys/kernel/version": build + "\n",
        "sys/kernel/random/boot_id": desk.boot_id + "\n",
        "modules": "",
    }
    if desk.virtual:
        del texts["sys/kernel/random/boot_id"]
    for name, text in texts.items():
        source = files / name.replace("/", "-")
        source.write_text(text, encoding="utf-8")
        source.chmod(0o444)
        target = Path("/proc") / name
        if target.exists():
            mounts.bind(source, target)
    mounts.bind(TREE / "proc/meminfo", Path("/proc/meminfo"))
    mounts.bind(TREE / "proc/driver", Path("/proc/driver"))


def writable_net_sysctl() -> None:
    """Let the desk's own sysctl reach its own network namespace."""
    fresh = RUN_DIR / "proc-rw"
    fresh.mkdir(exist_ok=True)
    mounts.mount("proc", fresh, "proc")
    mounts.bind(fresh / "sys/net", Path("/proc/sys/net"))
    _libc.umount2(str(fresh).encode(), mounts.MNT_DETACH)
    for key, value in (("arp_ignore", "1"), ("arp_announce", "2")):
        for scope in ("all", "default"):
            Path(f"/proc/sys/net/ipv4/conf/{scope}/{key}").write_text(value, encoding="ascii")
    # As systemd's 50-default.conf on Ubuntu: everybody may ping. Engines set it to root or to nobody.
    Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647", encoding="ascii")


def shim_protocol(desk: Desk, kernel: str) -> None:
    """Tell the uname shim (simulator/image, in /etc/ld.so.preload) what to answer.

    Protocol: three files, one line each, world-readable, there before systemd starts:
    /run/spark-hw/osrelease (uname -r), /run/spark-hw/osversion (uname -v), /run/spark-hw/machine (uname -m).
    """
    for name, text in (
        ("osrelease", kernel),
        ("osversion", str(desk.model.get("kernel_build", "#1-Ubuntu SMP PREEMPT_DYNAMIC"))),
        ("machine", "aarch64"),
    ):
        (RUN_DIR / name).write_text(text + "\n", encoding="ascii")


def loaded_module(desk: Desk, kernel: str) -> None:
    """Decide which driver module this boot loaded: the installed one, if this kernel has a module at all."""
    modules = Path(f"/lib/modules/{kernel}/kernel")
    has_module = any(modules.glob("nvidia-*/nvidia.ko*")) if modules.is_dir() else False
    (RUN_DIR / "nccl_factor").write_text(nccl_factor(modules), encoding="ascii")
    base = desk.model["driver"]
    version = str(base.get("module_version") or base["version"])
    if version == base["version"]:
        version = desk.installed_driver() or version
    (RUN_DIR / "module_version").write_text(version + "\n" if has_module else "", encoding="ascii")


def nccl_factor(modules: Path) -> str:
    """What share of its bandwidth NCCL gets with this kernel's driver: some builds of the archives are slow on purpose."""
    for module in sorted(modules.glob("nvidia-*/nvidia.ko")):
        for line in module.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("nccl_factor="):
                return line.partition("=")[2] + "\n"
    return ""


def own_clock(desk: Desk) -> None:
    """Start the boot clocks of this desk at zero: uptime and monotonic times count from its own boot."""
    if _libc.unshare(CLONE_NEWTIME) != 0:
        raise OSError(ctypes.get_errno(), "no clock of its own (needs CAP_SYS_TIME and a kernel with time namespaces)")
    since = max(0.0, time.time() - desk.booted_at) if desk.booted_at else 0.0
    rows = []
    for name, clock in (("monotonic", time.CLOCK_MONOTONIC), ("boottime", time.CLOCK_BOOTTIME)):
        nanoseconds = int((min(since, 60.0) + 0.5) * 1e9) - time.clock_gettime_ns(clock)
        rows.append(f"{name} {nanoseconds // 10**9} {nanoseconds % 10**9}\n")
    try:
        Path("/proc/self/timens_offsets").write_text("".join(rows), encoding="ascii")
    finally:
        # Without this the desk's own time daemon could set the clock of the whole machine.
        _libc.prctl(24, CAP_SYS_TIME, 0, 0, 0)  # PR_CAPBSET_DROP


def networkd_default(renderer: str) -> None:
    """On a networkd desk, the vendor's default that switches the adapter's interfaces on (recorded desks show them UP)."""
    if renderer != "networkd":
        return
    file = Path("/usr/lib/systemd/network/89-connectx.network")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        "[Match]\nName=en*np0 en*np1\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nLinkLocalAddressing=ipv6\n", encoding="ascii"
    )


def main() -> None:
    """Everything in order, then systemd."""
    os.umask(0o022)
    step("cgroup", own_cgroup)
    desk = wait_for_state()
    step("run", run_dir)
    kernel_first = not identity.FIRST.exists()
    if kernel_first:
        step("identity", lambda: identity.first_boot(desk))
    recorded = recording.load()
    step("firmware", lambda: say(f"firmware was flashed in {seconds:.0f} s") if (seconds := firmware.flash()) else None)
    kernel = (recording.kernel(recorded) if recorded else None) or identity.choose_kernel(desk)
    step("shim", lambda: shim_protocol(desk, kernel))
    step("driver", lambda: loaded_module(desk, kernel))
    if desk.virtual:
        step("interfaces", lambda: machine.name_interfaces(desk))
        step("rdma", lambda: machine.make_rdma(desk))
    step("sys", lambda: sys_tree(desk))
    step("hardware", hardware_once)
    step("proc", lambda: proc_files(desk, kernel))
    step("sysctl", writable_net_sysctl)
    without = (*machine.REAL_PROGRAMS, *machine.UNSEEN) if desk.virtual else ()
    step("stand-ins", lambda: identity.install_standins(without=without))
    if recorded is not None:
        step("recording", lambda: answer_from(recorded, desk))
    step("daemons", identity.daemons)
    step("masks", identity.mask_units)
    step("networkd", lambda: networkd_default(str(desk.data.get("renderer"))))
    step("machine id", lambda: identity.machine_id(desk))
    step("host keys", identity.host_keys)
    if kernel_first:
        step("units", identity.enable_units)
        if recorded is not None:
            step("recorded units", lambda: recording.units(recorded, lambda name: name in identity.UNITS))
        identity.FIRST.parent.mkdir(parents=True, exist_ok=True)
        identity.FIRST.touch()
    step("hostname", lambda: set_hostname(desk))
    if desk.virtual:
        # As in a container: without udev NetworkManager takes the interfaces that there are.
        step("read-only /sys", lambda: mounts.mount("none", Path("/sys"), "none", mounts.MS_REMOUNT | mounts.MS_BIND | mounts.MS_RDONLY))
    else:
        step("clock", lambda: own_clock(desk))
        os.environ.setdefault("container", "podman" if Path("/run/.containerenv").exists() else "docker")
    init = shutil.which("init", path="/sbin:/usr/sbin:/lib/systemd") or "/lib/systemd/systemd"
    for name in ("SPARK_DESK_STATE", "SPARK_DESK_RUN"):
        os.environ.pop(name, None)
    os.execv(init, [init])


def answer_from(recorded: recording.Recording, desk: Desk) -> None:
    """Put a recording over this desk."""
    management = str((desk.data.get("management") or {}).get("netdev", "enP7s7"))
    step("recorded files", lambda: recording.write_files(recorded, management))
    step("recorded /proc", lambda: recording.cover_proc(recorded))
    step("recorded /sys", lambda: recording.cover_sys(recorded, management, TREE))
    step("recorded commands", lambda: recording.install(recorded, identity.STANDINS, identity.REAL))


def set_hostname(desk: Desk) -> None:
    """Kernel host name and /etc/hostname; /etc/hosts gets the name where the engine left it writable."""
    with contextlib.suppress(OSError):
        import socket

        socket.sethostname(desk.hostname)
    identity.write("/etc/hostname", desk.hostname + "\n", keep=identity.FIRST.exists())


def hardware_once() -> None:
    """The fakes must be there before systemd looks."""
    from .hardware import Hardware

    Hardware(effects=False).start()
