"""Published runs: their archives stay valid, and their pages say what is in them."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

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


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("publish_run", ROOT / "scripts" / "publish_run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _episodes(*models: str) -> dict[str, Any]:
    """The tables of a report on agents: a row over all tasks before that of each task, as reports have them."""
    places = [(model, task) for model in models for task in ("all tasks", "Navigation", "Safety")]
    values = {place: number / 10 for number, place in enumerate(places)}
    named = [({"model": m, "task": t, "approach": "agent"}, values[m, t]) for m, t in places]
    return {
        "metrics": {"rows": [{**where, "n": 24, "quality": value} for where, value in named]},
        "episodes": {"rows": [{**where, "turns_mean": value} for where, value in named]},
    }


def test_a_page_shows_episodes_over_all_tasks_and_of_each_model() -> None:
    *_, one = _script().episode_table(_episodes("m1"))
    assert one.startswith("| agent | 24 | 0.00 | 0.00 |")
    *_, first, second = _script().episode_table(_episodes("m1", "m2"))
    assert first.startswith("| agent (m1) | 24 | 0.00 | 0.00 |")
    assert second.startswith("| agent (m2) | 24 | 0.30 | 0.30 |")


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
def test_a_page_says_with_which_title_and_command_its_run_is_published_again(archive: Path) -> None:
    name = archive.name.removesuffix(".crate.zip")
    page = (RESULTS / f"{name}.md").read_text()
    title, command = _script().title_and_command(page)
    assert page.startswith(f"# {title}\n")
    assert f"```bash\n{_script().broken(command)}\n```" in page
    assert command.startswith("snakemake ")
