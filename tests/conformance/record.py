# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the real programs on two virtual machines what witnesses.yml lists, and write their answers to real/DISTRIBUTION.json.

The lab has to run (simulator/lab up witness --engine qemu) under the name in the variable LAB. Texts are kept as printed; names, addresses
and MACs are the lab's own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LAB = [str(ROOT / "simulator" / "lab")]
HEAD, PEER = "desk-01", "desk-02"
NAMES = {
    "DEV": "rocep1s0f0",
    "NETDEV": "enp1s0f0np0",
    "EMPTYDEV": "rocep1s0f1",
    "EMPTY": "enp1s0f1np1",
    "PEER": "192.168.100.11",
}
ADDRESSES = {HEAD: "192.168.{}.10/24", PEER: "192.168.{}.11/24"}

# Runs in a desk: a list of calls in, their answers out.
ASK = """
import json, subprocess, sys
found = []
for call in json.load(sys.stdin):
    argv = call["argv"]
    if call.get("locked"):
        argv = ["prlimit", "--memlock=%d" % (call["locked"] * 1024), "--"] + argv
    if call.get("user"):
        argv = ["setpriv", "--reuid=labadmin", "--regid=labadmin", "--init-groups", "--"] + argv
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=call["limit"], stdin=subprocess.DEVNULL)
        answer = {"rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
    except subprocess.TimeoutExpired as late:
        answer = {"rc": None, "stdout": (late.stdout or b"").decode(), "stderr": (late.stderr or b"").decode()}
    except FileNotFoundError:
        answer = {"missing": True}
    if call.get("then"):
        answer["then"] = subprocess.run(call["then"], capture_output=True, text=True).stdout
    found.append(answer)
json.dump(found, sys.stdout)
"""


OPTION = re.compile(r"(\s+(?:-\w\b)?(?:, )?\s*(?:--[A-Za-z_][\w-]*)?)(=)?")


def without_prose(text: str) -> str:
    """A help text as the names of its options alone: the rest is other people's prose."""
    head, usage, rest = text.partition("Usage:")
    if not usage:
        return text
    names = [made.group(1) + (made.group(2) or "") for made in map(OPTION.match, rest.splitlines()) if made and "-" in made.group(1)]
    return "\n".join([head + usage, *names]) + "\n"


def filled(argv: list[str]) -> list[str]:
    """A command line with the lab's names."""
    return ["/".join(NAMES.get(part, part) for part in word.split("/")) for word in argv]


def inside(desk: str, *argv: str, stdin: str = "", check: bool = True, timeout: float = 300) -> str:
    """Run a program in a desk as root."""
    argv = ("env", "LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *argv)
    done = subprocess.run([*LAB, "exec", desk, "--", *argv], input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode:
        raise SystemExit(f"{desk}: {' '.join(argv[:6])} ended with {done.returncode}: {done.stderr[-400:]}")
    return done.stdout


def ask(desk: str, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers of one desk to several calls."""
    ready = [{**call, "argv": filled(call["argv"]), "limit": call.get("limit", 60), "then": filled(call.get("then", []))} for call in calls]
    answers: list[dict[str, Any]] = json.loads(inside(desk, "/usr/bin/python3", "-c", ASK, stdin=json.dumps(ready), timeout=900))
    return answers


def with_peer(call: dict[str, Any]) -> dict[str, Any]:
    """The answer of a client while its server runs on the other desk; the server's answer is in `peer`."""
    server = {"argv": call["peer"], "limit": call.get("limit", 60) + 10, **{key: call[key] for key in ("user", "locked") if key in call}}
    argv = ["env", "LC_ALL=C", "/usr/bin/python3", "-c", ASK]
    text = json.dumps([{**server, "argv": filled(server["argv"])}])
    process = subprocess.Popen([*LAB, "exec", PEER, "--", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    process.stdin.write(text)
    process.stdin.close()
    port = call["peer"][call["peer"].index("-p") + 1]
    wait = f"i=0; until ss -Hltn sport = :{port} | grep -q . || [ $i -ge 40 ]; do i=$((i+1)); sleep 0.5; done"
    inside(PEER, "sh", "-c", wait)
    answer = ask(HEAD, [call])[0]
    process.wait(timeout=120)
    assert process.stdout
    answer["peer"] = json.loads(process.stdout.read())[0]
    return answer


def prepare() -> None:
    """Addresses and MTU 9000 on the cabled functions, every interface up."""
    for desk, address in ADDRESSES.items():
        lines = []
        for place, netdev in enumerate(("enp1s0f0np0", "enP2p1s0f0np0")):
            # NetworkManager would take an address away that it did not give.
            lines += [f"nmcli device set {netdev} managed no"]
            # The desks' firewall lets ssh in and nothing else.
            lines += [f"iptables -C INPUT -i {netdev} -j ACCEPT 2> /dev/null || iptables -I INPUT -i {netdev} -j ACCEPT"]
            lines += [f"ip address replace {address.format(100 + place)} dev {netdev}", f"ip link set {netdev} mtu 9000 up"]
        lines += [f"ip link set {netdev} up" for netdev in ("enp1s0f1np1", "enP2p1s0f1np1")]
        inside(desk, "sh", "-ec", "\n".join(lines))


def main() -> int:
    """Write the answers."""
    table = yaml.safe_load((HERE / "witnesses.yml").read_text(encoding="utf-8"))
    only = sys.argv[1:]
    sys.path.insert(0, str(ROOT / "simulator"))
    from sparklab import state, vmlab

    record = state.Record.load(os.environ["LAB"])
    target = HERE / "real" / f"{record.data['distribution']}.json"
    prepare()
    before = json.loads(target.read_text(encoding="utf-8")) if target.exists() and only else {}
    found: dict[str, Any] = {"about": vmlab.written(record), "answers": before.get("answers", {})}
    for entry in table:
        if entry["witness"] != "machine" or (only and entry["name"] not in only):
            continue
        calls = entry["calls"]
        alone = [call for call in calls if "peer" not in call]
        answers = dict(zip(map(id, alone), ask(HEAD, alone), strict=True)) if alone else {}
        answers.update({id(call): with_peer(call) for call in calls if "peer" in call})
        for answer in answers.values():
            for part in (answer, answer.get("peer", {})):
                part.update({key: without_prose(part[key]) for key in ("stdout", "stderr") if part.get(key)})
        found["answers"][entry["name"]] = [{"argv": call["argv"], **answers[id(call)]} for call in calls]
        print(entry["name"], file=sys.stderr)
        write(target, found)
    return 0


def write(target: Path, found: dict[str, Any]) -> None:
    """Keep what is known so far."""
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
