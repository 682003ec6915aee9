"""A healthy pair in a lab that has its ways: each of them works, or is named for what it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from desks import ROOT, as_root, play

DESK, PEER = "desk-01", "desk-02"
HOME = "/home/labadmin"
SWITCH = "usermod -s /usr/local/bin/odd-shell labadmin"
ODD_SHELL = (
    'printf \'#!/bin/sh\\nprintf "\\\\033]0;lab\\\\007Welcome "\\nexec /bin/sh "$@"\\n\' > /usr/local/bin/odd-shell && '
    "chmod 755 /usr/local/bin/odd-shell && grep -qx /usr/local/bin/odd-shell /etc/shells || echo /usr/local/bin/odd-shell >> /etc/shells; "
)

WORKS = {
    "a start-up file that prints": (
        PEER,
        (
            f"cp {HOME}/.bashrc /root/kept-bashrc; "
            "printf 'printf \"\\\\033]0;lab\\\\007\"; echo Welcome; echo noise >&2\\n' > /root/noisy-bashrc; "
            f"cat /root/noisy-bashrc /root/kept-bashrc > {HOME}/.bashrc"
        ),
        f"cat /root/kept-bashrc > {HOME}/.bashrc",
        (),
    ),
    "a login shell that prints": (PEER, ODD_SHELL + SWITCH, "usermod -s /bin/bash labadmin", ()),
    "sshd on another port too": (
        PEER,
        "printf 'Port 22\\nPort 2222\\n' > /etc/ssh/sshd_config.d/50-port.conf && systemctl restart ssh",
        "rm /etc/ssh/sshd_config.d/50-port.conf && systemctl restart ssh",
        ("--extra-vars=spark_ssh_port=2222",),
    ),
    "names of others in /etc/hosts": (
        DESK,
        (
            "cp /etc/hosts /root/kept-hosts; printf '10.99.0.1 pair-head pair-peer\\n' > /root/hosts; "
            "cat /root/hosts /root/kept-hosts > /etc/hosts"
        ),
        "cat /root/kept-hosts > /etc/hosts",
        (),
    ),
    "a strict umask of root": (DESK, "printf 'umask 077\\n' > /etc/profile.d/99-umask.sh", "rm /etc/profile.d/99-umask.sh", ()),
    "a home that is a link": (
        PEER,
        f"mkdir -p /srv/people && mv {HOME} /srv/people/labadmin && ln -s /srv/people/labadmin {HOME}",
        f"rm {HOME} && mv /srv/people/labadmin {HOME}",
        (),
    ),
}

NAMED = {
    "a Docker bridge with the link's network": (
        DESK,
        "ip link add br-variety type bridge && ip addr add 192.168.100.1/25 dev br-variety && ip link set br-variety up",
        "ip link del br-variety",
        "CX7_ADDRESS_OVERLAP",
    ),
    "a policy rule that leads elsewhere": (
        PEER,
        "ip route add 192.168.100.0/24 dev eth0 table 77 && ip rule add to 192.168.100.0/24 lookup 77 priority 100",
        "ip rule del priority 100; ip route flush table 77",
        "CX7_ADDRESS_OVERLAP",
    ),
}


def stacked(folder: Path, *arguments: str) -> tuple[int, dict, str]:
    """Exit code, report and output of stack_pair.yml over the first pair."""
    process = play(ROOT / "playbooks/stack_pair.yml", f"--limit={DESK},{PEER}", *arguments, spark_report_dir=str(folder))
    output, _errors = process.communicate(timeout=900)
    assert list(folder.glob("*/report.json")), output[-3000:]
    newest = max(folder.glob("*/report.json"), key=lambda path: path.stat().st_mtime)
    return process.returncode, json.loads(newest.read_text(encoding="utf-8")), output


def verdicts(report: dict) -> dict[str, str]:
    return {pair["name"]: pair["verdict"] for pair in report["pairs"] if pair["verdict"] != "UNKNOWN"}


@pytest.mark.parametrize("name", WORKS)
def test_it_works(name: str, tmp_path: Path) -> None:
    desk, change, back, arguments = WORKS[name]
    host = as_root(desk)
    assert host.run(change).rc == 0
    try:
        code, report, output = stacked(tmp_path, *arguments)
    finally:
        assert host.run(back).rc == 0
    assert code == 0 and verdicts(report) == {"pair_a": "PASS"}, output[-3000:]


@pytest.mark.parametrize("name", NAMED)
def test_it_is_named(name: str, tmp_path: Path) -> None:
    desk, change, back, code_of = NAMED[name]
    host = as_root(desk)
    assert host.run(change).rc == 0
    try:
        code, report, output = stacked(tmp_path)
    finally:
        assert host.run(back).rc == 0
    text = json.dumps(report)
    assert code != 0 and code_of in text and "PAIR_TRUST_BROKEN" not in text, output[-3000:]
    assert re.search(rf'"code": "{code_of}"[^{{}}]*"severity": "fail"', text) or '"FAIL"' in text


def test_of_two_runs_at_once_none_fails(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    runs = [play(ROOT / "playbooks/stack_pair.yml", f"--limit={DESK},{PEER}", spark_report_dir=str(folder)) for folder in folders]
    outputs = [run.communicate(timeout=900)[0] for run in runs]
    reports = [json.loads(next(folder.glob("*/report.json")).read_text(encoding="utf-8")) for folder in folders]
    told = [{pair["name"]: pair["verdict"] for pair in report["pairs"]}["pair_a"] for report in reports]
    assert "FAIL" not in told, outputs[0][-2000:] + outputs[1][-2000:]
    assert "PASS" in told and ("RUN_ELSEWHERE" in json.dumps(reports) or told == ["PASS", "PASS"])
    assert as_root(DESK).file("/etc/dgx_spark/pair.env").exists and not as_root(DESK).file("/etc/dgx_spark/pair.stale").exists
