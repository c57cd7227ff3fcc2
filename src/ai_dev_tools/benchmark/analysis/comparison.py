"""Compare two approaches (or models, profiles, runs) over the cases they share.

Ratios are geometric means of per-pair ratios, differences are means; both are averaged over repeats, cases, clusters
and tasks in that order, and judged on cluster means. Everything here is exploratory: verdicts are made in `verdicts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.analysis.clusters import Floats, group_means
from ai_dev_tools.benchmark.analysis.effects import Effect, effect
from ai_dev_tools.benchmark.analysis.money import unavailable
from ai_dev_tools.benchmark.analysis.pair_columns import Pairs, Rows
from ai_dev_tools.benchmark.analysis.pairing import By, pair_up
from ai_dev_tools.benchmark.analysis.power import minimal_effect
from ai_dev_tools.benchmark.analysis.quality import gate_level, lower_bound
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples import Samples, SamplesLike
from ai_dev_tools.benchmark.analysis.samples_table import ALL, words
from ai_dev_tools.benchmark.analysis.signed_ranks import signed_rank_p
from ai_dev_tools.benchmark.analysis.statistics import (
    RESAMPLES,
    benjamini_hochberg,
    effect_size,
    from_log,
    what_is_left_out,
    why_no_interval,
)
from ai_dev_tools.benchmark.analysis.validity import REFERENCE
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.plugins import COMPARISONS, MONEY, Comparison
from ai_dev_tools.benchmark.records.plan import QualityRule

COLUMNS = words(
    "profile model task stratum approach reference comparison unit kind value low high change_percent "
    "change_low change_high bill_ratio pairs cases clusters unpaired dropped flagged censored d_z d_z_low "
    "d_z_high p p_adjusted p_signed_rank mde quality_bound note"
)


def compare(
    samples: SamplesLike,
    approach: str,
    reference: str = "baseline",
    *,
    by: By = "approach",
    comparisons: Sequence[str] | None = None,
    strata: bool = True,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Compare two values of column `by` pair by pair, for every profile, model, task and margin.

    Args:
        samples: prepared samples, or a samples table in any row order; pairs with a sample that is void for the outcome
            are left out.
        approach, reference: the two values compared; reference is what the ratio divides by.
        by: the column they are values of. Comparing profiles or runs uses the cases they share.
        comparisons: names of registered comparisons; all by default.
        strata: also by thirds of reference size and by declared stratum, over all tasks.

    Returns:
        One row per scope and comparison. `value` is a ratio (kind "ratio") or a difference (kind "difference") with a
        95 % interval; `change_percent` is 100 (1 - ratio), positive = cheaper. `p` is two-sided for "no difference",
        `p_adjusted` Benjamini-Hochberg over these rows. `mde` is the smallest ratio below 1 (or difference) found with
        80 % power at this size and spread. `quality_bound`, of the quality difference only, is the lower bound of the
        non-inferiority test: "not worse by more than m" holds where it lies above -m. `unpaired` counts the samples of
        both sides, in the whole table, that have no partner. `note` says why something is absent.

    Raises:
        ConfigurationError: an unknown comparison, or `approach` equals `reference`.
    """
    if approach == reference:
        raise ConfigurationError(f"cannot compare '{approach}' with itself")
    prepared = Samples.of(samples, reference if by == "approach" else REFERENCE)
    table, least = prepared.frame, prepared.thresholds.min_clusters
    plugins = _chosen(table, comparisons)
    names = [plugin.name for plugin in plugins]
    pairs = pair_up(table, approach, reference, names, by)
    rows: list[Row] = []
    moves: list[Floats] = []
    for scope, inside in scopes(pairs, strata, "tokens_low_ref" if "tokens_low_ref" in pairs else None):
        where = dict(zip(("profile", "model", "task", "stratum"), scope, strict=True))
        where |= {"approach": approach, "reference": reference}
        for row, found in _rows(pairs.part(inside), plugins, resamples, approach, reference, least):
            rows.append(where | row)
            moves.append(found.source.influence if found is not None and scope[2] == ALL else np.empty(0))
    result = pd.DataFrame(rows, columns=COLUMNS)
    result["p_signed_rank"] = [signed_rank_p(moved) for moved in moves]
    result["p_adjusted"] = benjamini_hochberg(result["p"].to_list())
    return result


def _chosen(table: pd.DataFrame, names: Sequence[str] | None) -> list[Comparison]:
    """The comparisons of these names; by default all that the samples have something for."""
    silent = unavailable(table)
    if names is None:
        return [plugin for plugin in COMPARISONS.values() if plugin.name not in silent]
    plugins = [COMPARISONS.find(name) for name in names]
    if MONEY in names and MONEY in silent:
        raise ConfigurationError(
            "money cannot be compared: these samples have no prices, or prices in several currencies"
        )
    return plugins


def _rows(
    here: Pairs, plugins: Sequence[Comparison], resamples: int, approach: str, reference: str, least: int
) -> Iterator[tuple[Row, Effect | None]]:
    """What each comparison says of the pairs of one scope, and what it was read from.

    Args:
        least: clusters below which nothing is generalised: intervals are shown, for these files only.
    """
    usable = {
        outcome: here.part(~here["lost"] & ~here[f"void_{outcome}"])
        for outcome in dict.fromkeys(plugin.outcome for plugin in plugins)
    }
    for plugin in plugins:
        outcome = plugin.outcome
        found = effect(usable[outcome], plugin.name, resamples)
        row = {"comparison": plugin.name} | _counts(here, usable[outcome], plugin) | _values(found, plugin, least)
        if found is None:
            why = why_no_pair(here, outcome, approach, reference)
            row["note"] = why or f"{plugin.name} is missing or impossible in every pair"
        yield row, found


