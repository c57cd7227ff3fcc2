"""What a run's prices are, what they change of its plan, what it will cost, and the cheapest design that can decide."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.design import needed_arms
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.planning.history import read_history
from ai_dev_tools.benchmark.planning.opening import open_experiment
from ai_dev_tools.benchmark.planning.price_list import listed_price
from ai_dev_tools.benchmark.planning.pricing import unused_prices
from ai_dev_tools.benchmark.planning.spending import Spending, spending
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.prices import Rates, money
from ai_dev_tools.benchmark.records.sample import write_block, write_sample
from ai_dev_tools.cli.plan import plan_of
from support.making import case, sample, write_task
from support.repository import ROOT

SHIPPED: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
PRICE = {"input": 1.0, "output": 4.0}
MODEL = "llama3.2:1b"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one task of three cases."""
    (tmp_path / "config" / "tools").mkdir(parents=True)
    cases = [case(f"case{n}") for n in range(8)]
    write_task(tmp_path / "config" / "tasks", *cases, tools=[])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def experiment(root: Path, **changed: Any) -> Experiment:
    return open_experiment(load_config(SHIPPED | {"profile": "light"} | changed), root)


def cost(opened: Experiment, root: Path) -> Spending | None:
    """What the run costs, by all that was measured here."""
    return spending(opened, root, read_history(root, "light"))


def problem(root: Path, **changed: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        experiment(root, **changed)
    lines = str(caught.value).splitlines()
    assert len(lines) == 1, lines
    return lines[0]


# --- prices of a run ------------------------------------------------------------------------------------------------


def test_a_plan_without_prices_does_not_speak_of_them(root: Path) -> None:
    plan = experiment(root).plan("light")
    assert "prices" not in plan.content()
    assert [claim.outcome for claim in plan.claims] == ["tokens", "time"]


@pytest.mark.parametrize("name", [MODEL, "small"])
def test_a_plan_with_prices_claims_money_too(root: Path, name: str) -> None:
    plan = experiment(root, prices={name: PRICE}).plan("light")
    assert plan.content()["prices"] == {"currency": "USD", "models": {MODEL: {"input": 1.0, "output": 4.0}}}
    assert [claim.id for claim in plan.claims] == ["tokens:tools", "time:tools", "money:tools"]
    assert plan.without_prices() == experiment(root).plan("light").content()


@pytest.mark.parametrize(
    "outcomes", [["money"], ["tokens"], ["time"], ["tokens", "time"], ["money", "tokens"], ["tokens", "time", "money"]]
)
def test_only_outcomes_that_the_plan_names_are_claimed(root: Path, outcomes: list[str]) -> None:
    changed = SHIPPED["plan"] | {"outcomes": outcomes}
    claims = experiment(root, prices={MODEL: PRICE}, plan=changed).plan("light").claims
    assert [claim.id for claim in claims] == [f"{outcome}:tools" for outcome in outcomes]


def test_prices_and_budget_change_no_request(root: Path) -> None:
    plain, priced = (
        experiment(root, **changed).block("light", "llama3.2-1b", "colours")
        for changed in ({}, {"prices": {MODEL: PRICE}, "budget": 5.0})
    )
    assert isinstance(priced, Block)
    assert (plain.budget, priced.budget and priced.budget.rates) == (None, {MODEL: Rates(1.0, 4.0)})
    same = [{**json.loads(block.to_json()), "plan": "", "budget": ""} for block in (plain, priced)]
    assert same[0] == same[1]


def test_a_run_whose_models_have_no_price_claims_no_money_and_prices_of_others_are_named(root: Path) -> None:
    other = experiment(root, prices={"llama3.2:3b": PRICE})
    assert other.plan("light").prices is None
    assert unused_prices(other.config, other.instances("light")) == [
        "'prices' has one for 'llama3.2:3b', which this run does not ask"
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"profile": "medium", "prices": {MODEL: PRICE}}, "'prices' has no price for llama3.2:3b, which this run also asks"),
        ({"prices": {MODEL: PRICE, "small": PRICE}}, f"'prices' has two prices for {MODEL}: '{MODEL}' and 'small'"),
        ({"prices": {"llama3.2:3b": PRICE}, "budget": 5.0}, "'budget' is 5, but 'prices' has no price for what this run asks"),
        ({"prices": {MODEL: "list"}}, f"'prices.{MODEL}': the price list has no '{MODEL}'"),
        ({"prices": {MODEL: {"list": "gpt-4o-mni"}}}, "did you mean 'gpt-4o-mini'?"),
    ],
    ids=["some", "two", "budget", "not listed", "misspelt"],
)  # fmt: skip
def test_a_mistake_is_one_line(root: Path, changed: dict[str, Any], said: str) -> None:
    assert said in problem(root, **changed)


def test_the_list_knows_hosted_models_and_says_where_its_prices_are_from(root: Path) -> None:
    price = listed_price("gpt-4o-mini")
    assert price.input > 0
    assert price.output > price.input
    assert price.cached_input is not None
    assert price.source is not None
    assert price.source.startswith("openai/gpt-4o-mini in genai-prices ")
    assert re.search(r"changes up to 20\d\d-\d\d-\d\d$", price.source), "the date of its data"
    assert listed_price("openai/gpt-4o-mini") == price
    declared = experiment(root, prices={MODEL: {"list": "gpt-4o-mini"}}).plan("light").prices
    assert declared is not None
    assert declared.models[MODEL] == price


