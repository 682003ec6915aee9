"""What a public forge runs and asks for fits the project."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.check_links import ROOT, TARGET

FORGE = ROOT / ".github"
WORKFLOWS = sorted((FORGE / "workflows").glob("*.yml"))
TARGETS = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def called(job: dict[str, Any]) -> set[str]:
    """The make targets of a job, those of its matrix included."""
    words = [word for step in job["steps"] for word in re.findall(r"\bmake ([a-z][a-z -]*)", step.get("run", ""))]
    words += job.get("strategy", {}).get("matrix", {}).get("targets", [])
    return {target for line in words for target in line.split()}


def test_there_are_workflows() -> None:
    assert WORKFLOWS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_calls_make_targets_that_exist_and_actions_by_commit(path: Path) -> None:
    jobs = read(path)["jobs"]
    assert read(path)["permissions"] == {"contents": "read"}
    assert set().union(*(called(job) for job in jobs.values())) <= TARGETS
    uses = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert uses and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", item) for item in uses), uses


def test_the_forge_runs_everything_that_make_test_runs() -> None:
    (line,) = re.findall(r"^test: (.*?) ##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    run = set().union(*(called(job) for path in WORKFLOWS for job in read(path)["jobs"].values()))
    assert set(line.split()) <= run


def test_the_matrix_has_every_core_that_is_supported() -> None:
    wanted = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    low, high = re.findall(r"^ansible-core>=2\.(\d+),<2\.(\d+)$", wanted, re.MULTILINE)[0]
    rows = read(FORGE / "workflows/checks.yml")["jobs"]["combination"]["strategy"]["matrix"]["include"]
    assert {row["core"] for row in rows} == {f"2.{minor}" for minor in range(int(low), int(high))}
    assert read(ROOT / "meta/runtime.yml")["requires_ansible"] == f">=2.{low}.0"


def test_a_report_about_a_desk_asks_for_a_recording() -> None:
    fields = {item.get("id"): item for item in read(FORGE / "ISSUE_TEMPLATE/desk.yml")["body"]}
    assert fields["recording"]["validations"]["required"] is True
    assert "playbooks/record.yml" in fields[None]["attributes"]["value"]


def test_hooks_before_a_commit_are_the_projects_own() -> None:
    for repository in read(ROOT / ".pre-commit-config.yaml")["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            program, *words = hook["entry"].split()
            assert program.startswith(".venv/bin/") or (program == "make" and words[0] in TARGETS)
            assert all((ROOT / word).exists() for word in words if word.startswith("tools/"))


def test_what_git_leaves_out_is_in_no_tarball() -> None:
    """A tarball that is built in a folder of work would hold recordings of desks, environments and the like."""
    ignored = read(ROOT / "galaxy.yml")["build_ignore"]
    local = [line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()]
    # ansible-galaxy leaves out what Python compiled by itself.
    kept = [name for name in local if name not in ("__pycache__", "*.pyc") and not any(fnmatch(name, item) for item in ignored)]
    assert [name for name in kept if name.split("/")[0] not in ignored] == []
