"""Two controllers at once: the loser did nothing and says whose the desk is; no proof is withdrawn for it."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import one_run
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs import carrier, lease
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, SKIPPED, Part, RunStore
from measured import TAKE, facts_of, measure, module
from proof_samples import ENDS
from sample_run import run_of
from scripted_action import Script, part
from scripted_side import World

OTHER = {
    "run": "20261122T101500Z-3f2a",
    "by": "mara@lab-ctl",
    "what": "rdma_pair",
    "since": "2026-11-22 10:15:09Z",
    "process": "77",
    "uid": "0",
}
HELD_BY = """
import sys, time
result = take({"run": sys.argv[2], "by": "mara@lab-ctl"}, "rdma_pair", "\\0" + sys.argv[1])
print("held" if result is None else "lost", flush=True)
time.sleep(60)
"""


@pytest.fixture
def name() -> Iterator[str]:
    """A desk of its own for each test."""
    yield f"\0dgx_spark_test/{os.getpid()}/{time.monotonic_ns()}"
    lease.give_back()


def holder(name: str, run: str) -> subprocess.Popen[str]:
    """Another process that works on the desk."""
    argv = [sys.executable, "-I", "-c", carrier.source_of(lease) + HELD_BY, name[1:], run]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd="/")
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_the_loser_is_told_who_and_since_when_and_the_mark_ends_with_its_process(name: str) -> None:
    first = holder(name, "run-1")
    try:
        told = lease.take({"run": "run-2", "by": "x"}, "nccl_pair", name)
        assert told is not None
        assert (told["run"], told["by"], told["what"], told["process"]) == ("run-1", "mara@lab-ctl", "rdma_pair", str(first.pid))
        assert told["since"].endswith("Z") and told["uid"] == str(os.getuid())
        assert lease.take({"run": "run-1", "by": "x"}, "nccl_pair", name) is None  # the head's agent in its own module's run
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert lease.take({"run": "run-2", "by": "x"}, "nccl_pair", name) is None


@pytest.mark.parametrize(
    ("holder_uid", "own", "sudo", "logged_in", "ours"),
    [
        ("0", 1000, None, None, True),
        ("1000", 0, "1000", None, True),
        ("1000", 1000, None, None, True),
        ("1001", 0, None, None, True),
        ("1001", 0, None, "4294967295", True),
        ("1001", 0, None, "0", False),
        ("1001", 0, None, "1000", False),
        ("1000", 0, None, "1000", True),
        ("1001", 0, "1000", None, False),
        ("1001", 1000, None, None, False),
        ("", 0, "1000", None, False),
    ],
)
def test_another_user_answers_for_no_run_of_ours(
    name: str,
    holder_uid: str,
    own: int,
    sudo: str | None,
    logged_in: str | None,
    ours: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Everybody may ask a holder for the run's id, and then hold the name with it."""
    first = holder(name, "run-1")
    said = {"run": "run-1", "by": "", "what": "", "since": "", "process": "7", "uid": holder_uid}
    monkeypatch.setattr(lease, "_ask", lambda _name: said)
    monkeypatch.setattr(lease.os, "getuid", lambda: own)
    monkeypatch.delenv("SUDO_UID", raising=False)
    if sudo is not None:
        monkeypatch.setenv("SUDO_UID", sudo)
    monkeypatch.setattr(lease, "LOGIN_UID", str(tmp_path / "loginuid"), raising=False)
    if logged_in is not None:
        (tmp_path / "loginuid").write_text(logged_in, encoding="ascii")
    try:
        assert lease.take({"run": "run-1", "by": "x"}, "rdma_pair", name) == (None if ours else said)
    finally:
        first.kill()
        first.wait()


@contextlib.contextmanager
def squatter(name: str, say: Callable[[socket.socket], None]) -> Iterator[None]:
    """A process that holds the mark and tells whoever asks what it likes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as held:
        held.bind(name)
        held.listen(8)
        child = os.fork()
        if child == 0:
            connection, _address = held.accept()
            say(connection)
            connection.close()
            os._exit(0)
        yield
        os.waitpid(child, 0)


@pytest.mark.parametrize("said", [b"", b"\xff\xfe{", b"[1]", b'{"run": {"a": 1}, "by": "\\u001b[31mroot"}', b"x" * 9000, b"[" * 9000])
def test_a_holder_that_talks_nonsense_is_named_by_the_kernel(name: str, said: bytes) -> None:
    with squatter(name, lambda connection: connection.sendall(said)):
        told = lease.take({"run": "run-2", "by": "x"}, "nccl_pair", name)
    assert told is not None and told["process"] == str(os.getpid())
    assert all(text.isprintable() and len(text) <= 120 for text in told.values())


def test_a_holder_that_talks_slowly_keeps_nobody_waiting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "PATIENCE", 0.3)

    def byte_by_byte(connection: socket.socket) -> None:
        for _byte in range(30):
            with contextlib.suppress(OSError):
                connection.send(b"x")
            time.sleep(0.1)

    with squatter(name, byte_by_byte):
        begun = time.monotonic()
        told = lease.take({"run": "run-2", "by": "x"}, "nccl_pair", name)
        took = time.monotonic() - begun
    assert told is not None and told["process"] == str(os.getpid()) and took < 2


CHANGES = {
    "pair_files": {"files": [{"path": "/nowhere/x/y", "content": "x"}]},
    "persistenced": {"repair": True},
    "desk_reboot": {"policy": "if_needed"},
    "gpu_container": {"image": "nowhere.invalid/none:0"},
}


@pytest.mark.parametrize("changing", CHANGES)
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_module_that_changes_does_nothing_while_another_run_works(
    name: str, check_mode: bool, changing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_run.lease, "take", functools.partial(TAKE, name=name))
    monkeypatch.setenv(lease.VARIABLE, '{"run": "run-2", "by": "anna@lab-ctl"}')
    first = holder(name, "run-1")
    try:
        answer = module(changing, {**CHANGES[changing], "_ansible_check_mode": check_mode})
    finally:
        first.kill()
        first.wait()
    if check_mode:
        assert "held_elsewhere" not in answer
    else:
        assert not answer.get("failed") and not answer["changed"] and answer["held_elsewhere"]["run"] == "run-1"


@pytest.mark.parametrize(("phase", "held"), [("change", True), ("confirm", False), ("status", False)])
def test_a_change_is_confirmed_although_another_run_came_since(name: str, phase: str, held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The desk is nobody's between the two executions of a link change; it would undo what it is kept from confirming."""
    monkeypatch.setattr(one_run.lease, "take", functools.partial(TAKE, name=name))
    monkeypatch.setenv(lease.VARIABLE, '{"run": "run-2", "by": "anna@lab-ctl"}')
    first = holder(name, "run-1")
    given = {"links": [{"addresses": ["192.168.100.10/24", "192.168.101.10/24"]}]} if phase == "change" else {"change_id": "c1"}
    try:
        answer = module("cx7_link", {"phase": phase, **given})
    finally:
        first.kill()
        first.wait()
    assert ("held_elsewhere" in answer) is held


