"""A stage is one task: to Ansible it never fails, whatever happens on the desk, and it leaves its part behind."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible._internal._errors._task_timeout import TaskTimeoutError
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, FAILED, SKIPPED, Part, RunStore
from sample_run import run_of
from scripted_action import Script, part

FOUND = finding("DRIVER_MISMATCH", Where(desk="desk-01"), "desk-01: two versions").as_dict()
TROUBLE: list[tuple[Any, str]] = [
    (AnsibleError("no space left on device"), "DESK_STAGE_FAILED"),
    (AnsibleActionFail("cannot be carried out"), "DESK_STAGE_FAILED"),
    (AnsibleConnectionFailure("ssh: connect to host x port 22: No route to host"), "DESK_UNREACHABLE"),
    (AnsibleConnectionFailure("labadmin@x: Permission denied (publickey)."), "AUTH_FAILED"),
    (AnsibleError("Incorrect sudo password"), "BECOME_FAILED"),
    (KeyError("spark"), "DESK_STAGE_FAILED"),
    (ZeroDivisionError("division by zero"), "DESK_STAGE_FAILED"),
    (RecursionError("too deep"), "DESK_STAGE_FAILED"),
    (TaskTimeoutError(5), "STAGE_TIMEOUT"),
    ({"unreachable": True, "msg": "ssh: connect to host x port 22: Connection refused"}, "DESK_UNREACHABLE"),
    ({"failed": True, "msg": "MODULE FAILURE", "module_stderr": "Killed", "rc": 137}, "DESK_STAGE_FAILED"),
    ({"failed": True, "msg": "sudo: a password is required", "module_stderr": "sudo: a password is required"}, "BECOME_FAILED"),
    # Words that may stand before sudo's own.
    *(
        ({"failed": True, "msg": "Module result deserialization failed.", "module_stderr": f"{before}\n{own}", "rc": 1}, "BECOME_FAILED")
        for before in ("sudo: unable to resolve host spark-a1b2: Name or service not known", "Welcome to DGX Spark")
        for own in ("sudo: a password is required", "sudo: Konto ist abgelaufen")
    ),
    (
        {
            "failed": True,
            "msg": "Module result deserialization failed.",
            "module_stderr": "sudo: sorry, you must have a tty to run sudo",
            "rc": 1,
        },
        "BECOME_FAILED",
    ),
    (
        {
            "failed": True,
            "msg": "Module result deserialization failed.",
            "module_stderr": "pyenv: version lab is not installed",
            "rc": 127,
        },
        "DESK_STAGE_FAILED",
    ),
    ({"failed": True, "msg": "two versions", "findings": [FOUND]}, "DRIVER_MISMATCH"),
    ({"failed": True}, "DESK_STAGE_FAILED"),
]
NAMES = [f"{code}-{number}" for number, (_answer, code) in enumerate(TROUBLE)]


@pytest.mark.parametrize(("answer", "code"), TROUBLE, ids=NAMES)
def test_trouble_becomes_a_failed_part_and_a_fine_task(tmp_path: Path, answer: Any, code: str) -> None:
    run = run_of(folder=tmp_path)
    result = Script("spark_facts", {}, [answer]).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    # Left out is not enough: Ansible takes a result with another "rc" than 0 for a failed one.
    assert result["failed"] is False and result["stage"]["state"] == FAILED
    assert not {"unreachable", "exception", "timedout"} & set(result)
    assert kept is not None and kept.state == FAILED and kept.failing_codes == (code,) and kept.reason
    assert kept.findings[0]["remedy"] and "desk-01" in str(kept.findings[0]["message"]) and kept.stack == "pair_a"
    assert [item["code"] for item in result["findings"]] == [code]


@pytest.mark.parametrize(("answer", "code"), TROUBLE, ids=NAMES)
def test_the_same_trouble_outside_a_run_fails_the_task(tmp_path: Path, answer: Any, code: str) -> None:
    script = Script("spark_facts", {}, [answer])
    if isinstance(answer, BaseException) and code not in ("DESK_UNREACHABLE", "AUTH_FAILED", "BECOME_FAILED"):
        with pytest.raises(type(answer)):
            script.run()
        return
    result = script.run()
    assert result["failed"] and "stage" not in result and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("desk", ["Data could not be sent to remote host. ssh: connect to host x port 22: Connection timed out", ""])
def test_sudo_that_does_not_respond_is_told_of_a_desk_that_does(tmp_path: Path, desk: str) -> None:
    run = run_of(folder=tmp_path)
    script = Script("spark_facts", {}, [AnsibleError("Timeout (12s) waiting for privilege escalation prompt:")])
    asked: list[tuple[str, bool]] = []

    def command(line: str, sudoable: bool) -> dict[str, int]:
        asked.append((line, sudoable))
        if desk:
            raise AnsibleConnectionFailure(desk)
        return {"rc": 0}

    script.action._low_level_execute_command = command
    script.run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None and kept.failing_codes == ("DESK_UNREACHABLE" if desk else "BECOME_FAILED",)
    assert asked == [("true", False)]


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("/etc/sudoers.d/90-Lab:1:25: syntax error\nlab ALL=(ALL:ALL) NOPASSWD ALL\n", "(/etc/sudoers.d/90-Lab)"),
        ("sudo: /etc/sudoers.d/lab is owned by uid 1000, should be 0\n", "(/etc/sudoers.d/lab)"),
        ("sudo: PAM account management error: Authentication service cannot retrieve authentication info\n", "cannot look up the account"),
        ("", "becoming root with sudo does not"),
    ],
)
def test_why_sudo_wants_a_password_is_asked_of_sudo(tmp_path: Path, before: str, told: str) -> None:
    """Ansible's ssh connection tells of "sudo: a password is required" as "Missing sudo password", and nothing of the lines before it."""
    run = run_of(folder=tmp_path)
    script = Script("spark_facts", {}, [AnsibleError("Missing sudo password")])
    script.connection.become = SimpleNamespace(name="sudo", get_option=lambda _name: "sudo.ws")
    asked: list[tuple[str, bool]] = []

    def command(line: str, sudoable: bool) -> dict[str, Any]:
        asked.append((line, sudoable))
        return {"rc": 1, "stdout": "", "stderr": f"{before}sudo: a password is required\n"}

    script.action._low_level_execute_command = command
    script.run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None and kept.failing_codes == ("BECOME_FAILED",) and told in kept.findings[0]["message"]
    assert asked == [("LC_ALL=C sudo.ws -n true", False)]


