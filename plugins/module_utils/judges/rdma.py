# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an RDMA measurement means: findings from evidence alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from ..model.finding import Finding, Where
from ..model.link import Endpoint, Path
from ..model.proof import Locked, Neighbour, Problem, RdmaEvidence, RdmaRun, RdmaStep
from .catalogue import finding
from .common import TAKES_ALL
from .counters import BAND, RESTARTED
from .marks import at_speed, link_speed, mark
from .marks_data import MARKS, Mark
from .rdma_hardest import FULL_WIDTH, weigh
from .rdma_tables import counter_rows, speeds_of

FULL_MTU = 9000
LOCKED_LEAST = 8 << 20
"""Bytes; with less than this even one perftest fails, whatever else is wrong."""

LOCKED_ENOUGH = 1 << 30
"""Bytes; a process that may lock less than this is taken to have failed for its limit when no other cause is seen.

Stock DGX OS allows nearly all of RAM.
"""

WAITING = {
    "refused": "the peer refused the connection: no ssh server listens at this address (ListenAddress, or another Port than "
    "spark_ssh_port: sudo sshd -T | grep -E '^(listenaddress|port) ' there), or a ban or packet filter there rejects this desk (sudo "
    "fail2ban-client status sshd; a rule LIMIT of sudo ufw status rejects the sixth login within 30 seconds)",
    "port": "what listens at this port of the peer is not an ssh server (spark_ssh_port, or ansible_port, is not that of its sshd: "
    "sudo sshd -T | grep ^port there)",
    "damaged": "what arrives over the cable is damaged (ethtool -S INTERFACE on both desks counts it; reseat or change the cable)",
    "no_route": "the peer's address cannot be reached although the desk answered on the cable before: a packet filter on one of the desks "
    "rejects the connection (sudo nft list ruleset, sudo ufw status), or the link has gone down since",
    "link_down": "the link has gone down since the facts were read: the other desk is off or starting, the cable was taken out, or an "
    "interface was switched off or lost (ip -br link and journalctl -k on both desks)",
    "no_address": "the desk has lost its address on the link since the facts were read (networkctl status INTERFACE, or nmcli device show "
    "INTERFACE, says why; stack_pair.yml sets it again)",
    "timed_out": "the peer did not respond in time: it is overloaded or frozen, or a packet filter there drops what comes from this desk "
    "(sudo nft list ruleset, sudo ufw status)",
    "closed": "the peer's ssh server closed the connection at once: too many logins at a time (MaxStartups), or something that blocks "
    "this desk for a while (fail2ban, PerSourcePenalties, hosts.deny)",
    "nologin": "the peer is starting or shutting down and accepts no logins now (if it stays so: ls /run/nologin /etc/nologin there)",
    "lost": "the connection to the desk was lost during the measurement, or closed after the login (sudo journalctl -u ssh there says why)",
    "algorithm": "ssh on the two desks has no key type or cipher in common",
    "expired": "the login user's password or account on this desk has expired; set a new one (log in with a terminal) or lift the expiry "
    "(sudo chage -E -1 -M -1 USER)",
    "failed": "the measurement could not be driven",
    "no_answer": "a command on the desk did not respond in time",
    "login": "the login works, but the user's shell there (nologin or a restricted one: sudo usermod -s /bin/bash USER) or something in "
    "its start-up (~/.bashrc, /etc/profile.d; what starts tmux or another shell there belongs in interactive shells only) keeps the "
    "measurement's program from responding",
    "port_busy": "no listener could be opened on the fabric address",
}


OTHER_END = "Look at the other end's output and at the mlx5 lines in both kernel logs (journalctl -k), then measure again."
COMPARE = "Compare kernel, driver and perftest on the two desks (stack_pair.yml installs the same tools on both), then measure again."

