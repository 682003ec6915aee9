"""perftest stand-ins: options, texts and exit codes, and the figures they print."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import PaperDesk, description, live

Read = Callable[[str], str]
ADDRESSES = {"enp1s0f0np0": ["fe80::1", "192.0.2.10"], "enP2p1s0f0np0": ["fe80::2", "198.51.100.10"]}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def both_ends(paper: PaperDesk, tool: str, *options: str) -> tuple[subprocess.CompletedProcess[str], str, int]:
    """Run server and client of a tool on one paper desk; returns the client, the server's output and its exit code."""
    paper.live = live(paper.data, ADDRESSES)
    paper.write()
    port = str(free_port())
    server = subprocess.Popen(
        paper.argv(tool, "-p", port, *options), env=paper.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        for _try in range(50):
            client = subprocess.run(
                paper.argv(tool, "-p", port, *options, "127.0.0.1"),
                env=paper.environment(),
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            if "Couldn't connect" not in client.stderr:
                break
            time.sleep(0.3)
        output, _none = server.communicate(timeout=30)
    finally:
        server.kill()
    return client, output, server.returncode


def test_wrong_gid_index_is_a_header_without_row_and_exit_0(paper: PaperDesk, transcript: Read) -> None:
    client, server, code = both_ends(paper, "ib_write_bw", "-d", "rocep1s0f0", "-i", "1", "-F", "--report_gbits", "-D", "1", "-x", "9")
    assert (client.returncode, code) == (0, 0)
    mine = [" ".join(line.split()) for line in client.stdout.splitlines()]
    real = [" ".join(line.split()) for line in transcript("ib_write_bw.official.half1.mtu1500.txt").splitlines()]
    head = [line.replace("GID index : 3", "GID index : 9") for line in real[: real.index("Data ex. method : Ethernet") + 2]]
    assert mine[: len(head)] == head
    assert mine[-1].startswith("#bytes #iterations BW peak[Gb/sec] BW average[Gb/sec] MsgRate[Mpps]")
    assert "* Waiting for client to connect... *" in server


def test_address_lines_have_the_columns_of_the_transcript(paper: PaperDesk, transcript: Read) -> None:
    client, _server, _code = both_ends(paper, "ib_write_bw", "-d", "rocep1s0f0", "-F", "-x", "9")

    def shape(text: str) -> list[str]:
        lines = [line for line in text.splitlines() if "address:" in line]
        return [re.sub(r"0x[0-9a-f]+ *", "0x ", re.sub(r"QPN 0x[0-9a-f]{4}", "QPN", line)) for line in lines]

    assert shape(client.stdout) == shape(transcript("ib_write_bw.official.half1.mtu1500.txt"))


def test_latency_header(paper: PaperDesk, transcript: Read) -> None:
    client, _server, _code = both_ends(paper, "ib_write_lat", "-d", "rocep1s0f0", "-F", "-x", "9")
    assert client.stdout.splitlines()[-1].split() == transcript("ib_write_lat.eugr.txt").splitlines()[0].split()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["-d", "rocep7s0f0"], "IB device rocep7s0f0 not found"),
        (["-d", "rocep1s0f1"], "Port number 1 state is Down"),
        (["-d", "rocep1s0f0", "-i", "2"], "Unable to query port 2 attributes"),
        (["-d", "rocep1s0f0", "--no-such-option"], "unrecognized option '--no-such-option'"),
    ],
)
def test_bad_choice_ends_with_1(paper: PaperDesk, options: list[str], text: str) -> None:
    answer = paper.run("ib_write_bw", *options, "127.0.0.1")
    assert answer.returncode == 1
    assert text in answer.stderr


def test_nobody_listens(paper: PaperDesk) -> None:
    answer = paper.run("ib_write_bw", "-d", "rocep1s0f0", "-p", str(free_port()), "127.0.0.1")
    assert answer.returncode == 1
    assert "Couldn't connect to 127.0.0.1" in answer.stderr


def test_no_adapter(paper: PaperDesk) -> None:
    paper.data["hotplug"]["powered"] = False
    answer = paper.run("ib_write_bw", "127.0.0.1")
    assert answer.returncode == 1
    assert "Unable to find the Infiniband/RoCE device" in answer.stderr


def test_kernel_handover_fault_is_enomem(paper: PaperDesk) -> None:
    paper.data["faults"] = {"kho_enomem": {}}
    answer = paper.run("ib_write_bw", "-d", "rocep1s0f0", "127.0.0.1")
    assert answer.returncode == 1
    assert "Couldn't allocate MR" in answer.stderr


