"""Every mistake is one clear line that says what is wrong and what to do; nothing runs, no traceback is shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fakes.ollama import FakeOllama
from support.workflow_project import Project

TASK = "config/tasks/systematic_fix"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project.create(tmp_path)
    yield project
    project.clean_up()


def refused(project: Project, *arguments: str, **config: object) -> str:
    """The lines that a refused run prints."""
    done = project.snakemake(*arguments, **config)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert "  File " not in done.stdout, done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"profile": "hevy"}, "unknown profile 'hevy', did you mean 'heavy'?"),
        ({"tasks": "safety_assesment"}, "unknown task 'safety_assesment', did you mean 'safety_assessment'?"),
        ({"approaches": "basline,tools"}, "unknown approach 'basline', did you mean 'baseline'?"),
        ({"models": "smolm2:135m"}, "'smolm2:135m', did you mean 'smollm2:135m'?"),
        ({"tools": "bandid"}, "unknown tool 'bandid', did you mean 'bandit'?"),
        ({"samples": 0}, "'samples' is 0"),
        ({"samples": -3}, "'samples' is -3"),
        ({"samples": "many"}, "'samples' is 'many'"),
        ({"endpoint": "embeded"}, "'embeded' is no kind of endpoint, did you mean 'embedded'?"),
        ({"sample": 3}, "unknown setting 'sample', did you mean 'samples'?"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_setting(project: Project, config: dict[str, object], line: str) -> None:
    printed = refused(project, "-n", **config)
    assert "error: " in printed
    assert line in printed


@pytest.mark.parametrize(
    ("sample", "line"),
    [
        ("baseline/3", "error: an arm of this run has the samples 0 to 2, not 3. Ask for more with samples=N"),
        ("baselin/0", "error: 'baselin' is not an arm of this run, did you mean 'baseline'?"),
    ],
)
def test_a_sample_that_the_run_does_not_have(project: Project, sample: str, line: str) -> None:
    target = f"results/embedded/samples/smollm2-135m/systematic_fix/{sample}.json"
    assert line in refused(project, "-n", target).splitlines()


def _without(field: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / TASK / "task.yaml"
        lines = [line for line in path.read_text().splitlines(keepends=True) if not line.startswith(f"{field}:")]
        path.write_text("".join(lines))

    return change


def _unknown_scorer(folder: Path) -> None:
    path = folder / TASK / "task.yaml"
    path.write_text(path.read_text().replace("scorer: set_f1", "scorer: set_f2"))


def _missing_file(folder: Path) -> None:
    case = sorted((folder / TASK / "cases").glob("*.yaml"))[0]
    shutil.rmtree(folder / TASK / "sources" / case.stem)


def _unsafe_id(folder: Path) -> None:
    case = sorted((folder / TASK / "cases").glob("*.yaml"))[0]
    case.write_text(case.read_text().replace(f"id: {case.stem}", "id: ../x", 1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without("name"), ("systematic_fix/task.yaml", "'name' is missing")),
        (_unknown_scorer, ("systematic_fix/task.yaml", "unknown scorer 'set_f2', did you mean 'set_f1'?")),
        (_missing_file, ("systematic_fix/cases/", "does not exist")),
        (_unsafe_id, ("systematic_fix/cases/", "'../x'", "path")),
    ],
    ids=["missing field", "unknown scorer", "missing file", "unsafe id"],
)
def test_a_broken_task(project: Project, change: Callable[[Path], None], words: tuple[str, ...]) -> None:
    change(project.folder)
    printed = refused(project, "-n")
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert errors
    assert all(word in errors[0] for word in words), errors


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


def test_a_damaged_or_foreign_sample_is_set_aside_and_asked_again(project: Project) -> None:
    with FakeOllama(models=["llama3.2:1b"]) as fake:
        settings = {"profile": "light", "endpoint": fake.url, "tasks": "systematic_fix"}
        project.run("run", **settings, samples=2)
        folder = project.folder / "results/light/samples/llama3.2-1b/systematic_fix/tools"
        (folder / "0.json").write_bytes(b'{"profile": "light", \xff')
        (folder / "1.json").write_text('{"somebody": "else"}')
        printed = project.run("run", **settings, samples=3)
        assert printed.count("warning: ") == 2
        assert "is not a sample of this project" in printed
        assert len(project.sample_files("light")) == 9
        aside = project.folder / "results/light/superseded/llama3.2-1b/systematic_fix/tools"
        assert len(list(aside.iterdir())) == 2


def test_weights_that_are_not_the_pinned_ones(project: Project) -> None:
    folder = project.folder / "resources/models"
    folder.mkdir(parents=True)
    from ai_dev_tools.benchmark.endpoints.embedded.catalogue import find_model

    (project.folder / find_model("smollm2:135m").path).write_bytes(b"GGUF but not the pinned one")
    done = project.snakemake("run", tasks="systematic_fix", samples=1)
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
