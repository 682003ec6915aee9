"""The link change on a desk, phase by phase: the real program on a root folder with fake commands."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import link_apply
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_apply import LinkChange, Outcome
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_carried import program
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_plan import LinkOptions, LinkRequest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_program import main as link_main
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_program.names import PROGRAM
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.netplan import OUR_FILE
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import MISSING, Answer, Listing, Text
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, Setup
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import GpuProcess
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.port import Address, Gid
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs import carrier
from link_facts import ADDRESSES, desk
from link_root import LinkRoot

REQUEST = [LinkRequest(0, ADDRESSES)]
FOREIGN = "/etc/netplan/40-cx7.yaml"
FOREIGN_TEXT = "network:\n  ethernets:\n    enp1s0f0np0:\n      addresses: [10.3.0.1/24]\n"


class RootDesk:
    """A desk whose files and commands are those of a `LinkRoot`."""

    def __init__(self, root: LinkRoot) -> None:
        self.root = root
        self.taken: dict[str, list[str]] = {}
        self.systemd_run: Callable[[], None] | None = None
        self.full = False

    def read_text(self, path: str) -> Text:
        here = self.root.path(path)
        return Text(path, here.read_text()) if here.is_file() else Text(path, error=MISSING)

    def list_dir(self, path: str) -> Listing:
        here = self.root.path(path)
        return Listing(path, tuple(sorted(item.name for item in here.iterdir()))) if here.is_dir() else Listing(path, error=MISSING)

    def run(self, argv: Sequence[str], *, timeout: float = 10, stdin: str | None = None, env: Any = None) -> Answer:
        command = tuple(argv)
        begin = tuple(carrier.argv())
        if command[: len(begin)] == begin:
            assert stdin == carrier.feed(program())
            words = command[len(begin) :]
            if words[0] == "probe":
                return Answer(command, 0, json.dumps({"ok": True, "macs": self.taken.get(words[2], [])}))
            return self._program(command, words)
        if command[0] == "systemd-run":
            assert command[-4:] == (carrier.PYTHON, "-I", PROGRAM, "apply")
            assert self.root.path(PROGRAM).read_text() == program()
            if self.systemd_run is not None:
                self.systemd_run()
                return Answer(command, 1)
            return self._program(command, ("apply",))
        return Answer(command, error=MISSING)

    def _program(self, command: tuple[str, ...], words: Sequence[str]) -> Answer:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = link_main.main(words, root=str(self.root.root))
        return Answer(command, code, output.getvalue())

    def write_text(self, path: str, text: str, mode: int = 0o644) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.root.write(path, text, mode)

    def make_folder(self, path: str, mode: int = 0o755) -> None:
        self.root.path(path).mkdir(mode, parents=True, exist_ok=True)


class Bench:
    """A desk to change, with facts that follow its root folder."""

    def __init__(self, folder: Path, renderer: str) -> None:
        self.root = LinkRoot(folder, renderer)
        self.door = RootDesk(self.root)
        self.edit: Callable[[Desk], Desk] = lambda facts: facts
        self.renderer = renderer
        self.gids = True
        self.change = LinkChange(self.door, self.collect, Where(desk="desk-01"))  # type: ignore[arg-type]

    def collect(self) -> Desk:
        links = self.root.links()
        facts = desk(self.renderer)
        functions = []
        for item in facts.cx7.ports[0].functions:
            link = links[str(item.netdev)]
            held = tuple(
                Address(name.split("/")[0], int(name.split("/")[1]), "inet", dynamic=kind == "leased")
                for kind in ("addresses", "leased")
                for name in link.get(kind, [])
            )
            gid = (Gid(3, "::ffff:1", "RoCE v2", held[0].address),) if held and self.gids else ()
            functions.append(
                replace(item, mtu=link["mtu"], addresses=held, gids=gid, roce_v2_ipv4_gid_index=3 if gid else None, admin_up=link["up"])
            )
        ours = self.root.path(OUR_FILE)
        ports = (replace(facts.cx7.ports[0], functions=tuple(functions)), facts.cx7.ports[1])
        setup = Setup(link_file=ours.read_text() if ours.exists() else None)
        return self.edit(replace(facts, cx7=replace(facts.cx7, ports=ports), setup=setup))

    def apply(self, requests: Sequence[LinkRequest] | None = None, check: bool = False, **options: Any) -> Outcome:
        return self.change.change(
            REQUEST if requests is None else requests, LinkOptions(**options), confirm_timeout=60, change_id="c1", check_mode=check
        )


BY_DHCP = [LinkRequest(0, ("dhcp", "dhcp"))]
LEASES = {"enp1s0f0np0": "192.168.100.77/24", "enP2p1s0f0np0": "192.168.101.78/24"}


@pytest.fixture(params=["NetworkManager", "networkd"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(link_apply, "ACTIVATION_PATIENCE", 1)
    monkeypatch.setattr(link_apply, "CONFIRM_PATIENCE", 0.2)
    monkeypatch.setattr(link_apply, "LEASE_PATIENCE", 1)
    monkeypatch.setattr(link_apply, "GID_PATIENCE", 0.1)
    return Bench(tmp_path, request.param)


def codes(outcome: Outcome) -> list[tuple[str, str]]:
    return [(item.code, item.severity) for item in outcome.findings]


def test_change_then_confirm_then_nothing(bench: Bench) -> None:
    first = bench.apply()
    assert first.armed and first.changed and not first.failed and first.change_id == "c1" and (first.confirm_within or 0) > 30
    assert first.commands and all(argv[0] in ("nmcli", "networkctl") for argv in first.commands)
    second = bench.change.confirm("c1")
    assert second.changed and not second.failed and codes(second) == [], second.message
    assert [item["gid_index"] for item in second.functions] == [3, 3]
    assert second.after["functions"]["enp1s0f0np0"] == {"port": 0, "mtu": 9000, "addresses": [ADDRESSES[0]]}
    again = bench.apply()
    assert (again.changed, again.armed, again.steps, again.commands) == (False, False, [], [])


def test_check_mode_writes_nothing(bench: Bench) -> None:
    before = bench.root.picture("/etc", "/run", "/var")
    outcome = bench.apply(check=True)
    assert outcome.changed and not outcome.armed and outcome.diff["after"] != outcome.diff["before"] and outcome.commands
    assert bench.root.picture("/etc", "/run", "/var") == before


def test_live_state_that_is_not_as_wanted_is_taken_back_at_once(bench: Bench) -> None:
    before = bench.root.picture()
    bench.apply()
    bench.edit = lambda facts: replace(facts, network=replace(facts.network, management_netdev="wlP9s9"))
    outcome = bench.change.confirm("c1")
    assert outcome.failed and codes(outcome) == [("CX7_CHANGE_UNDONE", "fail")] and "wlP9s9" in outcome.message
    assert bench.root.picture() == before


def test_session_over_the_link_is_taken_back(bench: Bench) -> None:
    bench.apply()
    bench.edit = lambda facts: replace(facts, network=replace(facts.network, session_netdev="enp1s0f0np0"))
    assert "ConnectX-7 function" in bench.change.confirm("c1").message


def test_missing_gid_is_said_and_does_not_undo(bench: Bench) -> None:
    bench.apply()
    bench.gids = False
    outcome = bench.change.confirm("c1")
    assert ("CX7_GID_MISSING", "fail") in codes(outcome) and outcome.changed
    assert bench.root.path(OUR_FILE).exists() and not bench.root.state()["units"]


def test_address_that_somebody_else_has(bench: Bench) -> None:
    before = bench.root.picture()
    bench.door.taken = {"192.168.101.10": ["02:00:5e:00:77:77", "02:00:5e:00:02:00"]}
    outcome = bench.apply()
    assert outcome.failed and codes(outcome) == [("CX7_ADDRESS_TAKEN", "fail")] and "02:00:5e:00:77:77" in outcome.message
    assert "02:00:5e:00:02:00" not in outcome.message, "the desk's own twin"
    assert bench.root.picture() == before


def test_take_over_moves_aside_and_unstacking_gives_back(bench: Bench) -> None:
    bench.root.write(FOREIGN, FOREIGN_TEXT, 0o640)
    before = bench.root.picture("/etc/netplan")
    refused = bench.apply()
    assert refused.failed and codes(refused) == [("CX7_FOREIGN_OWNER", "fail")]
    assert bench.root.picture("/etc/netplan") == before
    assert bench.apply(take_over=True).armed
    assert not bench.change.confirm("c1").failed and not bench.root.path(FOREIGN).exists()
    assert bench.apply([], state="absent").armed
    assert not bench.change.confirm("c1").failed
    assert bench.root.picture("/etc/netplan") == before


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda facts: replace(facts, privileged=False), "CX7_CHANGE_REFUSED"),
        (lambda facts: replace(facts, network=replace(facts.network, session_netdev="enp1s0f1np1")), "CX7_IS_MANAGEMENT"),
        (lambda facts: replace(facts, busy=replace(facts.busy, gpu_processes=(GpuProcess(7, "train", "C"),))), "PAIR_BUSY"),
        (lambda facts: replace(facts, network=replace(facts.network, renderer=None)), "CX7_CHANGE_REFUSED"),
    ],
)
def test_refusals_write_nothing(bench: Bench, edit: Callable[[Desk], Desk], code: str) -> None:
    before = bench.root.picture("/etc", "/run", "/var")
    bench.edit = edit
    outcome = bench.apply()
    assert outcome.failed and code in [item for item, _severity in codes(outcome)] and outcome.message and not outcome.changed
    assert bench.root.picture("/etc", "/run", "/var") == before


def test_netplan_that_refuses(bench: Bench) -> None:
    bench.root.write("/etc/netplan/20-broken.yaml", "# INVALID\nnetwork: {}\n")
    outcome = bench.apply()
    assert codes(outcome) == [("CX7_NETPLAN_INVALID", "fail")]
    assert not bench.root.path("/var/lib/dgx_spark").exists(), "a refused change leaves nothing behind"


def test_a_function_that_networkmanager_was_told_to_leave_alone_is_told_with_its_cure(bench: Bench) -> None:
    """As a lab keeps NetworkManager from making profiles of its own for the adapter."""
    if bench.renderer != "NetworkManager":
        pytest.skip("NetworkManager's words")
    why = "device enp1s0f0np0 not available because device is strictly unmanaged"
    words = f"Error: Connection activation failed: No suitable device found for this connection ({why})."
    bench.root.change_state(fail=["nmcli --wait 30 connection up id netplan-enp1"], words=words)
    outcome = bench.apply()
    [item] = [item for item in outcome.findings if item.code == "CX7_CHANGE_UNDONE"]
    assert "strictly unmanaged" in item.message and "unmanaged-devices" in item.remedy


def test_full_disk_before_the_change(bench: Bench) -> None:
    bench.door.full = True
    outcome = bench.apply()
    assert codes(outcome) == [("CX7_CHANGE_REFUSED", "fail")] and "No space left" in outcome.message
    assert not bench.root.path("/var/lib/dgx_spark").exists()


def test_applying_unit_that_dies_is_taken_back(bench: Bench) -> None:
    before = bench.root.picture()
    bench.door.systemd_run = lambda: None
    outcome = bench.apply()
    assert outcome.failed and codes(outcome) == [("CX7_CHANGE_UNDONE", "fail")] and "in state armed" in outcome.message
    assert bench.root.picture() == before and not outcome.armed


def test_left_over_of_an_earlier_run_is_settled_first(bench: Bench) -> None:
    bench.apply()
    shown = bench.apply(check=True)
    assert codes(shown) == [("CX7_CHANGE_UNDONE", "note")] and "would be undone" in shown.findings[0].message
    outcome = bench.apply()
    assert outcome.armed and codes(outcome) == [("CX7_CHANGE_UNDONE", "note")]
    assert not bench.change.confirm("c1").failed


def test_a_change_that_its_own_run_is_about_to_confirm_is_left_to_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody holds the desk between the two executions of a change, so that a second controller can come in between."""
    bench.apply()
    confirmed: list[Outcome] = []

    def meanwhile(seconds: float) -> None:
        if not confirmed:
            confirmed.append(Outcome())
            confirmed[0] = bench.change.confirm("c1")

    monkeypatch.setattr(link_apply, "CONFIRM_PATIENCE", 30)
    monkeypatch.setattr(link_apply, "time", SimpleNamespace(monotonic=time.monotonic, sleep=meanwhile))
    other = bench.apply()
    assert confirmed and confirmed[0].changed and not confirmed[0].failed, confirmed
    assert (other.changed, other.failed, codes(other)) == (False, False, [])


