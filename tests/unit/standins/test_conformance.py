"""Every stand-in beside its witness: what the real programs answered on virtual machines (tests/conformance/real), or a transcript.

tests/conformance/witnesses.yml is the one list; docs/simulator.md shows it. The recordings are made by tests/conformance/record.py.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from desklib.standins import perftest
from desklib.standins.table import COMMANDS

from .conftest import ROOT, PaperDesk, live
from .test_perftest import free_port

HERE = ROOT / "tests" / "conformance"
TABLE: list[dict[str, Any]] = yaml.safe_load((HERE / "witnesses.yml").read_text(encoding="utf-8"))
RECORDED = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((HERE / "real").glob("*.json"))}
NAMES = {"DEV": "rocep1s0f0", "NETDEV": "enp1s0f0np0", "EMPTYDEV": "rocep1s0f1", "EMPTY": "enp1s0f1np1", "PEER": "127.0.0.1"}
ADDRESSES = {"enp1s0f0np0": ["fe80::1", "192.168.100.10"], "enP2p1s0f0np0": ["fe80::2", "192.168.101.10"]}

CASES = [
    pytest.param(distribution, entry, number, id=f"{distribution}-{shlex.join(call['argv'])[:70]}-{number}")
    for distribution in RECORDED
    for entry in TABLE
    if entry["witness"] == "machine"
    for number, call in enumerate(entry["calls"])
    if call.get("same") and entry["name"] in RECORDED[distribution]["answers"]
]


def shape(line: str) -> str:
    """A line without what differs between two desks and two moments: numbers, addresses, names, runs of spaces."""
    line = re.sub(r"\b(?:[0-9]{2,3}:){15}[0-9]{2,3}\b", "GID", line)
    line = re.sub(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC", line)
    line = re.sub(r"\b[0-9a-f]{16}\b", "GUID", line)
    line = re.sub(r"\b[0-9a-f]{4}(?::[0-9a-f]{4}){3,7}\b", "GUID", line)
    line = re.sub(r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b", "ADDRESS", line)
    line = re.sub(r"\broce\w*?f[0-9]\b", "DEVICE", line)
    line = re.sub(r"\ben\w*?np[01]\b", "NETDEV", line)
    line = re.sub(r"0x[0-9a-f]+", "HEX", line)
    line = re.sub(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}", "TIME", line)
    line = re.sub(r"\b[0-9]+(?:\.[0-9]+)*\b", "N", line)
    return re.sub(r"[ \t]+", " ", line).rstrip()


def shapes(text: str, apart: list[str]) -> list[str]:
    """The shapes of the lines that count; the same shape in a row counts once."""
    found: list[str] = []
    for line in text.splitlines():
        made = shape(line)
        if made and not any(re.search(pattern, line) for pattern in apart) and found[-1:] != [made]:
            found.append(made)
    return found


def fields(text: str) -> list[str]:
    """Names of what is told, in order: keys of JSON, else what stands before a colon."""
    begun = text.lstrip()[:1]
    if begun in ("{", "["):
        return _keys(json.loads(text))
    found = []
    for line in text.splitlines():
        made = re.match(r"(\s*)([\w .'/()-]*?):(?:\s|$)", shape(line))
        if made and made.group(2) not in found:
            found.append(made.group(2).strip())
    return found


def _keys(value: Any) -> list[str]:
    found: list[str] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += [shape(key), *_keys(inner)]
    elif isinstance(value, list):
        found += [key for inner in value for key in _keys(inner)]
    return list(dict.fromkeys(found))


def options(text: str) -> dict[str, bool]:
    """Options of a help text, and whether each takes a value."""
    found = {}
    for line in text.splitlines():
        made = re.match(r"\s+(-\w)?(?:, )?\s*(--[A-Za-z_][\w-]*)?(=)?", line)
        for name in made.groups()[:2] if made else ():
            if name:
                found[name] = bool(made and made.group(3))
    return found


def filled(argv: list[str]) -> list[str]:
    return ["/".join(NAMES.get(part, part) for part in word.split("/")) for word in argv]


def mine(paper: PaperDesk, call: dict[str, Any]) -> dict[str, Any]:
    """What the stand-in answers to the same call."""
    paper.live = live(paper.data, ADDRESSES, mtu=9000)
    if call["argv"][0] == "lldpctl":
        paper.data["faults"] = {"lldp": {}}
        far = [{"netdev": name, "mac": f"02:51:ff:79:03:4{place}"} for place, name in enumerate(ADDRESSES)]
        paper.data["ports"]["0"]["cable"]["peer"] = {"desk": "desk-02", "port": 0, "mac": "02:5a:88:d8:9c:10", "functions": far}
    paper.write()
    argv, peer = filled(call["argv"]), filled(call.get("peer", []))
    port = str(free_port())
    for words in (argv, peer):
        if "-p" in words[:-1]:
            words[words.index("-p") + 1] = port
    server = None
    limits = ["prlimit", f"--memlock={call['locked'] * 1024}", "--"] if call.get("locked") else []
    if peer:
        server = subprocess.Popen(
            [*limits, *paper.argv(*peer)], env=paper.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    for _again in range(40):
        done = subprocess.run(
            [*limits, *paper.argv(*argv)], env=paper.environment(), capture_output=True, text=True, timeout=60, check=False
        )
        if server is None or "Couldn't connect" not in done.stderr or server.poll() is not None:
            break
        time.sleep(0.2)
    if server is not None:
        server.kill()
        server.communicate()
    return {"rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


@pytest.mark.parametrize(("distribution", "entry", "number"), CASES)
def test_the_stand_in_answers_as_the_real_program(paper: PaperDesk, distribution: str, entry: dict[str, Any], number: int) -> None:
    call = entry["calls"][number]
    real = RECORDED[distribution]["answers"][entry["name"]][number]
    assert real["argv"] == call["argv"], "witnesses.yml has changed since the recording: run tests/conformance/record.py"
    ours = mine(paper, call)
    apart = [item["lines"] for item in [*entry.get("apart", []), *call.get("apart", [])] if "lines" in item]
    same = call["same"]
    if "code" in same:
        assert ours["rc"] == real["rc"], ours["stderr"] + ours["stdout"]
    if "stream" in same:
        assert [bool(ours[name].strip()) for name in ("stdout", "stderr")] == [bool(real[name].strip()) for name in ("stdout", "stderr")]
    if "head" in same:
        assert _head(ours["stdout"], apart) == _head(real["stdout"], apart)
    if "json" in same:
        told, wanted = ([item for item in names if not _listed(item, apart)] for names in (_written(), fields(real["then"])))
        assert told == wanted
    for name in ("stdout", "stderr"):
        if "lines" in same:
            assert shapes(ours[name], apart) == shapes(real[name], apart)
        if "heading" in same:
            assert ours[name].splitlines()[:1] == real[name].splitlines()[:1]
        if "fields" in same:
            told, wanted = ([item for item in fields(text[name]) if not _listed(item, apart)] for text in (ours, real))
            assert [item for item in told if item in wanted] == [item for item in wanted if item in told]
            assert set(wanted) <= set(told), f"the real one also tells {sorted(set(wanted) - set(told))}"
    if "options" in same:
        known = options(real["stdout"])
        # A help text does not always show that a value follows; where it does, ours takes one.
        assert {name for name, value in options(ours["stdout"]).items() if name not in known or known[name] > value} == set()


def _head(text: str, apart: list[str]) -> list[str]:
    before, columns, _rows = text.partition("#bytes")
    return shapes(before + columns, apart)


def _written() -> list[str]:
    """Names in the file that --out_json makes of one row."""
    chosen = SimpleNamespace(out_json=True, out_json_file=None, qp=1, connection="RC", tx_depth=128, cq_mod=None)
    run = SimpleNamespace(options=chosen, kind="bw", verb="Write", function=SimpleNamespace(rdma="rocep1s0f0"), mtu=4096, gid_index=3)
    with tempfile.TemporaryDirectory() as folder:
        chosen.out_json_file = f"{folder}/out.json"
        perftest._json_out(run, [{"bytes": 65536, "iterations": 5000, "peak": 0.0, "gbps": 92.5}])
        return fields(Path(chosen.out_json_file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("entry", TABLE, ids=[entry["name"] for entry in TABLE])
def test_what_is_not_compared_says_why(entry: dict[str, Any]) -> None:
    assert all(call["same"] or call.get("apart") for call in entry.get("calls", []))
    assert all(item["why"] for call in [entry, *entry.get("calls", [])] for item in call.get("apart", []))
    if entry["witness"] == "machine":
        assert all(entry["name"] in recorded["answers"] for recorded in RECORDED.values()), "make the recordings again"
    elif entry["witness"] == "transcript":
        assert "transcript(" in (ROOT / entry["shown"]).read_text(encoding="utf-8")


def test_every_stand_in_is_in_the_list() -> None:
    programs = {path.name for path in (ROOT / "simulator/desk/standins").iterdir() if path.name not in ("run", "__pycache__")}
    wrong = {entry["name"] for entry in TABLE} ^ {*COMMANDS, *programs, "nccl-tests"}
    assert wrong == set(), f"in only one of tests/conformance/witnesses.yml and the stand-ins: {sorted(wrong)}"


def test_the_documentation_shows_the_list() -> None:
    rows = [f"| `{entry['name']}` | {said(entry)} |" for entry in TABLE]
    text = (ROOT / "docs/simulator.md").read_text(encoding="utf-8")
    assert "\n".join(rows) in text, "docs/simulator.md should have these rows:\n" + "\n".join(rows)


def said(entry: dict[str, Any]) -> str:
    """The witness of a stand-in as the documentation tells it."""
    if entry["witness"] == "machine":
        return f"the real program of Debian's `{entry['package']}` on the virtual machines, calls: {len(entry['calls'])}"
    return "transcripts of real machines" if entry["witness"] == "transcript" else "none"


def _listed(item: str, apart: list[str]) -> bool:
    return any(re.search(pattern, item) for pattern in apart)
