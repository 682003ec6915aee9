"""The gate costs an honest desk nothing: not a byte of its answer, and next to no time."""

from __future__ import annotations

import ast
import json
import re
import time
from pathlib import Path
from typing import Any, TypeGuard

import honest
import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.admit import OWN, Speaker, admit
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.documented import returned_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.gate import failure

ME = Speaker("desk-01", "pair_a", frozenset({"desk-01", "desk-02"}))
PREFIX = "labops.dgx_spark."
ANSWERS = honest.ANSWERS
PLUGINS = honest.ROOT / "plugins"


@pytest.mark.parametrize("name", honest.NAMES)
def test_facts_of_every_recording_pass_byte_for_byte(name: str) -> None:
    answer = honest.facts_answer(name)
    passed = admit(f"{PREFIX}spark_facts", answer, ME)
    assert json.dumps(passed) == json.dumps(answer)
    assert passed["ansible_facts"]["spark"] is answer["ansible_facts"]["spark"]  # and are not copied


@pytest.mark.parametrize("module", sorted(ANSWERS))
def test_an_answer_of_each_module_passes_byte_for_byte(module: str) -> None:
    answer = ANSWERS[module]
    assert json.dumps(admit(PREFIX + module, answer, ME)) == json.dumps(answer)


def test_every_module_that_an_action_runs_on_a_desk_has_an_honest_answer_here() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (*PLUGINS.glob("action/*.py"), *PLUGINS.glob("plugin_utils/*.py"))]
    named = {name for text in texts for name in re.findall(r'"labops\.dgx_spark\.([a-z0-9_]+)"', text)}
    run = {name for name in named if (PLUGINS / "modules" / f"{name}.py").is_file()}
    assert {"spark_facts", "pair_files", "nccl_pair"} <= run
    assert run <= set(ANSWERS), f"give each an answer in ANSWERS of honest.py: {sorted(run - set(ANSWERS))}"


def test_what_an_action_reads_of_its_modules_answer_passes_the_gate() -> None:
    """A value that an action reads and nobody documents would be left out without a word, and the action would go on without it."""
    read = {}
    for path in sorted((PLUGINS / "action").glob("*.py")):
        if not (PLUGINS / "modules" / path.name).is_file():
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        set_here = {item.slice.value for item in ast.walk(tree) if _of_answer(item, ast.Store)}
        got = {item.slice.value for item in ast.walk(tree) if _of_answer(item, ast.Load)}
        calls = [item for item in ast.walk(tree) if isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute)]
        got |= {
            item.args[0].value
            for item in calls
            if item.func.attr in ("get", "pop")
            and getattr(item.func.value, "id", "") == "answer"
            and isinstance(item.args[0], ast.Constant)
        }
        read[path.stem] = got - set_here - OWN.keys() - {"desk_unreachable", "ansible_facts"}
    assert read["nccl_bundle"] >= {"archive", "sha256"} and read["spark_record"] >= {"recorded"}
    lost = {name: sorted(got - returned_of(name).keys() - {"findings"}) for name, got in read.items()}
    assert {name: keys for name, keys in lost.items() if keys} == {}


def _of_answer(item: ast.AST, use: type[ast.expr_context]) -> TypeGuard[Any]:
    return (
        isinstance(item, ast.Subscript)
        and isinstance(item.ctx, use)
        and getattr(item.value, "id", "") == "answer"
        and isinstance(item.slice, ast.Constant)
    )


TRANSCRIPTS = sorted(honest.TRANSCRIPTS.glob("nccl-all_gather*.txt")) if honest.TRANSCRIPTS.is_dir() else []


@pytest.mark.skipif(not TRANSCRIPTS, reason=f"no transcripts of real desks beside this checkout ({honest.TRANSCRIPTS})")
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.name)
def test_results_of_real_logs_pass_byte_for_byte(path: Path) -> None:
    answer = honest.nccl_answer(path.read_text(encoding="utf-8"))
    assert json.dumps(admit(f"{PREFIX}nccl_pair", answer, ME)) == json.dumps(answer)


def test_the_answers_of_200_desks_take_less_than_a_second_of_the_controller() -> None:
    given: list[dict[str, Any]] = [honest.wire(ANSWERS["spark_facts"]) for _desk in range(200)]
    begun = time.process_time()
    for answer in given:
        admit(f"{PREFIX}spark_facts", answer, ME)
    assert time.process_time() - begun < 1.0


def test_a_failed_module_keeps_its_words() -> None:
    answer = {"failed": True, "msg": "MODULE FAILURE", "module_stderr": "Killed", "module_stdout": "", "rc": 137, "changed": False}
    assert admit(f"{PREFIX}spark_facts", answer, ME) == answer
    assert admit("ansible.builtin.systemd_service", {**answer, "status": {"x": 1}}, ME) == answer


class Event:
    """As newer versions of Ansible give an exception of a module; without a traceback unless one is asked for."""

    msg, formatted_traceback = "'update'", None


class Summary:
    event = Event()


@pytest.mark.parametrize(
    ("exception", "words"), [(Summary(), "'update'"), ("Traceback ...\nKeyError: 'update'", "KeyError: 'update'"), ("", "no message")]
)
def test_what_an_exception_of_a_module_says_is_in_the_finding(exception: Any, words: str) -> None:
    answer = admit(f"{PREFIX}spark_facts", {"failed": True, "exception": exception}, ME)
    told = failure("facts", ME.desk, ME.stack, "Read the desk", answer)
    assert words in told["message"]


def test_a_failed_answer_may_hold_what_was_found_so_far() -> None:
    answer = {**ANSWERS["cx7_link"], "failed": True}
    assert admit(f"{PREFIX}cx7_link", answer, ME) == answer


@pytest.mark.parametrize("module", sorted(ANSWERS))
def test_why_a_module_failed_passes_and_is_documented(module: str) -> None:
    found = finding("DESK_STAGE_FAILED", Where(desk=ME.desk), f"{ME.desk}: the disk is full").as_dict()
    answer = {"failed": True, "msg": found["message"], "findings": [found]}
    assert admit(f"{PREFIX}{module}", answer, ME)["findings"][0]["message"] == found["message"]
    source = (PLUGINS / f"modules/{module}.py").read_text(encoding="utf-8")
    assert "findings=" not in source or "findings" in returned_of(module)
