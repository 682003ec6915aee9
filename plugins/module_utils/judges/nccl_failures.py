# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a run of nccl-tests ended badly: the signs in its output, told apart into causes with a remedy of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..model import mpi_guard
from .rdma import WAITING


@dataclass(frozen=True)
class Cause:
    """A cause as findings tell it."""

    code: str
    name: str
    """Stable word for the evidence."""
    words: str
    remedy: str | None = None
    """Null: the code's own."""


LOCK_LIKE = "Make the desks equal (stack_pair.yml installs one NCCL bundle on every desk of the run) and run again."

REBUILD = (
    "Build the bundle on a desk {} (nccl_bundle_builder: its name), with no nccl_bundle_archive and no bundle of before in "
    "nccl_bundle_cache on the controller, then run stack_pair.yml again."
)

LAUNCH: tuple[tuple[tuple[str, ...], Cause], ...] = (
    (
        ("docker0",),
        Cause(
            "NCCL_LAUNCH_FAILED", "docker0",
            "an address that both desks have (a container bridge: docker0 trap), or that the other desk does not know (a VPN), got in "
            "Open MPI's way",
            "Let MPI use the fabric network only (OMPI_MCA_btl_tcp_if_include of pair.env), and find out which file in /etc/openmpi or "
            "environment variable of the login user says otherwise.",
        ),
    ),
    (
        ("host_key", "ssh"),
        Cause(
            "NCCL_LAUNCH_FAILED", "ssh", "mpirun's ssh to the peer failed",
            "Log in from the head to the peer as the login user with pair-ssh; run stack_pair.yml again (its pair_trust role renews the "
            "keys).",
        ),
    ),
    (
        ("foreign_program",),
        Cause(
            "NCCL_LAUNCH_FAILED", "foreign_program", "a program or library is made for another processor than the desk's (aarch64)",
            "Find which file it is (file PATH; uname -m). Of the bundle: build it on a desk (nccl_bundle_archive too) and run "
            "stack_pair.yml again; of a package: sudo apt-get install --reinstall PACKAGE.",
        ),
    ),
    (
        ("newer_system",),
        Cause(
            "NCCL_LAUNCH_FAILED", "newer_system", "the test was built on a newer system than a desk has (its C library is older)",
            "Compare the desks' systems (cat /etc/dgx-release /etc/os-release). " + REBUILD.format("with the oldest one"),
        ),
    ),
    (
        ("library",),
        Cause(
            "NCCL_LAUNCH_FAILED", "library", "a shared library of the test is missing or does not fit",
            "Run stack_pair.yml again (its roles pair_tools and nccl_bundle); the library's name is in the evidence. If it is there, "
            "another version is found before it: look at LD_LIBRARY_PATH in the login user's profile and at ldconfig -p.",
        ),
    ),
    (
        ("no_space",),
        Cause(
            "NCCL_LAUNCH_FAILED", "no_space", "a folder of Open MPI could not be written: no space is left on the desk",
            "Free space (and inodes: df -h /tmp; df -i /tmp) on the desk that the evidence names and run again.",
        ),
    ),
    (
        ("read_only",),
        Cause(
            "NCCL_LAUNCH_FAILED", "read_only", "a folder of Open MPI could not be written: the file system is read-only",
            "Find out from the kernel log why the file system became read-only (journalctl -k), then run again.",
        ),
    ),
    (
        ("not_permitted",),
        Cause(
            "NCCL_LAUNCH_FAILED", "not_permitted", "a folder of Open MPI could not be written: the login user has no permission",
            "Check who owns the folder in the evidence (ls -ld) and remove what another user's run left there, then run again.",
        ),
    ),
    (
        ("open_files",),
        Cause(
            "NCCL_LAUNCH_FAILED", "open_files", "a process could not open one more file or connection",
            "Raise the limit on open files of the login user (nofile in /etc/security/limits.d), log in again, then run again.",
        ),
    ),
    (
        ("interface",),
        Cause(
            "NCCL_LAUNCH_FAILED", "interface", "no interface of a desk is in the network that MPI or NCCL was told to use",
            "Compare the value in the evidence with the addresses of both desks (ip -br addr): the address is gone, or /etc/nccl.conf, "
            "~/.nccl.conf or an Open MPI parameter file names another network.",
        ),
    ),
    (
        ("firewall",),
        Cause(
            "NCCL_LAUNCH_FAILED", "firewall", "a TCP connection between the ranks was blocked, as a firewall does",
            "Let the pair_trust role open the pair's fabric interfaces (pair_trust_open_firewall: true, the default) and look for other "
            "rules (nft list ruleset) on the desk that the evidence names as the remote host.",
        ),
    ),
    (
        ("daemon_lost",),
        Cause(
            "NCCL_LAUNCH_FAILED", "daemon_lost", "Open MPI lost the connection to its daemon on another desk",
            "Check whether the named desk restarted, ran out of memory or lost its network (journalctl -b), then run again.",
        ),
    ),
    (
        ("may_not_run",),
        Cause(
            "NCCL_LAUNCH_FAILED", "may_not_run", "the login user may not run a program of the test on a desk",
            "On that desk, namei -l PATH shows each folder above the program in the evidence: all must be open to all (sudo chmod o+x "
            "FOLDER), and findmnt -no OPTIONS -T PATH must not say noexec. If that has to stay so, give the bundle another folder "
            "(nccl_bundle_folder).",
        ),
    ),
    (
        ("mpi_ports",),
        Cause(
            "NCCL_LAUNCH_FAILED", "mpi_ports", "other programs have the TCP ports that Open MPI uses in a measurement",
            f"sudo ss -ltnp 'sport >= :{mpi_guard.DAEMONS[0]} and sport <= :{mpi_guard.RANKS[-1]}' on that desk shows "
            "them; end them, or have them listen elsewhere.",
        ),
    ),
    (
        ("program",),
        Cause(
            "NCCL_LAUNCH_FAILED", "program", "a program was not found on a desk, or may not be executed",
            "Run stack_pair.yml again (its roles pair_tools and nccl_bundle); the program's name is in the evidence.",
        ),
    ),
    (
        ("connect_failed",),
        Cause(
            "NCCL_LAUNCH_FAILED", "connect_failed", "a process of the test could not connect to the other desk",
            "Look at the fabric addresses of both desks (ping the one that the evidence names) and at their packet filters (nft list "
            "ruleset); the pair_trust role opens the pair's fabric interfaces (pair_trust_open_firewall: true, the default).",
        ),
    ),
    (
        ("as_root",),
        Cause(
            "NCCL_LAUNCH_FAILED", "as_root", "mpirun does not run as root, and root is the login user",
            "Let Ansible log in as a user who may use sudo (ansible_user in the inventory), then run stack_pair.yml again.",
        ),
    ),
    (
        ("slots",),
        Cause(
            "NCCL_LAUNCH_FAILED", "slots", "mpirun was given too few slots",
            "Look for an Open MPI hostfile or parameter of the login user that limits slots, then run again.",
        ),
    ),
    (
        ("mpi_versions",),
        Cause(
            "NCCL_LAUNCH_FAILED", "mpi_versions", "Open MPI on two desks does not understand each other: their versions differ",
            "Compare them (mpirun --version on the head, pair-ssh PEER mpirun --version), bring openmpi-bin to one version on every desk "
            "(sudo apt-get install openmpi-bin) and look for another mpirun or orted in the PATH of the login user, then run again.",
        ),
    ),
    (
        ("daemon",),
        Cause(
            "NCCL_LAUNCH_FAILED", "daemon", "Open MPI's daemon on the peer did not start",
            "The same Open MPI must be installed on every desk and available to a login without a terminal: run pair-ssh PEER mpirun "
            "--version on the head.",
        ),
    ),
)  # fmt: skip
"""Causes that keep ranks from starting, the most telling first."""

