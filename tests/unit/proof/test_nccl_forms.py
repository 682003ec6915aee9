"""Forms that a healthy log may have, and words of a sick one: each form reads alike, each cause has its name and remedy."""

from __future__ import annotations

import dataclasses
import random
import re
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.nccl import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import nccl_tests
from proof_samples import DEVICES, ENDS, end, nccl_evidence, nccl_text, neighbours, rank

STAMPS = (
    "[2026-11-03 09:15:27] ",
    "[2026-11-03T09:15:27.123] ",
    "[09:15:27]",
    "2026-11-03 09:15:27.123456 ",
    "09:15:27 ",
    "Nov  3 09:15:27 ",
    "03/11/26 09:15:27 | ",
    "1793697327 ",
    "1793697327.123456 ",
    "",
)


def named(text: str, first: str, second: str) -> str:
    return text.replace("spark-0001", first).replace("spark-0002", second)


def stamped(text: str, stamp: str) -> str:
    return re.sub(r"^(?=\S+:\d+:\d+ \[0\] NCCL INFO)", stamp, text, flags=re.MULTILINE)


def torn(text: str, seed: int) -> str:
    """Log lines put into the middle of rows, as ranks that write at once do."""
    chance = random.Random(seed)
    lines = text.splitlines()
    log = [line for line in lines if " NCCL INFO " in line]
    kept = []
    for line in (item for item in lines if " NCCL INFO " not in item):
        cells = [found.end() for found in re.finditer(r"\S+", line)] if re.match(r"\s+\d+\s+\d+\s+float", line) else []
        if cells and log:
            place = chance.choice(cells[:-1])
            kept += [line[:place] + log.pop(), line[place:]]
        else:
            kept.append(line)
    return "\n".join(kept[:8] + log + kept[8:]) + "\n"


@pytest.mark.parametrize("stamp", STAMPS)
@pytest.mark.parametrize(("first", "second"), [("spark-0001", "spark-0002"), ("0601-desk-1", "0601-desk-2"), ("a", "b"), ("7", "8x")])
@pytest.mark.parametrize("seed", range(4))
def test_rows_with_log_lines_in_them_are_whole(stamp: str, first: str, second: str, seed: int) -> None:
    read = nccl_tests.read(torn(stamped(named(nccl_text(), first, second), stamp), seed))
    assert [(row["bytes"], row["in_place"]["busbw"]) for row in read["rows"]] == [(1 << 30, 20.5), (2 << 30, 21.4), (4 << 30, 22.3)]
    assert (read["complete"], read["transport"]) == (True, "IB")
    assert read["hcas"] == {first: list(DEVICES), second: list(DEVICES)}


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        "[spark-0001:04100] PMIX ERROR: ERROR in file ../../../../../../src/mca/gds/ds12/gds_ds12_lock_pthread.c at line 169",
        "[spark-0001:04100] 1 more process has sent help message help-mpi-btl-openib.txt / no device params found",
        "libibverbs: Warning: couldn't load driver 'libhns-rdmav34.so': libhns-rdmav34.so: cannot open shared object file",
        "-" * 74,
        "(null)",
        "lab: " + "word " * 60,
    ],
)
@pytest.mark.parametrize("cells", [5, 9, 13])
def test_what_others_say_behind_an_unfinished_row_costs_no_row(said: str, again: bool, cells: int) -> None:
    """nccl-tests leaves a row without an end of line while it measures, and mpirun puts others' lines behind it."""
    plain = nccl_text()
    lines = []
    for line in plain.splitlines(keepends=True):
        ends = [found.end() for found in re.finditer(r"\S+", line)] if re.match(r"\s+\d+\s+\d+\s+float", line) else []
        lines.append(f"{line[: ends[cells - 1]]}{said}\n{line[ends[cells - 1] :]}" if ends else line)
        lines.append(f"{said}\n" if ends and again else "")
    read = nccl_tests.read("".join(lines))
    assert read["rows"] == nccl_tests.read(plain)["rows"] and read["complete"]
    assert judge("pair_a", ENDS, nccl_evidence("".join(lines)), iterations=20, warmups=5) == judge(
        "pair_a", ENDS, nccl_evidence(plain), iterations=20, warmups=5
    )


def test_what_ended_the_run_behind_an_unfinished_row_is_its_cause() -> None:
    row = "  1073741824     134217728     float    none      -1"
    text = nccl_text().partition("  1073741824")[0]
    said = "spark-0002: Test CUDA failure all_gather.cu:77 'the provided PTX was compiled with an unsupported toolchain.'\n"
    assert nccl_tests.read(text + row + said)["signs"] == nccl_tests.read(text + said)["signs"] != []


@pytest.mark.parametrize(
    "tag",
    [
        "[1,{rank}]<stdout>:",
        "[48211,1,{rank}]<stdout>:",
        "[prterun-spark-0001-3412@1,{rank}]<stdout>: ",
        "[prterun-spark-0001-3412@1,{rank}][spark-000{rank}:4100]<stdout>: ",
        "Tue Nov  3 09:15:27 2026[1,{rank}]<stdout>:",
        "Tue Nov  3 09:15:27 2026[prterun-a-1@1,{rank}]<stderr>: ",
    ],
)
def test_tags_of_mpirun_change_nothing(tag: str) -> None:
    plain = nccl_text()
    tagged = "".join(tag.format(rank=int("spark-0002" in line)) + line + "\n" for line in plain.splitlines())
    assert nccl_tests.read(tagged) == nccl_tests.read(plain)


