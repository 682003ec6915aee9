# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wish that a playbook alone reads is refused, by its name where the admin gave none, before any desk is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile_lab import facts_of
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
