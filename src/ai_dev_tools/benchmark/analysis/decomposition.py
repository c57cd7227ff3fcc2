"""Where the cost goes: parts of the difference, break-even of a tool's run time, efficiency score."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.activity import Activity
from ai_dev_tools.benchmark.analysis.clusters import ClusterEstimate, Ints, cluster_estimate, integer_labels
from ai_dev_tools.benchmark.analysis.comparison import scopes, why_no_pair
from ai_dev_tools.benchmark.analysis.metrics import efficiency
from ai_dev_tools.benchmark.analysis.money import PARTS, currency_of, is_priced
from ai_dev_tools.benchmark.analysis.pair_columns import Pairs
from ai_dev_tools.benchmark.analysis.pairing import By, Floats, pair_up
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples import Samples, SamplesLike
from ai_dev_tools.benchmark.analysis.samples_table import words
from ai_dev_tools.benchmark.analysis.statistics import (
    from_log,
    infer,
    what_is_left_out,
    why_no_interval,
)
from ai_dev_tools.benchmark.analysis.validity import REFERENCE
from ai_dev_tools.benchmark.records.prices import MONEY

SCOPE = ["profile", "model", "task", "approach", "reference"]
_UNITS = {"time": "s", "tokens": "tokens"}
_NEEDED = words(
    "tool_s attempts_s duration_s load_s prompt_eval_s eval_s input_tokens output_tokens total_tokens start"
)
DECOMPOSITION = [
    *SCOPE,
    "component",
    "unit",
    "reference_mean",
    "approach_mean",
    "difference",
    "low",
    "high",
    "share_percent",
    "pairs",
    "note",
]
BREAK_EVEN = [
    *SCOPE,
    "tool_s",
    "saving_s",
    "saving_low",
    "saving_high",
    "uses",
    "uses_low",
    "uses_high",
    "pairs",
    "note",
]
MONEY_BREAK_EVEN = words(
    "tool_money saving_money saving_money_low saving_money_high uses_money uses_money_low uses_money_high money_note"
)
"""Further columns of runs with prices."""
EFFICIENCY = [*SCOPE, "reference_score", "approach_score", "change_percent", "low", "high", "clusters", "note"]


def _paired(samples: SamplesLike, approach: str, reference: str, by: By = "approach") -> Iterator[tuple[Row, Pairs]]:
    """(scope, pairs), margins included."""
    table = Samples.of(samples, reference if by == "approach" else REFERENCE).frame
    wanted = [*_NEEDED, "status", *(f"money_{name}" for name in PARTS if is_priced(table))]
    pairs = pair_up(table, approach, reference, ["time"], by, columns=wanted)
    for (profile, model, task, _), inside in scopes(pairs, strata=False):
        yield dict(zip(SCOPE, (profile, model, task, approach, reference), strict=True)), pairs.part(inside)


def _completed(pairs: Pairs) -> Pairs:
    """Pairs whose samples both completed."""
    return pairs.part(pairs.have("status", "completed") & pairs.have("status_ref", "completed"))


def _components(pairs: Pairs, outcome: str, suffix: str) -> dict[str, Floats]:
    """What an outcome is made of, part by part."""

    def get(name: str) -> Floats:
        return np.asarray(pairs[f"{name}{suffix}"], dtype=np.float64)

    if outcome == "tokens":
        return {"input": get("input_tokens"), "output": get("output_tokens")}
    if outcome == MONEY:
        return {name: get(f"money_{name}") for name in PARTS}
    phases = {"load": get("load_s"), "prefill": get("prompt_eval_s"), "decode": get("eval_s")}
    known = sum((np.nan_to_num(part) for part in phases.values()), start=np.zeros(len(pairs)))
    return {
        "tool": get("tool_s"),
        "earlier attempts": get("attempts_s") - get("duration_s"),
        **phases,
        "rest": get("duration_s") - known,
    }


def decompose(samples: SamplesLike, approach: str, reference: str = "baseline", *, by: By = "approach") -> pd.DataFrame:
    """Mean cost per case of both arms and their difference, part by part.

    The difference has a 95 % interval on cluster means.

    Only pairs in which both samples completed and neither is void for the outcome. The parts of time add up where each
    is known in all of them: "rest" is what the server's own phases leave
    unexplained: sampling, the answer's grammar, any wait for a slot, and transport. `share_percent` is the part's
    share of the net difference.
    """
    frame, rows = Samples.of(samples).frame, []
    units = {**_UNITS, **({MONEY: currency_of(frame)} if is_priced(frame) else {})}
    for scope, asked in _paired(samples, approach, reference, by):
        part = _completed(asked)
        for outcome, unit in units.items():
            usable = part.part(~part[f"void_{outcome}"])
            own, other = _components(usable, outcome, ""), _components(usable, outcome, "_ref")
            found = [
                {**scope, "component": name, "unit": unit, "note": _why_none(asked, part, outcome, scope)}
                | _component(usable, name, own[name], other[name])
                for name in own
            ]
            whole = sum(row["difference"] for row in found if "difference" in row)
            for row in found:
                if "difference" in row and abs(whole) > 1e-12:
                    row["share_percent"] = 100 * row["difference"] / whole
            rows += found
    return pd.DataFrame(rows, columns=DECOMPOSITION)


def _component(pairs: Pairs, name: str, own: Floats, other: Floats) -> Row:
    """Means of one part in both arms and their difference, over the pairs in which both are known."""
    known = np.isfinite(own - other)
    if not known.any():
        return {"pairs": 0, "note": f"{name} is not known in any pair"} if len(pairs) else {"pairs": 0}
    own, other, nesting = own[known], other[known], pairs.part(known).nesting
    e = nesting.estimate(own - other)
    inference = infer(e, resamples=0)
    return {
        "pairs": e.pairs,
        "reference_mean": nesting.mean(other),
        "approach_mean": nesting.mean(own),
        "difference": e.estimate,
        "low": inference.bound("low", 0.025),
        "high": inference.bound("high", 0.025),
        "note": what_is_left_out(e) if inference.usable else f"no interval: {why_no_interval(inference.source)}",
    }


def _why_none(asked: Pairs, completed: Pairs, outcome: str, scope: Row) -> str:
    """Why no completed pair can be used for an outcome; "" when one can."""
    if len(asked) and not len(completed):
        return "no pair completed in both arms"
    return why_no_pair(completed, outcome, scope["approach"], scope["reference"])


def break_even(samples: SamplesLike, approach: str, reference: str = "baseline") -> pd.DataFrame:
    """After how many uses of one tool result the tool's own run time is paid back by faster requests.

    `uses` = tool_s / saving_s, rounded up, where saving_s is the mean time the reference's request takes longer. It is
    absent when requests save nothing; `uses_high` is infinite when the saving's interval reaches 0. Secondary: verdicts
    always charge the tool's full run time to every use.
    """
    priced = is_priced(Samples.of(samples).frame)
    rows = []
    for scope, asked in _paired(samples, approach, reference):
        part = _completed(asked)
        usable = part.part(~part["void_time"])
        saved = _estimate(usable, usable["attempts_s_ref"] - usable["attempts_s"])
        tool = _estimate(usable, usable["tool_s"] - usable["tool_s_ref"]).estimate
        row: Row = {**scope, "pairs": saved.pairs, "tool_s": tool, "saving_s": saved.estimate, "note": ""}
        inference = infer(saved, resamples=0)
        low, high = inference.bound("low", 0.025), inference.bound("high", 0.025)
        row |= {"saving_low": low, "saving_high": high}
        if not np.isfinite(saved.estimate):
            why = _why_none(asked, part, "time", scope)
            row["note"] = why or "time is missing or impossible in every pair"
        elif not tool > 0:
            row["note"] = "no tool ran"
        elif saved.estimate <= 0:
            row["note"] = "never: a request with the tool's findings is not faster"
        else:
            row |= {"uses": float(np.ceil(tool / saved.estimate)), "uses_low": np.ceil(tool / high)}
            row["uses_high"] = (
                float(np.ceil(tool / low)) if low > 0 else (float("inf") if np.isfinite(low) else float("nan"))
            )
            if np.isinf(row["uses_high"]):
                row["note"] = "perhaps never: the saving is not surely above 0"
            elif not inference.usable:
                row["note"] = f"no interval: {why_no_interval(inference.source)}"
        row["note"] = "; ".join(filter(None, (row["note"], what_is_left_out(saved))))
        rows.append(row | (_money_break_even(part) if priced else {}))
    return pd.DataFrame(rows, columns=[*BREAK_EVEN, *(MONEY_BREAK_EVEN if priced else ())])


def _money_break_even(completed: Pairs) -> Row:
    """After how many uses the money that the tool's own run costs is paid back by cheaper requests."""
    usable = completed.part(~completed["void_money"])
    saving, tool = (
        _estimate(
            usable,
            sum((usable[f"money_{name}_ref"] - usable[f"money_{name}"] for name in names), np.zeros(len(usable))),
        )
        for names in ([name for name in PARTS if name != "tool"], ["tool"])
    )
    inference, cost = infer(saving, resamples=0), -tool.estimate
    low, high = inference.bound("low", 0.025), inference.bound("high", 0.025)
    row: Row = {"tool_money": cost, "saving_money": saving.estimate, "saving_money_low": low, "saving_money_high": high}
    if not np.isfinite(saving.estimate):
        return row | {"money_note": "money is not known in any pair"}
    if saving.estimate <= 0:
        return row | {"money_note": "never: a request with the tool's findings is not cheaper"}
    if not cost > 0:
        return row | {"uses_money": 1.0, "money_note": "the tool's run costs nothing: no price per hour"}
    row |= {"uses_money": float(np.ceil(cost / saving.estimate)), "uses_money_low": float(np.ceil(cost / high))}
    if not inference.usable:
        return row | {"money_note": f"no interval: {why_no_interval(inference.source)}"}
    if not low > 0:
        return row | {"uses_money_high": float("inf"), "money_note": "perhaps never: the saving is not surely above 0"}
    return row | {"uses_money_high": float(np.ceil(cost / low)), "money_note": ""}