@pytest.mark.parametrize("place", range(1, 132))
def test_a_row_may_be_cut_anywhere(place: int) -> None:
    plain = nccl_text()
    row = next(line for line in plain.splitlines() if line.lstrip().startswith("2147483648"))
    warning = "\n[2026-11-03 09:15:27] spark-0002:4101:4101 [0] misc/socket.cc:64 NCCL WARN something\n"
    read = nccl_tests.read(plain.replace(row, row[:place] + warning + row[place:]))
    assert [item["in_place"]["busbw"] for item in read["rows"]] == [20.5, 21.4, 22.3]


def test_a_tag_within_a_line_begins_another_one() -> None:
    plain = nccl_text()
    row = next(line for line in plain.splitlines() if line.lstrip().startswith("2147483648"))
    log = "spark-0002:4101:4101 [0] NCCL INFO Channel 00/0 : 1[0] -> 0[0] [receive] via NET/IB/0"
    both = plain.replace(row, f"{row[:60]}[1,1]<stdout>:{log}\n[1,0]<stdout>:{row[60:]}")
    assert len(nccl_tests.read(both)["rows"]) == 3 and nccl_tests.read(both)["complete"]


@pytest.mark.parametrize("form", [":1", ":1:0:0", ":1:0", ":1::1", ":1:2:", ":1:rail0:plane1"])
def test_every_form_of_a_device(form: str) -> None:
    read = nccl_tests.read(nccl_text().replace(":1/RoCE", f"{form}/RoCE"))
    assert read["hcas"]["spark-0001"] == list(DEVICES)


def test_figures_of_single_iterations_are_columns_of_a_row() -> None:
    more = re.sub(r"(       0)(?=   |$)", r"\1   401234   470012   469000     3.21", nccl_text(), flags=re.MULTILINE)
    assert len(more) > len(nccl_text())
    read = nccl_tests.read(more)
    assert [row["in_place"]["busbw"] for row in read["rows"]] == [20.5, 21.4, 22.3] and read["complete"]


def sick(line: str, **changes: Any) -> Finding:
    """The one finding of a run that wrote the line and ended."""
    text = nccl_text(end_at=0) + line + "\n"
    [item] = judge("pair_a", ENDS, nccl_evidence(text, **{"rc": 1, "growth": (), **changes}), iterations=20, warmups=5)
    return item


WARN = "\n[2026-11-03 09:15:27] spark-0001:4100:4120 [0] {place} NCCL WARN {text}"
FAILED = "\nspark-0001: Test NCCL failure common.cu:1350 'unhandled system error (run with NCCL_DEBUG=INFO for details) / '\n"


def warned(text: str) -> str:
    return WARN.format(place="misc/file.cc:100 (function)", text=text) + FAILED


