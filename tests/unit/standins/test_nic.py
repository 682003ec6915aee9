"""RDMA tools, ethtool and lspci follow cables, addresses and hotplug."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from .conftest import PaperDesk, description, live

Read = Callable[[str], str]


def test_rdma_link_equals_the_transcript(paper: PaperDesk, transcript: Read) -> None:
    assert paper.run("rdma", "link", "show").stdout == transcript("rdma-link.port0-cabled.txt")


def test_rdma_link_json(paper: PaperDesk) -> None:
    rows = json.loads(paper.run("rdma", "-j", "link").stdout)
    assert [(r["ifname"], r["state"], r["netdev"]) for r in rows][:2] == [
        ("rocep1s0f0", "ACTIVE", "enp1s0f0np0"),
        ("rocep1s0f1", "DOWN", "enp1s0f1np1"),
    ]


def test_rdma_resource_names_the_user(paper: PaperDesk) -> None:
    idle = paper.run("rdma", "resource", "show", "qp").stdout
    assert "pid" not in idle and "type GSI" in idle
    paper.data["faults"] = {"rdma_user": {}}
    paper.live["processes"] = {"rdma_user": {"pid": 4242, "name": "vllm"}}
    busy = paper.run("rdma", "resource", "show", "qp").stdout
    assert re.search(r"link rocep1s0f0/1 .*type RC .*pid 4242 comm vllm", busy)


def test_ibdev2netdev_equals_the_transcript(paper: PaperDesk, transcript: Read) -> None:
    assert paper.run("ibdev2netdev").stdout == transcript("ibdev2netdev.port0-up.txt")


@pytest.mark.parametrize("name", ["ibdev2netdev", "ibstat", "lspci"])
def test_hotplug_took_the_adapter(paper: PaperDesk, name: str) -> None:
    paper.data["hotplug"]["powered"] = False
    paper.live = {"links": {}}
    answer = paper.run(name, *(["-D", "-d", "15b3:"] if name == "lspci" else []))
    assert (answer.returncode, answer.stdout) == (0, "")


def test_ibv_devinfo_without_adapter(paper: PaperDesk, transcript: Read) -> None:
    paper.data["hotplug"]["powered"] = False
    answer = paper.run("ibv_devinfo")
    assert answer.stderr.strip() == transcript("ibv_devinfo.no-nic.txt").strip()
    assert answer.returncode == 255


def test_ibv_devinfo_mtu_follows_the_netdev(paper: PaperDesk) -> None:
    assert "active_mtu:\t\t1024 (3)" in paper.run("ibv_devinfo", "-d", "rocep1s0f0").stdout
    paper.live = live(paper.data, mtu=9000)
    assert "active_mtu:\t\t4096 (5)" in paper.run("ibv_devinfo", "-d", "rocep1s0f0").stdout


def test_ibstat_states(paper: PaperDesk) -> None:
    blocks = paper.run("ibstat").stdout.split("CA '")[1:]
    assert "State: Active" in blocks[0] and "Rate: 200" in blocks[0]
    assert "State: Down" in blocks[1] and "Physical state: Disabled" in blocks[1]


def test_show_gids_counts(paper: PaperDesk) -> None:
    paper.live = live(paper.data, {"enp1s0f0np0": ["fe80::1", "192.0.2.10"]})
    out = paper.run("show_gids", "rocep1s0f0").stdout
    assert out.splitlines()[-1] == "n_gids_found=4"
    assert re.search(r"rocep1s0f0\t1\t3\t0000:.*ffff:c000:020a\t192\.0\.2\.10 +\tv2\tenp1s0f0np0", out)


def test_lspci_equals_the_transcripts(paper: PaperDesk, transcript: Read) -> None:
    assert paper.run("lspci", "-D", "-d", "15b3:").stdout == transcript("lspci-cx7.present.txt")
    paper.data["hotplug"]["powered"] = False
    assert paper.run("lspci", "-D", "-d", "15b3:").stdout.strip() == transcript("lspci-cx7.hotplug-removed.txt").strip()


def test_lspci_ids(paper: PaperDesk) -> None:
    assert paper.run("lspci", "-D", "-n", "-d", "10de:2e12").stdout == "000f:01:00.0 0300: 10de:2e12\n"


def test_lspci_shows_the_narrow_link(paper: PaperDesk) -> None:
    paper.data["faults"] = {"half_width": {}}
    assert "Width x2 (downgraded)" in paper.run("lspci", "-D", "-vv", "-s", "0002:01:00.0").stdout
    assert "downgraded" not in paper.run("lspci", "-D", "-vv", "-s", "0000:01:00.0").stdout


def test_ethtool_speed(paper: PaperDesk, transcript: Read) -> None:
    assert transcript("ethtool-speed.200g.txt").rstrip("\n") in paper.run("ethtool", "enp1s0f0np0").stdout.splitlines()
    paper.data["faults"] = {"speed_100g": {}}
    assert transcript("ethtool-speed.100g.txt").rstrip("\n") in paper.run("ethtool", "enp1s0f0np0").stdout.splitlines()
    empty = paper.run("ethtool", "enp1s0f1np1").stdout
    assert "Speed: Unknown!" in empty and "Link detected: no" in empty


def test_ethtool_driver(paper: PaperDesk, transcript: Read) -> None:
    paper.data["model"]["kernel"] = "6.17.0-1029-nvidia"
    mine = paper.run("ethtool", "-i", "enp1s0f0np0").stdout
    assert mine.startswith(transcript("ethtool-i.txt"))
    assert "bus-info: 0000:01:00.0" in mine


def test_ethtool_fec(paper: PaperDesk, transcript: Read) -> None:
    real = transcript("ethtool-show-fec.rs.txt").replace("enp1s0f1np1", "enp1s0f0np0")
    assert paper.run("ethtool", "--show-fec", "enp1s0f0np0").stdout == real
    paper.data["ports"]["0"]["plugged_after_boot"] = True
    assert paper.run("ethtool", "--show-fec", "enp1s0f0np0").stdout == transcript("ethtool-show-fec.none.txt")


def test_cable_eeprom(paper: PaperDesk, transcript: Read) -> None:
    from desklib.desk import Desk
    from desklib.netlink import Link
    from desklib.standins import common, nic
    from desklib.view import functions

    desk = Desk(paper.data)
    links = {name: Link(name=name, **facts) for name, facts in paper.live["links"].items()}
    context = common.Context(desk, functions(desk, links), links=links)
    text, code = nic.module(context, context.functions[0])
    assert code == 0
    for line in transcript("ethtool-m.amphenol-njaakk-n911.txt").splitlines():
        assert line in text.splitlines()
    assert nic.module(context, context.functions[1])[1] == 1
    paper.data["faults"] = {"cable_unapproved": {"vendor": "Nobody", "part": "X-1"}}
    text, code = nic.module(context, context.functions[0])
    assert re.search(r"Vendor name +: Nobody\n", text) and re.search(r"Vendor PN +: X-1\n", text)
    paper.data["faults"] = {"eeprom_unreadable": {}}
    assert nic.module(context, context.functions[0])[1] == 1


def test_ethtool_counters_are_those_of_the_function(paper: PaperDesk) -> None:
    paper.live["traffic"] = {"rocep1s0f0": {"tx_bytes": 4096, "rx_bytes": 0, "tx_packets": 4, "rx_packets": 0}}
    mine = paper.run("ethtool", "-S", "enp1s0f0np0").stdout
    assert f"     tx_vport_rdma_unicast_bytes: {4096 + 4 * 58}\n" in mine
    assert "     tx_vport_rdma_unicast_bytes: 0\n" in paper.run("ethtool", "-S", "enP2p1s0f0np0").stdout


def test_sysfs_gids_equal_the_transcript(transcript: Read) -> None:
    from desklib.view import gid_table

    lines = [f"gid[{g.index}]={g.value} type={g.kind}" for g in gid_table(("10.100.184.1", "fe80::4ebb:47ff:fe82:e6a"))]
    assert "\n".join(lines) + "\n" == transcript("sysfs-gids.rocep1s0f1.txt")


def test_gid_index_moves_without_link_local() -> None:
    from desklib.view import gid_table

    table = gid_table(("192.0.2.1", "192.0.2.2"))
    assert [(g.index, g.kind) for g in table if g.value.endswith("c000:0201")] == [(0, "IB/RoCE v1"), (1, "RoCE v2")]
    assert table[3].value.endswith("c000:0202")


def test_sysfs_topology_lines(transcript: Read) -> None:
    from desklib import fakes
    from desklib.desk import Desk
    from desklib.netlink import Link
    from desklib.view import functions

    data = description(cabled=(1,))
    real = transcript("sysfs-cx7-topology.txt")
    data["switch_id"] = re.search(r"switch_id=([0-9a-f]+)", real).group(1)  # type: ignore[union-attr]
    desk = Desk(data)
    links = {n: Link(name=n, **facts) for n, facts in live(data)["links"].items()}
    tree = fakes.tree(desk, functions(desk, links), links, {})

    def read(path: str) -> str:
        node = tree[path]
        assert isinstance(node, str)
        return node.strip()

    mine = []
    for f in data["functions"]:
        up = f"up/{f['netdev']}"
        mine.append(
            f"{f['netdev']:<14} pci={f['pci']}  phys_port_name={read(up + '/phys_port_name')}  "
            f"switch_id={read(up + '/phys_switch_id')}  carrier={int(links[f['netdev']].carrier)}"
        )
    for f in data["functions"]:
        port = f"{fakes.device_path(f['pci'])}/infiniband/{f['rdma']}/ports/1"
        state = read(port + "/state")
        mine.append(f"{f['rdma']}: {state} rate={read(port + '/rate')} link_layer={read(port + '/link_layer')}")
    assert [" ".join(line.split()) for line in mine] == [" ".join(line.split()) for line in real.splitlines()]


def test_hotplug_files(transcript: Read) -> None:
    from desklib import fakes
    from desklib.desk import Desk

    real = transcript("sysfs-cx7-hotplug.txt")
    for powered, title in ((False, "uncabled"), (True, "cabled")):
        data = description()
        data["hotplug"]["powered"] = powered
        tree = fakes.tree(Desk(data), [], {}, {})
        section = real.split(f"== {title} node\n")[1].split("==")[0]
        for line in section.splitlines()[:2]:
            path, value = line.rsplit(":", 1)
            assert tree[path.removeprefix("/sys/")] == value + "\n"
