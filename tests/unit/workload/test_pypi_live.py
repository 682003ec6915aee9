# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real PyPI, asked only where PYPI_LIVE=1 is set: small real wheels for both machines, projects of each kind. What it answered on one
day is recorded (recorded_index.py) and tested always (test_items.py)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.wheel import judge_wheel
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.workload import NEEDS_REBUILD, RUNS, UNKNOWN, WONT_RUN, Target, Wheel
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import requirement_lines
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload import fetch, resolve
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.requirements import Requirements
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.wheels import Indexes, Looker, named

pytestmark = pytest.mark.skipif(os.environ.get("PYPI_LIVE") != "1", reason="PYPI_LIVE=1 asks the real PyPI")


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("nvidia-cuda-runtime", RUNS),
        ("nvidia-cuda-runtime-cu12==12.9.79", RUNS),
        ("markupsafe==3.0.3", RUNS),
        ("flash-attn", NEEDS_REBUILD),
        ("decord==0.6.0", WONT_RUN),
        ("bitsandbytes==0.42.0", WONT_RUN),
        ("tensorrt", UNKNOWN),
    ],
)
def test_requirements(text: str, verdict: str, spark: Target, tmp_path: Path) -> None:
    web = fetch.Web(30)
    looker = Looker(web, tmp_path, 96 << 20, 512 << 20)
    judge = Requirements(spark, lambda wanted: resolve.resolve(wanted, spark, [], 300), Indexes(web, []), looker, web, "2026-11-26")
    (found,) = judge.judge(requirement_lines.lines(text).requirements)
    assert found.verdict == verdict, found


@pytest.mark.parametrize(("machine", "verdict"), [("aarch64", RUNS), ("x86_64", WONT_RUN)])
def test_small_wheels_of_both_machines(machine: str, verdict: str, spark: Target, tmp_path: Path) -> None:
    web = fetch.Web(30)
    files = [
        file
        for _index, file in Indexes(web, []).files("nvidia-cuda-runtime-cu12")
        if file.filename.endswith(f"{machine}.whl") and "12.9.79" in file.filename
    ]
    told = named(files[0].filename)
    looker = Looker(web, tmp_path, 96 << 20, 512 << 20)
    wheel = looker.look(Wheel(files[0].filename, told.project, told.version, told.tags), files[0].url, files[0].sha256)
    assert wheel.not_read is None
    assert {item.machine for item in wheel.binaries} == {machine}
    assert judge_wheel(wheel, spark, "2026-11-26", itself=True, brought=()).verdict == verdict
