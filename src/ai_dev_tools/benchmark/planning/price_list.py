"""The price list `genai-prices`: what hosted models cost.

Its data are inside the package, so nothing is fetched.
"""

from __future__ import annotations

import difflib
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version

from genai_prices import Usage, calc_price
from genai_prices.data import providers
from genai_prices.types import StartDateConstraint, TieredPrices

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.plan import ModelPrice


def listed_price(name: str) -> ModelPrice:
    """The price of a model by its name, or by `provider/name`.

    Prices that depend on the hour are those of noon, UTC; those that rise with the prompt's length are those of short ones.

    Raises:
        ConfigurationError: the list does not have it.
    """
    provider, _, model = (
        name.rpartition("/") if name.partition("/")[0] in {one.id for one in providers} else ("", "", name)
    )
    noon = datetime.combine(datetime.now(UTC).date(), time(12), UTC)
    try:
        found = calc_price(
            Usage(input_tokens=1, output_tokens=1), model, provider_id=provider or None, genai_request_timestamp=noon
        )
    except LookupError:
        raise ConfigurationError(f"the price list has no '{name}', {_nearest(name)}") from None
    read, written = (_plain(getattr(found.model_price, f"{kind}_mtok")) for kind in ("input", "output"))
    if read is None or written is None:
        raise ConfigurationError(f"the price list has no prices per token for '{name}'")
    cached = _plain(found.model_price.cache_read_mtok)
    edition = f"genai-prices {version('genai-prices')}, which knows changes up to {_latest(noon.date())}"
    source = f"{found.provider.id}/{found.model.id} in {edition}"
    return ModelPrice(input=read, output=written, source=source, **({} if cached is None else {"cached_input": cached}))


def _latest(today: date) -> date:
    """The latest day on which a price of the list took effect: how new its data are."""
    dated = (prices for one in providers for model in one.models if isinstance(prices := model.prices, list))
    begun = (price.constraint for prices in dated for price in prices)
    return max(one.start_date for one in begun if isinstance(one, StartDateConstraint) and one.start_date <= today)


def _plain(price: Decimal | TieredPrices | None) -> float | None:
    if price is None:
        return None
    return float(price.base if isinstance(price, TieredPrices) else price)


def _nearest(name: str) -> str:
    every = sorted({model.id for one in providers for model in one.models})
    close = difflib.get_close_matches(name.rpartition("/")[2], every, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'?" if close else "no name in it is like that"
    return f"{hint} (or give input and output)"
