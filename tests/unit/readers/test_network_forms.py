"""Forms of network tools' output beside the usual one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import ip_addr, lldp, netplan, perftest

HEADER = " #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]\n"


def table(average: float) -> str:
    return f"{HEADER} 1048576    5000            0.00               {average:.2f}              0.0125\n"


BANNER = "                    RDMA_Write Bidirectional BW Test\n Device         : rocep1s0f1\n Mtu             : 4096[B]\n"


@pytest.mark.parametrize("heading", ["\n Local results: \n", "\n Local results:\n", " Local results\n"])
def test_both_directions_are_one_row_and_its_parts(heading: str) -> None:
    text = BANNER + table(196.4) + heading + table(98.1) + heading.replace("Local", "Remote") + table(98.3)
    read = perftest.read(text)
    assert read["bw_average_gbps"] == 196.4 and len(read["rows"]) == 1
    assert (read["local_rows"][0]["bw_average_gbps"], read["remote_rows"][0]["bw_average_gbps"]) == (98.1, 98.3)


def test_the_sum_of_both_directions_where_its_table_is_cut_off() -> None:
    assert perftest.read(BANNER + "\n Local results: \n" + table(98.1) + "\n Remote results: \n" + table(98.3))["bw_average_gbps"] == 196.4


def test_another_run_begins_outside_the_parts() -> None:
    both = BANNER + table(196.4) + "\n Local results: \n" + table(98.1) + "\n Remote results: \n" + table(98.3)
    assert [row["bw_average_gbps"] for row in perftest.read(both + BANNER + table(197.0))["rows"]] == [196.4, 197.0]


@pytest.mark.parametrize(
    ("text", "statuses"),
    [
        (" Failed status 13: wr_id 0 syndrom 0x89", [13]),
        (" Failed status 9: wr_id 3 syndrom 0x0\n Failed status 5: wr_id 4 syndrom 0xf9", [9, 5]),
        (" Failed status-transport retry counter exceeded (12): wr_id 0 syndrom 0x81", [12]),
        (" Failed status - remote access error (10): wr_id 0 syndrom 0x88", [10]),
        (" Completion with error at client", []),
    ],
)
def test_completion_statuses(text: str, statuses: list[int]) -> None:
    assert perftest.read(text)["completion_statuses"] == statuses


@pytest.mark.parametrize(
    "text",
    [
        "3: enp1s0f0np0: <BROADCAST,SLAVE,UP> mtu 9000 qdisc mq master bond-lab state UP group default\n    link/ether 02:00:5e:00:00:01",
        '[{"ifindex": 3, "ifname": "enp1s0f0np0", "flags": ["UP"], "mtu": 9000, "master": "bond-lab", "operstate": "UP", "addr_info": []}]',
    ],
)
def test_the_bond_of_a_member(text: str) -> None:
    assert ip_addr.read(text)[0]["master"] == "bond-lab"
    assert ip_addr.read(text.replace("master", "brother"))[0]["master"] is None


def test_sections_of_a_netplan_file_that_are_not_interfaces_of_the_machine() -> None:
    text = "network:\n  version: 2\n  ethernets: {eth0: {}}\n  tunnels: {wg0: {mode: wireguard}, wg1: {}}\n"
    text += "  openvswitch: {protocols: [x]}\n  vrfs:\n"
    assert netplan.read(text)["other_sections"] == {"tunnels": ["wg0", "wg1"], "openvswitch": ["protocols"]}


def real(program: str, *words: str) -> dict:
    """An answer of the real program on a virtual machine, by words of its command line."""
    recorded = json.loads((Path(__file__).parents[2] / "conformance/real/trixie.json").read_text(encoding="utf-8"))
    return next(answer for answer in recorded["answers"][program] if set(words) <= set(answer["argv"]))


def test_real_perftest_with_several_queue_pairs_names_both_ends() -> None:
    read = perftest.read(real("ib_write_bw", "--report-both")["stdout"])
    assert (read["local_address"], read["remote_address"], read["qps"]) == ("192.168.100.10", "192.168.100.11", 4)
    assert len(read["rows"]) == len(read["local_rows"]) == len(read["remote_rows"]) == 1
    halves = read["local_rows"][0]["bw_average_gbps"] + read["remote_rows"][0]["bw_average_gbps"]
    assert read["bw_average_gbps"] == pytest.approx(halves, abs=0.001)


def test_real_perftest_that_gave_no_row_gives_none() -> None:
    for words in (("-x", "9"), ("18605",)):
        read = perftest.read(real("ib_write_bw", *words)["stdout"])
        assert read["rows"] == [] and read["bw_average_gbps"] is None
    assert perftest.read(real("ib_write_bw", "18605")["stderr"])["completion_statuses"] == [9]


SAMPLES = Path(__file__).with_name("samples")


@pytest.mark.parametrize("form", ["json", "json0", "keyvalue", "xml", "plain"])
def test_every_form_of_lldpctl_names_the_same_neighbour(form: str) -> None:
    """Printed by lldpd 1.0.18 with one neighbour."""
    mac = "02:f9:b0:b3:69:e5"
    expected = {"netdev": "enp1s0f0np0", "chassis_id": mac, "chassis_name": "spark-peer"}
    expected |= {"port_id": mac, "port_description": "enp1s0f0np0", "macs": [mac]}
    assert lldp.read((SAMPLES / f"lldp.{form}.txt").read_text(encoding="utf-8")) == [expected]


@pytest.mark.parametrize("form", ["keyvalue", "plain", "xml"])
def test_two_neighbours_of_one_interface_are_two(form: str) -> None:
    text = (SAMPLES / f"lldp.{form}.txt").read_text(encoding="utf-8")
    other = text.replace("02:f9:b0:b3:69:e5", "02:f9:b0:b3:69:e6").replace("spark-peer", "spark-third")
    both = text.replace("</lldp>", other.partition("<interface")[1] + other.partition("<interface")[2]) if form == "xml" else text + other
    assert [item["chassis_name"] for item in lldp.read(both)] == ["spark-peer", "spark-third"]


@pytest.mark.parametrize("text", ['{\n  "lldp": {\n    \n  }\n}\n', "-" * 79 + "\nLLDP neighbors:\n" + "-" * 79 + "\n", ""])
def test_nobody_at_the_other_end(text: str) -> None:
    assert lldp.read(text) == []
