"""What is derived from a finished run, through the real workflow; a labelled fake model answers, none of it is a result."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pandas as pd
import pytest

from ai_dev_tools.cli.benchmark_cli import main
from fakes.ollama import FakeOllama
from support.workflow_project import Project

MODEL = "llama3.2:1b"
PLUGIN = """
from ai_dev_tools.benchmark.plugins import check, comparison, metric

@metric("letters_per_answer", unit="letters", description="Four letters per generated token")
def letters_per_answer(cell):
    return 4 * cell.sum("output_tokens") / len(cell)

@comparison("letters", unit="letters", outcome="tokens", description="Four letters per generated token")
def letters(samples):
    return 4 * samples["output_tokens"]

@check("wordy", voids=(), unit="tokens", description="More than a thousand generated tokens")
def wordy(samples, thresholds):
    return samples["output_tokens"], samples["output_tokens"] > 1000
"""


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOllama]:
    with FakeOllama(models=[MODEL]) as fake:
        yield fake


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, fake: FakeOllama) -> Iterator[tuple[Project, dict[str, object]]]:
    project = Project.create(tmp_path_factory.mktemp("finished"))
    settings: dict[str, object] = {
        "profile": "light", "endpoint": fake.url, "tasks": "safety_assessment,systematic_fix", "samples": 4,
    }  # fmt: skip
    project.run("tables", **settings)
    yield project, settings
    project.clean_up()


def made(project: Project) -> dict[str, int]:
    """When each file that a rule makes was made, except logs and benchmarks."""
    every = (path for path in (project.folder / "results").rglob("*") if path.is_file())
    files = (path for path in every if path.suffix != ".log" and path.parent.name != "benchmarks")
    return {str(path.relative_to(project.folder / "results")): path.stat().st_mtime_ns for path in files}


def test_a_new_metric_on_a_finished_run_makes_the_tables_again_and_asks_nothing(
    finished: tuple[Project, dict[str, object]], fake: FakeOllama
) -> None:
    project, settings = finished
    tables = project.folder / "results/light/tables"
    asked, before = len(fake.requests), made(project)
    kept = {name: (tables / name).read_bytes() for name in ("samples.csv", "verdicts.csv", "checks.csv")}
    (project.folder / "mine.py").write_text(PLUGIN)

    project.run("tables", **settings, plugins="mine.py")

    after = made(project)
    changed = {name for name in after if after[name] != before.get(name)}
    assert {name.split("/")[1] for name in changed} == {"tables"}, sorted(changed)
    assert {f"light/tables/{path.name}" for path in tables.iterdir()} <= changed, "all tables are made at once"
    assert len(fake.requests) == asked
    assert {name: (tables / name).read_bytes() for name in kept} == kept, "what does not depend on it stays as it was"
    metrics = pd.read_csv(tables / "metrics.csv")
    own, known = (metrics[metrics["metric"] == name] for name in ("letters_per_answer", "output_tokens_mean"))
    assert own["value"].to_list() == pytest.approx((4 * known["value"]).to_list())
    compared = pd.read_csv(tables / "comparisons.csv").set_index("comparison")["value"]
    assert compared["letters"].to_list() == pytest.approx(compared["output_tokens"].to_list())
    assert "wordy" in set(pd.read_parquet(tables / "validity.parquet")["check"])


def test_the_target_plan_sizes_a_run_from_what_was_measured_and_else_from_what_is_assumed(
    finished: tuple[Project, dict[str, object]], fake: FakeOllama, capsys: pytest.CaptureFixture[str]
) -> None:
    project, settings = finished
    asked = len(fake.requests)
    printed = project.run("plan", **settings, plan='{"effect": 0.6}')
    assert "Spread: that of the 24 existing samples of this profile" in printed
    assert f"Time of {MODEL}: " in printed
    assert "cross-validated error" in printed
    # times of a busy machine may scatter so much that no size would do, and then it says so
    size = r"llama3\.2:1b(, 1 x each case: \d+ clusters|: no size is large enough)"
    assert re.search(rf"To find a true ratio of 0\.6 with a probability of 80 %:\n  {size}", printed)

    here = ["plan", "--root", str(project.folder), "--tasks", str(settings["tasks"]), "--samples", "4"]
    assert main([*here, "--profile", "medium", "--effect", "0.7", "--json"]) == 0
    sizing = json.loads(capsys.readouterr().out)["sizing"]
    assert (sizing["effect"], sizing["pilot_samples"]) == (0.7, 0)
    assert {row["basis"] for row in sizing["sizes"] + sizing["prospects"]} == {"assumed"}
    timed = {row["model"]: row["timed"] for row in sizing["sizes"]}
    assert timed == {MODEL: True, "llama3.2:3b": False}, "one of its models was measured here, in another profile"
    assert all(row["hours"] > 0 for row in sizing["sizes"])

    assert main([*here, "--profile", "light", "--effect", "0.97"]) == 2
    assert "error: the effect 0.97 must be a ratio above 0 and below the margin 0.95" in capsys.readouterr().err
    assert len(fake.requests) == asked, "planning asks no model"
