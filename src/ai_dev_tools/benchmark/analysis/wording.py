"""Verdicts in sentences for people. Every number in them is a column of the verdicts table."""

from __future__ import annotations

import numpy as np

from ai_dev_tools.benchmark.analysis.rows import Row

ONE_REPOSITORY = "for this repository only"
"""How far a verdict reaches whose cases all come from one repository; stands last in its scope."""
POWER_AT = 0.80
"""The true ratio for which the power column is given: a saving of one fifth."""


def sentence(row: Row) -> str:
    """One or two sentences that a reader can quote; `row` is a row of the verdicts table."""
    subject = f"{row['approach']} against {row['reference']} on {row['models']} ({row['scope']})"
    thing, ratio = row["outcome"], row.get("ratio")
    if ratio is None or not np.isfinite(ratio):
        return f"{subject}: nothing can be said about {thing}: {row['reasons']}."
    measured = f"{_amount(ratio, row['outcome'])} ({_interval(row)}; {_rests_on(row)})"
    match row["verdict"]:
        case "saves":
            return f"{subject} saves {thing}: {measured}, at no worse quality {_quality(row)}.{_reasons_note(row)}"
        case "costs":
            return f"{subject} costs {thing}: {measured}.{_reasons_note(row)}"
        case "invalid":
            return f"{subject}: invalid for {thing}: {row['reasons']}."
        case "inconclusive":
            return f"{subject}: inconclusive for {thing}: {measured}. Why: {row['reasons']}.{_what_could(row)}"
        case _:
            return f"{subject}, exploratory: {measured}."


def _amount(ratio: float, outcome: str) -> str:
    change = 100 * abs(1 - ratio)
    if round(change, 1) == 0:
        return f"as {'many' if outcome == 'tokens' else 'much'} {outcome} ({ratio:.3f} times)"
    less, more = ("fewer", "more") if outcome == "tokens" else ("less", "more")
    return f"{change:.1f} % {less if ratio < 1 else more}"


def _interval(row: Row) -> str:
    low, high = row.get("low", float("nan")), row.get("high", float("nan"))
    if np.isnan(low) or np.isnan(high):
        return f"ratio {row['ratio']:.3g}, no interval"
    top = "no upper limit" if np.isinf(high) else f"{high:.3g}"
    return f"ratio {row['ratio']:.3g}, 95 % interval {low:.3g} to {top}, bill {row['bill_ratio']:.3g}"


def _rests_on(row: Row) -> str:
    return ", ".join(f"{row[noun]} {noun if row[noun] != 1 else noun[:-1]}" for noun in ("pairs", "cases", "clusters"))


def _quality(row: Row) -> str:
    difference, bound = row["claim_quality_difference"], row["claim_quality_bound"]
    return f"({difference:+.3f} over its models, at worst {bound:+.3f}, margin {-row['quality_margin']:g})"


def _reasons_note(row: Row) -> str:
    return f" Note: {row['reasons']}." if row["reasons"] else ""


def _what_could(row: Row) -> str:
    parts = []
    mde, power, need = (row.get(name, float("nan")) for name in ("mde_ratio", "power", "clusters_could_decide"))
    says = 'A run of this size says "saves" with a probability of'
    if np.isfinite(mde):
        parts.append(f"{says} 80 % if the true ratio is {mde:.2g}")
        if np.isfinite(power) and f"{mde:.2g}" != f"{POWER_AT:.2g}":
            parts[-1] += f", and of {100 * power:.0f} % if it is {POWER_AT:g}"
    elif np.isfinite(power):
        parts.append(f"{says} {100 * power:.0f} % if the true ratio is {POWER_AT:g}; no ratio would raise that to 80 %")
    if np.isfinite(need):
        parts.append(f"About {need:.0f} clusters ({row['samples_could_decide']:.0f} samples per task) could decide")
    return "".join(f" {part}." for part in parts)
