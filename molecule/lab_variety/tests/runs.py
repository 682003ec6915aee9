"""Runs of stack_pair.yml over the first pair, whole or watched while they go, and what their reports say."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desks import ROOT, kill, play
from links import wait_for

DESK, PEER = "desk-01", "desk-02"


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    code: int
    report: dict[str, Any]
    output: str

    @property
    def verdicts(self) -> dict[str, str]:
        """Pair to verdict, of the pairs that were in scope."""
        return {pair["name"]: pair["verdict"] for pair in self.report["pairs"] if pair["findings"] or pair["verdict"] != "UNKNOWN"}

    @property
    def verdict(self) -> str:
        """Of the first pair."""
        return str({pair["name"]: pair["verdict"] for pair in self.report["pairs"]}["pair_a"])

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Every finding of the run."""
        return [item for owner in (*self.report["pairs"], *self.report["desks"]) for item in owner["findings"]]

    @property
    def codes(self) -> dict[str, str]:
        """Code to severity, of what is worse than a note."""
        return {item["code"]: item["severity"] for item in self.findings if item["severity"] not in ("note", "ok")}

    @property
    def changes(self) -> int:
        """Changed tasks, all desks together."""
        return sum(int(number) for number in re.findall(r"\bchanged=(\d+)", self.output))


class Running:
    """A run of stack_pair.yml (or another playbook) over the first pair in a process of its own."""

    def __init__(self, folder: Path, *arguments: str, playbook: str = "stack_pair") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        limit = f"--limit={DESK},{PEER}"
        self.process: subprocess.Popen[str] = play(ROOT / f"playbooks/{playbook}.yml", limit, *arguments, spark_report_dir=str(folder))

    def reaches(self, stage: str, desk: str = DESK, seconds: float = 240.0) -> None:
        """Wait until a stage of a desk is over."""

        def there() -> bool:
            assert self.process.poll() is None, f"the run ended before {stage}"
            return bool(list(self.folder.glob(f"*/parts/{stage}/{desk}.json")))

        wait_for(there, seconds, f"the stage {stage} of {desk}")

    def kill(self) -> None:
        """End the controller and its ssh connections at once, as a power cut would."""
        kill(self.process)

    def ended(self, seconds: float = 900.0) -> Ended:
        """The run when it has ended."""
        output, _errors = self.process.communicate(timeout=seconds)
        found = sorted(self.folder.glob("*/report.json"), key=lambda path: path.stat().st_mtime)
        assert found, output[-3000:]
        return Ended(self.process.returncode, json.loads(found[-1].read_text(encoding="utf-8")), output)


def stacked(folder: Path, *arguments: str, playbook: str = "stack_pair") -> Ended:
    """A whole run."""
    return Running(folder, *arguments, playbook=playbook).ended()
