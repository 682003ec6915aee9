"""Link changes on desks of the shared lab, for testinfra: run one, watch it, break it, compare the desk before and after."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from desks import ROOT, as_root, inventory, kill, play

JOURNAL = "/var/lib/dgx_spark/link/journal.json"
OUR_FILE = "/etc/netplan/90-dgx-spark-link.yaml"
RENDERERS = {"NetworkManager": "desk-01", "networkd": "desk-03"}
"""A desk of the lab for each renderer; the other end of its cable is the next desk."""
PEER = {"desk-01": "desk-02", "desk-03": "desk-04"}
FUNCTIONS = ("enp1s0f0np0", "enP2p1s0f0np0")


def links(host: int = 10, mtu: int = 9000, port: int | None = 0, subnets: Sequence[int] = (100, 101)) -> list[dict[str, Any]]:
    """The links argument of one desk."""
    return [{"port": port, "mtu": mtu, "addresses": [f"192.168.{subnet}.{host}/24" for subnet in subnets]}]


class Change:
    """A link change that runs in a process of its own."""

    def __init__(
        self,
        wanted: dict[str, list[dict[str, Any]]],
        *,
        state: str = "present",
        take_over: bool = False,
        force: bool = False,
        confirm_timeout: int = 120,
        facts: bool = False,
        check: bool = False,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="link-change-"))
        values = {
            "link_desks": ":".join(wanted),
            "link_links": wanted,
            "link_state": state,
            "link_take_over": take_over,
            "link_force": force,
            "link_confirm_timeout": confirm_timeout,
            "link_facts": facts,
            "link_folder": str(self.folder),
        }
        self.process = play(ROOT / "molecule/support/link_change.yml", *(["--check", "--diff"] if check else []), **values)
        self.check = check

    def results(self) -> dict[str, dict[str, Any]]:
        """The results of the desks, when it has ended."""
        output, _nothing = self.process.communicate(timeout=420)
        found = {path.stem: json.loads(path.read_text()) for path in self.folder.glob("*.json")}
        if self.check:
            # In check mode the copy task keeps nothing, so the result is read from what was printed.
            return {"output": {"text": output}}
        assert found, output
        return found

    def kill(self) -> None:
        """End the controller at once."""
        kill(self.process)


def change(desk: str, wanted: list[dict[str, Any]] | None = None, **options: Any) -> dict[str, Any]:
    """Change one desk's link and wait for the result."""
    return Change({desk: links() if wanted is None else wanted}, **options).results()[desk]


def codes(result: dict[str, Any]) -> set[str]:
    """Codes of a result's findings."""
    return {item["code"] for item in result["findings"]}


def journal(desk: str) -> dict[str, Any]:
    """The desk's journal, empty when there is none."""
    text = as_root(desk).run(f"cat {JOURNAL}").stdout
    return json.loads(text) if text.strip() else {}


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.3)


def wait_for_state(desk: str, *states: str, seconds: float = 60) -> None:
    """Wait until the desk's journal is in one of some states."""
    wait_for(lambda: journal(desk).get("state") in states, seconds, f"{' or '.join(states)} on {desk}")


def picture(desk: str) -> dict[str, str]:
    """What the link change may touch: every configuration file with mode, owner, time stamp and content, and the live interfaces."""
    host = as_root(desk)
    files = host.check_output(
        "find /etc/netplan /etc/NetworkManager/system-connections /etc/sysctl.d /etc/systemd/system "
        "-type f -printf '%p %m %u %g %T@ ' -exec sha256sum {} ';' -o -type l -printf '%p -> %l\\n'"
    )
    addresses = json.loads(host.check_output("ip -j -4 addr show"))
    live = {
        link["ifname"]: f"{link['mtu']} {'UP' in link['flags']} {sorted(item['local'] for item in link['addr_info'])}" for link in addresses
    }
    return {**{line.split(" ", 1)[0]: line for line in sorted(files.splitlines())}, **live}


def live(desk: str) -> dict[str, tuple[int, list[str]]]:
    """MTU and IPv4 addresses of the functions of port 0."""
    found = json.loads(as_root(desk).check_output("ip -j -4 addr show"))
    every = {link["ifname"]: (link["mtu"], [item["local"] for item in link["addr_info"]]) for link in found}
    return {name: every[name] for name in FUNCTIONS if name in every}


def armed(desk: str) -> list[str]:
    """What is still armed on the desk: nothing after a success."""
    host = as_root(desk)
    left = host.run("ls -d /etc/systemd/system/dgx-spark-link-undo.* /etc/systemd/system/*.wants/dgx-spark-link-undo.*").stdout.split()
    units = host.run("systemctl list-units --all --plain --no-legend 'dgx-spark-link-*'").stdout
    return left + [line.split()[0] for line in units.splitlines() if " active " in line or " activating " in line]


class Cut:
    """Lets no new ssh connection in from the moment at which a change is applied, until it is mended. Watched for inside the desk, because
    a look from outside may come too late on a busy machine."""

    def __init__(self, desk: str) -> None:
        self.host = as_root(desk)
        script = f'echo $$ > /run/cut.pid; until grep -qs \'"state": "applied"\' {JOURNAL}; do sleep 0.1; done; systemctl stop ssh.service'
        self.host.check_output("setsid -f sh -c %s < /dev/null > /dev/null 2>&1", script)

    def mend(self) -> None:
        """Let connections in again."""
        self.host.run("kill $(cat /run/cut.pid)")
        self.host.check_output("rm -f /run/cut.pid; systemctl start ssh.service")


class Ping:
    """A ping of a desk's management address every 20 ms, from the desk at the other end of its cable."""

    def __init__(self, desk: str) -> None:
        self.source = as_root(PEER[desk])
        address = inventory()["_meta"]["hostvars"][desk]["ansible_host"]
        script = f"echo $$ > /tmp/ping.pid; exec ping -n -q -i 0.02 -W 1 {address} > /tmp/ping.txt 2>&1"
        self.source.check_output("setsid -f sh -c %s < /dev/null > /dev/null 2>&1", script)

    def lost(self) -> tuple[int, int]:
        """Sent and lost, when it is stopped now."""
        self.source.check_output("kill -INT $(cat /tmp/ping.pid) && sleep 1")
        output = self.source.check_output("cat /tmp/ping.txt")
        found = re.search(r"(\d+) packets transmitted, (\d+) received", output)
        assert found, output
        sent, received = int(found[1]), int(found[2])
        return sent, sent - received
