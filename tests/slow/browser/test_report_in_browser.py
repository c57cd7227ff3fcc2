"""Reports, comparisons and batches in a real browser, opened from disk as their readers do.

Needs a Chromium (`CHROMIUM`, default /usr/bin/chromium) and the packages playwright and axe-playwright-python, which
ships axe-core. What is not there is skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.comparison import write_batch_report, write_comparison
from ai_dev_tools.benchmark.comparison.run import open_run
from ai_dev_tools.benchmark.config.batches import Batch
from ai_dev_tools.benchmark.records.sample import Sample
from ai_dev_tools.benchmark.reporting import browser as browsing
from ai_dev_tools.benchmark.reporting.render import render_report
from support.report_runs import Run, fail, make_run

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
AXE = Path(pytest.importorskip("axe_playwright_python").__file__).with_name("axe.min.js")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no browser at {CHROMIUM}; set CHROMIUM"),
]
WIDTHS, THEMES = (1280, 375), ("light", "dark")
HOSTILE = (
    "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"
    "<style>*{display:none}</style>\x00\x1b[2J\u202e\u2028" + "long" * 5000
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    def sometimes_fails(sample: Sample) -> Sample:
        return fail(sample, message="<b>refused</b>") if sample.sample == 2 and sample.approach == "tools" else sample

    run = make_run(
        tmp_path_factory.mktemp("run"), samples=9, models=("llama3.2:1b", "llama3.2:3b"), change=sometimes_fails
    )
    render_report(run.inputs, run.folder / "report", run.folder / "figures")
    return run


@pytest.fixture(scope="module")
def overviews(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison and a batch of the run with one of a small model only."""
    folder = tmp_path_factory.mktemp("overviews")
    make_run(folder / "small", samples=4, profile="small", models=("llama3.2:1b",))
    runs = [open_run(folder / "small"), open_run(run.folder, name="light")]
    write_comparison(runs[0], runs[1], folder / "comparison", "baseline")
    batch = Batch(description="Two sizes", profiles=("small", "light"), samples=4)
    write_batch_report("two", batch, runs, folder / "batch", "baseline")
    return folder