def test_late_confirmation_is_told_what_happened(bench: Bench) -> None:
    bench.apply()
    assert bench.change.status("c1").armed
    link_main.main(["undo"], root=str(bench.root.root))
    status = bench.change.status("c1")
    assert status.failed and not status.armed and codes(status) == [("CX7_CHANGE_UNDONE", "fail")]
    assert codes(bench.change.confirm("c1")) == [("CX7_CHANGE_UNDONE", "fail")]
    assert codes(bench.change.confirm("other")) == [("CX7_CHANGE_UNDONE", "fail")]


def test_confirmation_without_a_journal_is_unconfirmed(bench: Bench) -> None:
    assert codes(bench.change.confirm("c1")) == [("CX7_CHANGE_UNCONFIRMED", "fail")]
    assert not bench.change.status("c1").armed


def test_edited_file_is_named(bench: Bench) -> None:
    bench.apply()
    bench.change.confirm("c1")
    bench.root.write(OUR_FILE, bench.root.path(OUR_FILE).read_text() + "# mine\n")
    bench.apply([], state="absent")
    assert ("CX7_FILE_KEPT", "warn") in codes(bench.change.confirm("c1"))
    assert bench.root.path(OUR_FILE).exists()


def test_functions_that_are_switched_off_are_looked_at(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_apply, "LOOK_PATIENCE", 1.0)
    switched: list[tuple[str, ...]] = []
    run = bench.door.run

    def ip(argv: Sequence[str], **options: Any) -> Answer:
        if argv[0] == "ip":
            switched.append(tuple(argv[4:]))
            for number in (0, 1):
                for prefix in ("enp1s0", "enP2p1s0"):
                    bench.root.write(f"/sys/class/net/{prefix}f{number}np{number}/carrier", f"{int(number == 0)}\n")
        return run(argv, **options)

    def off(facts: Desk) -> Desk:
        ports = tuple(
            replace(port, carrier=None, functions=tuple(replace(item, admin_up=False, carrier=None) for item in port.functions))
            for port in facts.cx7.ports
        )
        return replace(facts, cx7=replace(facts.cx7, ports=ports))

    monkeypatch.setattr(bench.door, "run", ip)
    bench.edit = off
    asked = [LinkRequest(None, ADDRESSES)]
    shown = bench.apply(asked, check=True)
    assert shown.failed and codes(shown) == [("CX7_LINK_DOWN", "fail")] and switched == []
    assert bench.apply(asked).armed
    assert switched[:4] != switched[4:8] and {item[-1] for item in switched[4:8]} == {"down"}
    monkeypatch.setattr(link_apply, "LOOK_PATIENCE", 0.0)
    dark = Bench(bench.root.root / "other", bench.renderer)
    dark.edit = off
    outcome = dark.apply(asked)
    assert outcome.failed and codes(outcome) == [("CX7_LINK_DOWN", "fail")] and "switched off" in outcome.message


