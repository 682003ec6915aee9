"""Reports of whole labs, made as a run makes them: evidence -> judges -> parts -> report. All names and numbers are made up."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.labops.dgx_spark.plugins.module_utils.judges import nccl, rdma
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict, from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Finding, Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Endpoint
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.proof import RdmaEvidence
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.build import build
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Run
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, FAILED, SKIPPED, Part
from judge_samples import change, healthy
from proof_samples import ENDS, nccl_evidence, nccl_text, rdma_evidence, steps
from sample_run import run_of

STARTED, FINISHED = "2026-11-23T10:15:00Z", "2026-11-23T10:21:40Z"
VERSIONS = {"collection": "0.1.0", "ansible_core": "2.21.0", "python": "3.13.0"}
SIZES = tuple(1 << shift for shift in range(20, 33))
CURVE = dict(zip(SIZES, (2.1, 3.9, 6.8, 10.4, 13.9, 16.2, 17.4, 18.3, 18.9, 19.6, 20.1, 21.2, 21.6), strict=True))
STAGE_TIMES = {
    "facts": ("2026-11-23T10:15:02Z", "2026-11-23T10:15:09Z"),
    "driver": ("2026-11-23T10:15:10Z", "2026-11-23T10:16:02Z"),
    "cable": ("2026-11-23T10:16:03Z", "2026-11-23T10:16:12Z"),
    "cable_map": ("2026-11-23T10:16:12Z", "2026-11-23T10:16:12Z"),
    "link": ("2026-11-23T10:16:13Z", "2026-11-23T10:16:30Z"),
    "trust": ("2026-11-23T10:16:31Z", "2026-11-23T10:16:36Z"),
    "rdma": ("2026-11-23T10:16:37Z", "2026-11-23T10:17:28Z"),
    "nccl": ("2026-11-23T10:17:29Z", "2026-11-23T10:18:22Z"),
    "settings": ("2026-11-23T10:18:23Z", "2026-11-23T10:18:25Z"),
}


class Lab:
    """A lab to be bent: pairs of healthy desks, whose parts a test changes before it makes the report."""

    def __init__(
        self,
        pairs: int = 2,
        *,
        run_id: str = "20261123T101500Z-aaaa",
        started: str = STARTED,
        finished: str = FINISHED,
        playbook: str = "stack_pair",
        scale: float = 1.0,
    ) -> None:
        self.members = {f"pair_{number:02d}": (f"desk-{2 * number - 1:02d}", f"desk-{2 * number:02d}") for number in range(1, pairs + 1)}
        self.run_id, self.started, self.finished, self.playbook = run_id, started, finished, playbook
        self.check_mode = False
        self.scope: set[str] | None = None
        self.out_of_service: set[str] = set()
        self.left_alone: set[str] = set()
        self.run_findings: list[dict[str, Any]] = []
        self.parts: dict[str, dict[str, Part]] = {}
        for name, desks in self.members.items():
            self._healthy(name, desks, scale)

    def _healthy(self, pair: str, desks: tuple[str, str], scale: float) -> None:
        number = int(desks[0].split("-")[1])
        for place, desk in enumerate(desks):
            facts = change(
                healthy(1 + place), identity__boot_id=f"boot-{number + place:04d}", identity__serial_sha256=f"{number + place:064x}"
            )
            self.put(Part("facts", desk, DONE, pair, data={"spark": as_dict(facts)}))
            self.put(Part("driver", desk, DONE, pair))
            self.put(Part("link", desk, DONE, pair, data={"functions": []}))
            self.put(Part("trust", desk, DONE, pair))
            edge = {
                "ends": [{"desk": desks[0], "port": 1}, {"desk": desks[1], "port": 1}],
                "verdict": "ok",
                "pair": pair,
                "methods": ["ipv6"],
                "vendor": "Amphenol",
                "part": "NJAAKK-0001",
                "serial": f"CABLE{number:04d}",
            }
            self.put(Part("cable_map", desk, DONE, pair, data={"proven": True, "port": 1, "peer_port": 1, "edges": [edge]}))
        self.measure(pair, scale=scale)

    def put(self, part: Part) -> None:
        """Write a part as a stage does."""
        begun, ended = STAGE_TIMES.get(part.stage, (None, None))
        timed = part if part.started else dataclasses.replace(part, started=begun, ended=ended)
        self.parts.setdefault(part.stage, {})[part.desk] = timed

    def ends(self, pair: str) -> tuple[Endpoint, Endpoint]:
        """The pair's two ends as a measurement takes them."""
        first, second = self.members[pair]
        return dataclasses.replace(ENDS[0], desk=first), dataclasses.replace(ENDS[1], desk=second)

    def measure(
        self,
        pair: str,
        *,
        scale: float = 1.0,
        evidence: RdmaEvidence | None = None,
        curve: Mapping[int, float] | None = None,
        transport: str = "IB",
    ) -> None:
        """Both measurements of a pair, judged by the judges."""
        names = {"desk-01": self.members[pair][0], "desk-02": self.members[pair][1]}
        ends = self.ends(pair)
        seen = evidence or rdma_evidence(steps((109.0 * scale, 108.7 * scale), (108.9 * scale, 108.8 * scale), 98.0 * scale, 196.0 * scale))
        seen = renamed(seen, names)
        found = rdma.judge(pair, ends, seen)
        head = self.members[pair][0]
        data = {**rdma.summary(ends, seen), "options": {"seconds": 4, "message_size": 1048576, "queue_pairs": 4}}
        self.put(Part("rdma", head, DONE, pair, data=data, findings=tuple(item.as_dict() for item in found)))
        figures = {size: value * scale for size, value in (curve or CURVE).items()}
        run = renamed(nccl_evidence(nccl_text(figures, transport=transport), growth=()), names)
        run = dataclasses.replace(run, argv=("mpirun", "-np", "2", "/opt/dgx_spark/nccl/bin/all_gather_perf", "-b", "1M", "-e", "4G"))
        judged = [item for item in nccl.judge(pair, ends, run, iterations=20, warmups=5) if not item.code.endswith("COUNTERS_UNKNOWN")]
        environments = {
            desk: {"NCCL_IB_HCA": "==rocep1s0f0,roceP2p1s0f0", "UCX_NET_DEVICES": "rocep1s0f0:1"} for desk in self.members[pair]
        }
        summary = nccl.summary(ends, run, iterations=20, warmups=5, environments=environments)
        self.put(Part("nccl", head, DONE, pair, data=summary, findings=tuple(item.as_dict() for item in judged)))

    def find(self, stage: str, desk: str, *findings: Finding, state: str = DONE, reason: str | None = None, changed: bool = False) -> None:
        """Let a stage say something of a desk."""
        old = self.parts.get(stage, {}).get(desk) or Part(stage, desk, DONE, self.pair_of(desk))
        told = (*old.findings, *(item.as_dict() for item in findings))
        self.put(dataclasses.replace(old, state=state, reason=reason, changed=changed, findings=told))

    def facts(self, desk: str, **changes: Any) -> None:
        """Change facts of a desk."""
        old = self.parts["facts"][desk]
        facts = change(from_dict(Desk, old.data["spark"]), **changes)
        self.put(dataclasses.replace(old, data={**old.data, "spark": as_dict(facts)}))

    def lose(self, desk: str, message: str = "no route to host") -> None:
        """A desk that could not be reached."""
        pair = self.pair_of(desk)
        lost = finding("DESK_UNREACHABLE", Where(pair=pair, desk=desk), f"{desk}: {message}").as_dict()
        for stage in ("driver", "link", "trust", "cable_map"):
            self.put(Part(stage, desk, SKIPPED, pair, f"{desk} failed in stage facts"))
        self.put(Part("facts", desk, FAILED, pair, message, findings=(lost,)))
        for stage in ("rdma", "nccl"):
            self.put(Part(stage, self.members[str(pair)][0], SKIPPED, pair, f"{desk} failed in stage facts"))

    def pair_of(self, desk: str) -> str | None:
        """The pair of a desk."""
        return next((pair for pair, members in self.members.items() if desk in members), None)

    def run(self, folder: Path | str = "") -> Run:
        """The run as a value."""
        return run_of(
            self.members,
            scope=self.scope,
            out=self.out_of_service,
            left_alone=self.left_alone,
            folder=folder,
            run_id=self.run_id,
            started=self.started,
            playbook=self.playbook,
            check_mode=self.check_mode,
            forks=64,
            findings=tuple(self.run_findings),
        )

    def report(self) -> dict[str, Any]:
        """The report as the run's last task makes it."""
        return build(self.run(), self.parts, self.finished, VERSIONS)


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A dataclass with the samples' desk names replaced everywhere."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, tuple):
        return tuple(renamed(item, names) for item in value)
    if isinstance(value, Mapping):
        return {renamed(key, names): renamed(item, names) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{item.name: renamed(getattr(value, item.name), names) for item in dataclasses.fields(value)})
    return value


