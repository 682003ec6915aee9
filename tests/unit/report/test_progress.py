"""What is shown while a run goes on."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.callback import progress
from ansible_collections.labops.dgx_spark.plugins.callback.progress import LiveView, stage_of, wants_live
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.progress_view import RunView
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import plain
from lab_samples import Lab

KNOWN = {"facts": 10.0, "link": 20.0, "rdma": 30.0}


def view(pairs: int = 2, known: dict[str, float] | None = None) -> RunView:
    made = RunView(0.0, KNOWN if known is None else known)
    made.plan(plain(Lab(pairs).run()))
    return made


def test_a_line_a_stack_with_its_stage_and_time() -> None:
    made = view()
    made.begin("desk-01", "facts", 1.0)
    made.begin("desk-02", "facts", 2.0)
    made.begin("desk-01", "facts", 3.0)  # a later task of the same stage
    assert made.rows(5.0, 9)[0] == ("pair_01", "facts", "4 s", "ok", "")
    assert made.end("desk-01", "facts", {}, 6.0) == 5.0
    assert made.rows(6.0, 9)[0][1:3] == ("facts", "4 s"), "its partner is still at it"
    made.end("desk-02", "facts", {"CX7_LINK_DOWN": "fail", "VERSION_KNOWN_BAD": "note"}, 8.0)
    assert made.rows(8.0, 9)[0] == ("pair_01", "facts done", "", "fail", "CX7_LINK_DOWN")
    assert made.rows(8.0, 9)[1] == ("pair_02", "waiting", "", "ok", "")


def test_trouble_comes_first_and_what_has_no_room_is_counted() -> None:
    made = view(30)
    made.begin("desk-41", "facts", 1.0)
    made.end("desk-41", "facts", {"DESK_UNREACHABLE": "unknown"}, 2.0)
    rows = made.rows(3.0, 5)
    assert rows[0][0] == "pair_21" and rows[-1][0] == "and 25 more" and len(rows) == 6


@pytest.mark.parametrize(
    ("events", "now", "left"),
    [
        ([], 0.0, 60.0),
        ([("begin", "facts", 0.0)], 4.0, 56.0),
        ([("begin", "facts", 0.0)], 30.0, 50.0),  # longer than before: nothing is taken off the stages that follow
        ([("begin", "facts", 0.0), ("end", "facts", 12.0)], 12.0, 50.0),
        ([("begin", "facts", 0.0), ("end", "facts", 12.0), ("begin", "rdma", 13.0)], 13.0, 30.0),  # link was left out this time
        ([("begin", "rdma", 0.0), ("end", "rdma", 31.0)], 31.0, 0.0),
    ],
)
def test_the_remainder_is_what_earlier_runs_took(events: list[tuple[str, str, float]], now: float, left: float) -> None:
    made = view(1)
    for kind, stage, at in events:
        for desk in ("desk-01", "desk-02"):
            if kind == "begin":
                made.begin(desk, stage, at)
            else:
                made.end(desk, stage, {}, at)
    assert made.remaining(now) == pytest.approx(left)
    share = made.share(now)
    assert share is not None and 0.0 <= share <= 1.0


def test_without_an_earlier_run_nothing_is_promised() -> None:
    made = view(1, {})
    made.begin("desk-01", "facts", 0.0)
    assert made.remaining(5.0) is None and made.share(5.0) is None
    assert made.told(5.0) == "running for 5 s; no earlier run shows how long it takes"
    other = view(1, {"enrol": 9.0})
    other.begin("desk-01", "facts", 0.0)
    assert other.remaining(5.0) is None, "earlier runs know nothing of these stages"


def test_longer_than_before_is_said() -> None:
    made = view(1, {"facts": 3.0})
    made.begin("desk-01", "facts", 0.0)
    assert made.told(10.0) == "running for 10 s, longer than earlier runs"


def test_a_desk_that_nobody_planned_is_ignored() -> None:
    made = view(1)
    made.begin("stranger", "facts", 0.0)
    assert made.end("stranger", "facts", {}, 1.0) is None


class Terminal(io.StringIO):
    """A terminal that keeps what is drawn."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "verbosity", "terminal", "live"),
    [
        ({"TERM": "xterm"}, 0, True, True),
        ({"TERM": "xterm"}, 1, True, False),
        ({"TERM": "xterm"}, 0, False, False),
        ({"TERM": "dumb"}, 0, True, False),
        ({}, 0, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, 0, True, False),
        ({"TERM": "xterm", "CI": "true"}, 0, True, False),
    ],
)
def test_the_live_view_is_for_people_at_a_terminal(environment: dict[str, str], verbosity: int, terminal: bool, live: bool) -> None:
    assert wants_live(Terminal() if terminal else io.StringIO(), environment, verbosity) is live


def test_without_rich_there_are_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HAS_RICH", False)
    assert not wants_live(Terminal(), {"TERM": "xterm"}, 0)


@pytest.mark.skipif(not progress.HAS_RICH, reason="the live view is drawn with rich: pip install rich")
def test_what_is_drawn_holds_the_stacks_the_bar_and_no_command_of_a_desk() -> None:
    terminal = Terminal()
    live = LiveView(terminal)
    live.view = view(2)
    live.view.stacks["pair_01"].codes = ["BAD\x1b[2J"]
    live.start()
    live.close()
    text = terminal.getvalue()
    assert "pair_01" in text and "pair_02" in text and "left as in earlier runs" in text and "\x1b[2J" not in text
    live.start()
    assert live._live is None, "closed is closed"


@pytest.mark.parametrize(
    ("variables", "stage"),
    [({"spark_stage": "facts"}, "facts"), ({"spark_stage": "{{ x }}"}, ""), ({}, ""), (None, ""), ({"spark_stage": 3}, "")],
)
def test_the_stage_of_a_task(variables: Any, stage: str) -> None:
    assert stage_of(SimpleNamespace(get_vars=lambda: variables)) == stage