def test_a_module_that_only_looks_takes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_run.lease, "take", lambda *_given: pytest.fail("it took the desk"))
    for module_name in ("persistenced", "desk_reboot"):
        assert "held_elsewhere" not in module(module_name, {})


KEPT = """
import sys
assert take({"run": sys.argv[2], "by": ""}, "desk_reboot", "\\0" + sys.argv[1]) is None
keep(int(sys.argv[3]))
print("went on", flush=True)
"""


def test_a_desk_that_is_about_to_reboot_stays_taken_when_the_module_has_ended(name: str) -> None:
    argv = [sys.executable, "-I", "-c", carrier.source_of(lease) + KEPT, name[1:], "run-1", "1"]
    # Its output ends with the module's own: ssh waits for nobody.
    assert subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True).stdout == "went on\n"
    told = lease.take({"run": "run-2", "by": ""}, "nccl_pair", name)
    assert told is not None and (told["run"], told["what"]) == ("run-1", "desk_reboot")
    assert lease.take({"run": "run-1", "by": ""}, "rdma_pair", name) is None
    deadline = time.monotonic() + 10
    while lease.take({"run": "run-2", "by": ""}, "nccl_pair", name) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("name_of_module", ["rdma_pair", "nccl_pair"])
def test_a_peer_that_another_run_measures_is_left_alone(name_of_module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(held={"desk-02": OTHER})
    seen = measure(name_of_module, world, tmp_path, monkeypatch)
    assert seen.codes == {"RUN_ELSEWHERE": "unknown"} and world.starts == 0
    found = seen.finding("RUN_ELSEWHERE")
    assert found["where"]["desk"] == "desk-02" and "mara@lab-ctl since 2026-11-22 10:15:09Z" in found["message"]


def lost(*_given: Any) -> dict[str, Any]:
    return {"changed": False, "held_elsewhere": {**OTHER, "desk": "desk-99", "by": "mara@lab-ctl\x1b[31m"}}


def test_the_loser_goes_no_further_and_keeps_the_proof(tmp_path: Path) -> None:
    run = run_of(folder=tmp_path)
    for end in ENDS:
        RunStore(run.run_dir).write(Part("facts", end.desk, DONE, data={"spark": as_dict(facts_of(end))}))
    Script("pair_trust", {"state": "keys"}, lost).run(run=run, stage="keys")
    kept = part(run, "keys", "desk-01")
    assert kept is not None and kept.state == DONE and kept.failing_codes == () and kept.elsewhere
    assert kept.findings[0]["where"]["desk"] == "desk-01" and "\x1b" not in kept.findings[0]["message"]
    Script("rdma_pair", {}, lost).run(run=run, stage="rdma")
    skipped = part(run, "rdma", "desk-01")
    assert skipped is not None and skipped.state == SKIPPED and "another run held desk-01" in str(skipped.reason)
    settings = Script("pair_settings", {"state": "present"}, lost)
    answer = settings.run("desk-02", run, "settings", ansible_facts={"spark": {"setup": {"pair_env": "# pair\n"}}})
    assert answer["settings"] == "kept" and settings.asked == []


@pytest.mark.parametrize("module_name", ["spark_facts", "pair_trust", "rdma_pair"])
def test_only_who_measures_for_both_says_that_another_desk_is_taken(module_name: str, tmp_path: Path) -> None:
    run = run_of(folder=tmp_path)
    for end in ENDS:
        RunStore(run.run_dir).write(Part("facts", end.desk, DONE, data={"spark": as_dict(facts_of(end))}))
    taken = {"changed": False, "held_elsewhere": {**OTHER, "desk": "desk-02"}}
    arguments = {"state": "keys"} if module_name == "pair_trust" else {}
    result = Script(module_name, arguments, lambda *_given: taken).run("desk-01", run, "rdma" if module_name == "rdma_pair" else "keys")
    where = result["findings"][0]["where"]["desk"]
    assert result["findings"][0]["code"] == "RUN_ELSEWHERE" and where == ("desk-02" if module_name == "rdma_pair" else "desk-01")


def test_a_module_is_told_for_whom_it_works(tmp_path: Path) -> None:
    script = Script("spark_facts", {}, [{"changed": False}])
    script.run(run=run_of(folder=tmp_path), stage="facts")
    told = lease.told(script.task.environment[-1])
    assert told["run"] == "r" and told["by"].endswith(f"@{socket.gethostname()}")
