# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings that a stack is proven with: pair.env, hostfile and names. Pure.

pair.env is read alike by a shell (``set -a; . /etc/dgx_spark/pair.env``), ``docker run --env-file`` and systemd's
``EnvironmentFile``: no quotes, no spaces in values, comments on lines of their own. NCCL_IB_GID_INDEX is never in it: the index
differs between functions and desks and NCCL finds it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..model.data import sha256
from ..model.desk import Setup
from ..model.link import Endpoint, members, paths_of
from .pair_files import MARK

FOLDER = "/etc/dgx_spark"
PAIR_ENV = f"{FOLDER}/pair.env"
HOSTFILE = f"{FOLDER}/hostfile"
STALE = f"{FOLDER}/pair.stale"
PAIR_SSH = "/usr/local/bin/pair-ssh"
PAIR_CHECK = "/usr/local/bin/pair-check"
HOSTS = "/etc/hosts"
FABRIC, MANAGEMENT = "fabric", "management"
DIRECT, RING = "direct", "ring"
"""Topologies whose settings differ from the others'."""
PROVEN, FAILED, UNKNOWN = "proven", "failed", "unknown"

TITLE = "# Settings that this pair was proven with. Written by labops.dgx_spark; edits are lost at the next proof."
FIRST_PROVEN = "# first_proven_by "


@dataclass(frozen=True)
class Meeting:
    """Where ssh, MPI and NCCL's bootstrap of a stack meet. Addresses and interfaces are those of the members, head first."""

    network: str
    """CIDR that holds every address."""
    addresses: tuple[str, ...]
    netdevs: tuple[str, ...]


def meeting(ends: Sequence[Endpoint], bootstrap: str = FABRIC) -> Meeting:
    """The addresses that the members meet at: those of the functions in PCI domain 0, or the management ones by choice.

    Raises ValueError when the management addresses are not known, or when no fabric network joins all members (as in a ring).
    """
    first = {end.desk: end for end in reversed(ends)}
    each = [first[desk] for desk in members(ends)]
    if bootstrap == MANAGEMENT:
        known = [(end.management_address, end.management_netdev) for end in each if end.management_address and end.management_netdev]
        network = each[0].management_network
        if len(known) != len(each) or network is None:
            raise ValueError("the management address of a desk is not known, so the desks cannot meet there")
        return Meeting(network, tuple(str(address) for address, _netdev in known), tuple(str(netdev) for _address, netdev in known))
    functions = [end.functions[0] for end in each]
    networks = {str(ipaddress.ip_interface(f"{item.address}/{item.prefix_length}").network) for item in functions}
    if len(networks) > 1 and len(each) > 2:
        raise ValueError("no fabric network joins all desks of the stack; use the management addresses (bootstrap: management)")
    network = str(ipaddress.ip_interface(f"{functions[0].address}/{functions[0].prefix_length}").network)
    return Meeting(network, tuple(item.address for item in functions), tuple(item.netdev for item in functions))


def login_addresses(ends: Sequence[Endpoint], bootstrap: str = FABRIC) -> tuple[str, ...]:
    """Where the head's ssh reaches each member (its own address first). Raises ValueError when one cannot be reached that way."""
    head, *others = members(ends)
    if bootstrap == MANAGEMENT:
        return meeting(ends, MANAGEMENT).addresses
    reached = {path.second.desk: path.second for path in paths_of(ends) if path.first.desk == head}
    lost = [desk for desk in others if desk not in reached]
    if lost:
        raise ValueError(f"{', '.join(lost)} and {head} have no addresses in one network, so {head} cannot log in there over the fabric")
    return (ends[0].functions[0].address, *(reached[desk].functions[0].address for desk in others))