def test_missing_arp_settings_are_set_for_the_link_alone(bench: Bench) -> None:
    for name in ("all", "enp1s0f0np0", "enP2p1s0f0np0"):
        bench.root.write(f"/proc/sys/net/ipv4/conf/{name}/arp_ignore", "0\n")
    outcome = bench.apply()
    assert codes(outcome) == [("CX7_ARP_SETTINGS", "note")]
    assert bench.root.path("/proc/sys/net/ipv4/conf/enp1s0f0np0/arp_ignore").read_text() == "1\n"
    assert bench.root.path("/proc/sys/net/ipv4/conf/all/arp_ignore").read_text() == "0\n"
    assert "enp1s0f0np0/arp_ignore = 1" in bench.root.path("/etc/sysctl.d/90-dgx-spark-link.conf").read_text()


@pytest.mark.parametrize("endless", [False, True])
def test_leases_are_waited_for_and_may_change(bench: Bench, endless: bool) -> None:
    before = bench.root.links()
    bench.root.change_state(server=LEASES, endless=endless)
    bench.door.taken = {item.partition("/")[0]: ["02:00:5e:00:77:77"] for item in LEASES.values()}
    assert bench.apply(BY_DHCP).armed
    second = bench.change.confirm("c1")
    assert not second.failed and codes(second) == [], "a server sees to it that no address is given twice"
    assert [item["addresses"] for item in second.functions] == [[item] for item in LEASES.values()]
    again = bench.apply(BY_DHCP)
    assert (again.changed, again.failed, again.steps) == (False, False, [])
    links = bench.root.links()
    links["enp1s0f0np0"]["addresses" if endless else "leased"] = ["192.168.100.99/24"]
    bench.root.change_state(links=links)
    renewed = bench.apply(BY_DHCP)
    assert (renewed.changed, renewed.failed, renewed.steps) == (False, False, []), "the lease is compared with nothing"
    smaller = bench.apply([replace(BY_DHCP[0], mtu=1500)])
    assert smaller.armed and not bench.change.confirm("c1").failed, "an endless lease is one still when it is given again"
    assert bench.apply([], state="absent").armed and not bench.change.confirm("c1").failed
    for name, link in bench.root.links().items():
        assert (link["addresses"], link.get("leased", []), link["mtu"]) == (before[name]["addresses"], [], before[name]["mtu"])
    assert not bench.root.path("/var/lib/dgx_spark").exists()