class Opened:
    """A page opened from disk, and everything that went wrong on it."""

    def __init__(self, chromium: Any, file: Path, width: int = 1280, theme: str = "light") -> None:
        self.context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: self.errors.append(f"dialog: {dialog.message}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("#browser tbody tr" if file.name == "report.html" else "main table")

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.fixture
def page(chromium: Any, run: Run) -> Iterator[Any]:
    with Opened(chromium, run.folder / "report" / "report.html") as opened:
        yield opened.page
        assert opened.errors == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_an_error_and_shows_verdicts_without_scrolling(
    chromium: Any, run: Run, width: int, theme: str
) -> None:
    with Opened(chromium, run.folder / "report" / "report.html", width, theme) as opened:
        box = opened.page.locator(".card .word").first.bounding_box()
        assert box["y"] + box["height"] < 800
        assert opened.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert opened.page.evaluate("document.documentElement.dataset.theme") == theme
        assert all(url.startswith("file:") for url in opened.requests)
        assert opened.errors == []


def test_the_theme_can_be_switched(page: Any) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(paper)
    page.click("#theme")
    assert page.evaluate(paper) != before


def test_a_table_sorts_by_number_both_ways_with_missing_values_last(page: Any) -> None:
    cells = "Array.from(document.querySelectorAll('[data-id=metrics] tbody tr'), r => r.cells[7].dataset.v)"
    head = page.locator("[data-id=metrics] thead th").nth(7)
    for way in ("ascending", "descending"):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == way
        values = [float(value) for value in page.evaluate(cells) if value != ""]
        assert len(values) > 5
        assert values == sorted(values, reverse=way == "descending")
        assert [value == "" for value in page.evaluate(cells)] == sorted(value == "" for value in page.evaluate(cells))


def test_a_table_filters_by_words_and_says_how_many_rows_are_left(page: Any) -> None:
    block = page.locator("#table-metrics")
    every = block.locator("tbody tr").count()
    block.locator(".filter").fill("no_context llama3.2:3b")
    shown = block.locator("tbody tr:visible")
    assert 0 < shown.count() < every
    assert all("no_context" in text and "llama3.2:3b" in text for text in shown.all_inner_texts())
    assert block.locator(".count").inner_text() == f"{shown.count()} of {every} rows"


def test_what_a_table_and_a_figure_show_can_be_saved(page: Any) -> None:
    with page.expect_download() as table:
        page.locator("#table-metrics .csv").click()
    assert Path(table.value.path()).read_text().startswith("Model,Task,Approach,Samples,")
    with page.expect_download() as data:
        page.locator("#figure-forest-tools .figure-csv").click()
    assert Path(data.value.path()).read_text().startswith("panel,label,model,task,ratio,low,high")
    with page.expect_download() as picture:
        page.locator("#figure-forest-tools .figure-svg").click()
    assert "var(--" not in Path(picture.value.path()).read_text()


def test_the_sample_browser_filters_pages_and_shows_one_sample_with_its_arms(page: Any) -> None:
    browser = page.locator("#browser")
    assert "108 of 108 samples" in browser.inner_text()
    browser.get_by_label("Approach").select_option("tools")
    browser.get_by_label("Status").select_option("failed")
    assert "4 of 108 samples" in browser.inner_text()
    browser.locator("button.open").first.click()
    detail = page.locator("#sample-detail")
    detail.locator(".arms").wait_for()
    assert "connection: <b>refused</b>" in detail.inner_text()
    assert detail.locator(".arm").count() == 3
    detail.locator(".arm button", has_text="baseline").click()
    page.wait_for_selector("#sample-detail h3:has-text('/baseline/')")
    assert detail.locator("table").first.locator("tbody tr").count() == 2
    detail.locator("summary", has_text="Prompt").click()
    detail.locator("details pre").first.wait_for()
    assert "baseline of " in detail.inner_text()


def test_a_link_leads_to_one_sample(chromium: Any, run: Run) -> None:
    with Opened(chromium, run.folder / "report" / "report.html") as opened:
        opened.page.evaluate("location.hash = 'sample=' + encodeURIComponent('llama3.2:3b/repo_analysis/tools/5')")
        opened.page.wait_for_selector("#sample-detail h3:has-text('llama3.2:3b/repo_analysis/tools/5')")
        assert opened.errors == []


def test_a_count_of_errors_leads_to_those_samples(page: Any) -> None:
    row = page.locator("#table-errors tbody tr", has_text="llama3.2:3b").first
    assert "<b>refused</b>" in row.inner_text()
    row.locator("a").click()
    browser = page.locator("#browser")
    page.wait_for_function("document.querySelector('#browser .count').textContent.startsWith('1 of')")
    assert browser.get_by_label("Status").input_value() == "failed"
    assert browser.get_by_label("Model").input_value() == "llama3.2:3b"
    browser.locator("button.open").click()
    page.wait_for_selector("#sample-detail .notice.error")


def test_a_figure_shows_the_value_under_the_pointer_and_its_saved_picture_keeps_it(page: Any) -> None:
    tip, mark = page.locator(".tip"), page.locator("#figure-forest-tools [data-tip]").first
    assert not tip.is_visible()
    mark.hover(force=True)
    assert tip.is_visible()
    assert tip.inner_text() == mark.get_attribute("data-tip")
    assert "ratio 0." in tip.inner_text()
    page.mouse.move(1, 1)
    assert not tip.is_visible()
    with page.expect_download() as picture:
        page.locator("#figure-forest-tools .figure-svg").click()
    assert "ratio 0." in Path(picture.value.path()).read_text().split("<title")[1]


def test_rows_that_settle_nothing_are_shown_by_a_box_and_by_a_filter(chromium: Any, tmp_path: Path) -> None:
    few = make_run(tmp_path, samples=3)
    render_report(few.inputs, tmp_path / "report", tmp_path / "figures")
    with Opened(chromium, tmp_path / "report" / "report.html") as opened:
        block = opened.page.locator("#table-comparisons")
        rows, shown = block.locator("tbody tr").count(), block.locator("tbody tr:visible")
        quiet = block.locator("tbody tr.quiet").count()
        assert quiet > 10
        assert shown.count() == rows - quiet
        assert block.locator(".count").inner_text() == f"{rows - quiet} of {rows} rows"
        block.locator(".every").check()
        assert shown.count() == rows
        block.locator(".every").uncheck()
        block.locator(".filter").fill("only 3 clusters")
        assert shown.count() > 10
        assert opened.errors == []


def fits_on_paper(page: Any) -> bool:
    """Whether no table is cut at the right edge of an A4 page with narrow margins."""
    page.set_viewport_size({"width": 760, "height": 1000})
    fits: bool = page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    return fits


def violations(opened: Opened) -> list[Any]:
    """What axe finds that is serious, everything unfolded."""
    opened.page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    session = opened.context.new_cdp_session(opened.page)  # the page's own security policy allows no foreign script
    session.send("Runtime.evaluate", {"expression": AXE.read_text()})
    found = opened.page.evaluate("axe.run().then((r) => r.violations.map((v) => [v.impact, v.id, v.nodes[0].html]))")
    return [violation for violation in found if violation[0] in ("serious", "critical")]


needs_axe = pytest.mark.skipif(not AXE.exists(), reason="axe-playwright-python ships no axe.min.js")


@needs_axe
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_no_serious_accessibility_violation(chromium: Any, run: Run, width: int, theme: str) -> None:
    with Opened(chromium, run.folder / "report" / "report.html", width, theme) as opened:
        opened.page.locator("#browser button.open").first.click()
        opened.page.wait_for_selector("#sample-detail .arms")
        assert violations(opened) == []


@needs_axe
@pytest.mark.parametrize("kind", ["comparison", "batch"])
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (375, "dark")])
def test_an_overview_opens_without_an_error_fits_its_screen_and_can_be_read_by_everyone(
    chromium: Any, overviews: Path, kind: str, width: int, theme: str
) -> None:
    with Opened(chromium, overviews / kind / "overview.html", width, theme) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert opened.page.evaluate("document.documentElement.dataset.theme") == theme
        assert all(url.startswith("file:") for url in opened.requests)
        assert opened.page.locator("figure svg").count() >= 3
        assert violations(opened) == []
        assert opened.errors == []


