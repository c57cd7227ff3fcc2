"""A rerun asks exactly what is new; counted at a labelled fake endpoint, through the real workflow."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

import pandas as pd
import pytest
import urllib3

from fakes.ollama import FakeOllama
from support.workflow_project import Project

MODEL = "llama3.2:1b"


def asked(fake: FakeOllama) -> int:
    """Measured requests so far: the fake leaves warm-ups out of its list.

    One that is on its way, sent before its sender was killed, is read by the fake before this newer one.
    """
    urllib3.request("GET", f"{fake.url}/api/version")
    return len(fake.requests)


def asked_part(sample: dict[str, Any]) -> dict[str, Any]:
    """A sample without the time of its tool: a run of the tool that other programs disturbed is replaced by a better one."""
    return {key: value for key, value in sample.items() if key not in ("tool_s", "tool_other_cpu_s")}


def judged(project: Project) -> tuple[set[str], set[int], str]:
    """Labels, looks and reasons of the verdicts; what else can become of such a run: unit/analysis/test_growing_runs.py."""
    table = pd.read_csv(project.folder / "results/light/tables/verdicts.csv").query("task == '(all)'")
    return set(table["label"]), set(table["look"]), str(table["reasons"].iloc[0])


def test_a_run_grows_by_exactly_what_is_new(project: Project, fake: FakeOllama) -> None:
    """One sample, the rest, more samples, more arms, a changed case; nothing is asked twice on the way."""
    settings = {"profile": "light", "endpoint": fake.url, "tasks": "safety_assessment"}
    project.run("results/light/samples/llama3.2-1b/safety_assessment/tools/2.json", **settings)
    assert asked(fake) == 1
    assert list(project.sample_files("light")) == ["llama3.2-1b/safety_assessment/tools/2.json"]
    project.run("tables", **settings)
    assert asked(fake) == 3 * 3, "its block reuses the one sample"
    assert len(project.sample_files("light")) == 9
    assert judged(project)[:2] == ({"planned"}, {1})

    before = project.sample_files("light")
    project.run("tables", **settings, samples=4)
    assert asked(fake) == 9 + 3, "one more sample is one more request per task and arm"
    labels, looks, reasons = judged(project)
    assert (labels, looks) == ({"planned"}, {2}), "earlier samples count while the plan only grows"
    assert "9 of 12 samples count from plan" in reasons
    assert "with 1 more sample per task and arm" in reasons
    after = project.sample_files("light")
    assert {name: asked_part(after[name]) for name in before} == {n: asked_part(s) for n, s in before.items()}

    for script in (project.folder / "workflow").rglob("*.py"):
        script.write_text(script.read_text() + "\n# reformatted\n")
    assert "Nothing to be done" in project.run("run", **settings, samples=4), "code is no reason to ask again"

    project.run("run", **settings, samples=4, approaches="all")
    arms = {name.split("/")[2] for name in project.sample_files("light")}
    assert arms == {"baseline", "tools", "no_context", "excerpt", "shuffled", "mismatched"}
    assert asked(fake) == 12 + 3 * 4, "controls can be added later"

    case = str(after["llama3.2-1b/safety_assessment/baseline/1.json"]["case"])
    source = next((project.folder / "config/tasks/safety_assessment/sources" / case).rglob("*.py"))
    source.write_text(source.read_text() + "\n\nUNUSED = 1\n")
    project.run("run", **settings, samples=4)
    again = [body["messages"][0]["content"] for body in fake.requests[24:]]
    assert again, "the changed case is asked again"
    assert sum("UNUSED = 1" in text for text in again) == 1
    assert len(again) <= 2, (
        "and nothing else: the floor's prompt is unchanged, the findings' only if the tool says otherwise"
    )


def test_two_live_runs_in_one_folder_are_refused(project: Project) -> None:
    with FakeOllama(models=[MODEL], latency_s=0.3) as fake:
        settings = {"profile": "light", "endpoint": fake.url, "tasks": "systematic_fix"}
        project.start("run", **settings)
        project.wait_for_samples(1, "light")
        fake.latency_s = 600.0  # the first run lasts, however long the second one takes to start
        second = project.snakemake("run", **settings)
        assert second.returncode != 0
        assert "another run works in this folder" in second.stdout


@pytest.mark.parametrize(
    "signum",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        signal.SIGKILL,
    ],
    ids=lambda signum: signum.name,
)
def test_an_interrupted_run_leaves_nothing_behind_and_goes_on_with_the_same_command(
    project: Project, signum: signal.Signals
) -> None:
    """Many times in a row, and with other processes killed too: tests/slow/soak; by SIGINT: test_runner.py."""
    with FakeOllama(models=[MODEL], latency_s=0.4) as fake:
        settings = {"profile": "light", "endpoint": fake.url, "tasks": "systematic_fix"}
        run = project.start("run", **settings)
        project.wait_for_samples(3, "light")
        os.killpg(run.pid, signum) if signum == signal.SIGINT else os.kill(run.pid, signum)
        try:
            run.wait(timeout=60)
        except subprocess.TimeoutExpired:
            run.kill()
        assert project.wait_until_quiet() == [], "no process outlives the run"
        kept = project.sample_files("light")
        assert all(sample["status"] == "completed" for sample in kept.values()), "what was in flight is no result"
        sent = asked(fake)
        project.run("run", **settings)
        assert asked(fake) - sent == 9 - len(kept), "no finished sample is asked again"
        finished = project.sample_files("light")
        assert len(finished) == 9
        assert {name: finished[name] for name in kept} == kept, "or lost"


@pytest.mark.slow
def test_cleaning_removes_only_what_comes_again(project: Project, fake: FakeOllama) -> None:
    settings = {"profile": "light", "endpoint": fake.url, "tasks": "systematic_fix"}
    project.run("tables", **settings)
    results, resources = project.folder / "results/light", project.folder / "resources"
    corpora, images = resources / "corpora", resources / "images.json"
    corpora.mkdir(parents=True)
    images.write_text("{}")
    made = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}

    project.run("clean_report", "clean_resources", **settings)
    left = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    assert not (results / "tables").exists()
    assert left == {path: content for path, content in made.items() if results / "tables" not in path.parents}
    assert not corpora.exists()
    assert images.exists(), "what is known of container images is checked the next time"

    project.run("tables", **settings)
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == made
    assert asked(fake) == 9, "nothing was asked again"