def settings(mine: Sequence[Endpoint], meet: Meeting, which: int, topology: str = DIRECT) -> dict[str, str]:
    """The environment of one member (``which``: its rank, 0 the head). ``mine``: its ends, two in a ring."""
    return {
        # "==" in the file: the value begins with "=", which makes NCCL match the names exactly.
        "NCCL_IB_HCA": "=" + ",".join(function.rdma_device for end in mine for function in end.functions),
        **_of_topology(topology),
        "NCCL_SOCKET_IFNAME": "=" + meet.netdevs[which],
        "UCX_NET_DEVICES": meet.netdevs[which],
        "OMPI_MCA_pml": "ob1",
        "OMPI_MCA_btl": "tcp,self",
        # A network instead of a name: the two desks may name their interfaces differently, and docker0 stays out.
        "OMPI_MCA_btl_tcp_if_include": meet.network,
        "OMPI_MCA_oob_tcp_if_include": meet.network,
        "OMPI_MCA_hwloc_base_binding_policy": "none",
        "OMPI_MCA_plm_rsh_agent": PAIR_SSH,
        # Words for the shell that pair-ssh uses, not for the login user's: a csh's would be lost on it.
        "OMPI_MCA_plm_rsh_assume_same_shell": "0",
        # The same for Open MPI 5, whose launcher (PRRTE) has names of its own; version 4 does not look at them.
        "PRTE_MCA_prte_if_include": meet.network,
        "PRTE_MCA_hwloc_default_binding_policy": "none",
        "PRTE_MCA_plm_ssh_agent": PAIR_SSH,
        "PRTE_MCA_plm_ssh_assume_same_shell": "0",
    }


def _of_topology(topology: str) -> dict[str, str]:
    """What more than two desks need: NVIDIA's helper for rings and switches sets the same for NCCL."""
    if topology == DIRECT:
        return {}
    found = {
        # A device speaks to those of its own networks only: nothing else answers it over another cable of a ring (NCCL 2.30 and newer).
        "NCCL_IB_SUBNET_AWARE_ROUTING": "1",
        # The head logs in to every member itself; members have no keys for each other. The second name is Open MPI 5's.
        "OMPI_MCA_plm_rsh_no_tree_spawn": "1",
        "PRTE_MCA_plm_ssh_no_tree_spawn": "1",
    }
    return {**found, "NCCL_NET_PLUGIN": "none"} if topology == RING else found


def pair_env(pair: str, ends: Sequence[Endpoint], which: int, values: Mapping[str, str], run_id: str, topology: str = DIRECT) -> str:
    """The text of pair.env for one desk, as it is before the run that proves it."""
    desks = members(ends)
    title, kind = (TITLE, "pair") if topology == DIRECT else (TITLE.replace("this pair", "this stack"), "stack")
    role = "head" if not which else "peer" if topology == DIRECT else f"rank {which}"
    lines = [title, f"# {kind} {pair}", f"# desk {desks[which]} ({role})", f"{FIRST_PROVEN}{run_id}"]
    for desk in desks:
        mine = [end for end in ends if end.desk == desk]
        changes = " ".join(f"{function.netdev}={function.carrier_down_count}" for end in mine for function in end.functions)
        lines += [f"# boot_id {desk} {mine[0].boot_id}", f"# link_changes {desk} {changes}"]
    lines += [f"{key}={value}" for key, value in values.items()]
    # A shell sources the file: a line more than these, from a name with a line end in it, would be a command.
    broken = next((item for item in lines if len(item.splitlines()) != 1), None)
    if broken is not None:
        raise ValueError(f"{broken[:80]!r} would be more than one line of pair.env")
    return "\n".join(lines) + "\n"


def hostfile(meet: Meeting) -> str:
    """The MPI hostfile: head first, one rank each."""
    return "".join(f"{address} slots=1\n" for address in meet.addresses)


def names(count: int, topology: str = DIRECT) -> tuple[str, ...]:
    """The names of a stack's members in /etc/hosts, head first."""
    return ("pair-head", "pair-peer") if topology == DIRECT else tuple(f"stack-{rank}" for rank in range(1, count + 1))


