# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login begins in the user's home, and Python that reads its program from standard input takes modules from where it is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase
from house import ROOT
from scripted_action import Script

TRAP = "import sys\nopen({mark!r}, 'a').write('ran\\n')\nraise SystemExit(1)\n"
NAMES = ("__future__", "datetime", "resource", "base64", "shutil", "tempfile", "zipfile", "json", "os")


def test_a_module_takes_nothing_from_the_folder_that_the_login_began_in(tmp_path: Path) -> None:
    home, mark = tmp_path / "home", tmp_path / "ran"
    home.mkdir()
    for name in NAMES:
        (home / f"{name}.py").write_text(TRAP.format(mark=str(mark)), encoding="utf-8")
    (home / "play.yml").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [{"labops.dgx_spark.spark_facts": {"gather_subset": ["memory"]}}]}]),
        encoding="utf-8",
    )
    settings = {"ansible_connection": "local", "ansible_pipelining": True, "ansible_python_interpreter": sys.executable}
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"), "ANSIBLE_HOME": str(tmp_path / "ansible")}
    command = [program, "-i", "desk-01,", "-e", json.dumps(settings), str(home / "play.yml")]
    answer = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert not mark.exists(), answer.stdout + answer.stderr
    assert answer.returncode == 0, answer.stdout + answer.stderr


class Builtin(ActionBase):
    """What Ansible's reboot does on a desk: commands, and modules in the same way."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        del tmp, task_vars
        self._low_level_execute_command("shutdown -r now", sudoable=False)
        return {"rebooted": True}


def test_commands_of_a_reboot_begin_in_the_root_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str]] = []
    script = Script("desk_reboot")
    script.action._task = SimpleNamespace(**vars(script.task), copy=lambda: script.task)
    builtin = Builtin(script.task, script.connection, None, None, None, None)
    monkeypatch.setattr(builtin, "_low_level_execute_command", lambda command, chdir="", **_more: said.append((chdir, command)))
    script.action._shared_loader_obj = SimpleNamespace(action_loader=SimpleNamespace(get=lambda _name, **_more: builtin))
    assert script.action.reboot(60, {}) == ""
    assert said == [("/", "shutdown -r now")]
