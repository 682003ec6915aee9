"""What the generators of documentation share, and what makes a role's README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import generated, roles_doc


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Runs C(labops.dgx_spark.spark_facts) once.", "Runs `labops.dgx_spark.spark_facts` once."),
        (["One.", "Two\n  lines."], "One. Two lines."),
        ("B(never) I(always) V(absent) O(state=absent)", "**never** *always* `absent` `state=absent`"),
        ("V(foo(bar\\)) and RV(ansible_facts.spark)", "`foo(bar)` and `ansible_facts.spark`"),
        ("L(guide, https://example.org/a) U(https://example.org/b)", "[guide](https://example.org/a) <https://example.org/b>"),
        ("a UUID(1) is no markup", "a UUID(1) is no markup"),
    ],
)
def test_ansibles_markup_becomes_markdown(text: str | list[str], shown: str) -> None:
    assert generated.markdown(text) == shown


@pytest.mark.parametrize(
    ("default", "shown"),
    [(None, ""), ("", ""), (False, "`false`"), (10, "`10`"), ([], "`[]`"), (["a", 1], "`[a, 1]`"), ({"a": "b"}, "`{a: b}`"), ("x", "`x`")],
)
def test_defaults_are_shown_as_yaml_writes_them(default: Any, shown: str) -> None:
    assert generated.value(default) == shown


def test_check_names_what_is_stale_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generated, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    assert generated.main("", lambda: {page: "new"}, ["--check"]) == 1
    assert capsys.readouterr().err == "page.md is missing: run make docs\n"
    assert generated.main("", lambda: {page: "new"}, []) == 0
    assert page.read_text(encoding="utf-8") == "new"
    assert generated.main("", lambda: {page: "newer"}, ["--check"]) == 1
    assert "page.md is stale" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "new"


def test_a_role_without_a_file_is_named(tmp_path: Path) -> None:
    made = role(tmp_path)
    (made / "meta/main.yml").unlink()
    with pytest.raises(SystemExit, match=r"lamp: meta/main\.yml is missing"):
        roles_doc.document(made)


def role(folder: Path, **main: Any) -> Path:
    """A role with one entry point."""
    made = folder / "lamp"
    for name, data in {
        "meta/main.yml": {"galaxy_info": {"description": "Light"}},
        "meta/argument_specs.yml": {"argument_specs": {"main": {"short_description": "Switch it on", "description": ["Now."], **main}}},
        "tasks/main.yml": [{"name": "Switch", "labops.dgx_spark.lamp": {}, "register": "lamp_result"}],
    }.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return made


def test_a_readme_tells_variables_result_and_example(tmp_path: Path) -> None:
    options = {"lamp_level": {"type": "int", "default": 3, "choices": [1, 3], "description": "How C(bright) | dark."}}
    text = roles_doc.document(role(tmp_path, options=options))
    assert "| `lamp_level` | int: `1`, `3` | `3` | How `bright` \\| dark. |" in text
    assert "The result is registered as `lamp_result` (see `ansible-doc labops.dgx_spark.lamp`)." in text
    assert "    name: labops.dgx_spark.lamp\n" in text


def test_a_readme_takes_the_roles_own_example(tmp_path: Path) -> None:
    text = roles_doc.document(role(tmp_path, examples="- name: Mine\n  hosts: all\n"))
    assert "```yaml\n- name: Mine\n  hosts: all\n```" in text
    assert "import_role" not in text
