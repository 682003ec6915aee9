from __future__ import annotations

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.containers import judge_container, judge_docker_group
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where

HERE = Where(desk="d-1")
THERE = Answer(("docker",), 0, "arm64\n")


@pytest.mark.parametrize(
    ("inspect", "run", "code", "severity"),
    [
        (THERE, Answer((), 0, "NVIDIA GB10\n"), "CONTAINER_GPU_OK", "ok"),
        (THERE, Answer((), 125, "", "could not select device driver"), "CONTAINER_GPU_FAILED", "fail"),
        (THERE, Answer((), 0, "\n"), "CONTAINER_GPU_FAILED", "fail"),
        (THERE, Answer((), None, error="timeout"), "CONTAINER_GPU_FAILED", "fail"),
        (THERE, None, "CONTAINER_NOT_PROVEN", "unknown"),
        (Answer((), 1, "", "Error: No such image: x"), None, "CONTAINER_NOT_PROVEN", "unknown"),
        (Answer((), error="missing"), None, "CONTAINER_NOT_PROVEN", "unknown"),
        (Answer((), error="timeout"), None, "CONTAINER_NOT_PROVEN", "unknown"),
    ],
)
def test_a_container_is_proven_only_by_its_answer(inspect: Answer, run: Answer | None, code: str, severity: str) -> None:
    (found,) = judge_container(HERE, "x", inspect, run)
    assert (found.code, found.severity) == (code, severity)


def test_docker_group() -> None:
    assert [item.code for item in judge_docker_group(HERE, "lab", ("lab", "sudo"))] == ["DOCKER_GROUP_MISSING"]
    assert judge_docker_group(HERE, "lab", ("lab", "docker")) == []
    assert judge_docker_group(HERE, None, ()) == []
