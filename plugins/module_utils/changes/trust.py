# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lets the desks of a stack log in: another desk's key, its host keys, firewall rules, the ssh that MPI uses. Pure.

The two desks of a pair log in to each other. In a ring or on a switch the head logs in to every member and nobody else does.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..model import mpi_guard
from ..model.data import sha256
from ..model.desk import Desk, MpiGuard
from ..model.link import KNOWN_HOSTS, Endpoint
from .pair_files import MARK
from .settings import FABRIC, FOLDER, PAIR_SSH

KEY_NAME = "id_ed25519_dgx_spark_pair"
RECORD = f"{FOLDER}/trust.json"
"""What was set up, readable by everybody."""

SSH_PORT = 22

PAIR_SSH_SCRIPT = """\
#!/bin/sh
# ssh to the other desk of the pair: the pair's key only, the host key always checked. MPI starts its daemon with it.
# Written by labops.dgx_spark (role pair_trust); use: pair-ssh ADDRESS [COMMAND ...]
host=$1
shift
# MPI asks which shell reads its words there: always the one below. "bash" brings the words that a POSIX shell takes, and no ~/.profile.
if [ "$*" = 'echo $SHELL' ]; then
    echo bash
    exit
fi
# The command goes as plain characters to /bin/sh there, whatever the login shell is. The mark of a running measurement goes along, so
# that what it leaves on the other desk can be found and ended, and the port that MPI's daemon uses there, which nobody else may reach.
if [ $# -gt 0 ]; then
    line=$*
    if [ -n "$DGX_SPARK_MEASUREMENT" ]; then
        pmix=${PMIX_MCA_ptl_base_ipv4_port:+" PMIX_MCA_ptl_base_ipv4_port=$PMIX_MCA_ptl_base_ipv4_port"}
        line="export DGX_SPARK_MEASUREMENT=$DGX_SPARK_MEASUREMENT$pmix; $line"
    fi
    coded=$(printf '%s' "$line" | base64 -w 0)
    set -- "/bin/sh -c 'eval \\"\\$(echo $coded | base64 -d)\\"'"
fi
exec ssh -F none -T -i "$HOME/.ssh/id_ed25519_dgx_spark_pair" -o IdentitiesOnly=yes -o BatchMode=yes \\
    -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/etc/dgx_spark/known_hosts -o ConnectTimeout=10 \\
    -o ServerAliveInterval=5 -o ServerAliveCountMax=3 -o ClearAllForwardings=yes -o LogLevel=ERROR "$host" "$@"
"""


def pair_ssh_script(ports: Mapping[str, int] | None = None, of_pair: bool = True) -> str:
    """The script; ``ports``: address to the port of its ssh, for those where it is not 22."""
    other = {address: port for address, port in sorted((ports or {}).items()) if port != SSH_PORT}
    script = (
        PAIR_SSH_SCRIPT
        if of_pair
        else PAIR_SSH_SCRIPT.replace("the other desk of the pair: the pair's key", "a desk of the stack: its key")
    )
    if not other:
        return script
    cases = "".join(f"    {address}) port={port} ;;\n" for address, port in other.items())
    chosen = f'port={SSH_PORT}\ncase "$host" in\n{cases}esac\n'
    return script.replace("shift\n", f"shift\n{chosen}", 1).replace('LogLevel=ERROR "$host"', 'LogLevel=ERROR -p "$port" "$host"')


class TrustError(Exception):
    """What trust needs is not known; ``desk`` lacks it."""

    def __init__(self, desk: str, text: str) -> None:
        self.desk, self.text = desk, text
        super().__init__(f"{desk}: {text}")


class KeysElsewhereError(TrustError):
    """The desk's ssh server reads the login user's keys where only its admin writes; ``line`` belongs into ``path`` (null: no file)."""

    def __init__(self, desk: str, path: str | None, line: str) -> None:
        self.path, self.line = path, line
        super().__init__(desk, f"its ssh server reads no key file in the login user's home ({path or 'it reads none at all'})")


def key_path(home: str) -> str:
    """Path of the private key."""
    return f"{home}/.ssh/{KEY_NAME}"


def address(desk: str, text: str) -> str:
    """A plain address of a desk, as it may stand in a list of ssh's. Raises TrustError.

    An IPv6 scope may hold any character (``fe80::1%",*,"`` is an address to Python), and means nothing on another desk.
    """
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise TrustError(desk, f"{text[:60]!r} is not an IP address that can be allowed") from None
    if getattr(found, "scope_id", None) is not None or "%" in text:
        raise TrustError(desk, "its management address is link-local (it has a scope); give it an address that its peer can reach")
    return str(found)


