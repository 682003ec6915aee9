"""A ring and a stack on a switch through the actions of a playbook: what each desk is asked to do, and what the report says of them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.netplan import Interface, text
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.settings import sha256
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model import mpi_guard
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import CableProbe, Neighbour, ProbedFunction, ProbedPort
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Busy, Desk, Identity, Limits, MpiGuard, Network, Setup
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.port import Address, ConnectX7, Function, Port
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.endpoints import cages_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.build import build
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Run, from_plain
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, FAILED, Part, RunStore
from house import ROOT
from sample_run import run_of
from scripted_action import Script

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIB" + "A" * 41
DESKS = ("desk-01", "desk-02", "desk-03")
NAMES = {0: ("enp1s0f0np0", "enP2p1s0f0np0"), 1: ("enp1s0f1np1", "enP2p1s0f1np1")}
JOINED = {("desk-01", 0): ("desk-02", 1), ("desk-02", 0): ("desk-03", 1), ("desk-03", 0): ("desk-01", 1)}
JOINED |= {far: near for near, far in JOINED.items()}
RING_HOSTS = {
    ("desk-01", 0): ((0, 1), (1, 1)), ("desk-01", 1): ((2, 1), (3, 1)), ("desk-02", 0): ((4, 1), (5, 1)),
    ("desk-02", 1): ((0, 2), (1, 2)), ("desk-03", 0): ((2, 2), (3, 2)), ("desk-03", 1): ((4, 2), (5, 2)),
}  # fmt: skip


def mac(desk: str, port: int, twin: int) -> str:
    return f"02:00:5e:{desk[-2:]}:0{port}:0{twin}"


def function(desk: str, port: int, twin: int, topology: str, addressed: bool) -> Function:
    network, host = RING_HOSTS[desk, port][twin]
    text = f"192.168.{network}.{host}" if topology == "ring" else f"192.168.{100 + twin}.{9 + int(desk[-1])}"
    lit = topology == "ring" or port == 0
    return Function(
        netdev=NAMES[port][twin],
        rdma_device=f"roce{NAMES[port][twin][2:]}",
        pci_address=f"000{2 * twin}:01:00.{port}",
        pci_domain=2 * twin,
        mac=mac(desk, port, twin),
        phys_port_name=f"p{port}",
        phys_switch_id="0123456789abcdef",
        mtu=9000 if addressed else 1500,
        admin_up=True,
        carrier=lit,
        addresses=(Address(text, 24, "inet"),) if addressed and lit else (),
        owner_kind="none",
        pcie_width=4,
        speed_mbps=200000,
        carrier_down_count=1,
        roce_v2_ipv4_gid_index=3,
    )


def facts(desk: str, topology: str, addressed: bool = True) -> Desk:
    number = int(desk[-1])
    ports = tuple(
        Port(port, "0123456789abcdef", tuple(function(desk, port, twin, topology, addressed) for twin in (0, 1)), carrier=True)
        for port in (0, 1)
    )
    return Desk(
        subsets=("cx7", "network", "busy", "setup"),
        privileged=True,
        identity=Identity(hostname=f"spark-{number}", boot_id=f"0b0071d0-0000-4000-8000-00000000000{number}"),
        cx7=ConnectX7(ports=ports, powered=True),
        network=Network(
            management_netdev="enP7s7",
            management_addresses=(Address(f"10.0.0.{number}", 24, "inet"),),
            session_netdev="enP7s7",
            renderer="NetworkManager",
            routed_networks=("10.0.0.0/24 dev enP7s7", "0.0.0.0/0 dev enP7s7"),
            ufw_active=True,
        ),
        limits=Limits(user="labadmin", uid=1000, gid=1000, home="/home/labadmin"),
        busy=Busy(readable=True),
        setup=Setup(trust_public_key=f"ssh-ed25519 {KEY}{number} dgx_spark_pair", host_public_keys=(f"ssh-ed25519 {KEY}{number}",)),
    )


def probe(desk: str, topology: str, without: str = "") -> CableProbe:
    ports = []
    for port in (0, 1):
        if topology == "ring":
            seen = [] if (desk, port) not in JOINED else [JOINED[desk, port]]
        else:
            seen = [(other, 0) for other in DESKS if other != desk] if port == 0 and desk != without else []
        seen = [item for item in seen if item[0] != without]
        lit = topology == "ring" or port == 0
        functions = tuple(
            ProbedFunction(
                NAMES[port][twin],
                mac(desk, port, twin),
                True,
                lit,
                True,
                tuple(Neighbour(mac(*far, peer), "ipv6") for far in seen for peer in (0, 1)),
                ("ipv6", "frame") if lit else (),
            )
            for twin in (0, 1)
        )
        ports.append(ProbedPort(port, lit, functions))
    return CableProbe(desk, tuple(ports), True, True, True, True, "used")


def started(tmp_path: Path, topology: str, without: str = "", addressed: bool = True) -> Run:
    """A run whose stages facts and cable are done, and its cables judged as the playbook judges them."""
    run = run_of({"lab_a": DESKS}, folder=tmp_path, topology=topology)
    store = RunStore(tmp_path)
    for desk in DESKS:
        store.write(Part("facts", desk, DONE, "lab_a", data={"spark": as_dict(facts(desk, topology, addressed))}))
        store.write(Part("cable", desk, DONE, "lab_a", data={"cable": as_dict(probe(desk, topology, without))}))
    Script("spark_judge", {"subject": "cables"}).run("desk-01", run, hostvars={})
    return run


def on(run: Run, name: str, desk: str, stage: str, args: dict[str, Any], answers: Any = ({},)) -> tuple[Script, dict[str, Any]]:
    script = Script(name, args, answers)
    part = RunStore(run.run_dir).part("facts", desk)
    assert part is not None
    result = script.run(desk, run, stage, ansible_facts={"spark": part.data["spark"]}, hostvars={})
    return script, result


WAITS = {"changed": False, "armed": False, "findings": [], "commands": []}


def test_each_desk_of_a_ring_is_asked_for_two_links(tmp_path: Path) -> None:
    run = started(tmp_path, "ring", addressed=False)
    asked = {}
    for desk in DESKS:
        script, _result = on(run, "cx7_link", desk, "link", {"pair": {}}, [WAITS])
        asked[desk] = {item["port"]: item["addresses"] for item in script.asked[0]["links"]}
    assert asked["desk-01"] == {0: ["192.168.0.1/24", "192.168.1.1/24"], 1: ["192.168.2.1/24", "192.168.3.1/24"]}
    assert asked["desk-02"] == {1: ["192.168.0.2/24", "192.168.1.2/24"], 0: ["192.168.4.1/24", "192.168.5.1/24"]}
    assert asked["desk-03"] == {0: ["192.168.2.2/24", "192.168.3.2/24"], 1: ["192.168.4.2/24", "192.168.5.2/24"]}


def test_each_desk_on_a_switch_is_asked_for_one_link_by_rank(tmp_path: Path) -> None:
    run = started(tmp_path, "switch", addressed=False)
    for rank, desk in enumerate(DESKS):
        script, _result = on(run, "cx7_link", desk, "link", {"pair": {}}, [WAITS])
        host = 10 + rank
        assert script.asked[0]["links"] == [{"port": 0, "addresses": [f"192.168.100.{host}/24", f"192.168.101.{host}/24"], "mtu": 9000}]


BY_DHCP = {"pair": {"addresses": "dhcp"}}


def leased(desk: str, hosts: dict[str, int]) -> Desk:
    """A desk on the switch whose link is set up by DHCP, with a lease for each function."""
    made = facts(desk, "switch")
    functions = tuple(
        replace(item, addresses=(Address(f"192.168.{100 + twin}.{hosts[desk]}", 24, "inet", dynamic=True),), owner_kind="ours")
        for twin, item in enumerate(made.cx7.ports[0].functions)
    )
    content = text((Interface(str(item.netdev), "dhcp", 9000) for item in functions), "NetworkManager")
    ports = (replace(made.cx7.ports[0], functions=functions), made.cx7.ports[1])
    return replace(made, cx7=replace(made.cx7, ports=ports), setup=replace(made.setup, link_file=content))


def test_desks_on_a_switch_are_asked_for_addresses_of_its_dhcp_server(tmp_path: Path) -> None:
    run = started(tmp_path, "switch", addressed=False)
    script, _result = on(run, "cx7_link", "desk-02", "link", BY_DHCP, [WAITS])
    assert script.asked[0]["links"] == [{"port": 0, "addresses": ["dhcp", "dhcp"], "mtu": 9000}]


def test_a_desk_with_leases_is_not_contacted(tmp_path: Path) -> None:
    run = started(tmp_path, "switch")
    RunStore(tmp_path).write(Part("facts", "desk-02", DONE, "lab_a", data={"spark": as_dict(leased("desk-02", {"desk-02": 77}))}))
    script, result = on(run, "cx7_link", "desk-02", "link", BY_DHCP)
    assert (script.asked, result["changed"], result["findings"]) == ([], False, [])
    assert [item["addresses"] for item in result["functions"]] == [["192.168.100.77/24"], ["192.168.101.77/24"]]


def test_a_ring_has_no_dhcp_server(tmp_path: Path) -> None:
    run = started(tmp_path, "ring", addressed=False)
    script, result = on(run, "cx7_link", "desk-02", "link", BY_DHCP)
    assert script.asked == [] and "no DHCP server on a direct cable" in result["msg"]


@pytest.mark.parametrize("topology", ["ring", "switch"])
def test_mpis_ports_are_for_the_login_user_of_the_stacks_desks(tmp_path: Path, topology: str) -> None:
    run = started(tmp_path, topology)
    for desk in DESKS:
        script, _result = on(run, "pair_trust", desk, "trust", {"state": "present", "bootstrap": "fabric"}, [{"changed": True}])
        guard, authorized = script.asked[0]["guard"], str(script.asked[0]["lines"])
        assert guard["uid"] == 1000 and len(guard["sources"]) >= 2
        # Who may log in for MPI is among those who may connect to it.
        assert desk == "desk-01" or any(source in authorized for source in guard["sources"])
        script, _result = on(
            run, "pair_trust", desk, "trust", {"state": "present", "bootstrap": "fabric", "guard_mpi": False}, [{"changed": True}]
        )
        assert script.asked[0]["guard"] == {}


@pytest.mark.parametrize("unguarded", [None, "there is no owner match"])
def test_a_desk_that_cannot_guard_mpis_ports_is_named(tmp_path: Path, unguarded: str | None) -> None:
    run = started(tmp_path, "switch")
    answer = {"changed": True, "commands": [], **({"unguarded": unguarded} if unguarded else {})}
    _script, result = on(run, "pair_trust", "desk-02", "trust", {"state": "present", "bootstrap": "fabric"}, [answer])
    told = [(item["code"], item["severity"], item["where"]["desk"]) for item in result.get("findings") or ()]
    assert told == ([("PAIR_MPI_PORTS_OPEN", "note", "desk-02")] if unguarded else [])


@pytest.mark.parametrize("without", ["nothing", "iptables", "a number of the user", "a wish for it"])
def test_ports_that_cannot_be_guarded_are_named_in_every_run(tmp_path: Path, without: str) -> None:
    """Also in the one that finds all the rest as it should be, and measures."""
    run, store = started(tmp_path, "switch"), RunStore(tmp_path)
    options = {"state": "present", "bootstrap": "fabric", "guard_mpi": without != "a wish for it"}
    made = facts("desk-02", "switch")
    if without == "a number of the user":
        made = replace(made, limits=replace(made.limits, uid=None))
    store.write(Part("facts", "desk-02", DONE, "lab_a", data={"spark": as_dict(made)}))
    asked = on(run, "pair_trust", "desk-02", "trust", options, [{"changed": True}])[0].asked[0]
    guard = mpi_guard.Guard(1000, tuple((asked.get("guard") or {}).get("sources") or ()))
    files = {item["path"]: sha256(item["content"]) for item in asked["files"] if item["content"]}
    if asked.get("guard") and without == "nothing":
        files[mpi_guard.UNIT] = sha256(mpi_guard.unit(guard))
    rules = [tuple(mpi_guard.rules(guard, program)) for program in mpi_guard.PROGRAMS]
    setup = replace(
        made.setup,
        pair_files=files,
        firewall_rules=tuple(sorted(f"{item['netdev']} {item['source']}" for item in asked["rules"])),
        mpi_guard=MpiGuard(True, *rules) if without == "nothing" else None,
        trust_authorized=tuple(line for item in asked["lines"] for line in item["lines"]),
    )
    store.write(Part("facts", "desk-02", DONE, "lab_a", data={"spark": as_dict(replace(made, setup=setup))}))
    script, result = on(run, "pair_trust", "desk-02", "trust", options)
    assert script.asked == [] and not result["changed"]
    told = [(item["code"], item["where"]["desk"]) for item in result.get("findings") or ()]
    assert told == ([("PAIR_MPI_PORTS_OPEN", "desk-02")] if without in ("iptables", "a number of the user") else [])


def test_leases_that_changed_since_the_last_run_are_followed_everywhere(tmp_path: Path) -> None:
    kept: dict[str, Setup] = {}
    for number, hosts in enumerate((dict(zip(DESKS, (77, 78, 79), strict=True)), dict(zip(DESKS, (77, 78, 91), strict=True)))):
        folder = tmp_path / str(number)
        folder.mkdir()
        run = started(folder, "switch")
        store = RunStore(folder)
        for desk in DESKS:
            made = leased(desk, hosts)
            setup = replace(made.setup, **{name: getattr(kept[desk], name) for name in ("pair_env", "pair_files")} if kept else {})
            store.write(Part("facts", desk, DONE, "lab_a", data={"spark": as_dict(replace(made, setup=setup))}))
        third = f"192.168.100.{hosts['desk-03']}"
        script, _result = on(run, "pair_trust", "desk-01", "trust", {"state": "present", "bootstrap": "fabric"}, [{"changed": True}])
        assert third in next(item["content"] for item in script.asked[0]["files"] if item["path"].endswith("known_hosts"))
        measured = {"changed": False, "measured": True, "findings": [], "verdict": "PASS"}
        script, _result = on(run, "rdma_pair", "desk-01", "rdma", {"bootstrap": "fabric"}, [measured])
        assert [item["second"]["functions"][0]["address"] for item in script.asked[0]["paths"]][1:] == [third] * 2
        on(run, "nccl_pair", "desk-01", "nccl", {"bootstrap": "fabric"}, [measured])
        for desk in DESKS:
            script, _result = on(run, "pair_settings", desk, "settings", {"state": "present"}, [{"changed": True}])
            (asked,) = script.asked
            written = {item["path"]: item["content"] for item in asked["files"]}
            assert third in written["/etc/dgx_spark/hostfile"] and f"{third} stack-3 # dgx_spark_pair" in asked["lines"][0]["lines"]
            digests = {path: sha256(content) for path, content in written.items() if content and not path.endswith("pair.env")}
            digests["/etc/hosts"] = sha256("\n".join(asked["lines"][0]["lines"]))
            kept[desk] = Setup(pair_env=written["/etc/dgx_spark/pair.env"], pair_files=digests)
            again = replace(leased(desk, hosts), setup=kept[desk])
            store.write(Part("facts", desk, DONE, "lab_a", data={"spark": as_dict(again)}))
            assert on(run, "pair_settings", desk, "settings", {"state": "present"})[0].asked == [], "all of it is there now"


def test_an_address_that_two_members_have_is_known_for_neither(tmp_path: Path) -> None:
    """Its switch would let either answer under it, with a host key that the head takes for the other's."""
    run = started(tmp_path, "switch")
    store = RunStore(tmp_path)
    hosts = {"desk-01": 77, "desk-02": 78, "desk-03": 78}
    for desk in DESKS:
        store.write(Part("facts", desk, DONE, "lab_a", data={"spark": as_dict(leased(desk, hosts))}))
    script, result = on(run, "pair_trust", "desk-01", "trust", {"state": "present", "bootstrap": "fabric"})
    assert script.asked == [] and store.part("trust", "desk-01").state == "failed"  # type: ignore[union-attr]
    assert "desk-02" in result["stage"]["reason"] and "desk-03: its address 192.168.100.78" in result["stage"]["reason"]


