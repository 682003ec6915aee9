"""The agent as a real process on this machine: what it answers, and that nothing outlives it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import common, side
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.agent import marked_processes
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.session import new_token, unit_name
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs import carrier
from login_shells import LOGIN_SHELLS


@pytest.fixture
def token() -> str:
    return new_token()


@pytest.fixture
def agent(token: str) -> Iterator[side.AgentSide]:
    opened = side.AgentSide("desk-01", [sys.executable, *carrier.argv()[1:]], token, 60.0)
    yield opened
    opened.close()


def gone(token: str, patience: float = 10.0) -> bool:
    """Whether no process carries the mark any more."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not marked_processes(token):
            return True
        time.sleep(0.1)
    return False


def test_it_answers_like_a_desk(agent: side.AgentSide) -> None:
    assert agent.run(["echo", "a b"]).stdout == "a b\n"
    assert agent.run(["no-such-program"]).error == "missing"
    assert agent.run(["sleep", "9"], timeout=0.3).error == "timeout"
    assert agent.read_text("/proc/self/limits").text
    assert [item.error for item in agent.read_texts(["/no/such/file", "/proc/uptime"])] == ["missing", None]


def test_a_program_runs_beside_questions(agent: side.AgentSide) -> None:
    started = agent.start(["sh", "-c", "sleep 1; echo done"], timeout=20)
    assert started.pid is not None and "Max locked memory" in (started.limits or "")
    assert agent.run(["echo", "meanwhile"]).ok
    answer = agent.wait(started.pid, 10)
    assert answer is not None and answer.stdout == "done\n"


LISTENER = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); time.sleep(60)"


