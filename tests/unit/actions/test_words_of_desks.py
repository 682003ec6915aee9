# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a desk says gets to the terminal through the gate alone, also what Ansible makes a warning of as it reads it. And what somebody sent
steers no terminal either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.text import STEERS

ROOT = Path(__file__).resolve().parents[3]
STEERED = "\x1b]52;c;ZXZpbA==\x07 copied \x1b[1A\x1b[2K desk-02 is fine \u202e"


def said(tmp_path: Path, answer: dict[str, object], pipelining: bool = True) -> str:
    """What stands on the terminal when a desk answers so to a module of ours, whose shell says the same of a folder to be removed."""
    python, shell, words = (tmp_path / name for name in ("python", "shell", "words"))
    words.write_text(STEERED, encoding="utf-8")
    python.write_text(f"#!/bin/sh\ncat > /dev/null\ncat <<'END'\n{json.dumps(answer)}\nEND\n", encoding="utf-8")
    shell.write_text(f'#!/bin/sh\ncase "$2" in *"rm -f -r"*) cat {words} >&2; exit 1 ;; esac\nexec /bin/sh "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    shell.chmod(0o755)
    desk = {"ansible_connection": "local", "ansible_python_interpreter": str(python), "ansible_shell_executable": str(shell)}
    (tmp_path / "hosts.yml").write_text(json.dumps({"spark_desks": {"hosts": {"desk-01": desk}}}), encoding="utf-8")
    more = {"ANSIBLE_PIPELINING": str(pipelining), "ANSIBLE_REMOTE_TMP": str(tmp_path / "remote")}
    return printed(tmp_path, "ansible", "-i", "hosts.yml", "desk-01", "-m", "labops.dgx_spark.cx7_cable", **more)


def printed(folder: Path, program: str, *arguments: str, **more: str) -> str:
    """What a program of Ansible's prints."""
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_CONFIG": str(folder / "none.cfg"),
        **more,
    }
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment, cwd=folder)
    return done.stdout + done.stderr


WARNINGS = {"warnings": [STEERED, {"__ansible_type": "WarningSummary", "event": {"__ansible_type": "Event", "msg": STEERED}}]}
DEPRECATIONS = {"deprecations": [{"msg": STEERED, "version": "9.9"}]}


@pytest.mark.parametrize("more", [WARNINGS, DEPRECATIONS], ids=["warnings", "deprecations"])
@pytest.mark.parametrize("failed", [True, False], ids=["admitted", "refused"])
def test_warnings_of_a_module_steer_no_terminal(tmp_path: Path, failed: bool, more: dict[str, object]) -> None:
    """An answer that failed passes with its words, one that lacks what is documented does not pass at all."""
    told = said(tmp_path, {"changed": False, "failed": failed, "msg": "it is so", "findings": [], **more})
    assert STEERS.search(told) is None, told
    assert ("it is so" in told) is failed and ("DESK_ANSWER_INVALID" in told) is not failed
    assert ("copied" in told) is (failed and "warnings" in more), told


def test_a_command_that_fails_steers_no_terminal(tmp_path: Path) -> None:
    """Ansible warns of a folder that it could not remove, with the desk's own words."""
    told = said(tmp_path, {"changed": False, "failed": True, "msg": "it is so", "findings": []}, pipelining=False)
    assert "Error deleting remote temporary files" in told and "copied" in told
    assert STEERS.search(told) is None, told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("history",), "left out: "),
        (("report", "-e", "report_runs=none"), "'none' is not a run in "),
        (("report", "-e", "report_runs=last"), "is not JSON"),
    ],
)
def test_the_name_of_a_folder_that_somebody_sent_steers_no_terminal(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    """It is told where the report in it cannot be read, and it may hold what it likes, also the end of a line."""
    folder = tmp_path / "reports" / f"20260101T000000Z-0000 {STEERED}\nforged"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text("{", encoding="utf-8")
    name, *more = arguments
    told = printed(tmp_path, "ansible-playbook", "-i", "localhost,", f"labops.dgx_spark.{name}", *more)
    assert words in told and "copied" in told and STEERS.search(told) is None, told
    assert not [line for line in told.splitlines() if line.startswith("forged")]
