# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about measurements across a pair: RDMA, NCCL, and what they leave on the desks."""

from __future__ import annotations

from .code import Code

REBOOT_BOTH = (
    "Reboot both desks with the cable plugged in at both ends (sudo systemctl --no-block reboot on both), then measure again. "
    "If it stays, take both desks off mains power for a minute. Moving the plug or setting FEC does not cure it."
)

TRUST: tuple[Code, ...] = (
    Code(
        code="PAIR_TRUST_BROKEN",
        title="The head cannot log in to its peer",
        severity="fail",
        meaning="ssh from the head to the peer over the fabric was refused (key) or the peer's host key is not the one that was "
        "carried over. "
        "Measurements and MPI start their second half that way.",
        remedy="Run stack_pair.yml again (role pair_trust renews keys and host keys); if the host key keeps changing, "
        "another machine answers at the peer's address.",
        source="this collection's rule (OpenSSH's own refusals)",
    ),
    Code(
        code="PAIR_FIREWALL_BLOCKS",
        title="A firewall keeps the desks of the pair apart",
        severity="fail",
        meaning="A TCP connection from one desk's fabric address to the other's was dropped or refused although something listened "
        "there. "
        "RDMA itself passes a firewall, but perftest, MPI and NCCL meet over TCP first.",
        remedy="Let role pair_trust open the pair's fabric interfaces (pair_trust_open_firewall: true, the default), or add the "
        "rule that the "
        "message names on the desk that blocks.",
        source="community (ufw active by default: one report), this collection's rule",
    ),
    Code(
        code="PAIR_TOOLS_MISSING",
        title="A tool of the measurements could not be installed",
        severity="fail",
        meaning="perftest or Open MPI is not on the desk and could not be installed (the message names the package and apt's reason).",
        remedy="Give the desk a package source, or the .deb files by path (pair_tools_debs).",
        source="this collection's rule",
    ),
)