ONE_NAME = Cause(
    "NCCL_LAUNCH_FAILED", "host_name", "mpirun waited for a daemon until the time limit, and two desks have one host name, by which Open "
    "MPI 5 tells its daemons apart",
    "Give each desk a host name of its own (hostnamectl set-hostname NAME on the desk), then run again.",
)  # fmt: skip
"""Seen with Open MPI 5.0; 4.1, which DGX OS has, starts nevertheless."""

PATH_ERRNO = (110, 113)
"""ETIMEDOUT, EHOSTUNREACH: nothing answers at the other end of that path (users: no path or wrong wiring)."""

GID_ERRNO = (22, 61, 101)
"""EINVAL, ENODATA, ENETUNREACH: the GID index names no usable entry (users: a pinned or stale index)."""

DEVICE_ERRNO = (5, 6, 19)

GPU_DIRECT = (
    "GPUDirect RDMA does not exist on this machine: take NCCL_NET_GDR_LEVEL, NCCL_NET_GDR_C2C and NCCL_DMABUF_ENABLE out of "
    "/etc/nccl.conf, ~/.nccl.conf and the login user's environment on both desks."
)

COMPLETIONS: dict[str, Cause] = {
    "RETRY_EXC_ERR": Cause("NCCL_RETRY_EXCEEDED", "retry", "a send gave up (IBV_WC_RETRY_EXC_ERR)"),
    "RNR_RETRY_EXC_ERR": Cause(
        "NCCL_RETRY_EXCEEDED", "receiver_not_ready", "a send gave up because the receiver was not ready (IBV_WC_RNR_RETRY_EXC_ERR)",
        "The other rank stopped receiving: look at its lines first, then measure again.",
    ),
    "REM_ACCESS_ERR": Cause(
        "NCCL_INCOMPLETE", "remote_access", "the other rank refused the access to its memory (IBV_WC_REM_ACCESS_ERR)",
        "The other rank was gone or had registered different memory: look at its lines first. If both are clean, compare driver, kernel "
        "and NCCL on the desks.",
    ),
    "LOC_PROT_ERR": Cause(
        "NCCL_INCOMPLETE", "local_protection", "a rank's own memory was not registered as the adapter needs it (IBV_WC_LOC_PROT_ERR)",
        "Compare driver, kernel and NCCL on the desks. " + GPU_DIRECT,
    ),
    "WR_FLUSH_ERR": Cause(
        "NCCL_CONNECTION_LOST", "flushed", "pending transfers were discarded because their connection had failed (IBV_WC_WR_FLUSH_ERR)",
    ),
}  # fmt: skip


