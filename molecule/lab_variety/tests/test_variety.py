"""A healthy pair in a lab that has its ways: each of them works, or is named for what it is, and the wrong desk is never blamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from desks import as_root, lab
from runs import DESK, PEER, Running, stacked

HOME = "/home/labadmin"
BOTH = (DESK, PEER)
SSHD = "/etc/ssh/sshd_config.d/50-variety.conf"
RELOAD = "systemctl restart ssh"


@dataclass(frozen=True)
class Way:
    """Something that a lab has changed on its desks, and how it is taken back."""

    desks: tuple[str, ...]
    change: str
    back: str
    arguments: tuple[str, ...] = ()
    verdict: str = "PASS"
    code: str = ""
    words: str = ""
    """What the report says of it, where it does not simply work."""


def server(lines: str, before: str = "true", after: str = "true", desks: tuple[str, ...] = (PEER,), **more: object) -> Way:
    """An ssh server with settings of the lab's own."""
    change = f"{before} && printf '{lines}' > {SSHD} && {RELOAD}"
    return Way(desks, change, f"rm {SSHD} && {RELOAD}; {after}", **more)  # type: ignore[arg-type]


def shell(path: str) -> Way:
    """Another login shell on both desks."""
    return Way(BOTH, f"usermod -s {path} labadmin", "usermod -s /bin/bash labadmin")


ODD_SHELL = (
    'printf \'#!/bin/sh\\nprintf "\\\\033]0;lab\\\\007Welcome "\\nexec /bin/sh "$@"\\n\' > /usr/local/bin/odd-shell && '
    "chmod 755 /usr/local/bin/odd-shell && grep -qx /usr/local/bin/odd-shell /etc/shells || echo /usr/local/bin/odd-shell >> /etc/shells; "
)
ROUTE = "$(ip -4 route show default | awk '{print $5; exit}')"
LONG = "SPARK-ROOM-1234567890-1234567890-1234567890-1234567890-DESK-000"
READ_ONLY, WRITABLE = "mount --rbind /etc /etc && mount -o remount,ro,bind /etc", "umount -l /etc"
SHIM = "printf '#!/bin/sh\\necho \"pyenv: version lab is not installed\" >&2\\nexit 127\\n' > {0} && chmod 755 {0}"
NAME = "cat /proc/sys/kernel/hostname > /root/kept-name; hostname {} "
NAME_BACK = "hostname $(cat /root/kept-name)"

WORKS = {
    "a start-up file that prints": Way(
        (PEER,),
        f"cp {HOME}/.bashrc /root/kept-bashrc; "
        "printf 'printf \"\\\\033]0;lab\\\\007\"; echo Welcome; echo noise >&2\\n' > /root/noisy-bashrc; "
        f"cat /root/noisy-bashrc /root/kept-bashrc > {HOME}/.bashrc",
        f"cat /root/kept-bashrc > {HOME}/.bashrc",
    ),
    "a login shell that prints": Way((PEER,), f"{ODD_SHELL}usermod -s /usr/local/bin/odd-shell labadmin", "usermod -s /bin/bash labadmin"),
    "tcsh": shell("/usr/bin/tcsh"),
    "fish": shell("/usr/bin/fish"),
    "zsh": shell("/usr/bin/zsh"),
    "sshd on another port too": server("Port 22\\nPort 2222\\n", arguments=("--extra-vars=spark_ssh_port=2222",)),
    "keys in another file below the home": server(
        "AuthorizedKeysFile .ssh/lab_keys\\n",
        before=f"install -o labadmin -m 600 {HOME}/.ssh/authorized_keys {HOME}/.ssh/lab_keys",
        desks=BOTH,
    ),
    "keys where they were again": Way(BOTH, f"test -s {HOME}/.ssh/lab_keys", f"rm {HOME}/.ssh/lab_keys"),
    "few sessions and few logins at a time": server("MaxSessions 1\\nMaxStartups 2:30:20\\n", desks=BOTH),
    "a strict umask of root": Way((DESK,), "printf 'umask 077\\n' > /etc/profile.d/99-umask.sh", "rm /etc/profile.d/99-umask.sh"),
    "a home that is a link": Way(
        (PEER,),
        f"mkdir -p /srv/people && mv {HOME} /srv/people/labadmin && ln -s /srv/people/labadmin {HOME}",
        f"rm {HOME} && mv /srv/people/labadmin {HOME}",
    ),
    "a long host name in capitals": Way((PEER,), NAME.format(LONG), NAME_BACK),
    "settings that somebody edited": Way(
        (DESK,), "sed -i 's/^NCCL_SOCKET_IFNAME=.*/NCCL_SOCKET_IFNAME=docker0/' /etc/dgx_spark/pair.env", "true"
    ),
    "IPv6 off": Way(
        BOTH,
        "for f in /proc/sys/net/ipv6/conf/en*np*/disable_ipv6; do echo 1 > $f && grep -qx 1 $f || exit 1; done",
        "for f in /proc/sys/net/ipv6/conf/en*np*/disable_ipv6; do echo 0 > $f; done",
    ),
    "rules of others in nftables and DOCKER-USER": Way(
        BOTH,
        "iptables -N DOCKER-USER && iptables -A DOCKER-USER -j RETURN && iptables -I FORWARD -j DOCKER-USER && "
        "iptables -A DOCKER-USER -i enp1s0f0np0 -j DROP",
        "iptables -D FORWARD -j DOCKER-USER; iptables -F DOCKER-USER; iptables -X DOCKER-USER",
    ),
    "a desk that does not change with /etc read-only": Way((PEER,), READ_ONLY, WRITABLE),
    "broken shims before the system's Python": Way(
        (PEER,),
        " && ".join(SHIM.format(f"/usr/local/bin/python{version}") for version in ("3", "3.12", "3.13")),
        "rm /usr/local/bin/python3*",
    ),
}

