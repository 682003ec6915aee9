"""What the progress output shows of tasks that are none of ours steers no terminal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.callback.progress import CallbackModule

ESCAPES = "Reboot command failed: \x1b]52;c;AAAA\x07\x1b[2K\r  desk-03  ok \u202e\x9b31m"


def shown(event: str, data: dict[str, Any]) -> str:
    """What one event of a task of ansible.builtin shows."""
    callback, lines = CallbackModule(), []
    callback._display = SimpleNamespace(verbosity=0, display=lambda text, color=None: lines.append(text))
    task = SimpleNamespace(get_name=lambda: "Start the desk again", action="ansible.builtin.reboot")
    host = SimpleNamespace(get_name=lambda: "desk-01")
    getattr(callback, event)(SimpleNamespace(result=data, _result=data, task=task, _task=task, host=host, _host=host))
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("v2_runner_on_failed", {"msg": ESCAPES}),
        ("v2_runner_on_failed", {"msg": f"first line\n{ESCAPES}"}),
        ("v2_runner_on_unreachable", {"msg": ESCAPES}),
        ("v2_runner_on_ok", {"stage": {"name": "link", "state": "failed", "reason": ESCAPES}}),
        ("v2_runner_on_ok", {"stage": {"name": "link", "state": "skipped", "reason": ESCAPES}}),
    ],
)
def test_escapes_of_a_desk_do_not_reach_the_terminal(event: str, data: dict[str, Any]) -> None:
    text = shown(event, data)
    assert "desk-01" in text and "\ufffd" in text
    assert not [char for char in text if char in "\x1b\x07\r\u202e\x9b"]