def _estimate(pairs: Pairs, values: Floats) -> ClusterEstimate:
    known = np.isfinite(values)
    return pairs.part(known).nesting.estimate(values[known])


def efficiency_change(
    samples: SamplesLike, approach: str, reference: str = "baseline", *, by: By = "approach"
) -> pd.DataFrame:
    """Relative change of the efficiency score in percent, over pairs asked in both arms.

    Positive is better.

    The interval is a delete-one-cluster jackknife of the logarithm of the ratio of scores; exploratory only.
    """
    rows = []
    for scope, asked in _paired(samples, approach, reference, by):
        sound = asked.part(~asked["void_time"] & ~asked["void_tokens"])
        part = sound.part(_counted(sound, "") & _counted(sound, "_ref"))
        row: Row = {**scope, "clusters": 0, "note": ""}
        if not len(part):
            row["note"] = why_no_pair(asked, "time" if asked["void_time"].all() else "tokens", approach, reference)
            row["note"] = row["note"] or "needs start, duration and tokens in both arms"
        else:
            row |= _efficiency_ratio(part)
        rows.append(row)
    return pd.DataFrame(rows, columns=EFFICIENCY)


def _counted(pairs: Pairs, suffix: str) -> NDArray[np.bool_]:
    """Which samples the score can count.

    Failed ones, and completed ones whose start, time and tokens are known.
    """
    known = [np.isfinite(pairs[f"{name}{suffix}"]) for name in ("start", "duration_s", "total_tokens")]
    return np.asarray(~pairs.have(f"status{suffix}", "completed") | np.logical_and.reduce(known))


