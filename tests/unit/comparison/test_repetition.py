"""A repetition is told from the run: which requests came to something else, and whether the verdicts hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from ai_dev_tools.benchmark.comparison.repetition import compare_requests
from ai_dev_tools.benchmark.comparison.run import open_run
from ai_dev_tools.benchmark.endpoints.replay import load_recordings
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.cli.benchmark_cli import main
from support.archived import MODEL, PROFILE, Recorded, record_run
from support.project import make_project


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    with pytest.MonkeyPatch.context() as patch:
        return record_run(tmp_path_factory.mktemp("run") / "p", patch)


@pytest.fixture
def again(recorded: Recorded, tmp_path: Path) -> Path:
    """A repetition in which three answers had other lengths, one request is missing, and one verdict is another."""
    again = tmp_path / "again"
    shutil.copytree(recorded.run / "tables", again / "tables")
    (again / "tables" / "samples.parquet").unlink()
    samples = pd.read_csv(again / "tables" / "samples.csv")
    samples.loc[samples.index[:3], "output_tokens"] += 1
    samples.iloc[:-1].to_csv(again / "tables" / "samples.csv", index=False)
    verdicts = pd.read_csv(again / "tables" / "verdicts.csv")
    verdicts.loc[(verdicts["claim"] == "tokens:tools") & verdicts["verdict"].notna(), "verdict"] = "saves"
    verdicts.to_csv(again / "tables" / "verdicts.csv", index=False)
    return again


def test_what_differs_is_counted_and_a_changed_verdict_is_named(recorded: Recorded, again: Path) -> None:
    found = compare_requests(open_run(recorded.run), open_run(again))
    assert (found.holds, found.differing["output_tokens"], found.only_before) == (False, 3, 1)
    [changed] = found.changed
    assert changed.startswith("tokens:tools fake:1b")
    assert changed.endswith("saves after")
    assert (
        found.lines[-1]
        == "of 20 requests that both asked, output_tokens in 3 differs; 1 request only before, 0 only after"
    )


def test_an_archive_and_its_run_agree(
    recorded: Recorded, again: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "--same-verdicts", "--root", str(make_project(tmp_path / "project")), "--runs"]
    archive = str(recorded.archive())
    assert main([*words, archive, str(recorded.run), "-f", "markdown"]) == 0
    said = capsys.readouterr()
    assert "run and light: all 2 verdicts hold" in said.err
    assert "run and light: of 21 requests that both asked, nothing differs" in said.err
    assert "## Request by request" in said.out
    assert main([*words, archive, str(again), "--json"]) == 1
    said = capsys.readouterr()
    assert "1 of 2 verdicts changed" in said.err
    assert json.loads(said.out)["result"]["verdicts_hold"] is False


def test_runs_of_other_models_hold_nothing(recorded: Recorded) -> None:
    run = open_run(recorded.run)
    other = open_run(recorded.run)
    other.samples["model"] = "other:1b"
    other.verdicts.clear()
    found = compare_requests(run, other)
    assert not found.holds
    assert found.lines[-1] == "no request was asked of the same model by both"


def test_a_run_is_replayed_from_its_blocks_alone(recorded: Recorded) -> None:
    assert not (recorded.run / "samples").exists(), "an unpacked archive has none"
    assert len(load_recordings(recorded.run, MODEL).samples) == 21, "one for each prompt and seed"
    with pytest.raises(BenchmarkError, match="no recorded samples of other"):
        load_recordings(recorded.run, "other")


def test_a_replay_has_a_folder_of_its_own_and_keeps_the_plan(recorded: Recorded) -> None:
    from dataclasses import replace

    experiment = recorded.experiment
    config = experiment.config.model_copy(update={"endpoint": "replay", "source": "samples"})
    replayed = replace(experiment, config=config, _profiles={})
    assert (replayed.run, replayed.source) == (f"{PROFILE}@replay", "prompts")
    block = replayed.block(replayed.run, "fake-1b", "colours")
    assert (block.profile, block.results) == (PROFILE, f"results/{PROFILE}@replay")
    assert block.endpoint.replay_from == f"results/{PROFILE}"
    assert replayed.plan(replayed.run) == experiment.plan(PROFILE)
    assert experiment.block(replayed.run, "fake-1b", "colours") == block, "whether or not all settings say replay"
    with pytest.raises(BenchmarkError, match="would replace the recorded answers of 'light' with themselves"):
        replayed.block(PROFILE, "fake-1b", "colours")
