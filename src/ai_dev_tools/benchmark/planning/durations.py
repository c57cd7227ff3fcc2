"""How long requests take on this machine: a linear model of their tokens, with its prediction error."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from ai_dev_tools.benchmark.analysis.clusters import Floats
from ai_dev_tools.benchmark.analysis.samples import Samples, SamplesLike
from ai_dev_tools.benchmark.analysis.samples_table import codes, levels

COLUMNS = [
    "model",
    "samples",
    "intercept_s",
    "s_per_input_token",
    "s_per_output_token",
    "median_error",
    "total_error",
    "note",
]


@dataclass(frozen=True)
class DurationModel:
    """Seconds of a request = intercept + input tokens x a + output tokens x b, for each model.

    No part is negative.

    `table` has one row per model (and "(all)"): the coefficients, and by cross-validation over cases the median
    absolute relative error of one request and the absolute relative error of the total.
    """

    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))
    _coefficients: dict[str, Floats] = field(default_factory=dict)

    def predict(self, model: str, input_tokens: ArrayLike, output_tokens: ArrayLike) -> Floats:
        """Expected seconds of requests; a model that was never seen is predicted from all.

        NaN when nothing was.
        """
        c = self._coefficients.get(model, self._coefficients.get("(all)", np.full(3, np.nan)))
        read, written = np.asarray(input_tokens, dtype=np.float64), np.asarray(output_tokens, dtype=np.float64)
        return np.asarray(c[0] + c[1] * read + c[2] * written)

    def error(self, model: str) -> float:
        """Cross-validated relative error of a total; 1 (a factor of two) when it could not be measured."""
        rows = self.table[self.table["model"].isin([model, "(all)"])]["total_error"].dropna()
        return float(rows.iloc[0]) if len(rows) else 1.0


def fit_durations(samples: SamplesLike, folds: int = 5) -> DurationModel:
    """Fit the duration model on completed samples by non-negative least squares.

    Cross-validation leaves whole cases out, since the requests of one case resemble each other.
    """
    table = Samples.of(samples).frame
    needed = table[["duration_s", "input_tokens", "output_tokens"]].notna().all(axis=1)
    table = table[(table["status"] == "completed") & needed]
    rows, found = [], {}
    for model in [*levels(table["model"]), "(all)"]:
        part = table if model == "(all)" else table[table["model"] == model]
        y = part["duration_s"].to_numpy(dtype=np.float64)
        x = np.column_stack([np.ones(len(part)), part["input_tokens"], part["output_tokens"]]).astype(np.float64)
        row: dict[str, object] = {"model": model, "samples": len(part), "note": ""}
        if len(part) < 3:
            row["note"] = "needs at least 3 completed samples"
            if len(part):
                found[model] = np.array([y.mean(), 0.0, 0.0])
        else:
            found[model] = optimize.nnls(x, y)[0]
            row |= dict(zip(("intercept_s", "s_per_input_token", "s_per_output_token"), found[model], strict=True))
            row |= _cross_validate(x, y, codes(part, ["task", "case"]), folds)
        rows.append(row)
    return DurationModel(pd.DataFrame(rows, columns=COLUMNS), found)


def _cross_validate(x: Floats, y: Floats, case: NDArray[np.int64], folds: int) -> dict[str, float | str]:
    fold = case % min(folds, int(case.max()) + 1)
    guess = np.full(len(y), np.nan)
    totals = []
    for k in range(int(fold.max()) + 1):
        out = fold == k
        if out.all() or (~out).sum() < 3:
            continue
        guess[out] = x[out] @ optimize.nnls(x[~out], y[~out])[0]
        totals.append(abs(float(guess[out].sum() / y[out].sum()) - 1))
    if not totals:
        return {"note": "error unknown: needs two cases"}
    known = np.isfinite(guess)
    return {
        "median_error": float(np.median(np.abs(guess[known] / y[known] - 1))),
        # the worst fold: a plan is longer than a fold, so this errs on the safe side
        "total_error": max(totals),
    }
