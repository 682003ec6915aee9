"""What honest desks answer: facts and findings of every shipped recording, and results of each module made by its own code."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import settings
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.driver_lock import view
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_plan import state_of
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_result import functions_of
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.lock_model import LockView
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import Options, collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges import nccl, rdma
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import JudgeOptions, judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import CableProbe, Eeprom, Neighbour, ProbedFunction, ProbedPort
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where, verdict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.update import Change, Look
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recorded_desk import load
from proof_samples import ENDS, nccl_evidence, rdma_evidence

ROOT = Path(__file__).resolve().parents[3]
RECORDINGS = ROOT / "tests" / "recordings"
NAMES = sorted(path.parent.name for path in RECORDINGS.glob("*/recording.yml"))
TRANSCRIPTS = ROOT.parent / "shared" / "domain" / "transcripts"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHh0 lab@desk\n"


def wire(value: Any) -> Any:
    """As it comes out of a module's JSON."""
    return json.loads(json.dumps(value))


@functools.cache
def desk_of(name: str) -> Desk:
    """The facts of a recording."""
    recording, desk = load(RECORDINGS / name)
    return collect(desk, Options(login_user=recording.login_user))


def facts_answer(name: str = "founders_stacked", desk: str = "desk-01") -> dict[str, Any]:
    """What spark_facts answers on a recorded desk."""
    facts = desk_of(name)
    found = judge(facts, Where(pair="pair_a", desk=desk), JudgeOptions())
    answer = {
        "changed": False,
        "ansible_facts": {"spark": as_dict(facts)},
        "findings": [item.as_dict() for item in found],
        "processes": 3,
    }
    return dict(wire(answer))


def rdma_answer() -> dict[str, Any]:
    """What rdma_pair answers on the head of a good pair."""
    evidence = rdma_evidence()
    found = [item.as_dict() for item in rdma.judge("pair_a", ENDS, evidence)]
    found.append(finding("RDMA_SLOW", Where("pair_a", "desk-02"), "the peer").as_dict())
    more = {
        "changed": False,
        "findings": found,
        "verdict": verdict(item["severity"] for item in found),
        "run_id": "r",
        "options": {"seconds": 4},
    }
    return dict(wire({**more, **rdma.summary(ENDS, evidence)}))


def nccl_answer(text: str | None = None) -> dict[str, Any]:
    """What nccl_pair answers on the head, from a log."""
    evidence = nccl_evidence(text)
    used = settings.proven("pair_a", ENDS, settings.meeting(ENDS), "r")
    found = nccl.judge("pair_a", ENDS, evidence, iterations=20, warmups=5)
    environments = {desk: settings.values_of(item["pair_env"]) for desk, item in used["desks"].items()}
    answer = {
        "changed": False,
        "findings": [item.as_dict() for item in found],
        "verdict": "PASS",
        "run_id": "r",
        "settings": used,
        **nccl.summary(ENDS, evidence, iterations=20, warmups=5, environments=environments),
    }
    return dict(wire(answer))


def cable_answer(desk: str = "desk-01") -> dict[str, Any]:
    """What cx7_cable answers, with a neighbour of each kind."""
    seen = (
        Neighbour("4c:bb:47:00:00:01", "ipv6"),
        Neighbour(None, "lldp", "desk-02", "enp1s0f0np0", "4c:bb:47:00:00:02"),
        Neighbour("4c:bb:47:00:00:03", "frame", "desk-02", "0"),
    )
    functions = (ProbedFunction("enp1s0f0np0", "4c:bb:47:00:00:11", True, True, True, seen, ("ipv6",)),)
    ports = (ProbedPort(0, True, functions, Eeprom("Amphenol", "NJAAKK-N911", "A1", 0.4)),)
    return dict(wire({"changed": False, "cable": as_dict(CableProbe(desk, ports, True, True, True, True, "not_needed"))}))


def link_answer() -> dict[str, Any]:
    """What cx7_link answers after a change."""
    facts = desk_of("founders_stacked")
    functions = facts.cx7.functions
    state = state_of(facts, functions, [])
    answer = {
        "changed": True,
        "before": {"file": None, "functions": {}, "foreign_owners": []},
        "after": state,
        "commands": [["networkctl", "reload"]],
        "steps": ["write /etc/netplan/90-dgx-spark-link.yaml"],
        "functions": functions_of(facts, [item.netdev for item in functions if item.netdev]),
        "findings": [],
        "armed": True,
        "msg": "",
        "change_id": "0123456789ab",
        "confirm_within": 115,
        "diff": {"before_header": "link before", "after_header": "link after", "before": "", "after": str(state["file"])},
    }
    return dict(wire(answer))


def answers() -> dict[str, dict[str, Any]]:
    """Module to an honest answer, for every module that actions run on a desk."""
    found = finding("CONTAINER_GPU_OK", Where(desk="desk-01"), "desk-01: a container reaches the GPU").as_dict()
    lock = as_dict(LockView())
    assert view(LockView()) == lock
    given: dict[str, dict[str, Any]] = {
        "spark_facts": facts_answer(),
        "rdma_pair": rdma_answer(),
        "nccl_pair": nccl_answer(),
        "cx7_cable": cable_answer(),
        "cx7_link": link_answer(),
        "gpu_container": {"changed": False, "commands": [["docker", "run"]], "findings": [found]},
        "persistenced": {"changed": True, "commands": [["systemctl", "enable", "--now"]], "findings": []},
        "desk_reboot": {"changed": False, "rebooted": False, "reasons": [], "findings": []},
        "driver_lock": {"changed": True, "steps": ["hold"], "done": ["hold"], "commands": [["apt-mark", "hold", "x"]], "before": lock,
                        "after": lock, "findings": []},
        "desk_update": {"changed": True, "look": as_dict(Look((Change("libnccl2", "2.30.7-1+cuda13.0", "2.31.2-1+cuda13.0"),))),
                        "reboot": True, "kernel_after": "7.0.0-1019-nvidia", "phase": "installed", "commands": [["apt-get", "-y"]],
                        "findings": []},
        "pair_files": {"changed": True, "commands": [["ufw", "allow"]], "steps": ["write /etc/dgx_spark/trust.json"], "public_key": KEY},
        "pair_tools": {"changed": True, "added": ["perftest"], "removed": [], "commands": [["apt-get", "install"]]},
        "nccl_bundle": {"changed": True, "manifest": {"schema": "x", "files": {"bin/all_gather_perf": "0" * 64}}, "commands": [["make"]],
                        "sha256": "0" * 64, "archive": "/var/tmp/dgx-spark-handed-abcd_123/bundle.tar.gz"},
        "spark_record": {"changed": False, "recorded": "eJwrSa0oAQAEXQHB", "login_user": "lab"},
        "workload_check": {"changed": False, "told": "e30=", "findings": []},
    }  # fmt: skip
    return dict(wire(given))


ANSWERS = answers()
