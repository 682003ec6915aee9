"""What the collector makes of a desk's answers, with a scripted desk and scripted frames."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils import frames as frames_door
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import DENIED, MISSING, Answer, Link, Listing, Text
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.cable import read_cables
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import CableProbe
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict, from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.frame import Heard, Speaker
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import ping
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission import admit as gate

OWN = {
    "enp1s0f0np0": ("p0", "02:11:00:00:00:00"),
    "enP2p1s0f0np0": ("p0", "02:11:00:00:00:01"),
    "enp1s0f1np1": ("p1", "02:11:00:00:00:10"),
    "enP2p1s0f1np1": ("p1", "02:11:00:00:00:11"),
}
PEER = ("02:22:00:00:00:00", "02:22:00:00:00:01")

PING = """PING ff02::1%enp1s0f0np0 (ff02::1%2) 56 data bytes
64 bytes from fe80::11:ff:fe00:0%enp1s0f0np0: icmp_seq=1 ttl=64 time=0.031 ms
64 bytes from fe80::22:ff:fe00:0%enp1s0f0np0: icmp_seq=1 ttl=64 time=0.412 ms (DUP!)
64 bytes from fe80::22:ff:fe00:1%enp1s0f0np0: icmp_seq=1 ttl=64 time=0.431 ms (DUP!)