NAMED = {
    "names of the pair that others gave away": Way(
        (DESK,),
        "cp /etc/hosts /root/kept-hosts; printf '10.99.0.1 pair-head pair-peer\\n' > /root/hosts; "
        "cat /root/hosts /root/kept-hosts > /etc/hosts",
        "cat /root/kept-hosts > /etc/hosts",
        verdict="WARN",
        code="PAIR_NAME_TAKEN",
    ),
    # The desks here have Open MPI 5, which waits for a daemon of another name; with 4.1 the pair passes with a warning.
    "one host name on both desks": Way(
        BOTH,
        NAME.format("spark"),
        NAME_BACK,
        arguments=("--extra-vars=pair_proof_nccl_time_limit=60",),
        verdict="FAIL",
        code="NCCL_LAUNCH_FAILED",
        words="hostnamectl set-hostname",
    ),
    "keys where only the admin writes": server(
        "AuthorizedKeysFile /etc/ssh/keys/%%u\\n",
        before="mkdir -p /etc/ssh/keys && grep -v dgx_spark_pair "
        f"{HOME}/.ssh/authorized_keys > /etc/ssh/keys/labadmin && chmod 644 /etc/ssh/keys/labadmin",
        after="rm -r /etc/ssh/keys",
        verdict="FAIL",
        code="PAIR_LOGIN_CLOSED",
        words="/etc/ssh/keys/labadmin",
    ),
    "no keys from the pair's networks": server(
        "Match Address 192.168.100.0/24\\n  PubkeyAuthentication no\\n",
        verdict="FAIL",
        code="PAIR_LOGIN_CLOSED",
        words="PubkeyAuthentication",
    ),
    "a firewall rule of somebody else": Way(
        (PEER,),
        "iptables -I INPUT -i enp1s0f0np0 -p tcp --syn --dport 1024: -j DROP",
        "iptables -D INPUT -i enp1s0f0np0 -p tcp --syn --dport 1024: -j DROP",
        verdict="FAIL",
        code="PAIR_FIREWALL_BLOCKS",
    ),
    "a Docker bridge with the link's network": Way(
        (DESK,),
        "ip link add br-variety type bridge && ip addr add 192.168.100.1/25 dev br-variety && ip link set br-variety up",
        "ip link del br-variety",
        verdict="FAIL",
        code="CX7_ADDRESS_OVERLAP",
    ),
    "a policy rule that leads elsewhere": Way(
        (PEER,),
        f"ip route add 192.168.100.0/24 dev {ROUTE} table 77 && ip rule add to 192.168.100.0/24 lookup 77 priority 100",
        "ip rule del priority 100; ip route flush table 77",
        verdict="FAIL",
        code="CX7_ADDRESS_OVERLAP",
    ),
    "sudo that wants a terminal": Way(
        (PEER,),
        "printf 'Defaults requiretty\\n' > /etc/sudoers.d/variety",
        "rm /etc/sudoers.d/variety",
        verdict="FAIL",
        code="BECOME_FAILED",
        words="requiretty",
    ),
    "a system Python that does not start": Way(
        (PEER,),
        f"mv /usr/bin/python3 /usr/bin/python3.kept && {SHIM.format('/usr/bin/python3')}",
        "mv /usr/bin/python3.kept /usr/bin/python3",
        verdict="FAIL",
        words="pyenv: version lab is not installed",
    ),
    "/etc read-only where something is to be written": Way(
        (PEER,),
        f"rm -f /etc/dgx_spark/pair.env && {READ_ONLY}",
        WRITABLE,
        verdict="FAIL",
        words="Read-only file system",
    ),
    "no inode left": Way(
        (PEER,),
        "mv /etc/dgx_spark /root/kept-settings && mkdir -m 755 /etc/dgx_spark && "
        "mount -t tmpfs -o nr_inodes=1,mode=755 none /etc/dgx_spark",
        "umount /etc/dgx_spark && rmdir /etc/dgx_spark && mv /root/kept-settings /etc/dgx_spark",
        verdict="FAIL",
        words="No space left on device",
    ),
}


