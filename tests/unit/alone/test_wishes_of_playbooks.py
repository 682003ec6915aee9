# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wish that a playbook alone reads is refused, by its name where the admin gave none, before any desk is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from hostile_lab import facts_of
from house import ROOT
from scripted_lab import ScriptedLab


@pytest.mark.parametrize(
    ("playbook", "variables", "words"),
    [
        ("isolate", {}, "isolate_pair is"),
        ("isolate", {"isolate_pair": "pair_a"}, "isolate_good is"),
        ("isolate", {"isolate_pair": "pair_a", "isolate_good": "desk-03", "isolate_confirm": "perhaps"}, "perhaps"),
        ("isolate", {"isolate_pair": "pair_a", "isolate_good": "desk-03", "isolate_trials": "some"}, "some"),
        ("isolate", {"isolate_pair": "pair_a", "isolate_good": "desk-03", "isolate_trials": "0"}, "isolate_trials is 0"),
        ("isolate", {"isolate_pair": "pair_a", "isolate_good": "desk-03", "isolate_moved": "elsewhere"}, "elsewhere"),
        ("calibrate", {"calibrate_runs": "many"}, "calibrate_runs is many"),
        ("calibrate", {"calibrate_runs": "2"}, "calibrate_runs 2 for 1 stack would give 2 measurements"),
        ("stack_pair", {"pair_proof_nccl_time_limit": "ten minutes"}, "pair_proof_nccl_time_limit is"),
        ("stack_pair", {"pair_link_subnets": "10.7.0.0/24"}, "pair_link_subnets has 1 network(s)"),
        ("stack_pair", {"pair_link_subnets": "10.7.0.1/24,10.7.1.0/24"}, "'10.7.0.1/24' is not an IPv4 network"),
        ("stack_pair", {"pair_link_subnets": "10.7.0.0/16,10.7.1.0/24"}, "pair_link_subnets: 10.7.0.0/16 and 10.7.1.0/24 overlap"),
        ("stack_pair", {"pair_link_head_host": "11"}, "pair_link_head_host and pair_link_peer_host are both 11"),
        ("stack_pair", {"pair_link_subnets": "10.7.0.0/30,10.7.0.4/30"}, "host number 10 does not fit 10.7.0.0/30"),
    ],
)
def test_a_wrong_wish_asks_no_desk(tmp_path: Path, playbook: str, variables: dict[str, str], words: str) -> None:
    desks = ("desk-01", "desk-02", "desk-03")
    lab = ScriptedLab(tmp_path, {desk: {"spark_facts": facts_of(desk)} for desk in desks}, {"pair_a": desks[:2]})
    done = lab.play(f"labops.dgx_spark.{playbook}", **variables)
    told = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2 and words in told, told[-1500:]
    assert lab.asked == []


def test_a_desk_of_a_newer_major_version_is_told_once_and_nothing_is_changed(tmp_path: Path) -> None:
    """The lock refuses, so the cables are not asked: that is no second cause, and no reason to become root."""
    desks = ("desk-01", "desk-02")
    answers = {desk: facts_of(desk) for desk in desks}
    for answer in answers.values():
        spark = answer["ansible_facts"]["spark"]
        spark["dgx_os"]["version"] = "8.1.0"
        spark["driver"].update(persistenced_active=False, persistenced_state="inactive")
    lab = ScriptedLab(tmp_path, {desk: {"spark_facts": answers[desk]} for desk in desks}, {"pair_a": desks})
    done = lab.play("labops.dgx_spark.stack_pair", persistenced_repair=True)
    told = " ".join(done.stdout.split())
    assert done.returncode == 2 and {module for _desk, module in lab.asked} == {"spark_facts"}, told[-3000:]
    assert "desk-01 + desk-02 - - DGX_OS_RULES_UNKNOWN (+" in told, told[-3000:]
    assert told.count("UNKNOWN DGX_OS_RULES_UNKNOWN:") == 1 and "UNKNOWN CABLE_NOT_SEEN:" not in told and "become" not in told


@pytest.mark.parametrize(("version", "asked"), [("8.1.0", False), ("7.6.0", True)])
def test_the_daemon_of_a_newer_major_version_is_left_as_it_is(tmp_path: Path, version: str, asked: bool) -> None:
    answer = facts_of("desk-01")
    spark = answer["ansible_facts"]["spark"]
    spark["dgx_os"]["version"] = version
    spark["driver"].update(persistenced_active=False, persistenced_state="inactive")
    answer["findings"] = [item.as_dict() for item in judge(from_dict(Desk, spark), Where(desk="desk-01"), JudgeOptions(purpose="onboard"))]
    lab = ScriptedLab(tmp_path, {"desk-01": {"spark_facts": answer, "persistenced": {"changed": True, "findings": []}}})
    lab.play(ROOT / "docs/examples/persistenced.yml", persistenced_repair=True)
    assert (("desk-01", "persistenced") in lab.asked) is asked