@pytest.mark.parametrize(
    ("text", "code", "cause", "word"),
    [
        (warned("Call to ibv_modify_qp failed with 110 Connection timed out, on dev rocep1s0f0:1, curr state INIT, next state RTR"),
         "NCCL_PATH_BROKEN", "no_path", "cable_map.yml"),
        (warned("Call to ibv_modify_qp failed with error Connection timed out"), "NCCL_PATH_BROKEN", "no_path", "cable_map.yml"),
        (warned("Call to ibv_modify_qp failed with 113 No route to host"), "NCCL_PATH_BROKEN", "no_path", "cable_map.yml"),
        (warned("Call to ibv_modify_qp failed with 22 Invalid argument, on dev roceP2p1s0f0:1, local GID index 5"),
         "NCCL_GID_WRONG", "gid_index", "NCCL_IB_GID_INDEX"),
        (warned("Call to ibv_modify_qp failed with 61 No data available"), "NCCL_GID_WRONG", "gid_index", "NCCL_IB_GID_INDEX"),
        (warned("Call to ibv_modify_qp failed with error Network is unreachable"), "NCCL_GID_WRONG", "gid_index", "NCCL_IB_GID_INDEX"),
        (warned("Call to ibv_modify_qp failed with 19 No such device"), "NCCL_INCOMPLETE", "device_gone", "plug"),
        (warned("Duplicate GPU detected : rank 1 and rank 0 both on CUDA device f01000"), "NCCL_GPU_SHARED", "gpu_shared", "hostfile"),
        (warned("Multiple Ranks are using the same GPU/Partition : rank 1 and rank 0"), "NCCL_GPU_SHARED", "gpu_shared", "hostfile"),
        (warned("Message truncated : received 2048 bytes instead of 1024"), "NCCL_INCOMPLETE", "truncated", "/etc/nccl.conf"),
        (warned("socketProgressOpt: Call to recv from 192.168.100.11<40000> failed : Connection reset by peer"),
         "NCCL_CONNECTION_LOST", "connection_lost", "other desk"),
        (warned("socketProgressOpt: Call to recv from 10.0.0.2<38741> failed : Connection timed out"),
         "NCCL_CONNECTION_LOST", "connection_lost", "other desk"),
        (warned("socketProgressOpt: Call to send to fe80::1%enP7s7<38741> failed : No route to host"),
         "NCCL_CONNECTION_LOST", "connection_lost", "other desk"),
        ("[spark-0001][[3,1],0][btl_tcp_frag.c:241:mca_btl_tcp_frag_recv] mca_btl_tcp_frag_recv: readv failed: Connection timed out (110)",
         "NCCL_CONNECTION_LOST", "connection_lost", "other desk"),
        ("[spark-0001:04100] mca_btl_tcp_endpoint_recv_blocking: recv(17, 0/8) failed: No route to host (113)",
         "NCCL_CONNECTION_LOST", "connection_lost", "other desk"),
        (warned("NET/IB: Got completion from peer 192.168.100.11<4> with status=IBV_WC_REM_ACCESS_ERR(10) opcode=1"),
         "NCCL_INCOMPLETE", "remote_access", "other rank"),
        (warned("NET/IB: Got completion from peer 192.168.100.11<4> with status=IBV_WC_RETRY_EXC_ERR(12) opcode=1"),
         "NCCL_RETRY_EXCEEDED", "retry", "cable"),
        (warned("NET/IB: Got completion from peer 192.168.100.11<4> with status=11 opcode=1"), "NCCL_INCOMPLETE", "rem_op", "mlx5"),
        (warned("NET/IB : Got completion from peer 192.168.101.11<35009> with error 13, opcode 129, len 0, vendor err 135"),
         "NCCL_RETRY_EXCEEDED", "receiver_not_ready", "other rank"),
        (warned("NET/IB : Got completion from peer 192.168.101.11<35009> with error 12, opcode 0, len 0, vendor err 129"),
         "NCCL_RETRY_EXCEEDED", "retry", "cable"),
        (warned("NET/IB : req 0/1 tag 9 peer 192.168.100.11<41000> collective mismatch error, local size 8 remote size 4"),
         "NCCL_INCOMPLETE", "truncated", "/etc/nccl.conf"),
        (warned("Failed to initialize NET plugin IB"), "NCCL_INCOMPLETE", "no_device", "ibv_devinfo"),
        (warned("Bootstrap : no socket interface matching 'enp9s0' found"), "NCCL_INCOMPLETE", "interface", "ip -br addr"),
        (warned("No usable listening interface found"), "NCCL_INCOMPLETE", "interface", "ip -br addr"),
        ("[spark-0002:04101] *** Process received signal ***\n[spark-0002:04101] Signal: Bus error (7)",
         "NCCL_INCOMPLETE", "crashed", "segfault"),
        (warned("NET/IB : rocep1s0f0:1 Got async error event: port error"), "NCCL_CONNECTION_LOST", "port_error", "journalctl"),
        (warned("NET/IB : rocep1s0f0:1 async fatal event on QP (0xaaab): local work queue catastrophic error"),
         "NCCL_INCOMPLETE", "device_gone", "mlx5"),
        (warned("NET/IB : rocep1s0f0:1 async fatal event: local catastrophic error"), "NCCL_INCOMPLETE", "device_gone", "mlx5"),
        (warned("nvmlInit_v2() failed: Driver/library version mismatch"), "NCCL_INCOMPLETE", "cuda", "driver"),
        (warned("socketPollConnect: connect to 10.0.0.12<40113> returned Connection timed out (110), exceeded error retry count"),
         "NCCL_CONNECTION_LOST", "connect_failed", "packet filter"),
        (warned("socketStartConnect: Connect to 10.0.0.12<40113> failed : No route to host"),
         "NCCL_CONNECTION_LOST", "connect_failed", "packet filter"),
        (warned("Cuda failure 2 'out of memory'"), "NCCL_ENOMEM", "gpu_memory", "pair_proof_nccl_max_bytes"),
        (warned("Cuda failure 35 'CUDA driver version is insufficient for CUDA runtime version'"),
         "NCCL_INCOMPLETE", "cuda_build", "nccl_bundle_cuda_home"),
        ("spark-0001: Test CUDA failure common.cu:1043 'no kernel image is available for execution on the device'",
         "NCCL_INCOMPLETE", "cuda_build", "nccl_bundle_gencode"),
        ("spark-0001: Test CUDA failure common.cu:400 'the provided PTX was compiled with an unsupported toolchain.'",
         "NCCL_INCOMPLETE", "cuda_build", "nccl_bundle_cuda_home"),
        ("spark-0001: Test CUDA failure common.cu:1023 'CUDA driver is a stub library'", "NCCL_INCOMPLETE", "other_libcuda", "ldconfig"),
        (warned("Cuda failure 34 'CUDA driver is a stub library'"), "NCCL_INCOMPLETE", "other_libcuda", "stubs"),
        ("a: Test CUDA failure common.cu:1010 'forward compatibility was attempted on non supported HW'",
         "NCCL_INCOMPLETE", "other_libcuda", "compat"),
        ("a: Test CUDA failure common.cu:1010 'system has unsupported display driver / cuda driver combination'",
         "NCCL_INCOMPLETE", "other_libcuda", "restart"),
        ("[b][[41234,1],1][btl_tcp_endpoint.c:626:recv_connect_ack] received unexpected process identifier [[41234,1],0]",
         "NCCL_INCOMPLETE", "docker0", "btl_tcp_if_include"),
        ("Invalid number of GPUs: 1 requested but only 0 were found.\nPlease check the number of processes and GPUs per process.",
         "NCCL_INCOMPLETE", "no_gpu", "CUDA_VISIBLE_DEVICES"),
        ("b: Test CUDA failure common.cu:1010 'no CUDA-capable device is detected'", "NCCL_INCOMPLETE", "no_gpu", "CUDA_VISIBLE_DEVICES"),
        ("b: Test CUDA failure common.cu:1010 'CUDA-capable device(s) is/are busy or unavailable'",
         "NCCL_INCOMPLETE", "gpu_busy", "COMPUTE"),
        (warned("Cuda failure 500 'named symbol not found'"), "NCCL_INCOMPLETE", "cuda_build", "nccl_bundle_gencode"),
        (warned("Cuda failure 98 'invalid device function'"), "NCCL_INCOMPLETE", "cuda_build", "nccl_bundle_gencode"),
        (warned("Error while opening shared memory segment /dev/shm/nccl-abc (size 9637888), error: Permission denied (13)"),
         "NCCL_INCOMPLETE", "shared_memory", "ls -ld /dev/shm"),
        (warned("Error while creating shared memory segment /dev/shm/nccl-abc (size 9637888), error: No space left on device (28)"),
         "NCCL_INCOMPLETE", "no_space", "df -h"),
        (warned("NET/IB : Unable to open device rocep1s0f0"), "NCCL_INCOMPLETE", "no_device", "/dev/infiniband"),
        (warned("Cuda failure 'unspecified launch failure'"), "NCCL_INCOMPLETE", "cuda", "NVRM"),
        (warned("Bootstrap : no socket interface found"), "NCCL_INCOMPLETE", "interface", "ip -br addr"),
        (warned("Accept failed : Too many open files"), "NCCL_INCOMPLETE", "open_files", "nofile"),
        (warned("socketPollConnect: connect returned No route to host, exceeded error retry count (35)"),
         "NCCL_CONNECTION_LOST", "connect_failed", "other desk"),
        ("spark: Test CUDA failure common.cu:9 'CUDA_ERROR_OUT_OF_MEMORY'", "NCCL_ENOMEM", "gpu_memory", "pair_proof_nccl_max_bytes"),
        ("ORTE has lost communication with a remote daemon.", "NCCL_CONNECTION_LOST", "daemon_lost", "journalctl"),
        ("PRTE has lost communication with a remote daemon.", "NCCL_CONNECTION_LOST", "daemon_lost", "journalctl"),
        ("Connection to 192.168.100.11 closed by remote host.", "NCCL_CONNECTION_LOST", "daemon_lost", "journalctl"),
        ("Timeout, server 192.168.100.11 not responding.", "NCCL_CONNECTION_LOST", "daemon_lost", "journalctl"),
        ("mpirun noticed that process rank 1 with PID 4101 on node spark-0002 exited on signal 11 (Segmentation fault).",
         "NCCL_INCOMPLETE", "crashed", "segfault"),
        ("prterun noticed that process rank 1 with PID 9 on node b exited on signal 9 (Killed).", "NCCL_INCOMPLETE", "killed", "journal"),
        ("prterun noticed that process rank 1 with PID 9 on node b exited on signal 4 (Illegal instruction).",
         "NCCL_INCOMPLETE", "other_cpu", "nccl_bundle_archive"),
        ("[b:4101] Signal: Illegal instruction (4)", "NCCL_INCOMPLETE", "other_cpu", "nccl_bundle_archive"),
        ("all_gather_perf: /lib/aarch64-linux-gnu/libc.so.6: version `GLIBC_2.43' not found (required by all_gather_perf)",
         "NCCL_INCOMPLETE", "newer_system", "nccl_bundle_archive"),
        ("prterun noticed that process rank 1 with PID 9 on node b exited on\nsignal 9 (Killed).", "NCCL_INCOMPLETE", "killed", "journal"),
        ("[12.3] Out of memory: Killed process 4101 (all_gather_perf)", "NCCL_INCOMPLETE", "oom_killer", "pair_proof_nccl_max_bytes"),
        ("[12.3] oom_reaper: reaped process 4101 (all_gather_perf)", "NCCL_INCOMPLETE", "oom_killer", "pair_proof_nccl_max_bytes"),
        ("something nobody ever saw", "NCCL_INCOMPLETE", "unknown", "last lines"),
    ],
)  # fmt: skip
def test_a_run_that_broke_off_has_its_cause(text: str, code: str, cause: str, word: str) -> None:
    item = sick(text)
    assert (item.code, item.evidence.get("cause")) == (code, cause)
    assert word in item.remedy
    assert ("out-of-memory" in item.message + item.remedy) == (cause == "oom_killer")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("ORTE has lost communication with a remote daemon.\n\n  HNP daemon   : [[64112,0],0] on node spark-0001\n", "daemon_lost"),
        ("PRTE has lost communication with a remote daemon.\n", "daemon_lost"),
        ("Connection to 192.168.100.11 closed by remote host.\n", "daemon_lost"),
        ("Timeout, server 192.168.100.11 not responding.\n", "daemon_lost"),
        ("Connection to 192.168.100.11 port 22 timed out\n", "daemon_lost"),
        ("Received disconnect from 192.168.100.11 port 22:2: Too many authentication failures\n", "ssh"),
        ("Bad owner or permissions on /home/lab/.ssh/config\n", "ssh"),
        ("/etc/ssh/ssh_config: line 53: Bad configuration option: foo\n", "ssh"),
        (
            "ORTE does not know how to route a message to the specified daemon\nlocated on the indicated node:\n\n  my node:   a\n",
            "daemon_lost",
        ),
        ("ssh: connect to host 192.168.100.11 port 22: Connection refused\nPRTE has lost communication with a remote daemon.\n", "ssh"),
        ("A process or daemon was unable to complete a TCP connection\nto another process:\n", "firewall"),
        ("This is usually caused by a firewall on the remote host.\n", "firewall"),
        ("WARNING: Open MPI failed to TCP connect to a peer MPI process.\n  Error: No route to host (113)\n", "connect_failed"),
        ("WARNING: Your password has expired.\nPassword change required but no TTY available.\n", "ssh"),
        ("Your account has expired; please contact your system administrator.\n", "ssh"),
        ("Connection timed out during banner exchange\n", "ssh"),
        ("Unable to negotiate with 192.168.100.11 port 22: no matching host key type found. Their offer: ssh-rsa\n", "ssh"),
        ('PML add procs failed\n  --> Returned "Unreachable" (-12) instead of "Success" (0)\n', "connect_failed"),
        ("[17.1] [a:41:0] ucp_context.c:1 UCX  ERROR no usable transports/devices (asked tcp on network:enp9s0)\n", "interface"),
        (
            "[b:04100] [[38437,0],1] ORTE_ERROR_LOG: Data unpack would read past end of buffer in file util/show_help.c at line 501\n",
            "mpi_versions",
        ),
        ("prterun: All nodes which are allocated for this job are already filled.\n", "slots"),
        ("mpirun was unable to launch the specified application as it lacked permissions\nto execute an executable:\n", "may_not_run"),
        ("A daemon (pid 1234) died unexpectedly with status 127 while attempting\nto launch so we are aborting.\n", "daemon"),
        ("mpirun has detected an attempt to run as root.\n\nRunning as root is *strongly* discouraged", "as_root"),
        ("/bin/sh: 1: orted: not found\nORTE was unable to reliably start one or more daemons.\n", "program"),
        ("/bin/sh: 1: eval: orted: not found\nORTE was unable to reliably start one or more daemons.\n", "program"),
        ("orted: Command not found.\nORTE was unable to reliably start one or more daemons.\n", "program"),
        ("None of the networks specified to be included for out-of-band communications\ncould be found:\n", "interface"),
        ("WARNING: An invalid value was given for btl_tcp_if_include.\n", "interface"),
        ("a:1:1 [0] misc/shmutils.cc:87 NCCL WARN Error: failed to extend /dev/shm/nccl-abc to 33030532 bytes\n", "no_space"),
        ("A call to mkdir was unable to create the desired directory:\n  Error:     No space left on device\n", "no_space"),
        ("A call to mkdir was unable to create the desired directory:\n  Error:     Read-only file system\n", "read_only"),
        ("A call to mkdir was unable to create the desired directory:\n  Error:     Permission denied\n", "not_permitted"),
        ('Open MPI tried to fork a new process via the "execve" system call but\nfailed.\n  Error: Exec format error\n', "foreign_program"),
        ("./all_gather_perf: error while loading shared libraries: libnccl.so.2: wrong ELF class: ELFCLASS32\n", "foreign_program"),
        ("perf: /lib/aarch64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.34' not found (required by libnccl.so.2)\n", "newer_system"),
        ("perf: symbol lookup error: perf: undefined symbol: ncclCommWindowRegister\n", "library"),
        ("mux_client_request_session: session request failed: Session open refused by peer\n", "ssh"),
        (
            '"System is booting up. Unprivileged users are not permitted to log in yet."\nConnection closed by 192.168.100.11 port 22\n',
            "ssh",
        ),
        ("Connection closed by 192.168.100.11 port 2222\nORTE was unable to reliably start one or more daemons.\n", "ssh"),
        (
            'The value of the MCA parameter "plm_rsh_agent" was set to a path\nthat could not be found:\n\n  plm_rsh_agent: pair-ssh\n',
            "program",
        ),
    ],
)
def test_a_launch_that_failed_has_its_cause_and_its_words(text: str, cause: str) -> None:
    evidence = nccl_evidence("", stderr=text, rc=1, ranks=(), growth=())
    [item] = judge("pair_a", ENDS, evidence, iterations=20, warmups=5)
    assert (item.code, item.evidence["cause"]) == ("NCCL_LAUNCH_FAILED", cause)
    assert evidence.output.errors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kex_exchange_identification: read: Connection reset by peer\nConnection reset by 192.168.100.11 port 22\n", "MaxStartups"),
        ("kex_exchange_identification: Connection closed by remote host\n", "fail2ban"),
        ("ssh: connect to host 192.168.100.11 port 22: Connection refused\n", "ufw"),
        ("ssh: connect to host 192.168.100.11 port 22: Connection timed out\n", "nft list ruleset"),
        ("ssh: connect to host 192.168.100.11 port 22: No route to host\n", "nft list ruleset"),
        ("lab@192.168.100.11: Permission denied (publickey).\n", None),
    ],
)
def test_an_ssh_of_mpirun_that_gets_to_no_login_is_not_cured_by_new_keys(text: str, words: str | None) -> None:
    orte = "ORTE was unable to reliably start one or more daemons.\n"
    evidence = nccl_evidence("", stderr=f"{text}{orte}", rc=1, ranks=(), growth=())
    [item] = judge("pair_a", ENDS, evidence, iterations=20, warmups=5)
    assert (item.code, item.evidence["cause"]) == ("NCCL_LAUNCH_FAILED", "ssh")
    assert ("renews the keys" in item.remedy) is (words is None) and (words or "ssh") in item.message


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("spark-0002:4101:4101 [0] plugin/net.cc:287 NCCL WARN Failed to initialize any NET plugin", "(on desk-02)"),
        ("[2026-11-28 08:10:11] spark-0002:4101:4101 [0] plugin/net.cc:287 NCCL WARN Failed to initialize any NET plugin", "(on desk-02)"),
        ("spark-0001.lab.example:4101:4101 [0] net.cc:9 NCCL WARN Failed to initialize any NET plugin", "(on desk-01)"),
        ("spark-0002: Test CUDA failure common.cu:1211 'system has unsupported display driver / cuda driver combination'", "(on desk-02)"),
        ("spark-0002: Test CUDA failure common.cu:1211 'out of memory'", "a rank on desk-02 ran out"),
        ("spark-00021:4101:4101 [0] plugin/net.cc:287 NCCL WARN Failed to initialize any NET plugin", None),
        ("Failed to initialize any NET plugin", None),
    ],
)
def test_the_desk_whose_rank_said_it_is_named(line: str, named: str | None) -> None:
    [item] = judge("pair_a", ENDS, nccl_evidence(f"{line}\n", rc=3, growth=()), iterations=20, warmups=5)
    assert item.message.endswith("no RDMA device") if named is None else named in item.message
    twins = (end(1, hostname="spark"), end(2, hostname="spark"))
    same = line.replace("spark-0002", "spark").replace("spark-0001", "spark")
    [item] = judge("pair_a", twins, nccl_evidence(f"{same}\n", rc=3, growth=()), iterations=20, warmups=5)
    assert "desk-0" not in item.message