--- ff02::1%enp1s0f0np0 ping statistics ---
1 packets transmitted, 1 received, +2 duplicates, 0% packet loss, time 0ms
"""

EEPROM = """\tIdentifier                                : 0x11 (QSFP28)
\tLength (Copper or Active cable)           : 1m
\tVendor name                               : Amphenol
\tVendor PN                                 : NJAAKK-N911
\tVendor SN                                 : APF00990011
"""


def neighbours(*rows: tuple[str, str, str]) -> str:
    return json.dumps([{"dst": address, "lladdr": mac, "state": [state]} for address, mac, state in rows])


class ScriptedDesk:
    """Answers from tables; what is not in them is missing."""

    def __init__(self, files: Mapping[str, str], commands: Mapping[str, Answer], netdevs: Sequence[str]) -> None:
        self.files, self.commands, self.netdevs = files, commands, netdevs
        self.asked: list[tuple[str, ...]] = []

    def read_text(self, path: str) -> Text:
        return Text(path, self.files[path]) if path in self.files else Text(path, error=MISSING)

    def list_dir(self, path: str) -> Listing:
        return Listing(path, tuple(sorted(self.netdevs)))

    def read_link(self, path: str) -> Link:
        return Link(path, error=MISSING)

    def run(self, argv: Sequence[str], *, timeout: float = 10.0, stdin: str | None = None, env: Mapping[str, str] | None = None) -> Answer:
        self.asked.append(tuple(argv))
        return self.commands.get(" ".join(argv), Answer(tuple(argv), error=MISSING))


class ScriptedFrames:
    def __init__(self, heard: Sequence[Heard] = (), error: str | None = None) -> None:
        self.heard, self.error, self.speakers = tuple(heard), error, ()

    def exchange(
        self, speakers: Sequence[Speaker], desk: str, run: str, seconds: float, partners: int = 1
    ) -> tuple[tuple[Heard, ...], str | None]:
        self.speakers = tuple(speakers)  # type: ignore[assignment]
        return self.heard, self.error


def ok(text: str) -> Answer:
    return Answer((), 0, text)


def desk(
    *,
    link_local: bool = True,
    up: bool = True,
    carrier: tuple[int, ...] = (0,),
    commands: Mapping[str, Answer] | None = None,
    nic: bool = True,
) -> ScriptedDesk:
    files = {"/sys/devices/platform/MTKP0001:00/pcie_hotplug/hotplug_enabled": "1\n"}
    files["/sys/devices/platform/MTKP0001:00/pcie_hotplug/debug_state"] = "1\n" if nic else "0\n"
    rows = []
    for number, (netdev, (port, mac)) in enumerate(OWN.items() if nic else ()):
        base = f"/sys/class/net/{netdev}"
        files[f"{base}/device/vendor"] = "0x15b3\n"
        files[f"{base}/phys_port_name"] = f"{port}\n"
        files[f"{base}/address"] = f"{mac}\n"
        files[f"{base}/flags"] = "0x1003\n" if up else "0x1002\n"
        if up:
            files[f"{base}/carrier"] = "1\n" if int(port[1]) in carrier else "0\n"
        if link_local and up:
            rows.append(f"fe80000000000000001100fffe0000{number:02x} {number + 2:02x} 40 20 80 {netdev}")
    files["/proc/net/if_inet6"] = "\n".join(rows) + "\n"
    files["/sys/class/net/enP7s7/device/vendor"] = "0x10ec\n"
    return ScriptedDesk(files, commands or {}, ["lo", "enP7s7", *(OWN if nic else ())])


AS_ROOT, AS_USER = "ping -6 -n -c 3 -i 0.2 -w 2", "ping -6 -n -c 2 -i 1 -w 2"
"""ping refuses a user who asks a group more often than once a second."""


def answering(**neighbour_tables: str) -> dict[str, Answer]:
    commands = {}
    for netdev in list(OWN)[:2]:
        for way in (AS_ROOT, AS_USER):
            commands[f"{way} ff02::1%{netdev}"] = ok(PING.replace("enp1s0f0np0", netdev))
        commands[f"ip -j -6 neigh show dev {netdev}"] = ok(neighbour_tables.get(netdev, neighbour_tables.get("both", "[]")))
    return commands


BOTH = neighbours(
    ("fe80::22:ff:fe00:0", PEER[0], "STALE"),
    ("fe80::22:ff:fe00:1", PEER[1], "REACHABLE"),
    ("fe80::11:ff:fe00:1", "02:11:00:00:00:01", "REACHABLE"),
    ("fe80::99:ff:fe00:9", "02:99:00:00:00:09", "STALE"),
    ("fe80::98:ff:fe00:8", "02:98:00:00:00:08", "FAILED"),
)


def probe(this: ScriptedDesk, frames: ScriptedFrames | None = None, privileged: bool = False, state: str = "not_privileged") -> CableProbe:
    return read_cables(this, name="desk-01", run="r", privileged=privileged, frames=frames, frames_state=state)


def macs(found: CableProbe, port: int) -> set[str | None]:
    return {item.mac for entry in found.ports if entry.port == port for function in entry.functions for item in function.neighbours}


def test_echo_gives_the_peer_and_leaves_out_twins_and_entries_that_did_not_answer() -> None:
    found = probe(desk(commands=answering(both=BOTH)))
    assert macs(found, 0) == set(PEER)
    assert [entry.carrier for entry in found.ports] == [True, False]
    assert found.ports[0].functions[0].methods == ("ipv6",)
    assert found.frames == "not_needed" and found.privileged is False and found.ports[0].eeprom_error == "needs_root"


def test_only_functions_with_a_signal_are_asked() -> None:
    this = desk(commands=answering(both=BOTH))
    probe(this)
    assert {argv[-1] for argv in this.asked if argv[0] == "ping"} == {"ff02::1%enp1s0f0np0", "ff02::1%enP2p1s0f0np0"}


@pytest.mark.parametrize(("privileged", "way"), [(True, AS_ROOT), (False, AS_USER)])
def test_a_user_asks_as_slowly_as_ping_lets_him(privileged: bool, way: str) -> None:
    this = desk(commands=answering(both=BOTH))
    found = probe(this, ScriptedFrames() if privileged else None, privileged=privileged)
    assert {" ".join(argv[:-1]) for argv in this.asked if argv[0] == "ping"} == {way}
    assert macs(found, 0) == set(PEER) and found.frames == "not_needed"


def test_nothing_that_can_harm_a_desk_is_run() -> None:
    this = desk(commands=answering(both=BOTH))
    probe(this, ScriptedFrames(), privileged=True)
    assert {argv[0] for argv in this.asked} == {"ping", "ip", "lldpctl", "ethtool"}
    assert all("set" not in argv and "add" not in argv for argv in this.asked)


def test_own_other_cage_is_kept_as_a_sign_of_a_loop() -> None:
    looped = neighbours(("fe80::22:ff:fe00:0", "02:11:00:00:00:10", "REACHABLE"))
    assert macs(probe(desk(commands=answering(both=looped))), 0) == {"02:11:00:00:00:10"}


def test_without_link_local_and_root_nobody_is_asked_and_the_reason_is_told() -> None:
    found = probe(desk(link_local=False))
    assert macs(found, 0) == set() and found.frames == "not_privileged"
    assert found.ports[0].functions[0].reason == "no IPv6 link-local address" and found.ports[0].functions[0].methods == ()


def test_raw_frames_are_the_fallback_of_root_on_quiet_cages_only() -> None:
    frames = ScriptedFrames([Heard("enp1s0f0np0", PEER[0], "desk-02", 0)])
    found = probe(desk(link_local=False), frames, privileged=True)
    assert macs(found, 0) == {PEER[0]} and found.frames == "used"
    assert {speaker.netdev for speaker in frames.speakers} == {"enp1s0f0np0", "enP2p1s0f0np0"}  # type: ignore[attr-defined]
    unused = ScriptedFrames()
    assert probe(desk(commands=answering(both=BOTH)), unused, privileged=True).frames == "not_needed"
    assert unused.speakers == ()


def test_frames_that_cannot_be_sent_are_told() -> None:
    found = probe(desk(link_local=False), ScriptedFrames(error="enp1s0f0np0: Operation not permitted"), privileged=True)
    assert found.frames == "failed" and found.frames_error == "enp1s0f0np0: Operation not permitted"


def test_functions_that_are_down_are_left_alone() -> None:
    this = desk(up=False)
    found = probe(this, ScriptedFrames(), privileged=True)
    assert [entry.carrier for entry in found.ports] == [None, None] and not any(argv[0] == "ping" for argv in this.asked)


def test_the_plugs_memory_needs_root_and_gives_part_and_serial() -> None:
    commands = {**answering(both=BOTH), "ethtool -m enP2p1s0f0np0": ok(EEPROM), "ethtool -m enp1s0f0np0": ok(EEPROM)}
    found = probe(desk(commands=commands), ScriptedFrames(), privileged=True)
    plug = found.ports[0].eeprom
    assert plug is not None and (plug.vendor, plug.part, plug.serial) == ("Amphenol", "NJAAKK-N911", "APF00990011")
    assert found.ports[1].eeprom is None and found.ports[1].eeprom_error == "missing"


def test_lldp_by_mac_and_by_interface_name() -> None:
    told = {
        "lldp": {
            "interface": [
                {
                    "enp1s0f0np0": {
                        "chassis": {"spark-2": {"id": {"type": "mac", "value": "02:22:00:00:99:00"}}},
                        "port": {"id": {"type": "mac", "value": PEER[0].upper()}, "descr": "enp1s0f0np0"},
                    }
                },
                {
                    "enP2p1s0f0np0": {
                        "chassis": {"spark-2": {"id": {"type": "mac", "value": "02:22:00:00:99:00"}}},
                        "port": {"id": {"type": "ifname", "value": "enP2p1s0f0np0"}},
                    }
                },
            ]
        }
    }
    found = probe(desk(link_local=False, commands={"lldpctl -f json": ok(json.dumps(told))}))
    entries = {function.netdev: function.neighbours for function in found.ports[0].functions}
    assert entries["enp1s0f0np0"][0].mac == PEER[0]
    assert (entries["enP2p1s0f0np0"][0].mac, entries["enP2p1s0f0np0"][0].told_port) == (None, "enP2p1s0f0np0")
    assert entries["enP2p1s0f0np0"][0].chassis_mac == "02:22:00:00:99:00"


@pytest.mark.parametrize("value", ["aa:bb", "02:22:00:00:99:00:01", "02:22:00:00:99:0", ":".join(["ff"] * 80)])
def test_what_a_neighbour_calls_a_mac_keeps_no_desk_from_being_believed(value: str) -> None:
    """LLDP's MAC addresses are as long as the sender says, and lldpd shows them so."""
    said = {"chassis": {"spark-2": {"id": {"type": "mac", "value": value}}}, "port": {"id": {"type": "mac", "value": value}}}
    forms = (
        json.dumps({"lldp": {"interface": [{"enp1s0f0np0": said}]}}),
        f"lldp.enp1s0f0np0.chassis.mac={value}\nlldp.enp1s0f0np0.port.mac={value}\n",
    )
    for text in forms:
        found = probe(desk(link_local=False, commands={"lldpctl -f json": ok(text)}))
        said_of = {"changed": False, "cable": as_dict(found)}
        assert gate.admit("labops.dgx_spark.cx7_cable", said_of, gate.Speaker("desk-01"))["cable"]["desk"] == "desk-01"
        [seen] = next(item.neighbours for item in found.ports[0].functions if item.netdev == "enp1s0f0np0")
        assert (seen.mac, seen.chassis_mac, seen.told_port) == (None, None, value)


