"""From facts and the cable map to the two ends of a cable, and pair-check on a desk of files."""

from __future__ import annotations

import dataclasses
import importlib.machinery
import importlib.util
import shutil
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import settings
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict, from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, Identity, Network
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Endpoint
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.port import Address, ConnectX7, Function, Port
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs import pair_check
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.endpoints import EndpointError, ends_of
from proof_samples import ENDS
from test_stacks import RING


def port(number: int, desk: int, addressed: bool = True, carrier: bool = True) -> Port:
    functions = tuple(
        Function(
            netdev=f"en{place}p{number}",
            rdma_device=f"roce{place}p{number}",
            pci_domain=2 * place,
            mac=f"02:00:5E:0{number}:0{desk}:0{place}",
            mtu=9000,
            addresses=(Address(f"192.168.10{place}.{9 + desk}", 24, "inet"),) if addressed else (),
            pcie_width=4,
        )
        for place in (0, 1)
    )
    return Port(number=number, functions=functions, carrier=carrier)


def desk(number: int, *ports: Port) -> Desk:
    network = Network(management_netdev="enP7s7", management_addresses=(Address(f"10.0.0.{number}", 24, "inet"),))
    return Desk(identity=Identity(hostname=f"spark-{number}", boot_id=f"b{number}"), network=network, cx7=ConnectX7(ports=ports))


HEAD = desk(1, port(0, 1), port(1, 1, addressed=False, carrier=False))
PEER = desk(2, port(0, 2), port(1, 2, addressed=False, carrier=False))


def test_both_ends_with_their_own_names() -> None:
    head, peer = ends_of(("desk-01", HEAD, 0), ("desk-02", PEER, 0))
    assert [item.address for item in head.functions] == ["192.168.100.10", "192.168.101.10"]
    assert [item.mac for item in peer.functions] == ["02:00:5e:00:02:00", "02:00:5e:00:02:01"]
    assert [item.netdev for item in head.others] == ["en0p1", "en1p1"]
    assert (head.management_network, peer.hostname) == ("10.0.0.0/24", "spark-2")
    assert from_dict(Endpoint, as_dict(head)) == head


def test_without_a_cable_map_the_one_cabled_and_addressed_port_is_taken() -> None:
    assert ends_of(("desk-01", HEAD, None), ("desk-02", PEER, None))[0].port == 0


@pytest.mark.parametrize(
    ("head", "peer", "number", "text"),
    [
        (HEAD, PEER, 7, "port 7, where the cable is, was not found"),
        (desk(1, port(0, 1), port(1, 1)), PEER, None, "2 ports are cabled and addressed"),
        (HEAD, desk(2, port(0, 2, addressed=False)), 0, "no IPv4 address"),
        (HEAD, desk(2, dataclasses.replace(port(0, 2), functions=port(0, 2).functions[:1])), 0, "different numbers of functions"),
        (HEAD, desk(1, port(0, 1)), 0, r"of desk-02 \([0-9.]+/24\) have no addresses in one network"),
    ],
)
def test_what_is_not_known_is_named(head: Desk, peer: Desk, number: int | None, text: str) -> None:
    with pytest.raises(EndpointError, match=text):
        ends_of(("desk-01", head, number), ("desk-02", peer, number))


def test_a_fact_that_was_not_read_is_named() -> None:
    bare = dataclasses.replace(port(0, 2), functions=tuple(dataclasses.replace(item, mac=None) for item in port(0, 2).functions))
    with pytest.raises(EndpointError, match="the MAC address of en0p0 could not be read"):
        ends_of(("desk-01", HEAD, 0), ("desk-02", desk(2, bare), 0))


# pair-check


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """pair-check with a desk of files: same boot, same link."""
    module = importlib.reload(pair_check)
    meet = settings.meeting(ENDS)
    (tmp_path / "pair.env").write_text(
        settings.pair_env("pair_a", ENDS, 0, settings.settings(ENDS[:1], meet, 0), "run-1"), encoding="utf-8"
    )
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(module, "here", lambda paths: ["boot-1", "1", "1"])
    monkeypatch.setattr(module, "there", lambda paths, host: ["boot-2", "1", "1"] if host == "pair-peer" else None)
    return module


