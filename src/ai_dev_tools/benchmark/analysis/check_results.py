"""Run the registered checks on samples; a flagged sample is void for some outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.samples_table import codes
from ai_dev_tools.benchmark.config.thresholds import ValidityThresholds
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.plugins import CHECKS, OUTCOMES, Check

IS_REFERENCE = "is_reference"
"""A column that checks see: whether a sample is of the reference arm."""


@dataclass(frozen=True, eq=False)
class CheckResult:
    """What one check says of each sample: a value in its unit, and a state: 0 ok, 1 flagged, 2 unknown."""

    plugin: Check
    values: NDArray[np.float64]
    state: NDArray[np.int8]

    def part(self, inside: NDArray[np.bool_]) -> CheckResult:
        """The same of some of the samples."""
        return CheckResult(self.plugin, self.values[inside], self.state[inside])


def run_checks(samples: pd.DataFrame, thresholds: ValidityThresholds, reference: str) -> Iterator[CheckResult]:
    """What each registered check says of each prepared sample.

    Each run is checked by itself: what is usual in one may not be in another, whose prompts may differ.
    """
    samples = samples.assign(**{IS_REFERENCE: samples["approach"] == reference})
    run = codes(samples, ["run"])
    parts = [np.flatnonzero(run == number) for number in range(int(run.max(initial=0)) + 1)]
    tables = [samples] if len(parts) == 1 else [samples.iloc[rows] for rows in parts]
    for plugin in CHECKS.values():
        numbers, state = np.empty(len(samples)), np.empty(len(samples), dtype=np.int8)
        for rows, table in zip(parts, tables, strict=True):
            numbers[rows], state[rows] = _checked(plugin, table, thresholds)
        yield CheckResult(plugin, numbers, state)


def _checked(
    plugin: Check, samples: pd.DataFrame, thresholds: ValidityThresholds
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Value and state of each sample by one check."""
    try:
        with np.errstate(all="ignore"):
            values, flagged = plugin.function(samples, thresholds)
        state = pd.array(flagged, dtype="boolean").to_numpy(dtype=np.float64, na_value=2.0).astype(np.int8)
        numbers = np.asarray(
            pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        )
    except Exception as error:
        raise ConfigurationError(
            f"check '{plugin.name}' ({plugin.origin}) failed: {type(error).__name__}: {error}"
        ) from None
    if len(state) != len(samples) or len(numbers) != len(samples):
        raise ConfigurationError(f"check '{plugin.name}' ({plugin.origin}) must give one value and one flag per sample")
    return numbers, state


def with_flags(samples: pd.DataFrame, checks: Iterable[CheckResult]) -> pd.DataFrame:
    """The samples with columns `void_tokens`, `void_time` and `void_quality`.

    True where a check flagged the sample that matters to the outcome.

    `why_tokens`, … name the first such check, "" where there is none.
    """
    first = {outcome: np.zeros(len(samples), dtype=np.int16) for outcome in OUTCOMES}
    names = [""]
    for found in checks:
        names.append(found.plugin.name)
        for outcome in found.plugin.voids:
            first[outcome][(found.state == 1) & (first[outcome] == 0)] = len(names) - 1
    void = {f"void_{outcome}": which > 0 for outcome, which in first.items()}
    why = {f"why_{outcome}": categorical(which, names) for outcome, which in first.items()}
    return samples.assign(**void, **why)


def categorical(numbers: NDArray[np.integer], names: list[str]) -> pd.Categorical[str]:
    """Numbers as texts."""
    return pd.Categorical.from_codes(numbers, pd.Index(names))