def test_a_static_link_becomes_one_by_dhcp_and_back(bench: Bench) -> None:
    bench.root.change_state(server=LEASES)
    for requests in (REQUEST, BY_DHCP, REQUEST):
        assert bench.apply(requests).armed and not bench.change.confirm("c1").failed
        assert not bench.apply(requests).steps
    held = {name: [*link["addresses"], *link.get("leased", [])] for name, link in bench.root.links().items()}
    assert [held[name] for name in LEASES] == [[item] for item in ADDRESSES]


def test_without_a_lease_the_change_is_taken_back_and_the_switch_is_named(bench: Bench) -> None:
    before = bench.root.picture()
    bench.root.change_state(server={"enp1s0f0np0": LEASES["enp1s0f0np0"]})
    outcome = bench.apply(BY_DHCP)
    assert outcome.failed and not outcome.armed and codes(outcome) == [("CX7_NO_LEASE", "fail"), ("CX7_CHANGE_UNDONE", "fail")]
    told = outcome.findings[0]
    assert "enP2p1s0f0np0 (02:00:5e:00:02:00)" in told.message and "enp1s0f0np0" not in told.message and "On the switch" in told.remedy
    assert bench.root.picture() == before and not bench.root.links()["enp1s0f0np0"].get("leased")


def test_a_lease_that_is_lost_before_the_confirmation_is_named(bench: Bench) -> None:
    before = bench.root.picture()
    bench.root.change_state(server=LEASES)
    assert bench.apply(BY_DHCP).armed
    links = bench.root.links()
    links["enp1s0f0np0"]["leased"] = []
    bench.root.change_state(links=links)
    outcome = bench.change.confirm("c1")
    assert codes(outcome) == [("CX7_NO_LEASE", "fail"), ("CX7_CHANGE_UNDONE", "fail")] and bench.root.picture() == before