ENDED: dict[str, tuple[str, str | None]] = {
    "timeout": ("did not end within its time limit", None),
    "server": ("did not begin to listen", None),
    "server_ended": ("gave a figure that counts for nothing: its server on the other desk did not end well", None),
    "retry": (
        "gave up after too many retries (completion status 12: nothing came back on that path)",
        "See the link, MTU and address findings of both desks, check the cable, then measure again.",
    ),
    "queue_pair": (
        "could not connect its queue pair: nothing answered on that path, or the GID index has no usable address",
        "Run playbooks/cable_map.yml and compare with the inventory; see the link findings of both desks, then measure again.",
    ),
    "receiver_not_ready": ("repeatedly found the receiver not ready (completion status 13)", OTHER_END),
    "remote_access": ("was refused access to the other desk's memory (completion status 10)", COMPARE),
    "remote_invalid_request": ("sent a request that the other desk did not accept (completion status 9)", COMPARE),
    "remote_operation": ("met an operation that failed on the other desk (completion status 11)", OTHER_END),
    "flushed": (
        "had its transfers discarded after its connection failed (completion status 5); what failed first was not reported",
        OTHER_END,
    ),
    "local_protection": ("used memory that is not registered for the adapter (completion status 4)", COMPARE),
    "local_length": ("used a message length that the adapter does not accept (completion status 1)", COMPARE),
    "completion": ("ended with a failed completion", OTHER_END),
    "other_end": (
        "ended because the program on the other desk did so in the middle, without a word about why",
        "Look in the other desk's log for who ended it (journalctl: out of memory, another user's kill, a reboot), then measure again.",
    ),
}
"""Words and remedy of a run of perftest that failed, by its error; null is the code's own remedy."""


def judge(pair: str, ends: Sequence[Endpoint], evidence: RdmaEvidence, marks: Sequence[Mark] = MARKS) -> list[Finding]:
    """Findings of the RDMA measurement of one path, whose two ends are given.

    An empty list is a pass: every step was measured, or follows from the hardest one.
    """
    found = problems(pair, evidence.problems, "RDMA_NOT_MEASURED")
    found += wrong_peer(pair, ends, evidence.neighbours, "RDMA_NOT_MEASURED")
    if found:
        return found
    if spared(evidence, ends, marks):
        return _mtu(pair, ends)
    found = _errors(pair, ends, evidence)
    if found:
        return found
    if not complete(evidence, ends):
        return [finding("RDMA_NOT_MEASURED", Where(pair=pair), f"pair {pair}: the measurement has no result")]
    return [*_speeds(pair, ends, evidence, marks), *_counters(pair, ends, evidence), *_mtu(pair, ends)]


def _mtu(pair: str, ends: Sequence[Endpoint]) -> list[Finding]:
    found = []
    if any(function.mtu < FULL_MTU for end in ends for function in end.functions):
        seen = {f"{end.desk} {function.netdev}": function.mtu for end in ends for function in end.functions}
        found.append(finding("RDMA_MTU_1500", Where(pair=pair), f"pair {pair}: measured below MTU {FULL_MTU}", evidence={"mtu": seen}))
    return found


def judge_paths(
    stack: str, measured: Sequence[tuple[Path, RdmaEvidence]], marks: Sequence[Mark] = MARKS, at_once: Sequence[RdmaStep] = ()
) -> list[Finding]:
    """Findings of every path of a stack that was measured, and who all bad paths have in common.

    ``at_once``: the hardest step of every path at the same time, where the desks of a stack have two cables each.
    """
    found: list[Finding] = []
    judged: list[tuple[Path, list[Finding]]] = []
    for path, evidence in measured:
        own = judge(stack, path.ends, evidence, marks)
        if len(measured) > 1:
            own = [_of_path(stack, path, item) for item in own]
        judged.append((path, own))
        found += own
    return [*found, *shared_cause(stack, judged), *_at_once(stack, measured, at_once, marks)]


def _of_path(stack: str, path: Path, item: Finding) -> Finding:
    """A finding that says which of several paths it is about."""
    message = item.message.replace(f"pair {stack}:", f"pair {stack}, {path.name}:", 1)
    return dataclasses.replace(item, message=message, evidence={**item.evidence, "path": path.name})