RDMA: tuple[Code, ...] = (
    Code(
        code="RDMA_SLOW_13G",
        title="The link is green and carries about 13 Gb/s",
        severity="fail",
        meaning="A function carries about 13 Gb/s (25 on one GIGABYTE) although speed, carrier and RDMA state are all right. "
        "The trigger most often named is a cable plugged or moved after start-up. No status field shows it.",
        remedy=REBOOT_BOTH,
        source="community (eight reports; F370035, F363461, F373538, F383649)",
    ),
    Code(
        code="RDMA_SLOW",
        title="RDMA is slower than it should be",
        severity="fail",
        other_severities=("warn",),
        meaning="Both functions together stay below NVIDIA's bound of 184 Gb/s one way (a failure), or one function alone stays "
        "below what "
        "users report (a warning).",
        remedy="Look at the link speed, PCIe width and firmware findings of the two desks first; then reboot both with the cable in, "
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
        title="Fine one way, poor both ways",
        severity="fail",
        other_severities=("warn",),
        meaning="Each direction alone is fast, both directions at once are not: less than one direction alone (a failure), or, of one "
        "function, less than one and a half times one direction (a warning: one report gives 213 Gb/s of 109 for a healthy cable, 119 "
        "and 26 for degraded ones). A one-way test passes such a cable.",
        remedy="Reboot both desks with the cable in and measure again; if it stays, change the cable for an approved one "
        "(playbooks/isolate.yml finds out whether cable, desk or port is to blame).",
        source="one user report of degraded cables; the failure is this collection's rule",
    ),
    Code(
        code="RDMA_ONE_HALF",
        title="Only one of the port's two functions carries RDMA",
        severity="fail",
        meaning="Transfers over one function fail while its twin is fine, so at most half of the link can be used.",
        remedy="Look at the named function on both desks: address, MTU, RDMA state and GID; then reboot both desks with the cable in.",
        source="community (four reports of half the rate with one function)",
    ),
    Code(
        code="RDMA_HALF_WIDTH",
        title="A function has a PCIe link of half width",
        severity="fail",
        other_severities=("warn",),
        meaning="The function's PCIe link has fewer than four lanes. A failure when the pair stays below its mark for that reason.",
        remedy="Update the desk's firmware first (fwupdmgr, then a reboot that may take 15 minutes); if the width stays, ask the maker.",
        source="community (one report, ASUS, F367853)",
    ),
    Code(
        code="RDMA_MTU_1500",
        title="The link was measured with MTU 1500",
        severity="note",
        meaning="The functions have MTU 1500, so RoCE packets carry 1024 bytes. It costs a few percent with both functions.",
        remedy="Let the link role set MTU 9000 on both desks (the default of stack_pair.yml).",
        source="NVIDIA (189.85 Gb/s at 1500), community (196.08 Gb/s at 9000)",
    ),
    Code(
        code="RDMA_ENOMEM",
        title="RDMA memory cannot be registered",
        severity="fail",
        meaning="Registering memory failed with ENOMEM. Evidence tells the two causes apart: the limit on locked memory of the very "
        "process "
        "that failed, or the kernel hand-over (KHO) fault of kernel 7.0.0-1019 when the limit is high.",
        remedy="Low limit: raise memlock for the login user (nv-limits, /etc/security/limits.d) and log in again. KHO: boot with kho=off "
        "(package nvidia-spark-grub-kho) or go back to the 6.17 kernel.",
        source="NVIDIA advisory 2026-09 (F383254, F383926) and three reports; memlock: one report",
    ),
    Code(
        code="RDMA_GID_WRONG",
        title="No usable GID for the function's address",
        severity="fail",
        meaning="The function's GID table has no RoCE v2 entry for its IPv4 address, or perftest printed its header and no row, which is "
        "what a wrong GID index looks like.",
        remedy="Check that the function has its IPv4 address (role pair_link); never pin a GID index by hand.",
        source="community (four reports)",
    ),
    Code(
        code="RDMA_WRONG_PEER",
        title="Another machine answers at the peer's fabric address",
        severity="fail",
        meaning="The hardware address behind the peer's fabric address is not one of the peer's in the inventory. Every pair may "
        "use the same "
        "addresses, so an answer alone proves nothing; this measurement was not made.",
        remedy="Plug the cable where the inventory says, or change the inventory; playbooks/cable_map.yml shows which cable goes where.",
        source="this collection's rule: pairs may share addresses, so only the hardware address proves the peer",
    ),
    Code(
        code="RDMA_COUNTERS_STILL",
        title="The counters did not move",
        severity="fail",
        meaning="perftest reported bytes, but counters of a function on the cable hardly grew: the bytes did not cross it.",
        remedy="Look whether the peer's address lies on the same desk or another port; run again and send a recording if it stays.",
        source="this collection's rule; Linux kernel documentation of the counters",
    ),
    Code(
        code="RDMA_COUNTERS_UNKNOWN",
        title="The counters could not confirm the bytes",
        severity="unknown",
        meaning="A counter could not be read, or it grew by another amount than the bytes sent (outside a factor of two). "
        "Names and units of the counters are documented but were not confirmed on a GB10.",
        remedy="Run playbooks/record.yml on both desks and send the recording, so that the unit can be confirmed.",
        source="this collection's rule; Linux kernel documentation of the counters",
    ),
    Code(
        code="RDMA_TOOL_MISSING",
        title="perftest is not installed",
        severity="unknown",
        meaning="ib_write_bw is not there, so nothing was measured.",
        remedy="Run stack_pair.yml (role pair_tools installs perftest), or give its .deb by path.",
        source="this collection's rule",
    ),
    Code(
        code="RDMA_NOT_MEASURED",
        title="RDMA was not measured",
        severity="unknown",
        meaning="The measurement could not be made or not be finished; the message says why. Nothing is known about the link's speed.",
        remedy="Mend what the message names and run again.",
        source="this collection's rule",
    ),
)