@pytest.mark.parametrize(
    ("other", "ended", "told"), [(False, False, None), (True, False, "taken"), (True, True, "taken"), (False, True, "server")]
)
def test_a_server_is_ready_when_its_users_program_listens_and_it_still_runs(
    agent: side.AgentSide, other: bool, ended: bool, told: str | None
) -> None:
    with subprocess.Popen([sys.executable, "-c", LISTENER], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        port = int(program.stdout.readline())
        assert agent.hello["uid"] in common.listeners(agent)[port]
        # The listener is this test's; for another user's the agent is said to be somebody else's.
        agent.hello = {**agent.hello, "uid": os.getuid() + (1 if other else 0)}
        server = agent.start(["true"] if ended else ["sleep", "30"], timeout=30)
        assert server.pid is not None
        if ended:
            assert agent.wait(server.pid, 5.0) is not None
        assert common.wait_for_listener(agent, server.pid, port, 1.0) == told
        program.kill()


def test_a_program_is_ended_at_its_time_limit_with_its_children(agent: side.AgentSide, token: str) -> None:
    started = agent.start(["sh", "-c", "sleep 300 & echo begun; sleep 300"], timeout=1)
    assert started.pid is not None
    answer = agent.wait(started.pid, 15)
    assert answer is not None and (answer.error, answer.rc, answer.stdout) == ("timeout", None, "begun\n")
    assert gone(token)


def test_a_program_that_ignores_the_polite_signal_is_ended_too(agent: side.AgentSide, token: str) -> None:
    started = agent.start([sys.executable, "-c", "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(300)"], timeout=60)
    assert started.pid is not None
    time.sleep(0.5)
    agent.stop(started.pid)
    assert gone(token)


def test_what_left_its_process_group_is_found_by_its_mark(agent: side.AgentSide, token: str) -> None:
    started = agent.start(["sh", "-c", "setsid sleep 300 & sleep 0.2"], timeout=20)
    assert started.pid is not None
    agent.wait(started.pid, 10)
    assert len(marked_processes(token)) == 1
    assert len(agent.ask("end_marked")["ended"]) == 1
    assert gone(token)


def test_a_stranger_with_the_same_program_is_left_alone(agent: side.AgentSide, token: str) -> None:
    stranger = os.posix_spawnp("sleep", ["sleep", "300"], {"PATH": os.environ["PATH"]})
    try:
        agent.start(["sleep", "300"], timeout=60)
        agent.close()
        assert gone(token)
        os.kill(stranger, 0)
    finally:
        os.kill(stranger, signal.SIGKILL)
        os.waitpid(stranger, 0)


def test_nothing_is_left_when_the_head_dies(agent: side.AgentSide, token: str) -> None:
    agent.start(["sh", "-c", "setsid sleep 300 & sleep 300"], timeout=60)
    assert agent._process.stdin is not None
    agent._process.stdin.close()
    assert gone(token)
    assert agent._process.wait(10) == 0


def test_nothing_is_left_when_the_agent_is_told_to_end(agent: side.AgentSide, token: str) -> None:
    agent.start(["sleep", "300"], timeout=60)
    agent._process.send_signal(signal.SIGTERM)
    assert gone(token)


def test_the_agent_ends_at_its_own_limit(token: str) -> None:
    opened = side.AgentSide("desk-01", [sys.executable, *carrier.argv()[1:]], token, 2.0)
    try:
        opened.start(["sleep", "300"], timeout=60)
        assert gone(token, 15.0)
        assert opened._process.wait(15.0) == 0
        with pytest.raises(side.SideError):
            opened.run(["echo"])
    finally:
        opened.close()


def test_nothing_is_left_when_the_other_end_falls_silent(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """As after a pulled cable: the connection stays open and nothing comes any more."""
    monkeypatch.setattr(side, "HEARTBEAT", 3600.0)
    quick = side.program().replace("SILENCE = 30.0", "SILENCE = 2.0")
    monkeypatch.setattr(side, "program", lambda: quick)
    opened = side.AgentSide("desk-02", [sys.executable, *carrier.argv()[1:]], token, 600.0)
    try:
        opened.start(["sleep", "300"], timeout=600)
        assert gone(token, 15.0)
    finally:
        opened.close()


def test_signs_of_life_keep_a_long_measurement_alive(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setattr(side, "HEARTBEAT", 0.5)
    quick = side.program().replace("SILENCE = 30.0", "SILENCE = 2.0")
    monkeypatch.setattr(side, "program", lambda: quick)
    opened = side.AgentSide("desk-02", [sys.executable, *carrier.argv()[1:]], token, 600.0)
    try:
        assert opened.run(["sleep", "4"], timeout=20).ok
    finally:
        opened.close()


def test_files_of_a_measurement_are_removed_with_it(agent: side.AgentSide, token: str) -> None:
    path = f"/tmp/dgx-spark-test-{token}/pair.env"
    agent.ask("write_file", path=path, text="A=1\n", mode=0o600)
    assert oct(os.stat(path).st_mode & 0o777) == "0o600"
    with pytest.raises(side.SideError, match="FileExistsError"):
        agent.ask("write_file", path=path, text="A=2\n", mode=0o600)
    # A killed mpirun leaves its session's folders.
    os.makedirs(f"{os.path.dirname(path)}/ompi.desk.1000/pid.4242/0")
    agent.close()
    assert not os.path.exists(os.path.dirname(path))


@pytest.mark.parametrize("trap", ["folder", "open", "link"])
def test_nothing_is_written_into_a_folder_that_is_not_the_users_alone(agent: side.AgentSide, token: str, tmp_path: Path, trap: str) -> None:
    """Who makes it first could put a program in the place of the one that mpirun starts."""
    folder = Path(f"/tmp/dgx-spark-trap-{token}")
    if trap == "link":
        folder.symlink_to(tmp_path)
    else:
        folder.mkdir(0o777 if trap == "open" else 0o700)
        folder.chmod(0o777 if trap == "open" else 0o700)
    try:
        if trap == "folder":
            if os.geteuid() != 0:
                pytest.skip("only root can give a folder to somebody else")
            os.chown(folder, 65534, 65534)
        with pytest.raises(side.SideError, match="not a folder of this user alone"):
            agent.ask("write_file", path=f"{folder}/launch.py", text="x", mode=0o600)
        assert not list(tmp_path.iterdir())
    finally:
        folder.unlink() if trap == "link" else folder.rmdir()


def test_a_listener_shows_what_a_firewall_would_hide(agent: side.AgentSide) -> None:
    port = agent.ask("listen", address="127.0.0.1")["port"]
    call = {"address": "127.0.0.1", "port": port, "source": "127.0.0.1", "timeout": 2.0}
    assert agent.ask("connect", **call) == {}
    agent.ask("unlisten", port=port)
    assert agent.ask("connect", **call)["error"] == "ConnectionRefusedError"


def test_an_agent_that_cannot_be_started_is_a_clear_error(token: str) -> None:
    with pytest.raises(side.SideError, match="cannot be started"):
        side.AgentSide("desk-01", ["/no/such/program"], token, 5.0)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("lab@192.168.100.11: Permission denied (publickey).", "trust"),
        ("Could not create directory /home/lab/.ssh (Permission denied).\nConnection closed by 192.168.100.11 port 22", "lost"),
        ("ssh: connect to host 192.168.100.11 port 22: Permission denied", "no_route"),
        ("ssh: connect to host 192.168.100.11 port 22: Connection reset by peer", "lost"),
        ("Host key verification failed.", "host_key"),
        ("ssh: connect to host 192.168.100.11 port 22: No route to host", "no_route"),
        ("ssh: connect to host 192.168.100.11 port 22: Connection refused", "refused"),
        ("ssh: connect to host 192.168.100.11 port 22: Connection timed out", "timed_out"),
        ("System is booting up. Unprivileged users are not permitted to log in yet. Connection closed by 192.0.2.1 port 22", "nologin"),
        ("kex_exchange_identification: Connection closed by remote host", "closed"),
        ("kex_exchange_identification: read: Connection reset by peer", "closed"),
        ("Connection closed by 192.168.100.11 port 22", "lost"),
        ("", "lost"),
    ],
)
def test_ssh_failures_are_told_apart(token: str, said: str, kind: str) -> None:
    with pytest.raises(side.SideError) as caught:
        side.AgentSide("desk-02", ["sh", "-c", f"echo '{said}' >&2; exit 255"], token, 5.0)
    assert caught.value.kind == kind


def test_the_ssh_command_is_quoted_once_and_checks_everything() -> None:
    argv = side.ssh_argv("lab", "/home/lab", "192.168.100.11", 60.0)
    assert argv[:5] == ["runuser", "-u", "lab", "--", "ssh"]
    for option in ("StrictHostKeyChecking=yes", "BatchMode=yes", "IdentitiesOnly=yes", "ClearAllForwardings=yes"):
        assert option in argv
    assert re.fullmatch(r"/bin/sh -c 'exec timeout --kill-after=10 70 /usr/bin/python3 -I -c \"exec\(bytes\(\[[0-9,]+\]\)\)\"'", argv[-1])


NOISE = {
    "a quiet login": "",
    "a window title": r"printf '\033]0;lab@spark-0002: ~\007'; ",
    "a banner": "echo Welcome to your desk; echo; ",
    "json": 'echo \'{"id": 1, "value": {}}\'; ',
    "a forged frame": 'echo \'dgx_spark_frame 0123 {"id": 1, "value": {}}\'; ',
    "an error": "echo 'bash: /opt/tool: Permission denied' >&2; ",
    "much": "head -c 300000 /dev/zero | tr '\\0' x; ",
    "bytes": r"printf '\377\376\000\r'; ",
}


def ssh_of(tmp_path: Path, before: str, shell: str = "sh") -> list[str]:
    """What runs the remote command as sshd does: by a login shell whose start-up files print something."""
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\nfor last; do :; done\n{before}exec {shell} -c "$last"\n', encoding="utf-8")
    program.chmod(0o755)
    return ["env", f"PATH={tmp_path}:/usr/bin:/bin", "ssh", "x", side.remote_command(60.0)]


@pytest.mark.parametrize("shell", LOGIN_SHELLS)
@pytest.mark.parametrize("noise", NOISE)
def test_what_a_login_prints_does_not_hide_the_agent(tmp_path: Path, token: str, noise: str, shell: str) -> None:
    opened = side.AgentSide("desk-02", ssh_of(tmp_path, NOISE[noise], shell), token, 60.0)
    try:
        assert opened.run(["echo", "a b"]).stdout == "a b\n"
    finally:
        opened.close()


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("echo 'This account is currently not available.'; exit 1; ", "This account is currently not available."),
        ("echo 'bash: /opt/tool: Permission denied' >&2; exit 126; ", "the login shell ended with 126"),
        ("echo 'Host key verification failed.'; exit 0; ", "the login shell ended with 0"),
    ],
)
def test_a_login_that_ends_by_itself_is_no_key_problem(tmp_path: Path, token: str, before: str, told: str) -> None:
    with pytest.raises(side.SideError) as caught:
        side.AgentSide("desk-02", ssh_of(tmp_path, before), token, 60.0)
    assert caught.value.kind == "login" and told in caught.value.text and "\033" not in caught.value.text


