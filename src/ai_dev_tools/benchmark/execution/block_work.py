"""What a block has and what is missing: samples that still match, and requests to be asked."""

from __future__ import annotations

import os
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ai_dev_tools.benchmark._util.files import remove_unfinished
from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.endpoints.resource_use import is_disturbed
from ai_dev_tools.benchmark.errors import ASKED_AGAIN, ConfigurationError
from ai_dev_tools.benchmark.execution.budget import BudgetAccount
from ai_dev_tools.benchmark.execution.recording import score_of, unasked
from ai_dev_tools.benchmark.execution.request import digest_of
from ai_dev_tools.benchmark.prompts import SKIPPED, Prompt
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.block import Block, PlannedRequest, each_cell, in_dialect, named_api
from ai_dev_tools.benchmark.records.sample import Sample, read_sample, write_sample
from ai_dev_tools.benchmark.tasks.scoring import custom_scorers

Log = Callable[[str], None]


class KeptSample(msgspec.Struct, frozen=True):
    """What the rest of a block needs to know of a sample that is on disk.

    Attributes:
        asked: whether a request was sent for it.
        unscored: whether it has an answer, but no score.
    """

    asked: bool
    api: str
    session: str
    model_digest: str | None
    completed: bool
    error_class: str | None
    unscored: bool

    @classmethod
    def of(cls, sample: Sample) -> KeptSample:
        completed = sample.status == "completed"
        return cls(
            asked=bool(sample.attempts),
            api=sample.request.api,
            session=sample.session,
            model_digest=sample.model_digest,
            completed=completed,
            error_class=sample.error.class_ if sample.error else None,
            unscored=completed and sample.score is None,
        )


@dataclass
class BlockWork:
    """What a block has and what is missing.

    Samples are on disk, and what is kept of them here is the same object for all that are alike: the memory of a block does not
    grow with what it asks.
    """

    block: Block
    prompts: dict[tuple[str, str], Prompt]
    session: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    done: dict[tuple[str, int], KeptSample] = field(default_factory=dict)
    missing: deque[PlannedRequest] = field(default_factory=deque)
    skipped: int = 0
    account: BudgetAccount | None = None
    """What requests are paid from, if the run has a budget."""
    _alike: dict[KeptSample, KeptSample] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.block.budget is not None:
            self.account = BudgetAccount(self.block.budget, Path(self.block.results), self.block.model)

    def prompt(self, cell: PlannedRequest) -> Prompt:
        try:
            return self.prompts[cell.case, cell.approach]
        except KeyError:
            raise ConfigurationError(
                f"there is no prompt for case '{cell.case}' in approach '{cell.approach}' of {self.block.task}",
                remedy="Run the whole workflow again to make the prompts",
            ) from None

    @property
    def most_demanding(self) -> Prompt:
        """The prompt that warms up.

        If there is one that needs functions to be called, it is this one: not every server supports that.
        """
        asked = [self.prompt(cell) for cell in self.missing]
        return next((p for p in asked if p.episode and p.episode.protocol == "native" and p.episode.actions), asked[0])

    def path(self, approach: str, sample: int) -> Path:
        return paths.sample_file(Path(self.block.results), self.block.model, self.block.task, approach, sample)

    def store(self, sample: Sample) -> None:
        write_sample(self.path(sample.approach, sample.sample), sample)
        self.keep(sample)

    def keep(self, sample: Sample) -> None:
        """Remember that a sample is there."""
        kept = KeptSample.of(sample)
        self.done[sample.approach, sample.sample] = self._alike.setdefault(kept, kept)

    def read(self, approach: str, sample: int) -> Sample:
        """A sample that is there.

        Raises:
            ConfigurationError: it is not any more.
        """
        path = self.path(approach, sample)
        found = read_sample(path)
        if isinstance(found, Sample):
            return found
        raise ConfigurationError(
            found or f"{path} was removed while its block ran", remedy="Run the same command again: it is asked again"
        )

    def samples(self) -> Iterator[Sample]:
        """All samples that are there, one by one, in the order of sending."""
        for cell in each_cell(self.block):
            if (cell.approach, cell.sample) in self.done:
                yield self.read(cell.approach, cell.sample)


def retryable(samples: Iterable[KeptSample], retry: str) -> int:
    """How many samples a later run should ask again."""
    return sum(_asked_again(kept, retry) for kept in samples)


def _asked_again(kept: KeptSample, retry: str) -> bool:
    if kept.completed or retry == "none":
        return False
    return retry == "all" or kept.error_class in ASKED_AGAIN


