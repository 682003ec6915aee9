"""Pairs as labs have them: sshd elsewhere, users of a directory service. What a task gives goes in, what the desks are asked comes out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import SshServer
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Run
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, Part, RunStore
from measured import facts_of, measure
from proof_samples import ENDS
from sample_run import run_of
from scripted_action import Script
from scripted_side import World


def on_ports(run: Run, **ports: int) -> Run:
    """The run with its desks' sshd on other ports."""
    named = {name.replace("_", "-"): port for name, port in ports.items()}
    members = {name: dataclasses.replace(member, ssh_port=named.get(name, 22)) for name, member in run.members.items()}
    return dataclasses.replace(run, members=members)


@pytest.mark.parametrize("name", ["rdma_pair", "nccl_pair"])
def test_the_measurement_uses_the_port_of_the_other_desk(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = on_ports(run_of(folder=tmp_path), desk_01=2201, desk_02=2202)
    seen = measure(name, World(users=(("desk-01", "gpu", 5, "python3", 0),)), tmp_path, monkeypatch, run=run)
    argv = seen.argvs["desk-02"]
    assert argv[argv.index("-p") + 1] == "2202" and "2201" not in argv


@pytest.mark.parametrize(("desk", "port"), [("desk-01", 2202), ("desk-02", 2201)])
def test_each_desk_of_a_pair_knows_the_port_of_the_other(desk: str, port: int, tmp_path: Path) -> None:
    run = on_ports(run_of(folder=tmp_path), desk_01=2201, desk_02=2202)
    store = RunStore(run.run_dir)
    for number, end in enumerate(ENDS, 1):
        facts = facts_of(end)
        setup = dataclasses.replace(
            facts.setup,
            trust_public_key=f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexample{number} dgx_spark_pair",
            host_public_keys=(f"ssh-ed25519 AAAAhost{number}",),
        )
        store.write(Part("facts", end.desk, DONE, data={"spark": as_dict(dataclasses.replace(facts, setup=setup))}))
    script = Script("pair_trust", {"state": "present"}, [{"changed": True}])
    script.run(desk, run, "trust")
    [asked] = script.asked
    other = ENDS[1 if desk == "desk-01" else 0].functions[0].address
    assert any(f"{other}) port={port} ;;" in str(item.get("content")) for item in asked["files"])
    assert any(str(item.get("content")).startswith(f"[{other}]:{port},") for item in asked["files"])


@pytest.mark.parametrize(
    ("files", "codes", "place"),
    [
        (("/etc/ssh/keys/lab",), ["PAIR_LOGIN_CLOSED"], None),
        ((), ["PAIR_LOGIN_CLOSED"], None),
        (("/etc/ssh/keys/lab", "{home}/.config/lab.keys"), [], "{home}/.config/lab.keys"),
        (None, [], "{home}/.ssh/authorized_keys"),
    ],
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_the_peers_key_goes_where_sshd_reads_it_or_the_desk_is_named(
    files: tuple[str, ...] | None, codes: list[str], place: str | None, check_mode: bool, tmp_path: Path
) -> None:
    run = run_of(folder=tmp_path, check_mode=check_mode)
    for number, end in enumerate(ENDS, 1):
        facts = facts_of(end)
        home = str(facts.limits.home)
        setup = dataclasses.replace(
            facts.setup,
            trust_public_key=f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexample{number} dgx_spark_pair",
            host_public_keys=(f"ssh-ed25519 AAAAhost{number}",),
        )
        read = None if files is None else tuple(item.format(home=home) for item in files)
        network = dataclasses.replace(facts.network, sshd=SshServer(key_files=read))
        spark = as_dict(dataclasses.replace(facts, setup=setup, network=network))
        RunStore(run.run_dir).write(Part("facts", end.desk, DONE, data={"spark": spark}))
    script = Script("pair_trust", {"state": "present"}, [{"changed": True}], check_mode=check_mode)
    result = script.run("desk-02", run, "trust")
    assert [item["code"] for item in result["findings"]] == codes and len(script.asked) == (not codes)
    if place is not None:
        assert script.asked[0]["lines"][0]["path"] == place.format(home=home)
    else:
        [found] = result["findings"]
        assert (found["severity"], found["where"]["desk"]) == ("fail", "desk-02")
        assert ("AAAAIexample1" in found["remedy"] and "/etc/ssh/keys/lab" in found["remedy"]) is bool(files)


@pytest.mark.parametrize("user", ["lab", "Mara.Lind", "CORP\\lab", "lab@corp.example"])
def test_a_user_of_a_directory_is_one_word_on_every_way(user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = measure("rdma_pair", World(), tmp_path, monkeypatch, {"user": user})
    assert seen.codes == {}
    assert f"{user}@{ENDS[1].functions[0].address}" in seen.argvs["desk-02"] and f"--uid={user}" in seen.argvs["desk-01"]


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (
            "login",
            "the login shell ended with 1 before the measurement's program answered",
            "usermod -s /bin/bash USER) or something in its start-up",
        ),
        ("expired", "Password change required but no TTY available.", "password or account on this desk has expired"),
        ("refused", "ssh: connect to host 192.168.100.11 port 22: Connection refused", "refused the connection"),
        ("port", "kex_exchange_identification: banner line contains invalid characters", "is not an ssh server"),
        ("damaged", "ssh_dispatch_run_fatal: Connection to 192.168.100.11 port 22: message authentication code incorrect", "is damaged"),
    ],
)
def test_a_peer_that_lets_in_and_does_not_answer_is_no_broken_trust(
    kind: str, text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Any = measure("rdma_pair", World(), tmp_path, monkeypatch, refuses={"desk-02": (kind, text)})
    assert seen.codes == {"RDMA_NOT_MEASURED": "unknown"}
    found = seen.finding("RDMA_NOT_MEASURED")
    assert words in found["message"] and text in found["message"] and found["where"]["desk"] == "desk-02"