def addresses_of(end: Endpoint, bootstrap: str = FABRIC) -> list[str]:
    """The addresses that a desk of the pair is met at."""
    addresses = [function.address for function in end.functions]
    if bootstrap != FABRIC and end.management_address:
        addresses.append(end.management_address)
    return [address(end.desk, item) for item in addresses]


def authorized_line(public_key: str, sources: Sequence[str]) -> str:
    """The entry in authorized_keys: commands only, from the peer's addresses only."""
    kind, key = public_key.split()[:2]
    return f'restrict,from="{",".join(sources)}" {kind} {key} {MARK}'


def known_host_lines(host_keys: Sequence[str], addresses: Sequence[str], port: int = SSH_PORT) -> list[str]:
    """The entries in known_hosts for the peer's addresses; ssh looks for [ADDRESS]:PORT where the port is not 22."""
    names = [address if port == SSH_PORT else f"[{address}]:{port}" for address in addresses]
    return [f"{','.join(names)} {' '.join(key.split()[:2])} {MARK}" for key in sorted(host_keys)]


def wanted(
    me: tuple[str, Desk, Endpoint],
    other: tuple[str, Desk, Endpoint],
    *,
    bootstrap: str = FABRIC,
    open_firewall: bool = True,
    guard_mpi: bool = True,
    port: int = SSH_PORT,
) -> dict[str, Any]:
    """Arguments of pair_files for one desk; ``port``: where the other desk's ssh listens.

    Raises TrustError when a key or the home is not known.
    """
    name, facts, end = me
    peer_name, peer_facts, peer_end = other
    home, user = facts.limits.home, facts.limits.user
    if not home or not user:
        raise TrustError(name, "the login user's home is not known")
    if not peer_facts.setup.trust_public_key:
        raise TrustError(peer_name, "the pair's public key was not found; the keys stage creates it")
    if not peer_facts.setup.host_public_keys:
        raise TrustError(peer_name, "its ssh host keys could not be read")
    sources = addresses_of(peer_end, bootstrap)
    rules = []
    if open_firewall and facts.network.ufw_active is not False:
        rules = [{"netdev": mine.netdev, "source": theirs.address} for mine, theirs in zip(end.functions, peer_end.functions, strict=True)]
        if bootstrap != FABRIC and end.management_netdev and peer_end.management_address:
            rules.append({"netdev": end.management_netdev, "source": address(peer_name, peer_end.management_address)})
    # Both write into one file where they have one home.
    both = {*sources, *addresses_of(end, bootstrap)} if _one_home(facts, peer_facts) else set()
    authorized = [authorized_line(peer_facts.setup.trust_public_key, sorted(both) or sources)]
    known = known_host_lines(peer_facts.setup.host_public_keys, sources, port)
    arguments = _arguments(me[:2], (user, home), authorized, known, rules, pair_ssh_script(dict.fromkeys(sources, port)))
    return arguments | _guarded(facts, sources if guard_mpi else None)


def _one_home(one: Desk, other: Desk) -> bool:
    """Whether two desks have one home, as on a file server: the key that is made in it is both desks'."""
    keys = [(facts.setup.trust_public_key or "").split()[:2] for facts in (one, other)]
    return keys[0] == keys[1] != []


@dataclass(frozen=True)
class Other:
    """Another member of a ring or switch stack."""

    name: str
    facts: Desk
    mine: Endpoint
    """The end of the desk that it is told to."""
    theirs: Endpoint
    """Its own end of the path between the two."""
    port: int = SSH_PORT
    """Where its ssh listens."""


