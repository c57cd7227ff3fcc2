"""Names that become parts of paths: refused before the first request where a finished run could not be archived."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.config.resolving import resolve_profile
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.legacy.old_results import import_results
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.planning.opening import open_experiment
from ai_dev_tools.benchmark.prompts.tool_spec import companions, find_tools
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.archive_names import name_problem
from ai_dev_tools.benchmark.records.names import (
    checked,
    clean_files,
    figure_id,
    is_clutter,
    path_problems,
    safe_segment,
)
from ai_dev_tools.benchmark.tasks.loading import find_tasks, load_task
from ai_dev_tools.benchmark.tasks.registry import TaskRegistry
from support.making import case, write_task
from support.repository import ROOT

SHIPPED: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
DEVICES = ("con", "NUL", "aux", "com1", "lpt9")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one task and no tool."""
    (tmp_path / "config" / "tools").mkdir(parents=True)
    write_task(tmp_path / "config" / "tasks", tools=None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def another_task(root: Path, name: str) -> Path:
    """A copy of the task under another name."""
    task = write_task(root / "elsewhere" / name, tools=None)
    settings = yaml.safe_load((task / "task.yaml").read_text()) | {"id": name}
    (task / "task.yaml").write_text(yaml.safe_dump(settings))
    return task.rename(root / "config" / "tasks" / name)


def opened(root: Path, **changed: Any) -> Experiment:
    return open_experiment(load_config(SHIPPED | {"approaches": "baseline"} | changed), root)


def refusal(root: Path, **changed: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        opened(root, **changed)
    return str(caught.value)


# --- one place for every name -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["..", ".", "", "a/b", "a\\b", "a:b", "end.", "end ", *DEVICES, "aux.json", "e\u0301", "x" * 101]
)
def test_a_name_that_some_system_reads_differently_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"another name|use 100 at most"):
        checked(name)


@given(st.text())
def test_any_text_becomes_one_safe_part_of_a_path_or_is_refused(text: str) -> None:
    try:
        part = safe_segment(text)
    except ValueError:
        return
    assert "/" not in part
    assert part not in ("", ".", "..")
    assert name_problem(f"results/{part}.json", 240) is None


@pytest.mark.parametrize("model", ["..", ".", "nul", "aux.gguf", "m.", "x" * 120])
def test_a_model_whose_samples_would_lie_elsewhere_is_refused_by_settings_and_by_whoever_makes_the_path(
    model: str,
) -> None:
    instances = {"extends": None, "instances": {"one": {"model": model}}}
    with pytest.raises(ConfigurationError, match="model"):
        load_config(SHIPPED | {"profiles": SHIPPED["profiles"] | {"mine": instances}})
    with pytest.raises(ConfigurationError, match="model"):
        paths.sample_file(Path("results/light"), model, "task", "baseline", 0)


def test_two_models_that_share_a_folder_are_refused() -> None:
    instances = {"one": {"model": "Fake:1b"}, "two": {"model": "fake:1B", "port": 1234}}
    config = load_config(SHIPPED | {"profiles": SHIPPED["profiles"] | {"mine": {"instances": instances}}})
    with pytest.raises(ConfigurationError, match="name it once"):
        resolve_profile(config, "mine")


@pytest.mark.parametrize("name", DEVICES)
def test_ids_of_tasks_cases_profiles_and_instances_ask_the_same_place(root: Path, name: str) -> None:
    another_task(root, name)
    assert "choose another name" in refusal(root)
    with pytest.raises(ConfigurationError, match="choose another name"):
        TaskRegistry(root, []).create_custom_task(name, "n", "custom", "a", "b")
    task = write_task(root / "cases", case(name))
    with pytest.raises(ConfigurationError, match="choose another name"):
        load_task(task)
    for profiles in ({name: {}}, {"mine": {"instances": {name: {"model": "m"}}}}):
        with pytest.raises(ConfigurationError, match="choose another name"):
            load_config(SHIPPED | {"profiles": SHIPPED["profiles"] | profiles})


def test_an_imported_run_and_its_models_ask_the_same_place(tmp_path: Path) -> None:
    groups = [{"task_name": "t", "model": "..", "approach": "tools", "results": [{"success": True, "sample_num": 0}]}]
    source = tmp_path / "old.json"
    source.write_text(json.dumps({"task_results": groups}))
    for name in ("..", "nul"):
        with pytest.raises(ConfigurationError, match="choose another name"):
            import_results(source, tmp_path / "results", name)
    with pytest.raises(ConfigurationError, match="model"):
        import_results(source, tmp_path / "results", "fine")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != source]


def test_the_files_of_a_figure_stay_in_its_folder_whatever_the_arm_is_called() -> None:
    assert figure_id("forest", "tools-good") == "forest-tools-good"
    assert figure_id("forest", "tools-../../x") == "forest-tools-------x"


# --- names beside each other --------------------------------------------------------------------------------------


def test_two_tasks_whose_names_differ_only_in_case_are_refused_before_the_first_request(root: Path) -> None:
    another_task(root, "Colours")
    said = refusal(root).splitlines()
    assert said[0].startswith("task 'Colours' and task 'colours' would be one file")
    assert all("'Colours'" in line for line in said), "and not each of their files once more"
    assert list(opened(root, tasks="Colours").tasks) == ["Colours"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("sources/one/App.py",), "App.py and config/tasks/colours/sources/one/app.py would be one file"),
        (("sources/one/aux.py",), "aux.py leads out of the folder, or has a name that some systems read differently"),
        (("sources/one/a:b.py",), "characters that no file of this project has"),
        (("sources/one/end.", "notes"), "some systems read differently"),
        (("sources/one/e\u0301.py",), "read in two ways"),
        (("sources/one/" + "d" * 120 + "/" + "f" * 120,), "too long"),
    ],
)
def test_a_file_of_a_task_that_no_archive_can_hold_is_named_before_the_first_request(
    root: Path, files: tuple[str, ...], said: str
) -> None:
    for name in files:
        path = root / "config" / "tasks" / "colours" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    assert said in refusal(root)
    opened(root, source="samples")  # what was measured before can still be reported


