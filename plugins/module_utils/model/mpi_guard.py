# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may open connections to Open MPI's ports while a stack is measured: its login user, from its desks. Pure.

Open MPI's daemons ask nobody who they are: whoever connects to one can have a program started as the login user. So a measurement keeps
their ports in one range, and the firewall of each desk lets nobody else in there. Only the kernel that a connection begins in knows
whose it is, so that the rules are on every desk of the stack.
"""

from __future__ import annotations

import itertools
import re
import shlex
from dataclasses import dataclass

from .desk import MpiGuard

DAEMONS, DAEMONS_IPV6 = range(28400, 28404), range(28404, 28408)
"""Open MPI 4 and 5 (PRRTE) listen on every one of these that is free."""
PMIX = range(28408, 28420)
"""Over one of these a rank and its daemon speak; where it is taken, Open MPI aborts."""
RANKS = range(28420, 28500)
"""The ranks' own data."""
PORTS = f"{DAEMONS[0]}:{RANKS[-1]}"
"""All of them, as iptables has a range. None is among the ports that Linux gives to programs by itself (32768 to 60999), none is registered
for a service (IANA)."""

SERVICE = "dgx-spark-mpi.service"
UNIT = f"/etc/systemd/system/{SERVICE}"
WANTED_BY = f"/etc/systemd/system/multi-user.target.wants/{SERVICE}"
IN, OUT, THROUGH = "dgx-spark-mpi-in", "dgx-spark-mpi-out", "dgx-spark-mpi-through"
JUMPS = {"INPUT": IN, "OUTPUT": OUT, "FORWARD": THROUGH}
"""The kernel's own chain to ours. FORWARD, because a container's connection to another desk is none of this desk's own and comes there from
this desk's address, whichever of the other desk's addresses it goes to: Open MPI listens on all of them, and only those that the desks meet
at are known here."""
CHAINS = "dgx-spark-mpi-"
"""What every rule of ours names."""
PROGRAMS = ("iptables", "ip6tables")
TABLE = "mangle"
"""The kernel asks it before the table of filters, where rules of others (a VPN's) may let everybody in before ours are looked at."""
COMMANDS = tuple((program, "-w", "5", "-t", TABLE, "-S") for program in PROGRAMS)
"""What shows the rules in force; it waits 5 seconds for whoever changes rules."""
IPV6 = "/proc/net/if_inet6"
"""The addresses of IPv6, those of the desk itself included; empty or not there on a desk without any."""
NOT_ASKED = "iptables or ip6tables cannot be asked"
MOST_RULES = 64

_NEW = f"-p tcp --dport {PORTS} --syn"
_UNIT = """\
[Unit]
Description=Open MPI's ports of a pair's proof, for its login user and its desks only (labops.dgx_spark)

[Service]
Type=oneshot
RemainAfterExit=yes
{commands}

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Guard:
    """Who may connect: programs of the login user (``uid``), on this desk and on those with the addresses ``sources``."""

    uid: int
    sources: tuple[str, ...]


def settings(pmix: int) -> dict[str, str]:
    """Environment of mpirun that keeps every port in the range; ``pmix``: a port that is free on every desk.

    Open MPI 4 does not hand that one on to the other desks, so pair-ssh does.
    """
    daemons, daemons_ipv6 = (f"{ports[0]}-{ports[-1]}" for ports in (DAEMONS, DAEMONS_IPV6))
    return {
        **dict.fromkeys(("OMPI_MCA_oob_tcp_dynamic_ipv4_ports", "PRTE_MCA_oob_tcp_dynamic_ipv4_ports"), daemons),
        **dict.fromkeys(("OMPI_MCA_oob_tcp_dynamic_ipv6_ports", "PRTE_MCA_oob_tcp_dynamic_ipv6_ports"), daemons_ipv6),
        "PMIX_MCA_ptl_base_ipv4_port": str(pmix),
        **dict.fromkeys(("OMPI_MCA_btl_tcp_port_min_v4", "OMPI_MCA_btl_tcp_port_min_v6"), str(RANKS[0])),
        **dict.fromkeys(("OMPI_MCA_btl_tcp_port_range_v4", "OMPI_MCA_btl_tcp_port_range_v6"), str(len(RANKS))),
    }


def rules(guard: Guard, program: str) -> list[str]:
    """The rules of one family, in the order in which they are added."""
    sources = [source for source in guard.sources if (":" in source) == (program == "ip6tables")]
    return [
        f"-A {IN} -i lo -j RETURN",
        *(f"-A {IN} -s {source} -j RETURN" for source in sources),
        f"-A {IN} -j DROP",
        f"-A {OUT} -m owner --uid-owner {guard.uid} -j RETURN",
        f"-A {OUT} -j DROP",
        f"-A {THROUGH} -j DROP",
        *(f"-I {hook} {_NEW} -j {chain}" for hook, chain in JUMPS.items()),
    ]


def unit(guard: Guard) -> str:
    """The text of the unit. Starting it again replaces its rules."""
    lines = []
    for program in PROGRAMS:
        path = f"/usr/sbin/{program} -w -t {TABLE}"
        away = [f"-D {hook} {_NEW} -j {chain}" for hook, chain in JUMPS.items()]
        away += [f"{do} {chain}" for chain in JUMPS.values() for do in ("-F", "-X")]
        lines += [f"{kind}=-{path} {rule}" for kind in ("ExecStartPre", "ExecStop") for rule in away]
        # A desk without IPv6 has nobody to keep out there.
        may_fail = "-" if program == "ip6tables" else ""
        lines += [f"ExecStart={may_fail}{path} {rule}" for rule in (*(f"-N {chain}" for chain in JUMPS.values()), *rules(guard, program))]
    return _UNIT.format(commands="\n".join(lines))


def found(enabled: bool, ipv4: str | None, ipv6: str | None, addresses: str | None) -> MpiGuard | None:
    """What a desk has of it, from the outputs of ``COMMANDS`` and the text of ``IPV6``.

    Null where iptables does not answer, or ip6tables on a desk that has IPv6: Open MPI listens there as well.
    """
    if ipv4 is None or (ipv6 is None and (addresses or "").strip()):
        return None
    return MpiGuard(enabled, _of_ours(ipv4), None if ipv6 is None else _of_ours(ipv6))


def _of_ours(text: str) -> tuple[str, ...]:
    rules = (" ".join(line.split()) for line in text.splitlines() if line.startswith("-A "))
    return tuple(rule for rule in rules if any(word.startswith(CHAINS) for word in rule.split(" ")))[:MOST_RULES]


def in_force(guard: Guard, found: MpiGuard) -> bool:
    """Whether a desk has exactly these rules, and has them again after a reboot."""
    families = zip(PROGRAMS, (found.ipv4, found.ipv6), strict=True)
    return found.enabled and all(
        lines is None or sorted(map(_meaning, lines)) == sorted(map(_meaning, rules(guard, program))) for program, lines in families
    )


_OPTIONS = ("-A", "-I", "-i", "-s", "-d", "--dport", "--uid-owner", "-j")


def _meaning(rule: str) -> list[tuple[str, str]]:
    """What tells rules of ours apart, however iptables writes them."""
    named = {"-A" if name == "-I" else name: value for name, value in itertools.pairwise(shlex.split(rule)) if name in _OPTIONS}
    return sorted((name, re.sub(r"/(?:32|128)$", "", value)) for name, value in named.items())