def test_a_profile_that_waits_for_its_lease_is_no_failure(bench: Bench) -> None:
    """nmcli ends with 3 when it has waited long enough, and NetworkManager goes on."""
    bench.root.change_state(server=LEASES, late=True)
    assert bench.apply(BY_DHCP).armed and not bench.change.confirm("c1").failed


@pytest.mark.parametrize(
    ("leases", "code"),
    [
        (("192.168.100.77/24", "192.168.100.78/24"), "CX7_TWINS_SAME_SUBNET"),
        (("10.9.0.77/24", "192.168.101.78/24"), "CX7_ADDRESS_OVERLAP"),
    ],
)
def test_leases_that_no_link_can_have_are_taken_back(bench: Bench, leases: tuple[str, str], code: str) -> None:
    before = bench.root.picture()
    bench.root.change_state(server=dict(zip(LEASES, leases, strict=True)))
    assert bench.apply(BY_DHCP).armed
    outcome = bench.change.confirm("c1")
    assert outcome.failed and codes(outcome) == [(code, "fail"), ("CX7_CHANGE_UNDONE", "fail")]
    assert "DHCP server" in outcome.findings[0].remedy and "pair_link_addresses" in outcome.findings[0].remedy
    assert bench.root.picture() == before


def test_leases_in_one_subnet_are_told_in_every_run(bench: Bench) -> None:
    """The server may begin to give them long after the link was set up."""
    bench.root.change_state(server=LEASES)
    assert bench.apply(BY_DHCP).armed and not bench.change.confirm("c1").failed
    links = bench.root.links()
    links["enp1s0f0np0"]["leased"] = ["192.168.101.99/24"]
    bench.root.change_state(links=links)
    outcome = bench.apply(BY_DHCP)
    assert outcome.failed and codes(outcome) == [("CX7_TWINS_SAME_SUBNET", "fail")] and bench.root.path(OUR_FILE).exists()


def test_check_mode_asks_no_server(bench: Bench) -> None:
    before = bench.root.picture("/etc", "/run", "/var")
    outcome = bench.apply(BY_DHCP, check=True)
    assert outcome.changed and not outcome.failed and "by DHCP" in outcome.message
    assert bench.root.picture("/etc", "/run", "/var") == before
