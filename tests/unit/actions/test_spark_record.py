"""The controller's half of a recording: what a desk sends is checked, cleaned, and written for its owner alone."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripted_action import Script

DESK = {
    "files": {
        "/etc/hostname": "zebra-17\n",
        "/etc/passwd": "lab:x:1000:1000:Ana Kowalska:/home/lab:/bin/bash\n",
        "/etc/shadow": "lab:$6$saltsalt$abcdefgh\n",
    },
    "commands": [{"argv": ["uname", "-m"], "responses": [{"rc": 0, "stdout": "aarch64\n"}]}, {"argv": ["env"], "responses": [{"rc": 0}]}],
}


def packed(data: Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(data).encode())).decode()


def record(folder: Path, answer: dict[str, Any], check: bool = False, **arguments: Any) -> dict[str, Any]:
    """Run the action against a desk that gives this answer."""
    script = Script("spark_record", {"dest": str(folder / "recordings"), **arguments}, (answer,), check_mode=check, user="lab")
    return script.run("desk-02", ansible_play_hosts_all=["desk-01", "desk-02"], ansible_host="10.77.3.4")


def test_a_recording_is_written_without_what_no_rule_names(tmp_path: Path) -> None:
    description = "NCCL hangs on zebra-17 of ana@zebra-gmbh.de"
    result = record(tmp_path, {"recorded": packed(DESK), "login_user": "lab"}, description=description)
    folder = tmp_path / "recordings/recorded-02"
    assert (result["path"], result["files"], result["commands"], result["left_out"]) == (str(folder), 2, 1, 2)
    assert folder.stat().st_mode & 0o777 == 0o700 and (tmp_path / "recordings").stat().st_mode & 0o777 == 0o700
    about = yaml.safe_load((folder / "recording.yml").read_text())
    assert about["login_user"] == "account1"
    assert about["description"] == "NCCL hangs on recorded-02-2 of person1@example.org"
    assert "Kowalska" not in (folder / "files/etc/passwd").read_text()


@pytest.mark.parametrize("sent", ["", "x", packed([]), packed({"files": {"/a": 1}})])
def test_what_is_no_recording_is_a_failure_of_that_desk(sent: str, tmp_path: Path) -> None:
    result = record(tmp_path, {"recorded": sent, "login_user": "lab"})
    assert result["failed"] is True and result["msg"].startswith("desk-02: its answer is not a recording, so nothing was written")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", [{"recorded": 5}, {"recorded": packed(DESK), "login_user": ["x"]}])
def test_what_is_no_answer_of_the_module_does_not_pass_the_gate(answer: dict[str, Any], tmp_path: Path) -> None:
    result = record(tmp_path, answer)
    assert [item["code"] for item in result["findings"]] == ["DESK_ANSWER_INVALID"]
    assert list(tmp_path.iterdir()) == []


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    assert record(tmp_path, {"recorded": packed(DESK)}, check=True)["changed"] is True
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("standin", ["../x", "a/b", ".hidden", "x" * 65, "a b"])
def test_a_stand_in_is_a_plain_name(standin: str, tmp_path: Path) -> None:
    result = record(tmp_path, {"recorded": packed(DESK)}, standin=standin)
    assert result["failed"] is True and "is not a valid folder name" in result["msg"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_recording_stays(tmp_path: Path) -> None:
    (tmp_path / "recordings/thesis").mkdir(parents=True)
    result = record(tmp_path, {"recorded": packed(DESK)}, standin="thesis", replace=True)
    assert result["failed"] is True and "is not a recording and is not overwritten" in result["msg"]
    assert (tmp_path / "recordings/thesis").is_dir()