def _at_once(
    stack: str, measured: Sequence[tuple[Path, RdmaEvidence]], at_once: Sequence[RdmaStep], marks: Sequence[Mark]
) -> list[Finding]:
    """What each cable carried while all did, beside what it carried alone: the desks' adapters are shared then."""
    share = mark("rdma_shared_desk", marks)
    found = []
    for (path, evidence), step in zip(measured, at_once, strict=False):
        failed = next((run for run in step.runs if run.error is not None or run.gbps is None), None)
        where = Where(pair=stack)
        if failed is not None:
            message = f"pair {stack}, {path.name}: perftest on {failed.source_device} failed while all cables were in use ({failed.error})"
            found.append(finding("RDMA_NOT_MEASURED", where, message, evidence={"path": path.name, **_shown(failed), "text": failed.text}))
            continue
        alone = speeds_of(evidence.of_the_hardest if evidence.hardest is not None else evidence)["sum_both_ways_gbps"]
        reached = sum(run.gbps or 0.0 for run in step.runs)
        if alone is None or reached >= share.value * alone:
            continue
        message = (
            f"pair {stack}, {path.name}: {reached:.1f} Gb/s both ways while all cables are in use, {alone:.1f} alone; its desks share one "
            f"200 Gb/s adapter between two cables, so at least {share.value * alone:.1f} was expected"
        )
        shown = {"path": path.name, "gbps": round(reached, 2), "alone_gbps": alone, "times_alone": share.value, "source": share.source}
        found.append(finding("RDMA_SHARE_LOW", where, message, evidence=shown))
    return found


def shared_cause(stack: str, judged: Sequence[tuple[Path, Sequence[Finding]]]) -> list[Finding]:
    """What all bad paths of a stack have in common that no good one has: a cage, a desk, or one path alone."""
    bad = [path for path, own in judged if any(item.severity in ("fail", "warn", "unknown") for item in own)]
    good = [path for path, _own in judged if path not in bad]
    if len(judged) < 3 or not bad or not good:
        return []
    table = {path.name: "bad" if path in bad else "good" for path, _own in judged}
    cages = [{(end.desk, end.port) for end in path.ends} for path in bad]
    desks = [{end.desk for end in path.ends} for path in bad]
    healthy_desks = {end.desk for path in good for end in path.ends}
    healthy_cages = {(end.desk, end.port) for path in good for end in path.ends}
    common_cages = sorted(set.intersection(*cages) - healthy_cages)
    common_desks = sorted(set.intersection(*desks) - healthy_desks)
    if len(bad) == 1:
        where, words = (
            Where(pair=stack),
            f"{bad[0].name} alone is bad, every other path of its desks is good: look at that cable and its two plugs",
        )
        if not set(cages[0]) - healthy_cages:
            words = f"{bad[0].name} alone is bad although its cages are good towards others: look at what is between the two on the switch"
    elif common_cages and (len(common_desks) != 1 or len({port for desk, port in common_cages if desk == common_desks[0]}) == 1):
        desk, port = next((item for item in common_cages if item[0] in common_desks), common_cages[0])
        where = Where(stack, desk, port)
        words = f"all bad paths share {desk} port {port}, and no good one does: look at that cage, its cable, and that desk"
    elif common_desks:
        where = Where(stack, common_desks[0])
        words = f"all bad paths share {common_desks[0]}, and no good one does: look at that desk"
    else:
        return []
    message = f"pair {stack}: of {len(judged)} paths {len(bad)} are bad; {words}"
    return [finding("STACK_SHARED_CAUSE", where, message, evidence={"paths": table})]


def spared(evidence: RdmaEvidence, ends: Sequence[Endpoint], marks: Sequence[Mark] = MARKS) -> bool:
    """Whether the hardest step alone was measured and every easier one follows from it."""
    return not evidence.steps and weigh(ends, evidence, marks).proven


def complete(evidence: RdmaEvidence, ends: Sequence[Endpoint]) -> bool:
    """Whether every one of the nine steps was measured, the last one with all functions in both directions included."""
    steps = evidence.steps
    if not steps or any(run.gbps is None for step in steps for run in step.runs):
        return False
    return steps[-1].kind == "both_ways" and len(steps[-1].runs) == len(ends[0].functions)