NO_FILE = "cannot open shared object file: No such file or directory"
NOISE = (
    f"[a:04100] mca_base_component_repository_open: unable to open mca_btl_openib: librdmacm.so.1: {NO_FILE} (ignored)\n",
    f"libibverbs: Warning: couldn't load driver 'librxe-rdmav34.so': librxe-rdmav34.so: {NO_FILE}\n",
    "ERROR: ld.so: object 'libgtk3-nocsd.so.0' from LD_PRELOAD cannot be preloaded (cannot open shared object file): ignored.\n",
    "ERROR: ld.so: object '/opt/lab.so' from /etc/ld.so.preload cannot be preloaded (wrong ELF class: ELFCLASS32): ignored.\n",
    "bash: line 1: warning: setlocale: LC_ALL: cannot change locale (de_DE.UTF-8): No such file or directory\n",
    "Could not chdir to home directory /home/CORP/lab: No such file or directory\n",
    "conda: Command not found.\n",
)


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("mpirun was unable to find the specified executable file, and therefore\ndid not launch the job\n", "program"),
        ("Host key verification failed.\n", "ssh"),
        ("ORTE was unable to reliably start one or more daemons.\n", "daemon"),
        ("something nobody ever saw\n", "unknown"),
    ],
)
def test_parts_that_nobody_needs_are_no_cause(noise: str, text: str, cause: str) -> None:
    evidence = nccl_evidence("", stderr=noise + text, rc=1, ranks=(), growth=())
    [item] = judge("pair_a", ENDS, evidence, iterations=20, warmups=5)
    assert item.evidence["cause"] == cause
    assert passing(noise + nccl_text()) == {}


