# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First contact with a desk over ssh, with paramiko: the host key is handed to the caller before anything is sent, and passwords
go over standard input only."""

from __future__ import annotations

import base64
import contextlib
import logging
import shlex
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..module_utils.desk import TIMEOUT
from . import secret_shapes
from .known_hosts import for_ssh
from .workload import process

KEY_TYPES = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Kinds of host keys to the algorithms that ask for them."""

QUIET = "labops_dgx_spark_ssh"
"""Logger that says nothing."""
logging.getLogger(QUIET).addHandler(logging.NullHandler())
logging.getLogger(QUIET).propagate = False

PROVE = "hostkeys-prove-00@openssh.com"
"""How OpenSSH's own client asks a server to sign for its other host keys (PROTOCOL, 2.5)."""

CONNECT_SECONDS = 10.0
OUTPUT_LIMIT = 1024 * 1024


class Unreachable(Exception):
    """No connection; the text tells refused, timed out, no route and unknown name apart."""


class Rejected(Exception):
    """The desk answered and refused the login."""


class Lost(Exception):
    """The connection ended in the middle, as when a desk starts again."""


@dataclass(frozen=True)
class AdminKey:
    """The key that later logins use."""

    public: str
    """As in the .pub file: type, base64, comment."""
    private: Path | None = None


@dataclass(frozen=True)
class Answer:
    """What a command on the desk gave."""

    rc: int
    stdout: str
    stderr: str


class Door(Protocol):
    """One way to one desk."""

    host_key: str | None
    """The host key of the machine that the last login reached; null before."""

    def host_keys(self) -> tuple[str, ...]:
        """All host keys that the desk shows (``type base64``), the preferred one first. Raises Unreachable."""

    def login(self, user: str, password: str | None, key: AdminKey, host_keys: Sequence[str]) -> str:
        """Log in to the machine that has one of these host keys; ``key`` or ``password``, whichever worked.

        Raises Unreachable, Rejected.
        """

    def has(self, host_key: str) -> bool:
        """Whether the machine behind the open connection itself has this host key, which it may have shown for another one."""

    def run(self, argv: Sequence[str], stdin: str = "", seconds: float = 60.0) -> Answer:
        """Run a command. Raises Lost."""

    def close(self) -> None:
        """End the connection."""


class SshDoor:
    """See `Door`."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self.host_key: str | None = None
        self._transport: Any = None

    def _open(self, algorithms: Sequence[str] | None = None) -> Any:
        import paramiko

        try:
            wire = socket.create_connection((self.address, self.port), timeout=CONNECT_SECONDS)
        except socket.gaierror as error:
            raise Unreachable(f"could not resolve hostname {self.address}: {error.strerror}") from None
        except TimeoutError:
            raise Unreachable(f"connect to {self.address} port {self.port}: Connection timed out") from None
        except OSError as error:
            raise Unreachable(f"connect to {self.address} port {self.port}: {error.strerror or error}") from None
        transport = paramiko.Transport(wire)
        # Its log would repeat what the other side said, as it is, on the terminal; all of it that matters is in the errors raised here.
        transport.set_log_channel(QUIET)
        if algorithms:
            transport.get_security_options().key_types = tuple(algorithms)
        try:
            transport.start_client(timeout=CONNECT_SECONDS)
        except (paramiko.SSHException, EOFError, OSError) as error:
            transport.close()
            raise Unreachable(f"connection closed by {self.address} port {self.port} during the key exchange: {error}") from None
        return transport

    def host_keys(self) -> tuple[str, ...]:
        """See `Door`. One handshake for each kind of key; a kind that the desk has not is left out."""
        found: list[str] = []
        failure: Unreachable | None = None
        for algorithms in KEY_TYPES.values():
            try:
                transport = self._open(algorithms)
            except Unreachable as error:
                failure = failure or error
                if "key exchange" not in str(error):
                    raise
                continue
            found.append(_public(transport))
            transport.close()
        if not found:
            raise failure or Unreachable(f"{self.address} presents no host key")
        return tuple(found)

    def login(self, user: str, password: str | None, key: AdminKey, host_keys: Sequence[str]) -> str:
        """See `Door`."""
        import paramiko

        self.close()
        wanted = _algorithms(host_keys)
        # Last, and for `has` alone: a server signs with an RSA key by SHA-1, which nobody takes any more, where these are not named.
        transport = self._open((*wanted, *(item for item in KEY_TYPES["ssh-rsa"] if item not in wanted)))
        if _public(transport) not in host_keys:
            transport.close()
            raise Unreachable(f"remote host identification has changed at {self.address} between two connections")
        self._transport, self.host_key = transport, _public(transport)
        try:
            for private in _keys(key):
                try:
                    transport.auth_publickey(user, private)
                except paramiko.BadAuthenticationType:
                    break
                except paramiko.AuthenticationException:
                    continue
                return "key"
            if password is not None:
                transport.auth_password(user, password)
                return "password"
        except paramiko.AuthenticationException:
            if transport.is_active():
                raise Rejected(f"permission denied for {user}") from None
            raise Unreachable(f"connection closed by {self.address} port {self.port} during the login of {user}") from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise Unreachable(f"connection closed by {self.address} port {self.port} during the login of {user}: {error}") from None
        raise Rejected(f"permission denied for {user}: no key matches and no password was given")

    def has(self, host_key: str) -> bool:
        """See `Door`. What is signed names this very connection, so nobody can have it signed elsewhere."""
        import paramiko

        transport = self._transport
        if transport is None or host_key == self.host_key:
            return transport is not None
        kind, blob = host_key.split()[0], base64.b64decode(host_key.split()[1])
        # paramiko waits for ever.
        late = threading.Timer(CONNECT_SECONDS, transport.close)
        late.start()
        try:
            answer = transport.global_request(PROVE, (blob,))
            if answer is None:
                return False
            signed = paramiko.Message()
            for part in (PROVE, transport.session_id, blob):
                signed.add_string(part)
            key = paramiko.PKey.from_type_string(kind, blob)
            return bool(key.verify_ssh_sig(signed.asbytes(), paramiko.Message(answer.get_binary())))
        except (paramiko.SSHException, EOFError, OSError, ValueError, TypeError):
            return False
        finally:
            late.cancel()

    def run(self, argv: Sequence[str], stdin: str = "", seconds: float = 60.0) -> Answer:
        """See `Door`."""
        import paramiko

        if self._transport is None:
            raise Lost("there is no connection")
        deadline = time.monotonic() + seconds
        try:
            with self._transport.open_session(timeout=CONNECT_SECONDS) as channel:
                channel.settimeout(1.0)
                # ssh carries one string to the desk's shell; shlex quotes each word of it.
                channel.exec_command(shlex.join(argv))
                channel.sendall(stdin.encode())
                channel.shutdown_write()
                out, err = bytearray(), bytearray()
                while not (channel.exit_status_ready() and not channel.recv_ready() and not channel.recv_stderr_ready()):
                    if time.monotonic() > deadline:
                        raise Lost(f"no response within {seconds:.0f} s")
                    took = _drain(channel, out, err)
                    if not took:
                        if channel.closed or not self._transport.is_active():
                            break
                        time.sleep(0.02)
                while _drain(channel, out, err) and time.monotonic() < deadline:
                    pass
                status = channel.recv_exit_status() if channel.exit_status_ready() else -1
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise Lost(str(error) or type(error).__name__) from None
        if status < 0:
            raise Lost("the connection ended before the command did")
        return Answer(status, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))

    def close(self) -> None:
        """See `Door`."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None