@contextmanager
def made(way: Way) -> Iterator[None]:
    """The lab as somebody made it, and back."""
    changed = []
    try:
        for desk in way.desks:
            changed.append(desk)
            done = as_root(desk).run(way.change)
            assert done.rc == 0, done.stderr
        yield
    finally:
        for desk in changed:
            as_root(desk).run(way.back)


@pytest.mark.parametrize("name", WORKS)
def test_it_works(name: str, tmp_path: Path) -> None:
    way = WORKS[name]
    with made(way):
        run = stacked(tmp_path, *way.arguments)
    assert run.code == 0 and run.verdicts == {"pair_a": way.verdict}, run.output[-3000:]


@pytest.mark.parametrize("name", NAMED)
def test_it_is_named_and_the_right_desk_is_blamed(name: str, tmp_path: Path) -> None:
    way = NAMED[name]
    with made(way):
        run = stacked(tmp_path, *way.arguments)
    assert run.verdict == way.verdict and (run.code == 0) == (way.verdict == "WARN"), run.output[-3000:]
    assert not way.code or way.code in run.codes, run.codes
    assert way.words in json.dumps(run.report), run.output[-3000:]
    assert not {"PAIR_TRUST_BROKEN", "DESK_IDENTITY_WRONG"} & set(run.codes), run.codes
    if len(way.desks) == 1 and way.verdict == "FAIL":
        blamed = {item["where"].get("desk") for item in run.findings if item["severity"] == "fail"}
        assert blamed <= {*way.desks, None}, run.output[-3000:]


def test_then_the_pair_is_as_it_was(tmp_path: Path) -> None:
    first = stacked(tmp_path / "first")
    assert first.code == 0 and first.verdict == "PASS", first.output[-3000:]
    second = stacked(tmp_path / "second")
    assert (second.code, second.verdict, second.changes) == (0, "PASS", 0), second.output[-3000:]


def test_of_two_runs_at_once_none_fails(tmp_path: Path) -> None:
    runs = [Running(tmp_path / name) for name in ("one", "two")]
    ended = [run.ended() for run in runs]
    told = [run.verdict for run in ended]
    assert "FAIL" not in told, ended[0].output[-2000:] + ended[1].output[-2000:]
    assert "PASS" in told and (told == ["PASS", "PASS"] or any("RUN_ELSEWHERE" in run.codes for run in ended))
    assert as_root(DESK).file("/etc/dgx_spark/pair.env").exists and not as_root(DESK).file("/etc/dgx_spark/pair.stale").exists


def test_a_desk_that_another_one_has_replaced_is_stacked_again(tmp_path: Path) -> None:
    lab("reset", PEER)
    run = stacked(tmp_path)
    assert run.code == 0 and run.verdict == "PASS", run.output[-3000:]
