"""What tests/bench/stack_pair.py makes of its runs: a failed run is no number, medians, ratios to a base."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAME = {"executions": 1.0, "results": 1.0, "commands": 1.0}


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_stack_pair", ROOT / "tests/bench/stack_pair.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def rows(bench: ModuleType, *listed: tuple[str, str, float, int]) -> list[object]:
    return [bench.Row(tree, 2, kind, 4.0, 20.0, 10.0, wall / 10, wall, code, 1.0) for tree, kind, wall, code in listed]


def test_a_failed_run_is_no_number(bench: ModuleType) -> None:
    listed = rows(bench, ("new", "first", 10.0, 2), ("new", "first", 100.0, 0), ("base", "first", 200.0, 0), ("base", "again", 50.0, 1))
    assert bench.medians(listed)[("new", 2, "first")]["wall_seconds"] == 100.0
    assert ("base", 2, "again") not in bench.medians(listed)
    assert "no number" in bench.line(listed[0]) and "10.0" not in bench.line(listed[0])
    assert bench.ratios(listed) == {(2, "first"): SAME | {"cpu_seconds": 0.5, "wall_seconds": 0.5}}


def test_repeats_count_by_their_median_and_each_kind_by_itself(bench: ModuleType) -> None:
    listed = rows(bench, *[("new", "again", wall, 0) for wall in (10.0, 12.0, 90.0)], ("new", "first", 80.0, 0), ("base", "again", 24.0, 0))
    assert bench.ratios(listed) == {(2, "again"): SAME | {"cpu_seconds": 0.5, "wall_seconds": 0.5}}


def test_both_runs_are_measured_with_a_bundle_cache_of_their_own(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    caches: list[str] = []
    asked: list[tuple[str, ...]] = []

    def lab(_tree: Path, _name: str, *arguments: str) -> str:
        asked.append(arguments)
        return '{"_meta": {"hostvars": {"desk-01": {}, "desk-02": {}}}}' if arguments == ("inventory",) else "Invoked with\n"

    monkeypatch.setattr(bench, "lab", lab)
    monkeypatch.setattr(bench, "stack", lambda _tree, _name, cache: (caches.append(cache), bench.Ended(40, 8, 1.0, 2.0, 0))[1])
    monkeypatch.setattr(bench.time, "sleep", lambda _seconds: None)
    assert [row.kind for row in bench.measure("new", ROOT, 1)] == ["first", "again"]
    assert [row.kind for row in bench.measure("base", ROOT, 1)] == ["first", "again"]
    assert caches[0] == caches[1] != caches[2] == caches[3]
    assert asked.count(("down",)) == 2


def test_task_results_are_those_of_the_recap_skipped_ones_too(bench: ModuleType) -> None:
    recap = """PLAY RECAP *********************
desk-01                    : ok=25   changed=1    unreachable=0    failed=1    skipped=3    rescued=0    ignored=0
desk-02                    : ok=20   changed=0    unreachable=1    failed=0    skipped=0    rescued=0    ignored=0
"""
    assert bench.results_of(recap) == 50


def test_a_first_run_that_failed_ends_its_lab(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "lab", lambda *_arguments: '{"_meta": {"hostvars": {"desk-01": {}}}}')
    monkeypatch.setattr(bench, "stack", lambda *_arguments: bench.Ended(40, 8, 1.0, 2.0, 2))
    monkeypatch.setattr(bench.time, "sleep", lambda _seconds: None)
    assert [(row.kind, row.exit_code) for row in bench.measure("new", ROOT, 1)] == [("first", 2)]