@pytest.mark.parametrize(
    "reason", ["Permission denied (publickey).", "Permission denied (publickey,password).", "Permission denied (gssapi-with-mic)."]
)
def test_a_refused_login_is_no_number_of_an_error(reason: str) -> None:
    evidence = nccl_evidence("", stderr=f"lab@192.168.100.11: {reason}\n", rc=1, ranks=(), growth=())
    [item] = judge("pair_a", ENDS, evidence, iterations=20, warmups=5)
    assert item.evidence["cause"] == "ssh"
    other = nccl_evidence("", stderr="open /run/lab failed: Permission denied (13)\n", rc=1, ranks=(), growth=())
    [item] = judge("pair_a", ENDS, other, iterations=20, warmups=5)
    assert item.evidence["cause"] == "unknown"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("prterun noticed that process rank 1 with PID 9 on node b exited on signal 4 (Illegal instruction).\n", "other_cpu"),
        ("prterun noticed that process rank 1 with PID 9 on node b exited on signal 11 (Segmentation fault).\n", "crashed"),
        ("prterun noticed that process rank 1 with PID 9 on node b exited on signal 9 (Killed).\n", "killed"),
    ],
)
def test_a_rank_that_died_before_it_reported_has_its_cause(text: str, cause: str) -> None:
    evidence = nccl_evidence("", stderr=text, rc=1, ranks=(), growth=())
    [item] = judge("pair_a", ENDS, evidence, iterations=20, warmups=5)
    assert (item.code, item.evidence["cause"]) == ("NCCL_INCOMPLETE", cause) and "(on b)" in item.message


