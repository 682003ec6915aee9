"""The door itself, against an ssh server in this process: keys before anything is sent, passwords only to the machine that showed them."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import paramiko
import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import ssh_door
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.ssh_door import AdminKey, Lost, Rejected, SshDoor, Unreachable
from house import PLAYBOOKS, load

USER, PASSWORD = "labadmin", "hunter2-Zebra"


def public(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


class Server(paramiko.ServerInterface):
    """Knows one user, notes what it was given, and answers a command with what it read."""

    def __init__(self, authorised: str | None, cuts: bool) -> None:
        self.authorised, self.cuts = authorised, cuts
        self.passwords: list[str] = []
        self.transport: paramiko.Transport | None = None
        self.signs: Callable[[bytes, bytes], bytes | None] = lambda _blob, _session: None

    def check_auth_password(self, username: str, password: str) -> int:
        self.passwords.append(password)
        if self.cuts and self.transport is not None:
            self.transport.close()
        return paramiko.AUTH_SUCCESSFUL if (username, password) == (USER, PASSWORD) else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL if username == USER and public(key) == self.authorised else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self.answer, args=(channel, command), daemon=True).start()
        return True

    def check_global_request(self, kind: str, msg: paramiko.Message) -> bool | tuple[bytes]:
        signed = self.signs(msg.get_binary(), self.transport.session_id) if kind == ssh_door.PROVE and self.transport else None
        return (signed,) if signed is not None else False

    def answer(self, channel: paramiko.Channel, command: bytes) -> None:
        read = bytearray()
        while data := channel.recv(65536):
            read += data
        if command == b"die" and self.transport is not None:
            self.transport.close()
            return
        channel.sendall(command + b"|" + bytes(read))
        channel.sendall_stderr(b"words")
        channel.send_exit_status(3)
        channel.close()


def signature(key: paramiko.PKey, blob: bytes, session: bytes) -> bytes:
    """As OpenSSH signs that it has a key."""
    text = paramiko.Message()
    for part in (ssh_door.PROVE, session, blob):
        text.add_string(part)
    made: bytes = key.sign_ssh_data(text.asbytes(), "rsa-sha2-512" if key.get_name() == "ssh-rsa" else key.get_name()).asbytes()
    return made


class Desk:
    """An ssh server on a port of this machine, with as many host keys as it is given."""

    def __init__(self, *keys: paramiko.PKey) -> None:
        self.keys = list(keys)
        self.authorised: str | None = None
        self.cuts = False
        self.signs = self.proves
        self.servers: list[Server] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                wire, _from = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.greet, args=(wire,), daemon=True).start()

    def proves(self, blob: bytes, session: bytes) -> bytes | None:
        """The signature of the host key that is asked for; null for one that it has not."""
        return next((signature(key, blob, session) for key in self.keys if key.asbytes() == blob), None)

    def greet(self, wire: socket.socket) -> None:
        transport, server = paramiko.Transport(wire), Server(self.authorised, self.cuts)
        server.transport, server.signs = transport, self.signs
        self.servers.append(server)
        for key in self.keys:
            transport.add_server_key(key)
        try:
            transport.start_server(server=server)
        except (paramiko.SSHException, EOFError, OSError):
            transport.close()

    @property
    def passwords(self) -> list[str]:
        return [password for server in self.servers for password in server.passwords]


KEY, ANOTHER = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()
RSA = paramiko.RSAKey.generate(2048)
NO_KEY = AdminKey("ssh-ed25519 Tk9LRVk= nobody")


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk(KEY, RSA)
    yield made
    made.listener.close()


@pytest.fixture
def door(desk: Desk) -> Iterator[SshDoor]:
    made = SshDoor("127.0.0.1", desk.port)
    yield made
    made.close()


def test_every_kind_of_host_key_is_read_and_nothing_is_sent(desk: Desk, door: SshDoor) -> None:
    assert door.host_keys() == (public(KEY), public(RSA)) and desk.passwords == []


def test_a_login_with_the_password_and_a_command(desk: Desk, door: SshDoor) -> None:
    assert door.login(USER, PASSWORD, NO_KEY, door.host_keys()) == "password"
    answer = door.run(["echo", "a b"], "typed\n")
    assert (answer.rc, answer.stdout, answer.stderr) == (3, "echo 'a b'|typed\n", "words")


def test_a_login_with_the_key_sends_no_password(desk: Desk, door: SshDoor, tmp_path: Path) -> None:
    mine = paramiko.ECDSAKey.generate()
    mine.write_private_key_file(str(tmp_path / "key"))
    desk.authorised = public(mine)
    assert door.login(USER, PASSWORD, AdminKey(public(mine), tmp_path / "key"), door.host_keys()) == "key" and desk.passwords == []


def test_a_key_that_does_not_fit_is_followed_by_the_password(desk: Desk, door: SshDoor, tmp_path: Path) -> None:
    mine = paramiko.ECDSAKey.generate()
    mine.write_private_key_file(str(tmp_path / "key"))
    assert door.login(USER, PASSWORD, AdminKey(public(mine), tmp_path / "key"), door.host_keys()) == "password"


def test_a_wrong_password_is_rejected(desk: Desk, door: SshDoor) -> None:
    with pytest.raises(Rejected):
        door.login(USER, "wrong", NO_KEY, door.host_keys())
    with pytest.raises(Rejected, match="no password"):
        door.login(USER, None, NO_KEY, door.host_keys())
    assert desk.passwords == ["wrong"]


def test_a_desk_that_cuts_the_login_off_has_refused_no_password(desk: Desk, door: SshDoor) -> None:
    desk.cuts = True
    with pytest.raises(Unreachable, match="connection closed"):
        door.login(USER, PASSWORD, NO_KEY, door.host_keys())


def test_no_password_goes_to_a_machine_with_another_key_than_was_shown(desk: Desk, door: SshDoor) -> None:
    shown = door.host_keys()
    desk.keys = [ANOTHER]
    with pytest.raises(Unreachable, match="has changed"):
        door.login(USER, PASSWORD, NO_KEY, shown)
    assert desk.passwords == []


def test_a_login_names_what_rsa_keys_are_proven_with_after_what_was_proven(
    desk: Desk, door: SshDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSH signs for an RSA key by SHA-1 where the client did not name another way, and that proves nothing any more."""
    named: list[str] = []
    opened = door._open
    monkeypatch.setattr(door, "_open", lambda algorithms: named.extend(algorithms) or opened(algorithms))
    door.login(USER, PASSWORD, NO_KEY, [public(KEY)])
    assert named == [*ssh_door.KEY_TYPES["ecdsa"], *ssh_door.KEY_TYPES["ssh-rsa"]]