def wanted_in_stack(
    me: tuple[str, Desk],
    others: Sequence[Other],
    head: str,
    *,
    bootstrap: str = FABRIC,
    open_firewall: bool = True,
    guard_mpi: bool = True,
) -> dict[str, Any]:
    """Arguments of pair_files for one member: the head knows every member's host keys, every member lets the head in and nobody else.

    Raises TrustError when a key or the home is not known.
    """
    name, facts = me
    home, user = facts.limits.home, facts.limits.user
    if not home or not user:
        raise TrustError(name, "the login user's home is not known")
    authorized: list[str] = []
    known: list[str] = []
    rules: list[dict[str, str]] = []
    ports: dict[str, int] = {}
    owners: dict[str, str] = {}
    for other in others:
        sources = addresses_of(other.theirs, bootstrap)
        if name == head:
            for source in sources:
                if owners.setdefault(source, other.name) != other.name:
                    raise TrustError(
                        other.name,
                        f"its address {source} is {owners[source]}'s as well, so either would be taken for the other; give each desk of "
                        "the stack its own (ip -br addr on both shows them) and run again",
                    )
            if not other.facts.setup.host_public_keys:
                raise TrustError(other.name, "its ssh host keys could not be read")
            known += known_host_lines(other.facts.setup.host_public_keys, sources, other.port)
            ports |= dict.fromkeys(sources, other.port)
        elif other.name == head:
            if not other.facts.setup.trust_public_key:
                raise TrustError(other.name, "the stack's public key was not found; the keys stage makes it")
            authorized.append(authorized_line(other.facts.setup.trust_public_key, sources))
        if head in (name, other.name) and _one_home(facts, other.facts):
            # Where a ring's desks meet, the head comes from its management address alone, whichever member it is.
            theirs = addresses_of(other.mine if name == head else other.theirs, bootstrap)
            authorized = [authorized_line(str(facts.setup.trust_public_key), theirs if bootstrap == FABRIC else theirs[-1:])]
        if open_firewall and facts.network.ufw_active is not False:
            pairs = zip(other.mine.functions, other.theirs.functions, strict=True)
            rules += [{"netdev": mine.netdev, "source": theirs.address} for mine, theirs in pairs]
            if bootstrap != FABRIC and other.mine.management_netdev and other.theirs.management_address:
                source = address(other.name, other.theirs.management_address)
                rules.append({"netdev": other.mine.management_netdev, "source": source})
    met = [source for other in others for source in addresses_of(other.theirs, bootstrap)]
    arguments = _arguments(me, (user, home), authorized, known, rules, pair_ssh_script(ports, of_pair=False))
    return arguments | _guarded(facts, met if guard_mpi else None)


def _guarded(facts: Desk, sources: Sequence[str] | None) -> dict[str, Any]:
    """Who may reach Open MPI's ports: the login user, here and from the other desks. Nothing where that user's number is not known."""
    if sources is None:
        return {"guard": {}}
    return {} if facts.limits.uid is None else {"guard": {"uid": facts.limits.uid, "sources": sorted(set(sources))}}


def _arguments(
    me: tuple[str, Desk],
    login: tuple[str, str],
    authorized: Sequence[str],
    known: Sequence[str],
    rules: Sequence[Mapping[str, str]],
    script: str,
) -> dict[str, Any]:
    (name, facts), (user, home) = me, login
    key_file = facts.network.sshd.key_file(home)
    below = key_file.startswith(f"{home.rstrip('/')}/") and facts.network.sshd.key_files != ()
    if not below and authorized and sorted(facts.setup.trust_authorized) != list(authorized):
        raise KeysElsewhereError(name, key_file if facts.network.sshd.key_files else None, authorized[0])
    return {
        "files": [
            {"path": PAIR_SSH, "content": script, "mode": "0755"},
            {"path": KNOWN_HOSTS, "content": "".join(f"{line}\n" for line in known) or None, "mode": "0644"},
            {"path": RECORD, "content": record(rules, authorized, known, login, script, key_file), "mode": "0644"},
        ],
        "lines": [
            *([{"path": key_file, "lines": list(authorized), "user": user, "mode": "0600"}] if below else []),
            # Nothing of ours belongs there: that file decides for every ssh of the login user.
            *(_no_lines((user, home), ("known_hosts",)) if facts.setup.trust_known_hosts else ()),
            *_none_left(facts, user, home),
            *_none_of_former(facts),
        ],
        "rules": list(rules),
    }


def former_login(facts: Desk) -> tuple[str, str] | None:
    """User and home that the trust was set up for, where that is not today's login user: the peer's key still opens that account."""
    setup, limits = facts.setup, facts.limits
    if not setup.trust_user or not setup.trust_home or setup.trust_user == limits.user:
        return None
    return setup.trust_user, setup.trust_home


def _none_of_former(facts: Desk) -> list[dict[str, Any]]:
    """That none of our lines are left with the former login user, also where the ssh server reads keys under other names in a home."""
    former, own = former_login(facts), f"{(facts.limits.home or '').rstrip('/')}/"
    if former is None:
        return []
    (user, home), told = former, [path.removeprefix(own) for path in facts.network.sshd.key_files or () if path.startswith(own)]
    others = [name for name in told if name != ".ssh/authorized_keys"]
    return [*_no_lines(former), *({"path": f"{home}/{name}", "lines": [], "user": user, "mode": "0600"} for name in others)]


def _no_lines(login: tuple[str, str], names: Sequence[str] = ("authorized_keys", "known_hosts")) -> list[dict[str, Any]]:
    """That none of our lines are left with a login user."""
    user, home = login
    return [{"path": f"{home}/.ssh/{name}", "lines": [], "user": user, "mode": "0600"} for name in names]


def _no_lines_in(facts: Desk, user: str, home: str) -> list[dict[str, Any]]:
    """That none of our lines are left where the ssh server reads the user's keys now, or did once."""
    now = facts.network.sshd.key_file(home)
    own = now.startswith(f"{home.rstrip('/')}/") and now != f"{home}/.ssh/authorized_keys"
    return [*([{"path": now, "lines": [], "user": user, "mode": "0600"}] if own else []), *_none_left(facts, user, home)]


