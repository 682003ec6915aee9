"""A playbook that reaches no desk ends with the reason and not with success: asked of Ansible itself, on both versions."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible import context
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.utils.context_objects import CLIArgs
from ansible_collections.labops.dgx_spark.plugins.lookup.scope import LookupModule
from house import OFFLINE, PLAYBOOK_NAMES, PLAYBOOKS, ROOT, load

PATTERN = ["~spark_(desks|pairs|stacks)$"]
GROUPS = {
    "all": ["desk-01", "desk-02", "desk-09"],
    "ungrouped": [],
    "spark_desks": ["desk-09"],
    "pair_a": ["desk-01", "desk-02"],
    "spark_pairs": ["desk-01", "desk-02"],
}


def scope(groups: dict[str, list[str]], limit: str | None = None, sources: tuple[str, ...] = ("/lab/hosts.yml",)) -> list[str]:
    lookup = LookupModule(loader=DataLoader(), templar=None)
    variables: dict[str, Any] = {"groups": groups, "ansible_inventory_sources": sources}
    if limit:
        variables["ansible_limit"] = limit
    return list(lookup.run([], variables))


@pytest.mark.parametrize(
    "limit", [None, "desk-01", "pair_a", "desk-0*", "all", "desk-09:desk-01", "!desk-01", "spark_pairs:&pair_a", "~desk-0[12]", "all[0]"]
)
def test_a_run_with_a_desk_in_scope_goes_on(limit: str | None) -> None:
    assert scope(GROUPS, limit) == PATTERN


@pytest.mark.parametrize("limit", ["desk-77", "pair_b", "!all", "desk-01:!desk-01", "localhost", "pair_a:&spark_desks"])
def test_a_limit_that_leaves_no_desk_is_refused(limit: str) -> None:
    with pytest.raises(AnsibleError) as refused:
        scope(GROUPS, limit)
    for word in ("No desk was touched", limit, "3 desks", "desk-01"):
        assert word in str(refused.value)


@pytest.mark.parametrize(
    "groups", [{}, {"all": [], "ungrouped": []}, {"all": ["web-1"], "ungrouped": ["web-1"]}, {"all": [], "spark_desks": []}]
)
def test_an_inventory_without_desks_is_refused(groups: dict[str, list[str]]) -> None:
    with pytest.raises(AnsibleError) as refused:
        scope(groups)
    for word in ("No desk was touched", "/lab/hosts.yml", "spark_desks", "spark_pairs"):
        assert word in str(refused.value)


def test_a_lab_sheet_that_was_read_as_host_names_is_recognised() -> None:
    lines = ["name,address,pair", "desk-01,10.0.0.11,pair_a"]
    with pytest.raises(AnsibleError) as refused:
        scope({"all": lines, "ungrouped": lines}, sources=("/lab/lab.desks.csv",))
    for word in ("labops.dgx_spark.desks", "enable_plugins", "lab.desks.csv"):
        assert word in str(refused.value)


@pytest.mark.parametrize("listing", ["listhosts", "listtasks", "listtags", "syntax"])
def test_looking_at_a_playbook_needs_no_desks(monkeypatch: pytest.MonkeyPatch, listing: str) -> None:
    monkeypatch.setattr(context, "CLIARGS", CLIArgs({listing: True}))
    assert scope({}) == PATTERN


# ---- through ansible-playbook ------------------------------------------------------------------------------------------

INVENTORY = """
spark_pairs:
  children:
    pair_a:
      hosts:
        desk-01: {ansible_connection: local}
        desk-02: {ansible_connection: local}
spark_desks:
  hosts:
    desk-09: {ansible_connection: local}
web:
  hosts:
    web-1: {ansible_connection: local}
"""
PLAYBOOK = """
- name: Begin
  hosts: "{{ lookup('labops.dgx_spark.scope') }}"
  gather_facts: false
  tasks:
    - name: Begin
      labops.dgx_spark.spark_run: {phase: begin, playbook: audit}
      run_once: true
      register: spark_plan
- name: Work
  hosts: ~spark_(desks|pairs|stacks)$
  gather_facts: false
  tasks:
    - name: Say who is here
      ansible.builtin.debug: {msg: "HERE {{ inventory_hostname }} of {{ spark_plan.members | length }}"}
"""
VENVS = [name for name in (".venv", ".venv-core219") if (ROOT / name / "bin/ansible-playbook").exists()]


def play(venv: str, folder: Path, *arguments: str, playbook: str | None = None, **environment: str) -> tuple[int, str]:
    """Exit code and output of ansible-playbook in an empty folder, with the collection but without its ansible.cfg."""
    (folder / "hosts.yml").write_text(INVENTORY, encoding="utf-8")
    (folder / "own.yml").write_text(PLAYBOOK, encoding="utf-8")
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    done = subprocess.run(
        [str(ROOT / venv / "bin/ansible-playbook"), playbook or "own.yml", *arguments],
        cwd=folder,
        env={**clean, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"), "HOME": str(folder), "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("venv", VENVS)
def test_ansible_goes_on_with_a_desk_in_scope(tmp_path: Path, venv: str) -> None:
    code, said = play(venv, tmp_path, "-i", "hosts.yml", "--limit", "pair_a:!desk-02")
    assert code == 0 and "HERE desk-01 of 3" in said and "HERE desk-02" not in said and "HERE desk-09" not in said
    assert len(list((tmp_path / "reports").glob("*/run.json"))) == 1


@pytest.mark.parametrize("venv", VENVS)
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-i", "hosts.yml", "--limit", "desk-77"), "desk-77"),
        (("-i", "hosts.yml", "--limit", "pair_a:!pair_a"), "no hosts to target"),
        (("-i", "hosts.yml", "--limit", "web-1"), "--limit web-1 leaves none of the 3 desks"),
        (("-i", "empty.yml"), "has no host in group spark_desks"),
        (("-i", "lab.desks.csv"), "labops.dgx_spark.desks"),
        ((), "has no host in group spark_desks"),
    ],
    ids=["limit", "limit-minus", "limit-other", "empty", "sheet", "none"],
)
def test_ansible_ends_with_the_reason_when_no_desk_is_in_scope(tmp_path: Path, venv: str, arguments: tuple[str, ...], told: str) -> None:
    (tmp_path / "empty.yml").write_text("all: {hosts: {}}\n", encoding="utf-8")
    (tmp_path / "lab.desks.csv").write_text("name,address,pair\ndesk-01,10.0.0.11,pair_a\ndesk-02,10.0.0.12,pair_a\n", encoding="utf-8")
    code, said = play(venv, tmp_path, *arguments)
    assert code != 0 and told in said and "HERE" not in said and not (tmp_path / "reports").exists()


@pytest.mark.parametrize("name", sorted(set(PLAYBOOK_NAMES) - OFFLINE))
def test_every_playbook_of_ours_ends_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.yml").write_text("all: {hosts: {}}\n", encoding="utf-8")
    more = ("-e", "desk=desk-01") if name == "lock_from" else ()
    code, said = play(VENVS[0], tmp_path, "-i", "empty.yml", *more, playbook=f"labops.dgx_spark.{name}")
    assert code != 0 and "No desk was touched" in said


@pytest.mark.parametrize("name", sorted(OFFLINE))
def test_a_playbook_about_earlier_runs_knows_no_desk(name: str) -> None:
    (play_,) = load(PLAYBOOKS / f"{name}.yml")
    assert (play_["hosts"], play_["connection"], play_["gather_facts"]) == ("localhost", "local", False)
    assert len(play_["tasks"]) == 1 and "roles" not in play_
