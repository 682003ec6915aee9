"""Who configures the ConnectX-7 interfaces besides us: a table of files."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.netplan import OUR_FILE, Interface, interfaces_of, text
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.owners import owners_of
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.port import Function

FUNCTIONS = (
    Function(netdev="enp1s0f0np0", mac="02:00:5e:00:20:01"),
    Function(netdev="fabric-b", mac="02:00:5e:00:20:02"),
)


def netplan(*devices: str, section: str = "ethernets") -> str:
    return "network:\n  version: 2\n  " + section + ":\n" + "".join(f"    {device}\n" for device in devices)


@pytest.mark.parametrize(
    ("content", "netdevs", "others"),
    [
        # by name, both, one
        (netplan("enp1s0f0np0: {dhcp4: true}"), ("enp1s0f0np0",), ()),
        (netplan("enp1s0f0np0: {}", "fabric-b: {}"), ("enp1s0f0np0", "fabric-b"), ()),
        # by MAC, whatever the key; by new name
        (netplan('a: {match: {macaddress: "02:00:5E:00:20:01"}}'), ("enp1s0f0np0",), ()),
        (
            netplan('a: {match: {macaddress: "02:00:5e:99:99:99"}, set-name: fabric-b}'),
            ("fabric-b",),
            ("fabric-b (which gets its name here)",),
        ),
        (netplan("b: {match: {name: fabric-b}}"), ("fabric-b",), ()),
        # a key with a match is only an id
        (netplan("enp1s0f0np0: {match: {name: enP7s7}}"), None, ()),
        # by pattern: named, never set aside
        (netplan('all: {match: {name: "en*"}, dhcp4: true}'), ("enp1s0f0np0",), ("all (matches by pattern)",)),
        # with something else in the file
        (netplan("enp1s0f0np0: {}", "enP7s7: {dhcp4: true}"), ("enp1s0f0np0",), ("enP7s7",)),
        # a bridge with something else in it, whose members another file declares
        (netplan("br0: {interfaces: [enP7s7, enp1s0f0np0]}", section="bridges"), ("enp1s0f0np0",), ("br0",)),
        # nobody
        (netplan("enP7s7: {dhcp4: true}"), None, ()),
        ("network: {version: 2, renderer: NetworkManager}\n", None, ()),
        (netplan("wlP9s9: {dhcp4: true}", section="wifis"), None, ()),
    ],
)
def test_netplan_files(content: str, netdevs: tuple[str, ...] | None, others: tuple[str, ...]) -> None:
    found = owners_of(FUNCTIONS, {"/etc/netplan/40-x.yaml": content})
    if netdevs is None:
        assert found == ()
        return
    assert (found[0].netdevs, found[0].others, found[0].error) == (netdevs, others, None)


def test_bond_over_our_interfaces_is_an_owner() -> None:
    content = "network:\n  bonds:\n    bond0: {interfaces: [enp1s0f0np0, fabric-b]}\n"
    (owner,) = owners_of(FUNCTIONS, {"/etc/netplan/60-bond.yaml": content})
    assert owner.netdevs == ("enp1s0f0np0", "fabric-b") and owner.ids == ("bond0",) and owner.others == ()


def test_our_own_file_is_no_owner() -> None:
    ours = text([Interface("enp1s0f0np0", "192.168.100.10/24", 9000)], "networkd")
    assert owners_of(FUNCTIONS, {OUR_FILE: ours}) == ()
    assert interfaces_of(ours) == (Interface("enp1s0f0np0", "192.168.100.10/24", 9000),)
    assert interfaces_of(None) == () and interfaces_of("{") == ()


@pytest.mark.parametrize("renderer", ["NetworkManager", "networkd"])
def test_of_a_dhcp_server_the_address_alone_is_taken(renderer: str) -> None:
    ours = text([Interface("enp1s0f0np0", "dhcp", 1500)], renderer)
    (device,) = yaml.safe_load(ours)["network"]["ethernets"].values()
    assert (device["dhcp4"], device["dhcp6"], device["mtu"], device["link-local"]) == (True, False, 1500, ["ipv6"])
    assert set(device["dhcp4-overrides"]) >= {"use-routes", "use-dns", "use-mtu"} and not any(device["dhcp4-overrides"].values())
    assert "addresses" not in device and interfaces_of(ours) == (Interface("enp1s0f0np0", "dhcp", 1500),)
    if renderer == "NetworkManager":
        passed = device["networkmanager"]["passthrough"]
        assert passed["ipv4.never-default"] == passed["ipv4.ignore-auto-dns"] == "true"


def test_automatic_profile_in_netplan_is_told_apart() -> None:
    content = netplan(
        "NM-1: {renderer: NetworkManager, match: {name: enp1s0f0np0}, dhcp4: true, networkmanager: {uuid: u, name: Wired connection 2}}"
    )
    (owner,) = owners_of(FUNCTIONS, {"/etc/netplan/90-NM-1.yaml": content})
    assert owner.automatic
    (owner,) = owners_of(FUNCTIONS, {"/etc/netplan/90-NM-1.yaml": content.replace("Wired connection 2", "fabric")})
    assert not owner.automatic


@pytest.mark.parametrize(
    ("content", "netdevs"),
    [
        ("[connection]\nid=x\ninterface-name=fabric-b\n", ("fabric-b",)),
        ("[connection]\nid=x\n[ethernet]\nmac-address=02:00:5E:00:20:01\n", ("enp1s0f0np0",)),
        ("[connection]\nid=x\ninterface-name=wlP9s9\n[wifi]\nssid=a;b%c\n", None),
        ("[connection]\nid=x\n", None),
    ],
)
def test_keyfiles(content: str, netdevs: tuple[str, ...] | None) -> None:
    found = owners_of(FUNCTIONS, {"/etc/NetworkManager/system-connections/x.nmconnection": content})
    assert [item.netdevs for item in found] == ([] if netdevs is None else [netdevs])


def test_files_that_cannot_be_understood() -> None:
    path = "/etc/netplan/70-x.yaml"
    (owner,) = owners_of(FUNCTIONS, {path: "network: [enp1s0f0np0"})
    assert owner.error and not owner.netdevs
    assert owners_of(FUNCTIONS, {path: "network: [enP7s7"}) == ()
    (owner,) = owners_of(FUNCTIONS, {path: None}, {path: "denied"})
    assert owner.error == "denied"
    keyfile = "/etc/NetworkManager/system-connections/x"
    (owner,) = owners_of(FUNCTIONS, {keyfile: "fabric-b without a section"})
    assert owner.error


@pytest.mark.parametrize(
    ("path", "content", "other"),
    [
        ("/etc/netplan/60-x.yaml", netplan("v0: {table: 100, interfaces: [fabric-b]}", section="vrfs"), "v0 (vrfs)"),
        ("/etc/netplan/60-x.yaml", netplan("x0: {mode: vxlan, id: 1, link: fabric-b}", section="tunnels"), "x0 (tunnels)"),
        (
            "/etc/netplan/90-NM-x.yaml",
            netplan("NM-x: {networkmanager: {passthrough: {connection.interface-name: fabric-b}}}", section="nm-devices"),
            "NM-x (nm-devices)",
        ),
        (
            "/etc/NetworkManager/system-connections/v.nmconnection",
            "[connection]\nid=v\ntype=vlan\ninterface-name=v10\n[vlan]\nid=10\nparent=fabric-b\n",
            "v10 (set upon it)",
        ),
        (
            "/etc/NetworkManager/system-connections/v.nmconnection",
            "[connection]\nid=v\ntype=macvlan\n[macvlan]\nparent=02:00:5E:00:20:02\n",
            "a device (set upon it)",
        ),
    ],
)
def test_what_stands_upon_our_interface_is_an_owner_that_stays(path: str, content: str, other: str) -> None:
    (owner,) = owners_of(FUNCTIONS, {path: content})
    assert owner.netdevs == ("fabric-b",) and owner.others == (other,)
    elsewhere = content.replace("fabric-b", "enP7s7").replace("02:00:5E:00:20:02", "02:00:5e:99:99:99")
    assert owners_of(FUNCTIONS, {path: elsewhere}) == ()
