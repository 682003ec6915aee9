# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known words of a run of nccl-tests that ended badly: what NCCL, the test, Open MPI, ssh and the loader say. Signs, not verdicts."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

SIGNS_LIMIT = 50

# Linux's numbers (NCCL prints either the number or its text), not those of the machine that reads.
ERRNO = {
    "operation not permitted": 1,
    "cannot allocate memory": 12,
    "permission denied": 13,
    "device or resource busy": 16,
    "no such device": 19,
    "invalid argument": 22,
    "no data available": 61,
    "network is unreachable": 101,
    "connection timed out": 110,
    "no route to host": 113,
}

_VERSIONS = re.compile(
    r"mismatched nccl version detected\D{0,12}rank\s{1,4}(\d{1,6})\s{1,4}version\s{1,4}(\d{4,6})"
    r"\D{1,16}(\d{1,6})\s{1,4}version\s{1,4}(\d{4,6})"
)
_MODIFY = re.compile(r"ibv_modify_qp(?:_\w{1,20})? failed with(?: error)? (?:(\d{1,4})\b)?\s{0,4}([a-z][a-z ]{2,40})?")
_DEVICE = re.compile(r"on dev ([A-Za-z0-9_.+-]{1,64})")
_INDEX = re.compile(r"(?:local )?gid index (\d{1,4})")
_GIDS = re.compile(r"remote gids?:? ([0-9a-f:.]{2,64})")
_STATUS = re.compile(
    r"ibv_wc_([a-z_]{3,32}_err|[a-z_]{3,32})|\bstatus=(\d{1,3})\b"
    r"|completion (?:from peer \S{1,80} )?(?:with|status)(?: error)?[ =](\d{1,3})\b"
)
_PEER = re.compile(r"(?:from|to|peer) ((?:\d{1,3}\.){3}\d{1,3}|\[?[0-9a-f:]{3,45}\]?)<\d{1,5}>")
_SIGNAL = re.compile(
    r"(?:exited on|terminated with|died with) signal (\d{1,3})|^\s{0,8}signal (\d{1,3}) \(|\bsignal: [a-z ]{3,40} \((\d{1,3})\)"
)
"""Open MPI 5 breaks its line before "signal 9 (Killed)."."""
_NOT_FOUND = re.compile(r"^(?:/\S{0,32}/)?(?:da)?sh: (?:line )?\d{1,4}: (?:eval: )?\S{1,200}: not found")
"""A program that a plain /bin/sh did not find; what pair-ssh sends there goes through an eval."""
_NODE = re.compile(r"on node (\S{1,253})")
_LIBRARY = re.compile(r"\b(lib[\w.+-]{1,60}\.so(?:\.\d{1,4}){0,3}): cannot open shared object file")

WC_STATUS = {
    "LOC_LEN_ERR": 1,
    "LOC_QP_OP_ERR": 2,
    "LOC_PROT_ERR": 4,
    "WR_FLUSH_ERR": 5,
    "BAD_RESP_ERR": 7,
    "LOC_ACCESS_ERR": 8,
    "REM_INV_REQ_ERR": 9,
    "REM_ACCESS_ERR": 10,
    "REM_OP_ERR": 11,
    "RETRY_EXC_ERR": 12,
    "RNR_RETRY_EXC_ERR": 13,
}
"""Completion status of libibverbs by name (enum ibv_wc_status)."""

_WC_NAME = {number: name for name, number in WC_STATUS.items()}

_NOT_REGISTERED = re.compile(
    r"ibv_reg_(?:dmabuf_)?mr\w{0,10} failed with (?:error |\d{1,4} )?"
    r"(?:bad address|invalid argument|operation not supported|protocol not supported)"
)
"""A rank's memory was refused, and not for want of it."""

