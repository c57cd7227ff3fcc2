"""Samples as every analysis reads them: typed, ordered, checked and with their costs.

They are prepared once, with the user's thresholds and reference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.check_results import CheckResult, run_checks, with_flags
from ai_dev_tools.benchmark.analysis.pairing import costs
from ai_dev_tools.benchmark.analysis.samples_table import levels, prepare
from ai_dev_tools.benchmark.analysis.validity import DEFAULTS, REFERENCE
from ai_dev_tools.benchmark.config.thresholds import ValidityThresholds
from ai_dev_tools.benchmark.plugins import AGENT


@dataclass(frozen=True, eq=False)
class Samples:
    """A samples table that was prepared; made once by `Samples.prepare` and passed on.

    Attributes:
        frame: the table with its types, in canonical order, with `void_OUTCOME` and `why_OUTCOME` from the checks and with
            what each sample cost (see `pairing.costs`).
        thresholds: when checks flag a sample, and when flags make a verdict invalid.
        reference: the arm that the checks of sessions and turns hold the others against; `agent` in a run of agents alone.
        checks: what each registered check said of each row.
    """

    frame: pd.DataFrame
    thresholds: ValidityThresholds
    reference: str
    checks: tuple[CheckResult, ...]

    @classmethod
    def prepare(
        cls, table: pd.DataFrame, thresholds: ValidityThresholds | None = None, reference: str = REFERENCE
    ) -> Samples:
        """Prepare a samples table; the order of its rows does not matter, and the input is not changed.

        Raises:
            ConfigurationError: a column that identifies a sample is missing or empty, a status is unknown, or a check of a
                plugin fails.
        """
        limits = thresholds or DEFAULTS
        prepared = prepare(table)
        arms = levels(prepared["approach"])
        if reference not in arms and AGENT in arms:  # a run of agents alone
            reference = AGENT
        checks = tuple(run_checks(prepared, limits, reference))
        return cls(costs(with_flags(prepared, checks)), limits, reference, checks)

    @classmethod
    def of(cls, samples: SamplesLike, reference: str = REFERENCE) -> Samples:
        """Prepared samples as they are; a plain table with the default thresholds, and this reference."""
        return samples if isinstance(samples, Samples) else cls.prepare(samples, reference=reference)

    def __len__(self) -> int:
        return len(self.frame)

    def part(self, inside: NDArray[np.bool_]) -> Samples:
        """Some of the samples, as they were checked among all."""
        return replace(
            self,
            frame=self.frame[inside].reset_index(drop=True),
            checks=tuple(check.part(inside) for check in self.checks),
        )

    def by_themselves(self, inside: NDArray[np.bool_]) -> Samples:
        """Some of the samples, checked as if there were no others."""
        return Samples.prepare(self.frame[inside], self.thresholds, self.reference)

    def where(self, column: str, *values: str) -> Samples:
        """The samples that have one of these values in a text column."""
        return self.part(self.frame[column].isin(values).to_numpy())

    def levels(self, column: str) -> list[str]:
        """The values of a text column that occur, sorted."""
        return levels(self.frame[column])

    def flagged(self, check: str) -> NDArray[np.bool_]:
        """Which samples a check flagged."""
        return next(np.asarray(found.state == 1) for found in self.checks if found.plugin.name == check)


SamplesLike: TypeAlias = Samples | pd.DataFrame
"""What an analysis takes: prepared samples, or a plain table that it prepares with the defaults."""
