"""Where nobody can answer a question, isolate.yml stops and says what to move; the next run's answer is a variable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.terminal import ask as ask_at
from hostile_lab import facts_of
from scripted_action import Script
from scripted_lab import ScriptedLab

GIVEN = {"phase": "ask", "pair": "pair_a", "good": "desk-03", "kind": "good_for_peer", "instruction": "Move the plug."}


def ask(answer: BaseException | bytes, **more: Any) -> tuple[dict[str, Any], list[str]]:
    script = Script("pair_isolate", {**GIVEN, **more})
    asked: list[str] = []

    def prompt(text: str) -> bytes:
        asked.append(text)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    script.action._display.prompt_until = prompt
    return script.run("desk-01"), asked


def test_the_question_shows_what_to_move_and_waits() -> None:
    result, asked = ask(b"")
    assert not result.get("failed") and len(asked) == 1 and asked[0].startswith("Move the plug. Press Enter")


@pytest.mark.parametrize("more", [{"moved": "good_for_peer"}, {"confirm": "false"}, {"confirm": "no"}])
def test_a_variable_is_the_answer(more: dict[str, Any]) -> None:
    assert ask(AssertionError("asked"), **more)[1] == []


@pytest.mark.parametrize("more", [{}, {"moved": "as_it_is"}, {"confirm": "true"}])
def test_nobody_to_ask_is_no_yes(more: dict[str, Any]) -> None:
    with pytest.raises(AnsibleActionFail, match=r"nothing was done. Move the plug. .*-e isolate_moved=good_for_peer"):
        ask(AnsiblePromptNoninteractive("no terminal"), **more)


def test_an_interrupt_stops() -> None:
    with pytest.raises(AnsibleActionFail, match=r"run isolate\.yml again"):
        ask(AnsiblePromptInterrupt("ctrl-c"))


def test_a_job_without_a_terminal_touches_no_desk_before_the_plugs_are_in(tmp_path: Path) -> None:
    desks = ("desk-01", "desk-02", "desk-03")
    lab = ScriptedLab(tmp_path, {desk: {"spark_facts": facts_of(desk)} for desk in desks}, {"pair_a": desks[:2]})
    done = lab.play("labops.dgx_spark.isolate", isolate_pair="pair_a", isolate_good="desk-03", isolate_confirm="yes")
    assert done.returncode == 2 and "-e isolate_moved=as_it_is" in done.stdout + done.stderr, done.stdout
    assert lab.asked == []
    moved = lab.play("labops.dgx_spark.isolate", isolate_pair="pair_a", isolate_good="desk-03", isolate_moved="as_it_is")
    assert {desk for desk, _module in lab.asked} == set(desks[:2]), moved.stdout


def test_a_job_of_ansible_runner_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a terminal of its own, so that Ansible would wait for ever (tests/unit/alone/test_runner.py does it with the real one)."""
    asked: list[str] = []

    class Terminal:
        def prompt_until(self, question: str) -> bytes:
            asked.append(question)
            return b" yes\n"

    assert ask_at(Terminal(), "Trust it?") == "yes" and asked == ["Trust it?"]
    monkeypatch.setenv("AWX_ISOLATED_DATA_DIR", "/runner/artifacts/1")
    with pytest.raises(AnsiblePromptNoninteractive):
        ask_at(Terminal(), "Trust it?")
    assert asked == ["Trust it?"]
