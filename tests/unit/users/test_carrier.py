"""A program of ours as one text: loaded from a folder or a zip, whole, isolated, without anything of the collection beside it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import side
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import link_carried
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs import carrier, pair_check, user_files
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import enrolment

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = {
    "link": link_carried.program(),
    "agent": side.program(),
    "enrolment": enrolment.PROGRAM,
    "user's files": carrier.text([user_files]),
    "pair-check": carrier.script(pair_check),
}


def run(program: str, rest: str, before: str = "", words: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, *carrier.argv(*words)[1:]]
    return subprocess.run(argv, input=before + carrier.feed(program, rest), capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_is_plain_isolated_and_needs_only_the_standard_library(name: str) -> None:
    text = PROGRAMS[name]
    assert text.startswith("#!/usr/bin/python3 -I\n") and text.isascii()
    compile(text, name, "exec")
    assert "import ansible" not in text and "from ansible" not in text


def test_what_comes_before_the_program_is_passed_over() -> None:
    request = json.dumps({"op": "read", "paths": ["/nowhere"]})
    for before in ("", "the-password\n", "dgx\nspark\n"):
        told = run(PROGRAMS["user's files"], request, before)
        assert json.loads(told.stdout) == {"texts": [{"error": "missing"}]}, told.stderr


def test_without_a_program_nothing_is_run() -> None:
    argv = [sys.executable, *carrier.argv()[1:]]
    told = subprocess.run(argv, input="print('taken')\n", capture_output=True, text=True, check=False, timeout=30)
    assert told.returncode != 0 and told.stdout == ""


def test_the_command_is_one_line_that_every_login_shell_takes_as_it_is() -> None:
    boot = carrier.argv()[-1]
    assert not set("'\n!`$\\") & set(boot)


def test_a_program_is_made_alike_from_inside_the_zip_that_ansible_sends(tmp_path: Path) -> None:
    package = "ansible_collections/labops/dgx_spark/plugins/module_utils"
    archive = tmp_path / "payload.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for place in (
            "ansible_collections",
            "ansible_collections/labops",
            "ansible_collections/labops/dgx_spark",
            package.rpartition("/")[0],
        ):
            file.writestr(f"{place}/__init__.py", "")
        for path in (ROOT / "plugins/module_utils").rglob("*.py"):
            file.write(path, f"{package}/{path.relative_to(ROOT / 'plugins/module_utils')}")
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        f"from {package.replace('/', '.')}.changes.link_carried import program\n"
        f"from {package.replace('/', '.')}.benchmarks import side\n"
        "print(program() + side.program(), end='')\n"
    )
    told = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == PROGRAMS["link"] + PROGRAMS["agent"]


def test_every_module_that_a_program_imports_is_in_it() -> None:
    """The link program's modules are listed by hand; one that is forgotten would be missed at the moment of the undo."""
    for module in link_carried.MODULES:
        importlib.import_module(module.__name__)
    told = run(link_carried.program(), "", words=("nonsense",))
    assert json.loads(told.stdout) == {"error": "unknown command 'nonsense'", "ok": False}, told.stderr
