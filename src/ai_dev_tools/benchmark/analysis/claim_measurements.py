"""Measurements of a claim on one model and scope, and the checks that can make it invalid."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.candidate import Candidate
from ai_dev_tools.benchmark.analysis.effects import effect
from ai_dev_tools.benchmark.analysis.pair_columns import Pairs
from ai_dev_tools.benchmark.analysis.reasons import Code, Reason, reason, whole_percent
from ai_dev_tools.benchmark.config.thresholds import ValidityThresholds

Measure = tuple[str, float, float, Reason]
"""Name of a check, value, limit, and what is said where the value is above it."""


def measure(c: Candidate, limits: ValidityThresholds, resamples: int) -> None:
    """Effects with and without flagged pairs, and as capped answers leave them open.

    The checks on both arms.
    """
    name, dropped = c.claim.outcome, c.pairs["lost"]
    c.least_clusters = limits.min_clusters
    if f"void_{name}" not in c.pairs:  # a claim on money, of a ledger that has no prices
        return
    kept = c.pairs.part(~dropped)
    void = kept[f"void_{name}"] | kept["void_quality"]
    clean = kept.part(~void)
    c.clean = effect(clean, name, resamples)
    # unchanged pairs give the unchanged effect, bit for bit
    c.everything = effect(kept, name, resamples) if void.any() else c.clean
    if any((clean[f"{name}_open{side}"] != clean[f"{name}_high{side}"]).any() for side in ("", "_ref")):
        c.uncapped = effect(clean, name, resamples, "open")
    if c.clean is not None:
        c.bill = c.clean.bill
    c.shares = {
        "dropped": float(dropped.mean()) if len(dropped) else 0.0,
        "flagged": float(void.mean()) if len(kept) else 0.0,
        "censored": float(clean["censored"].mean()) if len(clean) else 0.0,
        "fell_back": float(kept["fell_back"].mean()) if len(kept) else 0.0,
        "tool_used": _used(kept),
    }
    for check, value, limit, why in (*_shares(c, kept, void, limits), *_turns(c, clean, limits)):
        c.note(check, not value > limit + 1e-12, value, limit, why)


def _used(pairs: Pairs) -> float:
    """Share of the arm's episodes in which the tool was used at all; NaN where it offers nothing to use."""
    calls = pairs["tool_calls"]
    known = calls[np.isfinite(calls)]
    return float((known > 0).mean()) if len(known) else float("nan")


def _shares(c: Candidate, kept: Pairs, void: NDArray[np.bool_], limits: ValidityThresholds) -> Iterator[Measure]:
    """Pairs lost to infrastructure, pairs that a check flagged, and whether it flagged both arms alike."""
    name, lost, flagged = c.claim.outcome, c.pairs.part(c.pairs["lost"]), kept.part(void)
    mostly = f", mostly {lost.usual_text('dropped')}" if len(lost) else ""
    check = (flagged.usual_text(f"why_{name}") or flagged.usual_text("why_quality")) if len(flagged) else ""
    own, other = (
        float((kept[f"void_{name}_{side}"] | kept[f"void_quality_{side}"]).mean()) if len(kept) else 0.0
        for side in ("own", "ref")
    )

    def said(code: Code, share: float, limit: float, **more: str) -> tuple[float, float, Reason]:
        return share, limit, reason(code, percent=whole_percent(share), limit=whole_percent(limit), **more)

    yield "dropped pairs", *said("lost", c.shares["dropped"], limits.max_dropped, mostly=mostly)
    yield "flagged pairs", *said("flagged", c.shares["flagged"], limits.max_flagged, check=check)
    yield "arms flagged alike", *said("flagged_apart", abs(own - other), limits.max_arm_difference)


def _turns(c: Candidate, clean: Pairs, limits: ValidityThresholds) -> Iterator[Measure]:
    """Whether the arms took turns in being asked first.

    Otherwise, anything that warms up or slows down would affect one of them more.
    """
    if not c.in_force.rests_on_time(c.claim, c.model):
        return
    ahead = clean["place"] - clean["place_ref"]
    ahead = ahead[np.isfinite(ahead)]
    value = abs(float(ahead.mean())) if len(ahead) else 0.0
    # an order that is drawn at random is uneven by chance, a fixed one by more than that
    chance = 2.5 * float(np.sqrt(np.mean(ahead**2) / len(ahead))) if len(ahead) else 0.0
    limit = max(limits.max_place_difference, chance)
    first = c.claim.reference if len(ahead) and ahead.mean() > 0 else c.claim.approach
    why = reason("asked_first", arm=first, places=f"{value:.2f}", limit=f"{limit:.2f}")
    yield "arms take turns", value, limit, why
