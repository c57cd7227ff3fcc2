"""Every mistake is one clear line that says what is wrong and what to do; nothing runs, no traceback is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.workflow_project import Project


def refused(project: Project, *arguments: str, **config: object) -> str:
    """The lines that a refused run prints."""
    done = project.snakemake(*arguments, **config)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert "  File " not in done.stdout, done.stdout
    return done.stdout


def test_every_wrong_setting_has_its_line(project: Project) -> None:
    """Each setting has tests of its own beside what reads it (unit/cli/test_wrong_calls.py); here, what a run prints."""
    wrong = {"tasks": "safety_assesment", "tools": "bandid"}
    lines = [line for line in refused(project, "-n", **wrong).splitlines() if line.startswith("error: ")]
    assert lines == [
        "error: unknown task 'safety_assesment', did you mean 'safety_assessment'?",
        "error: unknown tool 'bandid', did you mean 'bandit'?",
    ]


@pytest.fixture
def programs_but_engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the system's programs, but none that could serve a model."""
    folder = tmp_path_factory.mktemp("bin")
    for program in Path("/usr/bin").iterdir():
        if program.name not in ("ollama", "podman", "docker"):
            (folder / program.name).symlink_to(program)
    return folder


def test_no_ollama_names_what_was_tried_and_the_ways_out(
    project: Project, monkeypatch: pytest.MonkeyPatch, programs_but_engines: Path
) -> None:
    path = project.folder / "config/config.yaml"
    path.write_text(path.read_text().replace("port: 11434", "port: 9"))
    monkeypatch.setenv("PATH", str(programs_but_engines))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    done = project.snakemake("run", profile="light", tasks="systematic_fix")
    assert done.returncode != 0
    for words in ("localhost:9", "endpoint=container", "profile=embedded"):
        assert words in done.stdout
    assert '"cases"' not in done.stdout, "the job's whole design is not shown"


def test_weights_that_are_not_the_pinned_ones(project: Project, four_cases: Project) -> None:
    folder = project.folder / "resources/models"
    folder.mkdir(parents=True)
    from ai_dev_tools.benchmark.endpoints.embedded.catalogue import find_model

    (project.folder / find_model("smollm2:135m").path).write_bytes(b"GGUF but not the pinned one")
    done = project.snakemake("run", samples=1)
    assert done.returncode != 0
    assert "sha256" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_file_that_is_not_a_model_ends_a_run_before_anything_is_asked(project: Project) -> None:
    (project.folder / "own.gguf").write_text("hello")
    own = {"embedded": {"instances": {"embedded": {"model": "own:1b", "file": "own.gguf"}}}}
    printed = refused(project, "run", profiles=json.dumps(own))
    assert "error: own:1b: own.gguf is not a GGUF model file. Correct the instance's `file`" in printed.splitlines()
    assert not (project.folder / "results" / "contexts").exists()


def test_a_results_folder_that_cannot_be_written(project: Project) -> None:
    (project.folder / "results").write_text("a file where a folder belongs")
    printed = refused(project, "run", profile="light", endpoint="http://127.0.0.1:9", tasks="systematic_fix")
    assert "error: cannot write to results. Make it a folder that you may write to" in printed.splitlines()
