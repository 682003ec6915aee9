"""Two pairs whose desks answer from a script, through Ansible's own reading of a module's output; one desk answers what a test wants.

The order of stages is that of stack_pair.yml. A task that raises or fails takes its desk out of a real run, so nothing here may.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import honest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.files import write_report
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Run
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, Part, RunStore
from sample_run import run_of
from scripted_action import Script

PAIRS = {"pair_a": ("desk-01", "desk-02"), "pair_b": ("desk-03", "desk-04")}
HOSTILE = "desk-02"
"""A peer: what it says must reach neither its head nor anybody else. A head where the module runs on heads alone."""
DESK_STAGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("facts", "spark_facts", {}),
    ("driver", "driver_lock", {}),
    ("tools", "pair_tools", {}),
    ("keys", "pair_trust", {"state": "keys"}),
    ("containers", "gpu_container", {"image": "cuda"}),
    ("cable", "cx7_cable", {}),
)
PAIR_STAGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("link", "cx7_link", {"pair": {"mtu": 1500}}),
    ("trust", "pair_trust", {"state": "present", "bootstrap": "management"}),
    ("rdma", "rdma_pair", {}),
    ("nccl", "nccl_pair", {}),
    ("settings", "pair_settings", {}),
)
Answers = Callable[[str, str, dict[str, Any]], str]
"""(desk, module, arguments) to the text on the module's standard output."""


