"""Published runs: their archives stay valid, and their pages say what is in them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.archive import verify
from support.repository import ROOT

RESULTS = ROOT / "docs" / "results"
ARCHIVES = sorted(RESULTS.glob("*.crate.zip"))


def test_every_archive_has_a_page_that_the_index_links() -> None:
    pages = {archive.name.removesuffix(".crate.zip") for archive in ARCHIVES}
    assert pages
    assert pages == {page.stem for page in RESULTS.glob("*.md")} - {"index"}
    index = (RESULTS / "index.md").read_text()
    assert [page for page in pages if f"({page}.md)" not in index] == []


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
def test_a_published_archive_is_valid_and_its_page_says_its_verdicts(archive: Path) -> None:
    """Versions to come must read it, whatever they would draw differently."""
    assert verify(archive, report=False).ok
    with zipfile.ZipFile(archive) as crate:
        report = json.loads(crate.read("recorded/report/report.json"))
    page = (RESULTS / f"{archive.name.removesuffix('.crate.zip')}.md").read_text()
    sentences = [row["sentence"] for row in report["verdict_rows"] if row["task"] == "(all)"]
    assert sentences
    assert [sentence for sentence in sentences if sentence not in page] == []