def test_a_machine_has_the_keys_that_it_signs_for(desk: Desk, door: SshDoor) -> None:
    assert not door.has(public(KEY))
    door.login(USER, PASSWORD, NO_KEY, door.host_keys())
    assert door.host_key == public(KEY)
    assert door.has(public(KEY)) and door.has(public(RSA)) and not door.has(public(ANOTHER))
    assert door.run(["echo"]).rc == 3


@pytest.mark.parametrize(
    "signs",
    [
        lambda blob, session: signature(KEY, blob, session),
        lambda blob, session: signature(ANOTHER, blob, session[::-1]),
        lambda blob, session: b"",
        lambda blob, session: b"\xff" * 64,
        lambda blob, session: None,
    ],
    ids=["another key", "another connection", "nothing", "noise", "no"],
)
def test_a_machine_that_passes_a_key_on_does_not_have_it(desk: Desk, door: SshDoor, signs: Callable[[bytes, bytes], bytes | None]) -> None:
    desk.signs = signs
    door.login(USER, PASSWORD, NO_KEY, door.host_keys())
    assert not door.has(public(ANOTHER))


def test_a_machine_that_is_silent_about_a_key_holds_nobody_up(desk: Desk, door: SshDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    hung = threading.Event()
    desk.signs = lambda _blob, _session: bytes(hung.wait(20))
    door.login(USER, PASSWORD, NO_KEY, door.host_keys())
    monkeypatch.setattr(ssh_door, "CONNECT_SECONDS", 0.3)
    begun = time.monotonic()
    assert not door.has(public(ANOTHER)) and time.monotonic() - begun < 5
    hung.set()


def test_a_connection_that_ends_in_the_middle_is_lost(desk: Desk, door: SshDoor) -> None:
    door.login(USER, PASSWORD, NO_KEY, door.host_keys())
    with pytest.raises(Lost):
        door.run(["die"])
    with pytest.raises(Lost):
        SshDoor("127.0.0.1", desk.port).run(["true"])


class Endless:
    """A channel of a machine that never stops talking."""

    closed = False

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.settimeout = self.exec_command = self.sendall = lambda _given: None
        self.shutdown_write = self.exit_status_ready = lambda: False
        self.recv_ready = self.recv_stderr_ready = lambda: True

    def __enter__(self) -> Endless:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def recv(self, count: int) -> bytes:
        assert time.monotonic() - self.begun < 3.0, "it is read past its time limit"
        return b"x" * count

    recv_stderr = recv


def test_a_machine_that_never_stops_talking_is_left_at_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it was kept until there was a pause: whoever answers at a desk's address could fill the controller's memory."""
    door = SshDoor("192.0.2.1", 22)
    kept: list[int] = []
    drain = ssh_door._drain

    def seen(channel: object, out: bytearray, err: bytearray) -> bool:
        took = drain(channel, out, err)
        kept.append(len(out) + len(err))
        return took

    monkeypatch.setattr(ssh_door, "_drain", seen)
    door._transport = SimpleNamespace(open_session=lambda timeout: Endless(), is_active=lambda: True)
    with pytest.raises(Lost, match="no response within"):
        door.run(["true"], seconds=0.3)
    assert max(kept) <= 2 * ssh_door.OUTPUT_LIMIT


def test_nobody_listens(desk: Desk) -> None:
    desk.listener.close()
    with pytest.raises(Unreachable, match="Connection refused"):
        SshDoor("127.0.0.1", desk.port).host_keys()


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(Unreachable, match="could not resolve hostname"):
        SshDoor("no-such-desk.invalid", 22).host_keys()


def test_something_else_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            wire, _from = listener.accept()
            wire.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            wire.close()

        threads = [threading.Thread(target=hang_up, daemon=True) for _number in range(3)]
        for thread in threads:
            thread.start()
        with pytest.raises(Unreachable, match="key exchange"):
            SshDoor("127.0.0.1", listener.getsockname()[1]).host_keys()


@pytest.mark.parametrize("banner", [b"\x1b]52;c;aGk=\x07\r\n" * 200, b"SSH-1.0-\x1b[2Jold\r\n", b"SSH-2.0-x\r\n" + b"\x00" * 400])
def test_what_stands_at_the_address_writes_nothing_on_the_terminal(banner: bytes) -> None:
    """In a process of its own, as pytest catches logs: paramiko's went to standard error as they were."""
    script = f"""
import socket, sys, threading
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.ssh_door import SshDoor, Unreachable
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    while True:
        wire, _from = listener.accept()
        wire.sendall({banner!r})
        wire.recv(100)
        wire.close()
threading.Thread(target=serve, daemon=True).start()
try:
    SshDoor("127.0.0.1", listener.getsockname()[1]).host_keys()
except Unreachable:
    print("unreachable")
"""
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root / ".collections")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert (done.stdout, done.stderr) == ("unreachable\n", "")


