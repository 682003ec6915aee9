"""Runs rdma_pair and nccl_pair on pair_a as the role does, with the two ends that the scenario's own stack_pair.yml found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from desks import LAB, ROOT, as_root, newest_report

sys.path.insert(0, str(ROOT / ".collections"))

from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.endpoints import path_ends
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Stack
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import RunStore

HEAD, PEER = "desk-01", "desk-02"
OURS = ("ib_write", "all_gather_perf", "all_reduce_perf", "mpirun", "prterun", "prted", "orted", "dgx_spark_program", "ssh -F none")


def ends() -> dict[str, Any]:
    """Arguments of the modules: both ends of pair_a's cable."""
    folder = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "reports" / newest_report()["run"]["id"]
    found = path_ends(RunStore(folder), Stack("pair_a", (HEAD, PEER)).paths[0])
    return {"pair": "pair_a", "user": "labadmin", "run_id": "molecule", "head": as_dict(found[0]), "peer": as_dict(found[1])}


def command(what: str, **options: Any) -> tuple[list[str], dict[str, str]]:
    """The ad hoc call of a measurement."""
    arguments = {**ends(), **({"seconds": 1} if what == "rdma" else {}), **options}
    argv = [str(Path(sys.executable).parent / "ansible"), "-i", str(ROOT / "inventories/simulated"), HEAD, "-b"]
    argv += ["-m", f"labops.dgx_spark.{what}_pair", "-a", json.dumps(arguments)]
    environment = {
        **os.environ,
        "LAB": LAB,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_TIMEOUT": "60",
        # molecule asks for colours, which would stand between the brackets of the JSON.
        "ANSIBLE_FORCE_COLOR": "false",
        "ANSIBLE_NOCOLOR": "true",
    }
    return argv, environment


def measure(what: str, **options: Any) -> dict[str, Any]:
    """The result of a measurement."""
    argv, environment = command(what, **options)
    answer = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=600, check=False)
    return result_of(answer.stdout + answer.stderr)


def begin(what: str, **options: Any) -> subprocess.Popen[str]:
    """A measurement that runs while the test does something to it."""
    argv, environment = command(what, **options)
    return subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def result_of(text: str) -> dict[str, Any]:
    """The JSON result in ansible's output."""
    begun = text.find("=> {")
    assert begun >= 0, text[-2000:]
    result: dict[str, Any] = json.JSONDecoder().raw_decode(text[begun + 3 :])[0]
    return result


def codes(result: dict[str, Any]) -> dict[str, str]:
    """Code to severity."""
    return {item["code"]: item["severity"] for item in result["findings"]}


def running(desk: str) -> list[str]:
    """Processes of a measurement on a desk."""
    lines = as_root(desk).check_output("ps -eo pid,args").splitlines()
    return [line for line in lines if any(word in line for word in OURS) and "defunct" not in line]


def wait_until_running(desk: str, word: str, patience: float = 60.0) -> None:
    """Wait for a process of a measurement."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if any(word in line for line in running(desk)):
            return
        time.sleep(1)
    raise AssertionError(f"no {word} on {desk} within {patience:.0f} s")


def assert_nothing_left(patience: float = 60.0) -> None:
    """Nothing of a measurement runs on either desk any more, and its files and units are gone."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and (running(HEAD) or running(PEER)):
        time.sleep(2)
    for desk in (HEAD, PEER):
        assert running(desk) == []
        assert as_root(desk).run("systemctl list-units --all --no-legend 'dgx-spark-rdma-*' 'dgx-spark-nccl-*'").stdout.strip() == ""
        assert as_root(desk).run("ls -d /tmp/dgx-spark-*").rc != 0