@pytest.mark.parametrize(
    ("library", "cure"),
    [
        ("libcudart.so.13", "cuda-cudart-"),
        ("libcuda.so.1", "driver findings"),
        ("libnccl.so.2", "nccl_bundle"),
        ("libmpi.so.40", "pair_tools"),
    ],
)
@pytest.mark.parametrize("ranks", [(rank(1), rank(2)), ()])
def test_a_library_that_is_missing_is_named_with_what_brings_it(library: str, cure: str, ranks: tuple[Any, ...]) -> None:
    """nccl-tests loads the CUDA runtime of the desk, which neither the bundle nor the tools bring."""
    said = f"/opt/dgx_spark/nccl/bin/all_gather_perf: error while loading shared libraries: {library}: cannot open shared object file: "
    text = said + "No such file or directory\n  Process name: [[48211,1],1]\n  Exit code:    127\n"
    [item] = judge("pair_a", ENDS, nccl_evidence("", stderr=text, rc=127, ranks=ranks, growth=()), iterations=20, warmups=5)
    assert (item.code, item.evidence["cause"], item.evidence["library"]) == ("NCCL_LAUNCH_FAILED", "library", library)
    assert library in item.message and cure in item.remedy
    assert ("stack_pair.yml" in item.remedy) == (library in ("libnccl.so.2", "libmpi.so.40"))


