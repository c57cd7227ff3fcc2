"""From `snakemake archive` on one machine to rendering and repeating the run on another one that has no network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from ai_dev_tools.benchmark.archive import unpack, verify
from ai_dev_tools.benchmark.comparison.pool import import_archives
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.table_files import read_table
from fakes.ollama import FakeOllama
from support import making
from support.workflow_project import Project

MODEL = "llama3.2:1b"
LOOPBACK = 'PATH="$PATH:/usr/sbin:/sbin" ip link set lo up && exec "$@"'
OFFLINE = ("unshare", "--map-root-user", "--net", "sh", "-c", LOOPBACK, "sh")
"""A network of its own that has a loopback and nothing else."""

pytestmark = pytest.mark.slow


@dataclass
class Reviewer:
    """Someone who has the archive and nothing else: its own package, its own settings, no network."""

    folder: Path

    def command(self, *arguments: str, fails: bool = False) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder.parent),
            "PYTHONPATH": str(self.folder / "src"),
            "SOURCE_DATE_EPOCH": "1700000000",
        }
        done = subprocess.run([*OFFLINE, sys.executable, "-m", *arguments], cwd=self.folder, env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False)  # fmt: skip
        assert bool(done.returncode) == fails, done.stdout[-4000:]
        return done.stdout


@dataclass
class Author:
    """Someone who made a run (of a fake model) and archived it; the fake is gone by now."""

    project: Project
    settings: dict[str, object]

    @property
    def run(self) -> Path:
        return self.project.folder / "results" / "light"

    @property
    def archive(self) -> Path:
        [made] = (self.run / "archive").glob("*.crate.zip")
        return made


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Author:
    project = Project.create(tmp_path_factory.mktemp("project"))
    shutil.rmtree(project.folder / "config" / "tasks")
    making.write_task(
        project.folder / "config" / "tasks", *(making.case(f"case{n}") for n in range(7)), tools=["radon"]
    )
    with pytest.MonkeyPatch.context() as patch, FakeOllama(models=[MODEL]) as fake:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        author = Author(project, {"profile": "light", "endpoint": fake.url, "samples": 7})
        said = project.run("--cores", "1", "archive", **author.settings)
        assert "VALID: the report belongs to the data: 21 samples" in said
    return author


@pytest.fixture(scope="module")
def archive(author: Author) -> Path:
    return author.archive


def test_the_command_line_archives_the_same_run_to_the_same_bytes(author: Author) -> None:
    first = author.archive.read_bytes()
    author.archive.unlink()
    words = [
        "archive",
        "--json",
        *(word for key, value in author.settings.items() for word in (f"--{key}", str(value))),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "ai_dev_tools.cli.benchmark_cli", *words],
        cwd=author.project.folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["archive"] == str(author.archive)
    assert said["command"].startswith("snakemake archive --config profile=light")
    assert f"$ {said['command']}" in done.stderr
    assert author.archive.read_bytes() == first, "the same run, the same bytes"


def test_a_run_is_compared_with_its_replay(author: Author) -> None:
    author.project.run("--cores", "1", "compare", compare="light,light@replay", **author.settings)
    folder = author.project.folder / "results" / "comparison" / "light__light@replay"
    overview = json.loads((folder / "overview.json").read_text())
    assert overview["repetition"][-1] == "of 21 requests that both asked, nothing differs"
    changed = [line for line in overview["repetition"] if " before, " in line]
    assert overview["verdicts_hold"] == (not changed)
    # on a busy machine, times can be void in one of the two runs; what both asked is the same on any machine
    assert all(line.startswith("time:") for line in changed), changed
    assert "Request by request" in (folder / "overview.html").read_text()
    before, after = (_figures(author.project.folder / "results" / run) for run in ("light", "light@replay"))
    for name, table in before.items():
        assert len(table)
        pd.testing.assert_frame_equal(table, after[name], check_exact=True, obj=name)


OF_A_CLOCK = {"s", "tokens/s", "1/s", "cores", "bytes", "requests"}
"""Units of figures that two runs of the same requests need not share."""


def _figures(run: Path) -> dict[str, pd.DataFrame]:
    """Every figure of a run that no clock decides: samples, metrics, comparisons, and verdicts on tokens and quality."""
    tables = {name: read_table(run / "tables" / f"{name}.csv") for name in paths.TABLE_NAMES}
    known = tables["definitions"]
    timed = set(known.loc[known["unit"].isin(OF_A_CLOCK), "name"]) | {"efficiency_score"}
    samples, verdicts = tables["samples"], tables["verdicts"]
    quality = [
        name for name in verdicts if "quality" in name or name.startswith(("worst_task", "floor_p", "own_floor_p"))
    ]
    of_time = {
        name for name in samples if name.endswith("_s") or name.startswith(("server_", "endpoint_", "other_cpu"))
    }
    figures = {
        "samples": samples.drop(columns=[*of_time, "session", "started_at", "in_flight", "flags"], errors="ignore"),
        "metrics": tables["metrics"].loc[~tables["metrics"]["metric"].isin(timed)],
        "comparisons": tables["comparisons"].loc[~tables["comparisons"]["comparison"].isin(timed)],
        "verdicts on tokens": verdicts.loc[verdicts["outcome"] == "tokens"],
        "quality behind verdicts": verdicts[["claim", "models", "task", *quality]],
    }
    # p-values adjusted over a family that claims about time belong to, and whose run it is
    shared = ["p_adjusted", "profile", "run"]
    return {name: table.drop(columns=shared, errors="ignore").reset_index(drop=True) for name, table in figures.items()}


@pytest.fixture(scope="module")
def reviewer(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reviewer]:
    if not shutil.which("unshare"):
        pytest.skip("no unshare to cut the network off with: install util-linux")
    tried = subprocess.run([*OFFLINE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"the network cannot be cut off here (unshare, and ip of iproute2): {tried.stderr.strip()}")
    folder = tmp_path_factory.mktemp("reviewer") / "run"
    unpack(archive, folder)
    return Reviewer(folder)


def test_it_is_rendered_again_without_network_to_the_same_bytes(reviewer: Reviewer) -> None:
    said = reviewer.command("snakemake", "--cores", "1", "report")
    assert "asking" not in said, "no model is asked"
    assert not {"run_block", "collect_contexts", "fetch_corpus"} & set(re.findall(r"rule (\w+):", said))
    recorded, made = reviewer.folder / "recorded", reviewer.folder / "results" / "light"
    tables = sorted(path.name for path in (recorded / "tables").iterdir())
    assert tables
    for name in tables:
        assert (made / "tables" / name).read_bytes() == (recorded / "tables" / name).read_bytes(), name
    for name in ("report.json", "report.md", "report.csv", "report.txt", "report.xml", "report.html"):
        assert (made / "report" / name).read_bytes() == (recorded / "report" / name).read_bytes(), name
    for path in sorted((recorded / "figures").iterdir()):
        assert (made / "figures" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_comparison_with_a_replay_needs_the_replay(reviewer: Reviewer) -> None:
    said = reviewer.command(
        "snakemake", "--cores", "1", "compare", "--config", "compare=light,light@replay", fails=True
    )
    assert "error: 'light' was not replayed yet. Do that first: snakemake report" in said


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
    compared = ("ai_dev_tools.cli.benchmark_cli", "compare", "--profiles", "light", "light@replay", "--same-verdicts")
    assert "of 21 requests that both asked, nothing differs" in reviewer.command(*compared)


def test_a_replay_recomputes_nothing_the_second_time(reviewer: Reviewer) -> None:
    reviewer.command("snakemake", "--cores", "1", "report", "--config", "endpoint=replay")
    assert "Nothing to be done" in reviewer.command(
        "snakemake", "--cores", "1", "report", "--config", "endpoint=replay"
    )


def test_it_is_repeated_on_a_live_endpoint_and_compared(archive: Path, tmp_path: Path) -> None:
    """The recorded prompts on another server (a fake, of another address and version), under a profile of its own."""
    unpack(archive, tmp_path / "run")
    project = Project(tmp_path / "run")
    with FakeOllama(models=[MODEL]) as fake:
        said = project.run(
            "--cores", "1", "report", source="prompts", profile="again", profiles="{again: {extends: light}}",
            endpoint=fake.url,
        )  # fmt: skip
    assert "asking 21 of 21 requests" in said
    words = ["compare", "--runs", "recorded", "results/again", "--root", str(project.folder), "--same-verdicts"]
    done = subprocess.run(
        [sys.executable, "-m", "ai_dev_tools.cli.benchmark_cli", *words],
        cwd=project.folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "recorded and again: of 21 requests that both asked, nothing differs" in done.stderr
    assert done.returncode == int("verdicts changed" in done.stderr)


def test_an_archive_of_what_was_unpacked_holds_the_same_samples(reviewer: Reviewer, archive: Path) -> None:
    reviewer.command("snakemake", "--cores", "1", "archive")
    [again] = (reviewer.folder / "results" / "light" / "archive").glob("*.crate.zip")
    assert again.name == archive.name
    first, second = verify(archive).require(), verify(again).require()
    assert first.facts and second.facts
    assert (first.facts.blocks, first.facts.hardware) == (second.facts.blocks, second.facts.hardware)


def test_it_is_imported(archive: Path, tmp_path: Path) -> None:
    [line] = import_archives([archive], tmp_path / "out").lines
    assert "1 run on 1 machine, 21 samples" in line


def _answers(run: Path) -> dict[tuple[str, int], tuple[object, ...]]:
    """What each request came to, times aside."""
    lines = [line for file in (run / "blocks").glob("*/*.jsonl") for line in file.read_text().splitlines()]
    samples = [json.loads(line) for line in lines]
    fields = ("case", "answer", "score", "input_tokens", "output_tokens", "status", "model_digest")
    return {(s["approach"], s["sample"]): tuple(map(str, (s[f] for f in fields))) for s in samples}