def find_missing(work: BlockWork, log: Log, only: tuple[str, int] | None) -> None:
    """Sort cells into done and missing. Samples that no longer match are set aside, never deleted."""
    remove_unfinished(Path(work.block.results) / "samples" / paths.safe_model(work.block.model) / work.block.task)
    for cell in each_cell(work.block):
        if only is not None and (cell.approach, cell.sample) != only:
            continue
        prompt = work.prompt(cell)
        if prompt.error is not None and prompt.error.class_ == SKIPPED:
            work.skipped += 1
            continue
        path = work.path(cell.approach, cell.sample)
        found = read_sample(path)
        if isinstance(found, str):
            log(f"warning: {found}; set aside and asked again")
        elif (
            found is not None
            and _matches(work.block, cell, prompt, found)
            and not _asked_again(KeptSample.of(found), work.block.retry)
            and not (work.block.retry == "plan" and found.plan != work.block.plan)
        ):
            work.keep(found)
            _derive_again(work, found, prompt)
            continue
        if found is not None:
            _set_aside(work, path)
        if prompt.error is not None:
            work.store(unasked(work.block, cell, prompt, work.session))
        else:
            work.missing.append(cell)
    if work.block.retry == "pairs" and only is None:
        _ask_parted_pairs_again(work, log)


def _ask_parted_pairs_again(work: BlockWork, log: Log) -> None:
    """Ask all arms of a case again unless one session asked them all.

    Times from two sessions do not make a pair.
    """
    together: dict[tuple[str, int], list[tuple[str, int]]] = defaultdict(list)
    for cell in each_cell(work.block):
        together[cell.case, cell.repeat].append((cell.approach, cell.sample))
    missing = {(cell.approach, cell.sample) for cell in work.missing}
    parted: set[tuple[str, int]] = set()
    for arms in together.values():
        asked = [key for key in arms if key in work.done and work.done[key].asked]
        sessions = {work.done[key].session for key in asked}
        if len(sessions) > 1 or (asked and missing.intersection(arms)):
            parted.update(asked)
    if not parted:
        return
    again = plural(len(parted), "sample is", "samples are")
    log(f"{work.block.task}: {again} asked again, so that all arms of a case are from one session")
    ask_again(work, parted)


def ask_again(work: BlockWork, keys: set[tuple[str, int]]) -> None:
    """Set finished samples aside and add them to the missing ones, in the order of sending."""
    for key in keys:
        del work.done[key]
        _set_aside(work, work.path(*key))
    wanted = keys | {(cell.approach, cell.sample) for cell in work.missing}
    work.missing = deque(cell for cell in each_cell(work.block) if (cell.approach, cell.sample) in wanted)


def _derive_again(work: BlockWork, sample: Sample, prompt: Prompt) -> None:
    """Score an answer again: a corrected truth or another scorer changes its score, so nothing is asked.

    The same applies to a tool's time that other programs had disturbed and that was measured again.
    """
    score = score_of(sample.answer, prompt) if sample.status == "completed" else None
    tool = sample.tool_s, sample.tool_other_cpu_s
    if (
        sample.limits is None
        and is_disturbed(sample.tool_other_cpu_s, sample.tool_s)
        and not is_disturbed(prompt.tool_other_cpu_s, prompt.tool_s)
    ):
        tool = prompt.tool_s, prompt.tool_other_cpu_s
    if (score, *tool) != (sample.score, sample.tool_s, sample.tool_other_cpu_s):
        work.store(msgspec.structs.replace(sample, score=score, tool_s=tool[0], tool_other_cpu_s=tool[1]))


def require_scores(work: BlockWork) -> None:
    """Say what a plugin's scorer could not do, now that every answer is kept.

    Raises:
        ScorerFailed: it could not score an answer.
    """
    for key in [key for key, kept in work.done.items() if kept.unscored]:
        sample = work.read(*key)
        prompt = work.prompts[sample.case, sample.approach]
        if custom_scorers(prompt.scoring):
            _derive_again(work, sample, prompt)


def _matches(block: Block, cell: PlannedRequest, prompt: Prompt, sample: Sample) -> bool:
    place = (block.profile, block.task, cell.approach, cell.sample, cell.case)
    if place != (sample.profile, sample.task, sample.approach, sample.sample, sample.case):
        return False
    # Where no setting names the dialect, one that was found on contact counts until the server is asked again.
    asked = block if named_api(block) else in_dialect(block, sample.request.api)
    return sample.request.digest == digest_of(asked, cell, prompt)


def _set_aside(work: BlockWork, path: Path) -> None:
    target = paths.superseded_file(Path(work.block.results), path, f"{time.time_ns()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
    except OSError as error:
        raise ConfigurationError(
            f"cannot move {path} to {target.parent}: {error.strerror}", remedy="Make the results folder writable"
        ) from None