NCCL: tuple[Code, ...] = (
    Code(
        code="NCCL_SOCKET_FALLBACK",
        title="NCCL used sockets instead of RDMA",
        severity="fail",
        meaning="A rank reported Using network Socket. NCCL works that way, at a tenth of the speed.",
        remedy="Look for the RDMA devices in the ranks' view (ibv_devinfo as the login user, /dev/infiniband, memlock); "
        "unset NCCL_IB_DISABLE and NCCL_NET.",
        source="community (three reports)",
    ),
    Code(
        code="NCCL_ONE_HALF",
        title="NCCL used one of the two functions",
        severity="fail",
        meaning="A rank opened only one RDMA device of the cabled port, or only one function's counters grew. That gives 11.8 to "
        "13.5 GB/s.",
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
        remedy="Stop GPU work on both desks and measure again; then look at clocks and power (30 W safety mode), a debug build of "
        "NCCL, or "
        "a network plugin in the way.",
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
        meaning="IBV_WC_RETRY_EXC_ERR: the other side did not answer on that path. A cold neighbour table does that, therefore "
        "neighbours are "
        "asked before the run; if it still happens, the path of the named function is broken.",
        remedy="Look at the link and MTU findings of both desks, check the cable, then measure again.",
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
        meaning="The ranks were stopped on both desks at the time limit; the message tells how far the table came.",
        remedy="Look at the last lines in the evidence; a hang before the first row is often a bootstrap on the wrong network or a "
        "firewall.",
        source="community (three reports of hangs)",
    ),
    Code(
        code="NCCL_ENOMEM",
        title="A rank ran out of memory",
        severity="fail",
        meaning="Memory could not be registered or allocated. Evidence tells apart: GPU memory, the limit on locked memory, "
        "or the kernel hand-over (KHO) fault. The other rank is often the one that complains.",
        remedy="GPU memory: free memory or choose a smaller size (pair_proof_nccl_max_bytes). Low limit: raise memlock for the login user. "
        "KHO: boot with kho=off.",
        source="NVIDIA advisory 2026-09 and three reports",
    ),
    Code(
        code="NCCL_MEMORY_REFUSED",
        title="The test would not fit into memory",
        severity="unknown",
        meaning="The message size needs more memory than one of the desks has available. A desk that runs out of memory freezes, so the "
        "test was not started.",
        remedy="Choose the largest size that the message names, or free memory on the desk that it names.",
        source="community (two reports: 16 GiB messages froze a desk)",
    ),
    Code(
        code="NCCL_TWO_WORLDS",
        title="The ranks did not meet",
        severity="fail",
        meaning="Each process ran as a world of one rank: the test was built without MPI, or against another MPI than mpirun's.",
        remedy="Build the bundle with MPI=1 and the desk's Open MPI (role nccl_bundle does).",
        source="community (one report)",
    ),
    Code(
        code="NCCL_INCOMPLETE",
        title="The result table is not complete",
        severity="fail",
        meaning="The program ended, and rows or the average are missing, or a rank died on the way. The message and the cause in the "
        "evidence tell what was said about it.",
        remedy="Look at the last lines in the evidence and at the journal of both desks (journalctl -b) at that time, then run again.",
        source="this collection's rule: what did not end proves nothing; NCCL and Open MPI sources for the texts",
    ),
    Code(
        code="NCCL_COUNTERS_STILL",
        title="The counters did not move while NCCL ran",
        severity="fail",
        meaning="Counters of both functions hardly grew: the bytes took another way.",
        remedy="Look at the transport lines in the evidence; a container or plugin may route NCCL around the RDMA devices.",
        source="this collection's rule; Linux kernel documentation of the counters",
    ),
    Code(
        code="NCCL_COUNTERS_UNKNOWN",
        title="The counters could not confirm NCCL's bytes",
        severity="unknown",
        meaning="A counter could not be read, or it grew by another amount than NCCL moved (outside a factor of two).",
        remedy="Run playbooks/record.yml on both desks and send the recording, so that the unit can be confirmed.",
        source="this collection's rule; Linux kernel documentation of the counters",
    ),
    Code(
        code="NCCL_VERSION_DRIFT",
        title="The two desks run different NCCL builds",
        severity="fail",
        meaning="NCCL refused ranks of different versions, or NCCL or the test program differs between the ranks (checksum of what was "
        "really started).",
        remedy="Install the same bundle on both desks (role nccl_bundle).",
        source="community (one report of 2.30.7 against 2.31.2)",
    ),
    Code(
        code="NCCL_PATH_BROKEN",
        title="A path between two functions carries nothing",
        severity="fail",
        meaning="ibv_modify_qp failed with 110 (timed out) or 113: the function that the message names found nobody at the other end. "
        "Wrong wiring, a peer that lost its address, or functions of different cables joined to each other do that.",
        remedy="Run playbooks/cable_map.yml and compare with the inventory; look at the link findings of both desks, then run again.",
        source="community (five reports of ibv_modify_qp failing)",
    ),
    Code(
        code="NCCL_GID_WRONG",
        title="NCCL used a GID index that names no address",
        severity="fail",
        meaning="ibv_modify_qp failed with 22, 61 or 101. Somebody pinned a GID index (NCCL_IB_GID_INDEX), or an address came or went and "
        "the index moved: it differs between desks and functions and changes with every address.",
        remedy="Take NCCL_IB_GID_INDEX out of /etc/nccl.conf, ~/.nccl.conf and the environment of the login user on both desks (NCCL finds "
        "the index by itself), check that both functions have their address, then run again.",
        source="community (five reports; indices 3, 4, 5 and 6 on different desks)",
    ),
    Code(
        code="NCCL_GPU_SHARED",
        title="Two ranks were given one GPU",
        severity="fail",
        meaning="NCCL found two ranks on one GPU (Duplicate GPU, or the same partition): both ranks ran on one desk.",
        remedy="Look whether the two fabric addresses belong to two desks (ip -br addr on both) and whether a hostfile or Open MPI "
        "parameter of "
        "the login user places two ranks on one desk; then run again.",
        source="NCCL source; community (one report)",
    ),
    Code(
        code="NCCL_CONNECTION_LOST",
        title="The ranks lost each other",
        severity="fail",
        meaning="A connection between the ranks, or Open MPI's to its daemon, broke in the middle of the run. Often the other rank or desk "
        "went first.",
        remedy="Look at the other desk at that time (journalctl -b: restart, crash, link down, a program that was ended), then run again.",
        source="NCCL and Open MPI sources; community (three reports)",
    ),
    Code(
        code="NCCL_WARNED",
        title="NCCL warned in a run that ended well",
        severity="note",
        meaning="The table is complete and right, and NCCL wrote WARN lines all the same (they are in the evidence).",
        remedy="Read the lines; run again when they tell of a port or an address that changed meanwhile.",
        source="NCCL source; community (two reports)",
    ),
    Code(
        code="NCCL_TRANSPORT_UNSEEN",
        title="NCCL's log does not show its own RDMA transport",
        severity="note",
        meaning="A network plugin of another maker carried the bytes, or the log lines that name the transport are missing (a debug "
        "file or "
        "level set in /etc/nccl.conf does that). The counters of both functions grew by what was moved.",
        remedy="Remove the plugin (NCCL_NET_PLUGIN=none, or its libnccl-net.so) or the NCCL_DEBUG and NCCL_DEBUG_FILE lines of "
        "/etc/nccl.conf to "
        "have the transport shown.",
        source="community (three reports of plugins), NCCL documentation",
    ),
    Code(
        code="NCCL_LAUNCH_FAILED",
        title="The ranks could not be started",
        severity="fail",
        meaning="mpirun did not get all ranks running. The message tells ssh, the docker0 trap, a missing library or program, a firewall, "
        "an interface that is not there, a full disk, a lost daemon and a missing mpirun apart.",
        remedy="Mend what the message names and run again.",
        source="community (three reports), this collection's rule",
    ),
    Code(
        code="NCCL_PEER_NOT_READY",
        title="NCCL could not be run: the pair is not ready",
        severity="unknown",
        meaning="A condition of the run was not met (peer not reachable, no proof of the right peer, RDMA not measured) and nothing "
        "was started, or a desk was lost while it ran.",
        remedy="Mend the findings of the earlier stages that the message names and run again.",
        source="this collection's rule",
    ),
)

