"""Comparisons and batches of runs that say anything at all: their pages neither run nor forge it."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.comparison import write_batch_report, write_comparison
from ai_dev_tools.benchmark.comparison.run import StoredRun
from ai_dev_tools.benchmark.config.batches import Batch
from support.report_runs import fail, make_stored


class Shape(HTMLParser):
    """Elements and attributes as a browser would take them, pictures left out."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>\x00\x1b[31m\u202e\u2028-->]]>{{ 7 * 7 }}{% raw %}$x^2$",
    "=HYPERLINK('http://evil')| forged | row |\n| --- | --- |\n\n# forged",
)


def pages_with(folder: Path, text: str) -> Path:
    """A comparison and a batch of runs in which everything that comes from outside says `text`."""
    runs = []
    for name in ("light", "medium"):
        run = make_stored(folder, name, samples=2, change=lambda s: fail(s, name=text, message=text) if s.sample else s)
        for column in ("model", "case", "endpoint_version", "model_digest", "task"):
            run.samples[column] = text + run.samples[column].astype(str)
        verdicts = [{**row, "models": text, "sentence": text, "reasons": text, "scope": text} for row in run.verdicts]
        session = {"hardware": {"cpu": text, "gpus": [{"name": text}]}, "model": {"tag": text, "quantization": text},
                   "asked": {"options": {text: text}}}  # fmt: skip
        runs.append(StoredRun(name + text, run.samples, run.plans, verdicts, [session]))
    write_comparison(runs[0], runs[1], folder / "comparison", "baseline")
    batch = Batch(description=text, profiles=(text, "b"), samples=2)
    write_batch_report(text, batch, runs, folder / "batch", "baseline")
    return folder


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pages_with(tmp_path_factory.mktemp("calm"), "harmless")


@pytest.mark.parametrize("text", HOSTILE)
def test_what_comes_from_outside_neither_runs_nor_forges_anything(tmp_path: Path, calm: Path, text: str) -> None:
    folder = pages_with(tmp_path, text)
    for page in ("comparison", "batch"):
        found, plain = (Shape((root / page / "overview.html").read_text()) for root in (folder, calm))
        assert (found.tags, found.attributes) == (plain.tags, plain.attributes)
        written, calmly = ((root / page / "overview.md").read_text() for root in (folder, calm))
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e\u2028]", written)
        for start in ("# ", "## ", "### ", "| "):
            assert written.count(f"\n{start}") == calmly.count(f"\n{start}")
        for table in (folder / page).glob("*.csv"):
            for cells in csv.reader(io.StringIO(table.read_text())):
                assert not any(cell.lstrip().startswith(("=", "+", "@")) for cell in cells)