def test_the_proof_of_a_login_keeps_a_part_of_what_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssh").write_text("#!/bin/sh\nyes >&2 & yes\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(ssh_door, "CONNECT_SECONDS", 0.2)
    tracemalloc.start()
    try:
        told = ssh_door.prove("192.0.2.1", 22, USER, tmp_path / "known_hosts", NO_KEY)
        assert told == "ssh gave no answer within 1 s" and tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


# ---- what is forwarded -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["playbooks", "proof"])
def test_nothing_of_the_controllers_is_forwarded_whatever_its_own_configuration_says(
    of: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root of a desk that has the admin's agent logs in to every other desk."""
    own = tmp_path / "config"
    own.write_text("Host *\n  ForwardAgent yes\n  ForwardX11 yes\n  RemoteForward 9999 localhost:22\n", encoding="utf-8")
    if of == "playbooks":
        given = shlex.split(load(PLAYBOOKS / "group_vars/all.yml")["ansible_ssh_args"])
    else:
        asked: list[list[str]] = []
        monkeypatch.setattr(ssh_door.process, "run", lambda argv, limit: asked.append(list(argv)) or Answer(tuple(argv), 0))
        assert ssh_door.prove("192.0.2.7", 22, "lab", tmp_path / "known_hosts", AdminKey("ssh-ed25519 AAAA")) is None
        given = asked[0][1 : asked[0].index("--")]
    said = subprocess.run(["ssh", "-F", str(own), *given, "-G", "desk-01"], capture_output=True, text=True, check=True).stdout
    told = dict(line.partition(" ")[::2] for line in said.splitlines())
    assert [told.get(name) for name in ("forwardagent", "forwardx11", "clearallforwardings")] == ["no", "no", "yes"]