def problems(pair: str, seen: Iterable[Problem], otherwise: str) -> list[Finding]:
    """What kept a measurement from being made; ``otherwise`` is the code for what has none of its own."""
    found = []
    for item in _each_way_once(seen):
        where = Where(pair=pair, desk=item.desk)
        evidence = {"cause": item.kind, "text": item.text, **item.evidence}
        if item.kind == "tool_missing":
            found.append(finding("RDMA_TOOL_MISSING", where, f"{item.desk}: {item.text}", evidence=evidence))
        elif item.kind == "firewall":
            found.append(_firewall(where, item, evidence))
        elif item.kind in ("trust", "host_key"):
            what = "the peer's host key is not the known one" if item.kind == "host_key" else "the peer refused the pair's key"
            found.append(finding("PAIR_TRUST_BROKEN", where, f"{item.desk}: {what}", evidence=evidence))
        elif item.kind == "route":
            found.append(_routed_elsewhere(where, item, evidence))
        elif item.kind == "gid":
            found.append(finding("RDMA_GID_WRONG", where, f"{item.desk}: {item.text}", evidence=evidence))
        else:
            words = WAITING.get(item.kind, item.kind)
            found.append(finding(otherwise, where, f"{item.desk}: {words}: {item.text}"[:600], evidence=evidence))
    return found


def _each_way_once(seen: Iterable[Problem]) -> list[Problem]:
    """The problems; what leads all functions of a desk the same other way, or nowhere, is one of them."""
    found: dict[object, Problem] = {}
    for number, item in enumerate(seen):
        key = (item.desk, item.evidence.get("interface"), item.evidence.get("gateway")) if item.kind == "route" else number
        other = found.get(key)
        found[key] = dataclasses.replace(other, text=f"{other.text}; {item.text}") if other else item
    return list(found.values())


def _routed_elsewhere(where: Where, item: Problem, evidence: dict[str, Any]) -> Finding:
    """The kernel's own choice of a way, as asked right before the measurement."""
    remedy = (
        f"On {item.desk}: {item.evidence.get('command')} shows the way, ip rule and ip route show table all show whose it is (a VPN, a "
        "Docker or libvirt network, a policy rule). Remove that or give it another network, or set pair_link_subnets to unused networks "
        f"for both desks and run stack_pair.yml again. {TAKES_ALL}"
    )
    return finding("CX7_ADDRESS_OVERLAP", where, f"{item.desk}: {item.text}", evidence=evidence, remedy=remedy)


def _firewall(where: Where, item: Problem, evidence: dict[str, Any]) -> Finding:
    """ufw is what DGX OS has and what the role opens; where it is off, no rule of it helps."""
    netdev, source = item.evidence.get("netdev"), item.evidence.get("source")
    blocked = f"{item.desk}: TCP from {item.evidence.get('from')} to {item.evidence.get('to')} is blocked"
    if item.evidence.get("ufw_active") is False:
        remedy = (
            f"On {item.desk}: sudo nft list ruleset and sudo iptables -S show which filter drops it. Let TCP in there on {netdev} from "
            f"{source} where that filter is set up (/etc/nftables.conf, firewall-cmd, a security program), then run again."
        )
        message = f"{blocked} by a packet filter other than ufw, which is off there"
        return finding("PAIR_FIREWALL_BLOCKS", where, message, evidence=evidence, remedy=remedy)
    rule = f"ufw allow in on {netdev} from {source} comment dgx_spark_pair"
    owner = "ufw is active there" if item.evidence.get("ufw_active") else "a packet filter"
    return finding("PAIR_FIREWALL_BLOCKS", where, f"{blocked} ({owner}); rule: {rule}", evidence={**evidence, "rule": rule})


def wrong_peer(pair: str, ends: Sequence[Endpoint], seen: Sequence[Neighbour], otherwise: str) -> list[Finding]:
    """Who answered at the fabric addresses, held against the inventory's member that has the address.

    A member that answers at none of its addresses is told once.
    """
    found = []
    silent: dict[tuple[str, str], list[Neighbour]] = {}
    for item in seen:
        peer = peer_at(ends, item)
        if peer is None:
            continue
        macs = [function.mac.lower() for function in peer.functions]
        where = Where(pair=pair, desk=item.desk, function=item.netdev)
        evidence = {"address": item.address, "mac": item.mac, "expected": macs, "peer": peer.desk}
        if item.error is not None and item.mac is None:
            message = f"{item.desk}: could not read who answers at {item.address} ({peer.desk}) on {item.netdev}: ip neigh: {item.error}"
            found.append(finding(otherwise, where, message, evidence={"cause": "no_answer", "error": item.error, **evidence}))
        elif item.mac is None:
            silent.setdefault((item.desk, peer.desk), []).append(item)
        elif item.mac.lower() not in macs:
            message = f"{item.desk}: {item.mac} answers at {item.address} on {item.netdev}; {peer.desk} has {', '.join(macs)}"
            found.append(finding("RDMA_WRONG_PEER", where, message, evidence=evidence))
    return [*found, *(_silent(pair, desk, peer, items, otherwise) for (desk, peer), items in silent.items())]


