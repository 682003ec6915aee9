"""Nothing of the owner survives, and the relations between stand-ins stay true."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import string

import pytest
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.address_map import AddressMap
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.sanitiser import Sanitiser
from hypothesis import given, settings
from hypothesis import strategies as st


def sanitised(*texts: str, path: str = "/tmp/x", **known: object) -> list[str]:
    """Several texts of one desk, sanitised together."""
    sanitiser = Sanitiser("recorded-01", **known)  # type: ignore[arg-type]
    for text in texts:
        sanitiser.learn_file(path, text)
    return [sanitiser.text(text) for text in texts]


def test_host_name_serial_and_machine_id_by_their_files() -> None:
    sanitiser = Sanitiser("recorded-01")
    files = {
        "/etc/hostname": "spark-7f3a.cs.example.edu\n",
        "/sys/class/dmi/id/product_serial": "TQ7700X12\n",
        "/etc/machine-id": "9c3e1f00aabb4cc2a77d1234567890ab\n",
        "/etc/hosts": "127.0.0.1 localhost\n127.0.1.1 spark-7f3a.cs.example.edu spark-7f3a\n",
        "/etc/dgx-release": 'DGX_NAME="DGX Spark"\nDGX_SERIAL_NUMBER="TQ7700X12"\n',
        "/var/log/TQ7700X12.txt": "spark-7f3a says 9c3e1f00aabb4cc2a77d1234567890ab",
    }
    for path, text in files.items():
        sanitiser.learn_file(path, text)
    new = {sanitiser.text(path): sanitiser.text(text) for path, text in files.items()}
    everything = str(new)
    for original in ("7f3a", "TQ7700X12", "9c3e1f00", "cs.example"):
        assert original not in everything
    assert "127.0.1.1 recorded-01.site1.example recorded-01" in new["/etc/hosts"]
    assert 'DGX_NAME="DGX Spark"' in new["/etc/dgx-release"]
    assert new["/sys/class/dmi/id/product_serial"].strip() in new["/etc/dgx-release"]


def test_firmware_placeholders_are_no_serials() -> None:
    assert sanitised("Serial Number : N/A\nserial: 0\n", "Default string N/A") == ["Serial Number : N/A\nserial: 0\n", "Default string N/A"]


def test_macs_keep_their_distance_in_every_spelling() -> None:
    first, second, bare, local = sanitised(
        "link/ether 4c:11:22:33:44:4e brd ff:ff:ff:ff:ff:ff",
        "4C-11-22-33-44-4F 00:00:00:00:00:00",
        "altname enx4c112233444e",
        "inet6 fe80::4e11:22ff:fe33:444e/64 and fe80:0000:0000:0000:4e11:22ff:fe33:444e",
    )
    assert "ff:ff:ff:ff:ff:ff" in first and "00:00:00:00:00:00" in second
    mac = first.split()[1]
    assert mac.endswith(":4e") and mac.startswith("02:")
    assert mac[:-2].upper().replace(":", "-") + "4F" in second
    assert "enx" + mac.replace(":", "") in bare
    octets = [int(pair, 16) for pair in mac.split(":")]
    identifier = bytes([octets[0] ^ 2, octets[1], octets[2], 0xFF, 0xFE, *octets[3:]])
    expected = ipaddress.IPv6Address((0xFE80 << 112) | int.from_bytes(identifier, "big"))
    assert f"{expected}/64" in local and expected.exploded in local


def test_networks_stay_networks() -> None:
    text = "10.20.28.0/22 dev eth0\n10.20.31.7 10.20.30.254/22 10.99.1.5 192.168.100.10/24 192.168.101.10/24 203.0.113.9"
    (new,) = sanitised(text)
    network, _dev, _eth, near, gateway, far, one, twin, public = new.split()
    wide = ipaddress.IPv4Network(network)
    assert wide.prefixlen == 22 and wide.subnet_of(ipaddress.IPv4Network("10.0.0.0/8"))
    assert ipaddress.IPv4Address(near) in wide and near.endswith(".7")
    assert ipaddress.IPv4Interface(gateway).network == wide
    assert ipaddress.IPv4Address(far) not in wide
    assert ipaddress.IPv4Interface(one).network != ipaddress.IPv4Interface(twin).network
    assert one.endswith(".10/24") and one.startswith("192.168.")
    assert ipaddress.IPv4Address(public) in ipaddress.IPv4Network("198.18.0.0/15")


def test_well_known_addresses_and_versions_are_kept() -> None:
    text = "127.0.0.1 0.0.0.0 255.255.255.0 224.0.0.251 172.17.0.1/16 ::1 :: fe80::/10 ff02::1"
    assert sanitised(text) == [text]
    sanitiser = Sanitiser("recorded-01")
    status = "Package: x\nVersion: 5.36.0.1\n"
    sanitiser.learn_file("/var/lib/dpkg/status", status)
    sanitiser.learn_file("/etc/resolv.conf", "nameserver 10.1.1.1\n")
    assert sanitiser.text(status) == status


def test_a_gid_and_the_address_it_maps_agree() -> None:
    address, gid = sanitised("inet 10.100.184.1/24", "0000:0000:0000:0000:0000:ffff:0a64:b801")
    new = ipaddress.IPv4Interface(address.split()[1]).ip
    assert ipaddress.IPv6Address(gid).ipv4_mapped == new
    assert gid.startswith("0000:0000:0000:0000:0000:ffff:")


def test_a_solicited_node_group_does_not_end_in_the_address() -> None:
    (new,) = sanitised("ff02::1:ff33:444e ff02::fb")
    assert new.startswith("ff02::1:ff") and "33:444e" not in new and new.endswith(" ff02::fb")


def test_things_that_only_look_like_addresses_are_kept() -> None:
    text = "11:33:11 pci 0000:01:00.0: [15b3:1021] 0002:01:00.1 0000000F:01:00.0 6.17.0-1021.21 std::vector 32.0 GT/s"
    assert sanitised(text) == [text]


KEY = base64.b64encode(b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00 " + bytes(range(32))).decode()


def test_prose_about_searching_is_no_search_domain() -> None:
    prose = (
        "Description: tools\n search for files\n  domain name of example.org, search of 3 things\n"
        'NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.142\nDGX_PLATFORM="DGX Server for KVM"\n'
    )
    assert sanitised(prose) == [prose]


@pytest.mark.parametrize(
    ("path", "text", "kept"),
    [
        ("/etc/resolv.conf", "nameserver 127.0.0.53\nsearch corpnet lab.example.edu\n", "nameserver 127.0.0.53\nsearch "),
        ("/x", "search lab.example.edu corpnet.example\n", "search "),
        ("/etc/netplan/a.yaml", "      nameservers:\n        search: [corpnet, lab.example.edu]\n", "search: ["),
        ("/etc/netplan/a.yaml", "        search:\n        - corpnet\n        - lab.example.edu\n", "search:\n        - "),
        ("/etc/systemd/network/a.network", "[Network]\nDomains=~corpnet lab.example.edu\n", "[Network]\nDomains="),
        ("/run/x.nmconnection", "[ipv4]\ndns-search=corpnet;lab.example.edu;\n", "dns-search="),
    ],
)
def test_search_domains_are_replaced_wherever_they_are_set(path: str, text: str, kept: str) -> None:
    sanitiser = Sanitiser("recorded-01")
    sanitiser.learn_file(path, text)
    new = sanitiser.text(text)
    assert "corpnet" not in new and "lab.example.edu" not in new
    assert kept in new


def test_keys_and_fingerprints_still_fit() -> None:
    def fingerprint(key: str) -> str:
        return "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode().rstrip("=")

    line, told = sanitised(f"ssh-ed25519 {KEY} ana@spark-7f3a", f"256 {fingerprint(KEY)} comment", users=["anastasia"])
    new = line.split()[1]
    assert KEY not in line and new != KEY and base64.b64decode(new).startswith(b"\x00\x00\x00\x0bssh-ed25519")
    assert fingerprint(new) in told
    assert "ana@" not in line


def test_private_keys_and_passwords_vanish() -> None:
    pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----\n"
    netplan = 'wifis:\n  wlP9s9:\n    access-points:\n      "Chair 12":\n        password: "correct horse"\n'
    body = '{"user": "x", "password": "correct horse", "n": 1}'
    key, plan, data, echo = sanitised(pem, netplan, body, "psk correct horse at Chair 12")
    assert key.strip() == "REMOVED"
    assert 'password: "REMOVED"' in plan and "Chair 12" not in plan
    assert data == '{"user": "x", "password": "REMOVED", "n": 1}'
    assert "horse" not in echo and "Chair" not in echo


def test_accounts_of_people_are_replaced_and_of_the_system_kept() -> None:
    passwd = "root:x:0:0:root:/root:/bin/bash\nbkowalska:x:1000:1000:Beata Kowalska,,,:/home/bkowalska:/bin/bash\n"
    new, listing = sanitised(passwd, "/home/bkowalska/.ssh uid=1000(bkowalska)", path="/etc/passwd")
    assert new.startswith("root:x:0:0:root:/root")
    assert "kowalska" not in (new + listing).lower()
    assert "/home/account1/.ssh uid=1000(account1)" in listing


def test_commands_teach_too_and_packages_stay_whole() -> None:
    sanitiser = Sanitiser("recorded-01", users=["lab"])
    sanitiser.learn_command(["uname", "-a"], "Linux zephyr 6.17.0-1014-nvidia #14 aarch64 GNU/Linux", "")
    sanitiser.learn_command(["dpkg-query", "-W"], "nvidia-spark-grub-kho\t1.0-1\nfoo\t1.2.3.4\n", "")
    assert sanitiser.text("zephyr ran labs for lab") == "recorded-01 ran labs for account1"
    assert sanitiser.text("nvidia-spark-grub-kho 1.2.3.4") == "nvidia-spark-grub-kho 1.2.3.4"


def test_profiles_named_after_a_wireless_network_are_replaced() -> None:
    sanitiser = Sanitiser("recorded-01")
    table = "enP7s7:ethernet:connected:Wired connection 1\nwlP9s9:wifi:connected:Chair of Physics 2\ndocker0:bridge:connected:docker0\n"
    sanitiser.learn_command(["nmcli", "-t", "-f", "DEVICE,TYPE,STATE,CONNECTION", "device"], table, "")
    sanitiser.learn_path("/etc/NetworkManager/system-connections/Cafe Corner.nmconnection")
    new = sanitiser.text(table)
    assert "Physics" not in new and "Wired connection 1" in new and "docker0:bridge:connected:docker0" in new
    assert "Cafe" not in sanitiser.text("/etc/NetworkManager/system-connections/Cafe Corner.nmconnection")


def test_units_of_systemd_are_no_mail_addresses() -> None:
    text = "getty@tty1.service user@1000.service ana@lab.example.edu"
    assert sanitised(text)[0].startswith("getty@tty1.service user@1000.service person1@example.org")


@pytest.mark.parametrize("path", ["/proc/net/route", "/proc/4242/net/route"])
def test_the_kernels_route_table_is_read_and_written_in_its_own_spelling(path: str) -> None:
    head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    table = (
        head
        + "enP7s7\t00000000\t0101140A\t0003\t0\t0\t100\t00000000\t0\t0\t0\nenP7s7\t0001140A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
    )
    sanitiser = Sanitiser("recorded-01")
    sanitiser.learn_file(path, table)
    rows = [line.split() for line in sanitiser.file(path, table).splitlines()[1:]]
    gateway, network = rows[0][2], rows[1][1]
    assert "140A" not in gateway + network
    assert rows[0][1] == "00000000" and rows[1][7] == "00FFFFFF"
    assert gateway.startswith("01") and gateway[2:] == network[2:] and network.startswith("00")
    address = ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(gateway), "little"))
    assert sanitiser.text("10.20.1.1") == str(address)


def test_the_order_of_learning_does_not_matter() -> None:
    parts = ["10.1.2.3 is spark-7f3a", "10.1.0.0/16", "DGX_SERIAL_NUMBER=QX12345"]
    for order in (parts, parts[::-1]):
        sanitiser = Sanitiser("recorded-01", hostnames=["spark-7f3a"])
        for text in order:
            sanitiser.learn_file("/x", text)
        assert sanitiser.text("10.1.2.3 10.1.0.0/16").split()[0].endswith(".2.3")


def test_two_macs_beside_each_other_are_no_third() -> None:
    """The leak check took the end of the kept one and the beginning of a stand-in for an original, and refused the desk."""
    text = "00:00:00:00:00:00 00:00:00:00:00:02"
    sanitiser = Sanitiser("recorded-01")
    sanitiser.learn_file("/x", text)
    assert sanitiser.leaks(sanitiser.text(text)) == []
    for spelled in ("00:00:00:00:00:02", "00-00-00-00-00-02", "0000.0000.0002", "000000000002", "00 00 00 00 00 02"):
        assert sanitiser.leaks(spelled) != [], spelled


NAME = st.text(string.ascii_lowercase + string.digits, min_size=9, max_size=14).map(lambda text: "q" + text)
MAC = st.lists(st.integers(0, 255), min_size=6, max_size=6).map(
    lambda octets: ":".join(f"{n:02x}" for n in [octets[0] & 0xFE, *octets[1:]])
)
PRIVATE = st.one_of(
    st.integers(0x0A000000, 0x0AFFFFFF),
    st.integers(0xC0A80000, 0xC0A8FFFF),
    st.integers(0xAC140000, 0xAC1FFFFF),
    st.integers(0x08000000, 0x08FFFFFF),
).map(lambda number: str(ipaddress.IPv4Address(number)))
SIX = st.integers(0x2001_4000 << 96, (0x3FFF << 112) - 1).map(lambda number: str(ipaddress.IPv6Address(number)))
KEYS = st.binary(min_size=32, max_size=32).map(lambda body: base64.b64encode(b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00 " + body).decode())
GLUE = st.sampled_from([" ", "\n", "/", "=", '"', ", ", " via ", "(", ") ", " dev enp1s0f0np0 ", "; "])


@settings(max_examples=150, deadline=None)
@given(
    host=NAME,
    user=NAME,
    serial=NAME.map(lambda text: text.upper() + "7"),
    macs=st.lists(MAC, min_size=1, max_size=4),
    fours=st.lists(PRIVATE, min_size=1, max_size=5),
    sixes=st.lists(SIX, max_size=3),
    key=KEYS,
    glue=st.lists(GLUE, min_size=20, max_size=20),
)
def test_no_original_survives_anywhere(
    host: str, user: str, serial: str, macs: list[str], fours: list[str], sixes: list[str], key: str, glue: list[str]
) -> None:
    """Contents, file names, link targets and arguments: what went in is found nowhere, in no spelling, and different stays different."""
    pieces = [host, user, serial, *macs, *fours, *sixes, key, f"{user}@{host}", host.upper()]
    text = "".join(piece + glue[number % len(glue)] for number, piece in enumerate(pieces))
    path = f"/home/{user}/{host}/{macs[0]}/{serial}"
    sanitiser = Sanitiser("recorded-01", hostnames=[host], users=[user])
    sanitiser.learn_file("/sys/class/dmi/id/product_serial", serial + "\n")
    sanitiser.learn_file(path, text)
    sanitiser.learn_command(["ping", "-c1", fours[0], host], text, text)
    outcome = [sanitiser.text(item) for item in (text, path, host, fours[0])]
    flat = "\n".join(outcome).lower()
    for original in (host, user, serial):
        assert original.lower() not in flat
    for mac in macs:
        if mac != "00:00:00:00:00:00":
            assert mac not in flat and mac.replace(":", "") not in flat
    for item in outcome:
        assert sanitiser.leaks(item) == []
    assert key.lower() not in flat
    words = {four: sanitiser.text(four) for four in fours}
    kept = {four for four in fours if four == words[four]}
    assert kept == set() and len(set(words.values())) == len(words)
    for six in sixes:
        assert str(ipaddress.IPv6Address(six)) not in flat
    assert len({sanitiser.text(mac) for mac in macs}) == len(set(macs))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
def test_hostile_text_never_breaks_it(text: str) -> None:
    sanitiser = Sanitiser("recorded-01", hostnames=[text[:20]], users=[text[20:40]])
    sanitiser.learn_file(text[:50], text)
    sanitiser.learn_command([text[:9], text[9:30]], text, text)
    assert isinstance(sanitiser.text(text), str)


@pytest.mark.parametrize("size", [200_000])
def test_a_long_line_takes_little_time(size: int) -> None:
    text = "a" * size + " 10.1.2.3 " + ":" * size + "0123456789abcdef:" * (size // 17) + " password " * (size // 20)
    sanitiser = Sanitiser("recorded-01")
    sanitiser.learn_file("/x", text)
    assert "10.1.2.3" not in sanitiser.text(text)


def test_more_wide_networks_than_there_are_stand_ins_leave_no_address() -> None:
    addresses = AddressMap()
    told = [f"{20 + number // 250}.{number % 250}.7.9/16" for number in range(600)]
    addresses.learn_text("\n".join(told))
    addresses.choose()
    assert not {addresses.replaced(item.partition("/")[0]) for item in told} & {item.partition("/")[0] for item in told}