def test_an_overview_sorts_filters_and_saves_its_tables_and_figures(chromium: Any, overviews: Path) -> None:
    with Opened(chromium, overviews / "comparison" / "overview.html") as opened:
        page = opened.page
        page.locator("[data-id=arms] thead button", has_text="Quality").click()
        cells = "Array.from(document.querySelectorAll('[data-id=arms] tbody tr'), r => Number(r.cells[5].dataset.v))"
        assert page.evaluate(cells) == sorted(page.evaluate(cells))
        block = page.locator("#table-arms")
        block.locator(".filter").fill("no_context small")
        assert block.locator("tbody tr:visible").count() == 1
        with page.expect_download() as data:
            page.locator("#figure-scaling .figure-csv").click()
        assert Path(data.value.path()).read_text().startswith("panel,run,approach,model,size,value")
        assert opened.errors == []


def test_an_overview_on_paper_is_light_and_whole(chromium: Any, overviews: Path) -> None:
    with Opened(chromium, overviews / "batch" / "overview.html", theme="dark") as opened:
        opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        opened.page.emulate_media(media="print")
        assert opened.page.evaluate("document.documentElement.dataset.theme") == "light"
        assert not opened.page.locator("#theme").is_visible()
        assert opened.page.locator("#table-arms tbody tr").last.is_visible()
        assert fits_on_paper(opened.page)


def test_a_hostile_answer_neither_runs_nor_breaks_the_layout(chromium: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path, samples=2, response=HOSTILE, change=lambda s: fail(s, message=HOSTILE) if s.sample else s)
    render_report(run.inputs, tmp_path / "report", tmp_path / "figures")
    with Opened(chromium, tmp_path / "report" / "report.html") as opened:
        page = opened.page
        for number in (0, -1):
            page.locator("#browser button.open").nth(number).click()
            page.wait_for_selector("#sample-detail .arms")
            assert "window.hacked=1" in page.locator("#sample-detail").inner_text()
            assert page.evaluate("window.hacked") is None
            assert page.locator("#browser img").count() == 0
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert opened.errors == []


def test_a_large_run_loads_its_samples_from_files_next_to_the_page(
    chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai_dev_tools.benchmark.reporting.render.MOST_INLINE_SAMPLES", 10)
    run = make_run(tmp_path, samples=4)
    render_report(run.inputs, tmp_path / "report", tmp_path / "figures")
    with Opened(chromium, tmp_path / "report" / "report.html") as opened:
        opened.page.locator("#browser button.open").last.click()
        opened.page.wait_for_selector("#sample-detail .arms")
        opened.page.locator("#sample-detail summary", has_text="Prompt").click()
        opened.page.locator("#sample-detail details pre").first.wait_for()
        loaded = {url.rsplit("/", 1)[1] for url in opened.requests if browsing.FOLDER in url}
        assert loaded == {"index.js", "samples-0.js", "prompts-0.js"}
        assert opened.errors == []


def test_paper_shows_every_part_unfolded_in_light_colours(chromium: Any, run: Run) -> None:
    with Opened(chromium, run.folder / "report" / "report.html", theme="dark") as opened:
        opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        opened.page.emulate_media(media="print")
        assert opened.page.evaluate("document.documentElement.dataset.theme") == "light"
        assert opened.page.locator("#methods dd").first.is_visible()
        assert not opened.page.locator("#theme").is_visible()
        assert fits_on_paper(opened.page)