def _later(name: str, code: str = "NCCL_INCOMPLETE") -> Cause:
    """A cause of a failed launch that may also show when the ranks have started."""
    return replace(next(cause for _signs, cause in LAUNCH if cause.name == name), code=code)


AFTER_START: dict[str, Cause] = {
    "gpu_shared": Cause("NCCL_GPU_SHARED", "gpu_shared", "two ranks were given one GPU"),
    "truncated": Cause(
        "NCCL_INCOMPLETE", "truncated", "the ranks sent each other messages of different sizes",
        "The ranks do not run the same program, NCCL or settings: compare /etc/nccl.conf, ~/.nccl.conf and the NCCL_ "
        "variables on the desks. " + LOCK_LIKE,
    ),
    "no_device": Cause(
        "NCCL_INCOMPLETE", "no_device", "a rank saw no RDMA device",
        "Look for the devices as the login user (ibv_devinfo, /dev/infiniband), then check NCCL_IB_HCA in /etc/nccl.conf and ~/.nccl.conf.",
    ),
    "unfit_memory": Cause(
        "NCCL_INCOMPLETE", "unfit_memory", "the adapter refused a rank's memory, and not for want of it",
        GPU_DIRECT + " Then run again. If nothing sets them, compare driver, kernel and NCCL on the desks.",
    ),
    "interface": _later("interface"),
    "docker0": _later("docker0"),
    "newer_system": _later("newer_system"),
    "other_cpu": Cause(
        "NCCL_INCOMPLETE", "other_cpu", "a rank met an instruction that the desk's processor does not know: it was built for another one",
        REBUILD.format("of this stack"),
    ),
    "open_files": _later("open_files"),
    "no_space": Cause(
        "NCCL_INCOMPLETE", "no_space", "no space was left on a desk",
        "Free space on the desk that the evidence names (df -h /tmp /dev/shm) and run again.",
    ),
    "firewall": _later("firewall"),
    "cuda_build": Cause(
        "NCCL_INCOMPLETE", "cuda_build", "the test was built for another GPU, or for a newer CUDA than the desk's driver has",
        "nvidia-smi shows the driver's CUDA version. Build the bundle with a toolkit of that version or an older one "
        "(nccl_bundle_cuda_home) and for sm_121 (nccl_bundle_gencode, the default), or give one built so (nccl_bundle_archive), and run "
        "stack_pair.yml again.",
    ),
    "other_libcuda": Cause(
        "NCCL_INCOMPLETE", "other_libcuda", "a rank loaded a libcuda.so that does not belong to the desk's driver",
        "On the desk that the evidence names, find what leads there: ldconfig -p | grep libcuda, grep -rE 'stubs|compat' /etc/ld.so.conf.d "
        "and LD_LIBRARY_PATH in the login user's profile. Take the CUDA toolkit's stubs and compat folders out of it (sudo ldconfig), then "
        "run again. After an upgrade of the driver, restart the desk.",
    ),
    "no_gpu": Cause(
        "NCCL_INCOMPLETE", "no_gpu", "a rank saw no GPU",
        "On the desk that the evidence names, run nvidia-smi -L as the login user, and look for CUDA_VISIBLE_DEVICES in /etc/environment, "
        "/etc/profile.d and that user's profile; see the driver and GPU findings of that desk. Then run again.",
    ),
    "gpu_busy": Cause(
        "NCCL_INCOMPLETE", "gpu_busy", "a rank was not let onto the GPU: another program has it alone, or its compute mode admits none",
        "On the desk that the evidence names: nvidia-smi -q -d COMPUTE shows the mode (sudo nvidia-smi -c DEFAULT sets the usual one), "
        "nvidia-smi who uses the GPU. Then run again.",
    ),
    "shared_memory": Cause(
        "NCCL_INCOMPLETE", "shared_memory", "a rank could not use the desk's shared memory (/dev/shm)",
        "On the desk that the evidence names: ls -ld /dev/shm must show drwxrwxrwt and root (sudo chmod 1777 /dev/shm), df /dev/shm room. "
        "Remove what an earlier run left there, then run again.",
    ),
    "cuda": Cause(
        "NCCL_INCOMPLETE", "cuda", "CUDA failed in a rank",
        "Look at the driver and GPU findings of that desk and at the NVRM lines in its kernel log (journalctl -k), then run again.",
    ),
    "fatal_event": Cause(
        "NCCL_INCOMPLETE", "device_gone", "the adapter reported a fatal event",
        "Look at the PCIe and mlx5 lines in the kernel log (journalctl -k), restart the desk, then measure again.",
    ),
    "oom_killer": Cause(
        "NCCL_INCOMPLETE", "oom_killer", "the kernel's out-of-memory killer killed a process",
        "Free memory on that desk or choose a smaller maximum size (pair_proof_nccl_max_bytes), then run again.",
    ),
}  # fmt: skip
"""Causes in the middle of a run, the most telling first; consequences of a lost rank come last, see ``CONSEQUENCES``."""