@pytest.mark.parametrize(
    ("playbook", "stages", "asked"), [("audit", None, True), ("stack_pair", ("rdma", "nccl"), True), ("stack_pair", None, False)]
)
@pytest.mark.parametrize("bootstrap", ["fabric", "management"])
def test_settings_that_name_former_addresses_are_told(
    tmp_path: Path, playbook: str, stages: tuple[str, ...] | None, asked: bool, bootstrap: str
) -> None:
    """A run that writes them anew has nothing to say about them before."""
    run = replace(run_of({"lab_a": DESKS}, folder=tmp_path, topology="switch", playbook=playbook), stages=stages)
    store = RunStore(tmp_path)
    proven = dict(zip(DESKS, (77, 78, 79), strict=True))
    address = "192.168.100.{}" if bootstrap == "fabric" else "10.0.0.{}"
    numbers = proven.values() if bootstrap == "fabric" else (1, 2, 3)
    written = sha256("".join(f"{address.format(number)} slots=1\n" for number in numbers))
    for hosts, told in ((proven, False), ({**proven, "desk-03": 91}, asked and bootstrap == "fabric")):
        for desk in DESKS:
            made = leased(desk, hosts)
            setup = replace(made.setup, pair_env="x\n", pair_files={"/etc/dgx_spark/hostfile": written})
            store.write(Part("facts", desk, DONE, "lab_a", data={"spark": as_dict(replace(made, setup=setup))}))
        found = Script("spark_judge", {"subject": "desks"}).run("desk-01", run)["findings"]
        rows = [item for item in found if item["code"] == "PAIR_SETTINGS_OUTDATED"]
        assert [item["where"]["desk"] for item in rows] == (list(DESKS) if told else [])
        assert all(item["severity"] == "warn" and "192.168.100.91" in item["message"] for item in rows)


