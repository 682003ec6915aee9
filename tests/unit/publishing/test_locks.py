"""The lock files are held against the requirements."""

from __future__ import annotations

import pytest

from tools.check_locks import LOCKS, ROOT, problems

HASH = f"--hash=sha256:{'0' * 64}"
GOOD = {
    "requirements.txt": "ansible-core>=2.19,<2.23\nPyYAML>=6.0  # comment\n",
    "requirements-dev.txt": "-r requirements.txt\nruff>=0.14\n",
    "requirements-source.txt": "reuse>=6\n",
    "requirements.lock": "\n".join(
        [
            f"ansible-core==2.19.14 ; python_full_version < '3.12' \\\n    {HASH} \\\n    {HASH}\n    # via -r requirements.txt",
            f"ansible-core==2.21.5 ; python_full_version >= '3.12' {HASH}",
            f"pyyaml==6.0.3 {HASH}",
        ]
    ),
    "requirements-source.lock": f"reuse==6.2.0 {HASH}",
}
GOOD["requirements-dev.lock"] = f"{GOOD['requirements.lock']}\nruff==0.15 {HASH}"


def test_locks_that_fit_have_no_problem() -> None:
    assert list(problems(GOOD)) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("requirements.txt", "PyYAML>=6.0", "PyYAML>=7", "PyYAML 6.0.3 is not what requirements.txt asks for"),
        ("requirements-dev.txt", "ruff", "flask\nruff", "flask of requirements-dev.txt is missing on Python 3.11"),
        ("requirements.lock", f"pyyaml==6.0.3 {HASH}", "pyyaml==6.0.3", "pyyaml has no hash"),
        ("requirements.lock", "pyyaml==6.0.3", "pyyaml>=6.0.3", "pyyaml is not pinned"),
        ("requirements-dev.lock", "pyyaml==6.0.3", "pyyaml==6.0.2", "pyyaml is 6.0.3 in requirements.lock, 6.0.2 in requirements-dev.lock"),
        ("requirements-dev.lock", "< '3.12'", "< '3.11'", "ansible-core of requirements.txt is missing on Python 3.11"),
    ],
)
def test_what_does_not_fit_is_named(name: str, old: str, new: str, told: str) -> None:
    found = list(problems({**GOOD, name: GOOD[name].replace(old, new)}))
    assert any(told in line for line in found), found


def test_a_pin_that_only_one_python_takes_is_judged_there() -> None:
    found = list(problems({**GOOD, "requirements.txt": GOOD["requirements.txt"].replace("<2.23", "<2.21")}))
    assert {line.split(" is not ")[0] for line in found} == {
        "requirements.lock: ansible-core 2.21.5",
        "requirements-dev.lock: ansible-core 2.21.5",
    }
    assert len(found) == 4  # two locks, Python 3.12 and 3.13


def test_the_projects_own_locks_fit() -> None:
    names = {*LOCKS, *(path for inputs in LOCKS.values() for path in inputs)}
    assert list(problems({name: (ROOT / name).read_text(encoding="utf-8") for name in names})) == []