def test_a_launch_of_unknown_cause_says_where_its_words_are() -> None:
    evidence = nccl_evidence("", stderr="something nobody ever saw\n", rc=1, ranks=(), growth=())
    [item] = judge("pair_a", ENDS, evidence, iterations=20, warmups=5)
    assert item.evidence["cause"] == "unknown" and "something nobody ever saw" in str(item.evidence["last_lines"])
    assert "last lines in the evidence" in item.remedy


MISMATCH = "Mismatched NCCL version detected : rank 1 version 23102 rank 0 version 23007"


@pytest.mark.parametrize("ranks", [(rank(1), rank(2, libnccl_sha256="other")), ()])
def test_ranks_of_different_versions_are_drift(ranks) -> None:
    item = sick(warned(MISMATCH), ranks=ranks)
    assert item.code == "NCCL_VERSION_DRIFT"
    assert "2.31.2" in item.message and "2.30.7" in item.message


def test_a_run_that_broke_off_between_different_builds_is_drift() -> None:
    assert sick("", ranks=(rank(1), rank(2, libnccl_sha256="other"))).code == "NCCL_VERSION_DRIFT"


def test_plugins_that_are_not_there_are_no_launch_failure() -> None:
    said = "libnccl-env.so: cannot open shared object file: No such file or directory"
    log = f"spark-0001:1:1 [0] NCCL INFO ncclOsDlopen(libnccl-env.so) failed: {said}\n"
    evidence = nccl_evidence(log * 3, rc=1, ranks=(), growth=())
    [item] = judge("pair_a", ENDS, evidence, iterations=20, warmups=5)
    assert item.evidence["cause"] == "unknown"


def test_the_time_limit_is_told_before_its_own_echo() -> None:
    item = sick("mpirun noticed that process rank 0 exited on signal 15 (Terminated).", rc=None, error="timeout")
    assert item.code == "NCCL_TIMEOUT"


def passing(text: str) -> dict[str, str]:
    evidence = nccl_evidence(text)
    return {item.code: item.severity for item in judge("pair_a", ENDS, evidence, iterations=20, warmups=5)}


@pytest.mark.parametrize("text", ["NET/IB : rocep1s0f0:1 GID table changed", "NET/IB : Got non-fatal async event: port error(10)"])
def test_a_warning_in_a_passing_run_is_a_note(text: str) -> None:
    line = WARN.format(place="transport/net_ib/common.cc:153 (thread)", text=text)
    assert passing(nccl_text() + line + "\n") == {"NCCL_WARNED": "note"}


