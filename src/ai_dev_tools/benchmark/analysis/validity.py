"""The validity ledger: every sample is machine-checked.

Each check says which outcomes a flagged sample is void for.

A check is one function registered with `@check`. Thresholds are a parameter with
defaults that docs/statistics.md argues for. Cut-off samples are flagged but void nothing: they are bounded instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.check_results import IS_REFERENCE
from ai_dev_tools.benchmark.analysis.load_and_queue import late_load_s, longest_load_s, queued_s
from ai_dev_tools.benchmark.analysis.samples_table import CUT_OFF, LOOP, codes
from ai_dev_tools.benchmark.config.thresholds import ValidityThresholds
from ai_dev_tools.benchmark.plugins import OUTCOMES, check

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Checked = tuple[Floats, Any]
"""Values and flags: an array of truth values, or one of pandas in which some are missing."""
REFERENCE = "baseline"
"""The arm that others are compared with by default; the setting `plan.reference` names another one."""
DEFAULTS = ValidityThresholds()
SAME_SIZE_PROMPTS = 3
"""So many different prompts are not of exactly the same number of tokens, and that the largest, by chance."""
SMALLEST_WINDOW = 1000
"""Shorter prompts are not cut by any server, and short ones of one template can be of one size."""

# ------------------------------------------------------------------------------------------ checks of samples


def _has_flag(samples: pd.DataFrame, *names: str) -> Bools:
    column = samples["flags"]
    hit = np.array([bool(set(str(text).split(";")) & set(names)) for text in column.cat.categories], dtype=bool)
    return np.append(hit, False)[column.cat.codes.to_numpy()]


def _is(samples: pd.DataFrame, column: str, value: str) -> Bools:
    return np.asarray((samples[column] == value).to_numpy(), dtype=bool)


def _is_episode(samples: pd.DataFrame) -> Bools:
    return np.asarray(samples["turns"].notna().to_numpy(), dtype=bool)


def _answered(samples: pd.DataFrame) -> Bools:
    return ~_is(samples, "status", "failed")


def _known(values: Floats, flagged: Bools, applies: Bools | None = None) -> Checked:
    """Values and flags; a flag is missing where the value is, and False where the check does not apply."""
    result = pd.array(np.asarray(flagged, dtype=bool), dtype="boolean")
    unknown = ~np.isfinite(values)
    if applies is not None:
        result[~applies] = False
        unknown &= applies
    result[unknown & ~np.asarray(flagged, dtype=bool)] = pd.NA
    return values, result


@check(
    "prompt_truncated", voids=OUTCOMES, unit="tokens", description="The server read fewer tokens than the prompt has"
)
def prompt_truncated(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    tokens = samples["input_tokens"].to_numpy()
    if samples["prompt_sha256"].isna().all():
        most = tokens
    else:
        group = codes(samples, ["model", "prompt_sha256"])
        best = np.zeros(int(group.max(initial=0)) + 1)
        np.maximum.at(best, group, np.nan_to_num(tokens))
        most = np.where(samples["prompt_sha256"].isna(), tokens, best[group])
    missing = most - tokens
    # The last token of an answer that fills the context is counted and never read again: one more than `num_ctx`.
    context = samples["num_ctx"].to_numpy()
    episode = _is_episode(samples)
    # Turns of an episode fit the window one by one, and two episodes that begin with one prompt go on as they like.
    used = np.where(episode, samples["most_turn_tokens"].to_numpy(), samples["total_tokens"].to_numpy())
    missing = np.where(episode, 0.0, missing)
    over = (used > context + 1) | (~episode & (tokens >= context))
    over |= _cut_to_one_size(samples)
    flagged = (
        (missing > np.maximum(thresholds.truncated_tokens, 0.02 * most)) | over | _has_flag(samples, "prompt_truncated")
    )
    return _known(missing, flagged, _answered(samples))


def _cut_to_one_size(samples: pd.DataFrame) -> Bools:
    """Prompts that were probably cut to the window where none was asked for.

    They differ, and all have the same size, which no prompt exceeds.
    """
    flagged = np.zeros(len(samples), dtype=bool)
    unasked = samples[samples["num_ctx"].isna() & samples["prompt_sha256"].notna() & samples["input_tokens"].notna()]
    unasked = unasked[unasked["turns"].isna()]
    for _, part in unasked.groupby(["run", "model"], observed=True):
        longest = part[part["input_tokens"] == part["input_tokens"].max()]
        if longest["prompt_sha256"].nunique() >= SAME_SIZE_PROMPTS and longest["input_tokens"].max() >= SMALLEST_WINDOW:
            flagged[samples.index.get_indexer(longest.index)] = True
    return flagged


@check("token_counts_missing", voids=("tokens",), description="A completed sample without input or output token count")
def token_counts_missing(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    missing = samples["input_tokens"].isna() | samples["output_tokens"].isna()
    # A server that gave up on a looping answer counts nothing; what was seen bounds it from below.
    flagged = missing.to_numpy() & _is(samples, "status", "completed") & ~_is(samples, "done_reason", LOOP)
    return flagged.astype(float), flagged


@check(
    "implausible_value",
    voids=OUTCOMES,
    description="An infinite, negative or zero time or count, or a score outside 0..1",
)
def implausible_value(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    flagged = samples["implausible"].to_numpy() | _has_flag(samples, "impossible_duration")
    return flagged.astype(float), flagged


@check(
    "output_capped",
    voids=(),
    description="The answer was cut at the output cap or because it looped, or an episode reached a limit; bounded, not removed",
)
def output_capped(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    flagged = (samples["done_reason"].isin(CUT_OFF).to_numpy() | _has_flag(samples, "output_capped")) & _answered(
        samples
    )
    return samples["output_tokens"].to_numpy(), flagged


@check("timed_out", voids=(), unit="s", description="The request timed out; bounded as censored, not removed")
def timed_out(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    return samples["duration_s"].to_numpy(), _is(samples, "status", "timeout")


@check(
    "cache_hit",
    voids=("time",),
    unit="tokens",
    description="Prompt tokens came from a prefix cache, which makes it look faster",
)
def cache_hit(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    # Later turns of an episode find their own beginning in the cache, as they do in use.
    first = samples["first_cached_tokens"].to_numpy()
    cached = np.where(_is_episode(samples), first, samples["prompt_cached_tokens"].to_numpy())
    return _known(cached, (cached > thresholds.cached_tokens) | _has_flag(samples, "cache_hit"), _answered(samples))


@check("model_loaded", voids=("time",), unit="s", description="The model was loaded or reloaded for this request")
def model_loaded(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    load = longest_load_s(samples)
    said = _has_flag(samples, "model_loaded") & ~np.isfinite(load)  # earlier versions raised it whatever was usual
    flagged = (load > late_load_s(samples, thresholds.load_s)) | said | _has_flag(samples, "model_reloaded")
    return _known(load, flagged, _answered(samples))


@check("queued", voids=("time",), unit="s", description="The request waited for a slot of the server, behind others")
def queued(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    waited, whole = queued_s(samples), samples["duration_s"].to_numpy()
    flagged = (waited > thresholds.queued_s) & (waited > thresholds.queued_share * whole)
    return _known(waited, flagged, _answered(samples))


@check("offload_changed", voids=("time",), description="The share of the model on an accelerator changed")
def offload_changed(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    flagged = _has_flag(samples, "offload_changed")
    return flagged.astype(float), flagged


@check(
    "retried",
    voids=("time",),
    unit="attempts",
    description="More than one attempt: the time includes failed ones and pauses",
)
def retried(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    attempts = samples["attempts"].to_numpy()
    return _known(attempts, (attempts > 1) | _has_flag(samples, "retried"))


@check(
    "cpu_contention", voids=("time",), unit="cores", description="Other processes used the machine during the request"
)
def cpu_contention(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    other, seconds = samples["other_cpu_s"].to_numpy(), samples["span_s"].to_numpy()
    cores = other / np.where(seconds > 0, seconds, np.nan)
    flagged = (cores > thresholds.other_cpu_cores) & (other > thresholds.other_cpu_s) | _has_flag(
        samples, "cpu_contention"
    )
    return _known(cores, flagged, _answered(samples))


@check(
    "tool_contention", voids=("time",), unit="cores", description="Other processes used the machine while the tools ran"
)
def tool_contention(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    other, seconds = samples["tool_other_cpu_s"].to_numpy(), samples["tool_s"].to_numpy()
    cores = other / np.where(seconds > 0, seconds, np.nan)
    flagged = (cores > thresholds.other_cpu_cores) & (other > thresholds.other_cpu_s)
    return _known(cores, flagged, seconds > 0)


def _partner(samples: pd.DataFrame) -> NDArray[np.int64]:
    """Row of the reference arm's sample of the same case and repeat.

    Where there is none, of one arm for all others.
    """
    group = codes(samples, ["run", "profile", "instance", "model", "task", "case", "repeat"])
    rows = np.empty(int(group.max(initial=0)) + 1, dtype=np.int64)
    rows[group[::-1]] = np.arange(len(samples))[::-1]
    reference = np.flatnonzero(samples[IS_REFERENCE].to_numpy())
    rows[group[reference]] = reference
    return np.asarray(rows[group])


@check(
    "other_session",
    voids=("time",),
    description="Not measured in the same session as the reference of its case (retry=pairs does so)",
)
def other_session(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    session = samples["session"].cat.codes.to_numpy()
    flagged = session != session[_partner(samples)]
    return flagged.astype(float), flagged


@check("not_adjacent", voids=("time",), unit="places", description="Not sent next to the reference of its case")
def not_adjacent(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    order = samples["order"].to_numpy()
    distance = np.abs(order - order[_partner(samples)])
    block = codes(samples, ["run", "profile", "instance", "model", "task"])
    arm = block * (len(samples["approach"].cat.categories) + 1) + samples["approach"].cat.codes.to_numpy()
    arms = np.bincount(
        np.unique(arm) // (len(samples["approach"].cat.categories) + 1), minlength=int(block.max(initial=0)) + 1
    )
    return _known(distance, distance >= np.maximum(arms[block], 2))


@check(
    "others_in_flight",
    voids=("time",),
    unit="requests",
    description="More or fewer of the run's own requests ran at the same time than for the reference",
)
def others_in_flight(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    running = samples["in_flight"].to_numpy()
    difference = np.abs(running - running[_partner(samples)])
    return _known(difference, difference > 0)


def backward_steps(samples: pd.DataFrame) -> NDArray[np.float64]:
    """Seconds by which each sample seems to have started before the one sent before it in its session.

    Mostly 0.
    """
    start = samples["start"].to_numpy()
    back = np.zeros(len(samples))
    block = codes(samples, ["run", "profile", "session", "instance", "model", "task"])
    usable = np.flatnonzero(np.isfinite(start) & (np.nan_to_num(samples["attempts"].to_numpy(), nan=1.0) <= 1))
    order = usable[np.lexsort([samples["order"].to_numpy()[usable], block[usable]])]
    session = block[order]
    if len(order) > 1:
        step = np.where(np.diff(session) == 0, np.diff(start[order]), 0.0)
        back[order[1:]] = np.maximum(0.0, -step)
    return back


@check(
    "clock_backwards",
    voids=("time",),
    unit="s",
    description="A clock ran backwards, or a part took longer than the whole",
)
def clock_backwards(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    back = backward_steps(samples)
    excess = samples["time_to_first_token_s"].to_numpy() - samples["duration_s"].to_numpy()
    back = np.fmax(back, np.where(_is(samples, "status", "completed"), excess, 0.0))
    return back, back > thresholds.clock_s


def _not_usual(samples: pd.DataFrame, column: str, within: list[str]) -> Checked:
    """Flag values that differ from the most common one in their group.

    Ties go to the value that sorts last.
    """
    values = samples[column]
    number = (
        values.cat.codes.to_numpy() if isinstance(values.dtype, pd.CategoricalDtype) else values.fillna(-1).to_numpy()
    )
    levels, number = np.unique(number, return_inverse=True)
    group = codes(samples, within)
    known = ~values.isna().to_numpy()
    table = np.zeros((int(group.max(initial=0)) + 1, max(len(levels), 1)), dtype=np.int64)
    np.add.at(table, (group[known], number[known]), 1)
    usual = len(levels) - 1 - np.argmax(table[:, ::-1], axis=1)
    differs = (number != usual[group]) & known
    return _known(np.where(known, differs.astype(float), np.nan), differs)


@check("model_digest_changed", voids=OUTCOMES, description="Another model digest than most samples of this model")
def model_digest_changed(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    values, flagged = _not_usual(samples, "model_digest", ["run", "profile", "model"])
    return values, flagged | _has_flag(samples, "model_changed")


@check("server_version_changed", voids=("time",), description="Another server version than most samples of this model")
def server_version_changed(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    return _not_usual(samples, "endpoint_version", ["run", "profile", "model"])


@check("protocol_mixed", voids=OUTCOMES, description="Another protocol version than most samples of this profile")
def protocol_mixed(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    return _not_usual(samples, "protocol", ["run", "profile"])


@check(
    "options_changed",
    voids=OUTCOMES,
    description="Another context window or output cap than most samples of this model",
)
def options_changed(samples: pd.DataFrame, thresholds: ValidityThresholds) -> Checked:
    _, window = _not_usual(samples, "num_ctx", ["run", "profile", "model"])
    _, cap = _not_usual(samples, "num_predict", ["run", "profile", "model"])
    window[(samples["num_ctx"].isna() & samples["num_predict"].notna()).to_numpy()] = (
        False  # an API without such a field
    )
    flagged = window | cap | _has_flag(samples, "asked_differently")
    return pd.Series(flagged, dtype="Float64").to_numpy(dtype=float, na_value=np.nan), flagged