@pytest.mark.parametrize(
    ("named", "runs"),
    [
        ({}, "/usr/bin/python3"),
        ({"ansible_python_interpreter": "auto_silent"}, "/usr/bin/python3"),
        ({"ansible_python_interpreter": ""}, "/usr/bin/python3"),
        ({"ansible_python_interpreter": "/opt/python/bin/python3"}, "/opt/python/bin/python3"),
    ],
)
def test_modules_run_on_the_systems_python_unless_another_is_named(named: dict[str, str], runs: str) -> None:
    script = Script("spark_facts")
    given: list[str] = []
    script.action._execute_module = lambda task_vars, **_more: given.append(task_vars["ansible_python_interpreter"]) or {"failed": True}
    script.run(**named)
    assert given == [runs]


@pytest.mark.parametrize(
    ("said", "system"),
    [
        ("/bin/sh: 1: /usr/bin/python3: Exec format error", True),
        ("/bin/sh: line 1: /usr/bin/python3: No such file or directory", True),
        ("/usr/bin/python3: error while loading shared libraries: libexpat.so.1: cannot open shared object file", True),
        ("/bin/sh: 1: /usr/bin/python3.12: Exec format error", True),
        ("/bin/sh: 1: /usr/bin/python3.11: not found", False),
        ("env: 'python3': No such file or directory", False),
        ("/opt/conda/bin/python3: Permission denied", False),
        ("Fatal Python error: init_fs_encoding\nModuleNotFoundError: No module named 'encodings'", False),
    ],
)
def test_a_python_that_does_not_start_is_told_as_that(tmp_path: Path, said: str, system: bool) -> None:
    run = run_of(folder=tmp_path)
    answer = {"failed": True, "msg": "Module result deserialization failed.", "module_stderr": said, "rc": 127}
    Script("spark_facts", {}, [answer]).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None and "Python does not start" in str(kept.findings[0]["message"])
    assert ("ansible_python_interpreter" in str(kept.findings[0]["remedy"])) is not system


def test_a_login_that_runs_nothing_and_says_nothing_is_told_as_that(tmp_path: Path) -> None:
    run = run_of(folder=tmp_path)
    said = {"msg": "Module result deserialization failed: No start of json char found", "module_stdout": "", "module_stderr": ""}
    answer = {"failed": True, "rc": 0, **said}
    Script("spark_facts", {}, [answer]).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None and "nothing came back" in str(kept.findings[0]["message"])
    remedy = str(kept.findings[0]["remedy"])
    assert "echo hello" in remedy and "ForceCommand" in remedy and ".bashrc" in remedy


