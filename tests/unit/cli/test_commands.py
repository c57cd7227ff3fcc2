"""The command line: what it builds, how it ends, and that every wrong call names the right one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.config.shipped_files import find_root
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.workflow.snakemake import SnakemakeCall, spell, split_config
from ai_dev_tools.cli.benchmark_cli import app, main
from ai_dev_tools.cli.options import join_lists
from fakes.ollama import FakeOllama
from support.making import case, write_task
from support.project import make_project
from support.repository import ROOT

CLI = [sys.executable, "-m", "ai_dev_tools.cli.benchmark_cli"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workflow folder with one shipped task, as the working folder."""
    folder = make_project(tmp_path / "project", tasks=["safety_assessment"])
    monkeypatch.chdir(folder)
    return folder


# ------------------------------------------------------------------------------------------- the Snakemake command line


def test_the_target_comes_before_config_which_swallows_what_follows() -> None:
    call = SnakemakeCall("report", {"profile": "light", "tasks": ["a", "b"]}, ["--dry-run"])
    assert call.arguments() == ["report", "--dry-run", "--config", "profile=light", "tasks=a,b"]
    assert call.shown() == "snakemake report --dry-run --config profile=light tasks=a,b"


def test_config_among_the_users_flags_is_merged_since_snakemake_heeds_the_last_only() -> None:
    assert split_config(["-n", "--config", "a=1", "b=2", "--cores", "2", "--config=c=3"]) == (
        ["-n", "--cores", "2"],
        ["a=1", "b=2", "c=3"],
    )
    assert SnakemakeCall(None, {"x": 1}, ["--config", "samples=2"]).arguments() == ["--config", "x=1", "samples=2"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (None, ""),
        (["a", "b"], "a,b"),
        ({"k": 1}, '{"k": 1}'),
        (0.5, "0.5"),
        ("x", "x"),
        ([], "[]"),
        (["a,b", "c"], '["a,b", "c"]'),
        ([{"k": 1}], '[{"k": 1}]'),
    ],
)
def test_settings_are_spelt_as_config_takes_them(value: object, text: str) -> None:
    assert spell(value) == text


def test_lists_may_be_given_in_three_ways() -> None:
    assert join_lists(["run", "--tasks", "a", "b", "--samples", "3"]) == [
        "run",
        "--tasks",
        "a",
        "--tasks",
        "b",
        "--samples",
        "3",
    ]
    assert join_lists(["compare", "--profiles", "light", "medium", "heavy"]).count("--profiles") == 3
    assert join_lists(["batch", "quick", "--root", "x"]) == ["batch", "quick", "--root", "x"]


def test_the_workflow_is_found_from_any_folder_below(project: Path) -> None:
    deep = project / "results" / "light"
    deep.mkdir()
    assert find_root(deep) == project
    with pytest.raises(ConfigurationError, match="--root FOLDER"):
        find_root(project.parent)


# --------------------------------------------------------------------------------------------------------------------- help