CONSEQUENCES: dict[str, Cause] = {
    "crashed": Cause(
        "NCCL_INCOMPLETE", "crashed", "a rank crashed",
        "Compare driver and NCCL on the desks, then look for NVRM and segfault lines in the desk's kernel log (journalctl -k).",
    ),
    "killed": Cause(
        "NCCL_INCOMPLETE", "killed", "a rank was killed from outside",
        "Find out who ended it from the journal of the desk that the evidence names (journalctl -b), then run again.",
    ),
    "connect_failed": Cause(
        "NCCL_CONNECTION_LOST", "connect_failed", "a rank could not connect to the other",
        "See whether the address in the evidence answers (ping) and whether a packet filter of either desk blocks it (nft list ruleset; "
        "NCCL's ranks also meet over the management network). If neither, the rank on the other desk had ended: the journal there says why "
        "(journalctl -b). Then run again.",
    ),
    "daemon_lost": _later("daemon_lost", "NCCL_CONNECTION_LOST"),
    "connection_lost": Cause("NCCL_CONNECTION_LOST", "connection_lost", "the connection between the ranks broke"),
    "port_error": Cause("NCCL_CONNECTION_LOST", "port_error", "a function's port went down during the run"),
    "gid_changed": Cause("NCCL_CONNECTION_LOST", "gid_changed", "the GID table of a function changed during the run"),
}  # fmt: skip
"""What is often only the echo of something else, such as of being ended at the time limit."""


def launch_cause(signs: Sequence[Mapping[str, Any]]) -> tuple[Cause, Mapping[str, Any]] | None:
    """Why the ranks did not start, with the sign that tells it; null when nothing known was said."""
    for names, cause in LAUNCH:
        for sign in signs:
            if sign["sign"] in names:
                return _closed(_missing(cause, sign), sign), sign
    return None


SSH_WORDS = (
    ("kex_exchange_identification", "closed"),
    ("connection refused", "refused"),
    ("no route to host", "no_route"),
    ("connection timed out", "timed_out"),
)
"""What ssh says where it gets to no login, so that no key is the cause, to the words for it."""