@pytest.mark.parametrize("topology", ["ring", "switch"])
def test_a_stack_whose_cabling_is_not_proven_is_not_linked_or_measured(tmp_path: Path, topology: str) -> None:
    run = started(tmp_path, topology, without="desk-03")
    for name, stage, args in (("cx7_link", "link", {"pair": {}}), ("rdma_pair", "rdma", {}), ("nccl_pair", "nccl", {})):
        script, _result = on(run, name, "desk-01", stage, args)
        assert script.asked == []
    report = build(run, RunStore(run.run_dir).everything(), "now")
    (pair,) = report["pairs"]
    assert pair["verdict"] in ("FAIL", "UNKNOWN") and pair["topology"] == topology
    assert not any("pair lab_a" in item["message"] for item in pair["findings"])


def test_members_let_the_head_in_and_the_head_knows_them(tmp_path: Path) -> None:
    run = started(tmp_path, "ring")
    for desk in DESKS:
        script, _result = on(run, "pair_trust", desk, "trust", {"state": "present", "bootstrap": "fabric"}, [{"changed": True}])
        lines = {item["path"].rsplit("/", 1)[1]: item["lines"] for item in script.asked[0]["lines"]}
        known = next(item["content"] for item in script.asked[0]["files"] if item["path"].endswith("known_hosts"))
        if desk == "desk-01":
            assert lines["authorized_keys"] == [] and len(known.splitlines()) == 2 and "10.0.0.2" in known
        else:
            assert len(lines["authorized_keys"]) == 1 and "10.0.0.1" in lines["authorized_keys"][0] and known is None