# Sign and the texts that make it, in small letters. NCCL's INFO lines are never looked at: a healthy run says "cannot open shared object
# file: No such file or directory" in them for every plugin that is not there.
_TEXTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("gpu_shared", ("duplicate gpu detected", "using the same gpu/partition", "multiple ranks are using the same gpu")),
    ("truncated", ("message truncated", "collective mismatch error")),
    ("oom_killer", ("out of memory: kill", "oom-kill", "killed process", "oom killer", "out-of-memory killer", "oom_reaper: reaped")),
    (
        "gpu_memory",
        (
            "out of memory",
            "cuda_error_out_of_memory",
            "cuda failure 2 ",
            "cuda failure 'out of memory'",
            "'out of memory'",
            "cudaerrormemoryallocation",
            "out of memory (2)",
        ),
    ),
    ("registration", ("ibv_reg_mr", "cannot allocate memory", "enomem", "errno 12", "error 12")),
    (
        "cuda_build",
        (
            "cuda driver version is insufficient",
            "unsupported toolchain",
            "no kernel image is available",
            "device kernel image is invalid",
            "named symbol not found",
            "invalid device function",
        ),
    ),
    (
        "other_libcuda",
        ("driver is a stub library", "forward compatibility was attempted", "unsupported display driver / cuda driver combination"),
    ),
    ("no_gpu", ("invalid number of gpus", "no cuda-capable device")),
    ("gpu_busy", ("device(s) is/are busy or unavailable",)),
    (
        "cuda",
        (
            "test cuda failure",
            "cuda failure",
            "unhandled cuda error",
            "cuda_error_",
            "nvmlinit",
        ),
    ),
    (
        "no_device",
        (
            "network ib not found",
            "no ib devices found",
            "no net device found",
            "could not find any net",
            "net/ib : no device found",
            "net/ib : unable to open device",
            "failed to initialize any net plugin",
            "failed to initialize net plugin",
        ),
    ),
    (
        "interface",
        (
            "none of the networks specified",
            "none of the tcp networks specified",
            "no socket interface found",
            "no socket interface matching",
            "no usable listening interface found",
            "no interface found in the same subnet",
            "invalid value was given for btl_tcp_if",
            "could not find an interface for",
            "no interfaces were found",
            "unknown interface name",
            "no network interfaces were found for out-of-band",
            "were unable to find any usable",
            "no usable transports/devices",
        ),
    ),
    (
        "docker0",
        (
            "accepted a tcp connection",
            "cannot find a corresponding process entry",
            "inbound mpi tcp connection request",
            "received unexpected process identifier",
        ),
    ),
    ("host_key", ("host key verification failed", "remote host identification has changed")),
    (
        "ssh",
        (
            "permission denied (publickey",
            "permission denied (password",
            "permission denied (keyboard",
            "permission denied (gssapi",
            "permission denied (hostbased",
            "ssh: connect to host",
            "ssh: could not resolve hostname",
            "connection closed by remote host",
            "kex_exchange_identification",
            "timed out during banner exchange",
            "unable to negotiate with",
            "password has expired",
            "password change required",
            "account has expired",
            "account is currently not available",
            "not permitted to log in",
            "session open refused",
            "too many authentication failures",
            "bad owner or permissions on ",
            "bad configuration option: ",
        ),
    ),
    ("foreign_program", ("exec format error", "wrong elf class", "cannot execute binary file")),
    ("newer_system", ("version `glibc", "version `cxxabi", "version `gcc_")),
    (
        "library",
        ("error while loading shared libraries", "cannot open shared object file", "symbol lookup error", "' not found (required by"),
    ),
    ("no_space", ("no space left on device", "disk quota exceeded", "failed to extend /dev/shm")),
    ("shared_memory", ("shared memory segment",)),
    ("read_only", ("read-only file system",)),
    (
        "not_permitted",
        ("error:     permission denied", "error: permission denied", "mkdir: permission denied", "create directory: permission denied"),
    ),
    ("may_not_run", ("lacked permissions",)),
    (
        "program",
        (
            "could not access or execute",
            "unable to find the specified executable",
            "no such file or directory",
            "command not found",
            "unable to launch the specified application",
            "unknown command: ",
            "plm_rsh_agent: ",
        ),
    ),
    ("open_files", ("too many open files",)),
    ("as_root", ("detected an attempt to run as root",)),
    ("slots", ("not enough slots", "all nodes which are allocated for this job are already filled")),
    (
        "firewall",
        (
            "caused by a firewall",
            "firewall software",
            "unable to complete a tcp connection",
            "check that any firewall",
        ),
    ),
    ("mpi_versions", ("error_log: data unpack ",)),
    ("daemon_lost", ("has lost communication with a remote daemon", "does not know how to route a message")),
    (
        "daemon",
        (
            "unable to reliably start one or more daemons",
            "daemon has unexpectedly failed",
            "orte daemon",
            "prte daemon",
            "daemons/servers",
            "unable to start one or more daemons",
            "died unexpectedly",
        ),
    ),
    (
        "connection_lost",
        (
            "connection reset by peer",
            "connection closed by remote peer",
            "connection closed by peer",
            "remote process exited or there was a network error",
            "software caused connection abort",
            "broken pipe",
        ),
    ),
    ("gid_changed", ("gid table change",)),
    ("port_error", ("async event: port error", "async error event: port error", "got async event : port error", "port error(")),
    ("fatal_event", ("fatal async event", "async fatal event", "device fatal", "local catastrophic error", "got async event : device")),
)
_HARMLESS = re.compile(
    r"\(ignored\)\s{0,8}$|^libibverbs: warning: couldn't (?:load|open) |"
    r"^(?:-?[a-z]{2,5}: )?\S{0,200}(?:/\.(?:bash|z|t?csh|k?sh|profile|login)\w{0,12}|/etc/(?:profile|bash|zsh|csh)[\w./]{0,60}"
    r"|/profile\.d/[^\s:]{1,100}|/config\.fish)(?::| \()"
    r"|^(?!(?:orted|prted|mpirun)\b)[\w.+-]{1,100}: command not found\.\s{0,8}$"
    r"|error: ld\.so: object .{1,300} cannot be preloaded .{1,300}: ignored\.|: warning: setlocale: |^could not chdir to home directory "
)
"""What Open MPI and libibverbs say of parts that nobody needs, shells of lines in a start-up file (tcsh does not name the file), the loader
of LD_PRELOAD, bash of a language and sshd of a home that is not there; they go on without them."""
_NOT_FATAL = ("non-fatal async event",)
_SSH_CLOSED = re.compile(r"connection (?:closed|reset) by \S{1,80} port \d{1,5}$")
"""All that ssh itself says where the other side hangs up: its server's reason stands in lines before it, or nowhere."""
_SSH_ENDED = re.compile(
    r"connection to \S{1,80} (?:closed by remote host\.?|port \d{1,5} timed out)\s{0,8}$|timeout, server \S{1,80} not responding\."
)
"""What ssh says where a session that stood ends from the other side, as that of a desk that restarts or freezes does."""
_CONNECT = re.compile(
    r"(?:connect to|call to connect)\D{0,8}\S{1,80} (?:failed|returned)|connect(?:ion)? (?:to|from) \S{1,80} (?:failed|refused|timed out)"
    r"|: connect returned |failed to tcp connect|pml add procs failed|unable to reach each other|timeout waiting for connection"
)