def test_settings_hold_while_nothing_changed(check: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([]) == 0
    assert "run-1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("side", "answer", "said"),
    [
        ("here", ["boot-9", "1", "1"], "desk-01: started again"),
        ("there", ["boot-9", "1", "1"], "desk-02: started again"),
        ("here", ["boot-1", "1", "2"], "went down since the proof"),
        ("here", ["boot-1", None, "1"], "went down since the proof"),
    ],
)
def test_a_reboot_or_a_link_change_is_noticed(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], side: str, answer: list[str | None], said: str
) -> None:
    monkeypatch.setattr(check, side, lambda paths, host="": answer)
    assert check.main([]) == 1
    assert said in capsys.readouterr().out


def test_a_peer_that_cannot_be_asked_is_not_known(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "there", lambda paths, host: None)
    assert check.main([]) == 2
    assert check.main(["--local"]) == 0


def test_settings_that_name_an_address_that_the_desk_had_before_do_not_hold(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lease may change without a link going down. Every address of 127/8 is the machine's own."""
    hosts, pair_env = "127.8.7.6 pair-head # dgx_spark_pair\n", (tmp_path / "pair.env").read_text(encoding="utf-8")
    monkeypatch.setattr(check, "address_of", lambda host: next(line.split()[0] for line in hosts.splitlines() if host in line))
    assert check.main([]) == 0
    hosts = "192.0.2.9 pair-head # dgx_spark_pair\n"
    assert check.main([]) == 1 and "192.0.2.9 (pair-head in /etc/hosts)" in capsys.readouterr().out
    (tmp_path / "pair.env").write_text(pair_env.replace("desk-01 (head)", "desk-02 (peer)"), encoding="utf-8")
    monkeypatch.setattr(check, "here", lambda paths: ["boot-2", "1", "1"])
    hosts = "192.0.2.9 pair-peer # dgx_spark_pair\n"
    assert check.main(["--local"]) == 1 and "192.0.2.9 (pair-peer in /etc/hosts)" in capsys.readouterr().out


def test_stale_and_missing_settings_are_said(check: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pair.stale").write_text("not measured by run 9\n", encoding="utf-8")
    assert check.main([]) == 2
    assert "not measured by run 9" in capsys.readouterr().out
    (tmp_path / "pair.env").unlink()
    assert check.main([]) == 2


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"0f9e8d7c-6b5a\n1\n1\n", ["0f9e8d7c-6b5a", "1", "1"]),
        (b"0f9e8d7c-6b5a\n1\n\x1b]52;c;AAAA\x07\n", None),
        (b"boot\xff\n1\n1\n", None),
        (b"0f9e8d7c-6b5a\n1\n", None),
    ],
)
def test_what_the_peer_says_to_pair_check_is_numbers_and_a_boot_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes, told: list[str] | None
) -> None:
    """Anything else would be the peer's own words on this desk's terminal."""
    module = importlib.reload(pair_check)
    (tmp_path / "answer").write_bytes(said)
    agent = tmp_path / "pair-ssh"
    agent.write_text(f"#!/bin/sh\ncat {tmp_path}/answer\n", encoding="ascii")
    agent.chmod(0o755)
    texts = {"/etc/dgx_spark/pair.env": "# desk desk-01 (head)\n", "/etc/hosts": "192.168.100.11 pair-peer # dgx_spark_pair\n"}
    monkeypatch.setattr(module, "PAIR_SSH", str(agent))
    monkeypatch.setattr(module, "Path", lambda path: SimpleNamespace(read_text=lambda encoding, errors: texts[str(path)]))
    assert module.there(["/a", "/b", "/c"], "pair-peer") == told


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "tcsh", "fish"])
def test_a_function_that_went_away_on_the_peer_is_no_peer_that_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    module = importlib.reload(pair_check)
    (tmp_path / "boot_id").write_text("0f9e8d7c-6b5a\n")
    (tmp_path / "count").write_text("3\n")
    agent = tmp_path / "pair-ssh"
    agent.write_text(f'#!/bin/sh\nshift\nexec {shell} -c "$*"\n', encoding="ascii")
    agent.chmod(0o755)
    monkeypatch.setattr(module, "PAIR_SSH", str(agent))
    monkeypatch.setattr(module, "address_of", lambda host: "192.168.100.11")
    paths = [str(tmp_path / name) for name in ("boot_id", "gone", "count")]
    assert module.there(paths, "pair-peer") == ["0f9e8d7c-6b5a", None, "3"]
    told: list[str] = []
    proven = {"boot_id": {"d": "0f9e8d7c-6b5a"}, "links": {"d": {"a": "3", "b": "3"}}}
    assert not module.compare("d", proven, module.there(paths, "pair-peer"), told.append)
    assert told == ["d: the link of a went down since the proof (3 -> gone)"]


