"""Links, paths and make targets in Markdown that lead nowhere are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import generated
from tools.check_links import GUIDES, Page, anchors, guides, in_repository, problems, slug, unlisted

MAIN = generated.repository()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in {
        "docs/link.md": "# Link\n\n## Waves: not all at once\n\n```sh\n# no heading\n```\n\n## Waves: not all at once\n",
        "docs/images/page.png": "",
        "roles/lamp/README.md": "# lamp\n",
        "plugins/modules/lamp.py": "",
        "README.md": "# Lamps\n",
    }.items():
        made = tmp_path / path
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(text, encoding="utf-8")
    return tmp_path


def found(root: Path, path: str, text: str) -> list[str]:
    (root / path).write_text(text, encoding="utf-8")
    return list(problems(Page(path, text), {"test", "docs"}, root))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("docs/cables.md", "[link](link.md) [waves](link.md#waves-not-all-at-once) [again](link.md#waves-not-all-at-once-1)"),
        (
            "docs/cables.md",
            "[`lamp`](../roles/lamp/README.md), ![page](images/page.png), [other](https://example.org/x), <https://example.org>",
        ),
        ("docs/cables.md", "# Cables\n\n[here](#cables)"),
        ("README.md", f"[link]({MAIN}/docs/link.md#link) [all]({MAIN}) [mail](mailto:a@example.org)"),
        ("README.md", f"![p]({MAIN.replace('/blob/', '/raw/')}/docs/images/page.png)"),
        ("docs/cables.md", "`[link](nowhere.md)` is code, `make test docs` works, so do `make` and `YES=1 make test`"),
        ("docs/cables.md", "`plugins/modules/lamp.py`, `plugins/modules/*.py`, `roles/NAME/tasks`, `tests/recordings/founders`"),
        ("docs/cables.md", "What they make of it is no target, neither is `make BENCH=1`."),
    ],
)
def test_what_leads_somewhere(root: Path, path: str, text: str) -> None:
    assert found(root, path, text) == []


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("docs/cables.md", "[link](lnk.md)", "lnk.md leads to nothing"),
        ("docs/cables.md", "[link](link.md#wave)", "leads to no heading"),
        ("docs/cables.md", "[link](link.md#no-heading)", "leads to no heading"),
        ("docs/cables.md", "[here](#there)", "leads to no heading"),
        ("docs/cables.md", f"[link]({MAIN}/docs/link.md)", "make it relative"),
        ("README.md", "[link](docs/link.md)", f"begin it with {MAIN}/"),
        ("README.md", f"[link]({MAIN}/docs/lnk.md)", "leads to nothing"),
        ("README.md", f"[link]({MAIN}/docs/link.md#wave)", "leads to no heading"),
        ("roles/lamp/README.md", "[link](../../docs/link.md)", "is relative"),
        ("docs/cables.md", "`make tset`", "there is no `make tset`"),
        ("docs/cables.md", "```console\n$ make test lights\n```", "there is no `make lights`"),
        ("docs/cables.md", "`plugins/modules/lamps.py`", "there is no plugins/modules/lamps.py"),
    ],
)
def test_what_leads_nowhere(root: Path, path: str, text: str, told: str) -> None:
    (line,) = found(root, path, text)
    assert told in line


def test_anchors_are_made_as_a_forge_makes_them() -> None:
    assert slug("Adding one more ...") == "adding-one-more-"
    assert slug("`stack_pair.yml`: a [run](x.md), its end") == "stack_pairyml-a-run-its-end"
    assert anchors('# A\n## A\n<a name="b"></a>\n') == {"a", "a-1", "b"}


def test_only_the_main_branch_of_this_repository_is_this_checkout() -> None:
    assert in_repository(f"{MAIN}/a.md#b") == "a.md#b"
    assert in_repository(MAIN.replace("/blob/main", "/issues")) is None
    assert in_repository("https://example.org/blob/main/a.md") is None


def test_a_guide_that_a_list_leaves_out_is_named(root: Path) -> None:
    listed = f"* `Link <{MAIN}/docs/link.md>`_: how\n"
    (root / GUIDES).parent.mkdir(parents=True)
    (root / GUIDES).write_text(listed, encoding="utf-8")
    (root / "README.md").write_text(f"[link]({MAIN}/docs/link.md#waves)", encoding="utf-8")
    assert guides(listed) == ["docs/link.md"]
    assert list(unlisted(root)) == []
    (root / "docs/new.md").write_text("# New\n", encoding="utf-8")
    assert list(unlisted(root)) == ["README.md: docs/new.md is not linked from it", f"{GUIDES}: docs/new.md is not linked from it"]