def test_every_command_explains_itself(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    assert {"run", "batch", "compare", "archive", "verify", "unpack", "import", "gate", "serve"} <= set(commands)
    for command in commands:
        assert main([command, "--help"]) == 0
        said = capsys.readouterr().out
        assert f"ai-dev-bench {command}" in said
        options = [line for line in said.splitlines() if line.lstrip().startswith("--")]
        assert all(line.split(maxsplit=1)[1:] for line in options), f"an option of {command} has no help"


# ----------------------------------------------------------------------------------------------------- listing, adding


def test_list_tasks_as_data(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list-tasks", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    cases = list((ROOT / "config" / "tasks" / "safety_assessment" / "cases").glob("*.yaml"))
    assert (row["id"], row["cases"], row["S"] + row["L"]) == ("safety_assessment", len(cases), len(cases))


def test_list_tasks_counts_cases_of_lists_too(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def written(name: str, extra: str = "") -> Path:
        folder = project / "config" / "tasks" / name
        (folder / "cases").mkdir(parents=True)
        (folder / "task.yaml").write_text(
            f"id: {name}\nname: {name}\nworkflow_type: custom\nanswer_schema: {{properties: {{risk: {{type: string}}}}}}\n{extra}"
        )
        return folder

    (written("beside") / "cases" / "one.yaml").write_text("id: one\nsize: L\n")
    (project / "config/tasks/beside/cases.jsonl").write_text(
        '{"id": "two", "size": "S"}\n{"id": "three", "size": "S"}\n'
    )
    (written("table", "cases_from: {path: more.csv}") / "more.csv").write_text(
        "id,size,truth.risk\na,S,HIGH\nb,L,LOW\n"
    )
    pinned = "0" * 64
    written("far", f"cases_from: {{url: 'http://127.0.0.1:1/cases.jsonl', sha256: '{pinned}'}}")
    assert main(["list-tasks", "--json"]) == 0
    rows = {
        row["id"]: (row["cases"], row["S"], row["L"], row["complete"]) for row in json.loads(capsys.readouterr().out)
    }
    assert rows["beside"] == (3, 2, 1, True)
    assert rows["table"] == (2, 1, 1, True)
    assert rows["far"] == (0, 0, 0, False), "a list that is not at hand is not fetched to be counted"
    assert main(["list-tasks"]) == 0
    assert "0+" in capsys.readouterr().out
    (project / "resources").unlink()
    (project / "resources" / "cases").mkdir(parents=True)
    (project / "resources" / "cases" / f"{pinned}.jsonl").write_text('{"id": "x", "size": "S"}\n')
    assert main(["list-tasks", "--json", "--root", str(project)]) == 0
    rows = {row["id"]: (row["cases"], row["complete"]) for row in json.loads(capsys.readouterr().out)}
    assert rows["far"] == (1, True)


def test_a_report_of_other_settings_than_the_runs_names_those_of_the_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ai_dev_tools.benchmark.records.plan import declare_plan
    from ai_dev_tools.cli.command_request import CommandRequest, open_request

    experiment, _ = open_request(CommandRequest(project, {"profile": "light", "samples": 7}))
    declare_plan(project / "results" / "light" / "plans.jsonl", experiment.plan("light"))
    assert main(["report", "--profile", "light"]) == 2
    assert "ai-dev-bench report --profile light --samples 7" in capsys.readouterr().err


def test_add_task_writes_checks_and_says_where(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["add-task", "--task-id", "mine", "--name", "Mine", "--workflow-type", "safety_check", "--timeout", "45"]
    prompts = ["--baseline-prompt", "Look…", "--tools-prompt", "@notes.txt"]
    (project / "notes.txt").write_text("The tool says: none.")
    assert main([*words, *prompts, "--expected-outputs", '{"risk": "LOW"}']) == 0
    assert "config/tasks_local/mine" in capsys.readouterr().out
    case = (project / "config" / "tasks_local" / "mine" / "cases" / "given.yaml").read_text()
    assert "The tool says: none." in case
    assert main(["list-tasks", "--json"]) == 0
    assert "mine" in {row["id"] for row in json.loads(capsys.readouterr().out)}
    assert main([*words, *prompts, "--expected-outputs", "[1]"]) == 2
    assert "JSON object" in capsys.readouterr().err


def test_plan_shows_claims_and_asks_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--profile", "light", "--samples", "7", "--json"]) == 0
    captured = capsys.readouterr()
    plan = json.loads(captured.out)
    assert (plan["samples"], plan["declared"], plan["estimate"]["requests"]) == (7, False, 21)
    assert "To run it: snakemake report --config profile=light samples=7" in captured.err
    assert not list((project / "results").iterdir())


# ------------------------------------------------------------------------------------------------------------- validate


def test_validate_finds_a_served_model_and_says_where_settings_come_from(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeOllama(models=["llama3.2:1b"]) as fake:
        (project / "pyproject.toml").write_text(f'[tool.ai-dev-tools.benchmark]\nendpoint = "{fake.url}"\n')
        assert main(["validate", "--profile", "light", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    checks = {check["name"]: check for check in found["checks"]}
    assert checks["instance small"]["status"] == "ok"
    assert checks["tool bandit"]["found"] == "version 1.9.4"
    sources = {row["setting"]: row["source"] for row in found["settings"]}
    assert sources["endpoint"] == "pyproject.toml"
    assert sources["profile"] == "--config"
    assert sources["retry"] == "config/config.yaml"
    assert sources["samples"] == "default"


def test_validate_fails_with_1_and_a_way_to_fix_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--profile", "light", "--endpoint", "http://127.0.0.1:1", "--json"]) == 1
    failed = [check for check in json.loads(capsys.readouterr().out)["checks"] if check["status"] == "failed"]
    assert [check["name"] for check in failed] == ["instance small"]
    assert failed[0]["fix"]


def test_the_tables_of_validate_fit_a_terminal_and_lose_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "config" / "tasks" / "repo_analysis").symlink_to(ROOT / "config" / "tasks" / "repo_analysis")
    assert main(["validate"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 100
    assert main(["validate", "--json"]) == 0
    (check,) = [c for c in json.loads(capsys.readouterr().out)["checks"] if c["name"] == "task repo_analysis"]
    assert len(check["found"]) > 100
    assert all(word in said for word in check["found"].split())


def test_validate_names_a_corpus_that_is_not_listed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = {key: value for key, value in case("one").items() if key not in ("inline", "source")}
    one |= {"source": "corpus:atrs", "files": ["*.py"]}
    write_task(project / "config" / "tasks", one, case("two"), tools=["radon"])
    assert main(["validate", "--tasks", "colours", "--json"]) == 1
    (failed,) = [c for c in json.loads(capsys.readouterr().out)["checks"] if c["status"] == "failed"]
    assert failed["found"] == "config/corpora.yaml has no corpus 'atrs', did you mean 'attrs'?"


def test_validate_of_a_broken_config_lists_what_is_wrong(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--config", "retyr=all", "--no-sources", "--json"]) == 1
    found = [check["found"] for check in json.loads(capsys.readouterr().out)["checks"]]
    assert found == ["config: unknown setting 'retyr', did you mean 'retry'?"]


# ---------------------------------------------------------------------------------------------------- scripts, start-up


HEAVY = {
    "pandas",
    "numpy",
    "scipy",
    "statsmodels",
    "matplotlib",
    "pyarrow",
    "snakemake",
    "nbconvert",
    "xllamacpp",
    "aiohttp",
}
LOADED = """
import contextlib, io, sys
from ai_dev_tools.cli.benchmark_cli import main
with contextlib.redirect_stdout(io.StringIO()):
    assert main(sys.argv[1:]) == 0
print(*sys.modules)
"""


@pytest.mark.parametrize(
    ("words", "not_needed"),
    [(["--help"], {*HEAVY, "pydantic", "yaml", "jinja2"}), (["list-tasks", "--root", str(ROOT)], HEAVY)],
    ids=["help", "list-tasks"],
)
def test_a_command_that_only_speaks_imports_nothing_heavy(words: list[str], not_needed: set[str]) -> None:
    """What is imported is what makes a command wait, on any machine and however busy it is."""
    done = subprocess.run([sys.executable, "-c", LOADED, *words], check=True, capture_output=True, text=True)
    assert not_needed & set(done.stdout.split()) == set()


def test_importing_the_package_is_cheap_and_its_names_are_there() -> None:
    code = (
        "import sys, ai_dev_tools.benchmark as b; assert 'pydantic' not in sys.modules; "
        "from ai_dev_tools.benchmark import BenchmarkRunner, HardwareProfile, OutputFormat; "
        "assert 'pandas' not in sys.modules; "
        "assert 'BenchmarkRunner' in dir(b)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_completion_knows_commands_and_options() -> None:
    def completed(words: str, position: int) -> list[str]:
        asked = {"_AI_DEV_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(position)}
        return subprocess.run(
            CLI, env={**os.environ, **asked}, capture_output=True, text=True, check=True
        ).stdout.split()  # fmt: skip

    assert completed("ai-dev-bench ver", 1) == ["verify"]
    assert completed("ai-dev-bench run --ta", 2) == ["--tasks"]
    script = {**os.environ, "_AI_DEV_BENCH_COMPLETE": "source_bash"}
    said = subprocess.run(CLI, env=script, capture_output=True, text=True, check=True).stdout
    assert "complete -o default -F" in said
    assert subprocess.run(["bash", "-n"], input=said, text=True, check=False).returncode == 0


def test_serve_answers_as_ollama_would_and_ends_when_told(weights: Path) -> None:
    words = [*CLI, "serve", "--port", "0", "--model-file", str(weights), "--num-ctx", "2048"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("$ python -m ai_dev_tools.benchmark.endpoints.embedded --host")
        line = next(line for line in server.stdout if "is served at" in line)
        address = line.partition("served at ")[2].split()[0]
        with urllib.request.urlopen(f"{address}/api/tags", timeout=10) as answer:
            assert json.load(answer)["models"][0]["name"] == "smollm2:135m"
        server.terminate()
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize(
    ("script", "names"),
    [("run_benchmark.sh", "ai-dev-bench run --profile nope"), ("run_batch.sh", "ai-dev-bench batch nope")],
)
def test_deprecated_scripts_name_the_new_command_and_pass_its_exit_code_on(script: str, names: str) -> None:
    done = subprocess.run(
        [str(ROOT / "scripts" / script), "nope"], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHON": sys.executable},
    )  # fmt: skip
    assert done.returncode == 2
    assert f"deprecated: {ROOT}/scripts/{script}; use: {names}" in done.stderr
    assert "unknown" in done.stderr


def test_the_simple_script_lists_tasks() -> None:
    script = str(ROOT / "scripts" / "benchmark_new.py")
    done = subprocess.run([sys.executable, script, "--list-tasks"], capture_output=True, text=True, check=True)
    assert "safety_assessment" in done.stdout


def test_watch_shows_a_run_and_says_where_there_is_none(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "--profile", "light", "--once"]) == 2
    assert "ai-dev-bench run --profile light" in capsys.readouterr().err
    (project / "results" / "light").mkdir()
    assert main(["watch", "--profile", "light", "--once"]) == 0
    assert "no plan yet" in capsys.readouterr().out


def test_plan_says_whether_earlier_samples_will_count(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ai_dev_tools.benchmark.records.plan import declare_plan
    from ai_dev_tools.cli.command_request import CommandRequest, open_request

    experiment, _ = open_request(CommandRequest(project, {"profile": "light", "samples": 7}))
    declare_plan(project / "results" / "light" / "plans.jsonl", experiment.plan("light"))
    assert main(["plan", "--profile", "light", "--samples", "12"]) == 0
    assert "with 5 more samples per task and arm" in capsys.readouterr().out
    assert main(["plan", "--profile", "light", "--samples", "3", "--json"]) == 0
    (earlier,) = json.loads(capsys.readouterr().out)["earlier"]
    assert earlier.startswith("does not continue plan")
    assert earlier.endswith("3 samples per task and arm instead of 7")


def test_plan_says_nothing_of_earlier_plans_that_do_not_bear_on_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They asked other models, so their samples and looks are not those of this plan."""
    from ai_dev_tools.benchmark.records.plan import declare_plan
    from ai_dev_tools.cli.command_request import CommandRequest, open_request

    plan = open_request(CommandRequest(project, {"profile": "light", "samples": 7}))[0].plan("light")
    declare_plan(project / "results" / "light" / "plans.jsonl", plan.model_copy(update={"models": ("other:1b",)}))
    assert main(["plan", "--profile", "light", "--samples", "12"]) == 0
    said = capsys.readouterr().out
    assert "plan 2 of this profile" in said
    assert "This plan does not continue" not in said and "This plan continues" not in said
    assert main(["plan", "--profile", "light", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["earlier"] == []