Scope = tuple[str, str, str, str]


def scopes(pairs: Pairs, strata: bool, size: str | None = None) -> Iterator[tuple[Scope, Rows]]:
    """(profile, model, task, stratum) and its rows: every level, then margins.

    `size` names the column for thirds.
    """
    for p in pairs.texts("profile") or [ALL]:
        in_profile = np.flatnonzero(pairs.have("profile", p))
        here = pairs.part(in_profile)
        for m in [*here.texts("model"), ALL]:
            in_model = in_profile if m == ALL else in_profile[here.have("model", m)]
            asked = pairs.part(in_model)
            for t in [*asked.texts("task"), ALL]:
                yield (p, m, t, ALL), (in_model if t == ALL else in_model[asked.have("task", t)])
            if strata:
                for name, inside in _strata(asked, size):
                    yield (p, m, ALL, name), in_model[inside]


def _strata(pairs: Pairs, size: str | None) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Thirds by the mean known size of a case in the reference arm, and what the tasks declare."""
    if size is not None and len(pairs):
        case, known = pairs["case_number"], np.isfinite(pairs[size])
        values, first = group_means(pairs[size][known], case[known])
        if len(first) >= 3:
            third = np.full(int(case.max()) + 1, -1)
            third[case[known][first]] = np.argsort(np.argsort(values, kind="stable"), kind="stable") * 3 // len(values)
            of_row = third[case]
            for number, name in enumerate(("smallest third", "middle third", "largest third")):
                yield name, of_row == number
    declared = pairs.texts("stratum")
    if len(declared) > 1:
        for name in declared:
            yield (name or "no declared stratum"), pairs.have("stratum", name)


def _counts(pairs: Pairs, usable: Pairs, plugin: Comparison) -> Row:
    """What a row says of the pairs of its scope, whether or not anything can be estimated."""
    kind, dropped = plugin.scale, pairs["lost"]
    return {
        "unit": "ratio" if kind == "ratio" else plugin.unit,
        "kind": kind,
        "dropped": int(dropped.sum()),
        "flagged": int((pairs[f"void_{plugin.outcome}"] & ~dropped).sum()),
        "unpaired": pairs.unpaired,
        "censored": int(usable["censored"].sum()),
    }


def _values(found: Effect | None, plugin: Comparison, least: int) -> Row:
    """What was estimated, on the scale of the comparison."""
    if found is None:
        return {"pairs": 0, "cases": 0, "clusters": 0}
    ratio = plugin.scale == "ratio"
    e = found.source
    low, high = found.interval()
    d_z, d_low, d_high = effect_size(found.seen.source)
    value = from_log(e.estimate) if ratio else e.estimate
    mde = minimal_effect(e.clusters, 0.05) * found.seen.source.spread if found.seen.usable else float("nan")
    below, above = found.p_below(0.0), found.p_above(0.0)
    row: Row = {
        "value": float(value),
        "low": from_log(low) if ratio else low,
        "high": from_log(high) if ratio else high,
        "bill_ratio": found.bill.ratio,
        "pairs": e.pairs,
        "cases": e.cases,
        "clusters": e.clusters,
        "d_z": d_z,
        "d_z_low": d_low,
        "d_z_high": d_high,
        "p": min(1.0, 2 * min(below, above)) if np.isfinite(below) and np.isfinite(above) else float("nan"),
        "mde": from_log(-mde) if ratio else float(mde),
        "quality_bound": lower_bound(e, gate_level(QualityRule().alpha, look=1))
        if plugin.name == "quality"
        else float("nan"),
        "note": _notes(found, least),
    }
    if ratio:
        row |= {
            "change_percent": 100 * (1 - row["value"]),
            "change_low": 100 * (1 - row["high"]),
            "change_high": 100 * (1 - row["low"]),
        }
    return row


def why_no_pair(pairs: Pairs, outcome: str, approach: str, reference: str) -> str:
    """Why no pair can be used for an outcome; "" when one can."""
    if not len(pairs):
        return f"no case was asked in both {approach} and {reference}"
    if pairs["lost"].all():
        return "every pair was dropped: " + pairs.first_text("dropped")
    if (pairs["lost"] | pairs[f"void_{outcome}"]).all():
        return f"every pair is flagged by a validity check: {pairs.usual_text(f'why_{outcome}')}"
    return ""


def _notes(found: Effect, least: int) -> str:
    e, notes = found.source, []
    if not found.seen.usable:
        notes.append(f"no interval: {why_no_interval(e)}")
    elif e.clusters < least:
        notes.append(f"only {plural(e.clusters, 'cluster')}: describes these files only")
    if e.left_out:
        notes.append(what_is_left_out(e))
    if not (np.isfinite(found.most.source.estimate) and np.isfinite(found.least.source.estimate)):
        notes.append("a cut-off value has no known limit")
    return "; ".join(notes)
