# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about measurements across a pair: RDMA, NCCL, and what they leave on the desks."""

from __future__ import annotations

from .code import Code

REBOOT_BOTH = (
    "Reboot both desks with the cable plugged in at both ends (sudo systemctl --no-block reboot on both), then measure again. If that "
    "does not help, unplug both desks from mains power for a minute. Moving the plug or setting FEC does not fix it."
)

TRUST: tuple[Code, ...] = (
    Code(
        code="PAIR_TRUST_BROKEN",
        title="The head cannot log in to its peer",
        severity="fail",
        meaning="ssh from the head to the peer over the fabric was refused (key), or the peer's host key is not the one that was "
        "installed on the head. Measurements and MPI start the peer's side that way.",
        remedy="Run stack_pair.yml again (role pair_trust renews keys and host keys); if the host key keeps changing, "
        "another machine answers at the peer's address. If the peer keeps refusing the key, sudo journalctl -u ssh there says why: its "
        "sshd takes no key from a home, ~/.ssh or authorized_keys that others may write (chmod go-w ~ ~/.ssh ~/.ssh/authorized_keys).",
        source="this collection's rule (OpenSSH's own refusals)",
    ),
    Code(
        code="PAIR_LOGIN_CLOSED",
        title="The desk's ssh server does not accept the other desk's key",
        severity="fail",
        other_severities=("warn", "note"),
        meaning="According to sshd itself (sshd -T, for the login user coming from the other desk), it accepts no keys, none of the "
        "pair's type, wants more than a key, does not let this user in, runs a command other than the requested one, or reads keys from "
        "a file that only the desk's admin writes. A note where no stack is set up, a warning as long as the line for that file is not "
        "known.",
        remedy="Change the setting that the message names, or add the line, and run again.",
        source="this collection's rule (OpenSSH's manual)",
    ),
    Code(
        code="PAIR_NAME_TAKEN",
        title="A name of the pair belongs to another machine",
        severity="warn",
        other_severities=("note",),
        meaning="A line in /etc/hosts that this collection did not write gives pair-head or pair-peer an address. Measurements use "
        "addresses and are right; people and programs that use the name reach that other machine.",
        remedy="Remove the name from that line in /etc/hosts, or use the addresses in /etc/dgx_spark/hostfile.",
        source="this collection's rule",
    ),
    Code(
        code="PAIR_FIREWALL_BLOCKS",
        title="A firewall blocks traffic between the desks of the pair",
        severity="fail",
        meaning="A TCP connection from one desk's fabric address to the other's was dropped or refused, although something was listening "
        "there. RDMA itself bypasses a firewall, but perftest, MPI and NCCL connect over TCP first.",
        remedy="Let the pair_trust role open the pair's fabric interfaces (pair_trust_open_firewall: true, the default), or add the rule "
        "that the message names on the blocking desk. Where sudo ufw status numbered shows that rule there already, another filter drops "
        "it: sudo nft list ruleset shows which.",
        source="community (ufw active by default: one report), this collection's rule",
    ),
    Code(
        code="PAIR_TOOLS_MISSING",
        title="A measurement tool could not be installed, or not removed",
        severity="fail",
        meaning="perftest or Open MPI is not on the desk and could not be installed, or unstack_pair.yml could not remove what was "
        "installed (the message names the package and apt's reason).",
        remedy="Give the desk a package source, or the .deb files by path (pair_tools_debs).",
        source="this collection's rule",
    ),
    Code(
        code="PAIR_MPI_PORTS_OPEN",
        title="Open MPI's ports are open to everybody on the desk",
        severity="note",
        meaning="The rules that let only the login user of the pair's desks connect to Open MPI's daemons could not be set, as on a kernel "
        "without the owner match, on a desk without iptables, or where the number of the login user is not known. While NCCL is measured, "
        "whoever connects to them can run commands as the login user.",
        remedy="Install iptables (sudo apt-get install iptables), look at sudo journalctl -u dgx-spark-mpi.service, and run stack_pair.yml "
        "again. Where all users of the desks may act as the login user anyway, set pair_trust_guard_mpi: false.",
        source="this collection's rule",
    ),
)