def test_absent_adapter_with_its_switch() -> None:
    found = probe(desk(nic=False))
    assert found.nic_present is False and found.powered is False and found.hotplug_enabled is True and found.ports == ()


def test_ping_that_may_not_be_run_is_a_reason_not_an_answer() -> None:
    commands = {f"{AS_USER} ff02::1%{name}": Answer((), error=DENIED) for name in OWN}
    found = probe(desk(commands=commands))
    assert found.ports[0].functions[0].reason == "ping: denied"


def test_the_answer_survives_the_way_to_the_controller() -> None:
    found = probe(desk(commands=answering(both=BOTH)))
    assert from_dict(CableProbe, json.loads(json.dumps(as_dict(found)))) == found


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("64 bytes from fe80::1%enp1s0f0np0: icmp_seq=1 ttl=64 time=0.1 ms", ["fe80::1"]),
        ("64 bytes from fe80::1: icmp_seq=1 ttl=64 time=0.1 ms", ["fe80::1"]),
        ("64 bytes from fe80::1%eth0 (fe80::1%eth0): icmp_seq=2 ttl=64 time=0.1 ms (DUP!)", ["fe80::1"]),
        ("From fe80::1%eth0 icmp_seq=1 Destination unreachable: Address unreachable", []),
        ("", []),
    ],
)
def test_ping_reader(text: str, addresses: list[str]) -> None:
    assert ping.read(text) == addresses


