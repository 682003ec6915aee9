"""Every RDMA code red and green, from evidence alone."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.counters import state_of
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.marks import with_lab_marks
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.rdma import complete, judge, speeds_of, summary
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.proof import Growth, Locked, Problem, RdmaEvidence
from proof_samples import ENDS, NETDEVS, bytes_of, end, function, grown, neighbours, rdma_evidence, run, steps


def found(evidence: RdmaEvidence, ends=ENDS, **more):
    """Code to severity."""
    return {item.code: item.severity for item in judge("pair_a", ends, evidence, **more)}


def with_error(kind: str, place: int | None = None, text: str = ""):
    """The healthy steps with an error in every transfer, or in those of one function."""
    bent = []
    for step in steps():
        runs = tuple(
            dataclasses.replace(item, gbps=None, bytes=None, nominal_bytes=None, error=kind, text=text, rc=1)
            if place is None or item.function == place
            else item
            for item in step.runs
        )
        bent.append(dataclasses.replace(step, runs=runs))
    return rdma_evidence(tuple(bent))


def test_a_closed_port_is_told_with_where_to_look() -> None:
    """As with an sshd that listens at the management address alone."""
    [item] = judge("pair_a", ENDS, problem("refused"))
    assert item.code == "RDMA_NOT_MEASURED" and "ListenAddress" in item.message and "sshd -T" in item.message


def test_a_login_that_is_closed_again_is_told_with_where_to_look() -> None:
    """As with rules of PAM that let nobody in from there: ssh itself only says that the connection was closed."""
    [item] = judge("pair_a", ENDS, problem("lost"))
    assert "journalctl -u ssh" in item.message


def problem(kind: str, **evidence: object) -> RdmaEvidence:
    return RdmaEvidence(problems=(Problem(kind, "desk-02", "said so", evidence),))


def test_a_healthy_pair_has_no_finding() -> None:
    assert found(rdma_evidence()) == {}
    assert complete(rdma_evidence(), ENDS)


def test_physical_counters_that_show_the_whole_port_fit_as_well() -> None:
    assert found(rdma_evidence(growth=grown(*bytes_of(steps()), phy_of_port=True))) == {}


SLOW = steps((13.1, 12.9), (13.2, 13.0), 13.1, 26.0)
KHO_END = end(2, cma_total_kb=0, cma_free_kb=4096, kernel="7.0.0-1019-nvidia")
NARROW = (ENDS[0], end(2, functions=(function(2, 0), function(2, 1, pcie_width=2))))
MTU = tuple(end(desk, functions=tuple(function(desk, place, mtu=1500) for place in (0, 1))) for desk in (1, 2))
DEAD = tuple(dataclasses.replace(item, after=item.before) for item in rdma_evidence().growth)

RED = (
    ("RDMA_SLOW_13G", "fail", rdma_evidence(SLOW), ENDS),
    ("RDMA_SLOW_13G", "fail", rdma_evidence(steps((12.7, 12.7), (109.0, 109.0), 98.0, 25.4)), ENDS),
    ("RDMA_SLOW_13G", "fail", rdma_evidence(steps((25.1, 25.0), (25.0, 25.0), 25.0, 50.0)), ENDS),
    ("RDMA_SLOW", "fail", rdma_evidence(steps(dual=80.0, both=160.0)), ENDS),
    ("RDMA_SLOW", "warn", rdma_evidence(steps((93.0, 109.0), dual=93.0)), ENDS),
    ("RDMA_BIDIR_DEGRADED", "fail", rdma_evidence(steps(both=26.0, alone=(26.0, 26.0))), ENDS),
    ("RDMA_BIDIR_DEGRADED", "fail", rdma_evidence(steps(both=90.0)), ENDS),
    ("RDMA_BIDIR_DEGRADED", "fail", rdma_evidence(steps(alone=(213.0, 100.0))), ENDS),
    ("RDMA_BIDIR_DEGRADED", "warn", rdma_evidence(steps(alone=(213.0, 119.0))), ENDS),
    ("RDMA_ONE_HALF", "fail", with_error("retry", 1), ENDS),
    ("RDMA_HALF_WIDTH", "fail", rdma_evidence(steps((109.0, 54.5), (109.0, 54.5), 98.0, 109.0)), NARROW),
    ("RDMA_HALF_WIDTH", "warn", rdma_evidence(), NARROW),
    ("RDMA_MTU_1500", "note", rdma_evidence(steps(dual=94.9)), MTU),
    ("RDMA_ENOMEM", "fail", with_error("enomem"), ENDS),
    ("RDMA_GID_WRONG", "fail", with_error("no_row"), ENDS),
    ("RDMA_GID_WRONG", "fail", problem("gid"), ENDS),
    ("RDMA_COUNTERS_STILL", "fail", rdma_evidence(growth=DEAD), ENDS),
    ("RDMA_COUNTERS_UNKNOWN", "unknown", rdma_evidence(growth=()), ENDS),
    ("RDMA_COUNTERS_UNKNOWN", "unknown", rdma_evidence(growth=grown(*bytes_of(steps(), wire=4.0))), ENDS),
    ("RDMA_COUNTERS_UNKNOWN", "unknown", rdma_evidence(growth=grown(*bytes_of(steps(), wire=0.1))), ENDS),
    ("RDMA_TOOL_MISSING", "unknown", problem("tool_missing"), ENDS),
    ("RDMA_TOOL_MISSING", "unknown", with_error("missing"), ENDS),
    ("RDMA_NOT_MEASURED", "unknown", with_error("timeout"), ENDS),
    ("RDMA_NOT_MEASURED", "unknown", with_error("retry"), ENDS),
    ("RDMA_NOT_MEASURED", "unknown", problem("lost"), ENDS),
    ("RDMA_NOT_MEASURED", "unknown", problem("no_route"), ENDS),
    ("RDMA_NOT_MEASURED", "unknown", rdma_evidence(()), ENDS),
    ("PAIR_FIREWALL_BLOCKS", "fail", problem("firewall", netdev="enp1s0f0np0", source="192.168.100.10", ufw_active=True), ENDS),
    ("PAIR_TRUST_BROKEN", "fail", problem("trust"), ENDS),
    ("PAIR_TRUST_BROKEN", "fail", problem("host_key"), ENDS),
)


@pytest.mark.parametrize(("code", "severity", "evidence", "ends"), RED)
def test_a_sick_pair_has_its_code_and_no_other(code: str, severity: str, evidence: RdmaEvidence, ends) -> None:
    assert found(evidence, ends) == {code: severity}


@pytest.mark.parametrize(
    ("ufw", "has", "lacks"),
    [
        (True, ("ufw is active there", "ufw allow in on enp1s0f0np0 from 192.168.100.10", "sudo ufw status numbered"), "is off there"),
        (None, ("a packet filter", "ufw allow in on enp1s0f0np0 from 192.168.100.10", "pair_trust_open_firewall"), "is off there"),
        (False, ("ufw, which is off there", "sudo nft list ruleset", "on enp1s0f0np0 from 192.168.100.10"), "ufw allow"),
    ],
)
def test_a_rule_of_ufw_is_no_cure_where_ufw_is_off(ufw: bool | None, has: tuple[str, ...], lacks: str) -> None:
    """A lab's own /etc/nftables.conf with policy drop: ssh and ping pass, perftest does not."""
    [item] = judge("pair_a", ENDS, problem("firewall", netdev="enp1s0f0np0", source="192.168.100.10", ufw_active=ufw))
    said = f"{item.message} {item.remedy} {item.evidence}"
    assert all(words in said for words in has) and lacks not in said


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("retry", "too many retries"),
        ("receiver_not_ready", "receiver not ready"),
        ("remote_access", "refused access"),
        ("flushed", "discarded"),
        ("local_protection", "not registered"),
        ("completion", "failed completion"),
        ("other_end", "program on the other desk"),
        ("server_ended", "counts for nothing"),
    ],
)
def test_a_failed_completion_is_told_by_its_own_name(kind: str, words: str) -> None:
    [item] = judge("pair_a", ENDS, with_error(kind))
    assert item.code == "RDMA_NOT_MEASURED" and words in item.message
    assert ("retries" in item.message) == (kind == "retry")