def test_bytes_of_others_are_no_damage(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A remark in Latin-1 that somebody wrote into the file."""
    text = (tmp_path / "pair.env").read_bytes()
    (tmp_path / "pair.env").write_bytes(text + "# f\u00fcr B\u00fcro 2\n".encode("latin-1"))
    assert check.main([]) == 0 and "run-1" in capsys.readouterr().out
    hosts = tmp_path / "hosts"
    hosts.write_bytes("10.0.0.9 drucker # B\u00fcro\n192.168.100.11 pair-peer # dgx_spark_pair\n".encode("latin-1"))
    monkeypatch.setattr(check, "Path", lambda path: hosts)
    assert check.address_of("pair-peer") == "192.168.100.11"


def test_a_peer_that_never_ends_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.reload(pair_check)
    texts = {"/etc/hosts": "192.168.100.11 pair-peer # dgx_spark_pair\n"}
    monkeypatch.setattr(module, "Path", lambda path: SimpleNamespace(read_text=lambda encoding, errors: texts[str(path)]))
    monkeypatch.setattr(module, "PAIR_SSH", str(tmp_path / "pair-ssh"))
    monkeypatch.setattr(module, "SECONDS", 0.3)
    for says in ("exec yes", "exec sleep 60"):
        (tmp_path / "pair-ssh").write_text(f"#!/bin/sh\n{says}\n", encoding="ascii")
        (tmp_path / "pair-ssh").chmod(0o755)
        begun = time.monotonic()
        assert module.there(["/a"], "pair-peer") is None and time.monotonic() - begun < 5


def ring_text(which: int) -> str:
    meet = settings.meeting(RING, "management")
    values = settings.settings([end for end in RING if end.desk == f"desk-0{which + 1}"], meet, which, "ring")
    return settings.pair_env("ring_a", RING, which, values, "run-1", "ring")


def test_the_head_of_a_stack_asks_every_member_by_its_name(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pair.env").write_text(ring_text(0), encoding="utf-8")
    counts = [str(function.carrier_down_count) for end in RING[:2] for function in end.functions]
    answers = {f"stack-{rank}": [f"boot-{rank}", *counts] for rank in (2, 3)}
    monkeypatch.setattr(check, "here", lambda paths: ["boot-1", *counts])
    monkeypatch.setattr(check, "there", lambda paths, host: answers[host])
    assert check.main([]) == 0
    answers["stack-3"] = ["boot-9", *counts]
    assert check.main([]) == 1 and "desk-03: started again" in capsys.readouterr().out


def test_a_member_of_a_stack_points_to_the_head(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pair.env").write_text(ring_text(1), encoding="utf-8")
    counts = [str(function.carrier_down_count) for end in RING[2:4] for function in end.functions]
    monkeypatch.setattr(check, "here", lambda paths: ["boot-2", *counts])
    monkeypatch.setattr(check, "there", lambda paths, host: pytest.fail("a member has no login to the others"))
    assert check.main([]) == 2 and "head of the stack" in capsys.readouterr().out
    assert check.main(["--local"]) == 0
