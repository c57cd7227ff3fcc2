"""The block runner: ask the missing samples of a block, write each immediately, and reuse the rest.

One job runs one block. A failed request is a sample with an error class. The job itself fails only if the endpoint is
unusable, and keeps what it has.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ai_dev_tools.benchmark._util.clock import duration
from ai_dev_tools.benchmark.endpoints import ReadyEndpoint, open_endpoint
from ai_dev_tools.benchmark.endpoints.chat import Accepted, ChatClient
from ai_dev_tools.benchmark.endpoints.dialects import dialect
from ai_dev_tools.benchmark.endpoints.metering import Meter, is_disturbed
from ai_dev_tools.benchmark.endpoints.pacing import Pace
from ai_dev_tools.benchmark.errors import (
    ASKED_AGAIN,
    BenchmarkError,
    ConfigurationError,
    EndpointConnectionError,
    NoTurnError,
)
from ai_dev_tools.benchmark.execution import slots
from ai_dev_tools.benchmark.execution.progress import BlockProgress
from ai_dev_tools.benchmark.execution.provenance import ModelMonitor
from ai_dev_tools.benchmark.execution.request import SLOW_LOAD_S, ask, one_token, sample_of, score_of, unasked
from ai_dev_tools.benchmark.execution.warming import end_if_limited, warm_up
from ai_dev_tools.benchmark.plugins import load_plugins
from ai_dev_tools.benchmark.prompts import SKIPPED, Prompt
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.block import Block, PlannedRequest, cells, in_dialect, named_api, request_digest
from ai_dev_tools.benchmark.records.sample import EndpointIdentity, Sample, read_sample, remove_unfinished, write_sample
from ai_dev_tools.benchmark.tasks.scoring import foreign_scorers

FAILURES_IN_A_ROW = 3
"""Samples in a row without a connection, or without their turn, before the endpoint counts as gone."""
MAX_RESTARTS = 2
STORING_S = 5.0
"""How long a stopped run waits for samples that are being written; a working disk takes milliseconds."""

Log = Callable[[str], None]


@dataclass
class Work:
    """What a block has and what is missing."""

    block: Block
    prompts: dict[tuple[str, str], Prompt]
    session: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    done: dict[tuple[str, int], Sample] = field(default_factory=dict)
    missing: deque[PlannedRequest] = field(default_factory=deque)
    skipped: int = 0

    def prompt(self, cell: PlannedRequest) -> Prompt:
        try:
            return self.prompts[cell.case, cell.approach]
        except KeyError:
            raise ConfigurationError(
                f"there is no prompt for case '{cell.case}' in approach '{cell.approach}' of {self.block.task}",
                remedy="Run the whole workflow again, it makes the prompts",
            ) from None

    def path(self, approach: str, sample: int) -> Path:
        return paths.sample_file(Path(self.block.results), self.block.model, self.block.task, approach, sample)

    def store(self, sample: Sample) -> None:
        write_sample(self.path(sample.approach, sample.sample), sample)
        self.done[sample.approach, sample.sample] = sample


def run_block(
    block: Block,
    prompts: dict[tuple[str, str], Prompt],
    log: Log,
    stop: threading.Event,
    only: tuple[str, int] | None = None,
) -> list[Sample]:
    """All samples of a block in the order of sending: existing ones that still match; the others are asked now.

    Args:
        prompts: by (case, approach).
        log: called with each line for people.
        stop: set from outside to end early; requests in progress are then not written.
        only: (approach, sample) of a single wanted cell.

    Raises:
        BenchmarkError: the endpoint is unusable; samples that were finished are on disk.
    """
    if block.plugins:
        load_plugins(plugin.name for plugin in block.plugins)
    work = Work(block, prompts)
    _take_stock(work, log, only)
    if work.missing:
        with open_endpoint(block.endpoint) as endpoint:
            _settle_dialect(work, endpoint, log)
            _ask_if_model_changed(work, endpoint, log)
            _measure(work, endpoint, log, stop)
    _require_scores(work)
    if work.skipped:
        log(f"{block.task}: {work.skipped} samples skipped, because their corpus is not available")
    order = {(cell.approach, cell.sample): cell.order for cell in cells(block)}
    return sorted(work.done.values(), key=lambda sample: order[sample.approach, sample.sample])


def retryable(samples: list[Sample], retry: str) -> int:
    """How many samples a later run should ask again."""
    return sum(_asked_again(sample, retry) for sample in samples)


def _asked_again(sample: Sample, retry: str) -> bool:
    if sample.status == "completed" or retry == "none":
        return False
    return retry == "all" or (sample.error is not None and sample.error.class_ in ASKED_AGAIN)


def _take_stock(work: Work, log: Log, only: tuple[str, int] | None) -> None:
    """Sort cells into done and missing. Samples that no longer match are set aside, never deleted."""
    remove_unfinished(Path(work.block.results) / "samples" / paths.safe_model(work.block.model) / work.block.task)
    for cell in cells(work.block):
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
            and not _asked_again(found, work.block.retry)
        ):
            work.done[cell.approach, cell.sample] = found
            _derive_again(work, found, prompt)
            continue
        if found is not None:
            _set_aside(work, path)
        if prompt.error is not None:
            work.store(unasked(work.block, cell, prompt, work.session))
        else:
            work.missing.append(cell)
    if work.block.retry == "pairs" and only is None:
        _part_pairs(work, log)


def _part_pairs(work: Work, log: Log) -> None:
    """Ask all arms of a case again unless one session asked them all: times from two sessions are not a pair."""
    together: dict[tuple[str, int], list[tuple[str, int]]] = defaultdict(list)
    for cell in cells(work.block):
        together[cell.case, cell.repeat].append((cell.approach, cell.sample))
    missing = {(cell.approach, cell.sample) for cell in work.missing}
    parted: set[tuple[str, int]] = set()
    for arms in together.values():
        asked = [key for key in arms if key in work.done and work.done[key].attempts]
        sessions = {work.done[key].session for key in asked}
        if len(sessions) > 1 or (asked and missing.intersection(arms)):
            parted.update(asked)
    if not parted:
        return
    log(f"{work.block.task}: {len(parted)} samples are asked again, so that all arms of a case are from one session")
    _ask_again(work, parted)


def _ask_again(work: Work, keys: set[tuple[str, int]]) -> None:
    """Set finished samples aside and add them to the missing ones, in the order of sending."""
    for key in keys:
        del work.done[key]
        _set_aside(work, work.path(*key))
    wanted = keys | {(cell.approach, cell.sample) for cell in work.missing}
    work.missing = deque(cell for cell in cells(work.block) if (cell.approach, cell.sample) in wanted)


def _derive_again(work: Work, sample: Sample, prompt: Prompt) -> None:
    """Score an answer again: a corrected truth or another scorer changes its score, so nothing is asked.

    The same applies to a tool's time that other programs had disturbed and that was measured again.
    """
    score = score_of(sample.answer, prompt) if sample.status == "completed" else None
    tool = sample.tool_s, sample.tool_other_cpu_s
    if is_disturbed(sample.tool_other_cpu_s, sample.tool_s) and not is_disturbed(
        prompt.tool_other_cpu_s, prompt.tool_s
    ):
        tool = prompt.tool_s, prompt.tool_other_cpu_s
    if (score, *tool) != (sample.score, sample.tool_s, sample.tool_other_cpu_s):
        work.store(msgspec.structs.replace(sample, score=score, tool_s=tool[0], tool_other_cpu_s=tool[1]))


def _require_scores(work: Work) -> None:
    """Say what a plugin's scorer could not do, now that every answer is kept.

    Raises:
        ScorerFailed: it could not score an answer.
    """
    for sample in work.done.values():
        if sample.status == "completed" and sample.score is None:
            prompt = work.prompts[sample.case, sample.approach]
            if foreign_scorers(prompt.scoring):
                _derive_again(work, sample, prompt)


def _matches(block: Block, cell: PlannedRequest, prompt: Prompt, sample: Sample) -> bool:
    place = (block.profile, block.task, cell.approach, cell.sample, cell.case)
    if place != (sample.profile, sample.task, sample.approach, sample.sample, sample.case):
        return False
    # Where no setting names the dialect, one that was found on contact counts until the server is asked again.
    asked = block if named_api(block) else in_dialect(block, sample.request.api)
    return sample.request.digest == request_digest(asked, cell, prompt.prompt_sha256, prompt.answer_schema)


def _set_aside(work: Work, path: Path) -> None:
    target = paths.superseded_file(Path(work.block.results), path, f"{time.time_ns()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
    except OSError as error:
        raise ConfigurationError(
            f"cannot move {path} to {target.parent}: {error.strerror}", remedy="Make the results folder writable"
        ) from None


def _settle_dialect(work: Work, endpoint: ReadyEndpoint, log: Log) -> None:
    """Ask in the dialect that was found on contact, where no setting names one; another one before is asked again."""
    if named_api(work.block) or endpoint.kind == "replay":
        return
    work.block = in_dialect(work.block, endpoint.api)
    other = {key for key, sample in work.done.items() if sample.attempts and sample.request.api != endpoint.api}
    if other:
        log(f"{work.block.instance}: its server speaks another API than before: {len(other)} samples are asked again")
        _ask_again(work, other)


def _ask_if_model_changed(work: Work, endpoint: ReadyEndpoint, log: Log) -> None:
    """Answers from other weights under the same name are not comparable: they are asked again, on contact."""
    stale = {
        key
        for key, sample in work.done.items()
        if sample.model_digest and endpoint.model_digest and sample.model_digest != endpoint.model_digest
    }
    if not stale:
        return
    log(f"{work.block.model} has other weights than before: {len(stale)} samples are asked again")
    _ask_again(work, stale)


def _measure(work: Work, endpoint: ReadyEndpoint, log: Log, stop: threading.Event) -> None:
    """Ask all missing cells; restart our own endpoint if it went away, a limited number of times."""
    progress = BlockProgress(work.block, len(work.missing), log)
    monitor = ModelMonitor(work.block, endpoint, work.session, log)
    accepted = Accepted()
    pace = Pace(
        lambda s: log(f"{work.block.instance}: the server's limits are reached, nothing is sent for {duration(s)}")
    )
    while work.missing and not stop.is_set():
        crew = _Crew(work, endpoint, progress, monitor, stop, accepted, pace)
        with _metered(endpoint) as meter:
            known = slots.known_slots(work.block, endpoint)
            chat = one_token(work.block, work.prompt(work.missing[0]))
            warm = warm_up(work.block, chat, crew.clients, endpoint.replicas, log, stop)
            monitor.accepted = accepted = crew.clients[0].accepted
            found = slots.find_slots(work.block, crew.clients, warm, known)
            for line in filter(None, (slots.in_words(one, endpoint, work.block.instance) for one in found)):
                log(line)
            monitor.slots = slots.to_record(found)
            monitor.check()
            meter.look()
            crew.run(meter, [one.usable for one in found])
        if not crew.gone or stop.is_set():
            continue
        if not endpoint.can_restart or endpoint.restarts >= MAX_RESTARTS:
            again = retryable(list(work.done.values()), work.block.retry)
            raise EndpointConnectionError(
                f"the endpoint {endpoint.base_url} stopped answering; "
                f"{len(work.done) - again} samples are kept, {len(work.missing) + again} are still to be asked",
                instance=work.block.instance,
                remedy="Check the server and run the same command again: only what is missing is asked",
            )
        log(f"{work.block.instance}: the endpoint stopped answering and is restarted")
        endpoint.restart()
        work.missing.extendleft(reversed(crew.lost))
        progress.asked_again(len(crew.lost))


@contextmanager
def _metered(endpoint: ReadyEndpoint) -> Iterator[Meter]:
    meter = Meter(endpoint.pid)
    try:
        yield meter
    finally:
        meter.close()


class _Crew:
    """Threads that share the missing cells of a block, `max_concurrent` of them.

    Daemon threads: on an interruption the process ends at once, and requests in flight are not results.
    """

    def __init__(
        self,
        work: Work,
        endpoint: ReadyEndpoint,
        progress: BlockProgress,
        monitor: ModelMonitor,
        stop: threading.Event,
        accepted: Accepted,
        pace: Pace,
    ) -> None:
        self.gone = False
        self._work = work
        self._digest = endpoint.model_digest
        self._identity = EndpointIdentity(endpoint.kind, endpoint.version)
        self._progress = progress
        self._monitor = monitor
        self._stop = stop
        self._lock = threading.Lock()
        self._storing = 0
        self._stored = threading.Condition(self._lock)
        self._in_flight = 0
        self.lost: list[PlannedRequest] = []
        self._crash: BaseException | None = None
        connections = work.block.endpoint.max_concurrent
        client = dialect(endpoint.api)
        self.clients = [client(url, connections, endpoint.headers, pace, accepted) for url in endpoint.replicas]

    def run(self, meter: Meter, at_once: Sequence[int]) -> None:
        """Ask until nothing is missing, the endpoint is gone, or the run is stopped.

        Args:
            at_once: how many requests each client may have in flight.
        """
        turns = range(max(at_once))  # take turns, so that even a few requests are spread over all clients
        places = [client for turn in turns for client, most in zip(self.clients, at_once, strict=True) if turn < most]
        # Fill all slots before using the first: otherwise the first cases would run beside fewer requests than the others.
        first = [self._work.missing.popleft() for _ in range(min(len(places), len(self._work.missing)))]
        self._in_flight = len(first)
        threads = [
            threading.Thread(target=self._guarded, args=(client, meter, cell), daemon=True)
            for client, cell in zip(places, first, strict=False)
        ]
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads) and not self._stop.is_set():
                threads[-1].join(0.05)
                threads.insert(0, threads.pop())
        except BaseException:  # a signal: whatever fails from now on, with the endpoint, is not a result
            self._stop.set()
            raise
        finally:  # no file is left half written, and none is written later
            with self._stored:
                self._stored.wait_for(lambda: not self._storing, STORING_S)
        if self._crash is not None:
            raise self._crash

    def _guarded(self, client: ChatClient, meter: Meter, first: PlannedRequest) -> None:
        try:
            self._ask_all(client, meter, first)
        except BaseException as error:
            self._crash = error
            self.gone = True

    def _ask_all(self, client: ChatClient, meter: Meter, first: PlannedRequest) -> None:
        block, work = self._work.block, self._work
        cell: PlannedRequest | None = first
        while cell is not None:
            prompt = work.prompt(cell)
            asked = ask(block, cell, prompt, client, meter, self._stop, lambda: self._in_flight)
            if self._stop.is_set():
                return
            sample = sample_of(block, cell, prompt, asked, work.session, self._digest, self._identity)
            if (sample.load_s or 0) > SLOW_LOAD_S:
                self._monitor.check_again()
            served = self._monitor.served_flags(asked.reply.served)
            sample.flags = sorted({*sample.flags, *client.accepted.flags, *self._monitor.flags, *served})
            if not self._keep(cell, sample, asked.error):
                return
            end_if_limited(block, asked.error, len(work.missing))
            self._progress.finished(asked.error, len(self.lost))
            cell = self._next()

    def _keep(self, cell: PlannedRequest, sample: Sample, error: BenchmarkError | None) -> bool:
        """Store a sample and record whether the endpoint was there; False if the run was stopped meanwhile."""
        with self._lock:
            if self._stop.is_set():
                return False
            if isinstance(error, EndpointConnectionError | NoTurnError):
                self.lost.append(cell)
            else:
                self.lost.clear()
            self.gone = self.gone or len(self.lost) >= FAILURES_IN_A_ROW
            self._storing += 1
        try:
            self._work.store(sample)
        finally:
            with self._stored:
                self._storing -= 1
                self._stored.notify_all()
        return True

    def _next(self) -> PlannedRequest | None:
        """The next cell for this slot; None, with one slot less in use, if there is nothing left to ask.

        A slot counts as in use until then. Otherwise, the milliseconds for storing a sample would make the
        numbers of two arms differ and invalidate their times.
        """
        with self._lock:
            if self._work.missing and not self._stop.is_set() and not self.gone:
                return self._work.missing.popleft()
            self._in_flight -= 1
            return None