def _drain(channel: Any, out: bytearray, err: bytearray) -> bool:
    """Take what there is, in one portion: a desk that goes on for ever must neither fill the memory nor outlast the time limit."""
    took = False
    if channel.recv_ready():
        out += channel.recv(65536)
        took = True
    if channel.recv_stderr_ready():
        err += channel.recv_stderr(65536)
        took = True
    del out[OUTPUT_LIMIT:], err[OUTPUT_LIMIT:]
    return took


def _public(transport: Any) -> str:
    key = transport.get_remote_server_key()
    return f"{key.get_name()} {key.get_base64()}"


def _algorithms(host_keys: Sequence[str]) -> list[str]:
    kinds = [key.split()[0] for key in host_keys]
    return [name for kind in kinds for name in (KEY_TYPES["ecdsa"] if kind.startswith("ecdsa") else KEY_TYPES.get(kind, (kind,)))]


def _keys(key: AdminKey) -> list[Any]:
    """The admin's private key: from its file, else (it has a passphrase) from an agent. No other key is offered: sshd counts tries."""
    import paramiko

    if key.private is not None and key.private.exists():
        with contextlib.suppress(paramiko.SSHException, OSError, ValueError, TypeError):
            return [paramiko.PKey.from_path(key.private)]
    with contextlib.suppress(paramiko.SSHException, OSError):
        return [item for item in paramiko.Agent().get_keys() if item.get_base64() == key.public.split()[1]]
    return []


def prove(address: str, port: int, user: str, known_hosts: Path, key: AdminKey) -> str | None:
    """Log in once with OpenSSH as every later playbook does: new connection, key only, checked host key. Null when it works."""
    command = ["ssh", "-o", "BatchMode=yes", "-o", "PreferredAuthentications=publickey", "-o", "ControlMaster=no", "-o", "ControlPath=none"]
    command += [
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        f"UserKnownHostsFile={for_ssh(known_hosts)}",
        "-o",
        "GlobalKnownHostsFile=/dev/null",
    ]
    # The admin's own configuration may forward the agent to every machine: root of a desk that has it logs in to all others.
    command += ["-o", "ForwardAgent=no", "-o", "ForwardX11=no", "-o", "ClearAllForwardings=yes"]
    command += ["-o", "UpdateHostKeys=no", "-o", f"ConnectTimeout={CONNECT_SECONDS:.0f}", "-p", str(port)]
    if key.private is not None and key.private.exists():
        command += ["-i", str(key.private.absolute()), "-o", "IdentitiesOnly=yes"]
    command += ["--", f"{user}@{address}", "true"]
    # What the desk's login prints may have no end; this keeps a part of it.
    done = process.run(command, 3 * CONNECT_SECONDS)
    if done.error == TIMEOUT:
        return f"ssh gave no answer within {3 * CONNECT_SECONDS:.0f} s"
    if done.rc is None:
        return f"ssh cannot be run on the controller: {done.error}"
    return None if done.rc == 0 else " ".join(secret_shapes.cut(done.stderr).split())[-300:] or f"ssh ended with {done.rc}"
