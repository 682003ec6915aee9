"""What an admin names on a desk, and what strangers publish, is looked into as the login user, also where the module runs as root."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import received
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import LiveDesk
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs import lease
from ansible_collections.labops.dgx_spark.plugins.modules import workload_check
from person import Person


def told(arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the module tells the controller."""
    with patch_module_args(arguments), pytest.raises(SystemExit):
        workload_check.main()
    answer = json.loads(capsys.readouterr().out)
    found: dict[str, Any] = json.loads(base64.b64decode(answer["told"]))
    return found


@pytest.fixture
def by_sudo(person: Person, monkeypatch: pytest.MonkeyPatch) -> Person:
    """The login user, who became root with sudo, as in docs/examples/workload_check.yml."""
    monkeypatch.setenv("SUDO_USER", person.name)
    return person


@pytest.fixture
def program(person: Person) -> Path:
    """A program below a folder that root alone may enter."""
    folder = person.home.parent / "of-root"
    folder.mkdir(mode=0o700)
    shutil.copy("/bin/true", folder / "customer")
    return folder / "customer"


@pytest.mark.parametrize("noted", [True, False])
def test_who_became_root_without_sudo_is_known_where_the_kernel_notes_it(
    person: Person, program: Path, noted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ansible_become_method: su, and a login user that ssh's own configuration names."""
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr(lease, "LOGIN_UID", str(tmp_path / "loginuid"))
    (tmp_path / "loginuid").write_text(f"{person.uid}\n" if noted else "4294967295", encoding="ascii")
    [found] = told({"paths": [str(program)]}, capsys)["paths"]
    assert found["trouble"] == ("Permission denied" if noted else None)
    assert received.login_user("") == (person.name if noted else None)


@pytest.mark.parametrize("through", ["", "/customer"])
def test_a_users_link_leads_no_root_where_the_user_may_not_go(
    by_sudo: Person, program: Path, through: str, capsys: pytest.CaptureFixture[str]
) -> None:
    by_sudo.link("venv", program.parent)
    [found] = told({"paths": [f"{by_sudo.home}/venv{through}"]}, capsys)["paths"]
    assert found["files"] == [] and found["trouble"] == "Permission denied"


def test_what_the_user_may_read_is_told(by_sudo: Person, program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_sudo.put("venv/bin/own", program.read_bytes(), 0o700)
    own, lost = told({"paths": [f"{by_sudo.home}/venv", "/none"]}, capsys)["paths"]
    assert [item["path"] for item in own["files"]] == [f"{by_sudo.home}/venv/bin/own"] and own["files"][0]["parts"]
    assert lost["trouble"] == "No such file or directory"


def test_another_user_than_root_looks_for_itself(
    by_sudo: Person, program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """become_user: somebody who may not act for the login user."""
    monkeypatch.setattr(workload_check.os, "geteuid", lambda: 4242)
    [found] = told({"paths": [str(program)], "user": by_sudo.name}, capsys)["paths"]
    assert [item["path"] for item in found["files"]] == [str(program)]


def test_pip_runs_as_the_user_with_files_of_that_user(
    by_sudo: Person, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def resolve(_desk: Any, command: list[str], *_more: Any) -> dict[str, Any]:
        about = os.stat(command[command.index("-r") + 1])
        text = Path(command[command.index("-r") + 1]).read_text(encoding="utf-8")
        return {"ids": [*os.getresuid(), *os.getresgid()], "groups": os.getgroups(), "home": os.environ["HOME"], "text": text,
                "file": [about.st_uid, about.st_mode & 0o777]}  # fmt: skip

    monkeypatch.setattr(workload_check.workload_pip, "resolve", resolve)
    asked = {"resolve_text": "six\n", "indexes": ["https://bob:s3cret@index.example/simple"]}
    found = told(asked, capsys)["resolution"]
    assert found["ids"] == [by_sudo.uid] * 3 + [by_sudo.gid] * 3 and 0 not in found["groups"] and found["home"] != "/root"
    assert found["file"] == [by_sudo.uid, 0o600] and "s3cret" in found["text"] and "six" in found["text"]
    assert os.getuid() == 0


def test_what_the_user_stops_or_breaks_ends_with_a_sentence(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = time.monotonic()
    with pytest.raises(OSError, match=r"did not end within 1 s"):
        LiveDesk().done_as(person.name, lambda: os.kill(os.getpid(), signal.SIGSTOP), 1.0)
    with pytest.raises(OSError, match="broke off"):
        LiveDesk().done_as(person.name, lambda: 1 / 0, 10.0)
    with pytest.raises(OSError, match="says too much"):
        LiveDesk().done_as(person.name, lambda: "x" * (9 << 20), 10.0)
    assert time.monotonic() - begun < 9.0 and LiveDesk().done_as(None, os.getuid, 1.0) == 0