@pytest.mark.parametrize("network", ["AWS Libfabric", "Mesh", "Sparkring", "IBext_v10"])
def test_a_foreign_network_is_a_note(network: str) -> None:
    text = nccl_text().replace("Using network IB", f"Using network {network}")
    assert passing(text) == {"NCCL_TRANSPORT_UNSEEN": "note"}


def test_a_run_without_a_log_is_a_note() -> None:
    assert passing(nccl_text(log=False)) == {"NCCL_TRANSPORT_UNSEEN": "note"}


def test_host_names_are_cut_at_the_first_dot_as_nccl_does() -> None:
    ends = (end(1, hostname="spark-0001.lab.example"), end(2, hostname="spark-0002.lab.example"))
    text = nccl_text(devices=DEVICES[:1])
    found = judge("pair_a", ends, nccl_evidence(text, neighbours=neighbours(ends)), iterations=20, warmups=5)
    assert [item.code for item in found] == ["NCCL_ONE_HALF"]


def halved(item):
    return dataclasses.replace(item, functions=tuple(dataclasses.replace(function, speed_mbps=100000) for function in item.functions))


def test_marks_follow_a_link_of_100_gigabit_at_both_ends() -> None:
    slow = nccl_evidence(nccl_text({1 << 30: 11.0, 2 << 30: 11.4, 4 << 30: 11.9}))
    codes = [[item.code for item in judge("p", ends, slow, iterations=20, warmups=5)] for ends in (ENDS, tuple(map(halved, ENDS)))]
    assert ("NCCL_SLOW" in codes[0], "NCCL_SLOW" in codes[1]) == (True, False)
    one_end = (halved(ENDS[0]), ENDS[1])
    assert "NCCL_SLOW" in [item.code for item in judge("p", one_end, slow, iterations=20, warmups=5)]


@pytest.mark.parametrize(
    "words",
    [
        "Call to ibv_reg_mr_iova2 failed with error Bad address",
        "Call to ibv_reg_mr failed with error Bad address",
        "Call to ibv_reg_mr_iova2 failed with 14 Bad address",
        "Call to ibv_reg_dmabuf_mr failed with error Operation not supported",
        "Call to ibv_reg_mr_iova2 failed with error Invalid argument",
    ],
)
def test_memory_that_the_adapter_refuses_is_no_want_of_memory(words: str) -> None:
    found = sick(f"[2026-11-03 09:15:27] a:1:9 [0] misc/ibvwrap.cc:190 (wrap_ibv_reg_mr_iova2) NCCL WARN {words}")
    assert (found.code, found.evidence["cause"]) == ("NCCL_INCOMPLETE", "unfit_memory")
    assert "NCCL_NET_GDR_LEVEL" in found.remedy and "kho" not in found.remedy and "memlock" not in found.remedy


def test_memory_that_runs_short_stays_want_of_memory() -> None:
    found = sick("a:1:9 [0] misc/ibvwrap.cc:190 NCCL WARN Call to ibv_reg_mr_iova2 failed with error Cannot allocate memory")
    assert found.code == "NCCL_ENOMEM"


def test_a_connection_from_an_address_of_a_vpn_is_not_only_docker() -> None:
    text = (
        "Open MPI detected an inbound MPI TCP connection request from a peer\nthat appears to be part of this MPI job\n"
        "  Source IP of socket: 100.101.2.3\n  Known IPs of peer:\n\t192.168.100.11\n"
    )
    [found] = judge("pair_a", ENDS, nccl_evidence("", stderr=text, rc=1, ranks=(), growth=()), iterations=20, warmups=5)
    assert found.evidence["cause"] == "docker0" and "VPN" in found.message


@pytest.mark.parametrize(
    "noise",
    [
        "/home/lab/.bashrc: line 118: conda: command not found",
        "/etc/profile.d/modules.sh: line 3: modulecmd: command not found",
        "/home/lab/.zshenv:3: command not found: conda",
        "-bash: /opt/miniforge/etc/profile.d/conda.sh: No such file or directory",
        "/home/lab/.bashrc: line 20: /opt/ros/jazzy/setup.bash: No such file or directory",
        "~/.config/fish/config.fish (line 3): Unknown command: conda",
        "/home/lab/.cshrc: conda: Command not found.",
        "/home/lab/.profile: 28: .: cannot open /home/lab/.cargo/env: No such file",
    ],
)
@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("ORTE was unable to reliably start one or more daemons.\n", "daemon"),
        ("bash: line 1: orted: command not found\nORTE was unable to reliably start one or more daemons.\n", "program"),
        ("There are not enough slots available in the system to satisfy the 2\n", "slots"),
    ],
)
def test_what_a_start_up_file_of_the_shell_lacks_is_no_cause(noise: str, text: str, cause: str) -> None:
    [found] = judge("pair_a", ENDS, nccl_evidence("", stderr=f"{noise}\n{text}", rc=1, ranks=(), growth=()), iterations=20, warmups=5)
    assert found.evidence["cause"] == cause