RDMA: tuple[Code, ...] = (
    Code(
        code="RDMA_SLOW_13G",
        title="The link looks green but carries about 13 Gb/s",
        severity="fail",
        meaning="A function carries about 13 Gb/s (25 on one GIGABYTE) although speed, carrier and RDMA state are all fine. The most "
        "often reported trigger is a cable plugged in or moved after start-up. No status field shows it.",
        remedy=REBOOT_BOTH,
        source="community (eight reports; F370035, F363461, F373538, F383649)",
    ),
    Code(
        code="RDMA_SLOW",
        title="RDMA is slower than it should be",
        severity="fail",
        other_severities=("warn",),
        meaning="Both functions together stay below NVIDIA's bound of 184 Gb/s one way (a failure), or one function alone stays below "
        "what users report (a warning).",
        remedy="Look at the link speed, PCIe width and firmware findings of the two desks first; then reboot both with the cable in; "
        "then try another approved cable.",
        source="NVIDIA (Sync Cluster Assistant: link speed test lower bound 184 Gbit/s)",
    ),
    Code(
        code="RDMA_SHARE_LOW",
        title="A cable carries too little while all are in use",
        severity="warn",
        meaning="In a ring every desk has two cables, which share the 200 Gb/s of its adapter. Measured at the same time as the others, "
        "this "
        "cable carried much less than half of what it carries alone.",
        remedy="Look at the PCIe width of both desks (RDMA_HALF_WIDTH) and at other traffic on them, then measure again.",
        source="this collection's rule",
    ),
    Code(
        code="STACK_SHARED_CAUSE",
        title="What all bad paths have in common",
        severity="note",
        meaning="Every two desks of a stack were measured. All bad paths share one cage or one desk that no good path has, or one path "
        "alone "
        "is bad.",
        remedy="Look first at what the message names; the other findings of the bad paths follow from it. Reboot the desks of a cable "
        "that was "
        "touched, with the cable in, and measure again.",
        source="this collection's rule",
    ),
    Code(
        code="RDMA_BIDIR_DEGRADED",
        title="Fast one way, slow both ways",
        severity="fail",
        other_severities=("warn",),
        meaning="Each direction alone is fast, but both at once are not: less than one direction alone (a failure), or, for one "
        "function, less than one and a half times one direction (a warning: one report gives 213 Gb/s both ways against 109 one way for "
        "a healthy cable, 119 and 26 both ways for degraded ones). A one-way test passes such a cable.",
        remedy="Reboot both desks with the cable in and measure again; if that does not help, replace the cable with an approved one "
        "(playbooks/isolate.yml finds out whether cable, desk or port is to blame).",
        source="one user report of degraded cables; the failure is this collection's rule",
    ),
    Code(
        code="RDMA_ONE_HALF",
        title="Only one of the port's two functions carries RDMA",
        severity="fail",
        meaning="Transfers over one function fail while its twin works, so at most half of the link can be used.",
        remedy="Look at the named function on both desks: address, MTU, RDMA state and GID; then reboot both desks with the cable in.",
        source="community (four reports of half the rate with one function)",
    ),
    Code(
        code="RDMA_HALF_WIDTH",
        title="A function has a half-width PCIe link",
        severity="fail",
        other_severities=("warn",),
        meaning="The function's PCIe link has fewer than four lanes. A failure when the pair stays below its mark for that reason.",
        remedy="Update the desk's firmware first (fwupdmgr, then a reboot that may take 15 minutes); if that does not help, ask the "
        "vendor.",
        source="community (one report, ASUS, F367853)",
    ),
    Code(
        code="RDMA_MTU_1500",
        title="The link was measured with MTU 1500",
        severity="note",
        meaning="The functions have MTU 1500, so RoCE packets carry 1024 bytes. With both functions, that costs a few percent.",
        remedy="Let the link role set MTU 9000 on both desks (the default of stack_pair.yml).",
        source="NVIDIA (189.85 Gb/s at 1500), community (196.08 Gb/s at 9000)",
    ),
    Code(
        code="RDMA_ENOMEM",
        title="RDMA memory cannot be registered",
        severity="fail",
        meaning="Registering memory failed with ENOMEM. The evidence tells the two causes apart: the locked-memory limit of the process "
        "that failed, or, when the limit is high, the kernel hand-over (KHO) fault of kernel 7.0.0-1019.",
        remedy="Low limit: raise memlock for the login user (nv-limits, /etc/security/limits.d) and log in again. KHO: boot with kho=off "
        "(package nvidia-spark-grub-kho) or go back to the 6.17 kernel.",
        source="NVIDIA advisory 2026-09 (F383254, F383926) and three reports; memlock: one report",
    ),
    Code(
        code="RDMA_GID_WRONG",
        title="No usable GID for the function's address",
        severity="fail",
        meaning="The function's GID table has no RoCE v2 entry for its IPv4 address, or perftest printed its header but no rows, which "
        "is how a wrong GID index shows.",
        remedy="Check that the function has its IPv4 address (pair_link role); never pin a GID index by hand.",
        source="community (four reports)",
    ),
    Code(
        code="RDMA_WRONG_PEER",
        title="Another machine answers at the peer's fabric address",
        severity="fail",
        meaning="The hardware address behind the peer's fabric address does not belong to the peer in the inventory. All pairs may use "
        "the same addresses, so an answer alone proves nothing; this measurement was not made.",
        remedy="Plug the cable in where the inventory says, or correct the inventory; playbooks/cable_map.yml shows which cable goes "
        "where.",
        source="this collection's rule: pairs may share addresses, so only the hardware address proves the peer",
    ),
    Code(
        code="RDMA_COUNTERS_STILL",
        title="The counters did not move",
        severity="fail",
        meaning="perftest reported bytes, but the counters of a function on the cable hardly grew: the bytes did not cross it.",
        remedy="Check whether the peer's address is on the same desk or on another port; run again, and send a recording if the finding "
        "persists.",
        source="this collection's rule; Linux kernel documentation of the counters",
    ),
    Code(
        code="RDMA_COUNTERS_UNKNOWN",
        title="The counters could not confirm the bytes",
        severity="unknown",
        meaning="A counter could not be read, or its growth does not match the bytes sent (by more than a factor of two). The counters' "
        "names and units are documented but have not been confirmed on a GB10.",
        remedy="Run playbooks/record.yml on both desks and send the recording, so that the unit can be confirmed.",
        source="this collection's rule; Linux kernel documentation of the counters",
    ),
    Code(
        code="RDMA_TOOL_MISSING",
        title="perftest is not installed",
        severity="unknown",
        meaning="ib_write_bw is not installed, so nothing was measured.",
        remedy="Run stack_pair.yml (its pair_tools role installs perftest), or give the path of its .deb file (pair_tools_debs).",
        source="this collection's rule",
    ),
    Code(
        code="RDMA_NOT_MEASURED",
        title="RDMA was not measured",
        severity="unknown",
        meaning="The measurement could not be made or finished; the message says why. Nothing is known about the link's speed.",
        remedy="Fix what the message names and run again.",
        source="this collection's rule",
    ),
)

