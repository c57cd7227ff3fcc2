"""From blocks of sample records to the samples table: one flat row per sample."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pandas as pd

from ai_dev_tools.benchmark.analysis.episode_tokens import PARTS, prompt_parts
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.records.sample import Sample, read_block

SAME_NAME = [
    "profile",
    "instance",
    "model",
    "task",
    "case",
    "cluster",
    "size",
    "approach",
    "sample",
    "repeat",
    "seed",
    "order",
    "session",
    "status",
    "score",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "duration_s",
    "time_to_first_token_s",
    "load_s",
    "prompt_eval_s",
    "eval_s",
    "rest_s",
    "total_s",
    "tool_s",
    "tool_other_cpu_s",
    "prompt_cached_tokens",
    "done_reason",
    "in_flight",
    "started_at",
    "model_digest",
    "plan",
]
OF_EPISODES = [
    *["turns", "tool_calls", "most_turn_tokens", "most_turn_load_s", "first_cached_tokens"],
    *["limit_tokens", "limit_seconds"],
    *PARTS,
]
"""Columns that only tables with episodes have."""
COLUMNS = [
    *SAME_NAME,
    *[
        "error_class",
        "parsed",
        "attempts",
        "attempts_s",
        "flags",
        "server_cpu_s",
        "server_peak_rss_bytes",
        "other_cpu_s",
    ],
    *["endpoint_kind", "endpoint_version", "protocol", "digest", "prompt_sha256", "num_ctx", "num_predict", "stratum"],
    *OF_EPISODES,
]

ADDED = ("total_s", "tool_other_cpu_s", *OF_EPISODES)
"""Columns that tables of earlier versions lack; those that they have under another name are `samples.RENAMED`."""
WHERE_KNOWN = ("reasoning_tokens", "measured_s")
"""Columns of those tables alone that have anything to say in them."""


def sample_row(sample: Sample, stratum: str = "") -> Row:
    """A sample as a flat row; see the reference of the samples table."""
    row = {name: getattr(sample, name) for name in (*SAME_NAME, "reasoning_tokens")}
    return row | {
        "error_class": sample.error.class_ if sample.error else None,
        "parsed": sample.answer is not None,
        "attempts": len(sample.attempts),
        "attempts_s": round(sum(attempt.duration_s + attempt.backoff_s for attempt in sample.attempts), 6) or None,
        "flags": ";".join(sample.flags),
        **msgspec.structs.asdict(sample.resources),
        "endpoint_kind": sample.endpoint.kind,
        "endpoint_version": sample.endpoint.version,
        "protocol": sample.request.protocol,
        "digest": sample.request.digest,
        "prompt_sha256": sample.request.prompt_sha256,
        "num_ctx": sample.request.options.get("num_ctx"),
        "num_predict": sample.request.options.get("num_predict"),
        "stratum": stratum,
        **_of_episode(sample),
    }


def _of_episode(sample: Sample) -> Row:
    """What only an episode has; what checks ask of one request is asked of the turn that has most of it."""
    if sample.limits is None:
        return dict.fromkeys(OF_EPISODES)
    turns = sample.turns
    used = [(turn.input_tokens or 0) + (turn.output_tokens or 0) for turn in turns]
    return {
        "turns": len(turns),
        "tool_calls": sample.tool_calls,
        "most_turn_tokens": max(used, default=0) or None,
        "most_turn_load_s": max((turn.load_s for turn in turns if turn.load_s is not None), default=None),
        "first_cached_tokens": turns[0].prompt_cached_tokens if turns else None,
        "limit_tokens": sample.limits.tokens,
        "limit_seconds": sample.limits.seconds,
        **prompt_parts(turns),
    }


def samples_table(blocks: Iterable[Path], strata: dict[tuple[str, str], str]) -> pd.DataFrame:
    """All samples of the given block files, in an order that does not depend on the files.

    Args:
        strata: declared stratum by (task, case).

    Raises:
        ConfigurationError: a block file is damaged.
    """
    return table_of(
        sample_row(sample, strata.get((sample.task, sample.case), "")) for path in blocks for sample in read_block(path)
    )


def table_of(rows: Iterable[Row]) -> pd.DataFrame:
    """The samples table from rows of `sample_row`; columns that only some runs have are left out if empty."""
    table = pd.DataFrame(list(rows), columns=[*COLUMNS, *WHERE_KNOWN]).convert_dtypes()
    table = table.drop(columns=[name for name in WHERE_KNOWN if table[name].isna().all()])
    if table["turns"].isna().all():
        table = table.drop(columns=OF_EPISODES)
    return table.sort_values(["profile", "model", "task", "approach", "sample", "instance"], ignore_index=True)
