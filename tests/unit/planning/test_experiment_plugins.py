"""Plugins in a run's settings: what they add to it, and what is asked of blocks and prompts when they change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_dev_tools.benchmark.analysis.continuity import additions, departures
from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.planning.opening import open_experiment
from ai_dev_tools.benchmark.tasks.registry import TaskRegistry
from support.making import case, write_task
from support.repository import ROOT

SHIPPED: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
PLUGIN = """
from ai_dev_tools.benchmark.plugins import approach, endpoint_kind, scorer

@approach("names_only", "file names alone")
def names_only(inputs):
    return " ".join(inputs.texts)

@scorer("mine")
def mine(expected, actual, most, least=0):
    return 1.0

@endpoint_kind("lab")
def lab(spec):
    yield None
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one task and a plugin file."""
    (tmp_path / "config" / "tools").mkdir(parents=True)
    write_task(tmp_path / "config" / "tasks", case("one"), tools=[])
    (tmp_path / "mine.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def experiment(root: Path, **changed: Any) -> Experiment:
    return open_experiment(load_config(SHIPPED | {"approaches": "baseline,no_context"} | changed), root)


def error(root: Path, **changed: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        experiment(root, **changed)
    return str(caught.value)


def block(found: Experiment) -> dict[str, Any]:
    (model, task), *_ = found.blocks("light")
    content: dict[str, Any] = json.loads(found.block("light", model, task).to_json())
    return content


def scored_by_mine(root: Path, **parameters: object) -> None:
    rule = {"field": "colour", "scorer": "mine", **parameters}
    shutil.rmtree(root / "config" / "tasks")
    write_task(root / "config" / "tasks", case("one"), tools=[], scoring=[rule])


def test_an_arm_of_a_plugin_is_asked_where_it_is_named_and_costs_nothing_where_it_is_not(root: Path) -> None:
    plain = experiment(root)
    beside = experiment(root, plugins=["mine.py"])
    assert beside.prompted_approaches == plain.prompted_approaches, "no prompt is made anew"
    asking = experiment(root, plugins="mine.py", approaches="baseline,names_only")
    assert asking.prompted_approaches == [*plain.prompted_approaches, "names_only"]
    assert asking.about("light").approaches["names_only"] == "file names alone"
    assert "unknown approach 'names_only'" in error(root, approaches="baseline,names_only")


def test_a_block_without_plugins_is_what_it_was_before_there_were_any(root: Path) -> None:
    settings = {"profile": "light", "tasks": "colours"}
    plain = block(experiment(root, **settings))
    assert "plugins" not in plain, "its parameters are the same, so that no finished block runs again"
    assert block(experiment(root, **settings, plugins="mine.py")) == plain


def test_a_changed_scorer_changes_the_blocks_that_it_scores(root: Path) -> None:
    scored_by_mine(root, most=1)
    settings = {"profile": "light", "plugins": "mine.py"}
    before = block(experiment(root, **settings))["plugins"]
    assert [plugin["name"] for plugin in before] == ["mine.py"]
    (root / "mine.py").write_text(PLUGIN.replace("return 1.0", "return 0.5"))
    assert "colours" in error(root, **settings), "the truth itself must score 1"
    (root / "mine.py").write_text(PLUGIN.replace("return 1.0", "return float(1)"))
    assert block(experiment(root, **settings))["plugins"] != before


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "scorer 'mine' needs 'most'"),
        ({"most": 1, "leest": 2}, "takes no 'leest', did you mean 'least'?"),
        ({"most": 1, "wieght": 2}, "takes no 'wieght', did you mean 'weight'?"),
        ({"most": 1, "normalise": ["lower"]}, "takes no 'normalise', valid: most, least"),
    ],
    ids=str,
)
def test_a_task_gives_a_plugins_scorer_its_parameters(root: Path, parameters: dict[str, object], words: str) -> None:
    scored_by_mine(root, **parameters)
    assert words in error(root, plugins="mine.py")


def test_an_endpoint_kind_of_a_plugin_is_known_and_another_one_lists_it(root: Path) -> None:
    served = experiment(root, profile="light", plugins="mine.py", endpoint="lab")
    assert block(served)["plugins"] == [{"name": "mine.py"}], "a change of it runs no block again"
    assert "did you mean 'lab'?" in error(root, plugins="mine.py", endpoint="lap")


def test_the_setting_that_plugins_replaced_still_works_and_says_so(root: Path) -> None:
    served = experiment(root, profile="light", endpoint_file="mine.py", endpoint="lab")
    assert block(served)["plugins"] == [{"name": "mine.py"}]
    (line,) = served.config.replaced
    assert "'endpoint_file'" in line
    assert "plugins=mine.py" in line
    assert experiment(root, plugins="mine.py").config.replaced == []


def test_a_broken_plugin_ends_the_check_with_its_own_line_alone(root: Path) -> None:
    (root / "mine.py").write_text("\n1 / 0\n")
    said = error(root, plugins="mine.py", approaches="names_only")
    assert said == "plugin file mine.py, line 2: ZeroDivisionError: division by zero"
    assert error(root, plugins="none.py").startswith("config: 'plugins' names none.py")


def test_the_plan_names_the_code_behind_arms_and_scores_and_only_that(root: Path) -> None:
    scored_by_mine(root, most=1)
    settings = {"profile": "light", "plugins": "mine.py"}
    before = experiment(root, **settings).plan("light")
    assert list(before.plugins) == ["scorer mine"]
    asking = experiment(root, **settings, approaches="baseline,names_only").plan("light")
    assert list(asking.plugins) == ["approach names_only", "scorer mine"]

    (root / "mine.py").write_text(PLUGIN + "# another version")
    after = experiment(root, **settings).plan("light")
    assert after.digest != before.digest
    assert departures(before, after) == ["another version of scorer mine"]
    arm = experiment(root, **settings, approaches="baseline,names_only").plan("light")
    assert additions(asking, arm) == ["another version of approach names_only"]


def test_a_plan_without_plugins_keeps_its_hash(root: Path) -> None:
    plan = experiment(root).plan("light")
    assert "plugins" not in plan.content()
    assert experiment(root, plugins="mine.py").plan("light").digest == plan.digest


def test_tasks_read_from_python_know_the_scorers_of_the_settings(root: Path) -> None:
    scored_by_mine(root, most=1)
    (root / "config" / "config.yaml").write_text("plugins: [mine.py]\n")
    registry = TaskRegistry(root)
    assert registry.get_task("colours").scoring[0].as_dict() == {
        "field": "colour",
        "scorer": "mine",
        "weight": 1.0,
        "most": 1,
    }
