"""Prices and a budget in the settings: what they may say, and one line for whatever else they say."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.config.models import Config, load_config
from ai_dev_tools.benchmark.config.sources import parse_overrides
from ai_dev_tools.benchmark.errors import ConfigurationError

PRICE = {"input": 1.0, "cached_input": 0.1, "output": 4.0, "currency": "USD"}


def settings(**changed: Any) -> dict[str, Any]:
    instances = {"small": {"model": "llama3.2:1b"}, "hosted": {"model": "gpt-4o-mini", "host": "gpu"}}
    return {"profile": "p", "profiles": {"p": {"instances": instances}}, **changed}


def parsed(**changed: Any) -> Config:
    return load_config(settings(**changed))


def problem(**changed: Any) -> str:
    """The one line that a mistake causes."""
    with pytest.raises(ConfigurationError) as caught:
        parsed(**changed)
    lines = str(caught.value).splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_without_prices_there_are_none() -> None:
    assert (parsed().prices, parsed().budget) == (None, None)


@pytest.mark.parametrize("name", ["llama3.2:1b", "small", "gpt-4o-mini", "gpt-4o-mini:latest"])
def test_a_price_is_named_by_model_or_instance(name: str) -> None:
    assert parsed(prices={name: PRICE}, budget=5).prices is not None


def test_a_price_may_be_from_the_list_by_the_models_own_name_or_another() -> None:
    found = parsed(prices={"gpt-4o-mini": "list", "small": {"list": "openai/gpt-4o"}}).prices
    assert found is not None
    assert {name: price.list for name, price in found.items()} == {"gpt-4o-mini": "list", "small": "openai/gpt-4o"}


def test_prices_can_be_given_on_the_command_line() -> None:
    given = parse_overrides(['prices={"gpt-4o-mini": list, "small": {per_hour: 0.40}}', "budget=5.00"])
    found = parsed(**given)
    assert found.budget == 5.0
    assert found.prices is not None
    assert found.prices["small"].per_hour == 0.4


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"prices": {"small": PRICE | {"input": -1.0}}}, "'prices.small.input' is -1.0"),
        ({"prices": {"small": PRICE | {"output": math.nan}}}, "'prices.small.output' is nan"),
        ({"prices": {"small": PRICE | {"output": math.inf}}}, "'prices.small.output' is inf"),
        ({"prices": {"small": PRICE | {"output": "4,5"}}}, "write a number with a point and without commas, like 1.5"),
        ({"prices": {"small": PRICE | {"output": True}}}, "'prices.small.output': True is not an amount"),
        ({"prices": {"small": PRICE | {"output": 1e300}}}, "'prices.small.output' is 1e+300"),
        ({"prices": {"small": PRICE | {"cached_input": 1.5}}}, "cached_input is 1.5, which is more than input, 1"),
        ({"prices": {"small": PRICE | {5: None}}}, "'prices.small.5' is 5: keys should be strings"),
        ({"prices": {"small": PRICE}, "budget": "5,00"}, "'budget': '5,00' is not an amount"),
        ({"prices": {"small": PRICE}, "budget": True}, "'budget': True is not an amount"),
        ({"prices": {"small": PRICE}, "budget": "5 EUR"}, "'budget' is '5 EUR'"),
        ({"prices": {"small": PRICE | {"output": "much"}}}, "'prices.small.output' is 'much'"),
        ({"prices": {"small": PRICE | {"outputs": 1.0}}}, "did you mean 'output'?"),
        ({"prices": {"small": PRICE | {"currency": "$"}}}, "three capital letters, like USD"),
        ({"prices": {"llama3.2:1": PRICE}}, "names 'llama3.2:1', which is not a model of any profile, did you mean 'llama3.2:1b'?"),
        ({"prices": {"small": PRICE, "hosted": PRICE | {"currency": "EUR"}}}, "USD for 'small' and EUR for 'hosted'"),
        ({"prices": {"small": PRICE | {"currency": "EUR"}, "hosted": "list"}}, "mixes currencies"),
        ({"prices": {"small": {"input": 1.0}}}, "give input and output"),
        ({"prices": {"small": {"cached_input": 1.0}}}, "give input and output"),
        ({"prices": {"small": {"input": 0.0, "output": 0.0}}}, "there is no price above 0"),
        ({"prices": {"small": {}}}, "there is no price above 0"),
        ({"prices": {"small": {"list": "gpt-4o", "input": 1.0}}}, "cannot be combined with other prices"),
        ({"prices": {"small": {"list": "gpt-4o", "currency": "EUR"}}}, "the price list is in USD, not EUR"),
        ({"prices": {"small": "lists"}}, "'prices.small' is 'lists'"),
        ({"prices": "list"}, "'prices' is 'list'"),
        ({"budget": 5.0}, "'budget' needs prices"),
        ({"prices": {}, "budget": 5.0}, "'budget' needs prices"),
        ({"prices": {"small": PRICE}, "budget": 0}, "'budget' is 0"),
        ({"prices": {"small": PRICE}, "budget": -5}, "'budget' is -5"),
        ({"prices": {"small": PRICE}, "budget": math.inf}, "'budget' is inf"),
        ({"plan": {"outcomes": ["tokens", "money"]}}, "'plan.outcomes' needs prices"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_mistake_is_one_line(changed: dict[str, Any], said: str) -> None:
    assert said in problem(**changed)


@given(
    st.dictionaries(
        st.sampled_from(["input", "cached_input", "output", "per_hour", "currency", "list", "other"]),
        st.one_of(st.floats(), st.integers(-2, 2), st.text(max_size=4), st.none(), st.booleans()),
    )
)
def test_whatever_a_price_says_it_is_taken_or_refused_in_lines(price: dict[str, Any]) -> None:
    try:
        found = parsed(prices={"small": price}).prices
    except ConfigurationError:
        return
    assert found is not None
    one = found["small"]
    numbers = [value for value in (one.input, one.cached_input, one.output, one.per_hour) if value is not None]
    assert one.list or (max(numbers) > 0 and all(0 <= number < math.inf for number in numbers))
