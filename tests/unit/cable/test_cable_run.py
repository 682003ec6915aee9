"""From the parts of runs that follow each other to what is told: reasons in words, and cables that moved meanwhile."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
import yaml
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import End
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.admit import Speaker, admit
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.cable_report import discover, inventory_text
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.cable_run import MEMORY, LabCables, cables_of, desk_parts, remember
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.known_hosts import ssh_arguments
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.gate import part_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, FAILED, SKIPPED, Part, RunStore
from cabled_lab import Lab, pairs, right
from sample_run import run_of
from scripted_action import Script

DESKS, PLAN = pairs(2)
A1, A2, B1, B2 = (End(desk, 0) for desk in DESKS)
RUN = run_of({item.pair: (item.a, item.b) for item in PLAN})


def ask(folder: Path, number: int, lab: Lab, failed: dict[str, tuple[Part, ...]] | None = None) -> LabCables:
    """One run: each desk that answers leaves its part; others leave what is given."""
    store = RunStore(folder / f"run-{number}")
    for desk in DESKS:
        for part in (failed or {}).get(desk, ()):
            store.write(part)
        if desk not in lab.silent:
            store.write(Part("cable", desk, DONE, data={"cable": as_dict(lab.probe(desk))}))
    found = cables_of(store, RUN)
    remember(store, found)
    return found


def told(found: LabCables) -> list[tuple[dict[str, str], str]]:
    return [(item.evidence["was"], item.evidence["is"]) for item in found.moves]


def test_what_a_desk_says_of_its_failure_writes_no_line_of_the_inventory(tmp_path: Path) -> None:
    note = {"code": "CX7_CHANGE_UNDONE", "severity": "note", "message": "", "remedy": ""}
    answer = {"failed": True, "msg": "x\nall: {vars: {a: b}}\n# ", "findings": [note]}
    said = admit("labops.dgx_spark.cx7_cable", answer, Speaker(DESKS[0]))
    part = part_of("cable", DESKS[0], None, said, "b", "e")
    found = ask(tmp_path, 1, Lab(DESKS, right(PLAN), silent={DESKS[0]}), {DESKS[0]: (part,)})
    text = inventory_text(discover(found.cables, DESKS, {}), {desk: {} for desk in DESKS}, "now")
    head, _marker, data = text.partition("---\n")
    assert all(line.startswith("#") for line in head.splitlines()) and "vars" not in yaml.safe_load(data)


def test_the_first_run_and_an_equal_one_tell_of_no_movement(tmp_path: Path) -> None:
    assert told(ask(tmp_path, 1, Lab(DESKS, right(PLAN)))) == []
    assert told(ask(tmp_path, 2, Lab(DESKS, right(PLAN)))) == []


def test_a_swap_between_two_runs_is_told_once_with_was_and_is(tmp_path: Path) -> None:
    ask(tmp_path, 1, Lab(DESKS, right(PLAN)))
    found = ask(tmp_path, 2, Lab(DESKS, [[A1, B1], [A2, B2]]))
    assert [is_now for _was, is_now in told(found)] == ["desk-01 port 0 - desk-03 port 0", "desk-02 port 0 - desk-04 port 0"]
    assert told(found)[0][0]["desk-01 port 0"] == "joined to desk-02 port 0"
    assert all("13 Gb/s" in item.message for item in found.moves)
    assert told(ask(tmp_path, 3, Lab(DESKS, [[A1, B1], [A2, B2]]))) == []


def test_a_movement_behind_a_run_that_could_not_ask_is_still_told(tmp_path: Path) -> None:
    ask(tmp_path, 1, Lab(DESKS, right(PLAN)))
    deaf = Lab(DESKS, [[A1, B1], [A2, B2]], deaf=set(DESKS))
    assert told(ask(tmp_path, 2, deaf)) == [], "nobody was seen, so nothing is known to have moved"
    silent = Lab(DESKS, [[A1, B1], [A2, B2]], silent=set(DESKS))
    assert told(ask(tmp_path, 3, silent)) == []
    assert len(told(ask(tmp_path, 4, Lab(DESKS, [[A1, B1], [A2, B2]])))) == 2


@pytest.mark.parametrize(
    "text",
    [
        "pipe", "[" * 100_000, "1" * 5000, "\udcff", "[]", "7", '{"edges": [7]}', '{"edges": 7, "dark": [], "macs": {}}',
        '{"edges": [{"ends": [{"desk": "desk-01"}, {"desk": []}]}], "dark": [], "macs": {}}',
        '{"edges": [], "dark": [[1, []], 7], "macs": {}}',
        '{"edges": [], "dark": [], "macs": {"aa:bb:cc:dd:ee:ff": {}}}', '{"edges": [], "dark": [["desk-01", "x"]], "macs": []}',
    ],
    ids=lambda text: text[:60],
)  # fmt: skip
def test_a_memory_that_somebody_sent_ends_no_run(text: str, tmp_path: Path) -> None:
    ask(tmp_path, 1, Lab(DESKS, right(PLAN)))
    memory = tmp_path / MEMORY
    memory.unlink()
    os.mkfifo(memory) if text == "pipe" else memory.write_text(text, encoding="utf-8", errors="surrogateescape")
    assert told(ask(tmp_path, 2, Lab(DESKS, [[A1, B1], [A2, B2]]))) == []
    assert len(told(ask(tmp_path, 3, Lab(DESKS, right(PLAN))))) == 2


def test_a_cable_that_was_taken_out_is_told_and_so_is_its_coming_back(tmp_path: Path) -> None:
    ask(tmp_path, 1, Lab(DESKS, right(PLAN)))
    assert [is_now for _was, is_now in told(ask(tmp_path, 2, Lab(DESKS, [[B1, B2]])))] == ["no signal"]
    back = told(ask(tmp_path, 3, Lab(DESKS, right(PLAN))))
    assert back[0][0]["desk-01 port 0"] == "without a cable"


def test_a_desk_without_an_answer_is_told_with_the_reason_of_the_stage_that_failed(tmp_path: Path) -> None:
    finding = {"code": "DESK_UNREACHABLE", "severity": "fail", "message": "desk-02: no answer in time"}
    failed = (
        Part("facts", "desk-02", FAILED, reason="Task failed: x", ended="1", findings=(finding,)),
        Part("cable", "desk-02", SKIPPED, reason="desk-02 failed in stage facts", ended="2"),
    )
    found = ask(tmp_path, 1, Lab(DESKS, right(PLAN), silent={"desk-02"}), {"desk-02": failed})
    assert found.cables.unread == {"desk-02": "no answer in time"}
    bare = ask(tmp_path, 2, Lab(DESKS, right(PLAN), silent={"desk-02"}), {"desk-02": (Part("facts", "desk-02", FAILED, reason="broken"),)})
    assert bare.cables.unread == {"desk-02": "broken"}
    assert ask(tmp_path, 3, Lab(DESKS, right(PLAN), silent={"desk-02"})).cables.unread == {"desk-02": "it is not in this run"}


def test_each_desk_gets_its_part_and_a_pair_finding_is_written_once(tmp_path: Path) -> None:
    parts = desk_parts(ask(tmp_path, 1, Lab(DESKS, [[A1, B1], [A2, B2]])), RUN, "now")
    assert {name: [item["code"] for item in part.findings] for name, part in parts.items()} == {
        "desk-01": ["CABLE_CROSSED"],
        "desk-02": [],
        "desk-03": ["CABLE_CROSSED"],
        "desk-04": [],
    }
    assert not any(part.data["allowed"] or part.data["proven"] for part in parts.values())
    fine = desk_parts(ask(tmp_path, 2, Lab(DESKS, right(PLAN))), RUN, "now")
    assert all(part.data["allowed"] and part.data["proven"] and part.data["port"] == 0 for part in fine.values())


def test_a_written_inventory_reaches_its_desks_the_way_the_old_one_did(tmp_path: Path) -> None:
    run = dataclasses.replace(RUN, run_dir=str(tmp_path / "run"))
    lab = Lab(DESKS, right(PLAN))
    for desk in DESKS:
        RunStore(run.run_dir).write(Part("cable", desk, DONE, data={"cable": as_dict(lab.probe(desk))}))
    known, path = str(tmp_path / "known_hosts.txt"), tmp_path / "inventory" / "hosts.yml"
    usual = ssh_arguments(known)
    secret = '-o ProxyCommand="sshpass -p s3cret ssh -W %h:%p bastion"'
    hostvars: dict[str, dict[str, str]] = {
        "desk-01": {"ansible_ssh_common_args": "-o ProxyJump=lab@bastion", "ansible_ssh_extra_args": usual},
        "desk-02": {"ansible_ssh_extra_args": ssh_arguments(known, "desk-02"), "ansible_python_interpreter": "/usr/bin/python3"},
        "desk-03": {"ansible_ssh_common_args": secret, "ansible_password": "s3cret"},
        "desk-04": {"ansible_ssh_extra_args": "-F /srv/lab/ssh.config"},
    }
    path.parent.mkdir()
    script = Script("spark_judge", {"subject": "cables", "write_inventory": str(path)})
    script.run("desk-01", run, hostvars=hostvars, spark_known_hosts=known)
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))
    hosts = {name: values or {} for pair in groups["spark_pairs"]["children"].values() for name, values in pair["hosts"].items()}
    assert hosts == {
        "desk-01": {"ansible_ssh_common_args": "-o ProxyJump=lab@bastion"},
        "desk-02": hostvars["desk-02"],
        "desk-03": {},
        "desk-04": hostvars["desk-04"],
    }
    assert groups["spark_desks"]["vars"] == {"spark_known_hosts": known, "ansible_ssh_extra_args": usual}
    said = "\n".join(script.shown)
    assert "ansible_ssh_common_args of desk-03 is not carried over" in said and f"{path.parent}/group_vars/spark_desks.yml" in said
    assert "s3cret" not in said + path.read_text(encoding="utf-8")