def test_a_python_that_looks_for_its_library_elsewhere_is_not_damaged(tmp_path: Path) -> None:
    paths = "".join(f"  sys.{name} = '/opt/python/lib/python3.12/{name}'\n" for name in ("prefix", "exec_prefix", "path") * 8)
    said = (
        "Could not find platform independent libraries <prefix>\nPython path configuration:\n  PYTHONHOME = '/opt/python'\n"
        f"  PYTHONPATH = (not set)\n  program name = '/usr/bin/python3'\n{paths}Fatal Python error: init_fs_encoding: failed to get the "
        "Python codec of the filesystem encoding\nPython runtime state: core initialized\n  sys.executable = '/usr/bin/python3'\n"
        "ModuleNotFoundError: No module named 'encodings'\n"
    )
    for key in ("module_stderr", "module_stdout"):
        run = run_of(folder=tmp_path / key)
        Script("spark_facts", {}, [{"failed": True, "msg": "Module result deserialization failed.", key: said, "rc": 1}]).run(
            run=run, stage="facts"
        )
        kept = part(run, "facts", "desk-01")
        assert kept is not None and "PYTHONHOME=/opt/python" in str(kept.findings[0]["message"])
        assert "/etc/environment" in str(kept.findings[0]["remedy"]) and "damaged" not in str(kept.findings[0]["remedy"])


@pytest.mark.parametrize(
    "said",
    [
        {"module_stderr": "open terminal failed: not a terminal\n", "rc": 1},
        {"module_stdout": "Must be connected to a terminal.\r\n", "rc": 1},
        {"module_stderr": "fish: Unknown command: import\nfish:\nimport json\n^\n", "rc": 127},
    ],
)
def test_a_login_that_starts_another_program_is_told_as_that(tmp_path: Path, said: dict[str, Any]) -> None:
    run = run_of(folder=tmp_path)
    Script("spark_facts", {}, [{"failed": True, "msg": "Module result deserialization failed.", **said}]).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None and "start-up" in str(kept.findings[0]["message"]) and "~/.bashrc" in str(kept.findings[0]["remedy"])


@pytest.mark.parametrize(
    "said",
    [
        {"module_stdout": "This account is currently not available.\n", "rc": 1},
        {"module_stderr": "rbash: /bin/sh: restricted: cannot specify `/' in command names\n", "rc": 1},
    ],
)
def test_a_user_without_a_usual_shell_is_told_as_that(tmp_path: Path, said: dict[str, Any]) -> None:
    run = run_of(folder=tmp_path)
    Script("spark_facts", {}, [{"failed": True, "msg": "Module result deserialization failed.", **said}]).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None and "runs no commands" in str(kept.findings[0]["message"]) and "usermod -s" in str(kept.findings[0]["remedy"])


@pytest.mark.parametrize(
    ("said", "told", "cure"),
    [
        ("OSError: [Errno 28] No space left on device: '/tmp/ansible_x'", "no room left", "df -i"),
        (
            "FileNotFoundError: [Errno 2] No usable temporary directory found in ['/tmp', '/var/tmp', '/usr/tmp', '/']",
            "no room left",
            "df -i",
        ),
        ("OSError: [Errno 30] Read-only file system: '/tmp/ansible_x'", "may not write its files", "findmnt"),
        ("bash: fork: retry: Resource temporarily unavailable", "no more processes", "TasksMax"),
        ("Killed", "was killed", "out of memory"),
        ('Traceback (most recent call last):\n  File "<stdin>", line 12, in <module>\nMemoryError', "got no memory", "out of memory"),
        ("OSError: [Errno 12] Cannot allocate memory", "got no memory", "out of memory"),
    ],
)
def test_a_module_that_cannot_start_says_what_is_in_its_way(tmp_path: Path, said: str, told: str, cure: str) -> None:
    """With pipelining nothing is written on the desk before the module itself."""
    run = run_of(folder=tmp_path)
    answer = {"failed": True, "msg": "Module result deserialization failed.", "module_stderr": f"{said}\n", "rc": 137 if "K" in said else 1}
    Script("spark_facts", {}, [answer]).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None and told in str(kept.findings[0]["message"]) and cure in str(kept.findings[0]["remedy"])