NCCL: tuple[Code, ...] = (
    Code(
        code="NCCL_SOCKET_FALLBACK",
        title="NCCL used sockets instead of RDMA",
        severity="fail",
        meaning="A rank reported Using network Socket. NCCL works that way, but at a tenth of the speed.",
        remedy="Check that the ranks can see the RDMA devices (ibv_devinfo as the login user, /dev/infiniband, memlock); "
        "unset NCCL_IB_DISABLE and NCCL_NET.",
        source="community (three reports)",
    ),
    Code(
        code="NCCL_ONE_HALF",
        title="NCCL used one of the two functions",
        severity="fail",
        meaning="A rank opened only one RDMA device of the cabled port, or only one function's counters grew. That yields 11.8 to 13.5 "
        "GB/s.",
        remedy="Name both functions of the cabled port exactly (NCCL_IB_HCA==a,b); see pair.env.",
        source="community (four reports)",
    ),
    Code(
        code="NCCL_SLOW",
        title="NCCL is slower than it should be",
        severity="fail",
        other_severities=("warn",),
        meaning="Bus bandwidth is below the mark for its message size: a failure below NVIDIA's own mark or at half the link's rate, "
        "a warning below a mark with few reports.",
        remedy="Stop GPU work on both desks and measure again; then look at clocks and power (30 W safety mode), a debug build of NCCL, "
        "or an interfering network plugin.",
        source="NVIDIA dgx-spark-playbooks (21.875 GB/s at 16 GiB), community",
    ),
    Code(
        code="NCCL_SLOW_13G",
        title="NCCL is slow because the link carries 13 Gb/s",
        severity="fail",
        meaning="Bus bandwidth is about 3 GB/s and this run's RDMA measurement found the 13 Gb/s state.",
        remedy=REBOOT_BOTH,
        source="community (three reports of 2.8 to 3.2 GB/s)",
    ),
    Code(
        code="NCCL_RETRY_EXCEEDED",
        title="A send gave up after too many retries",
        severity="fail",
        meaning="IBV_WC_RETRY_EXC_ERR: the other side did not answer on that path. A cold neighbour table can cause that, so neighbours "
        "are probed before the run; if it still happens, the path of the named function is broken.",
        remedy="See the link and MTU findings of both desks, check the cable, then measure again.",
        source="community (two reports)",
    ),
    Code(
        code="NCCL_WRONG_RESULT",
        title="NCCL computed wrong results",
        severity="fail",
        meaning="The test's own check found wrong values (#wrong is not 0). Fast and wrong is worse than slow.",
        remedy="Take the pair out of service; check driver, firmware and NCCL versions on both desks, then run NVIDIA's field diagnostics.",
        source="nccl-tests (#wrong); this collection's rule",
    ),
    Code(
        code="NCCL_TIMEOUT",
        title="NCCL did not end within its time limit",
        severity="fail",
        meaning="The ranks were stopped on both desks at the time limit; the message says how far the table got.",
        remedy="Look at the last lines in the evidence; a hang before the first row is often a bootstrap on the wrong network or a "
        "firewall.",
        source="community (three reports of hangs)",
    ),
    Code(
        code="NCCL_ENOMEM",
        title="A rank ran out of memory",
        severity="fail",
        meaning="Memory could not be registered or allocated. The evidence tells the causes apart: GPU memory, the limit on locked "
        "memory, or the kernel hand-over (KHO) fault. It is often the other rank that complains.",
        remedy="GPU memory: free memory or choose a smaller size (pair_proof_nccl_max_bytes). Low limit: raise memlock for the login user. "
        "KHO: boot with kho=off.",
        source="NVIDIA advisory 2026-09 and three reports",
    ),
    Code(
        code="NCCL_MEMORY_REFUSED",
        title="The test would not fit in memory",
        severity="unknown",
        meaning="The message size needs more memory than one of the desks has available. A desk that runs out of memory freezes, so the "
        "test was not started.",
        remedy="Choose the size that the message gives as the largest, or free memory on the desk that it names.",
        source="community (two reports: 16 GiB messages froze a desk)",
    ),
    Code(
        code="NCCL_TWO_WORLDS",
        title="The ranks did not meet",
        severity="fail",
        meaning="Each process ran as a world of one rank: the test was built without MPI, or against a different MPI than mpirun's.",
        remedy="Build the bundle with MPI=1 and the desk's Open MPI (the nccl_bundle role does).",
        source="community (one report)",
    ),
    Code(
        code="NCCL_INCOMPLETE",
        title="The result table is not complete",
        severity="fail",
        meaning="The program ended, but rows or the average are missing, or a rank died on the way. The message and the cause in the "
        "evidence give what was reported about it.",
        remedy="See the last lines in the evidence and the journal of both desks at that time (journalctl -b), then run again.",
        source="this collection's rule: what did not end proves nothing; NCCL and Open MPI sources for the texts",
    ),
    Code(
        code="NCCL_COUNTERS_STILL",
        title="The counters did not move while NCCL ran",
        severity="fail",
        meaning="The counters of both functions hardly grew: the bytes took another route.",
        remedy="Look at the transport lines in the evidence; a container or plugin may route NCCL around the RDMA devices.",
        source="this collection's rule; Linux kernel documentation of the counters",
    ),
    Code(
        code="NCCL_COUNTERS_UNKNOWN",
        title="The counters could not confirm NCCL's bytes",
        severity="unknown",
        meaning="A counter could not be read, or its growth does not match what NCCL moved (by more than a factor of two).",
        remedy="Run playbooks/record.yml on both desks and send the recording, so that the unit can be confirmed.",
        source="this collection's rule; Linux kernel documentation of the counters",
    ),
    Code(
        code="NCCL_VERSION_DRIFT",
        title="The two desks run different NCCL builds",
        severity="fail",
        meaning="NCCL refused ranks with different versions, or NCCL or the test program differs between the ranks (by the checksum of "
        "what was actually started).",
        remedy="Install the same bundle on both desks (nccl_bundle role).",
        source="community (one report of 2.30.7 against 2.31.2)",
    ),
    Code(
        code="NCCL_PATH_BROKEN",
        title="A path between two functions carries nothing",
        severity="fail",
        meaning="ibv_modify_qp failed with 110 (timed out) or 113: the function that the message names got no response from the other "
        "end. Causes are wrong wiring, a peer that lost its address, or functions of different cables paired with each other.",
        remedy="Run playbooks/cable_map.yml and compare with the inventory; see the link findings of both desks, then run again.",
        source="community (five reports of ibv_modify_qp failing)",
    ),
    Code(
        code="NCCL_GID_WRONG",
        title="NCCL used a GID index without an address",
        severity="fail",
        meaning="ibv_modify_qp failed with 22, 61 or 101. A GID index is pinned (NCCL_IB_GID_INDEX), or an address came or went and the "
        "index moved: it differs between desks and functions and changes with every address.",
        remedy="Remove NCCL_IB_GID_INDEX from /etc/nccl.conf, ~/.nccl.conf and the environment of the login user on both desks (NCCL "
        "finds the index on its own), check that both functions have their address, then run again.",
        source="community (five reports; indices 3, 4, 5 and 6 on different desks)",
    ),
    Code(
        code="NCCL_GPU_SHARED",
        title="Two ranks were given one GPU",
        severity="fail",
        meaning="NCCL found two ranks on one GPU (Duplicate GPU, or the same partition): both ranks ran on one desk.",
        remedy="Check whether the two fabric addresses belong to two desks (ip -br addr on both) and whether a hostfile or Open MPI "
        "parameter of the login user places both ranks on one desk; then run again.",
        source="NCCL source; community (one report)",
    ),
    Code(
        code="NCCL_CONNECTION_LOST",
        title="The ranks lost each other",
        severity="fail",
        meaning="A connection between the ranks, or from Open MPI to its daemon, broke in the middle of the run. Often the other rank or "
        "desk failed first.",
        remedy="Look at the other desk's journal at that time (journalctl -b: restart, crash, link down, a program that was killed), "
        "then run again.",
        source="NCCL and Open MPI sources; community (three reports)",
    ),
    Code(
        code="NCCL_WARNED",
        title="NCCL warned in a successful run",
        severity="note",
        meaning="The table is complete and correct, but NCCL still logged WARN lines (they are in the evidence).",
        remedy="Read the lines; run again if they report a port or an address that changed during the run.",
        source="NCCL source; community (two reports)",
    ),
    Code(
        code="NCCL_TRANSPORT_UNSEEN",
        title="NCCL's log does not show its own RDMA transport",
        severity="note",
        meaning="A third-party network plugin carried the bytes, or the log lines that name the transport are missing (a debug file or "
        "level set in /etc/nccl.conf causes that). The counters of both functions grew by the amount moved.",
        remedy="Remove the plugin (NCCL_NET_PLUGIN=none, or its libnccl-net.so) or the NCCL_DEBUG and NCCL_DEBUG_FILE lines from "
        "/etc/nccl.conf to see the transport.",
        source="community (three reports of plugins), NCCL documentation",
    ),
    Code(
        code="NCCL_SIZE_REDUCED",
        title="nccl-tests used smaller messages than requested",
        severity="note",
        other_severities=("unknown",),
        meaning="nccl-tests found too little GPU memory for the largest size and lowered it on its own (its output has the line). The "
        "verdict is for the sizes that were measured. Unknown when none of them is large enough for a mark.",
        remedy="Free memory on both desks (the GPU shares it with every other program) and run again, or ask for the smaller size "
        "(pair_proof_nccl_max_bytes).",
        source="nccl-tests source; seen on an H100 with nccl-tests 2.19.6",
    ),
    Code(
        code="NCCL_SIZE_UNMARKED",
        title="The messages were too small to judge their speed",
        severity="warn",
        meaning="No message size of the run is large enough for a mark (what is fast enough for it), so nothing is known about its speed: "
        "the proof is of the results, the transport and the counters alone.",
        remedy="Measure larger messages (pair_proof_nccl_max_bytes, in bytes; the default is 4294967296), or set marks of your own "
        "(pair_proof_marks).",
        source="this collection's rule",
    ),
    Code(
        code="NCCL_LAUNCH_FAILED",
        title="The ranks could not be started",
        severity="fail",
        meaning="mpirun could not start all ranks. The message says whether the cause is ssh, the docker0 trap, a missing library or "
        "program, a firewall, a missing interface, a full disk, a lost daemon or a missing mpirun.",
        remedy="Fix what the message names and run again.",
        source="community (three reports), this collection's rule",
    ),
    Code(
        code="NCCL_PEER_NOT_READY",
        title="NCCL could not be run: the pair is not ready",
        severity="unknown",
        meaning="A precondition was not met (peer unreachable, no proof that it is the right peer, RDMA not measured) and nothing was "
        "started, or a desk was lost during the run.",
        remedy="Fix what the message names (a finding of an earlier stage, or what keeps the desks apart), then run again.",
        source="this collection's rule",
    ),
)

