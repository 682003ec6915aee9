# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement runs on each of the two desks: a small server that starts programs, answers questions and cleans up.

It is sent as source over a pipe (ssh to the peer, a transient unit on the head), reads JSON lines on stdin, writes frames (see
`frame_head`) on stdout, and
keeps the promise that nothing outlives a measurement. When its input ends (the head or the controller died), when nothing is heard
any more (the cable was pulled), when its time is up or when it is told to stop, it ends every process group that it started and
every process that carries the measurement's mark in its environment (ranks that mpirun started), by process id. Names of
programs are never used to end anything.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..desk import LiveDesk, command_environment
from ..programs import lease

MARK = "DGX_SPARK_MEASUREMENT"
"""Environment variable that marks every process of a measurement with the measurement's token."""

JOB_OUTPUT_LIMIT = 8 * 1024 * 1024
"""Bytes kept of each output of a job; nccl-tests with NCCL_DEBUG=INFO writes less than 1 MiB."""

SILENCE = 30.0
"""Seconds without a sign of life from the other end after which the agent ends everything: a pulled cable closes no connection."""

GRACE = 2.0
"""Seconds between the polite and the final signal."""


def frame_head(token: str) -> bytes:
    """What every frame begins with. The token is random: nothing that a login prints can be taken for a frame."""
    return f"dgx_spark_frame {token} ".encode()