def facts_of(desk: str) -> dict[str, Any]:
    """A recorded desk's answer as another member of a lab gives it: its own addresses, MACs, boot and management address."""
    number = int(desk[-2:])
    answer = honest.facts_answer("founders_stacked", desk)
    text = json.dumps(answer)
    if number % 2 == 0:
        text = text.replace("192.168.100.10", "192.168.100.11").replace("192.168.101.10", "192.168.101.11")
    facts = json.loads(text)
    spark = facts["ansible_facts"]["spark"]
    digest = f"{number:064x}"
    spark["identity"].update(
        boot_id=f"0f9e8d7c-6b5a-4c3d-8e2f-{number:012d}",
        hostname=f"spark-{number}",
        machine_id=digest,
        serial_sha256=digest,
        host_key_fingerprints=[f"SHA256:{digest[-43:]}"],
    )
    spark["setup"]["host_public_keys"] = [f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHost{number:04d}"]
    spark["network"]["management_mac"] = f"02:00:00:00:00:{number:02x}"
    spark["network"]["management_addresses"] = [{"address": f"10.0.0.{number}", "prefix_length": 24, "family": "inet"}]
    spark["setup"]["trust_public_key"] = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{number:04d} dgx_spark_pair"
    spark["toolkit"].update(perftest=None, open_mpi=None)
    spark["busy"].update(gpu_processes=[], rdma_users=[], readable=True)
    for port in spark["cx7"]["ports"]:
        for function in port["functions"]:
            function["mac"] = function["mac"][:-2] + f"{number:02x}"
    return dict(facts)


def honest_answer(desk: str, module: str, arguments: dict[str, Any]) -> str:
    """What an honest desk of this lab prints."""
    if module == "spark_facts":
        return json.dumps(facts_of(desk))
    if module == "cx7_cable":
        return json.dumps(honest.cable_answer(desk))
    answer = honest.ANSWERS[module]
    if module == "cx7_link" and arguments.get("phase") == "confirm":
        answer = {**answer, "armed": False}
    if module == "rdma_pair":
        answer = {**answer, "findings": [], "verdict": "PASS"}
    text = json.dumps(answer)
    if int(desk[-2:]) > 2:
        text = text.replace("pair_a", "pair_b").replace("desk-01", "desk-03").replace("desk-02", "desk-04")
    return text


class Lab:
    """One run of the lab."""

    def __init__(self, folder: Path, answers: Answers = honest_answer) -> None:
        self.run: Run = run_of(PAIRS, folder=folder)
        self.store, self.answers = RunStore(folder), answers
        self.facts: dict[str, dict[str, Any]] = {desk: {} for desk in self.run.scope}
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        """Desk, module and arguments of every execution."""
        self.results: dict[tuple[str, str], dict[str, Any]] = {}
        self.shown: list[str] = []

    def task(self, action: str, arguments: dict[str, Any], desk: str, stage: str | None = None) -> dict[str, Any]:
        """A task on a desk. What it returns as facts is kept for the desk, as Ansible keeps it."""
        script = Script(action, arguments)
        script.action._execute_module = lambda module_name, module_args, **_more: self._execute(script, desk, module_name, module_args)
        script.action._used_interpreter = None
        script.connection.reset = lambda: None
        script.action._find_needle = lambda _folder, name: str(honest.ROOT / "roles/pair_settings/files" / name)
        script.action._make_tmp_path = lambda: "/tmp/x"
        result = script.run(desk, self.run, stage, ansible_facts=self.facts[desk], hostvars={})
        assert not result.get("failed") and not result.get("unreachable"), result
        self.facts[desk] = {**self.facts[desk], **(result.get("ansible_facts") or {})}
        self.shown += script.shown
        return result

    def _execute(self, script: Script, desk: str, module: str, arguments: dict[str, Any]) -> Any:
        name = module.rpartition(".")[2]
        self.asked.append((desk, name, arguments))
        said = {"stdout": self.answers(desk, name, arguments), "stderr": "", "rc": 0, "stdout_lines": [], "stderr_lines": []}
        read = script.action._parse_returned_data(said, "legacy")
        if isinstance(read, dict):
            return read
        read.remove_internal_keys()
        return read.as_result_dict(for_round_trip=True)

    def stages(self, stages: tuple[tuple[str, str, dict[str, Any]], ...], desks: tuple[str, ...]) -> None:
        """Each stage on each desk."""
        for stage, action, arguments in stages:
            for desk in desks:
                self.results[stage, desk] = self.task(action, arguments, desk, stage)

    def judged(self) -> None:
        """The judgements of all desks together; the cabling is then as planned, so that the pairs go on."""
        self.task("spark_judge", {"subject": "desks"}, self.run.scope[0])
        self.task("spark_judge", {"subject": "cables"}, self.run.scope[0])
        for desk, member in self.run.members.items():
            self.store.write(Part("cable_map", desk, DONE, member.stack, data={"port": 1, "proven": True, "allowed": True, "edges": []}))

    def whole(self, desks: tuple[str, ...] | None = None) -> dict[str, Any]:
        """Every stage and the report."""
        chosen = desks or self.run.scope
        self.stages(DESK_STAGES, chosen)
        self.judged()
        self.stages(PAIR_STAGES, chosen)
        return self.report()

    def report(self) -> dict[str, Any]:
        """The report, each file of it read the way its readers do."""
        made = write_report(self.run, self.store)
        assert not [warning for warning in made.warnings if "could not be made" in warning]
        folder = self.run.folder
        ElementTree.parse(folder / "junit.xml")
        texts = [(folder / name).read_text(encoding="utf-8") for name in ("index.html", "summary.txt", "metrics.prom")] + made.lines
        assert not [char for text in texts for char in text if steers(char)]
        report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)
        return report


def steers(char: str) -> bool:
    """Whether a terminal or a reader's eye is led astray by it."""
    code = ord(char)
    return (code < 32 and char not in "\n\t") or 0x7F <= code <= 0x9F or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069


def refuse(name: str) -> None:
    """No JSON has NaN or Infinity."""
    raise ValueError(name)


def verdicts(report: dict[str, Any], kind: str) -> dict[str, str]:
    """Name to verdict."""
    return {item["name"]: item["verdict"] for item in report[kind]}


def codes(report: dict[str, Any], desk: str) -> set[str]:
    """The codes found on a desk."""
    return {item["code"] for entry in report["desks"] if entry["name"] == desk for item in entry["findings"]}


def copied(base: Path, folder: Path, answers: Answers, desks: tuple[str, ...]) -> Lab:
    """The lab after an honest run, in which these desks have not been asked yet."""
    shutil.copytree(base, folder)
    for path in folder.glob("parts/*/*.json"):
        if path.stem in desks:
            path.unlink()
    lab = Lab(folder, answers)
    for desk in lab.run.scope:
        if desk not in desks:
            lab.facts[desk] = {"spark": facts_of(desk)["ansible_facts"]["spark"]}
    return lab
