"""Things that happen in the middle of a run: a job begins, cables are swapped, a desk freezes, the controller is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from desks import MODULE, as_root, lab
from links import armed, wait_for, wait_for_state
from runs import DESK, PEER, Running, stacked

MOMENTS = ("facts", "keys", "cable", "link", "trust")
"""Stages of a run that sets the whole pair up; the controller is killed when the desk has left each."""


def nothing_runs() -> bool:
    """Whether no module works on either desk."""
    return all(as_root(desk).run(f"pgrep -f '{MODULE}'").rc != 0 for desk in (DESK, PEER))


@contextmanager
def fault(desk: str, name: str) -> Iterator[None]:
    lab("fault", "set", desk, name)
    try:
        yield
    finally:
        lab("fault", "clear", desk, name)


def test_a_job_that_began_after_the_facts_is_not_measured_over(tmp_path: Path) -> None:
    run = Running(tmp_path)
    run.reaches("cable_map")
    with fault(PEER, "gpu_process"):
        ended = run.ended()
    assert ended.verdict == "UNKNOWN" and {"PAIR_BUSY", "PAIR_DISTURBED"} & set(ended.codes), ended.output[-3000:]
    assert as_root(DESK).file("/etc/dgx_spark/pair.env").exists


def test_a_controller_that_is_killed_at_five_moments(tmp_path: Path) -> None:
    apart = stacked(tmp_path / "apart", playbook="unstack_pair")
    assert apart.code == 0, apart.output[-3000:]
    rules = [as_root(desk).check_output(f"{program} -t mangle -S") for desk in (DESK, PEER) for program in ("iptables", "ip6tables")]
    assert not any("dgx-spark" in text for text in rules)
    for moment in MOMENTS:
        run = Running(tmp_path / moment)
        run.reaches(moment)
        run.kill()
        # What the killed run began on a desk goes on to its end, and keeps the desk from other runs until then.
        wait_for(nothing_runs, 300, "the end of the killed run's modules")
    whole = stacked(tmp_path / "whole")
    assert whole.code == 0 and whole.verdict == "PASS", whole.output[-3000:]
    assert armed(DESK) == [] and armed(PEER) == []
    again = stacked(tmp_path / "again")
    assert (again.code, again.changes) == (0, 0), again.output[-3000:]


def test_a_desk_that_freezes_while_its_link_is_changed(tmp_path: Path) -> None:
    assert stacked(tmp_path / "apart", playbook="unstack_pair").code == 0
    run = Running(tmp_path / "frozen")
    wait_for_state(PEER, "applying", "applied", seconds=240)
    with fault(PEER, "frozen"):
        ended = run.ended()
    assert ended.verdict in ("FAIL", "UNKNOWN") and ended.code != 0, ended.output[-3000:]
    assert {item["where"].get("desk") for item in ended.findings if item["severity"] == "fail"} <= {PEER, None}, ended.codes
    whole = stacked(tmp_path / "whole")
    assert whole.code == 0 and whole.verdict == "PASS", whole.output[-3000:]


def test_a_desk_that_freezes_while_nccl_runs(tmp_path: Path) -> None:
    run = Running(tmp_path / "frozen")
    # The brackets keep the shell that runs the command from matching itself.
    busy = "pgrep -f 'all_gather_per[f]'"
    wait_for(lambda: as_root(PEER).run(busy).rc == 0, 300, "NCCL on the peer")
    with fault(PEER, "frozen"):
        ended = run.ended()
    assert ended.verdict in ("FAIL", "UNKNOWN") and ended.code != 0, ended.output[-3000:]
    wait_for(lambda: all(as_root(desk).run(busy).rc != 0 for desk in (DESK, PEER)), 120, "the end of what the measurement started")
    whole = stacked(tmp_path / "whole")
    assert whole.code == 0 and whole.verdict == "PASS", whole.output[-3000:]


def test_cables_that_are_swapped_between_facts_and_measurement(tmp_path: Path) -> None:
    """The last test: plugs that were moved leave their ends slow until the desks start again, so the lab is made anew after it."""
    run = Running(tmp_path)
    run.reaches("cable_map")
    lab("cable", "pull", "cable-2", "desk-04/0")
    lab("cable", "move", "cable-1", "desk-02/0", "desk-04/0")
    lab("cable", "plug", "cable-2", "desk-02/0")
    try:
        ended = run.ended()
        assert ended.verdict in ("FAIL", "UNKNOWN") and ended.code != 0, ended.output[-3000:]
        assert any("PEER" in code for code in ended.codes), ended.codes
        assert not {"PAIR_TRUST_BROKEN", "DESK_IDENTITY_WRONG"} & set(ended.codes), ended.codes
    finally:
        lab("reset")
