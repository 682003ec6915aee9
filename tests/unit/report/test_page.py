"""The page in a browser: nothing cut, nothing foreign, the right numbers, quick, reachable by keyboard."""

from __future__ import annotations

import html as html_text
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.cable_report import picture
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.certificate import certificate
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.certificate import page as certificate_page
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.html import html
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.read import checked
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.write import report_text
from browser import CHROMIUM, MISSING, Browser
from lab_samples import CURVE, Lab, every_failure

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
HOSTILE = "<img src=x onerror=document.title='owned'>\u202e\x1b[31m\x9b\ufffe]]>--><script>document.title='owned'</script>\"'&"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    opened = Browser()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a lab with every kind of trouble."""
    return write(tmp_path_factory.mktemp("page") / "index.html", every_failure().report())


def write(path: Path, report: dict[str, Any]) -> Path:
    path.write_text(html(report, picture(report)), encoding="utf-8")
    return path


CUT = """(() => {
  const wide = document.documentElement.clientWidth, out = [];
  for (const item of document.querySelectorAll('main *, header *, footer *')) {
    if (item.closest('.scroll') || item.closest('thead') || !item.getClientRects().length) continue;
    const box = item.getBoundingClientRect();
    if (box.width && (box.right > wide + 1 || box.left < -1)) out.push(item.tagName + ': ' + item.textContent.slice(0, 60));
  }
  return out.slice(0, 5);
})()"""


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut(browser: Browser, everything: Path, width: int, scheme: str) -> None:
    page = browser.page(everything, width, scheme=scheme)
    page.js("document.querySelectorAll('details').forEach(item => item.open = true)")
    assert page.js("document.documentElement.scrollWidth") <= width
    assert page.js(CUT) == []
    page.close()


@needs_browser
def test_a_name_of_253_letters_cuts_nothing(browser: Browser, tmp_path: Path) -> None:
    report = Lab(1).report()
    text = report_text(report).replace("desk-01", "d" * 253).replace("pair_01", "p" * 200)
    path = write(tmp_path / "long.html", json.loads(text))
    for width in (1280, 390):
        page = browser.page(path, width)
        page.js("document.querySelectorAll('details').forEach(item => item.open = true)")
        assert page.js("document.documentElement.scrollWidth") <= width and page.js(CUT) == []
        page.close()


@needs_browser
@pytest.mark.parametrize(("scheme", "media"), [("light", ""), ("dark", ""), ("light", "print"), ("dark", "print")])
def test_text_can_be_told_from_its_background(browser: Browser, everything: Path, scheme: str, media: str) -> None:
    page = browser.page(everything, 1280, scheme=scheme, media=media)
    ratios = page.js(
        """(() => {
      const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
      const light = ([r, g, b]) => { const f = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
      const ground = item => { for (; item; item = item.parentElement) { const c = parse(getComputedStyle(item).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
      const low = [];
      for (const item of document.querySelectorAll('.v, .quiet, a, p, td, th, code, .missed, summary')) {
        const a = light(parse(getComputedStyle(item).color)), b = light(ground(item));
        const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (ratio < 4.5) low.push([item.className || item.tagName, ratio.toFixed(2)].join(' '));
      }
      return [...new Set(low)];
    })()"""  # noqa: E501
    )
    assert ratios == []
    page.close()


@needs_browser
def test_it_asks_for_nothing_and_runs_nothing(browser: Browser, everything: Path) -> None:
    page = browser.page(everything, 1280)
    assert page.requests() == [everything.as_uri()]
    assert page.js("document.scripts.length") == 0
    page.close()


@needs_browser
def test_a_hostile_desk_is_harmless(browser: Browser, tmp_path: Path) -> None:
    page = browser.page(write(tmp_path / "hostile.html", hostile().report()), 390)
    assert "owned" not in page.js("document.title")
    assert page.js("document.querySelectorAll('img, script, iframe, object, form, [onerror], [onload]').length") == 0
    assert page.js("document.body.textContent.includes('<img src=x onerror')"), "it is shown as the text that it is"
    assert (
        page.js("/[\\u202a-\\u202e\\u2066-\\u2069\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\ufffe]/.test(document.body.textContent)")
        is False
    )
    page.close()


def hostile() -> Lab:
    lab = Lab(1)
    lab.find("facts", "desk-01", finding("CX7_LINK_DOWN", Where(desk="desk-01"), HOSTILE, evidence={HOSTILE: HOSTILE}, severity="fail"))
    lab.facts("desk-01", kernel__running=HOSTILE, identity__product=HOSTILE, driver__module_version=HOSTILE)
    part = lab.parts["nccl"]["desk-01"]
    part.data["environment"] = {HOSTILE: {HOSTILE: HOSTILE}}  # type: ignore[index]
    part.data["hcas"] = {HOSTILE: [HOSTILE]}  # type: ignore[index]
    part.data["nccl_version"] = HOSTILE  # type: ignore[index]
    for desk in ("desk-01", "desk-02"):
        lab.parts["cable_map"][desk].data["edges"][0].update(vendor=HOSTILE, part=HOSTILE)
    return lab


@needs_browser
def test_the_charts_have_the_right_numbers_in_their_tables(browser: Browser, everything: Path) -> None:
    page = browser.page(everything, 1280)
    rows = page.js(
        """[...document.querySelectorAll('details.card')].filter(card => card.querySelector('.name').textContent == 'pair_02')[0]
        .querySelectorAll('section')[0].querySelectorAll('tbody tr')"""
        ".length"
    )
    assert rows == len(CURVE)
    script = """(() => { const card = [...document.querySelectorAll('details.card')].filter(c => c.querySelector('.name').textContent == 'pair_01')[0];
      const of = place => [...card.querySelectorAll('section')[place].querySelectorAll('tbody tr')].map(row => [...row.cells].map(cell => cell.textContent.trim()));
      return [of(0), of(1), [...card.querySelectorAll('svg')].map(item => item.getAttribute('aria-label')), card.querySelectorAll('svg')[0].querySelectorAll('circle').length]; })()"""  # noqa: E501
    nccl, rdma, labels, dots = page.js(script)
    assert [row[3] for row in nccl] == [f"{value:.2f}" for value in CURVE.values()] and dots == len(CURVE)
    assert nccl[-1][0] == "4 GiB" and nccl[-1][4] == "21.00" and nccl[-1][5].startswith("reached")
    assert nccl[0][4] == "-" and nccl[0][5] == "no mark"
    assert [row[1] for row in rdma][:3] == ["196.0 Gb/s", "196.0 Gb/s", "392.0 Gb/s"] and [row[2] for row in rdma][:3] == [
        "184.0",
        "184.0",
        "368.0",
    ]
    assert "21.6 GB/s at 4 GiB, mark 21" in labels[0] and "10" not in labels[0]
    page.close()


@needs_browser
def test_the_marks_are_drawn_where_they_belong(browser: Browser, everything: Path) -> None:
    """The curve lies above the mark's line exactly where the figure is above the mark."""
    page = browser.page(everything, 1280)
    script = """(() => { const points = line => line.getAttribute('points').split(' ').map(pair => pair.split(',').map(Number));
      return ['pair_01', 'pair_03'].map(name => { const card = [...document.querySelectorAll('details.card')].filter(c => c.querySelector('.name').textContent == name)[0];
        const svg = card.querySelector('svg'), curve = points(svg.querySelector('.line')), mark = points(svg.querySelector('polyline.mark'));
        return mark.map(([x, y]) => curve.filter(p => Math.abs(p[0] - x) < .2)[0][1] < y); }); })()"""  # noqa: E501
    good, slow = page.js(script)
    assert all(good) and not any(slow)
    page.close()


@needs_browser
def test_the_keyboard_reaches_everything(browser: Browser, everything: Path) -> None:
    page = browser.page(everything, 1280)
    wanted = page.js("document.querySelectorAll('a[href], summary, [tabindex=\"0\"]').length")
    page.key("Tab", 9)
    assert page.js("document.activeElement.textContent") == "Skip to the stacks"
    page.key("Enter", 13)
    assert page.js("location.hash") == "#stacks"
    visible = page.js("[...document.querySelectorAll('a[href], summary, [tabindex=\"0\"]')].every(item => item.tabIndex == 0)")
    assert wanted > 40 and visible
    # A closed stack opens with the keyboard, and a link into it opens it.
    page.js("[...document.querySelectorAll('details.card:not([open]) > summary')][0].focus()")
    page.key("Enter", 13)
    assert page.js("document.activeElement.parentElement.open") is True
    closed = page.js(
        "(() => { const body = document.querySelector('details.card:not([open]) .body'); location.hash = body.id; return body.id; })()"
    )
    page.js("new Promise(done => setTimeout(done, 300))")
    assert page.js(f"document.getElementById('{closed}').closest('details').open") is True
    page.close()


@needs_browser
def test_a_hundred_stacks_stand_in_under_two_seconds(browser: Browser, tmp_path: Path) -> None:
    path = write(tmp_path / "big.html", with_trend(every_failure(100).report()))
    assert path.stat().st_size < 2_000_000
    page = browser.page(path, 1280)
    assert page.work < 2.0, (page.work, page.seconds)
    page.close()


@needs_browser
def test_paper_has_everything_that_is_open(browser: Browser, everything: Path, tmp_path: Path) -> None:
    page = browser.page(everything, 1280)
    paper = page.pdf()
    assert paper.startswith(b"%PDF") and 3 <= _pages(paper) <= 20
    page.close()


@needs_browser
def test_a_certificate_is_one_page(browser: Browser, tmp_path: Path) -> None:
    report = checked(json.loads(report_text(every_failure().report())), "report")
    path = tmp_path / "certificate.html"
    path.write_text(certificate_page(certificate(report, "pair_05", "a" * 64, True)), encoding="utf-8")
    opened = browser.page(path, 1280)
    assert _pages(opened.pdf()) == 1
    opened.close()
    for width in (1280, 390):
        opened = browser.page(path, width)
        assert opened.js("document.documentElement.scrollWidth") <= width and opened.js(CUT) == []
        opened.close()


def _pages(paper: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", paper)) or len(re.findall(rb"/Type\s*/Page\b", b"".join(_streams(paper))))


def _streams(paper: bytes) -> Iterator[bytes]:
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", paper, re.S):
        try:
            yield zlib.decompress(found.group(1))
        except zlib.error:
            continue


def with_trend(report: dict[str, Any]) -> dict[str, Any]:
    """Twenty earlier runs in every stack, as the history adds them."""
    for stack in report["stacks"]:
        values = {
            item["id"]: item["value"] for item in stack["figures"] if ".sum." in item["id"] or item["id"] in stack["headline"].values()
        }
        stack["trend"] = [
            {"run": f"202611{day:02d}T101500Z-aaaa", "started": f"2026-11-{day:02d}T10:15:00Z", "verdict": "PASS", "values": values}
            for day in range(1, 21)
        ]
    return report


def test_the_page_says_what_the_report_says() -> None:
    report = every_failure().report()
    text = html_text.unescape(re.sub(r"<[^>]+>", " ", html(report)))
    text = " ".join(text.split())
    assert "5 stacks FAIL" in text and "1 stack UNKNOWN" in text and "1 stack out of service" in text
    assert "its stack pair_02 is FAIL" in text, "a healthy desk of a failing stack says so"
    assert "pair pair_" not in text and "stack pair_" not in text.replace("its stack pair_", "")
    for code in ("RDMA_SLOW_13G", "NCCL_SOCKET_FALLBACK", "DESK_UNREACHABLE", "PAIR_BUSY"):
        assert f"{code} : " in text, f"{code} is explained"
    order = [text.index(f" {name} desk-") for name in ("pair_02", "pair_07", "pair_05", "pair_01")]
    assert order == sorted(order), "worst first"


def test_report_json_of_a_hundred_pairs_is_small() -> None:
    report = with_trend(every_failure(100).report())
    assert len(report_text(report).encode()) < 5_000_000


def test_the_page_without_the_build_is_harmless_too() -> None:
    """A report from elsewhere did not pass our build."""
    report = hostile().report()
    report["desks"][0]["name"] = HOSTILE
    report["pairs"][0]["name"] = report["stacks"][0]["name"] = HOSTILE
    report["pairs"][0]["members"][0]["desk"] = HOSTILE
    report["run"]["playbook"] = HOSTILE
    for item in with_trend(report)["stacks"][0]["figures"]:
        item["unit"] = item["title"] = HOSTILE
    page = html(report, "")
    assert "<script>" not in page and "<img" not in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ufffe]", page)