def _closed(cause: Cause, sign: Mapping[str, Any]) -> Cause:
    """The cause, with what keeps ssh from a login: keys made anew would change nothing."""
    line = str(sign.get("line") or "").lower()
    kind = next((kind for text, kind in SSH_WORDS if text in line), None) if cause.name == "ssh" else None
    if kind is None:
        return cause
    remedy = "The measurement's own login worked just before, so the keys are right: look at what the message names, then run again."
    return replace(cause, words=f"mpirun's ssh: {WAITING[kind]}", remedy=remedy)


MISSING = {
    "libcudart.so": "The CUDA runtime is part of no bundle: on the desk where ldconfig -p | grep libcudart does not show it, install the "
    "package that the other desk has (dpkg -l 'cuda-cudart-*'; such as sudo apt-get install cuda-cudart-13-0), then run again.",
    "libcuda.so": "It comes with the driver: see the driver findings of the desk where ldconfig -p | grep libcuda.so does not show it "
    "(playbooks/audit.yml).",
}
"""Libraries of the test that neither the bundle nor the tools bring, and how they come back."""


def _missing(cause: Cause, sign: Mapping[str, Any]) -> Cause:
    """The cause, with the library that the loader did not find."""
    name = sign.get("library")
    if not isinstance(name, str):
        return cause
    own = next((remedy for start, remedy in MISSING.items() if name.startswith(start)), cause.remedy)
    return replace(cause, words=f"{name}, a shared library of the test, is missing", remedy=own)


def run_cause(signs: Sequence[Mapping[str, Any]]) -> tuple[Cause, Mapping[str, Any]] | None:
    """Why a run whose ranks had started ended, with its sign; null without a sign that is a cause."""
    queue_pair = next((sign for sign in signs if sign["sign"] == "modify_qp"), None)
    if queue_pair is not None:
        return _queue_pair(queue_pair), queue_pair
    completions = [sign for sign in signs if sign["sign"] == "completion" and sign.get("status") in COMPLETIONS]
    for status, cause in COMPLETIONS.items():
        for sign in completions:
            if sign["status"] == status:
                return cause, sign
    for sign in signs:
        if sign["sign"] == "completion" and sign.get("status"):
            return _transfer(str(sign["status"])), sign
    for name, cause in AFTER_START.items():
        for sign in signs:
            if sign["sign"] == name:
                return cause, sign
    return None


def _transfer(status: str) -> Cause:
    """A completion status without a known story of its own."""
    return Cause(
        "NCCL_INCOMPLETE", status.lower().removesuffix("_err"), f"a transfer failed (IBV_WC_{status})",
        "Look at the mlx5 lines in the kernel logs of both desks (journalctl -k) and compare their driver, kernel and NCCL, then measure "
        "again.",
    )  # fmt: skip


def consequence(signs: Sequence[Mapping[str, Any]]) -> tuple[Cause, Mapping[str, Any]] | None:
    """What was said when nothing told the cause itself."""
    for name, cause in CONSEQUENCES.items():
        for sign in signs:
            if sign["sign"] == name:
                return cause, sign
    return None


def _queue_pair(sign: Mapping[str, Any]) -> Cause:
    errno = sign.get("errno")
    place = f" on {sign['device']}" if sign.get("device") else ""
    said = f"ibv_modify_qp failed{place} with {errno if errno is not None else sign.get('text') or 'an error'}"
    if errno in PATH_ERRNO:
        return Cause("NCCL_PATH_BROKEN", "no_path", f"{said}: nothing answers at the other end of that path")
    if errno in GID_ERRNO:
        index = f" {sign['gid_index']}" if sign.get("gid_index") is not None else ""
        return Cause("NCCL_GID_WRONG", "gid_index", f"{said}: GID index{index} has no usable address")
    if errno in DEVICE_ERRNO:
        return Cause(
            "NCCL_INCOMPLETE", "device_gone", f"{said}: the RDMA device is gone",
            "Check whether the plug was moved or the adapter was powered off (kernel log: cx7-pcie-hotplug, mlx5_core); restart both desks "
            "with the cable in, then measure again.",
        )  # fmt: skip
    return Cause(
        "NCCL_INCOMPLETE", "queue_pair", f"{said}: a queue pair could not be created",
        "Look at the RDMA findings and at the mlx5 lines in the kernel logs of both desks (journalctl -k), then measure again.",
    )  # fmt: skip
