"""Which prompts will not fit a model's context.

Tokens are counted with the model's own tokenizer if it is available, as for the embedded model; otherwise they are
estimated by characters, and whatever rests on that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ai_dev_tools.benchmark.config.resolving import ResolvedInstance
from ai_dev_tools.benchmark.endpoints.embedded.tokenizing import count_tokens
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.prompts import Prompt, read_prompts
from ai_dev_tools.benchmark.prompts.rendering import baseline_rows
from ai_dev_tools.benchmark.prompts.sizes import estimated_tokens
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.tasks.loading import Task
from ai_dev_tools.benchmark.tasks.size_classes import CHARS_PER_TOKEN, USUAL_WRAPPING_TOKENS

_FEWEST_CHARS_PER_TOKEN = 1.5


@dataclass(frozen=True)
class FitProblem:
    """Prompts of one arm of a task that are too long for one model.

    Attributes:
        problem: overflows: the request fails; tight: the answer may be cut off before its own limit.
        cases: how many of the `of` cases that are asked.
        most_tokens: of the longest prompt among them.
        counted: by the model's own tokenizer; else estimated by characters.
    """

    model: str
    task: str
    approach: str
    problem: Literal["overflows", "tight"]
    cases: int
    of: int
    most_tokens: int
    num_ctx: int
    counted: bool

    def __str__(self) -> str:
        how = "counted" if self.counted else f"estimated at {CHARS_PER_TOKEN:g} characters a token"
        result = (
            "these requests fail as context_overflow"
            if self.problem == "overflows"
            else "their answers may be cut before options.num_predict"
        )
        return (
            f"{self.model} with num_ctx {self.num_ctx}: {self.cases} of {self.of} prompts of '{self.approach}' in task "
            f"{self.task} {'has' if self.cases == 1 else 'have'} up to {self.most_tokens:,} tokens ({how}): {result}"
        )


def fit_problems(experiment: Experiment, root: Path) -> list[FitProblem]:
    """What will not fit: of all arms whose prompts were rendered, otherwise of the baseline alone."""
    profile = experiment.config.profile
    rows: list[Prompt] = []
    asked: dict[str, int] = {}
    for task in experiment.tasks.values():
        cases = experiment.asked(profile, task.id)
        asked[task.id] = len(cases)
        rows += known_rows(task, cases, experiment.approaches, root)
    return [
        misfit for instance in experiment.instances(profile) for misfit in _of(instance, rows, asked, experiment, root)
    ]


def known_rows(task: Task, cases: Sequence[str], arms: Sequence[str], root: Path) -> list[Prompt]:
    """Prompts of the wanted arms; those of the baseline are made again, since a case may have changed."""
    fresh: list[Prompt] = []
    if "baseline" in arms:
        with suppress(ConfigurationError):  # an unpacked archive has prompts, but need not have the files
            fresh = list(baseline_rows(task, cases, root / paths.CORPORA_FOLDER))
    file = root / paths.PROMPTS.format(task=task.id)
    try:
        known = read_prompts(file).values() if file.is_file() else ()
    except ConfigurationError:
        known = ()
    made = {(row.case, row.approach) for row in fresh}
    others = [row for row in known if row.approach in arms and row.case in set(cases) and row.prompt is not None]
    return [*fresh, *(row for row in others if (row.case, row.approach) not in made)]


def _of(
    instance: ResolvedInstance, rows: Sequence[Prompt], asked: Mapping[str, int], experiment: Experiment, root: Path
) -> Iterator[FitProblem]:
    options = experiment.config.options
    num_ctx, room = options.num_ctx, options.num_predict
    texts = [row.prompt or "" for row in rows]
    if all(len(text) / _FEWEST_CHARS_PER_TOKEN + USUAL_WRAPPING_TOKENS + room <= num_ctx for text in texts):
        return  # no tokenizer needs that many
    embedded = (
        experiment.weights(experiment.config.profile).get(instance.model) if instance.endpoint == "embedded" else None
    )
    exact = _count_with(root / embedded.path, texts) if embedded else None
    counts = exact or [estimated_tokens(text) for text in texts]
    groups: dict[tuple[str, str], list[int]] = {}
    for row, tokens in zip(rows, counts, strict=True):
        groups.setdefault((row.task, row.approach), []).append(tokens + USUAL_WRAPPING_TOKENS)
    for (task, approach), found in groups.items():
        over = [tokens for tokens in found if tokens >= num_ctx]
        tight = [tokens for tokens in found if num_ctx - room < tokens < num_ctx]
        for problem, those in (("overflows", over), ("tight", tight)):
            if those:
                yield FitProblem(
                    instance.model, task, approach, "overflows" if problem == "overflows" else "tight", len(those),
                    asked[task], max(those), num_ctx, exact is not None,
                )  # fmt: skip


def _count_with(weights: Path, texts: Sequence[str]) -> list[int] | None:
    try:
        return count_tokens(weights, texts) if weights.is_file() else None
    except BenchmarkError:
        return None  # starting the model reports what is wrong with it