def test_without_hardware_there_is_no_figure(paper: PaperDesk) -> None:
    """A paper desk has no wire: the tool must not print a row."""
    client, _server, _code = both_ends(paper, "ib_write_bw", "-d", "rocep1s0f0", "-F", "-D", "1")
    assert client.returncode == 1
    assert "does not respond" in client.stderr
    assert not re.search(r"^ 65536", client.stdout, re.M)


def test_rows_have_the_columns_of_the_transcripts(transcript: Read, capsys: pytest.CaptureFixture[str]) -> None:
    from desklib.standins import perftest

    run = _run(report_gbits=True)
    perftest._print_row(run, {"bytes": 1048576, "iterations": 70121, "gbps": 98.04, "peak": 0.0})
    mine = capsys.readouterr().out.rstrip("\n")
    real = transcript("ib_write_bw.rows.dual-mtu9000-good.txt").splitlines()[1]
    assert re.sub(r"\d\.\d{6}$", "", mine) == re.sub(r"\d\.\d{6}$", "", real)
    lat = _run(kind="lat")
    perftest._print_row(lat, {"bytes": 2, "iterations": 1000, "typical": 1.47})
    assert capsys.readouterr().out.split() == transcript("ib_write_lat.eugr.txt").splitlines()[1].split()


def test_without_report_gbits_the_unit_is_mebibytes(capsys: pytest.CaptureFixture[str]) -> None:
    from desklib.standins import perftest

    perftest._print_row(_run(), {"bytes": 65536, "iterations": 5000, "gbps": 8.388608, "peak": 8.388608})
    assert capsys.readouterr().out.split()[3] == "1000.00"


def test_report_both_prints_the_table_of_each_direction(capsys: pytest.CaptureFixture[str]) -> None:
    from desklib.standins import perftest

    run = _run(report_gbits=True)
    perftest._print_each_way(run, [{"bytes": 8388608, "iterations": 6360, "gbps": 213.4, "peak": 0.0}])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [line for line in lines if "results" in line] == ["Local results:", "Remote results:"]
    assert [line.split()[3] for line in lines if line[0].isdigit()] == ["106.70", "106.70"]


def _run(kind: str = "bw", **options: Any) -> Any:
    import argparse

    from desklib.standins import perftest

    run = perftest.Run.__new__(perftest.Run)
    run.kind = kind
    run.options = argparse.Namespace(**{"report_gbits": False, **options})
    return run


def _functions(data: dict[str, Any], mtu: int) -> list[Any]:
    from desklib.desk import Desk
    from desklib.netlink import Link
    from desklib.view import functions

    links = {n: Link(name=n, **facts) for n, facts in live(data, ADDRESSES, mtu)["links"].items()}
    return functions(Desk(data), links)


@pytest.mark.parametrize(
    ("mtu", "together", "both_ways", "figure"),
    [
        (9000, False, False, 109.0),  # one function alone
        (9000, True, False, 98.05),  # both at once: reports give 98.04 each
        (1500, True, False, 92.6),  # NVIDIA's performance guide: 92.57 on the function of domain 0
        (1500, False, False, 108.9),
        (9000, False, True, 213.0),
    ],
)
def test_healthy_figures(mtu: int, together: bool, both_ways: bool, figure: float) -> None:
    from desklib import figures
    from desklib.desk import Desk

    data = description()
    found = _functions(data, mtu)
    twins = [found[2]] if together else []
    assert figures.bandwidth(Desk(data), found[0], twins, both_ways, 65536) == pytest.approx(figure, abs=0.05)


def test_a_narrow_link_limits_its_function() -> None:
    from desklib import figures
    from desklib.desk import Desk

    data = description()
    data["faults"] = {"half_width": {"function": "roceP2p1s0f0"}}
    found = _functions(data, 9000)
    assert figures.bandwidth(Desk(data), found[2], [], False, 65536) == pytest.approx(54.5)
    assert figures.bandwidth(Desk(data), found[0], [], False, 65536) == pytest.approx(109.0)


def test_both_ways_shows_what_one_way_hides() -> None:
    from desklib import figures
    from desklib.desk import Desk

    data = description()
    data["ports"]["0"]["figures"]["both_ways_gbps"] = 26.0
    found = _functions(data, 9000)
    assert figures.bandwidth(Desk(data), found[0], [], False, 65536) == pytest.approx(109.0)
    assert figures.bandwidth(Desk(data), found[0], [], True, 65536) == pytest.approx(26.0)


def test_default_gid_is_the_first_ipv4_of_version_2() -> None:
    from desklib.standins.perftest import default_gid

    found = _functions(description(), 1500)
    assert default_gid(found[0]) == 3
