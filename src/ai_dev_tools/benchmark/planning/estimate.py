"""How long a run may take: from what the same models took before on this machine.

No measurement, no estimate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import msgspec

from ai_dev_tools.benchmark._util.clock import duration
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.model_size import parameters

if TYPE_CHECKING:  # the live view, which needs neither, starts fast
    from ai_dev_tools.benchmark.config.batches import Batch
    from ai_dev_tools.benchmark.planning.experiment import Experiment

UNTIMED = frozenset({"imported", "replay"})
"""Kinds of endpoints whose durations say nothing of this machine."""


class _Served(msgspec.Struct):
    kind: str


class _Timed(msgspec.Struct):
    """The fields of a sample that estimates of time need."""

    status: str
    model: str
    endpoint: _Served
    duration_s: float


_timed = msgspec.json.Decoder(_Timed)


@dataclass(frozen=True)
class DurationEstimate:
    """What a run of one or more profiles asks and how long that may take.

    Attributes:
        requests: all that it wants; `missing`: those that no sample file answers yet.
        seconds: for the missing ones; None when no model of it was ever measured here.
        unknown: models that were never measured; they are assumed to scale with their size.
    """

    requests: int
    missing: int
    seconds: float | None
    unknown: tuple[str, ...]


def estimate(
    experiment: Experiment, profiles: list[str], root: Path, measured: Mapping[str, float]
) -> DurationEstimate:
    """Requests and time of running these profiles with the experiment's settings.

    Args:
        measured: mean time of a request by model, see `seconds_per_request`.
    """
    requests = missing = 0
    servers: dict[str, float] = defaultdict(float)
    unknown: list[str] = []
    for profile in profiles:
        samples = experiment.profile(profile).samples
        for instance in experiment.instances(profile):
            server = experiment.servers(profile)[paths.safe_model(instance.model)]
            rate = measured.get(instance.model)
            if rate is None:
                unknown.append(instance.model)
                rate = scaled(instance.model, measured)
            for task in experiment.tasks:
                arms = experiment.arms(task)
                wanted = samples * len(arms)
                there = stored(root, profile, instance.model, task, arms, samples)
                requests, missing = requests + wanted, missing + wanted - there
                servers[server] += (wanted - there) * (rate or 0.0) / instance.max_concurrent
    known = bool(measured) or not missing
    at_once = min(experiment.config.max_concurrent_batches, len(servers)) or 1
    seconds = max(max(servers.values(), default=0.0), sum(servers.values()) / at_once) if known else None
    return DurationEstimate(requests, missing, seconds, tuple(dict.fromkeys(unknown)))


def measured_blocks(results: Path) -> list[Path]:
    """Block files of every run in this folder, except replays, whose times are not measured."""
    return sorted(
        path for path in results.glob("*/blocks/*/*.jsonl") if not path.parents[2].name.endswith(paths.REPLAY)
    )


def announcement(name: str, batch: Batch, guess: DurationEstimate) -> str:
    """What a batch says before it starts: what it asks, how long that may take, and how long it should."""
    nominal = "{:g}-{:g} min".format(*batch.nominal_minutes) if batch.nominal_minutes else "none given"
    mine = (
        "none: nothing was measured on this machine yet"
        if guess.seconds is None
        else f"about {duration(guess.seconds)}"
    )
    scaled = ", ".join(guess.unknown) if guess.seconds else ""
    assumed = f" (never measured here, scaled by size: {scaled})" if scaled else ""
    asked = f"{guess.missing} of {guess.requests} requests to ask"
    return f"batch {name}: {asked}; estimate {mine}{assumed}; nominal {nominal}"


def seconds_per_request(blocks: Iterable[Path]) -> dict[str, float]:
    """Mean time of a request by model, from block files; damaged lines are ignored."""
    found: dict[str, list[float]] = defaultdict(list)
    for path in blocks:
        for line in _lines_of(path):
            with suppress(msgspec.MsgspecError, RecursionError):
                row = _timed.decode(line)
                if row.status == "completed" and row.duration_s > 0 and row.endpoint.kind not in UNTIMED:
                    found[row.model].append(row.duration_s)
    return {model: fmean(values) for model, values in found.items()}


def _lines_of(path: Path) -> list[bytes]:
    """The lines of a block file; none if it cannot be read, or is gone since it was listed."""
    try:
        return path.read_bytes().splitlines()
    except OSError:
        return []


def scaled(model: str, measured: Mapping[str, float]) -> float | None:
    """Time of an unmeasured model: that of the measured ones, by the number of parameters in their tags."""
    size = parameters(model)
    known = [(parameters(name), seconds) for name, seconds in measured.items()]
    rates = [seconds / other for other, seconds in known if other]
    if not rates:
        return fmean(measured.values()) if measured else None
    return fmean(rates) * size if size else fmean(measured.values())


def stored(root: Path, profile: str, model: str, task: str, approaches: list[str], samples: int) -> int:
    """How many samples of these arms lie here."""
    results = root / paths.RUN.format(profile=profile)
    return sum(
        paths.sample_file(results, model, task, approach, number).exists()
        for approach in approaches
        for number in range(samples)
    )