SETTINGS: tuple[Code, ...] = (
    Code(
        code="PAIR_SETTINGS_WITHDRAWN",
        title="Proven settings were withdrawn",
        severity="note",
        meaning="The pair failed its proof, so /etc/dgx_spark/pair.env and the hostfile of an earlier proof were removed.",
        remedy="Fix the pair's failing findings and run stack_pair.yml again; the settings come back with the proof.",
        source="this collection's rule",
    ),
    Code(
        code="PAIR_SETTINGS_STALE",
        title="Proven settings are marked stale",
        severity="note",
        meaning="The pair could not be measured this time; the settings of an earlier proof were kept and marked stale.",
        remedy="Run stack_pair.yml again once the cause is gone.",
        source="this collection's rule",
    ),
    Code(
        code="PAIR_SETTINGS_OUTDATED",
        title="Proven settings name other addresses",
        severity="warn",
        meaning="The hostfile beside /etc/dgx_spark/pair.env does not list the addresses that the desks of the pair have now: a lease "
        "changed, an address was set by hand, or the file was edited. Asked in an audit, and in a run that leaves no settings.",
        remedy="Run stack_pair.yml, which proves the pair again and writes the addresses of now.",
        source="this collection's rule",
    ),
)

BUNDLE: tuple[Code, ...] = (
    Code(
        code="NCCL_BUNDLE_FAILED",
        title="The NCCL bundle could not be built or installed",
        severity="fail",
        other_severities=("unknown",),
        meaning="Building failed on the builder desk, the bundle does not match its checksum, or it could not be written on the desk (the "
        "message says which). Unknown on a desk that waited for a bundle which another desk could not build.",
        remedy="See the last lines of the build in the evidence; a bundle built elsewhere can be given by path (nccl_bundle_archive).",
        source="this collection's rule",
    ),
)

CODES: tuple[Code, ...] = (*TRUST, *RDMA, *NCCL, *SETTINGS, *BUNDLE)