def _none_left(facts: Desk, user: str, home: str) -> list[dict[str, Any]]:
    """That none of our lines stay in files that the ssh server read before."""
    left = [path for path in facts.setup.trust_left_in if path.startswith(f"{home.rstrip('/')}/")]
    return [{"path": path, "lines": [], "user": user, "mode": "0600"} for path in left]


def record(
    rules: Sequence[Any],
    authorized: Sequence[str],
    known: Sequence[str],
    login: tuple[str, str],
    script: str = PAIR_SSH_SCRIPT,
    key_file: str | None = None,
) -> str:
    """The text of the record: whom it was set up for and what, by checksum where the text is a key."""
    elsewhere = {"authorized_keys": key_file} if key_file not in (None, f"{login[1]}/.ssh/authorized_keys") else {}
    content = {
        "user": login[0],
        "home": login[1],
        **elsewhere,
        "firewall": list(rules),
        "pair_ssh_sha256": sha256(script),
        "authorized_sha256": [sha256(line) for line in authorized],
        "known_hosts_sha256": [sha256(line) for line in known],
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def unwanted(facts: Desk) -> dict[str, Any]:
    """Arguments of pair_files that take everything back. Raises TrustError without the user's home."""
    home, user = facts.limits.home, facts.limits.user
    if not home or not user:
        raise TrustError("desk", "the login user's home is not known")
    former = former_login(facts)
    # The key goes with the account that it was made in; whoever logs in today has none unless the facts show it.
    owner, place = (user, home) if former is None or facts.setup.trust_public_key else former
    return {
        "files": [{"path": PAIR_SSH}, {"path": KNOWN_HOSTS}, {"path": RECORD}],
        "lines": [*_no_lines((user, home)), *_none_of_former(facts), *_no_lines_in(facts, user, home)],
        "key": {"path": key_path(place), "user": owner, "state": "absent"},
        "rules": [],
        "guard": {},
    }


def is_there(facts: Desk, arguments: dict[str, Any]) -> bool:
    """Whether the facts already show all of what ``wanted`` asks for: each thing itself, and not only the record of it."""
    setup, kept = facts.setup, facts.setup.pair_files
    wanted = {item["path"]: None if item["content"] is None else sha256(item["content"]) for item in arguments["files"]}
    rules = tuple(sorted(f"{item['netdev']} {item['source']}" for item in arguments["rules"] if ":" not in item["source"]))
    return (
        all(kept.get(path) == digest for path, digest in wanted.items())
        and not {*wanted, FOLDER} & set(setup.wrong_modes)
        and setup.firewall_rules in (None, rules)
        and _is_guarded(facts, arguments.get("guard"))
        and all(
            sorted(have) == sorted(line for item in arguments["lines"] if item["path"] == path for line in item["lines"])
            for path, have in _lines_of(facts, arguments)
        )
    )


def _is_guarded(facts: Desk, wanted: Mapping[str, Any] | None) -> bool:
    found, kept = facts.setup.mpi_guard, facts.setup.pair_files.get(mpi_guard.UNIT)
    if wanted is None:
        return True
    if not wanted:
        return kept is None and (found is None or found == MpiGuard(ipv4=(), ipv6=found.ipv6 and ()))
    guard = mpi_guard.Guard(wanted["uid"], tuple(wanted["sources"]))
    right = kept == sha256(mpi_guard.unit(guard)) and mpi_guard.UNIT not in facts.setup.wrong_modes
    return found is None or (right and mpi_guard.in_force(guard, found))


def _lines_of(facts: Desk, arguments: dict[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Each file that lines are wanted in (or out of), with our lines that the facts show there."""
    setup, home = facts.setup, facts.limits.home or ""
    shown = {facts.network.sshd.key_file(home): setup.trust_authorized, f"{home}/.ssh/known_hosts": setup.trust_known_hosts}
    paths = dict.fromkeys(item["path"] for item in arguments["lines"])
    return [(path, shown.get(path, ("a line",) if path in setup.trust_left_in else ())) for path in paths]


def is_gone(facts: Desk) -> bool:
    """Whether nothing of ours is there any more."""
    setup = facts.setup
    left = (setup.trust_public_key, setup.trust_key_damaged, setup.trust_authorized, setup.trust_known_hosts, setup.firewall_rules)
    unguarded = _is_guarded(facts, {})
    return unguarded and not any((*left, setup.trust_left_in)) and not {RECORD, PAIR_SSH, KNOWN_HOSTS} & set(setup.pair_files)