def test_only_the_head_of_a_stack_gets_a_key(tmp_path: Path) -> None:
    run = started(tmp_path, "switch")
    store = RunStore(tmp_path)
    for desk in DESKS:
        bare = replace(facts(desk, "switch"), setup=Setup())
        store.write(Part("facts", desk, DONE, "lab_a", data={"spark": as_dict(bare)}))
        script, _result = on(run, "pair_trust", desk, "keys", {"state": "keys"}, [{"changed": True}])
        assert bool(script.asked) == (desk == "desk-01")


def test_the_head_of_a_ring_measures_every_path_at_the_management_addresses(tmp_path: Path) -> None:
    run = started(tmp_path, "ring")
    answer = {"changed": False, "measured": True, "findings": [], "verdict": "PASS"}
    script, _result = on(run, "rdma_pair", "desk-01", "rdma", {"bootstrap": "fabric"}, [answer])
    (asked,) = script.asked
    assert (asked["topology"], asked["bootstrap"]) == ("ring", "management") and not asked.get("head")
    assert [(item["first"]["desk"], item["first"]["port"], item["second"]["desk"], item["second"]["port"]) for item in asked["paths"]] == [
        ("desk-01", 0, "desk-02", 1), ("desk-01", 1, "desk-03", 0), ("desk-02", 0, "desk-03", 1),
    ]  # fmt: skip
    script, _result = on(run, "nccl_pair", "desk-01", "nccl", {"bootstrap": "fabric"}, [answer])
    (asked,) = script.asked
    assert [(item["desk"], item["port"]) for item in asked["ends"]] == [
        ("desk-01", 0), ("desk-01", 1), ("desk-02", 1), ("desk-02", 0), ("desk-03", 0), ("desk-03", 1),
    ]  # fmt: skip
    part = RunStore(tmp_path).part("nccl", "desk-01")
    assert part is not None
    told = part.data["settings"]
    assert list(told["addresses"].items()) == [("stack-1", "10.0.0.1"), ("stack-2", "10.0.0.2"), ("stack-3", "10.0.0.3")]
    assert "NCCL_IB_SUBNET_AWARE_ROUTING=1" in told["desks"]["desk-03"]["pair_env"]


