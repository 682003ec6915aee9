"""Runs of the driver lock on desks of the shared lab, for testinfra: run one, watch it, kill it, compare the desk before and after."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from desks import ROOT, as_root, kill, lab, play

FOLDER = "/var/lib/dgx_spark/driver_lock"
PINS = "/etc/apt/preferences.d/zz-dgx-spark-driver-lock"


class Run:
    """A run of molecule/support/driver_run.yml, or of a playbook, in a process of its own."""

    def __init__(self, *desks: str, playbook: str | None = None, check: bool = False, **variables: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="driver-run-"))
        values = {"driver_reports": str(self.folder), "spark_report_dir": str(self.folder), **variables}
        source = ROOT / "playbooks" / playbook if playbook else ROOT / "molecule/support/driver_run.yml"
        self.process = play(source, f"--limit={','.join(desks)}", *(["--check", "--diff"] if check else []), **values)
        self.output = ""

    def end(self, seconds: float = 600) -> Run:
        """Wait for its end."""
        self.output, _nothing = self.process.communicate(timeout=seconds)
        return self

    def kill(self) -> None:
        """End the controller at once."""
        kill(self.process)

    def part(self, desk: str, stage: str = "driver") -> dict[str, Any]:
        """What a stage said of a desk."""
        found = list(self.folder.glob(f"*/parts/{stage}/{desk}.json"))
        assert found, self.output
        return json.loads(found[0].read_text())

    def codes(self, desk: str, stage: str = "driver", worst_only: bool = True) -> set[str]:
        """Codes of a stage's findings; the notes left out unless they are asked for."""
        return {item["code"] for item in self.part(desk, stage)["findings"] if not worst_only or item["severity"] != "note"}


def run(*desks: str, **options: Any) -> Run:
    """Run and wait."""
    return Run(*desks, **options).end()


def held(desk: str) -> list[str]:
    """Held packages."""
    return sorted(as_root(desk).check_output("apt-mark showhold").split())


def versions(desk: str) -> dict[str, str]:
    """Installed packages."""
    rows = as_root(desk).check_output("dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n'").splitlines()
    return {words[0]: words[1] for words in map(str.split, rows) if words[2:] == ["installed"]}


def candidate(desk: str, package: str) -> str | None:
    """What apt would install."""
    for line in as_root(desk).check_output(f"apt-cache policy {package}").splitlines():
        if line.strip().startswith("Candidate:"):
            return None if "(none)" in line else line.split()[1]
    return None


def picture(desk: str) -> dict[str, str]:
    """What the lock may touch: apt's whole configuration, dpkg's selections, apt's marks, versions."""
    host = as_root(desk)
    return {
        "files": host.check_output("find /etc/apt -type f -printf '%p %m %u %g ' -exec sha256sum {} ';' | sort"),
        "selections": host.check_output("dpkg --get-selections"),
        "marks": host.check_output("apt-mark showauto"),
        "versions": json.dumps(versions(desk), sort_keys=True),
        "leftovers": host.run("find /var/lib/dgx_spark/driver_lock /run/dgx_spark_driver_lock.preview").stdout,
    }


def trusted(desk: str) -> bool:
    """Whether apt and dpkg find the desk whole."""
    host = as_root(desk)
    return host.run("apt-get check").rc == 0 and host.run("dpkg --audit").stdout.strip() == ""


def executions(desk: str, module: str = "driver_lock") -> int:
    """Executions of a module on the desk since it was started, from its journal."""
    told = as_root(desk).run(f"journalctl --no-pager -b | grep -c 'ansible-labops.dgx_spark.{module}.*Invoked with'").stdout
    return int(told.strip() or 0)


def fault(desk: str, name: str, *parameters: str) -> None:
    """Give the desk a fault."""
    lab("fault", "set", desk, name, *parameters)


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.2)
