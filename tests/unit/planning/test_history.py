"""What was measured here before: read once, and a damaged file of another run stops no plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.design import cheapest
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.planning.history import read_history
from ai_dev_tools.benchmark.planning.opening import open_experiment
from ai_dev_tools.benchmark.planning.planner import Target
from ai_dev_tools.benchmark.planning.spending import Range, Spending
from ai_dev_tools.benchmark.records.sample import write_block
from ai_dev_tools.cli.plan import plan_of
from support.making import case, sample, write_task
from support.repository import ROOT

SETTINGS: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
MODEL = "smollm2:135m"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A working folder with a task of files, and one of workspaces that only agents can read."""
    tasks = tmp_path / "config" / "tasks"
    write_task(tasks, tools=[])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "app.py").write_text("x = 1\n")
    spaces = [case(name, source=None, workspace={"path": "../../../mine"}) for name in ("one", "two")]
    extra = {"id": "repo", "tools": None, "agents_only": True, "single_source": True}
    write_task(tmp_path / "more", *spaces, **extra).rename(tasks / "repo")
    (tmp_path / "config" / "tools").mkdir()
    return tmp_path


def opened(root: Path, **changed: Any) -> Experiment:
    return open_experiment(load_config(SETTINGS | changed), root)


def block(root: Path, run: str, **changed: Any) -> Path:
    path = root / "results" / run / "blocks" / "smollm2-135m" / "colours.jsonl"
    write_block(
        path, [sample(model=MODEL, profile=run, duration_s=float(n + 1), sample=n, **changed) for n in range(2)]
    )
    return path


def test_the_mean_time_of_a_request_is_that_of_all_runs(root: Path) -> None:
    for run in ("embedded", "light"):
        block(root, run)
    block(root, "light@replay")
    history = read_history(root, "embedded")
    assert history.seconds == {MODEL: 1.5}
    assert (len(history.samples), len(history.own)) == (4, 2)


@pytest.mark.parametrize("line", [b"{}\n", b'{"cut\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n"])
def test_a_damaged_block_of_another_run_stops_no_plan(root: Path, line: bytes) -> None:
    block(root, "embedded")
    broken = block(root, "light")
    broken.write_bytes(broken.read_bytes() + line)
    prices = {MODEL: {"input": 1.0, "output": 4.0}}
    content, text = plan_of(opened(root, approaches="baseline,tools,no_context", prices=prices), root)
    assert content["sizing"]
    assert f"Note: {broken} cannot be read, and the estimates do without it" in text.splitlines()


def test_a_damaged_block_of_the_run_itself_is_named(root: Path) -> None:
    broken = block(root, "embedded")
    broken.write_bytes(b"{}\n")
    with pytest.raises(ConfigurationError, match=r"colours\.jsonl line 1 is not a sample"):
        plan_of(opened(root, approaches="baseline,tools,no_context"), root)


ARMS = "baseline,tools,no_context,agent,agent-none"


def test_requests_of_a_size_are_those_of_the_arms_that_each_task_has(root: Path) -> None:
    """The task of files has five arms, the one of workspaces three of them."""
    content, _ = plan_of(opened(root, approaches=ARMS), root)
    sizing: Any = content["sizing"]
    for row in sizing["sizes"]:
        assert row["requests"] == 8 * row["samples_per_task"]


def test_the_cheapest_design_asks_each_task_only_in_its_own_arms(root: Path) -> None:
    """Of the arms that the claims need, the task of workspaces has no_context alone."""
    experiment = opened(root, approaches=ARMS)
    plan = experiment.plan("embedded")
    assert [plan.arms_of(task) for task in plan.tasks] == [
        tuple(ARMS.split(",")),
        ("no_context", "agent", "agent-none"),
    ]
    each = {(MODEL, arm): Range(1, 1, 1) for arm in plan.approaches}
    spending = Spending("USD", None, None, 0.0, None, each, measured=True)
    design = cheapest(plan, read_history(root, "embedded").own, Target(), spending, 100, ["tokens"])
    assert design is not None
    assert design.requests == 4 * design.samples == design.cost.expected
    assert design.controls_cost.expected == 4 * design.samples, "both arms of agents, in both tasks"


def test_the_least_number_of_clusters_is_that_of_the_settings(root: Path) -> None:
    """A size below it would get no word, however clear the effect."""
    settings = {"effect": 0.1, "quality": {"margin": 0.9}}
    for least in (6, 40):
        changed = {"plan": SETTINGS["plan"] | settings, "validity": {"min_clusters": least}}
        content, _ = plan_of(opened(root, approaches="baseline,tools,no_context", tasks="colours", **changed), root)
        sizing: Any = content["sizing"]
        assert min(row["clusters"] for row in sizing["sizes"]) >= least
