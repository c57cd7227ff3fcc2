"""Invented sample tables for tests of the analysis. Nothing in them is a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.analysis.samples import SamplesLike
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.analysis.statistics import RESAMPLES
from ai_dev_tools.benchmark.analysis.verdicts import Judgement, judge, measure_claims
from ai_dev_tools.benchmark.records.plan import DeclaredPlan


def invent(
    *,
    n: int = 12,
    tasks: Sequence[str] = ("a", "b", "c"),
    models: Sequence[str] = ("m1",),
    approaches: Sequence[str] = ("baseline", "no_context", "tools"),
    ratio: float = 0.6,
    time_ratio: float | None = None,
    quality: dict[str, float] | None = None,
    noise: float = 0.08,
    cases: int | None = None,
    per_cluster: int = 1,
    profile: str = "light",
    plan: str = "p1",
    seed: int = 0,
) -> pd.DataFrame:
    """`n` samples per task and arm; `tools` takes `ratio` of the baseline's tokens (and `time_ratio` of its time).

    `quality` is each arm's mean score (default: baseline and tools 0.7, others 0.3). Times are about tokens / 100, one
    request after the other, arms of a sample next to each other.
    """
    scores = {"baseline": 0.7, "tools": 0.7} | (quality or {})
    number = cases or n
    rows: list[dict[str, Any]] = []
    clock = 1.7e9
    for model in models:
        for task in tasks:
            rng = np.random.default_rng([seed, *model.encode(), 0, *task.encode()])
            level = rng.normal(6.5, 0.4, number)
            skill = rng.normal(0, 0.05, number)
            # a prompt has one length: only the case and the arm decide it
            shift = rng.normal(0, noise, (number, len(approaches)))
            for sample in range(n):
                case = sample % number
                for place, arm in enumerate(approaches):
                    factor = {"tools": ratio, "no_context": 0.1}.get(arm, 1.0)
                    tokens = round(float(np.exp(level[case] + shift[case, place]) * factor)) + 30
                    seconds = tokens / 100 * float(np.exp(rng.normal(0, 0.01)))
                    if arm == "tools" and time_ratio is not None:
                        seconds *= time_ratio / ratio
                    score = float(np.clip(scores.get(arm, 0.3) + skill[case] + rng.normal(0, 0.04), 0, 1))
                    rows.append(
                        {
                            "profile": profile,
                            "instance": model,
                            "model": model,
                            "task": task,
                            "case": f"{task}{case}",
                            "cluster": f"{task}k{case // per_cluster}",
                            "size": "S",
                            "approach": arm,
                            "sample": sample,
                            "repeat": sample // number,
                            "seed": case,
                            "order": sample * len(approaches) + (place + sample) % len(approaches),
                            "session": f"{model}{task}",
                            "status": "completed",
                            "error_class": None,
                            "parsed": True,
                            "score": score,
                            "input_tokens": tokens - 30,
                            "output_tokens": 30,
                            "total_tokens": tokens,
                            "duration_s": seconds,
                            "time_to_first_token_s": seconds * 0.6,
                            "load_s": 0.0,
                            "prompt_eval_s": seconds * 0.6,
                            "eval_s": seconds * 0.35,
                            "rest_s": seconds * 0.05,
                            "total_s": seconds,
                            "tool_s": 0.0,
                            "tool_other_cpu_s": None,
                            "prompt_cached_tokens": 0,
                            "done_reason": "stop",
                            "attempts": 1,
                            "attempts_s": seconds,
                            "in_flight": 1,
                            "started_at": None,
                            "flags": "",
                            "server_cpu_s": seconds * 1.5,
                            "server_peak_rss_bytes": 4e8,
                            "other_cpu_s": 0.01,
                            "model_digest": "sha256:1",
                            "endpoint_kind": "embedded",
                            "endpoint_version": "0.1",
                            "protocol": 1,
                            "plan": plan,
                            "digest": f"{model}{task}{sample}{arm}",
                            "prompt_sha256": f"{task}{case}{arm}",
                            "num_ctx": 8192,
                            "num_predict": 512,
                            "stratum": "",
                        }
                    )
                # arms take turns in being asked first
                for row in sorted(rows[-len(approaches) :], key=lambda row: int(row["order"])):
                    row["started_at"] = pd.Timestamp(clock, unit="s", tz="UTC").isoformat()
                    clock += row["duration_s"]
    return pd.DataFrame(rows)


def entry(
    samples: pd.DataFrame,
    /,
    plan: str = "p1",
    outcomes: Sequence[str] = ("tokens", "time"),
    arm: str = "tools",
    **more: Any,
) -> dict[str, Any]:
    """The ledger's entry of the plan that exactly these samples fulfil."""
    return {
        "plan": plan,
        "rules": 2,
        "declared_at": "2026-01-01T00:00:00Z",
        "protocol": 1,
        "profile": str(samples["profile"].iloc[0]),
        "models": sorted(set(samples["model"])),
        "tasks": {task: sorted(set(part["case"])) for task, part in samples.groupby("task")},
        "approaches": sorted(set(samples["approach"])),
        "samples": int(samples["sample"].max()) + 1,
        "alpha": 0.05,
        "claims": [
            {"id": f"{e}:{arm}", "endpoint": e, "approach": arm, "reference": "baseline", "margin_ratio": 0.95}
            for e in outcomes
        ],
        "quality": {"margin": 0.10, "task_veto": 0.20, "alpha": 0.05, "floor": "no_context"},
        "options": {},
    } | more


def declare(samples: pd.DataFrame, /, **more: Any) -> DeclaredPlan:
    """The plan that exactly these samples fulfil; arguments as for `entry`."""
    return DeclaredPlan.from_content(entry(samples, **more))


def judged(samples: SamplesLike, plans: Sequence[DeclaredPlan] = (), resamples: int = RESAMPLES) -> Judgement:
    """What comes of every claim of these plans."""
    return judge(measure_claims(samples, plans, resamples=resamples))


def verdicts(samples: SamplesLike, plans: Sequence[DeclaredPlan] = (), resamples: int = RESAMPLES) -> pd.DataFrame:
    """The verdicts of every claim of these plans."""
    return judged(samples, plans, resamples).verdicts


def decide(
    samples: pd.DataFrame, outcome: str = "tokens", plans: Sequence[DeclaredPlan] | None = None
) -> pd.Series[Any]:
    """The primary verdict of one outcome, by default under the plan that exactly these samples fulfil."""
    table = verdicts(samples, [declare(samples)] if plans is None else plans)
    return table[(table["outcome"] == outcome) & (table["task"] == ALL)].iloc[0]


def tools(samples: pd.DataFrame) -> pd.Series[bool]:
    """Which samples are of the tools arm."""
    return samples["approach"] == "tools"