def test_a_link_that_leads_out_of_a_task_is_named_before_the_first_request(root: Path) -> None:
    (root / "elsewhere.py").write_text("x = 1\n")
    (root / "config" / "tasks" / "colours" / "notes.py").symlink_to(root / "elsewhere.py")
    assert "notes.py is a link to a file elsewhere" in refusal(root)


def test_long_names_are_refused_together_where_each_alone_would_do(root: Path) -> None:
    another_task(root, "t" * 99)
    profile = {"p" * 99: {"instances": {"one": {"model": "m" * 99}}}}
    assert "too long" in refusal(root, profiles=SHIPPED["profiles"] | profile, profile="p" * 99)


@given(st.lists(st.sampled_from(["a/b", "A/b", "a/B", "a/c", "\u00df", "ss"]), unique=True))
def test_only_names_that_are_one_file_on_some_system_exclude_each_other(names: list[str]) -> None:
    found = list(path_problems((name, name) for name in [*names, *names]))
    assert len(found) == len(names) - len({name.casefold() for name in names}) or len(names) < 2 or found


# --- what systems and editors leave behind ------------------------------------------------------------------------

CLUTTER = (
    "._one.yaml",
    ".#one.yaml",
    ".DS_Store",
    "one.yaml~",
    "#one.yaml#",
    ".one.yaml.swp",
    "Thumbs.db",
    "one.yaml.orig",
)


@pytest.mark.parametrize("name", CLUTTER)
def test_hidden_files_and_backups_do_not_stop_a_task_and_are_no_part_of_it(root: Path, name: str) -> None:
    task = root / "config" / "tasks" / "colours"
    before = (load_task(task).case_ids(), load_task(task).input_files())
    for place in ("cases", "sources/one", "sources", "."):
        (task / place / name).write_bytes(b"\x00\xff not text")
    (root / "config" / "tasks" / name).write_bytes(b"\x00")
    (root / "config" / "tools" / name).write_bytes(b"\x00")
    after = load_task(task)
    assert (after.case_ids(), after.input_files()) == before
    assert list(opened(root).tasks) == ["colours"]
    assert find_tools(root / "config" / "tools") == {}


def test_a_link_that_an_editor_holds_a_lock_with_does_not_stop_a_task(root: Path) -> None:
    (root / "config" / "tasks" / "colours" / "cases" / ".#one.yaml").symlink_to("me@host.1234")
    assert opened(root).tasks["colours"].case_ids() == ["one", "two"]


def test_hidden_folders_are_no_tasks(root: Path) -> None:
    task = root / "config" / "tasks" / "colours"
    (task.parent / ".ipynb_checkpoints").mkdir()
    (task.parent / ".ipynb_checkpoints" / "task.yaml").write_text("nonsense")
    assert list(find_tasks([task.parent])) == ["colours"]


def test_what_a_case_names_itself_is_no_clutter(tmp_path: Path) -> None:
    for name in (".github/workflows/ci.yml", ".github/.DS_Store", ".env", "app.py", "app.py~"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = {pattern: [str(path.relative_to(tmp_path)) for path in clean_files(tmp_path, pattern)]
             for pattern in ("**/*", ".github/**/*.yml", ".env", "app.py~")}  # fmt: skip
    assert found["**/*"] == ["app.py"]
    assert found[".github/**/*.yml"] == [".github/workflows/ci.yml"]
    assert found[".env"] == [".env"]
    assert found["app.py~"] == ["app.py~"]
    assert not is_clutter(Path("app.py"))


def test_companions_of_a_tool_are_its_files_without_clutter(tmp_path: Path) -> None:
    for name in ("lint.yaml", "lint_rules.yml", "lint_rules.yml~", "lint_data/a.txt", "lint_data/.DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert list(find_tools(tmp_path)) == ["lint"]
    assert [path.name for path in companions(tmp_path / "lint.yaml")] == ["a.txt", "lint_rules.yml"]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("tasks/colours/cases/three.yml", "Rename it to config/tasks/colours/cases/three.yaml"),
        ("tasks/other/task.yml", "Rename it to config/tasks/other/task.yaml"),
        ("tools/mine.yml", "Rename it to config/tools/mine.yaml"),
        ("tasks/colours/cases.tsv", "Save the list as cases.jsonl or cases.csv"),
        ("tasks/colours/cases.json", "Save the list as cases.jsonl or cases.csv"),
    ],
)
def test_what_nothing_reads_is_refused_in_one_line_instead_of_left_out(root: Path, place: str, said: str) -> None:
    path = root / "config" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("id: x\n")
    found = refusal(root).replace(f"{root}/", "")
    assert said in found
    assert len(found.splitlines()) == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"cluster": "my project"},
            "'cluster' is 'my project': use only letters, digits, '.', '-' and '_', starting with",
        ),
        ({"cluster": "-x"}, "starting with a letter or digit"),
    ],
)
def test_a_cluster_is_told_which_characters_it_may_have(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_task(write_task(tmp_path, case("one", **changed)))
    assert said in str(caught.value)
