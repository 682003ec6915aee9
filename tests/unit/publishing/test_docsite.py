"""Pages of the repository as pages of the docsite."""

from __future__ import annotations

from tools import generated
from tools.docsite import front, guide, index

MAIN = generated.repository()


def test_a_guides_links_stay_or_go_to_the_repository() -> None:
    assert (
        guide("[a](link.md#b) ![p](images/p.png) [c](https://example.org)") == "[a](link.md#b) ![p](images/p.png) [c](https://example.org)"
    )
    assert guide("[e](examples/e.yml)") == f"[e]({MAIN}/docs/examples/e.yml)"
    assert guide("[r](../README.md) and [c](../CONTRIBUTING.md#x)") == f"[r]({MAIN}/README.md) and [c]({MAIN}/CONTRIBUTING.md#x)"


def test_the_first_pages_links_to_guides_stay_on_the_site() -> None:
    raw = MAIN.replace("/blob/", "/raw/")
    assert front(f"[a]({MAIN}/docs/link.md#b) ![p]({raw}/docs/images/p.png)") == "[a](guides/link.md#b) ![p](guides/images/p.png)"
    assert front(f"[l]({MAIN}/LICENSE) [d]({MAIN}/docs)") == f"[l]({MAIN}/LICENSE) [d]({MAIN}/docs)"


def test_the_menu_names_every_guide() -> None:
    assert "\nguides/enrol\nguides/own\n" in index(["enrol", "own"])