# ---- raw frames --------------------------------------------------------------------------------------------------------

SPEAKER = Speaker("enp1s0f0np0", "02:11:00:00:00:00", 0)


def test_frames_are_read_back() -> None:
    frame = frames_door.encode(SPEAKER, "desk-01", "run", ["02:22:00:00:00:00"])
    assert frame[12:14] == b"\x88\xb6" and len(frame) >= 60
    assert frames_door.decode(frame, "run") == ("02:11:00:00:00:00", "desk-01", 0, ("02:22:00:00:00:00",))


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff" * 14,
        b"\xff" * 12 + b"\x88\xb5" + b"\0" * 60,
        b"\xff" * 12 + b"\x88\xb6" + b"\xff\xff" + b"{}",
        b"\xff" * 12 + b"\x88\xb6" + b"\0\x02" + b"[]" + b"\0" * 60,
        b"\xff" * 12 + b"\x88\xb6" + b"\0\x02" + b"\xff\xfe" + b"\0" * 60,
        frames_door.encode(SPEAKER, "desk-01", "another run", []),
    ],
)
def test_foreign_bytes_are_no_frame(frame: bytes) -> None:
    assert frames_door.decode(frame, "run") is None


class Wire:
    """A socket pair in place of a cable."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        wire.setblocking(False)

    def fileno(self) -> int:
        return self.wire.fileno()

    def send(self, frame: bytes) -> int:
        return self.wire.send(frame)

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int, int]]:
        return self.wire.recv(size), ("x", frames_door.ETHERTYPE, 1)


def test_a_neighbour_cannot_invent_speakers_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_door, "KEPT", 3)
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for number in range(9):
        right.send(frames_door.encode(Speaker("x", f"02:99:00:00:00:{number:02d}", 0), "x", "run", []))
    heard, _error = frames_door._converse({Wire(left): SPEAKER}, "desk-01", "run", 0.3)  # type: ignore[dict-item]
    assert len(heard) == 3


def test_two_desks_hear_each_other_and_stop_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a socket pair in place of a cable: the conversation itself, without root."""
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard: dict[str, tuple[Heard, ...]] = {}

    def speak(name: str, wire: socket.socket, speaker: Speaker) -> None:
        heard[name], _error = frames_door._converse({Wire(wire): speaker}, name, "run", 20.0)  # type: ignore[dict-item]

    other = Speaker("enp1s0f1np1", "02:22:00:00:00:10", 1)
    threads = [
        threading.Thread(target=speak, args=("desk-01", left, SPEAKER)),
        threading.Thread(target=speak, args=("desk-02", right, other)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
        assert not thread.is_alive(), "both ends heard each other, nobody may wait for the end of the window"
    left.close()
    right.close()
    assert [(item.mac, item.desk, item.port) for item in heard["desk-01"]] == [("02:22:00:00:00:10", "desk-02", 1)]
    assert [(item.mac, item.desk, item.port) for item in heard["desk-02"]] == [("02:11:00:00:00:00", "desk-01", 0)]


def test_the_ethertype_is_not_the_one_of_nvidias_tool() -> None:
    text = Path(frames_door.__file__).read_text(encoding="utf-8")
    assert frames_door.ETHERTYPE == 0x88B6 and "0x88B5" in text


def test_on_a_switch_frames_go_on_until_every_partner_was_heard() -> None:
    """A desk behind a switch that IPv6 shows only some of its partners sends frames; on a cable one answer is enough."""

    class Counted:
        asked: list[int]

        def __init__(self) -> None:
            self.asked = []

        def exchange(
            self, speakers: Sequence[Speaker], desk: str, run: str, seconds: float, partners: int = 1
        ) -> tuple[tuple[Heard, ...], str | None]:
            self.asked.append(partners)
            return (), None

    this = desk(commands=answering(both=BOTH))
    door = Counted()
    read_cables(this, name="desk-01", run="r", privileged=True, frames=door)
    assert door.asked == []
    found = read_cables(desk(commands=answering(both=BOTH)), name="desk-01", run="r", privileged=True, frames=door, partners=3)
    assert door.asked == [3] and found.frames == "used"


def test_a_frame_names_as_many_of_those_heard_as_fit() -> None:
    speaker = Speaker("enp1s0f0np0", "02:5a:00:00:00:01", 0)
    many = [f"02:5a:00:00:{place >> 8:02x}:{place & 255:02x}" for place in range(200)]
    frame = frames_door.encode(speaker, "a" * 100, "r" * 64, many)
    told = frames_door.decode(frame, "r" * 64)
    assert len(frame) < 1500 and told is not None and len(told[3]) == frames_door.MOST_HEARD > 8