_TORN = re.compile(r"call to (?:recv from|send to) \S{1,80} failed|\b(?:readv|writev|recv|send)(?:\([^)]{0,30}\))? failed: ")
"""A connection that stood and broke, whatever the reason is: the other side's silence comes as a time limit or as no route."""


def read(text: str) -> list[dict[str, Any]]:
    """The signs of a text, in order, each line once; lines of NCCL's INFO level are left out. See ``of_line``."""
    found: list[dict[str, Any]] = []
    for line in _text.lines(text):
        if " NCCL INFO " not in line and len(found) < SIGNS_LIMIT:
            found += [sign for sign in of_line(line) if sign not in found]
    return found


def of_line(line: str) -> list[dict[str, Any]]:
    """Signs in one line: dicts with ``sign``, ``line`` and, where the line tells them, errno, device,
    gid_index, remote_gid, status (name of the work completion), status_code, versions (rank to version), node, signal, peer, library
    (one that is missing).

    Signs: versions, gpu_shared, truncated, gpu_memory, registration, unfit_memory, cuda_build, other_libcuda, no_gpu, gpu_busy, cuda,
    no_device, interface, docker0, host_key, ssh, foreign_program, newer_system, library, no_space, shared_memory, read_only, not_permitted,
    may_not_run, open_files, program, as_root, slots, firewall, mpi_versions, daemon_lost, daemon, oom_killer, other_cpu, killed, crashed,
    modify_qp, completion, connect_failed, connection_lost, gid_changed, port_error, fatal_event.
    """
    low = line.lower()
    if _HARMLESS.search(low):
        return []
    more: dict[str, Any] = {"line": _text.word(line, 400)}
    peer = _PEER.search(low)
    if peer:
        more["peer"] = peer.group(1)
    found: list[dict[str, Any]] = []
    versions = _VERSIONS.search(low)
    if versions:
        pairs = ((versions.group(1), versions.group(2)), (versions.group(3), versions.group(4)))
        return [{"sign": "versions", **more, "versions": {rank: version_of(int(code)) for rank, code in pairs}}]
    if "mismatched nccl version" in low:
        return [{"sign": "versions", **more, "versions": {}}]
    if _NOT_REGISTERED.search(low):
        return [{"sign": "unfit_memory", **more}]
    modify = _MODIFY.search(low)
    if modify:
        return [{"sign": "modify_qp", **more, **_queue_pair(line, low, modify)}]
    completion = _completion(low)
    if completion is not None:
        return [{"sign": "completion", **more, **completion}]
    signal = _SIGNAL.search(low)
    if signal:
        number = int(next(item for item in signal.groups() if item))
        node = _NODE.search(line)
        return [
            {
                "sign": {4: "other_cpu", 9: "killed", 15: "killed"}.get(number, "crashed"),
                **more,
                "signal": number,
                "node": node.group(1).strip(".,") if node else None,
            }
        ]
    for sign, texts in _TEXTS:
        if any(text in low for text in texts) and not (sign == "fatal_event" and any(text in low for text in _NOT_FATAL)):
            library = _LIBRARY.search(line) if sign == "library" else None
            found.append({"sign": sign, **more, **({"library": library.group(1)} if library else {})})
            break
    if not found and _NOT_FOUND.search(low):
        found.append({"sign": "program", **more})
    if "segmentation fault" in low and not found:
        found.append({"sign": "crashed", **more, "signal": 11})
    if not found and _SSH_CLOSED.match(low):
        found.append({"sign": "ssh", **more})
    if not found and _SSH_ENDED.match(low):
        found.append({"sign": "daemon_lost", **more})
    if not found and _TORN.search(low):
        found.append({"sign": "connection_lost", **more})
    if not found and _CONNECT.search(low):
        found.append({"sign": "connect_failed", **more})
    return found


