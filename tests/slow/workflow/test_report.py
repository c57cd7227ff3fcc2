"""A batch of one's own through Snakemake, over a fake Ollama: its estimate, its page, and Snakemake's own report of it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.ollama import FakeOllama
from support.project import make_project
from support.workflow_project import Project

pytestmark = pytest.mark.slow
OWN = """
batches:
  mine: {description: Two profiles, profiles: [light, medium], samples: 2, nominal_minutes: [0.5, 1]}
"""
FILES = ("--configfile", "config/config.yaml", "own.yaml")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with FakeOllama(models=["llama3.2:1b", "llama3.2:3b"]) as fake:
        section = f'[tool.ai-dev-tools.benchmark]\nendpoint = "{fake.url}"\n'
        folder = make_project(tmp_path_factory.mktemp("own") / "p", ("safety_assessment",), section)
        (folder / "own.yaml").write_text(OWN)
        yield Project(folder)


@pytest.fixture(scope="module")
def printed(project: Project) -> str:
    """What a run of the batch prints, with a comparison of its members."""
    return project.run("batch", "compare", *FILES, "--cores", "2", batch="mine", compare="light,medium")


def test_a_batch_says_what_it_expects_before_it_starts(printed: str) -> None:
    line = "batch mine: 18 of 18 requests to ask; estimate none: nothing was measured on this machine yet; nominal 0.5-1 min"
    assert line in printed
    assert printed.index(line) < printed.index("Select jobs to execute")


def test_a_second_look_knows_how_long_it_takes(project: Project, printed: str) -> None:
    again = project.run("batch", *FILES, "--cores", "2", "-n", batch="mine")
    assert "batch mine: 0 of 18 requests to ask; estimate about 0 s; nominal 0.5-1 min" in again


def test_a_batch_and_a_comparison_have_their_pages(project: Project, printed: str) -> None:
    results = project.folder / "results"
    batch = json.loads((results / "batches" / "mine" / "overview.json").read_text())
    assert batch["requests"] == 18
    assert [row["run"] for row in batch["page"]["tables"]["time-taken"]["rows"]] == ["light", "medium"]
    comparison = json.loads((results / "comparison" / "light__medium" / "overview.json").read_text())
    identity = {row["what"]: row for row in comparison["page"]["tables"]["identity"]["rows"]}
    assert identity["Measured on"]["change"] == "same"
    assert identity["Prompts"]["change"] == "same"
    changes = {row["value"] for row in comparison["changes_between_the_runs"] if row["comparison"] == "tokens"}
    assert changes == {1.0}


def test_snakemakes_own_report_holds_pages_tables_and_figures_with_captions_and_labels(
    project: Project, printed: str
) -> None:
    project.run("batch", "compare", *FILES, "--report", "report.zip", batch="mine", compare="light,medium")
    with zipfile.ZipFile(project.folder / "report.zip") as archive:
        names = [Path(name).name for name in archive.namelist()]
        page = next(archive.read(name).decode() for name in archive.namelist() if name == "report/report.html")
        table = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("/verdicts.html"))
    assert names.count("report.html") == 3  # Snakemake's page, and one of each profile
    assert names.count("overview.html") == 2
    for name in (
        "verdicts.html",
        "metrics.html",
        "comparisons.html",
        "validity.html",
        "pareto.svg",
        "forest-tools.svg",
    ):
        assert names.count(name) == 2
    assert "effects-forest.svg" in names
    for category in ("Report", "Tables", "Figures", "Comparisons", "Batches"):
        assert f'"{category}"' in page
    for caption in ("The verdicts: one row per claim and model", "up and to the left is better", "compared with"):
        assert caption in page
    assert "tokens:tools" in table
    assert "A table of the report." not in page  # every table and figure has a caption of its own
    assert "A figure of the report." not in page
