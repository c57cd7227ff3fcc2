"""A repetition is told from the run: which requests came to something else, and whether the verdicts hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from archived import MODEL, PROFILE, Recorded, record_run

from ai_dev_tools.benchmark.archive.__main__ import main
from ai_dev_tools.benchmark.archive.repetition import compare_runs
from ai_dev_tools.benchmark.endpoints.replay import load_recordings
from ai_dev_tools.benchmark.errors import BenchmarkError


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    with pytest.MonkeyPatch.context() as patch:
        return record_run(tmp_path_factory.mktemp("run") / "p", patch)


def test_an_archive_and_its_run_agree(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(recorded.archive()), str(recorded.run)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "all 2 verdicts hold"
    assert second == "of 21 requests that both asked, nothing differs"


def test_what_differs_is_counted_and_a_changed_verdict_is_named(recorded: Recorded, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(recorded.run / "tables", again / "tables")
    samples = pd.read_csv(again / "tables" / "samples.csv")
    samples.loc[samples.index[:3], "output_tokens"] += 1
    samples.iloc[:-1].to_csv(again / "tables" / "samples.csv", index=False)
    verdicts = pd.read_csv(again / "tables" / "verdicts.csv")
    verdicts.loc[verdicts["claim"] == "tokens:tools", "verdict"] = "saves"
    verdicts.to_csv(again / "tables" / "verdicts.csv", index=False)
    found = compare_runs(recorded.run, again)
    assert (found.holds, found.differing["output_tokens"], found.only_before) == (False, 3, 1)
    assert found.changed[0].startswith("tokens:tools fake:1b")
    assert found.changed[0].endswith("saves after")


def test_folders_without_tables_get_one_line(
    recorded: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(recorded.run), str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path} holds no tables of a run")


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
    assert block.endpoint["replay_from"] == f"results/{PROFILE}"
    assert replayed.plan(replayed.run) == experiment.plan(PROFILE)