def version_of(code: int) -> str:
    """NCCL's version number (23102) as people write it (2.31.2); before 2.9 it had four digits (2804 is 2.8.4)."""
    if code >= 10000:
        return f"{code // 10000}.{code // 100 % 100}.{code % 100}"
    return f"{code // 1000}.{code // 100 % 10}.{code % 100}"


def _queue_pair(line: str, low: str, modify: re.Match[str]) -> dict[str, Any]:
    number = modify.group(1)
    words = (modify.group(2) or "").strip()
    errno = int(number) if number else next((code for text, code in ERRNO.items() if words.startswith(text)), None)
    device, index, remote = _DEVICE.search(line), _INDEX.search(low), _GIDS.search(low)
    return {
        "errno": errno,
        "text": words or None,
        "device": device.group(1) if device else None,
        "gid_index": int(index.group(1)) if index else None,
        "remote_gid": remote.group(1) if remote else None,
    }


def _completion(low: str) -> dict[str, Any] | None:
    if "transport retry counter exceeded" in low:
        return {"status": "RETRY_EXC_ERR", "status_code": 12}
    for match in _STATUS.finditer(low):
        name = match.group(1).upper() if match.group(1) else None
        number = match.group(2) or match.group(3)
        if name == "SUCCESS" or (name is not None and name not in WC_STATUS):
            continue
        if name is None and number is not None:
            name = _WC_NAME.get(int(number))
        if name is not None:
            return {"status": name, "status_code": WC_STATUS[name]}
    return None
