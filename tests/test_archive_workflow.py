"""From `snakemake archive` on one machine to rendering and repeating the run on another one that has no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import making
import pytest
from fakes.ollama import FakeOllama
from workflow_project import Project

from ai_dev_tools.benchmark.archive import import_archives, unpack, verify

MODEL = "llama3.2:1b"
OFFLINE = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
"""A network of its own that has a loopback and nothing else."""

pytestmark = pytest.mark.slow


@dataclass
class Reviewer:
    """Someone who has the archive and nothing else: its own package, its own settings, no network."""

    folder: Path

    def command(self, *arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "src"), "SOURCE_DATE_EPOCH": "1700000000"}
        done = subprocess.run([*OFFLINE, sys.executable, "-m", *arguments], cwd=self.folder, env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = Project.create(tmp_path_factory.mktemp("project"))
    shutil.rmtree(project.folder / "config" / "tasks")
    making.write_task(
        project.folder / "config" / "tasks", *(making.case(f"case{n}") for n in range(7)), tools=["radon"]
    )
    with pytest.MonkeyPatch.context() as patch, FakeOllama(models=[MODEL]) as fake:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        said = project.run("--cores", "1", "archive", profile="light", endpoint=fake.url, samples=7)
        assert "VALID: the report belongs to the data: 21 samples" in said
        [made] = (project.folder / "results" / "light" / "archive").glob("*.crate.zip")
        first = made.read_bytes()
        made.unlink()
        project.run("--cores", "1", "archive", profile="light", endpoint=fake.url, samples=7)
        assert made.read_bytes() == first, "the same run, the same bytes"
    return made


@pytest.fixture(scope="module")
def reviewer(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reviewer]:
    if subprocess.run([*OFFLINE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("the network cannot be cut off here (unshare, ip)")
    folder = tmp_path_factory.mktemp("reviewer") / "run"
    unpack(archive, folder)
    return Reviewer(folder)


def test_it_is_rendered_again_without_network_to_the_same_bytes(reviewer: Reviewer) -> None:
    said = reviewer.command("snakemake", "--cores", "1", "report")
    assert "asking" not in said, "no model is asked"
    recorded, made = reviewer.folder / "recorded", reviewer.folder / "results" / "light"
    tables = sorted(path.name for path in (recorded / "tables").iterdir())
    assert tables
    for name in tables:
        assert (made / "tables" / name).read_bytes() == (recorded / "tables" / name).read_bytes(), name
    for name in ("report.json", "report.md", "report.csv", "report.txt", "report.xml", "report.html"):
        assert (made / "report" / name).read_bytes() == (recorded / "report" / name).read_bytes(), name
    for path in sorted((recorded / "figures").iterdir()):
        assert (made / "figures" / path.name).read_bytes() == path.read_bytes(), path.name


def test_its_notebook_runs_again(reviewer: Reviewer) -> None:
    reviewer.command("snakemake", "--cores", "1", "tables")
    reviewer.command("papermill", "--no-progress-bar", "recorded/report/report.ipynb", "again.ipynb")
    cells = json.loads((reviewer.folder / "again.ipynb").read_text())["cells"]
    assert sum(len(cell.get("outputs", [])) for cell in cells) > 5


def test_it_is_repeated_with_the_recorded_answers(reviewer: Reviewer) -> None:
    said = reviewer.command("snakemake", "--cores", "1", "report", "--config", "endpoint=replay")
    assert "asking 21 of 21 requests" in said
    before, after = (_answers(reviewer.folder / "results" / run) for run in ("light", "light@replay"))
    assert before == after
    assert len(before) == 21


def test_a_replay_recomputes_nothing_the_second_time(reviewer: Reviewer) -> None:
    reviewer.command("snakemake", "--cores", "1", "report", "--config", "endpoint=replay")
    assert "Nothing to be done" in reviewer.command(
        "snakemake", "--cores", "1", "report", "--config", "endpoint=replay"
    )


def test_an_archive_of_what_was_unpacked_holds_the_same_samples(reviewer: Reviewer, archive: Path) -> None:
    reviewer.command("snakemake", "--cores", "1", "archive")
    [again] = (reviewer.folder / "results" / "light" / "archive").glob("*.crate.zip")
    assert again.name == archive.name
    first, second = verify(archive).require(), verify(again).require()
    assert first.facts and second.facts
    assert (first.facts.blocks, first.facts.hardware) == (second.facts.blocks, second.facts.hardware)


def test_it_is_imported(archive: Path, tmp_path: Path) -> None:
    [line] = import_archives([archive], tmp_path / "out").lines
    assert "1 runs on 1 machines, 21 samples" in line


def _answers(run: Path) -> dict[tuple[str, int], tuple[object, ...]]:
    """What each request came to, times aside."""
    lines = [line for file in (run / "blocks").glob("*/*.jsonl") for line in file.read_text().splitlines()]
    samples = [json.loads(line) for line in lines]
    fields = ("case", "answer", "score", "input_tokens", "output_tokens", "status", "model_digest")
    return {(s["approach"], s["sample"]): tuple(map(str, (s[f] for f in fields))) for s in samples}
