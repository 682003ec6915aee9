"""Each finding about a cable: a cabling that has it, and one that has not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_judge import Judgement, judge, moved, snapshot
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_map import mac_of, read_map
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_parts import known_part, mac_vendor
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.codes.cable import CODES
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import CableProbe, Eeprom, End, Neighbour, PlannedCable
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, Network
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.port import ConnectX7, Function, Port
from cabled_lab import NAMES, Lab, mac, pairs, plugs_moved, right

DESKS, PLAN = pairs(4)
A1, A2, B1, B2 = (End(desk, 0) for desk in DESKS[:4])
SWITCH = "48:8f:5a:00:00:07"


def lab(*replaced: list[End | str | None], pairs_kept: int = 0) -> Lab:
    """Pairs 3 and 4 (and the first ``pairs_kept``) are right; the rest is given."""
    return Lab(DESKS, [*replaced, *right(PLAN[:pairs_kept]), *right(PLAN[2:])])


def judged(this: Lab, probes: dict[str, CableProbe] | None = None, forks: int | None = None) -> Judgement:
    probes = this.probes() if probes is None else probes
    return judge(read_map(probes, {}, this.unread()), PLAN, probes, forks)


def codes(judgement: Judgement, pair: str = "pair_1") -> dict[str, str]:
    found = judgement.of_pair(pair)
    assert found is not None
    return {item.code: item.severity for item in found.findings}


def message(judgement: Judgement, code: str, pair: str = "pair_1") -> str:
    found = judgement.of_pair(pair)
    assert found is not None
    return next(item.message for item in found.findings if item.code == code)


def others_are_fine(judgement: Judgement) -> bool:
    return all(codes(judgement, pair) == {"CABLE_OK": "ok"} for pair in ("pair_3", "pair_4"))


def test_right_cabling_is_ok_and_needs_no_hand() -> None:
    found = judged(lab(pairs_kept=2))
    assert [codes(found, item.pair) for item in PLAN] == [{"CABLE_OK": "ok"}] * 4
    assert found.steps == ()
    pair = found.of_pair("pair_1")
    assert pair is not None and pair.proven and pair.allowed and dict(pair.ports) == {"desk-01": 0, "desk-02": 0}
    assert {edge["verdict"] for edge in found.edges} == {"ok"}


def test_two_crossed_pairs_get_one_sentence_with_two_plugs() -> None:
    found = judged(lab([A1, B1], [A2, B2]))
    assert codes(found) == {"CABLE_CROSSED": "fail"} == codes(found, "pair_2")
    assert others_are_fine(found)
    (step,) = found.steps
    assert step.kind == "swap" and plugs_moved(found.steps) == 2
    assert step.sentence == (
        "Swap two plugs: the one in desk-02 port 0 (the QSFP cage next to the RJ45) and the one in desk-03 port 0 "
        "(the QSFP cage next to the RJ45)."
    )
    assert step.sentence in message(found, "CABLE_CROSSED") and "reboot" in message(found, "CABLE_CROSSED")
    pair = found.of_pair("pair_1")
    assert pair is not None and not pair.allowed and not pair.proven


def test_crossed_is_told_only_where_two_plugs_are_all_that_is_wrong() -> None:
    found = judged(lab([A1, B1], [A2, B2], [End("desk-03", 1), End("desk-05", 1)]))
    assert codes(found) == {"CABLE_WRONG_PEER": "fail"} == codes(found, "pair_2")
    assert codes(found, "pair_3") == {"CABLE_OK": "ok", "CABLE_UNPLANNED": "warn"}


def test_three_pairs_in_a_ring_need_three_plugs() -> None:
    ends = [End(desk, 0) for desk in DESKS[:6]]
    this = Lab(DESKS, [[ends[1], ends[2]], [ends[3], ends[4]], [ends[5], ends[0]], *right(PLAN[3:])])
    found = judged(this)
    assert [codes(found, f"pair_{number}") for number in (1, 2, 3)] == [{"CABLE_WRONG_PEER": "fail"}] * 3
    assert [step.kind for step in found.steps] == ["rotate"] and plugs_moved(found.steps) == 3


def test_left_to_right_works_but_warns() -> None:
    found = judged(lab([A1, End("desk-02", 1)], [B1, B2]))
    assert codes(found) == {"CABLE_WRONG_PORT": "warn"}
    pair = found.of_pair("pair_1")
    assert pair is not None and pair.allowed and pair.proven and dict(pair.ports) == {"desk-01": 0, "desk-02": 1}
    assert [(move.source, move.target) for step in found.steps for move in step.plugs] == [(End("desk-02", 1), End("desk-02", 0))]
    assert "desk-02 port 1 (the QSFP cage farther from the RJ45)" in message(found, "CABLE_WRONG_PORT")


def test_loop_is_named_and_one_plug_mends_it() -> None:
    found = judged(lab([A1, End("desk-01", 1)], [B1, B2]))
    assert codes(found) == {"CABLE_LOOPED": "fail", "CABLE_DARK": "fail"}
    assert plugs_moved(found.steps) == 1 and others_are_fine(found)


def test_loop_beside_a_right_cable_of_a_lone_desk_warns() -> None:
    this = Lab(["desk-01", "desk-02", "desk-99"], [[A1, A2], [End("desk-99", 0), End("desk-99", 1)]])
    probes = this.probes()
    found = judge(read_map(probes, {}, {}), PLAN[:1], probes)
    assert [item.code for item in found.desk_findings["desk-99"]] == ["CABLE_LOOPED"]
    assert found.desk_findings["desk-99"][0].severity == "warn"
    assert codes(found) == {"CABLE_OK": "ok"}


def test_two_loops_in_one_pair_are_mended_by_one_exchange() -> None:
    this = lab([A1, End("desk-01", 1)], [A2, End("desk-02", 1)], [B1, B2])
    found = judged(this)
    assert codes(found) == {"CABLE_LOOPED": "fail"} and [step.kind for step in found.steps] == ["swap"]
    this.apply(found.steps)
    assert set(codes(judged(this))) == {"CABLE_OK", "CABLE_DOUBLE"}


def test_no_signal_at_all() -> None:
    found = judged(lab([B1, B2]))
    assert codes(found) == {"CABLE_DARK": "fail"}
    assert [step.kind for step in found.steps] == ["add"] and plugs_moved(found.steps) == 2
    assert "Amphenol NJAAKK-N911" in message(found, "CABLE_DARK")


def test_a_desk_with_its_adapter_switched_off_is_dark_with_that_reason() -> None:
    this = lab([B1, B2])
    probes = this.probes()
    for desk in ("desk-01", "desk-02"):
        probes[desk] = CableProbe(desk, nic_present=False, hotplug_enabled=True, powered=False)
    found = judged(this, probes)
    assert codes(found) == {"CABLE_DARK": "fail"} and "hotplug power saving" in message(found, "CABLE_DARK")
    probes["desk-01"] = CableProbe("desk-01", nic_present=False, hotplug_enabled=True, powered=True)
    assert "this is a fault" in message(judged(this, probes), "CABLE_DARK")


def test_a_plug_without_signal_is_told() -> None:
    this = Lab(DESKS, [[A1, None], *right(PLAN[1:])], eeprom=True)
    found = judged(this)
    assert "a plug is in desk-01 port 0" in message(found, "CABLE_DARK")
    (step,) = found.steps
    assert step.sentence.startswith("Follow the cable") and "desk-02 port 0" in step.sentence


def test_unknown_device_with_the_vendor_of_its_mac() -> None:
    found = judged(lab([A1, SWITCH], [B1, B2]))
    assert codes(found) == {"CABLE_UNKNOWN_PEER": "fail", "CABLE_DARK": "fail"}
    assert "48:8f:5a:00:00:07 (MikroTik)" in message(found, "CABLE_UNKNOWN_PEER")


def test_unknown_device_beside_the_right_cable_is_a_note() -> None:
    found = judged(lab([End("desk-01", 1), SWITCH], pairs_kept=2))
    assert codes(found) == {"CABLE_OK": "ok", "CABLE_UNKNOWN_PEER": "note"} and found.steps == ()


def test_unknown_device_while_a_desk_is_silent_may_be_that_desk() -> None:
    this = lab(pairs_kept=2)
    this.silent = {"desk-02"}
    found = judged(this)
    assert codes(found) == {"CABLE_UNKNOWN_PEER": "unknown", "CABLE_NOT_SEEN": "unknown"}
    assert "It may be desk-02" in message(found, "CABLE_UNKNOWN_PEER") and found.steps == ()
    pair = found.of_pair("pair_1")
    assert pair is not None and not pair.proven and not pair.allowed


def test_unknown_device_is_not_the_other_desk_when_that_one_was_read_whoever_else_is_silent() -> None:
    this = lab([A1, B1], [A2, B2])
    this.silent = {"desk-03"}
    found = judged(this, {name: probe for name, probe in this.probes().items() if name not in this.silent})
    assert codes(found) == {"CABLE_UNKNOWN_PEER": "fail", "CABLE_WRONG_PEER": "fail"}
    strangers = lab([A1, SWITCH], [A2, "48:8f:5a:00:00:08"])
    strangers.silent = {"desk-03", "desk-04"}
    found = judged(strangers)
    assert codes(found) == {"CABLE_UNKNOWN_PEER": "fail"}
    assert "desk-02 was expected, and it is not desk-02. It may be one of desk-03, desk-04" in message(found, "CABLE_UNKNOWN_PEER")
    pair = found.of_pair("pair_1")
    assert pair is not None and not pair.allowed, "both cages are known to lead elsewhere"


def test_no_signal_towards_a_silent_desk_is_not_a_missing_cable() -> None:
    this = Lab(DESKS, [[A1, None], *right(PLAN[1:])], eeprom=True)
    this.silent = {"desk-02"}
    found = judged(this)
    assert codes(found) == {"CABLE_NOT_SEEN": "unknown"} and others_are_fine(found) and found.steps == ()
    assert "the pair's other desk was not read in this run" in message(found, "CABLE_NOT_SEEN")
    probes = this.probes()
    probes["desk-01"] = CableProbe("desk-01", nic_present=False, hotplug_enabled=True, powered=False)
    assert codes(judged(this, probes)) == {"CABLE_DARK": "fail", "CABLE_NOT_SEEN": "unknown"}, "it sees no plug at all"


def test_what_hands_should_do_is_told_once_and_names_the_desks_to_reboot() -> None:
    found = judged(lab([A1, End("desk-01", 1)], [B1, B2]))
    pair = found.of_pair("pair_1")
    assert pair is not None
    text = " ".join(item.message for item in pair.findings)
    assert text.count(found.steps[0].sentence) == 1 and "Then reboot desk-01 and desk-02 with the cables in." in text
    assert "Then reboot desk-01, desk-02, desk-03 and desk-04" in message(judged(lab([A1, B1], [A2, B2])), "CABLE_CROSSED")
    away = judged(lab([End("desk-01", 1), End("desk-03", 1)], pairs_kept=2))
    assert "reboot" not in message(away, "CABLE_UNPLANNED"), "taking a cable out needs no reboot"


def test_a_tool_that_could_not_be_used_is_named() -> None:
    this = lab(pairs_kept=2)
    this.deaf = {"desk-01", "desk-02"}
    probes = this.probes()
    for desk in ("desk-01", "desk-02"):
        port = probes[desk].ports[0]
        functions = tuple(dataclasses.replace(item, link_local=True, reason="ping: missing") for item in port.functions)
        probes[desk] = dataclasses.replace(probes[desk], ports=(dataclasses.replace(port, functions=functions), probes[desk].ports[1]))
    assert "neither ping nor lldpctl could be used (ping: missing)" in message(judged(this, probes), "CABLE_NOT_SEEN")


def test_a_desk_in_no_pair_is_told_of_unknown_devices_and_cages_that_could_not_be_asked() -> None:
    this = Lab(["desk-01", "desk-02", "desk-99"], [[A1, A2], [End("desk-99", 0), SWITCH]])
    probes = this.probes()
    found = judge(read_map(probes, {}, {}), PLAN[:1], probes).desk_findings["desk-99"]
    assert [(item.code, item.severity) for item in found] == [("CABLE_UNKNOWN_PEER", "note")] and "MikroTik" in found[0].message
    this.deaf = {"desk-99"}
    probes = this.probes()
    found = judge(read_map(probes, {}, {}), PLAN[:1], probes).desk_findings["desk-99"]
    assert [(item.code, item.severity) for item in found] == [("CABLE_NOT_SEEN", "note")]


def test_a_silent_desk_with_known_macs_is_seen_by_its_peer() -> None:
    this = lab(pairs_kept=2)
    this.silent = {"desk-02"}
    probes = this.probes()
    functions = tuple(Function(netdev=NAMES[0][twin], mac=mac(1, 0, twin), pci_domain=2 * twin) for twin in (0, 1))
    facts = {"desk-02": Desk(cx7=ConnectX7(ports=(Port(0, functions=functions),)))}
    found = judge(read_map(probes, facts, this.unread()), PLAN, probes)
    assert codes(found) == {"CABLE_OK": "ok"}


def test_second_cable_is_a_note_and_one_that_leads_away_warns() -> None:
    both = judged(lab([End("desk-01", 1), End("desk-02", 1)], pairs_kept=2))
    assert codes(both) == {"CABLE_OK": "ok", "CABLE_DOUBLE": "note"} and both.steps == ()
    away = judged(lab([End("desk-01", 1), End("desk-03", 1)], pairs_kept=2))
    assert codes(away) == {"CABLE_OK": "ok", "CABLE_UNPLANNED": "warn"}
    assert [step.kind for step in away.steps] == ["pull"]


def test_switch_is_told_and_refused() -> None:
    this = lab(pairs_kept=2)
    probes = this.probes()
    for index, desk in enumerate(DESKS[:4]):
        port = probes[desk].ports[0]
        seen = tuple(Neighbour(mac(other, 0, twin), "ipv6") for other in range(4) for twin in (0, 1) if other != index)
        functions = tuple(dataclasses.replace(item, neighbours=seen) for item in port.functions)
        probes[desk] = dataclasses.replace(probes[desk], ports=(dataclasses.replace(port, functions=functions), probes[desk].ports[1]))
    found = judged(this, probes)
    assert codes(found) == {"CABLE_SWITCH": "fail"} and others_are_fine(found) and found.steps == ()


def test_a_cage_behind_a_switch_makes_no_cable_with_another_one() -> None:
    this = lab(pairs_kept=2)
    probes = this.probes()

    def sees(desk: str, *others: int) -> None:
        port = probes[desk].ports[0]
        seen = tuple(Neighbour(mac(other, 0, 0), "ipv6") for other in others)
        functions = tuple(dataclasses.replace(item, neighbours=seen) for item in port.functions)
        probes[desk] = dataclasses.replace(probes[desk], ports=(dataclasses.replace(port, functions=functions), probes[desk].ports[1]))

    sees("desk-01", 1, 2)
    sees("desk-02")
    sees("desk-03", 3)
    sees("desk-04")
    cables = read_map(probes, {}, {})
    assert [str(item.at) for item in cables.shared] == ["desk-01 port 0"]
    assert not any(end.desk in DESKS[:4] for edge in cables.edges for end in edge.ends)
    sees("desk-01", 1)
    sees("desk-02", 0)
    assert any(edge.a == A1 and edge.b == A2 for edge in read_map(probes, {}, {}).edges)


@pytest.mark.parametrize("crossed", [False, True])
def test_with_ipv6_and_lldp_off_nothing_is_proven(crossed: bool) -> None:
    this = lab([A1, B1], [A2, B2]) if crossed else lab(pairs_kept=2)
    this.deaf = set(DESKS[:4])
    found = judged(this)
    assert codes(found) == {"CABLE_NOT_SEEN": "unknown"} == codes(found, "pair_2")
    assert "no IPv6 link-local address" in message(found, "CABLE_NOT_SEEN")
    pair = found.of_pair("pair_1")
    assert pair is not None and not pair.proven
    assert pair.allowed and dict(pair.ports) == {"desk-01": 0, "desk-02": 0}, "the one cage with a signal may be tried"


@pytest.mark.parametrize(
    ("frames", "words"), [("not_privileged", "raw frames cannot be sent without root"), ("used", "no desk answered by any method")]
)
def test_a_signal_without_an_answer_is_told_with_what_is_left_to_try(frames: str, words: str) -> None:
    this = lab(pairs_kept=2)
    probes = this.probes()
    for desk in ("desk-01", "desk-02"):
        port = probes[desk].ports[0]
        port = dataclasses.replace(port, functions=tuple(dataclasses.replace(item, neighbours=()) for item in port.functions))
        probes[desk] = dataclasses.replace(probes[desk], ports=(port, probes[desk].ports[1]), frames=frames)
    found = judged(this, probes)
    assert codes(found) == {"CABLE_NOT_SEEN": "unknown"} and words in message(found, "CABLE_NOT_SEEN")


def test_equal_serials_prove_a_cable_where_nobody_answers_and_unequal_ones_prove_nothing() -> None:
    this = lab([A1, B1], [A2, B2])
    this.deaf, this.eeprom = set(DESKS[:4]), True
    assert codes(judged(this)) == {"CABLE_CROSSED": "fail"}
    probes = this.probes()
    for desk in DESKS[:4]:
        port = dataclasses.replace(probes[desk].ports[0], eeprom=Eeprom("Amphenol", "NJAAKK-N911", f"APF{desk}"))
        probes[desk] = dataclasses.replace(probes[desk], ports=(port, probes[desk].ports[1]))
    assert codes(judged(this, probes)) == {"CABLE_NOT_SEEN": "unknown"}


def test_a_serial_on_more_than_two_plugs_proves_nothing() -> None:
    this = lab(pairs_kept=2)
    this.deaf, this.eeprom = set(DESKS[:4]), True
    probes = this.probes()
    for desk in DESKS[:4]:
        port = dataclasses.replace(probes[desk].ports[0], eeprom=Eeprom("Amphenol", "NJAAKK-N911", "APF20480000"))
        probes[desk] = dataclasses.replace(probes[desk], ports=(port, probes[desk].ports[1]))
    assert codes(judged(this, probes)) == {"CABLE_NOT_SEEN": "unknown"}


def test_one_sided_is_not_proven() -> None:
    this = lab(pairs_kept=2)
    this.deaf = {"desk-02"}
    probes = this.probes()
    seer = probes["desk-01"].ports[0]
    sees = (Neighbour(mac(1, 0, 0), "ipv6"),)
    port = dataclasses.replace(seer, functions=tuple(dataclasses.replace(item, neighbours=sees) for item in seer.functions))
    probes["desk-01"] = dataclasses.replace(probes["desk-01"], ports=(port, probes["desk-01"].ports[1]))
    found = judged(this, probes)
    assert codes(found) == {"CABLE_ONE_SIDED": "unknown"}
    pair = found.of_pair("pair_1")
    assert pair is not None and not pair.proven and pair.allowed
    assert next(edge for edge in found.edges if edge["pair"] == "pair_1")["verdict"] == "one_sided"


def test_unapproved_part_is_a_note() -> None:
    this = lab(pairs_kept=2)
    this.eeprom = True
    assert codes(judged(this)) == {"CABLE_OK": "ok"}
    probes = this.probes()
    port = dataclasses.replace(probes["desk-01"].ports[0], eeprom=Eeprom("Example Cables", "QX-1", "1234567"))
    probes["desk-01"] = dataclasses.replace(probes["desk-01"], ports=(port, probes["desk-01"].ports[1]))
    assert codes(judged(this, probes)) == {"CABLE_OK": "ok", "CABLE_UNAPPROVED": "note"}


def test_too_few_forks_name_the_number() -> None:
    this = lab(pairs_kept=2)
    this.deaf = {"desk-01", "desk-02"}
    probes = {name: dataclasses.replace(probe, frames="needs_forks", privileged=True) for name, probe in this.probes().items()}
    found = judged(this, probes, forks=8)
    assert codes(found) == {"CABLE_PROBE_NEEDS_FORKS": "unknown"} and "-f 8" in message(found, "CABLE_PROBE_NEEDS_FORKS")


def test_functions_that_are_switched_off_are_the_reason() -> None:
    this = lab(pairs_kept=2)
    probes = this.probes()
    for desk in ("desk-01", "desk-02"):
        ports = tuple(
            dataclasses.replace(
                port,
                carrier=None,
                functions=tuple(
                    dataclasses.replace(item, admin_up=False, carrier=None, neighbours=(), methods=()) for item in port.functions
                ),
            )
            for port in probes[desk].ports
        )
        probes[desk] = dataclasses.replace(probes[desk], ports=ports)
    found = judged(this, probes)
    assert codes(found) == {"CABLE_NOT_SEEN": "unknown"} and "switched off" in message(found, "CABLE_NOT_SEEN")
    pair = found.of_pair("pair_1")
    assert pair is not None and not pair.allowed, "no cage can be named"


def test_out_of_service_pairs_are_not_judged() -> None:
    this = lab([B1, B2])
    plan = [dataclasses.replace(PLAN[0], in_service=False), *PLAN[1:]]
    probes = this.probes()
    found = judge(read_map(probes, {}, {}), plan, probes)
    assert found.of_pair("pair_1") is None and found.steps == ()


def test_lldp_with_an_interface_name_is_matched_by_the_chassis() -> None:
    this = lab(pairs_kept=2)
    this.deaf = {"desk-01", "desk-02"}
    probes = this.probes()
    functions = tuple(Function(netdev=NAMES[0][twin], mac=mac(1, 0, twin)) for twin in (0, 1))
    facts = {"desk-02": Desk(cx7=ConnectX7(ports=(Port(0, functions=functions),)), network=Network(management_mac="02:00:00:00:99:02"))}
    told = Neighbour(None, "lldp", "spark-2", NAMES[0][0], "02:00:00:00:99:02")
    port = probes["desk-01"].ports[0]
    port = dataclasses.replace(port, functions=(dataclasses.replace(port.functions[0], neighbours=(told,)), port.functions[1]))
    probes["desk-01"] = dataclasses.replace(probes["desk-01"], ports=(port, probes["desk-01"].ports[1]))
    edge = next(edge for edge in read_map(probes, facts, {}).edges if edge.a == A1)
    assert edge.b == A2 and edge.methods == ("lldp",) and edge.one_sided


def test_a_moved_cable_is_told_with_was_and_is_and_the_warning() -> None:
    before = lab(pairs_kept=2)
    probes = before.probes()
    first = read_map(probes, {}, {})
    was = snapshot(first, judge(first, PLAN, probes).edges)
    assert moved(was, first, PLAN) == []
    after = read_map(lab([A1, B1], [A2, B2]).probes(), {}, {})
    found = moved(was, after, PLAN)
    assert [item.code for item in found] == ["CABLE_MOVED"] * 2
    assert found[0].evidence["was"] == {"desk-01 port 0": "joined to desk-02 port 0", "desk-03 port 0": "joined to desk-04 port 0"}
    assert found[0].evidence["is"] == "desk-01 port 0 - desk-03 port 0" and "13 Gb/s" in found[0].message
    gone = moved(was, read_map(lab([B1, B2]).probes(), {}, {}), PLAN)
    assert [item.evidence["is"] for item in gone] == ["no signal"]
    assert moved({}, after, PLAN) == []


def test_a_silent_desk_has_not_moved_its_cable() -> None:
    before = lab(pairs_kept=2)
    probes = before.probes()
    first = read_map(probes, {}, {})
    was = snapshot(first, judge(first, PLAN, probes).edges)
    before.silent = {"desk-02"}
    assert moved(was, read_map(before.probes(), {}, before.unread()), PLAN) == []


def test_every_listed_code_is_made_by_these_cases() -> None:
    here = Path(__file__)
    text = "".join(
        path.read_text(encoding="utf-8") for path in (here, here.with_name("test_cable_kinds.py"), here.with_name("test_cable_stacks.py"))
    )
    assert [code.code for code in CODES if f'"{code.code}"' not in text] == []


@pytest.mark.parametrize(
    ("vendor", "part", "approved"),
    [
        ("Amphenol", "NJAAKK-N911", True),
        ("Amphenol", "njaakk n911 ", True),
        (None, "NJAAKK0006", True),
        ("Luxshare-ICT", "LMTQF022-SD-R", True),
        ("Lenovo", "4X91U42988", False),
        ("FS", "NJAAKK-N911", None),
        ("Amphenol", "NJAAKK", None),
        ("Amphenol", None, None),
    ],
)
def test_parts(vendor: str | None, part: str | None, approved: bool | None) -> None:
    listed = known_part(vendor, part)
    assert (listed.approved if listed else None) is approved


@pytest.mark.parametrize(
    ("text", "mac_text"),
    [
        ("02:AA:bb:0C:0d:0e", "02:aa:bb:0c:0d:0e"),
        ("02-aa-bb-0c-0d-0e", "02:aa:bb:0c:0d:0e"),
        ("33:33:00:00:00:01", None),
        ("00:00:00:00:00:00", None),
        ("enp1s0f0np0", None),
        (None, None),
        ("", None),
    ],
)
def test_mac_of(text: str | None, mac_text: str | None) -> None:
    assert mac_of(text) == mac_text


def test_vendor_words() -> None:
    assert mac_vendor("48:b0:2d:01:02:03") == "NVIDIA"
    assert "locally administered" in mac_vendor("02:00:00:00:00:01")
    assert "not listed" in mac_vendor("00:11:22:33:44:55")


def test_plan_of_a_ring_gets_no_advice_instead_of_a_wrong_one() -> None:
    this = Lab(["desk-01", "desk-02", "desk-03"], [])
    ring = [PlannedCable("x", "desk-01", "desk-02"), PlannedCable("y", "desk-02", "desk-03")]
    probes = this.probes()
    assert judge(read_map(probes, {}, {}), ring, probes).steps == ()