class Job:
    """One program that the agent started, in a session of its own."""

    def __init__(self, argv: list[str], environment: Mapping[str, str], timeout: float, cwd: str | None) -> None:
        self.argv = argv
        self.error: str | None = None
        self.begun = time.monotonic()
        self.ended: float | None = None
        self._kept: dict[str, list[bytes]] = {"out": [], "err": []}
        # It runs by itself, without Ansible, so there is no run_command here.
        self.process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=cwd,
            start_new_session=True,
        )
        # Read at once: the limits of a process that fails at once are gone when it is reaped.
        self.limits = LiveDesk().read_text(f"/proc/{self.process.pid}/limits").text
        self._drains = [
            threading.Thread(target=self._drain, args=(stream, name), daemon=True)
            for stream, name in ((self.process.stdout, "out"), (self.process.stderr, "err"))
        ]
        for thread in self._drains:
            thread.start()
        self._timer = threading.Timer(timeout, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _drain(self, stream: Any, name: str) -> None:
        size = 0
        while True:
            chunk = stream.read1(65536)
            if not chunk:
                return
            size += len(chunk)
            if size <= JOB_OUTPUT_LIMIT:
                self._kept[name].append(chunk)
            else:
                self.error = self.error or "too_large"

    def _expire(self) -> None:
        self.error = "timeout"
        self.end()

    def end(self) -> None:
        """End the job's process group, politely first."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE)

    def wait(self, patience: float) -> bool:
        """Whether the job has ended, after at most ``patience`` seconds."""
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            return False
        self._timer.cancel()
        if self.ended is None:
            self.ended = time.monotonic()
            for thread in self._drains:
                thread.join(GRACE)
            # A child that kept the pipe open would outlive its leader.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        return True

    def answer(self) -> dict[str, Any]:
        """What the job gave so far."""
        return {
            "argv": self.argv,
            "rc": self.process.returncode if self.error != "timeout" else None,
            "stdout": b"".join(self._kept["out"]).decode("utf-8", "replace"),
            "stderr": b"".join(self._kept["err"]).decode("utf-8", "replace"),
            "error": self.error,
            "seconds": (self.ended or time.monotonic()) - self.begun,
            "ended": self.ended is not None,
        }


class Server:
    """Answers requests; see `handle`."""

    def __init__(self, token: str, run: Mapping[str, str] | None = None) -> None:
        self.token = token
        # The head's agent finds its own run's name taken by the module that started it.
        self.held = lease.take(run, "a measurement") if run else None
        self.desk = LiveDesk()
        self.jobs: dict[int, Job] = {}
        self.files: list[str] = []
        self.listeners: dict[int, socket.socket] = {}
        self.lock = threading.Lock()

    def handle(self, request: Mapping[str, Any]) -> Any:
        """The answer to one request."""
        operation = request["op"]
        if operation == "hello":
            return {
                "pid": os.getpid(),
                "uid": os.getuid(),
                "hostname": socket.gethostname(),
                "limits": self._own_limits(),
                "held": self.held,
            }
        if operation == "read_text":
            return self.desk.read_text(request["path"]).__dict__
        if operation == "read_texts":
            return [self.desk.read_text(path).__dict__ for path in request["paths"]]
        if operation == "list_dir":
            return self.desk.list_dir(request["path"]).__dict__
        if operation == "read_link":
            return self.desk.read_link(request["path"]).__dict__
        if operation == "run":
            environment = {**(request.get("env") or {}), MARK: self.token}
            return self.desk.run(request["argv"], timeout=request["timeout"], stdin=request.get("stdin"), env=environment).__dict__
        if operation in ("start", "wait", "stop"):
            return self._job(operation, request)
        if operation in ("listen", "unlisten", "connect"):
            return self._tcp(operation, request)
        if operation == "knock":
            return self._knock(request["source"], request["address"])
        if operation == "write_file":
            return self._write_file(request["path"], request["text"], int(request["mode"]))
        if operation == "remove_files":
            self.remove_files()
            return {}
        if operation == "marked":
            return {"pids": marked_processes(self.token)}
        if operation == "end_marked":
            return {"ended": end_marked(self.token)}
        raise ValueError(f"unknown request {operation!r}")

    @staticmethod
    def _own_limits() -> str | None:
        # The soft limit may be lower than what the login may use; what is started inherits the raised one.
        with contextlib.suppress(ValueError, OSError):
            _soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
        return LiveDesk().read_text("/proc/self/limits").text

    def _job(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "start":
            environment = command_environment({**(request.get("env") or {}), MARK: self.token})
            try:
                job = Job(list(request["argv"]), environment, float(request["timeout"]), request.get("cwd"))
            except OSError as error:
                reason = {FileNotFoundError: "missing", PermissionError: "denied"}.get(type(error), "unreadable")
                return {"error": reason, "text": str(error)}
            with self.lock:
                self.jobs[job.process.pid] = job
            return {"pid": job.process.pid, "limits": job.limits}
        job = self.jobs[int(request["pid"])]
        if operation == "stop":
            job.end()
            job.wait(GRACE)
        else:
            job.wait(float(request["seconds"]))
        return job.answer()

    def _tcp(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "listen":
            try:
                listener = socket.create_server((request["address"], int(request.get("port") or 0)), backlog=4)
            except OSError as error:
                return {"error": str(error)}
            port = int(listener.getsockname()[1])
            self.listeners[port] = listener
            return {"port": port}
        if operation == "unlisten":
            listener_of = self.listeners.pop(int(request["port"]), None)
            if listener_of is not None:
                listener_of.close()
            return {}
        try:
            socket.create_connection(
                (request["address"], int(request["port"])), timeout=float(request["timeout"]), source_address=(request["source"], 0)
            ).close()
        except OSError as error:
            return {"error": "timeout" if isinstance(error, TimeoutError) else type(error).__name__, "text": str(error)}
        return {}

    @staticmethod
    def _knock(source: str, address: str) -> dict[str, Any]:
        """Send one datagram to the discard port, so that the kernel asks who has the address; needs no privilege, unlike ping."""
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as knocker:
                knocker.bind((source, 0))
                knocker.sendto(b"", (address, 9))
        except OSError as error:
            return {"error": str(error)}
        return {}

    def _write_file(self, path: str, text: str, mode: int) -> dict[str, Any]:
        folder = os.path.dirname(path)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        about = os.lstat(folder)
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
            # Somebody else who made it first could put a program of their own in place of ours.
            raise PermissionError(f"{folder} is not a folder of this user alone")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        with self.lock:
            self.files.append(path)
        return {"path": path}

    def remove_files(self) -> None:
        """Remove what was written for the measurement, and its folders with what mpirun left there."""
        for folder in {os.path.dirname(path) for path in self.files}:
            shutil.rmtree(folder, ignore_errors=True)
        self.files.clear()

    def clean_up(self) -> None:
        """End everything that was started for the measurement."""
        with self.lock:
            jobs = list(self.jobs.values())
        for job in jobs:
            if job.process.poll() is None:
                job.end()
        end_marked(self.token)
        self.remove_files()


def marked_processes(token: str) -> list[int]:
    """Process ids, other than this one's, whose environment carries the measurement's mark."""
    wanted = f"{MARK}={token}".encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            continue
    return found


def end_marked(token: str) -> list[int]:
    """End the processes that carry the mark; the ids of those that were there."""
    first = marked_processes(token)
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = marked_processes(token)
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        deadline = time.monotonic() + GRACE
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = marked_processes(token)
        if not left:
            break
    return first


def serve(token: str, limit: float, run: Mapping[str, str] | None = None) -> None:
    """Answer requests until the input ends, nothing is heard for SILENCE seconds, or ``limit`` seconds have passed."""
    server = Server(token, run)
    finish = threading.Lock()

    def leave(*_: Any) -> None:
        if not finish.acquire(blocking=False):
            return
        server.clean_up()
        os._exit(0)

    begun = time.monotonic()
    heard = [begun]

    def watch() -> None:
        while time.monotonic() < min(begun + limit, heard[0] + SILENCE):
            time.sleep(0.5)
        leave()

    threading.Thread(target=watch, daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=leave, daemon=False).start())
    writing = threading.Lock()

    def answer(request: Mapping[str, Any]) -> None:
        reply: dict[str, Any] = {"id": request.get("id")}
        try:
            reply["value"] = server.handle(request)
        except Exception as error:  # a request that fails must not end the measurement on this desk without a word
            reply["failure"] = f"{type(error).__name__}: {error}"
        # A line of its own, whatever a login left unfinished before it.
        data = b"\n" + frame_head(token) + (json.dumps(reply) + "\n").encode()
        with writing, contextlib.suppress(BrokenPipeError):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    # Each request in a thread of its own, so that the end of the input is seen while a program runs.
    for line in sys.stdin.buffer:
        heard[0] = time.monotonic()
        if line.strip():
            threading.Thread(target=answer, args=(json.loads(line),), daemon=True).start()
    leave()


def main(arguments: Sequence[str] = ()) -> int:
    """Serve as the first line of the input orders."""
    order = json.loads(sys.stdin.buffer.readline())
    serve(str(order["token"]), float(order["limit"]), order.get("run"))
    return 0