def test_a_home_that_keeps_root_out_is_told_with_the_way_around_it(tmp_path: Path) -> None:
    """NFS with root_squash, in a playbook of somebody's own that does not set pipelining."""
    run = run_of(folder=tmp_path)
    file = "/home/lab/.ansible/tmp/ansible-tmp-1764330000.1-2-3/AnsiballZ_spark_facts.py"
    said = f"/usr/bin/python3: can't open file '{file}': [Errno 13] Permission denied\n"
    answer = {"failed": True, "msg": "MODULE FAILURE: No start of json char found", "module_stdout": "", "module_stderr": said, "rc": 2}
    Script("spark_facts", {}, [answer]).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None and "root may not read" in str(kept.findings[0]["message"])
    assert "ansible_pipelining: true" in str(kept.findings[0]["remedy"])


def test_what_a_program_waited_for_in_vain_is_in_the_message(tmp_path: Path) -> None:
    run = run_of(folder=tmp_path)
    Script("spark_facts", {}, [{"failed": True, "msg": "Failed to enable unit: Connection timed out"}]).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None and kept.failing_codes == ("STAGE_TIMEOUT",) and "Failed to enable unit" in str(kept.findings[0]["message"])


@pytest.mark.parametrize(
    "own", ["labadmin@x: Permission denied (publickey).", "kex_exchange_identification: Connection closed by remote host"]
)
def test_a_long_banner_does_not_hide_what_ssh_itself_said(tmp_path: Path, own: str) -> None:
    run = run_of(folder=tmp_path)
    error = AnsibleConnectionFailure("Failed to connect to the host via ssh: " + "Authorised use only. " * 80 + f"\n{own}")
    Script("spark_facts", {}, [error]).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None
    told = str(kept.findings[0]["evidence"]["error"])
    assert own in told and told.startswith("Failed to connect") and len(told) <= 600


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)], ids=["interrupt", "exit"])
def test_an_admin_who_stops_the_run_is_obeyed(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        Script("spark_facts", {}, [error]).run(run=run_of(folder=tmp_path), stage="facts")
    assert part(run_of(folder=tmp_path), "facts", "desk-01") is None


def test_a_fault_in_the_action_itself_ends_this_desk_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script("cx7_cable")

    def broken(_call: Any) -> dict[str, Any]:
        return {}["x"]  # type: ignore[no-any-return]

    monkeypatch.setattr(script.action, "work", broken)
    run = run_of(folder=tmp_path)
    result = script.run(run=run, stage="cable")
    kept = part(run, "cable", "desk-01")
    assert result["failed"] is False and kept is not None and kept.failing_codes == ("DESK_STAGE_FAILED",)
    assert "KeyError" in str(kept.reason) and "-vvv" in str(kept.reason)


def test_a_good_answer_is_a_part_with_its_data(tmp_path: Path) -> None:
    run = run_of(folder=tmp_path)
    answer = {
        "changed": True,
        "findings": [FOUND],
        "ansible_facts": {"spark": {"schema": "x"}},
        "invocation": {"a": 1},
        "_secret": 2,
        "processes": 3,
        "more": 4,
    }
    result = Script("spark_facts", {}, [answer]).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None and (kept.state, kept.changed, dict(kept.data)) == (DONE, True, {"spark": {"schema": "x"}, "processes": 3})
    assert kept.started and kept.ended and kept.started <= kept.ended and kept.findings == (FOUND,)
    assert result["stage"] == {"name": "facts", "state": DONE, "reason": None} and result["ansible_facts"] == answer["ansible_facts"]


def test_a_closed_gate_asks_no_desk_and_says_why(tmp_path: Path) -> None:
    run, store = run_of(folder=tmp_path), RunStore(tmp_path)
    store.write(Part("facts", "desk-02", FAILED, "pair_a", "gone"))
    script = Script("cx7_link", {"pair": {}})
    result = script.run(run=run, stage="link")
    kept = part(run, "link", "desk-01")
    assert script.asked == [] and result["stage"]["state"] == SKIPPED and "desk-02 failed in stage facts" in result["stage"]["reason"]
    assert kept is not None and kept.state == SKIPPED and kept.reason == result["stage"]["reason"] and result["changed"] is False


@pytest.mark.parametrize("name", ["d/1", "d_1", "ü" * 300, "d" * 300, ".", "d-" + "0" * 32])
def test_every_name_has_a_part_of_its_own(name: str, tmp_path: Path) -> None:
    """One that is no name of a file ended the judgement of all desks."""
    store = RunStore(tmp_path)
    assert store.part("facts", name) is None
    path = store.write(Part("facts", name, DONE))
    assert path.parent == tmp_path / "parts/facts" and list(store.parts("facts")) == [name]
    others = {name.replace("/", "_"), name.replace("_", "/"), name[:100], path.stem} - {name}
    assert [other for other in others if store.part("facts", other)] == []
    kept = store.part("facts", name)
    assert kept is not None and kept.desk == name


def test_a_desk_that_a_stage_does_not_concern_leaves_no_part(tmp_path: Path) -> None:
    run = run_of({}, ("desk-09",), folder=tmp_path)
    script = Script("cx7_link", {"pair": {}})
    assert script.run("desk-09", run, "link")["stage"]["state"] == "none" and script.asked == []
    assert part(run, "link", "desk-09") is None and RunStore(tmp_path).stages() == []


def test_being_skipped_does_not_wipe_out_what_was_learned_before(tmp_path: Path) -> None:
    run, store = run_of(folder=tmp_path), RunStore(tmp_path)
    unusable = {"code": "DESK_NOT_GB10", "severity": "fail", "message": "m"}
    store.write(Part("driver", "desk-01", DONE, "pair_a", data={"x": 1}, findings=(unusable,)))
    Script("driver_lock").run(run=run, stage="driver")
    kept = part(run, "driver", "desk-01")
    assert kept is not None and kept.state == DONE and kept.data == {"x": 1}


def test_facts_that_are_read_again_take_the_place_of_the_first(tmp_path: Path) -> None:
    run, store = run_of(folder=tmp_path), RunStore(tmp_path)
    store.write(Part("facts", "desk-01", DONE, "pair_a", started="1", ended="2"))
    store.write(Part("driver", "desk-01", DONE, "pair_a", ended="3", changed=True))
    answer = {"changed": False, "findings": [], "ansible_facts": {"spark": {"schema": "again"}}}
    Script("spark_facts", {}, [answer]).run(run=run, stage="facts_again")
    kept = part(run, "facts", "desk-01")
    assert kept is not None and kept.data["spark"] == {"schema": "again"} and part(run, "facts_again", "desk-01") is None


def test_a_measurement_that_is_repeated_keeps_every_result(tmp_path: Path) -> None:
    run = run_of(folder=tmp_path, playbook="calibrate")
    for number in ("1", 2):
        Script("rdma_pair", check_mode=True).run(run=run, stage="rdma", spark_repetition=number)
    assert RunStore(tmp_path).stages() == ["rdma_1", "rdma_2"]


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(AnsibleActionFail, match="factz"):
        Script("spark_facts").run(stage="factz")


def test_a_stage_without_a_run_says_what_to_do() -> None:
    with pytest.raises(AnsibleActionFail, match="phase begin"):
        Script("spark_facts").run(stage="facts")


def test_the_time_limit_of_a_task_ends_the_work_and_not_the_run(tmp_path: Path) -> None:
    run = run_of(folder=tmp_path)

    def hangs(_module: str, _arguments: dict[str, Any]) -> dict[str, Any]:
        while True:
            time.sleep(0.05)

    with TaskTimeoutError.alarm_timeout(1):
        result = Script("spark_facts", {}, hangs).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert result["failed"] is False and kept is not None and kept.failing_codes == ("STAGE_TIMEOUT",)
    assert "The task" in str(kept.findings[0]["message"])


def test_the_facts_are_told_where_the_other_desks_will_knock(tmp_path: Path) -> None:
    """``sshd -T`` is asked for that very port: a Match block may decide by it."""
    run = run_of(folder=tmp_path)
    members = {**run.members, "desk-01": replace(run.members["desk-01"], ssh_port=2222)}
    script = Script("spark_facts", {}, [{}])
    script.run(run=replace(run, members=members), stage="facts")
    assert script.asked[0]["ssh_port"] == 2222


def test_a_difference_that_an_action_shows_steers_no_terminal() -> None:
    """What stood in a file that somebody sent, which lock_from.yml --check --diff shows."""
    script = Script("lock_file", {}, check_mode=True)
    diff = {"before": "# lock \x1b]52;c;AAAA\x07\n", "after": "# lock\n", "before_header": "x\x1b[2J", "after_header": "x"}
    script.action._run = lambda _tmp, _vars: {"changed": True, "diff": [diff], "msg": "a\x1b[2Jb"}
    told = script.action.run(task_vars={})
    assert "\x1b" not in str(told["msg"]) and not any(sign in str(told["diff"][0].values()) for sign in ("\x1b", "\x07", "\\x1b"))
    assert told["diff"][0]["after"] == "# lock\n"