@pytest.mark.parametrize("kind", ["other_end", "server_ended"])
def test_a_program_that_was_ended_on_one_desk_says_nothing_about_its_function(kind: str) -> None:
    """As soft-RoCE showed it: the server of one function was killed, the measurements after it went well."""
    assert found(with_error(kind, 1)) == {"RDMA_NOT_MEASURED": "unknown"}


def at_speed(mbps: int):
    return tuple(end(desk, functions=tuple(function(desk, place, speed_mbps=mbps) for place in (0, 1))) for desk in (1, 2))


def test_marks_are_halved_where_both_ends_run_at_a_hundred() -> None:
    half = rdma_evidence(steps((94.0, 93.8), (94.1, 93.9), dual=47.2, both=94.0))
    assert found(half, at_speed(100_000)) == {}
    assert found(half, at_speed(200_000)) == {"RDMA_SLOW": "fail"}
    assert found(half, (at_speed(100_000)[0], at_speed(200_000)[1])) == {"RDMA_SLOW": "fail"}
    assert found(rdma_evidence(SLOW), at_speed(100_000)) == {"RDMA_SLOW_13G": "fail"}


def test_an_interrupted_measurement_is_unknown() -> None:
    for made in range(len(steps())):
        assert found(rdma_evidence(steps()[:made])) == {"RDMA_NOT_MEASURED": "unknown"}, made