def test_the_head_on_a_switch_measures_over_the_fabric(tmp_path: Path) -> None:
    run = started(tmp_path, "switch")
    answer = {"changed": False, "measured": True, "findings": [], "verdict": "PASS"}
    script, _result = on(run, "nccl_pair", "desk-01", "nccl", {"bootstrap": "fabric"}, [answer])
    (asked,) = script.asked
    assert (asked["topology"], asked["bootstrap"], len(asked["ends"])) == ("switch", "fabric", 3)


def test_the_report_calls_a_stack_a_stack_and_a_pair_a_pair(tmp_path: Path) -> None:
    run = started(tmp_path, "ring")
    slow = finding("RDMA_SLOW", Where(pair="lab_a"), "pair lab_a: both functions together carry 90.0 Gb/s one way", severity="fail")
    RunStore(tmp_path).write(Part("rdma", "desk-01", FAILED, "lab_a", "slow", findings=(slow.as_dict(),)))
    report = build(run, RunStore(tmp_path).everything(), "now")
    (stack,) = report["pairs"]
    told = next(item for item in stack["findings"] if item["code"] == "RDMA_SLOW")
    assert told["message"].startswith("stack lab_a: ") and told["subject"] == "stack lab_a"
    assert [item["ports"] for item in stack["members"]] == [[0, 1]] * 3


