"""What the machine lacks: podman too, where the Docker that is installed does not run."""

from __future__ import annotations

import pytest
from sparklab import engine, requirements


@pytest.mark.parametrize(
    ("installed", "answers", "wish", "lacking"),
    [
        ((), False, None, {"podman", "runc"}),
        (("docker",), False, None, {"podman", "runc"}),
        (("docker",), True, None, set()),
        (("podman", "runc"), False, None, set()),
        (("podman",), True, None, {"runc"}),
        (("docker",), True, "podman", {"podman", "runc"}),
        ((), False, "docker", {"docker", "dockerd"}),
        (("docker",), False, "docker", {"dockerd"}),
        (("docker",), True, "docker", set()),
    ],
)
def test_the_engine_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, installed: tuple[str, ...], answers: bool, wish: str | None, lacking: set[str]
) -> None:
    there = {tool.program for tool in requirements.TOOLS} | set(installed)
    monkeypatch.setattr(requirements.shutil, "which", lambda name, path=None: name if name in there else None)
    monkeypatch.setattr(engine, "docker_answers", lambda: answers)
    assert {tool.program for tool in requirements.missing(wish)} == lacking