def _efficiency_ratio(part: Pairs) -> Row:
    """Scores of both arms, and their ratio with its jackknife interval over clusters."""
    cluster = integer_labels(part["unit"])
    sums = [_sums(part, suffix, cluster) for suffix in ("", "_ref")]
    n = len(sums[0])
    own, other = (_scores(arm.sum(axis=0)[None, :])[0] for arm in sums)
    if not (own > 0 and other > 0):
        return {"clusters": n, "note": "no request completed in one of the arms"}
    row = {"clusters": n, "reference_score": other, "approach_score": own, "change_percent": 100 * (own / other - 1)}
    if n < 2:
        return row | {"note": "no interval: one cluster only"}
    left_out = [np.log(_scores(arm.sum(axis=0)[None, :] - arm)) for arm in sums]
    pseudo = n * np.log(own / other) - (n - 1) * (left_out[0] - left_out[1])
    jackknife = infer(cluster_estimate(pseudo, np.arange(n)), resamples=0)
    if not jackknife.usable:
        return row | {"note": "no interval: the scores rest on one cluster, or all clusters give the same value"}
    half = jackknife.source.estimate - jackknife.bound("low", 0.025)
    return row | {end: 100 * (own / other * from_log(sign * half) - 1) for end, sign in (("low", -1), ("high", 1))}


def _sums(part: Pairs, suffix: str, cluster: Ints) -> Floats:
    """Per cluster: samples, completed, their seconds, their tokens, share of busy time.

    Shape (clusters, 5).
    """
    done = part.have(f"status{suffix}", "completed")
    seconds, start = part[f"duration_s{suffix}"], part[f"start{suffix}"]
    known = np.isfinite(seconds) & np.isfinite(start)
    busy = np.zeros(len(part))
    busy[known] = Activity.of(start[known], seconds[known]).shares()
    tokens = np.nan_to_num(part[f"total_tokens{suffix}"])
    columns = (np.ones(len(part)), done, np.where(done, np.nan_to_num(seconds), 0.0), np.where(done, tokens, 0.0), busy)
    return np.stack([np.bincount(cluster, weights=np.asarray(column, dtype=np.float64)) for column in columns], axis=1)


def _scores(sums: Floats) -> Floats:
    """The composite score of each row of sums; NaN if a part is missing."""
    out = np.full(len(sums), np.nan)
    for number, (samples, done, seconds, tokens, busy) in enumerate(sums):
        if samples > 0 and done > 0 and seconds > 0 and busy > 0:
            out[number] = efficiency(done / samples, done / busy, tokens / seconds, seconds / done)
    return out