def test_one_cable_of_a_ring_is_isolated_with_the_third_desk(tmp_path: Path) -> None:
    run = started(tmp_path, "ring")
    given = {"pair": "lab_a", "cable": ["desk-02", "desk-01"], "good": "desk-03", "ports": {"desk-02": 1}}
    result = Script("pair_isolate", given).run("desk-01", run)
    assert (result["desks"], result["ports"]) == (["desk-01", "desk-02"], {"desk-01": 0, "desk-02": 1})
    assert "what is in the way" in result["instruction"]
    assert result["plan"]["stacks"][0]["topology"] == "direct"


def test_a_desk_on_a_switch_is_measured_over_it_then_without_it(tmp_path: Path) -> None:
    run = started(tmp_path, "switch")
    given = {"pair": "lab_a", "cable": ["desk-02", "desk-01"], "good": "desk-03"}
    first = Script("pair_isolate", given).run("desk-01", run)
    (stack,) = first["plan"]["stacks"]
    assert (stack["members"], stack["topology"], first["head_host"]) == (["desk-02", "desk-01"], "switch", 23)
    trial = from_plain(first["plan"])
    assert cages_of(RunStore(trial.run_dir), "desk-02") == {"desk-01": 0}
    notes = run.folder.parent / "isolate-lab_a-desk-02-desk-01.json"
    notes.write_text(json.dumps([{"kind": "as_it_is", "verdict": "FAIL", "rebooted": True}]))
    second = Script("pair_isolate", given).run("desk-01", run)
    assert (second["kind"], second["desks"], second["head_host"]) == ("without_switch", ["desk-02", "desk-03"], 28)
    assert second["plan"]["stacks"][0]["topology"] == "direct"