def _silent(pair: str, desk: str, peer: str, seen: Sequence[Neighbour], otherwise: str) -> Finding:
    """Nobody has the other desk's addresses: neither a packet filter (which lets such questions through) nor a key."""
    asked = " and ".join(f"{item.address} on {item.netdev}" for item in seen)
    where = Where(pair=pair, desk=desk, function=seen[0].netdev if len(seen) == 1 else None)
    evidence = {"cause": "no_neighbour", "peer": peer, "addresses": {item.netdev: item.address for item in seen}}
    remedy = (
        f"On {peer}, see whether it is awake (a desktop may suspend on its own) and still has its addresses (ip -br addr). Run "
        "stack_pair.yml again: it sets them. If nobody answers then either, run playbooks/cable_map.yml."
    )
    return finding(otherwise, where, f"{desk}: no machine answers at {asked} ({peer})", evidence=evidence, remedy=remedy)


def peer_at(ends: Sequence[Endpoint], seen: Neighbour) -> Endpoint | None:
    """The end of another member that has the address which was asked for."""
    others = [end for end in ends if end.desk != seen.desk]
    return next((end for end in others if any(function.address == seen.address for function in end.functions)), None)


def _errors(pair: str, ends: Sequence[Endpoint], evidence: RdmaEvidence) -> list[Finding]:
    runs = [run for step in evidence.steps for run in step.runs]
    failed = [run for run in runs if run.error is not None]
    if not failed:
        return []
    first = failed[0]
    kinds = {run.error for run in failed}
    shown = {"error": first.error, "device": first.source_device, "from": first.source, "to": first.target, "rc": first.rc}
    shown["text"] = first.text
    where = Where(pair=pair)
    if "enomem" in kinds:
        return [no_memory("RDMA_ENOMEM", pair, ends, evidence.limits, shown)]
    if "missing" in kinds:
        return [finding("RDMA_TOOL_MISSING", where, f"pair {pair}: ib_write_bw is not installed", evidence=shown)]
    if "no_row" in kinds:
        message = f"pair {pair}: perftest on {first.source_device} ended without a result (GID index {first.gid_index})"
        return [finding("RDMA_GID_WRONG", where, message, evidence={**shown, "gid_index": first.gid_index})]
    alone = [run for step in evidence.steps if step.kind == "one_way" for run in step.runs]
    bad = {run.function for run in alone if run.error is not None}
    good = {run.function for run in alone if run.error is None}
    if bad and good - bad and not kinds & {"timeout", "other_end", "server_ended"}:
        names = f"{first.source_device} of {first.source} and {first.target_device} of {first.target}"
        message = f"pair {pair}: transfers between {names} fail, but the twin function works"
        return [finding("RDMA_ONE_HALF", where, message, evidence=shown)]
    words, remedy = ENDED.get(first.error or "", (f"failed (rc {first.rc})", None))
    if remedy is None and first.says:
        words += f": {first.says}"
    message = f"pair {pair}: perftest from {first.source} to {first.target} on {first.source_device} {words}"
    return [finding("RDMA_NOT_MEASURED", where, message, evidence=shown, remedy=remedy)]


