"""Desks that answer from a list to a real ansible-playbook: in place of Python on a desk stands a program that says what a module would.

All that is before and behind that program is real: roles, argument specs, actions, the gate for answers, the console, the exit code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from house import ROOT

Answers = Mapping[str, Mapping[str, Any]]
"""Desk to module (its last name) to its answer, or to a list of answers, the last of which repeats."""

PROGRAM = """#!{python}
import json, pathlib, re, sys
source = pathlib.Path(sys.argv[1]).read_text() if len(sys.argv) > 1 and sys.argv[1] != "-" else sys.stdin.read()
module = re.search(r"plugins[./]modules[./]([a-z0-9_]+)|ansible[./]modules[./]([a-z0-9_]+)", source)
name = module[1] or module[2]
with open("{folder}/asked", "a") as asked:
    asked.write("{desk} " + name + "\\n")
answers = json.loads(pathlib.Path("{folder}/{desk}.json").read_text()).get(name)
if answers is None:
    answers = [{{"failed": True, "msg": "no answer is scripted for " + name + " on {desk}"}}]
count = pathlib.Path("{folder}/asked").read_text().split("\\n").count("{desk} " + name)
print(json.dumps(answers[min(count, len(answers)) - 1]))
"""


class ScriptedLab:
    """An inventory of such desks in a folder."""

    def __init__(self, folder: Path, answers: Answers, pairs: Mapping[str, Sequence[str]] | None = None) -> None:
        self.folder = folder
        paired = {desk for members in (pairs or {}).values() for desk in members}
        hosts = {}
        for desk, modules in answers.items():
            listed = {name: answer if isinstance(answer, list) else [answer] for name, answer in modules.items()}
            (folder / f"{desk}.json").write_text(json.dumps(listed), encoding="utf-8")
            program = folder / f"python_of_{desk}"
            program.write_text(PROGRAM.format(python=sys.executable, folder=folder, desk=desk), encoding="utf-8")
            program.chmod(0o755)
            hosts[desk] = {
                "ansible_connection": "local",
                "ansible_host": f"192.0.2.{len(hosts) + 1}",
                "ansible_python_interpreter": str(program),
            }
        tree: dict[str, Any] = {"spark_desks": {"hosts": hosts}}
        if paired:
            tree["spark_pairs"] = {"children": {pair: {"hosts": {desk: {} for desk in desks}} for pair, desks in (pairs or {}).items()}}
        (folder / "hosts.yml").write_text(yaml.safe_dump(tree), encoding="utf-8")

    def play(self, playbook: Path | str, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """ansible-playbook in the folder, without becoming root."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "home/tmp"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_INJECT_FACT_VARS": "false",
            "COLUMNS": "200",
        }
        extra = json.dumps({"ansible_become": False, "ansible_pipelining": True, **variables})
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        command = [program, "-i", str(self.folder / "hosts.yml"), "-e", extra, str(playbook), *arguments]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=300)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Desk and module of every execution, in the order of their ends."""
        path = self.folder / "asked"
        lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
        return [(line.split()[0], line.split()[1]) for line in lines if line]