def test_a_login_that_swallows_the_program_is_told_with_its_words(tmp_path: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side, "GREETING", -8.0)
    with pytest.raises(side.SideError) as caught:
        side.AgentSide("desk-02", ssh_of(tmp_path, "echo 'fish: Unknown command: import' >&2; exec sleep 60; "), token, 60.0)
    assert caught.value.kind == "login" and "fish: Unknown command: import" in caught.value.text


@pytest.mark.parametrize(
    "before",
    [
        "echo 'WARNING: Your password has expired.' >&2; echo 'Password change required but no TTY available.' >&2; exit 1; ",
        "echo 'Your account has expired; please contact your system administrator.' >&2; exit 255; ",
    ],
)
def test_a_login_that_has_expired_is_told_as_that(tmp_path: Path, token: str, before: str) -> None:
    with pytest.raises(side.SideError) as caught:
        side.AgentSide("desk-02", ssh_of(tmp_path, before), token, 60.0)
    assert caught.value.kind == "expired"


@pytest.mark.parametrize(
    ("before", "kind"),
    [
        ("echo 'kex_exchange_identification: banner line contains invalid characters' >&2; exit 255; ", "port"),
        ("echo 'Bad packet length 1349676916.' >&2; exit 255; ", "damaged"),
        ("echo 'ssh_dispatch_run_fatal: Connection to x port 22: message authentication code incorrect' >&2; exit 255; ", "damaged"),
    ],
)
def test_another_server_or_a_bad_cable_is_no_closed_login(tmp_path: Path, token: str, before: str, kind: str) -> None:
    with pytest.raises(side.SideError) as caught:
        side.AgentSide("desk-02", ssh_of(tmp_path, before), token, 60.0)
    assert caught.value.kind == kind


def test_what_a_program_says_in_the_end_is_not_taken_for_ssh(tmp_path: Path, token: str) -> None:
    opened = side.AgentSide("desk-02", ssh_of(tmp_path, "(sleep 1; echo 'x: Permission denied (publickey)' >&2) & "), token, 60.0)
    ender = threading.Timer(2.0, os.kill, (opened.hello["pid"], signal.SIGKILL))
    ender.start()
    with pytest.raises(side.SideError) as caught:
        opened.run(["sleep", "5"], timeout=30)
    assert caught.value.kind == "lost"


def test_the_unit_on_the_head_may_lock_memory_and_ends_by_itself() -> None:
    argv = side.unit_argv(unit_name("rdma", "pair a/b", "0123456789abcdef"), "lab", 60.0)
    assert "--unit=dgx-spark-rdma-pair_a_b-01234567" in argv
    assert {"--uid=lab", "--property=LimitMEMLOCK=infinity", "--property=RuntimeMaxSec=80", "--collect"} <= set(argv)