def no_memory(code: str, pair: str, ends: Sequence[Endpoint], limits: Sequence[Locked], shown: dict[str, Any]) -> Finding:
    """ENOMEM with its cause told apart: a low limit of the process that failed, else the kernel hand-over fault."""
    handed = [end for end in ends if end.cma_total_kb == 0 and (end.cma_free_kb or 0) > 0]
    enough = LOCKED_LEAST if handed else LOCKED_ENOUGH
    low = sorted((item for item in limits if item.soft is not None and 0 <= item.soft < enough), key=lambda item: item.soft or 0)
    seen = {item.desk: item.soft for item in limits}
    if low:
        text = f"{low[0].desk}: the process may lock only {low[0].soft} bytes of memory"
        return finding(
            code, Where(pair=pair, desk=low[0].desk), text, evidence={**shown, "cause": "memlock", "locked_bytes": seen},
            remedy="Raise the memlock limit of the login user on that desk (nv-limits, /etc/security/limits.d), then run again.",
        )  # fmt: skip
    kernels = {end.desk: {"kernel": end.kernel, "kho": end.kho, "cma_total_kb": end.cma_total_kb} for end in ends}
    if handed:
        text = f"{handed[0].desk}: kernel {handed[0].kernel} lost its CMA area to the kernel hand-over, memory cannot be registered"
        return finding(
            code, Where(pair=pair, desk=handed[0].desk), text, evidence={**shown, "cause": "kho", "locked_bytes": seen, **kernels},
            remedy="Boot that desk with kho=off (package nvidia-spark-grub-kho) or with its 6.17 kernel, then run again.",
        )  # fmt: skip
    text = f"pair {pair}: memory cannot be registered; the limits are high and no CMA fault was seen"
    return finding(code, Where(pair=pair), text, evidence={**shown, "cause": "unknown", "locked_bytes": seen, **kernels})


def _speeds(pair: str, ends: Sequence[Endpoint], evidence: RdmaEvidence, marks: Sequence[Mark]) -> list[Finding]:
    where = Where(pair=pair)
    marks = at_speed(marks, link_speed(ends))
    alone = [run for step in evidence.steps if step.kind == "one_way" for run in step.runs]
    speeds = speeds_of(evidence)
    trapped = [run for run in alone if (run.gbps or 0.0) < mark("rdma_25g", marks).value]
    if trapped:
        worst = min(trapped, key=lambda run: run.gbps or 0.0)
        way = f"from {worst.source} to {worst.target} on {worst.source_device}"
        message = f"pair {pair}: {worst.gbps:.1f} Gb/s {way}, although the link looks green"
        shown: dict[str, Any] = {"slow": [_shown(run) for run in trapped]}
        shown["plugged_after_boot"] = {end.desk: end.plugged_after_boot for end in ends}
        return [finding("RDMA_SLOW_13G", where, message, evidence=shown)]
    found = []
    sums = [value for value in (speeds["sum_forward_gbps"], speeds["sum_back_gbps"]) if value is not None]
    official = mark("rdma_both_functions", marks)
    slow = bool(sums) and min(sums) < official.value
    narrow = [(end, item) for end in ends for item in end.functions if item.pcie_width is not None and item.pcie_width < FULL_WIDTH]
    for end, item in narrow:
        message = f"{end.desk}: {item.rdma_device} has {item.pcie_width} PCIe lanes instead of {FULL_WIDTH}"
        shown = {"pcie_width": item.pcie_width, "sum_gbps": sums}
        place = Where(pair=pair, desk=end.desk, port=end.port, function=item.netdev)
        found.append(finding("RDMA_HALF_WIDTH", place, message, evidence=shown, severity="fail" if slow else "warn"))
    if slow and not narrow:
        message = f"pair {pair}: both functions together carry {min(sums):.1f} Gb/s one way; at least {official.value:.0f} was expected"
        link = {f"{end.desk} {item.netdev}": item.speed_mbps for end in ends for item in end.functions}
        shown = {"sum_gbps": sums, "mark": official.value, "source": official.source, "link_mbps": link}
        found.append(finding("RDMA_SLOW", where, message, evidence=shown, severity="fail" if official.may_fail else "warn"))
    thin = mark("rdma_one_function", marks)
    weak = [run for run in alone if (run.gbps or 0.0) < thin.value]
    if weak and not found:
        worst = min(weak, key=lambda run: run.gbps or 0.0)
        message = f"pair {pair}: {worst.gbps:.1f} Gb/s on {worst.source_device} alone; at least {thin.value:.0f} was expected"
        shown = {"slow": [_shown(run) for run in weak], "mark": thin.value, "source": thin.source, "reports": thin.reports}
        found.append(finding("RDMA_SLOW", where, message, evidence=shown, severity="fail" if thin.may_fail else "warn"))
    return found + _both_ways(pair, speeds, marks)