def proven(stack: str, ends: Sequence[Endpoint], meet: Meeting, run_id: str, topology: str = DIRECT) -> dict[str, Any]:
    """The settings of a stack as one value: each desk's pair.env, the hostfile, the names. A pure function of its ends.

    The head runs with them, and the controller computes them again from the same ends: what goes onto the other desks is the
    controller's own and never what the head answered. Raises ValueError for a value that is more than one word of a line.
    """
    of_desk = {desk: [end for end in ends if end.desk == desk] for desk in members(ends)}
    texts = {}
    for rank, (desk, mine) in enumerate(of_desk.items()):
        values = settings(mine, meet, rank, topology)
        texts[desk] = kept_or_new(mine[0].pair_env, pair_env(stack, ends, rank, values, run_id, topology))
    return {
        "desks": {desk: {"pair_env": text, "sha256": sha256(text)} for desk, text in texts.items()},
        "hostfile": hostfile(meet),
        "addresses": dict(zip(names(len(texts), topology), meet.addresses, strict=True)),
    }


def kept_or_new(existing: str | None, fresh: str) -> str:
    """The existing text when it says the same apart from the run that first proved it, else the fresh one."""
    return existing if existing is not None and _without_run(existing) == _without_run(fresh) else fresh


def _without_run(text: str) -> list[str]:
    # Lines as a shell takes them: with other ends than a line feed the values would be others.
    return [line for line in text.split("\n") if not line.startswith(FIRST_PROVEN)]


def values_of(text: str) -> dict[str, str]:
    """The settings in a text of pair.env, read the way ``docker run --env-file`` reads it."""
    pairs = (line.partition("=") for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return {key.strip(): value for key, _equals, value in pairs}


def host_lines(addresses: Mapping[str, str]) -> list[str]:
    """Our lines in /etc/hosts."""
    return [f"{address} {name} # {MARK}" for name, address in sorted(addresses.items())]


def state_of(rdma: Sequence[str], nccl: Sequence[str], nccl_measured: bool, elsewhere_failed: bool) -> str:
    """What this run says of the pair: proven, failed or unknown, from the severities of its two measurements."""
    if elsewhere_failed or "fail" in rdma or "fail" in nccl:
        return FAILED
    if not nccl_measured or "unknown" in rdma or "unknown" in nccl:
        return UNKNOWN
    return PROVEN


def wanted(state: str, desk: str, proof: Mapping[str, Any], check_script: str, existing: bool, reason: str) -> dict[str, Any] | None:
    """Arguments of pair_files for one desk; null when nothing of this state concerns it.

    ``proof``: the part of the NCCL stage, whose settings the controller computed; ``existing``: whether the desk has settings of an
    earlier proof.
    """
    if state == PROVEN:
        proven = proof["settings"]
        return {
            "files": [
                {"path": PAIR_ENV, "content": proven["desks"][desk]["pair_env"], "mode": "0644"},
                {"path": HOSTFILE, "content": proven["hostfile"], "mode": "0644"},
                {"path": STALE, "content": None, "mode": "0644"},
                {"path": PAIR_CHECK, "content": check_script, "mode": "0755"},
            ],
            "lines": [{"path": HOSTS, "lines": host_lines(proven["addresses"]), "mode": "0644"}],
        }
    if not existing:
        return None
    if state == UNKNOWN:
        return {"files": [{"path": STALE, "content": f"not measured by run {reason}\n", "mode": "0644"}], "lines": []}
    return withdrawn()


def withdrawn(with_check: bool = False) -> dict[str, Any]:
    """Arguments of pair_files that take the settings back (and pair-check too, when the pair is taken apart)."""
    paths = [PAIR_ENV, HOSTFILE, STALE, *([PAIR_CHECK] if with_check else [])]
    return {
        "files": [{"path": path, "content": None, "mode": "0644"} for path in paths],
        "lines": [{"path": HOSTS, "lines": [], "mode": "0644"}],
    }


def is_there(setup: Setup, arguments: Mapping[str, Any]) -> bool:
    """Whether the facts already show all of what is wanted."""
    for file in arguments["files"]:
        path, content = file["path"], file["content"]
        if path == PAIR_ENV:
            same = setup.pair_env == content
        elif path == STALE and content is not None:
            same = STALE in setup.pair_files  # stale is stale, whichever run said so first
        else:
            same = setup.pair_files.get(path) == (None if content is None else sha256(content))
        if not same or (content is not None and {path, FOLDER} & set(setup.wrong_modes)):
            return False
    for item in arguments["lines"]:
        if setup.pair_files.get(item["path"]) != (sha256("\n".join(item["lines"])) if item["lines"] else None):
            return False
    return True
