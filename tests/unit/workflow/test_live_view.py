"""The live view sees a run through its sample files alone."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from ai_dev_tools.benchmark.records.paths import sample_file
from ai_dev_tools.benchmark.records.sample import Sample, read_block, write_block, write_sample
from ai_dev_tools.benchmark.workflow.live_view import RunView, busy_seconds, main, watch
from support.report_runs import Run, fail, make_run


def all_samples(run: Run) -> list[Sample]:
    return [sample for path in run.inputs.blocks for sample in read_block(path)]


def put(run: Run, samples: list[Sample]) -> None:
    for s in samples:
        write_sample(sample_file(run.folder, s.model, s.task, s.approach, s.sample), s)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path / "results" / "mine", samples=4, tables=False)


def printed(folder: Path) -> str:
    console = Console(file=io.StringIO(), width=200)
    watch(folder, once=True, console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_run_that_has_just_begun(run: Run) -> None:
    shutil.rmtree(run.folder / "blocks")
    assert "0 of 24 samples, waiting for the first sample" in printed(run.folder)


@pytest.mark.parametrize(("model", "each_s"), [("llama3.2:1b", 2.0), ("llama3.2:3b", 6.0)])
def test_before_the_first_sample_earlier_runs_tell_what_is_left(run: Run, model: str, each_s: float) -> None:
    samples = all_samples(run)
    for sample in samples:
        sample.model, sample.duration_s = "llama3.2:1b", 2.0
    shutil.rmtree(run.folder / "blocks")
    earlier = run.folder.parent / "earlier" / "blocks" / "llama3.2-1b"
    earlier.mkdir(parents=True)
    write_block(earlier / "a_task.jsonl", samples)
    plan = json.loads((run.folder / "plans.jsonl").read_text().splitlines()[-1]) | {"models": [model]}
    (run.folder / "plans.jsonl").write_text(json.dumps(plan) + "\n")
    view = RunView(run.folder)
    view.update()
    assert view.left_s() == pytest.approx(24 * each_s), "of the same model, else scaled by size"


def test_a_running_run_shows_done_rates_and_an_estimate_that_fits_what_is_left(run: Run) -> None:
    samples = all_samples(run)
    put(run, samples[:12])
    view = RunView(run.folder)
    view.update()
    assert (len(view.samples), view.total, view.finished) == (12, 24, False)
    left = view.left_s()
    truth = sum(s.duration_s or 0 for s in samples[12:])
    assert left == pytest.approx(truth, rel=0.4)
    requests, tokens, in_flight = view.rates()
    assert requests > 0
    assert tokens > 0
    assert in_flight == 1
    assert "about " in printed(run.folder)


def test_requests_at_the_same_time_shorten_the_estimate(run: Run) -> None:
    half = all_samples(run)[:12]
    put(run, half)
    alone = RunView(run.folder)
    alone.update()
    for sample in half:
        sample.started_at = half[0].started_at
    put(run, half)
    together = RunView(run.folder)
    together.update()
    assert (together.left_s() or 0) < (alone.left_s() or 0) / 3


def test_only_new_and_changed_files_are_read_again(run: Run) -> None:
    samples = all_samples(run)
    put(run, samples[:5])
    view = RunView(run.folder)
    view.update()
    kept = dict(view.samples)
    put(run, samples[5:6])
    view.update()
    assert len(view.samples) == 6
    assert all(view.samples[path] is sample for path, sample in kept.items())


def test_a_finished_run_ends_the_view_by_itself(run: Run) -> None:
    put(run, all_samples(run))
    view = watch(run.folder, interval_s=60, console=Console(file=io.StringIO()))
    assert view.finished
    assert view.left_s() == 0
    assert "24 of 24 samples, finished" in printed(run.folder)


def test_errors_are_counted_by_class_and_damaged_files_noticed(run: Run) -> None:
    samples = all_samples(run)
    put(run, [fail(s, name="overloaded") for s in samples[:3]])
    (run.folder / "samples" / "llama3.2-1b" / "repo_analysis" / "tools").mkdir(parents=True, exist_ok=True)
    (run.folder / "samples" / "llama3.2-1b" / "repo_analysis" / "tools" / "3.json").write_text('{"status": ')
    text = printed(run.folder)
    assert "overloaded: 3" in text
    assert "1 file cannot be read as samples" in text


def test_a_run_without_a_plan_still_shows_what_is_there(run: Run) -> None:
    put(run, all_samples(run)[:2])
    (run.folder / "plans.jsonl").unlink()
    assert "2 of 2 samples, no plan yet" in printed(run.folder)


def test_overlapping_requests_count_once_as_busy_time(run: Run) -> None:
    one, two, *_ = all_samples(run)
    two.started_at = one.started_at
    put(run, [one, two])
    view = RunView(run.folder)
    view.update()
    assert busy_seconds(span for s in view.samples.values() if (span := s.span)) == pytest.approx(
        max(one.duration_s or 0, two.duration_s or 0)
    )


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nope")]) == 1
    assert capsys.readouterr().err.startswith(
        f"error: the results folder {tmp_path}/nope does not exist. Start the run"
    )


def test_samples_of_an_earlier_larger_run_are_not_counted(run: Run) -> None:
    put(run, all_samples(run))
    last = run.folder / "samples" / "llama3.2-1b" / "repo_analysis" / "tools" / "3.json"
    (last.parent / "4.json").write_bytes(last.read_bytes())
    other = last.parents[1] / "shuffled" / "0.json"
    other.parent.mkdir()
    other.write_bytes(last.read_bytes())
    assert "24 of 24 samples" in printed(run.folder)


@pytest.mark.parametrize("unknown", ["", "long ago"])
def test_samples_that_do_not_say_when_they_were_asked_count_but_not_for_rates(run: Run, unknown: str) -> None:
    """As those of imported results, and of requests that an old file left out."""
    samples = all_samples(run)[:12]
    for sample in samples[:6]:
        sample.started_at = unknown
    put(run, samples)
    view = RunView(run.folder)
    view.update()
    assert len(view.samples) == 12
    assert view.rates()[0] > 0
    assert view.left_s() == pytest.approx(sum(s.duration_s or 0 for s in samples), rel=0.4)
    for sample in samples[6:]:
        sample.started_at = unknown
    put(run, samples)
    view.update()
    assert view.rates() == (0.0, 0.0, 0)
    assert view.left_s() == pytest.approx(sum(s.duration_s or 0 for s in samples), rel=0.4), "one after the other"
    assert "12 of 24 samples" in printed(run.folder)