def _both_ways(pair: str, speeds: dict[str, Any], marks: Sequence[Mark]) -> list[Finding]:
    """Two directions at once beside one direction: each function alone, then both functions together. The worst one is told."""
    compared = [
        (f"{row['head_device']} alone", row["both_ways_gbps"], max(row["forward_gbps"], row["back_gbps"])) for row in speeds["functions"]
    ]
    one_way = [value for value in (speeds["sum_forward_gbps"], speeds["sum_back_gbps"]) if value is not None]
    if one_way and speeds["sum_both_ways_gbps"] is not None:
        compared.append(("both functions together", speeds["sum_both_ways_gbps"], max(one_way)))
    least, thin = mark("rdma_both_ways_least", marks), mark("rdma_both_ways_one_function", marks)
    for rule, severity, rows in (
        (least, "fail", compared),
        (thin, "fail" if thin.may_fail else "warn", compared[: len(speeds["functions"])]),
    ):
        poor = [row for row in rows if row[1] < rule.value * row[2]]
        if poor:
            what, both, alone = min(poor, key=lambda row: row[1] / row[2])
            message = f"pair {pair}: {what}, both directions at once carry {both:.1f} Gb/s in total, one direction carries {alone:.1f}"
            shown = {**speeds, "rule": rule.source, "times_one_way": rule.value, "reports": rule.reports}
            return [finding("RDMA_BIDIR_DEGRADED", Where(pair=pair), message, evidence=shown, severity=severity)]
    return []


def _shown(run: RdmaRun) -> dict[str, Any]:
    return {"device": run.source_device, "from": run.source, "to": run.target, "gbps": run.gbps}


def _counters(pair: str, ends: Sequence[Endpoint], evidence: RdmaEvidence) -> list[Finding]:
    growth = {item.desk: item for item in evidence.growth}
    still, doubtful = [], []
    for row in counter_rows(ends, evidence, growth):
        if row["state"] == "still":
            still.append(row)
        elif row["state"] != "fits":
            doubtful.append(row)
    where = Where(pair=pair)
    if still:
        names = ", ".join(f"{row['counter']} of {row['desk']} {row['function']}" for row in still[:4])
        return [finding("RDMA_COUNTERS_STILL", where, f"pair {pair}: counters did not move: {names}", evidence={"counters": still})]
    if doubtful:
        names = ", ".join(f"{row['counter']} of {row['desk']} {row['function']} ({row['state']})" for row in doubtful[:4])
        shown = {"counters": doubtful, "band": list(BAND)}
        message = f"pair {pair}: counters do not confirm the bytes: {names}"
        remedy = RESTARTED if any(row["state"] == "backwards" for row in doubtful) else None
        return [finding("RDMA_COUNTERS_UNKNOWN", where, message, evidence=shown, remedy=remedy)]
    return []


def summary(ends: Sequence[Endpoint], evidence: RdmaEvidence, marks: Sequence[Mark] = MARKS) -> dict[str, Any]:
    """The measurement as results and reports carry it."""
    alone = spared(evidence, ends, marks)
    told = evidence.of_the_hardest if alone else evidence
    growth = {item.desk: item for item in told.growth}
    return {
        "measured": alone or complete(evidence, ends),
        **speeds_of(told),
        **({} if evidence.hardest is None else {"hardest": _hardest(ends, evidence, marks)}),
        "latency_us": evidence.latency_us,
        "commands": [list(run.command) for step in told.steps for run in step.runs if run.command],
        "neighbours": [item.__dict__ for item in evidence.neighbours],
        "counters": counter_rows(ends, told, growth) if growth else [],
        "locked_bytes": {item.desk: item.soft for item in evidence.limits},
        "seconds": evidence.seconds,
    }


def _hardest(ends: Sequence[Endpoint], evidence: RdmaEvidence, marks: Sequence[Mark]) -> dict[str, Any]:
    """The hardest step, and what follows from it: either every easier step, or why those were measured."""
    weighed = weigh(ends, evidence, marks)
    runs = () if evidence.hardest is None else evidence.hardest.runs
    return {
        "proves_all": weighed.proven,
        "functions": [
            {"function": run.function, "device": run.source_device, "forward_gbps": run.sent_gbps, "back_gbps": run.back_gbps}
            for run in runs
        ],
        "implied": [asdict(item) for item in weighed.implied] if weighed.proven else [],
        "measured_because": list(weighed.missing),
    }
