"""Settings as they were written: a name stays what was typed, and a number that can be read in two ways is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.config.as_written import as_list, parse_value, scalar, spell
from ai_dev_tools.benchmark.config.batches import find_batches
from ai_dev_tools.benchmark.config.models import Config, load_config
from ai_dev_tools.benchmark.config.parsing import parse_settings, read_settings, read_yaml
from ai_dev_tools.benchmark.config.sources import parse_overrides
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.tool_spec import load_tool
from ai_dev_tools.benchmark.runner import BenchmarkRunner
from ai_dev_tools.benchmark.tasks.loading import load_task
from ai_dev_tools.benchmark.workflow.snakemake import SnakemakeCall
from ai_dev_tools.cli.benchmark_cli import main
from support.making import case, write_task
from support.project import make_project
from support.repository import ROOT

SHIPPED: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
NAMES = (
    "007",
    "1.5",
    "1.50",
    "1e5",
    "off",
    "no",
    "true",
    "True",
    "null",
    "NA",
    "0x1F",
    "1_000",
    "1:30",
    "2024-01-01",
    "7",
)


def config_of(*pairs: str) -> Config:
    return load_config(SHIPPED | parse_overrides(pairs))


@given(st.text())
@example("007")
@example("1_000")
@example("1e5")
@example("nan")
@example("-0")
@example("1" * 5000)
def test_a_plain_value_can_be_written_back_exactly_as_it_was(text: str) -> None:
    if text not in ("null", "~"):
        assert spell(scalar(text)) == text
    assert text.strip("'\"")[:1] in ("[", "{") or spell(parse_value(text)) == text.strip("'\"")


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cn", "Cs"]))))
@example([])
@example(["a,b"])
@example([" a"])
@example(["\N{GRINNING FACE}"])
def test_a_list_can_be_written_so_that_it_is_read_back(names: list[str]) -> None:
    found = as_list(parse_value(spell(names)))
    assert [spell(name) for name in (found if isinstance(found, list) else [found])] == names


@pytest.mark.parametrize("name", NAMES)
def test_names_stay_text_on_the_command_line(name: str) -> None:
    assert config_of(f"tasks={name}").tasks == (name,)
    assert config_of(f"tools={name},b").tools == (name, "b")
    assert config_of(f"models={name}").models == (name,)
    assert (
        config_of(f"plan={{reference: {name}}}" if name != "null" else "plan={reference: 'null'}").plan.reference
        == name
    )
    with pytest.raises(ConfigurationError, match=f"unknown profile '{name}'"):
        config_of(f"profile={name}")
    with pytest.raises(ConfigurationError, match=f"'retry' is '{name}'"):
        config_of(f"retry={name}")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("null", "1.50")])
def test_names_stay_text_in_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "own.yaml").write_text(
        f"tasks: {name}\ntools: [{name}]\nprofiles:\n  {name.replace('.', '_').replace(':', '_')}: {{extends: {name}}}\n"
        f"batches: {{mine: {{profiles: [{name}], samples: 2, tasks: [{name}]}}}}\n"
    )
    settings = read_settings(tmp_path / "own.yaml")
    config = load_config(SHIPPED | settings | {"profiles": SHIPPED["profiles"] | settings["profiles"]})
    assert config.tasks == config.tools == (name,)
    assert name in {profile.extends for profile in config.profiles.values()}
    batch = find_batches(settings)["mine"]
    assert batch.profiles == batch.tasks == (name,)


@pytest.mark.parametrize("number", ["010", "0010", "1_000", "0x10", "0o17", "1:30", "00"])
@pytest.mark.parametrize("setting", ["samples", "task_timeout", "options={num_ctx: N}"])
def test_a_number_that_can_be_read_in_two_ways_is_refused_as_it_was_typed(
    tmp_path: Path, number: str, setting: str
) -> None:
    pair = setting.replace("N", number) if "N" in setting else f"{setting}={number}"
    with pytest.raises(ConfigurationError, match=f"is {number}, which can be read in two ways"):
        config_of(pair)
    (tmp_path / "own.yaml").write_text(f"samples: {number}\n")
    with pytest.raises(ConfigurationError, match=f"'samples' is {number}, which"):
        load_config(SHIPPED | read_settings(tmp_path / "own.yaml"))


def test_numbers_and_truth_values_are_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("samples: 10\npartial: yes\ntask_timeout: 1e2\noptions: {temperature: .5}\n")
    for settings in (read_settings(tmp_path / "own.yaml"),
                     parse_overrides(["samples=10", "partial=yes", "task_timeout=1e2", "options={temperature: .5}"])):  # fmt: skip
        config = load_config(SHIPPED | settings)
        assert (config.samples, config.partial, config.task_timeout, config.options.temperature) == (10, True, 100, 0.5)


def test_a_name_that_stands_twice_is_refused_on_the_command_line_too() -> None:
    with pytest.raises(ConfigurationError, match=r"--config \{num_ctx: 1, num_ctx: 2\}: 'num_ctx' is written twice"):
        parse_overrides(["options={num_ctx: 1, num_ctx: 2}"])


def test_what_a_table_takes_over_may_be_written_again(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("b: &b\n  <<: &a {x: 1, y: 1}\n  x: 2\nc:\n  <<: *b\n  x: 3\nd: [*a, *a, *b]\n")
    for read in (read_settings, read_yaml):
        assert read(path) == {
            "b": {"x": 2, "y": 1},
            "c": {"x": 3, "y": 1},
            "d": [{"x": 1, "y": 1}, {"x": 1, "y": 1}, {"x": 2, "y": 1}],
        }


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3))
def test_what_python_gives_arrives_as_it_was_given(names: list[str]) -> None:
    arguments = SnakemakeCall("report", {"tasks": names}).arguments()
    pairs = arguments[arguments.index("--config") + 1 :]
    assert config_of(*pairs).tasks == tuple(names)


def test_a_runner_s_task_ids_stay_text(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    call = BenchmarkRunner(root=project).call("report", {"tasks": ["007", "1.5"]})
    assert config_of(*call.arguments()[call.arguments().index("--config") + 1 :]).tasks == ("007", "1.5")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one task, called 007."""
    folder = make_project(tmp_path_factory.mktemp("written") / "p")
    task = write_task(folder / "elsewhere", case("one", tools=None), tools=["ruff"], id="007")
    task.rename(folder / "config" / "tasks" / "007")
    return folder


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (
            ["tasks=008", "tools=off", "models=1.5"],
            ["unknown task '008', did you mean '007'?", "unknown tool 'off'", "'1.5'"],
        ),
        (["profile=1"], ["unknown profile '1'"]),
        (["retry=no"], ["'retry' is 'no'"]),
        (["samples=010"], ["'samples' is 010, which can be read in two ways"]),
    ],
)
def test_snakemake_says_a_wrong_setting_as_it_was_typed(project: Path, pairs: list[str], said: list[str]) -> None:
    done = _snakemake(project, *pairs)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    for words in said:
        assert [line for line in lines if words in line], done.stderr


