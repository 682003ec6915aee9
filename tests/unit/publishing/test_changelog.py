"""The changelog corrects nothing that was never released."""

from __future__ import annotations

from typing import Any

import pytest

from tools.check_changelog import problems

SUMMARY: dict[str, Any] = {"changes": {"release_summary": "First.", "major_changes": ["a"]}}


def test_a_first_release_that_only_adds() -> None:
    assert list(problems("1.0.0", {"1.0.0": SUMMARY}, {"a.yml": {"minor_changes": ["b"]}})) == []


@pytest.mark.parametrize("section", ["bugfixes", "security_fixes", "breaking_changes", "removed_features", "deprecated_features"])
def test_a_first_release_corrects_nothing(section: str) -> None:
    (line,) = problems("1.0.0", {"1.0.0": SUMMARY}, {"a.yml": {section: ["b"]}})
    assert line.startswith(f"changelogs/fragments/a.yml: {section}, but 1.0.0 is the first release")
    (line,) = problems("1.0.0", {"1.0.0": {"changes": {**SUMMARY["changes"], section: ["b"]}}}, {})
    assert line.startswith(f"changelogs/changelog.yaml: {section}")


def test_a_later_release_may_correct_the_one_before() -> None:
    assert list(problems("1.0.1", {"1.0.0": SUMMARY}, {"a.yml": {"bugfixes": ["b"]}})) == []


def test_a_release_without_summary() -> None:
    (line,) = problems("1.0.1", {"1.0.0": SUMMARY, "1.0.1": {"changes": {"bugfixes": ["b"]}}}, {})
    assert line == "changelogs/changelog.yaml: 1.0.1 has no release_summary"