def test_another_machine_behind_the_right_address_never_passes() -> None:
    seen = neighbours()
    wrong = (*seen[:1], dataclasses.replace(seen[1], mac="02:00:5e:00:09:09"), *seen[2:])
    assert found(rdma_evidence(neighbours=wrong)) == {"RDMA_WRONG_PEER": "fail"}


def test_the_own_desk_behind_the_peers_address_is_a_wrong_peer() -> None:
    seen = neighbours()
    loop = (dataclasses.replace(seen[0], mac=ENDS[0].functions[1].mac), *seen[1:])
    assert found(rdma_evidence(neighbours=loop)) == {"RDMA_WRONG_PEER": "fail"}


def test_upper_case_hardware_addresses_are_the_same() -> None:
    assert found(rdma_evidence(neighbours=tuple(dataclasses.replace(item, mac=(item.mac or "").upper()) for item in neighbours()))) == {}


def test_nobody_behind_the_address_is_unknown() -> None:
    seen = neighbours()
    assert found(rdma_evidence(neighbours=(dataclasses.replace(seen[0], mac=None), *seen[1:]))) == {"RDMA_NOT_MEASURED": "unknown"}


@pytest.mark.parametrize(
    ("limits", "ends", "cause", "desk"),
    [
        ((Locked("desk-01", -1, -1), Locked("desk-02", 65536, 65536)), ENDS, "memlock", "desk-02"),
        ((Locked("desk-01", -1, -1), Locked("desk-02", -1, -1)), (ENDS[0], KHO_END), "kho", "desk-02"),
        ((Locked("desk-01", 8 << 20, -1), Locked("desk-02", 8 << 20, -1)), (ENDS[0], KHO_END), "kho", "desk-02"),
        ((Locked("desk-01", 65536, 65536), Locked("desk-02", -1, -1)), (ENDS[0], KHO_END), "memlock", "desk-01"),
        ((Locked("desk-01", -1, -1), Locked("desk-02", None, None)), ENDS, "unknown", None),
    ],
)
def test_enomem_tells_its_causes_apart(limits, ends, cause: str, desk: str | None) -> None:
    [item] = judge("pair_a", ends, dataclasses.replace(with_error("enomem"), limits=limits))
    assert (item.evidence["cause"], item.where.desk) == (cause, desk)


def test_the_firewall_finding_names_the_exact_rule() -> None:
    [item] = judge("pair_a", ENDS, problem("firewall", netdev="enp1s0f0np0", source="192.168.100.10", ufw_active=True))
    assert "ufw allow in on enp1s0f0np0 from 192.168.100.10" in item.message


def test_one_dead_counter_of_one_function_is_named() -> None:
    growth = list(rdma_evidence().growth)
    after = {name: dict(values) for name, values in growth[1].after.items()}
    after[NETDEVS[1]]["rx_bytes_phy"] = growth[1].before[NETDEVS[1]]["rx_bytes_phy"] + 1000
    growth[1] = Growth("desk-02", growth[1].before, after)
    [item] = judge("pair_a", ENDS, rdma_evidence(growth=tuple(growth)))
    assert item.code == "RDMA_COUNTERS_STILL"
    assert item.evidence["counters"][0]["function"] == NETDEVS[1]


