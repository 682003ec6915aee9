"""A job of ansible-runner, as AWX starts it: nobody to ask, answers of a survey as texts, the verdict as an artifact."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from hostile_lab import facts_of
from house import ROOT
from scripted_lab import ScriptedLab

runner = pytest.importorskip("ansible_runner", reason="ansible-runner is not installed (requirements-dev.txt names it)")

DESKS = ("desk-01", "desk-02")


def healthy(desk: str) -> dict[str, Any]:
    return {"spark_facts": facts_of(desk)}


def job(folder: Path, playbook: str, lab: ScriptedLab, **survey: Any) -> tuple[Any, dict[str, Any]]:
    """A finished job and its artifacts (``set_stats``, as AWX hands them on in a workflow)."""
    for name in ("project", "inventory", "env"):
        (folder / "job" / name).mkdir(parents=True, exist_ok=True)
    (folder / "job/inventory/hosts.yml").write_text((folder / "hosts.yml").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "job/env/extravars").write_text(json.dumps({"ansible_become": False, **survey}), encoding="utf-8")
    own = {
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_INJECT_FACT_VARS": "False",
        # A job's folder is thrown away; what shall stay has a place of its own.
        "PATH": f"{Path(os.sys.executable).parent}:{os.environ['PATH']}",  # type: ignore[attr-defined]
    }
    # It gives a job a terminal of its own, so that a question would wait for ever: hence the time limit.
    done = runner.run(private_data_dir=str(folder / "job"), playbook=playbook, envvars=own, quiet=True, timeout=120)
    del lab
    stats = [event["event_data"] for event in done.events if event["event"] == "playbook_on_stats"]
    return done, (stats[-1].get("artifact_data") or {}) if stats else {}


def test_the_verdict_is_an_artifact_and_the_report_lies_where_it_was_wanted(tmp_path: Path) -> None:
    lab = ScriptedLab(tmp_path, {desk: healthy(desk) for desk in DESKS}, {"pair_a": DESKS})
    kept = tmp_path / "persistent"
    done, artifacts = job(tmp_path, "labops.dgx_spark.audit", lab, spark_report_dir=str(kept), spark_show_notes="no")
    assert (done.status, done.rc) == ("successful", 0), done.stdout.read()
    told = artifacts["dgx_spark"]
    assert told["verdict"] == "PASS" and told["playbook"] == "audit" and told["report"].startswith(str(kept))
    assert (Path(told["report"]) / "report.json").is_file()


def test_a_failed_job_has_its_counts(tmp_path: Path) -> None:
    def sick(desk: str) -> dict[str, Any]:
        found = finding("DRIVER_BRANCH_WRONG", Where(desk=desk), f"{desk}: branch 590").as_dict()
        return {"spark_facts": {**facts_of(desk), "findings": [found]}}

    lab = ScriptedLab(tmp_path, {"desk-01": sick("desk-01"), "desk-02": healthy("desk-02")}, {"pair_a": DESKS})
    done, artifacts = job(tmp_path, "labops.dgx_spark.audit", lab, spark_report_dir=str(tmp_path / "kept"))
    assert done.status == "failed" and done.rc == 2
    told = artifacts["dgx_spark"]
    assert told["verdict"] == "FAIL" and told["counts"] == {"FAIL": 1} and [desk["name"] for desk in told["desks"]] == ["desk-01"]


def test_a_survey_answers_in_texts(tmp_path: Path) -> None:
    lab = ScriptedLab(tmp_path, {desk: healthy(desk) for desk in DESKS}, {"pair_a": DESKS})
    done, _artifacts = job(tmp_path, "labops.dgx_spark.audit", lab, spark_report_dir=str(tmp_path / "kept"), spark_certificates="perhaps")
    assert done.status == "failed" and "spark_certificates" in done.stdout.read() and lab.asked == []


def test_isolate_ends_at_once_where_nobody_can_answer(tmp_path: Path) -> None:
    lab = ScriptedLab(tmp_path, {desk: healthy(desk) for desk in (*DESKS, "desk-03")}, {"pair_a": DESKS})
    survey = {"isolate_pair": "pair_a", "isolate_good": "desk-03", "isolate_confirm": "true"}
    done, _artifacts = job(tmp_path, "labops.dgx_spark.isolate", lab, spark_report_dir=str(tmp_path / "kept"), **survey)
    assert done.status == "failed" and "isolate_moved=as_it_is" in done.stdout.read() and lab.asked == []
