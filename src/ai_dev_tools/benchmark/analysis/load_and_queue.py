"""Which part of a request's time was spent waiting: for the model to be loaded, or for a slot.

Judged by the session's own requests.

A server reports neither. Its load time holds the wait for its scheduler too, which is long on a busy machine, and the
time that no field explains holds sampling and the answer's grammar. So each request is compared with others of its
session, of which those that waited for least say what the rest costs anyway.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.samples_table import codes

Floats = NDArray[np.float64]
SESSION = ["run", "profile", "instance", "model", "task", "session"]
ENOUGH = 4
"""Requests that a session needs to be its own yardstick; below that, all sessions with the model are."""
MOST_WARM_S = 1.5
"""A longer wait for a scheduler is never usual: otherwise a server that loads the model for each request looks warm."""
MOST_SLACK_S = 1.0
SAMPLING_SPREAD = 2.0
"""By how much more the sampling of one answer may cost per token than that of another in the session."""
SAMPLING_S_PER_TOKEN = 0.1
"""No sampling takes longer: 0.024 s was measured for a grammar on two slow cores."""
FEWEST_TOKENS = 5
"""Shorter answers say nothing of the time per token."""


def longest_load_s(samples: pd.DataFrame) -> Floats:
    """Seconds of loading of each request; of an episode, those of the turn that waited longest."""
    load = samples["load_s"].to_numpy(dtype=np.float64)
    return np.where(samples["turns"].isna(), load, samples["most_turn_load_s"].to_numpy(dtype=np.float64))


def late_load_s(samples: pd.DataFrame, least_s: float) -> Floats:
    """Load times from which the model must have been loaded, one per sample.

    That is by `least_s` more than the warm loads of the session (their lower quartile), or by three times those where they
    are long, at most by a second.
    """
    load = longest_load_s(samples)
    warm, count = _ranked(load, codes(samples, SESSION), 0.25)
    overall, overall_count = _ranked(load, codes(samples, SESSION[:4]), 0.25)
    warm = np.where(count >= ENOUGH, warm, np.where(overall_count >= ENOUGH, overall, 0.0))
    warm = np.minimum(warm, MOST_WARM_S)
    return np.asarray(warm + np.maximum(least_s, np.minimum(3 * warm, MOST_SLACK_S)))


def unexplained_s(samples: pd.DataFrame) -> Floats:
    """Seconds of the server's whole time that neither loading nor reading nor writing explains.

    NaN if not known.

    Samples of earlier versions do not hold the server's whole time; theirs is what the client saw.
    """
    whole = np.fmin(samples["total_s"].to_numpy(dtype=np.float64), samples["duration_s"].to_numpy(dtype=np.float64))
    load = np.nan_to_num(samples["load_s"].to_numpy(dtype=np.float64))
    known = samples["prompt_eval_s"].to_numpy(dtype=np.float64) + samples["eval_s"].to_numpy(dtype=np.float64)
    return np.asarray(np.maximum(0.0, whole - load - known))


def queued_s(samples: pd.DataFrame) -> Floats:
    """Seconds that a request must have waited in the server's queue.

    That is the unexplained time less what sampling may cost.

    Sampling and grammar cost about the same for each token of a session. The request that waited least shows how much: the
    first one of a session finds an empty line.
    """
    unexplained = unexplained_s(samples)
    tokens = samples["output_tokens"].to_numpy(dtype=np.float64)
    per_token = np.where((tokens >= FEWEST_TOKENS) & (unexplained > 0), unexplained / np.maximum(tokens, 1), np.nan)
    least, _ = _ranked(per_token, codes(samples, SESSION), 0.0)
    cost = np.fmin(SAMPLING_SPREAD * least, SAMPLING_S_PER_TOKEN) * np.nan_to_num(tokens)
    return np.asarray(np.maximum(0.0, unexplained - cost))


def _ranked(values: Floats, group: NDArray[np.int64], share: float) -> tuple[Floats, NDArray[np.int64]]:
    """For each row the value at this share of its group's sorted known ones, and how many those are.

    NaN for none.
    """
    size = int(group.max(initial=0)) + 1
    known = np.flatnonzero(np.isfinite(values))
    count = np.bincount(group[known], minlength=size)
    ordered = values[known[np.lexsort([values[known], group[known]])]]
    place = np.cumsum(count) - count + ((count - 1) * share).astype(np.int64)
    found = np.full(size, np.nan)
    found[count > 0] = ordered[place[count > 0]]
    return found[group], count[group]