def test_a_counter_that_cannot_be_read_is_unknown_not_still() -> None:
    growth = list(rdma_evidence().growth)
    growth[0] = Growth("desk-01", growth[0].before, {name: {} for name in growth[0].after})
    assert found(rdma_evidence(growth=tuple(growth))) == {"RDMA_COUNTERS_UNKNOWN": "unknown"}


@pytest.mark.parametrize("counter", ["port_xmit_data", "rx_bytes_phy"])
def test_a_counter_that_went_backwards_says_nothing_of_the_bytes(counter: str) -> None:
    growth = list(rdma_evidence().growth)
    after = {name: dict(values) for name, values in growth[1].after.items()}
    after[NETDEVS[1]][counter] = growth[1].before[NETDEVS[1]][counter] - 7
    growth[1] = Growth("desk-02", growth[1].before, after)
    [item] = judge("pair_a", ENDS, rdma_evidence(growth=tuple(growth)))
    assert (item.code, item.severity) == ("RDMA_COUNTERS_UNKNOWN", "unknown") and "(backwards)" in item.message


@pytest.mark.parametrize("left", [5, 1000 + 40, 3000 + 10])
def test_counters_that_started_again_are_told_as_that(left: int) -> None:
    """A reset near the end leaves counters that went backwards beside such as hardly grew: none of them tells of the bytes."""
    growth = list(rdma_evidence().growth)
    after = {name: dict(values) for name, values in growth[1].after.items()}
    after[NETDEVS[1]] = dict.fromkeys(after[NETDEVS[1]], left)
    growth[1] = Growth("desk-02", growth[1].before, after)
    evidence = rdma_evidence(growth=tuple(growth))
    [item] = judge("pair_a", ENDS, evidence)
    assert item.code == "RDMA_COUNTERS_UNKNOWN" and "Measure again" in item.remedy and "record.yml" not in item.remedy
    assert {row["function"] for row in item.evidence["counters"]} == {NETDEVS[1]}
    assert all(row["bytes"] is None or row["bytes"] >= 0 for row in summary(ENDS, evidence)["counters"])


def test_a_labs_own_mark_takes_the_place_of_a_thin_one() -> None:
    marks = with_lab_marks([{"name": "rdma_one_function", "value": 108.85}])
    assert found(rdma_evidence(), marks=marks) == {"RDMA_SLOW": "fail"}


def test_speeds_are_given_per_function_and_direction() -> None:
    speeds = speeds_of(rdma_evidence(steps(alone=(213.0, 212.0))))
    assert speeds["functions"][0] == {
        "function": 0, "head_device": "rocep1s0f0", "peer_device": "rocep1s0f0",
        "forward_gbps": 109.0, "back_gbps": 108.9, "both_ways_gbps": 213.0,
    }  # fmt: skip
    assert (speeds["sum_forward_gbps"], speeds["sum_back_gbps"], speeds["sum_both_ways_gbps"]) == (196.0, 196.0, 392.0)


def test_the_summary_of_nothing_measured_says_so() -> None:
    told = summary(ENDS, RdmaEvidence())
    assert told["measured"] is False
    assert told["sum_both_ways_gbps"] is None


@pytest.mark.parametrize(
    ("real", "state"),
    [
        (None, "unread"),
        (-1, "backwards"),
        (0, "still"),
        (99, "still"),
        (60_000, "fits"),
        (390_000, "fits"),
        (410_000, "outside"),
        (40_000, "outside"),
    ],
)
def test_the_band_of_a_counter(real: int | None, state: str) -> None:
    assert state_of(real, 100_000, 200_000) == state


def test_a_transfer_that_stopped_halfway_does_not_count_as_measured() -> None:
    broken = dataclasses.replace(run(1, 1, 2, 0.0), gbps=None, error="other")
    bent = (*steps()[:-1], dataclasses.replace(steps()[-1], runs=(run(0, 1, 2, 196.0, 0.5), broken)))
    assert set(found(rdma_evidence(bent))) == {"RDMA_NOT_MEASURED"}