def test_snakemake_runs_a_task_whose_name_looks_like_a_number(project: Path, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("tasks: 007\n")
    for done in (_snakemake(project, "tasks=007"), _snakemake(project, files=[tmp_path / "own.yaml"])):
        assert done.returncode == 0, done.stdout + done.stderr
        assert "error:" not in done.stderr


def _snakemake(folder: Path, *pairs: str, files: list[Path] | None = None) -> subprocess.CompletedProcess[str]:
    given = [*(["--configfile", *map(str, files)] if files else []), *(["--config", *pairs] if pairs else [])]
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", *given]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=300, check=False)


@pytest.mark.parametrize("samples", ["010", "1_0", "0x5", "5.0", "five"])
def test_the_command_line_refuses_unclear_numbers(samples: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--samples", samples]) == 2
    assert f"'{samples}'" in capsys.readouterr().err


# --- what messages offer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": 1}, "expected a list of words, like [a, b]"),
        ([], "name at least 1"),
        ([["a"]], "expected a text; put it in quotes"),
    ],
)
def test_a_list_that_is_none_is_explained_in_words(value: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_config(SHIPPED | {"tasks": value})
    assert said in str(caught.value)
    assert "tuple" not in str(caught.value)


def test_an_id_that_yaml_reads_as_a_number_is_told_to_be_quoted(tmp_path: Path) -> None:
    task = write_task(tmp_path, case("one"))
    (task / "cases" / "007.yaml").write_text((task / "cases" / "one.yaml").read_text().replace("id: one", "id: 007"))
    with pytest.raises(ConfigurationError, match=r"007.yaml: 'id' is 7: expected a text; put it in quotes"):
        load_task(task)


@pytest.mark.parametrize("name", ["folder", "cases", "case_lists"])
def test_internal_fields_of_a_task_cannot_be_written_and_are_not_offered(tmp_path: Path, name: str) -> None:
    task = write_task(tmp_path)
    (task / "task.yaml").write_text((task / "task.yaml").read_text() + f"{name}: [x]\n")
    with pytest.raises(ConfigurationError) as caught:
        load_task(task)
    assert f"unknown setting '{name}'" in str(caught.value)
    assert f"'{name}'?" not in str(caught.value)
    assert f", {name}," not in str(caught.value)


def test_internal_fields_of_cases_and_tools_cannot_be_written_and_are_not_offered(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown setting 'where', valid: cluster"):
        load_task(write_task(tmp_path, case("one", where="x")))
    (tmp_path / "t.yaml").write_text("id: t\nfoldr: x\n")
    with pytest.raises(ConfigurationError) as caught:
        load_tool(tmp_path / "t.yaml")
    assert "unknown setting 'foldr'" in str(caught.value)
    assert "'folder'" not in str(caught.value)


def test_settings_of_a_batch_are_explained_the_same_way() -> None:
    with pytest.raises(ConfigurationError, match="expected a list of words"):
        find_batches({"batches": {"mine": {"profiles": {"a": 1}, "samples": 2}}})
    with pytest.raises(ConfigurationError, match="expected a mapping"):
        parse_settings(Config, [1], "config")