SETTINGS: tuple[Code, ...] = (
    Code(
        code="PAIR_SETTINGS_WITHDRAWN",
        title="Proven settings were withdrawn",
        severity="note",
        meaning="The pair failed its proof, so /etc/dgx_spark/pair.env and the hostfile of an earlier proof were removed.",
        remedy="Mend the pair's failing findings and run stack_pair.yml again; the settings come back with the proof.",
        source="this collection's rule",
    ),
    Code(
        code="PAIR_SETTINGS_STALE",
        title="Proven settings are marked stale",
        severity="note",
        meaning="The pair could not be measured this time; settings of an earlier proof were left and marked stale.",
        remedy="Run stack_pair.yml again when the reason is gone.",
        source="this collection's rule",
    ),
)

BUNDLE: tuple[Code, ...] = (
    Code(
        code="NCCL_BUNDLE_FAILED",
        title="The NCCL bundle could not be built or installed",
        severity="fail",
        other_severities=("unknown",),
        meaning="Building failed on the builder desk, or the bundle does not match its checksum (the message tells which). Unknown on a "
        "desk that waited for a bundle which another one could not build.",
        remedy="Read the last lines of the build in the evidence; a bundle made elsewhere can be given by path (nccl_bundle_archive).",
        source="this collection's rule",
    ),
)

CODES: tuple[Code, ...] = (*TRUST, *RDMA, *NCCL, *SETTINGS, *BUNDLE)