def every_failure(pairs: int = 12) -> Lab:
    """A lab with every kind of trouble, one to a pair, and some that are well."""
    lab = Lab(pairs)
    # 2: the 13 Gb/s state. 3: slow below NVIDIA's bound. 4: NCCL over sockets. 5: a warning. 6: a desk lost. 7: busy (unknown).
    trapped = rdma_evidence(steps((12.9, 12.8), (12.9, 13.1), 12.7, 25.2))
    lab.measure("pair_02", evidence=trapped, curve={size: min(2.9, value) for size, value in CURVE.items()})
    weak = rdma_evidence(steps((101.0, 100.4), (100.9, 101.3), 80.0, 160.0))
    lab.measure("pair_03", evidence=weak, curve={size: 0.82 * value for size, value in CURVE.items()})
    lab.measure("pair_04", transport="Socket", curve={size: 0.2 * v for size, v in CURVE.items()})
    lab.measure("pair_05", evidence=rdma_evidence(steps(alone=(119.0, 160.0))))
    lab.lose("desk-12")
    busy = finding(
        "PAIR_BUSY", Where(pair="pair_07", desk="desk-13"), "desk-13: process 4711 (python3 train.py) of user mara computes on the GPU",
        evidence={"pid": 4711, "user": "mara"},
    )  # fmt: skip
    for stage in ("rdma", "nccl"):
        lab.put(Part(stage, "desk-13", DONE, "pair_07", data={"measured": False}, findings=(busy.as_dict(),)))
    lab.out_of_service.add("pair_08")
    for stage in ("rdma", "nccl"):
        del lab.parts[stage]["desk-15"]
    drift = "pair pair_09: driver 580.159.03 on desk-17, 580.178.04 on desk-18"
    wrong = finding("PAIR_DRIFT", Where(pair="pair_09"), drift, evidence={"driver": {"desk-17": "580.159.03", "desk-18": "580.178.04"}})
    lab.find("facts", "desk-17", wrong)
    lab.find("driver", "desk-19", changed=True)
    note = finding("VERSION_KNOWN_BAD", Where(desk="desk-19"), "Driver 580.159.03 is known for hangs under load.", severity="note")
    lab.find("facts", "desk-19", note)
    return lab


def all_verdicts(report: Mapping[str, Any]) -> dict[str, str]:
    """Pair to verdict."""
    return {pair["name"]: pair["verdict"] for pair in report["pairs"]}


def decay(runs: int = 5, step: float = 0.015) -> Iterable[Lab]:
    """One pair that loses a little from run to run."""
    for number in range(runs):
        yield Lab(
            1,
            run_id=f"2026112{number}T101500Z-000{number}",
            started=f"2026-11-2{number}T10:15:00Z",
            finished=f"2026-11-2{number}T10:21:00Z",
            scale=1.0 - step * number,
        )