@pytest.mark.parametrize(
    "left", ["pipe", "{", "5", "[5]", "{}{}", '[{"kind": "as_it_is"}]', '[{"kind": ["x"], "verdict": "FAIL", "rebooted": 1}]', "[" * 20000]
)
def test_notes_of_trials_that_are_none_are_named_with_their_cure(left: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    run = started(tmp_path / "run", "switch")
    notes = run.folder.parent / "isolate-lab_a-desk-02-desk-01.json"
    if left == "pipe":
        os.mkfifo(notes)
    else:
        notes.write_text(left)
    with pytest.raises(AnsibleActionFail, match="start again with isolate_restart=true"):
        Script("pair_isolate", {"pair": "lab_a", "cable": ["desk-02", "desk-01"], "good": "desk-03"}).run("desk-01", run)


def test_a_trial_asks_no_dhcp_server() -> None:
    """The stack's own wish would be refused on the direct cable of the second trial."""
    plays = yaml.safe_load((ROOT / "playbooks/isolate.yml").read_text(encoding="utf-8"))
    assert [play["vars"]["pair_link_addresses"] for play in plays if play["name"] == "Try"] == ["static"]


@pytest.mark.parametrize(
    ("topology", "cable", "word"),
    [("ring", [], "isolate_cable is []"), ("ring", ["desk-01", "desk-09"], "desk-09"), ("switch", ["desk-01"], "STACK_SHARED_CAUSE")],
)
def test_what_cannot_be_isolated_is_said(tmp_path: Path, topology: str, cable: list[str], word: str) -> None:
    run = started(tmp_path, topology)
    with pytest.raises(AnsibleActionFail) as refused:
        Script("pair_isolate", {"pair": "lab_a", "cable": cable, "good": "desk-03"}).run("desk-01", run)
    assert word in str(refused.value)
