"""What was measured here before: read once, and a damaged file of another run stops no plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.design import cheapest
from ai_dev_tools.benchmark.planning.history import read_history
from ai_dev_tools.benchmark.planning.planner import Target
from ai_dev_tools.benchmark.planning.spending import Range, Spending
from ai_dev_tools.benchmark.records.sample import write_block
from ai_dev_tools.cli.plan import plan_of
from support.experiments import SHIPPED
from support.experiments import experiment as opened
from support.making import sample

MODEL = "smollm2:135m"


def block(mixed: Path, run: str, **changed: Any) -> Path:
    path = mixed / "results" / run / "blocks" / "smollm2-135m" / "colours.jsonl"
    write_block(
        path, [sample(model=MODEL, profile=run, duration_s=float(n + 1), sample=n, **changed) for n in range(2)]
    )
    return path


def test_the_mean_time_of_a_request_is_that_of_all_runs(mixed: Path) -> None:
    for run in ("embedded", "light"):
        block(mixed, run)
    block(mixed, "light@replay")
    history = read_history(mixed, "embedded")
    assert history.seconds == {MODEL: 1.5}
    assert (len(history.samples), len(history.own)) == (4, 2)


@pytest.mark.parametrize("line", [b"{}\n", b'{"cut\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n"])
def test_a_damaged_block_of_another_run_stops_no_plan(mixed: Path, line: bytes) -> None:
    block(mixed, "embedded")
    broken = block(mixed, "light")
    broken.write_bytes(broken.read_bytes() + line)
    prices = {MODEL: {"input": 1.0, "output": 4.0}}
    content, text = plan_of(opened(mixed, approaches="baseline,tools,no_context", prices=prices), mixed)
    assert content["sizing"]
    assert f"Note: {broken} cannot be read, and the estimates do without it" in text.splitlines()


def test_a_damaged_block_of_the_run_itself_is_named(mixed: Path) -> None:
    broken = block(mixed, "embedded")
    broken.write_bytes(b"{}\n")
    with pytest.raises(ConfigurationError, match=r"colours\.jsonl line 1 is not a sample"):
        plan_of(opened(mixed, approaches="baseline,tools,no_context"), mixed)


ARMS = "baseline,tools,no_context,agent,agent-none"


def test_requests_of_a_size_are_those_of_the_arms_that_each_task_has(mixed: Path) -> None:
    """The task of files has five arms, the one of workspaces three of them."""
    content, _ = plan_of(opened(mixed, approaches=ARMS), mixed)
    sizing: Any = content["sizing"]
    for row in sizing["sizes"]:
        assert row["requests"] == 8 * row["samples_per_task"]


def test_the_cheapest_design_asks_each_task_only_in_its_own_arms(mixed: Path) -> None:
    """Of the arms that the claims need, the task of workspaces has no_context alone."""
    experiment = opened(mixed, approaches=ARMS)
    plan = experiment.plan("embedded")
    assert [plan.arms_of(task) for task in plan.tasks] == [
        tuple(ARMS.split(",")),
        ("no_context", "agent", "agent-none"),
    ]
    each = {(MODEL, arm): Range(1, 1, 1) for arm in plan.approaches}
    spending = Spending("USD", None, None, 0.0, None, each, measured=True)
    design = cheapest(plan, read_history(mixed, "embedded").own, Target(), spending, 100, ["tokens"])
    assert design is not None
    assert design.requests == 4 * design.samples == design.cost.expected
    assert design.controls_cost.expected == 4 * design.samples, "both arms of agents, in both tasks"


def test_the_least_number_of_clusters_is_that_of_the_settings(mixed: Path) -> None:
    """A size below it would get no word, however clear the effect."""
    settings = {"effect": 0.1, "quality": {"margin": 0.9}}
    for least in (6, 40):
        changed = {"plan": SHIPPED["plan"] | settings, "validity": {"min_clusters": least}}
        content, _ = plan_of(opened(mixed, approaches="baseline,tools,no_context", tasks="colours", **changed), mixed)
        sizing: Any = content["sizing"]
        assert min(row["clusters"] for row in sizing["sizes"]) >= least
