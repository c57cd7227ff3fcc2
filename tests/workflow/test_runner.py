"""Every way in drives the same workflow: end to end over a fake Ollama, from Python, shell and Snakemake."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from ai_dev_tools.benchmark import BenchmarkResults, BenchmarkRunner, HardwareProfile, OutputFormat, Progress
from ai_dev_tools.benchmark.config.batches import BATCHES, apply_batch, find_batch
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.runner import RunFailed
from ai_dev_tools.benchmark.tasks.registry import get_task_registry
from fakes.ollama import FakeOllama
from support.project import make_project

MODELS = ["llama3.2:1b", "llama3.2:3b"]
TASKS = ("first_task", "second_task")
CLI = [sys.executable, "-m", "ai_dev_tools.cli.benchmark_cli"]


@dataclass
class Place:
    """A project whose pyproject.toml says where the fake is: the runner then needs no argument."""

    folder: Path
    fake: FakeOllama

    def tables(self) -> dict[str, bytes]:
        return {
            path.name: path.read_bytes() for path in sorted((self.folder / "results" / "light" / "tables").iterdir())
        }


def lay_out(folder: Path, fake: FakeOllama) -> Place:
    section = f'[tool.ai-dev-tools.benchmark]\nendpoint = "{fake.url}"\n'
    make_project(folder, pyproject=section)
    registry = get_task_registry(folder)
    for task in TASKS:
        registry.create_custom_task(
            task,
            task,
            "custom",
            baseline_prompt="long text " * 50,
            tools_prompt="short text",
            expected_outputs={"risk": "HIGH"},
        )
    return Place(folder, fake)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with FakeOllama(models=MODELS) as fake:
        yield lay_out(tmp_path_factory.mktemp("ways") / "project", fake)


@pytest.fixture(scope="module")
def first_run(place: Place) -> tuple[BenchmarkResults, list[Progress]]:
    """One run from Python, which later tests look at."""
    said: list[Progress] = []
    runner = BenchmarkRunner(root=place.folder, on_progress=said.append)
    results = asyncio.run(
        runner.run_single_benchmark(
            profile=HardwareProfile.LIGHT, task_ids=list(TASKS), sample_size=2, output_format=OutputFormat.MARKDOWN
        )
    )
    return results, said


def test_results_are_typed_and_come_as_tables(first_run: tuple[BenchmarkResults, list[Progress]]) -> None:
    results, _ = first_run
    assert results.profile == "light"
    assert len(results.samples()) == 2 * 2 * 3
    assert set(results.samples()["status"]) == {"completed"}
    assert {"success_rate", "total_tokens_sum"} <= set(results.metrics()["metric"])
    assert results.benchmark_info["total_tasks"] == 2
    assert results.overall_metrics["success_rate"] == 1.0
    assert results.comparison_metrics["token_reduction_percent"] > 0
    assert results.text.startswith("# AI Development Tools Benchmark Report")


def test_progress_names_the_command_and_counts_requests(first_run: tuple[BenchmarkResults, list[Progress]]) -> None:
    results, said = first_run
    assert said[0].line == f"$ {results.command}"
    assert results.command.startswith("snakemake report --config profile=light tasks=first_task,second_task samples=2")
    assert any((event.done, event.total) == (12, 12) for event in said)


def test_a_custom_task_is_scored_and_no_verdict_says_saves(first_run: tuple[BenchmarkResults, list[Progress]]) -> None:
    results, _ = first_run
    assert results.samples()["score"].notna().all()
    assert "saves" not in set(results.verdicts()["verdict"])


def test_every_way_in_gives_the_same_bytes_and_asks_nothing_twice(
    place: Place, first_run: tuple[BenchmarkResults, list[Progress]]
) -> None:
    """From Python, whose command is one of Snakemake's, and from the command line."""
    by_api, asked = place.tables(), place.fake.counts["/api/chat"]
    for made in ("tables", "report", "figures"):
        shutil.rmtree(place.folder / "results" / "light" / made, ignore_errors=True)
    command = [*CLI, "run", "--profile", "light", "--tasks", *TASKS, "--samples", "2", "--output-format", "csv"]
    done = subprocess.run(command, cwd=place.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert place.tables() == by_api
    assert place.fake.counts["/api/chat"] == asked


def test_a_wrong_setting_is_reported_before_anything_is_asked(place: Place) -> None:
    runner = BenchmarkRunner(root=place.folder)
    with pytest.raises(ConfigurationError, match="did you mean 'light'"):
        asyncio.run(runner.run_single_benchmark(profile="ligth"))
    with pytest.raises(ConfigurationError, match="did you mean 'markdown'"):
        asyncio.run(runner.run_single_benchmark(output_format="markdwn"))


def test_a_config_file_or_results_that_are_not_there_are_reported_in_one_line(place: Place) -> None:
    with pytest.raises(ConfigurationError, match=r"nofile.yaml is not a file. Name a YAML file of settings"):
        asyncio.run(BenchmarkRunner("nofile.yaml", root=str(place.folder)).run_single_benchmark("light"))
    with pytest.raises(ConfigurationError, match="the run made no such table"):
        BenchmarkResults("heavy", place.folder / "results" / "heavy", "snakemake").samples()


def test_an_unusable_endpoint_is_reported_in_its_own_words(place: Place) -> None:
    runner = BenchmarkRunner(root=place.folder)
    with pytest.raises(RunFailed, match="connection refused") as caught:
        asyncio.run(
            runner.run_single_benchmark("light", [TASKS[0]], sample_size=1, models=["small"], endpoint="http://127.0.0.1:1",
                                        options={"temperature": 0.7})
        )  # fmt: skip
    assert caught.value.exit_code == 1
    assert caught.value.output


@pytest.mark.slow
def test_comparison_and_batch_are_overviews_over_stored_runs(
    place: Place, first_run: tuple[BenchmarkResults, list[Progress]]
) -> None:
    runner = BenchmarkRunner(root=place.folder)
    found = asyncio.run(
        runner.run_comparison_benchmark(
            [HardwareProfile.LIGHT, HardwareProfile.MEDIUM], sample_size=2, task_ids=[TASKS[0]]
        )
    )
    (comparison,) = found.comparisons
    assert comparison.folder.name == "light__medium"
    arms = comparison.arms()
    assert set(zip(arms["profile"], arms["model"], strict=True)) == {
        ("light", MODELS[0]),
        ("medium", MODELS[0]),
        ("medium", MODELS[1]),
    }
    tokens = comparison.changes().query("comparison == 'tokens'")
    assert set(tokens["model"]) == {MODELS[0]}
    assert (tokens["value"] == 1.0).all()
    assert "light" in comparison.text


@pytest.mark.slow
def test_without_expected_outputs_the_report_says_whose_context_it_is_and_nothing_saves(tmp_path: Path) -> None:
    with FakeOllama(models=MODELS) as fake:
        place = lay_out(tmp_path / "project", fake)
        get_task_registry(place.folder).create_custom_task(
            "plain", "Plain Words", "custom", baseline_prompt="long text " * 50, tools_prompt="short text"
        )
        runner = BenchmarkRunner(root=place.folder)
        results = asyncio.run(runner.run_single_benchmark("light", ["plain"], 2, OutputFormat.MARKDOWN))
    assert results.samples()["score"].isna().all()
    assert results.overall_metrics["quality"] is None
    assert "Plain Words: context supplied by the user. No tool ran for it." in results.text
    assert "Answers of Plain Words are not scored, so no verdict on it says 'saves'" in results.text
    assert set(results.verdicts()["verdict"]) & {"saves"} == set()


@pytest.mark.slow
def test_a_batch_runs_its_members_and_reports_them_together(
    place: Place, first_run: tuple[BenchmarkResults, list[Progress]]
) -> None:
    said: list[Progress] = []
    runner = BenchmarkRunner(root=place.folder, on_progress=said.append)
    batch = asyncio.run(runner.run_batch_benchmark("quick", OutputFormat.MARKDOWN, tasks=[TASKS[0]]))
    assert [event.line for event in said if "requests to ask; estimate" in event.line] == [
        "batch quick: 0 of 6 requests to ask; estimate about 0 s; nominal 5-10 min"
    ]
    assert [member.profile for member in batch.members] == list(BATCHES["quick"].profiles)
    assert batch.report["requests"] == 2 * 3
    assert batch.text.startswith("# Batch quick")


def test_the_results_of_a_replay_lie_in_a_folder_of_their_own(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ran(*_: object) -> str:
        return "snakemake …"

    monkeypatch.setattr(BenchmarkRunner, "_run", ran)
    results = asyncio.run(BenchmarkRunner(root=place.folder).run_single_benchmark("light", endpoint="replay"))
    assert results.folder.name == "light@replay"
    with pytest.raises(ConfigurationError, match=r"snakemake report --config profile=light endpoint=replay"):
        _ = results.text
    by_config = BenchmarkRunner({"endpoint": "replay"}, root=place.folder)
    assert asyncio.run(by_config.run_single_benchmark("light")).folder == results.folder


# ------------------------------------------------------------------------------------------------------------- stopping


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Place]:
    with FakeOllama(models=MODELS, latency_s=0.3) as fake:
        yield lay_out(tmp_path / "project", fake)


def left_behind(folder: Path) -> list[str]:
    """Command lines of processes that still work in the folder."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        if process.info["cwd"] == str(folder) and process.pid != os.getpid():
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def wait_for_samples(process: subprocess.Popen[str], folder: Path, number: int) -> None:
    deadline = time.monotonic() + 300
    while len(list(folder.glob("results/light/samples/**/[0-9]*.json"))) < number:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no samples came"
        time.sleep(0.1)


def wait_for_nothing(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while (there := left_behind(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert there == []


def test_cancelling_the_task_leaves_nothing_running_and_keeps_what_is_finished(slow: Place) -> None:
    heard: list[Progress] = []

    async def cancel_midway() -> None:
        runner = BenchmarkRunner(root=slow.folder, on_progress=heard.append)
        async for event in runner.stream_single_benchmark(profile="light", sample_size=60):
            assert event in heard, "who asked for progress gets it, however the run was started"
            if isinstance(event, Progress) and event.done:
                break

    asyncio.run(cancel_midway())
    wait_for_nothing(slow.folder)
    samples = list(slow.folder.glob("results/light/samples/**/*.json"))
    assert samples
    assert all(path.stat().st_size > 500 for path in samples)


@pytest.mark.parametrize(
    ("signum", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, -9, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_command_leaves_nothing_running(slow: Place, signum: int, code: int) -> None:
    words = [*CLI, "run", "--profile", "light", "--samples", "60"]
    process = subprocess.Popen(words, cwd=slow.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for_samples(process, slow.folder, 3)
    process.send_signal(signum)
    _, said = process.communicate(timeout=120)
    assert process.returncode == code, said
    wait_for_nothing(slow.folder)
    if code > 0:
        assert "the same command continues" in said


# -------------------------------------------------------------------------------------------------------------- batches


def test_a_batch_sets_samples_and_profile_unless_the_command_line_does() -> None:
    settings = {"batch": "standard", "profile": "embedded", "profiles": {"light": {}, "medium": {}}}
    assert apply_batch(settings, {})["samples"] == 8
    assert apply_batch(settings, {})["profile"] == "medium"
    assert apply_batch(settings | {"samples": 3}, {"samples": 3})["samples"] == 3


def test_custom_batches() -> None:
    settings = {"profiles": {"light": {}}, "batches": {"mine": {"profiles": ["light"], "samples": 4}}}
    assert find_batch(settings, "mine").samples == 4
    with pytest.raises(ConfigurationError, match="names unknown profile 'medium'"):
        find_batch(settings, "standard")
    with pytest.raises(ConfigurationError, match="unknown setting 'sample'"):
        find_batch({"batches": {"mine": {"profiles": ["light"], "sample": 4}}}, "mine")
