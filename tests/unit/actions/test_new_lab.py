"""A new lab's folder: what is written, what is left alone, and that Ansible takes it as it is."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.lab_sheet import host_variables, read
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.new_lab import SETTINGS, as_yaml
from house import ROOT
from scripted_action import Script

FILES = ["inventory/lab.desks.csv", "inventory/group_vars/spark_desks.yml", "ansible.cfg", ".gitignore"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new_lab(check_mode: bool = False, **arguments: Any) -> tuple[dict[str, Any], str]:
    script = Script("new_lab", arguments, check_mode=check_mode)
    return script.run("localhost"), "\n".join(script.shown)


def test_it_writes_what_is_missing_and_says_three_commands(here: Path) -> None:
    result, said = new_lab(user="ada")
    assert (result["changed"], result["created"], result["kept"]) == (True, FILES, [])
    assert (here / "inventory/group_vars/spark_desks.yml").read_text(encoding="utf-8").endswith("ansible_user: ada\n")
    assert [line.split()[1] for line in said.splitlines() if line.startswith("  $ ")] == ["ansible-inventory", *["ansible-playbook"] * 2]
    assert "labops.dgx_spark.enrol" in said and "labops.dgx_spark.audit" in said


def test_a_file_that_is_there_is_never_touched(here: Path) -> None:
    (here / "ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
    (here / ".gitignore").symlink_to(here / "elsewhere")
    result, said = new_lab()
    assert result["kept"] == ["ansible.cfg", ".gitignore"] and result["created"] == FILES[:2]
    assert (here / "ansible.cfg").read_text(encoding="utf-8") == "[defaults]\n" and not (here / "elsewhere").exists()
    assert "already exists, unchanged" in said
    again, _said = new_lab()
    assert (again["changed"], again["created"], again["kept"]) == (False, [], FILES)


def test_check_mode_writes_nothing(here: Path) -> None:
    result, said = new_lab(check_mode=True)
    assert result["changed"] and "would write" in said and list(here.iterdir()) == []


def test_another_folder_is_entered_first(here: Path) -> None:
    result, said = new_lab(folder="my lab", sheet="yaml")
    assert result["folder"] == str(here / "my lab") and (here / "my lab/inventory/lab.desks.yml").is_file()
    assert f"  $ cd '{here / 'my lab'}'" in said and "inventory/lab.desks.yml" in said


@pytest.mark.parametrize(("arguments", "words"), [({"user": "Ada L"}, "Ada L"), ({"folder": "file/x"}, "cannot be written")])
def test_what_cannot_be_done_is_refused(here: Path, arguments: dict[str, str], words: str) -> None:
    (here / "file").write_text("", encoding="utf-8")
    with pytest.raises(AnsibleActionFail, match=words):
        new_lab(**arguments)
    assert sorted(path.name for path in here.iterdir()) == ["file"]


def test_the_settings_are_those_of_the_checkout() -> None:
    checkout = configparser.ConfigParser()
    checkout.read(ROOT / "ansible.cfg")
    known = {section: dict(checkout[section]) for section in checkout.sections()}
    assert known["defaults"].pop("collections_path") == ".collections"
    assert {**known["defaults"], "inventory": "inventory"} == SETTINGS["defaults"]
    assert {name: known[name] for name in ("connection", "inventory")} == {name: SETTINGS[name] for name in ("connection", "inventory")}


def test_both_samples_have_the_same_desks() -> None:
    text = (ROOT / "inventories/lab/lab.desks.csv").read_text(encoding="utf-8")
    one, other = read(text, "lab.desks.csv", "csv"), read(as_yaml(text), "lab.desks.yml", "yaml")
    assert [host_variables(entry, one) for entry in one.desks] == [host_variables(entry, other) for entry in other.desks]
    assert one.pairs == other.pairs and len(one.pairs) == 2


@pytest.mark.parametrize("sheet", ["csv", "yaml"])
def test_ansible_takes_the_folder_as_it_is(here: Path, sheet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests' own way to the collection, which no other process has.
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(ROOT / ".collections")])
    new_lab(sheet=sheet)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    command = [str(Path(sys.executable).with_name("ansible-inventory")), "--graph"]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0 and "@pair_a" in done.stdout and "WARNING" not in done.stderr, done.stderr
