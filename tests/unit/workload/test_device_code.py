# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device code runs on compute capability 12.1 and others, as NVIDIA's tables say and as ptxas was measured."""

from __future__ import annotations

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.device_code import fits, isa_known, judge_code, number
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.workload import (
    NEEDS_REBUILD,
    RUNS,
    RUNS_SLOWLY,
    UNKNOWN,
    Code,
    code_of,
)


@pytest.mark.parametrize(
    ("code", "capability", "runs"),
    [
        ("sm_120", "12.1", True),
        ("sm_121", "12.1", True),
        ("sm_121", "12.0", False),
        ("sm_90", "12.1", False),
        ("sm_110", "12.1", False),
        ("sm_120f", "12.1", True),
        ("sm_121f", "12.1", True),
        ("sm_121f", "12.0", False),
        ("sm_100f", "12.1", False),
        ("sm_100f", "10.3", True),
        ("sm_103f", "10.0", False),
        ("sm_121a", "12.1", True),
        ("sm_120a", "12.1", False),
        ("sm_90a", "9.0", True),
        ("sm_90a", "12.1", False),
        ("ptx 75", "12.1", True),
        ("ptx 90", "12.1", True),
        ("ptx 121", "12.0", False),
        ("ptx 120f", "12.1", True),
        ("ptx 100f", "12.1", False),
        ("ptx 120a", "12.1", False),
        ("ptx 121a", "12.1", True),
        ("sm_80", "8.6", True),
        ("sm_86", "8.0", False),
        ("sm_80", "9.0", False),
    ],
)
def test_targets(code: str, capability: str, runs: bool) -> None:
    assert fits(code_of(code), number(capability)) is runs


@pytest.mark.parametrize(
    ("isa", "cuda", "known"),
    [
        ("9.0", "13.0", True),
        ("9.1", "13.0", False),
        ("9.2", "13.0", False),
        ("8.7", "13.0", True),
        ("9.2", "13.2", True),
        ("8.8", "12.8", False),
        ("8.7", "12.8.1", True),
        ("9.4", "13.9", True),  # a driver newer than the table knows what its predecessors knew
        ("9.5", "13.9", None),
        ("9.0", None, None),
        (None, "13.0", None),
        ("8.0", "11.8", None),
    ],
)
def test_ptx_versions(isa: str | None, cuda: str | None, known: bool | None) -> None:
    assert isa_known(isa, cuda) is known


@pytest.mark.parametrize(
    ("units", "relocatable", "verdict", "rule"),
    [
        ([["sm_75", "sm_120"]], [], RUNS, "sass"),
        ([["sm_120f"]], [], RUNS, "sass-f"),
        ([["sm_121a"]], [], RUNS, "sass-a"),
        ([["sm_120a"]], [], NEEDS_REBUILD, "sass-a"),
        ([["sm_90", "ptx 90@8.7"]], [], RUNS_SLOWLY, "ptx"),
        ([["ptx 120@9.2"]], [], NEEDS_REBUILD, "ptx-isa"),
        ([["ptx 120"]], [], UNKNOWN, "ptx-isa"),
        ([["ptx 100f@8.8"]], [], NEEDS_REBUILD, "sass-f"),
        ([["sm_120"], ["sm_90"]], [], NEEDS_REBUILD, "units"),
        ([["sm_120"], ["ptx 90@8.0"]], [], RUNS_SLOWLY, "ptx"),
        ([["sm_120"]] * 7, [], RUNS, "sass"),
        ([["sm_120"], []], [], RUNS, "sass"),  # an empty container holds no kernel
        ([["sm_75", "sm_90"]], [["ptx 90@8.5"]], RUNS_SLOWLY, "relocatable"),
        ([["sm_75", "sm_90"]], [["ptx 90@9.2"]], NEEDS_REBUILD, "sass"),
        ([["sm_75", "sm_90"]], [["ptx 90@8.5"], ["sm_90"]], NEEDS_REBUILD, "sass"),  # one part without PTX: the link fails
        ([["sm_90"], ["sm_80"]], [["ptx 90@8.5"]], NEEDS_REBUILD, "units"),  # only one of them can be the linked one
        ([], [["ptx 90@8.5"]], RUNS_SLOWLY, "relocatable"),
        ([], [["sm_121"]], RUNS, "relocatable"),
        ([["other 120"]], [], UNKNOWN, "not-read"),
    ],
)
def test_files(units: list[list[str]], relocatable: list[list[str]], verdict: str, rule: str) -> None:
    found = judge_code(units, relocatable, "12.1", "13.0")
    assert found is not None
    assert found.verdict == verdict
    assert rule in found.rules


def test_no_code_is_no_verdict_and_an_unknown_gpu_is_unknown() -> None:
    assert judge_code([], [], "12.1", "13.0") is None
    assert judge_code([[]], [], "12.1", "13.0") is None
    found = judge_code([["sm_120"]], [], None, "13.0")
    assert found is not None
    assert found.verdict == UNKNOWN


def test_an_update_of_the_driver_changes_the_verdict() -> None:
    verdicts = {cuda: judge_code([["ptx 120@9.2"]], [], "12.1", cuda) for cuda in ("13.0", "13.2", None)}
    assert {cuda: found.verdict for cuda, found in verdicts.items() if found} == {"13.0": NEEDS_REBUILD, "13.2": RUNS_SLOWLY, None: UNKNOWN}


@pytest.mark.parametrize("text", ["", "sm_", "sm_12x", "sm_120@9.0", "ptx", "ptx 120@", "sm_120A", "compute_90", "sm_12000"])
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        code_of(text)


@pytest.mark.parametrize("text", ["sm_120f", "ptx 90@8.7", "ptx 121a@9.0", "ptx 80", "other 77"])
def test_code_and_text_are_one(text: str) -> None:
    code = code_of(text)
    assert isinstance(code, Code)
    assert code.text == text


@pytest.mark.parametrize("text", ["12", "12.10", "a.b", "", "-1.2", "123.1"])
def test_what_is_no_capability_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        number(text)