# --- what it will cost ----------------------------------------------------------------------------------------------


def test_without_samples_the_cost_is_estimated_from_the_prompts(root: Path) -> None:
    found = cost(experiment(root, prices={MODEL: PRICE}), root)
    assert found is not None
    assert found.whole is not None
    assert 0 < found.whole.low < found.whole.expected < found.whole.high
    assert found.missing == found.whole
    assert (found.spent, found.measured) == (0.0, False)
    assert cost(experiment(root), root) is None


def test_episodes_are_estimated_from_their_limits(root: Path) -> None:
    one, episode = (
        cost(experiment(root, prices={MODEL: PRICE}, approaches=arms), root)
        for arms in ("baseline,no_context", "agent,agent-none")
    )
    assert one is not None
    assert episode is not None
    assert one.whole is not None
    assert episode.whole is not None
    assert episode.whole.high > 5 * one.whole.high


def measured(root: Path, prices: dict[str, Any], stored: int = 3) -> Any:
    """A project in which requests were measured."""
    opened = experiment(root, prices=prices)
    results = root / "results" / "light"
    samples = [
        sample(model=MODEL, case=f"case{n}", approach=arm, sample=n, input_tokens=read, output_tokens=10)
        for arm, read in (("baseline", 1000), ("tools", 400), ("no_context", 100))
        for n in range(3)
    ]
    write_block(results / "blocks" / "llama3.2-1b" / "colours.jsonl", samples)
    for one in samples:
        if one.sample < stored:
            write_sample(results / "samples" / "llama3.2-1b" / "colours" / one.approach / f"{one.sample}.json", one)
    return opened


def test_with_samples_it_is_what_they_cost_and_what_is_missing(root: Path) -> None:
    found = cost(measured(root, {MODEL: PRICE}, stored=1), root)
    assert found is not None
    assert found.whole is not None
    assert found.missing is not None
    each = (1500 + 3 * 10 * 4) / 1e6
    assert found.whole.expected == pytest.approx(3 * each)
    assert found.missing.expected == pytest.approx(2 * each)
    assert found.spent == pytest.approx(each)
    assert found.measured


@pytest.mark.parametrize(
    ("budget", "said"), [(1.0, "suffices"), (0.005, "is likely to suffice"), (0.0001, "is not enough")]
)
def test_plan_says_whether_the_budget_suffices(root: Path, budget: float, said: str) -> None:
    measured(root, {MODEL: PRICE}, stored=1)
    content, text = plan_of(experiment(root, prices={MODEL: PRICE}, budget=budget), root)
    [line] = [line for line in text.splitlines() if line.startswith("Budget")]
    assert said in line
    assert content["money"]["budget"] == budget
    assert "Prices: llama3.2:1b: input 1, output 4 USD per million tokens" in text


def test_plan_shows_how_long_requests_of_its_own_models_take_and_no_others(root: Path) -> None:
    measured(root, {MODEL: PRICE})
    samples = [sample(model="other:1b", case=f"case{n}", approach="tools", sample=n) for n in range(6)]
    write_block(root / "results" / "mine" / "blocks" / "other-1b" / "colours.jsonl", samples)
    _, text = plan_of(experiment(root), root)
    assert [line.split(":")[0] for line in text.splitlines() if line.startswith("Time of")] == ["Time of llama3.2"]
    _, text = plan_of(experiment(root, profile="medium"), root)
    lines = [line for line in text.splitlines() if line.startswith("Time of")]
    assert lines[0].startswith(f"Time of {MODEL}: ") and "ms per input token" in lines[0]
    assert lines[1:] == ["Time of llama3.2:3b: not known, as it was never measured here"]


def test_plan_names_the_cheapest_design_and_whether_the_tasks_suffice_for_it(root: Path) -> None:
    measured(root, {MODEL: PRICE})
    content, text = plan_of(experiment(root, prices={MODEL: PRICE}, approaches="all"), root)
    design = content["sizing"]["cheapest_design"]
    assert list(design["arms"]) == ["baseline", "tools", "no_context"]
    assert list(design["controls"]) == ["excerpt", "shuffled", "mismatched"]
    assert 0 < design["few_controls_cost"]["expected"] <= design["controls_cost"]["expected"]
    assert design["requests"] == design["samples"] * 3
    assert design["cost"]["low"] < design["cost"]["expected"] < design["cost"]["high"]
    assert "No design can decide with these tasks; the cheapest would be: llama3.2:1b, " in text
    assert "more than the tasks have" in text
    assert "in a separate profile" in text


def test_the_cheapest_design_keeps_the_floor_of_agents(root: Path) -> None:
    plan = experiment(root).plan("light")
    claim = plan.claims[0].model_copy(update={"approach": "agent-x", "reference": "agent"})
    assert needed_arms(plan.model_copy(update={"claims": (claim,)})) == {"agent", "agent-x", "agent-none"}


def test_plan_without_prices_does_not_speak_of_money(root: Path) -> None:
    content, text = plan_of(experiment(root), root)
    assert "money" not in json.dumps(content, default=str).lower()
    assert "money" not in text.lower()
    assert "USD" not in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0.00 USD"), (12.5, "12.50 USD"), (1234.5, "1,234.50 USD"), (0.123456, "0.123 USD"), (0.000012345, "0.0000123 USD")],
)  # fmt: skip
def test_money_is_shown_with_three_digits_where_it_is_little(value: float, shown: str) -> None:
    assert money(value, "USD") == shown
