"""The prices of a run's models: from the settings, or by name from the price list that is installed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ai_dev_tools.benchmark._util.model_names import full_name
from ai_dev_tools.benchmark.config.models import Config
from ai_dev_tools.benchmark.config.prices import LIST, PriceSettings, one_currency
from ai_dev_tools.benchmark.config.resolving import ResolvedInstance
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.plan import ModelPrice, Prices
from ai_dev_tools.benchmark.records.prices import Budget


def prices_of(config: Config, instances: Sequence[ResolvedInstance]) -> Prices | None:
    """The prices of a run's models; None if none of them has one.

    Raises:
        ConfigurationError: some have one and others do not, one has two, or the list does not know a name.
    """
    found: dict[str, tuple[str, PriceSettings]] = {}
    for name, setting in (config.prices or {}).items():
        for instance in instances:
            if name != instance.name and full_name(name) != full_name(instance.model):
                continue
            if (other := found.setdefault(instance.model, (name, setting))[0]) != name:
                raise ConfigurationError(
                    f"config: 'prices' has two prices for {instance.model}: '{other}' and '{name}'"
                )
    if not found:
        return None
    if missing := [instance.model for instance in instances if instance.model not in found]:
        raise ConfigurationError(
            f"config: 'prices' has no price for {', '.join(missing)}, which this run also asks",
            remedy="Add a price, or choose other models with models=…",
        )
    priced = {instance.model: _price(*found[instance.model], instance.model) for instance in instances}
    return Prices(currency=one_currency(found.values()) or "", models=priced)


def _price(name: str, setting: PriceSettings, model: str) -> ModelPrice:
    if setting.list is None:
        return ModelPrice.model_validate(setting.model_dump(exclude_none=True, exclude={"currency"}))
    from ai_dev_tools.benchmark.planning.price_list import listed_price  # 0.1 s that runs without the list do not pay

    try:
        return listed_price(model if setting.list == LIST else setting.list)
    except ConfigurationError as error:
        raise ConfigurationError(f"config: 'prices.{name}': {error}") from None


def unused_prices(config: Config, instances: Iterable[ResolvedInstance]) -> list[str]:
    """A line for each price that this run has no use for."""
    used = {full_name(name) for instance in instances for name in (instance.name, instance.model)}
    names = [name for name in config.prices or () if full_name(name) not in used]
    return [f"'prices' has one for '{name}', which this run does not ask" for name in names]


def budget_of(config: Config, prices: Prices | None) -> Budget | None:
    """What a run may cost; None if nothing says so.

    Raises:
        ConfigurationError: there is a budget, but no price of what the run asks.
    """
    if config.budget is None:
        return None
    if prices is None:
        raise ConfigurationError(
            f"config: 'budget' is {config.budget:g}, but 'prices' has no price for what this run asks",
            remedy="Say in 'prices' what a request costs",
        )
    return Budget(config.budget, prices.currency, prices.rates)
