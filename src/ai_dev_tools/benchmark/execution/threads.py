"""Threads that ask the missing requests of a block."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ai_dev_tools.benchmark.agents.episode import AgentSetUpError
from ai_dev_tools.benchmark.endpoints import ReadyEndpoint
from ai_dev_tools.benchmark.endpoints.chat import Accepted, ChatClient
from ai_dev_tools.benchmark.endpoints.dialects import dialect
from ai_dev_tools.benchmark.endpoints.pacing import Pace
from ai_dev_tools.benchmark.endpoints.resource_use import ResourceMonitor
from ai_dev_tools.benchmark.errors import (
    BenchmarkError,
    BudgetNotKeptError,
    BudgetReached,
    EndpointConnectionError,
    NoTurnError,
)
from ai_dev_tools.benchmark.execution.block_work import BlockWork
from ai_dev_tools.benchmark.execution.progress import BlockProgress
from ai_dev_tools.benchmark.execution.provenance import ModelMonitor
from ai_dev_tools.benchmark.execution.recording import sample_of
from ai_dev_tools.benchmark.execution.request import SLOW_LOAD_S, Drive, ask
from ai_dev_tools.benchmark.execution.warming import end_if_limited
from ai_dev_tools.benchmark.records.block import PlannedRequest
from ai_dev_tools.benchmark.records.sample import EndpointIdentity, Sample

FAILURES_IN_A_ROW = 3
"""Samples in a row without a connection, or without a slot, before the endpoint is considered gone."""
STORING_S = 5.0
"""How long a stopped run waits for samples that are being written; a working disk takes milliseconds."""


class RequestThreads:
    """Threads that share the missing cells of a block, `max_concurrent` of them.

    Daemon threads: on an interruption the process ends at once, and requests in flight are not results.
    """

    def __init__(
        self,
        work: BlockWork,
        endpoint: ReadyEndpoint,
        progress: BlockProgress,
        monitor: ModelMonitor,
        stop: threading.Event,
        accepted: Accepted,
        pace: Pace,
    ) -> None:
        self.gone = False
        self.over: BudgetReached | None = None
        self._work = work
        self._digest = endpoint.model_digest
        self._identity = EndpointIdentity(endpoint.kind, endpoint.version)
        self._endpoint = endpoint
        self._drive: Drive | None = None
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
        for one in self.clients:
            one.payer = work.account

    def run(self, meter: ResourceMonitor, at_once: Sequence[int]) -> None:
        """Ask until nothing is missing, the endpoint is gone, or the run is stopped.

        Args:
            at_once: how many requests each client may have in flight.
        """
        turns = range(max(at_once))  # take turns, so that even a few requests are spread over all clients
        places = [client for turn in turns for client, most in zip(self.clients, at_once, strict=True) if turn < most]
        # Fill all slots before using the first: otherwise the first cases would run with fewer requests in flight than the others.
        first = [self._work.missing.popleft() for _ in range(min(len(places), len(self._work.missing)))]
        self._in_flight = len(first)
        with self._third_party_agents(first):
            self._run(meter, list(zip(places, first, strict=False)))
        if self._crash is not None:
            raise self._crash

    @contextmanager
    def _third_party_agents(self, first: Sequence[PlannedRequest]) -> Iterator[None]:
        """The meter runs while third-party agents may be asked."""
        prompts = (self._work.prompt(cell) for cell in [*first, *self._work.missing])
        if not any(prompt.episode and prompt.episode.program for prompt in prompts):
            yield
            return
        # Here, because all other blocks do without aiohttp: `benchmarks/overhead.py` measures how long a block takes to start.
        from ai_dev_tools.benchmark.agents.third_party import agent_driver  # takes 0.3 s

        with agent_driver(self._endpoint) as self._drive:
            yield

    def _run(self, meter: ResourceMonitor, work: Sequence[tuple[ChatClient, PlannedRequest]]) -> None:
        threads = [
            threading.Thread(target=self._guarded, args=(client, meter, cell), daemon=True) for client, cell in work
        ]
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads) and not self._stop.is_set():
                threads[-1].join(0.05)
                threads.insert(0, threads.pop())
        except BaseException:  # a signal: what fails from now on, while the endpoint ends, is not a result
            self._stop.set()
            raise
        finally:  # no file is left half written, and none is written later
            with self._stored:
                self._stored.wait_for(lambda: not self._storing, STORING_S)

    def _guarded(self, client: ChatClient, meter: ResourceMonitor, first: PlannedRequest) -> None:
        try:
            self._ask_all(client, meter, first)
        except BaseException as error:
            self._crash = error
            self.gone = True

    def _ask_all(self, client: ChatClient, meter: ResourceMonitor, first: PlannedRequest) -> None:
        block, work = self._work.block, self._work
        cell: PlannedRequest | None = first
        while cell is not None:
            prompt = work.prompt(cell)
            asked = ask(block, cell, prompt, client, meter, self._stop, lambda: self._in_flight, self._drive)
            if isinstance(asked.error, BudgetReached):  # it was not asked, or not to its end: no sample
                self.over = asked.error
            if self._stop.is_set() or isinstance(asked.error, BudgetReached):
                return
            if isinstance(asked.error, BudgetNotKeptError):
                raise asked.error
            sample = sample_of(block, cell, prompt, asked, work.session, self._digest, self._identity)
            if asked.load_s > SLOW_LOAD_S:
                self._monitor.check_again()
            served = self._monitor.served_flags(asked.served)
            sample.flags = sorted({*sample.flags, *client.accepted.flags, *self._monitor.flags, *served})
            if not self._keep(cell, sample, asked.error):
                return
            end_if_limited(block, asked.error, len(work.missing))
            if isinstance(asked.error, AgentSetUpError):
                raise asked.error
            for flag, line in warnings_of(sample):
                self._progress.warn(flag, line)
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

        A slot is in use until then. Otherwise, the milliseconds for storing a sample would make the
        numbers of two arms differ and invalidate their times.
        """
        with self._lock:
            if self._work.missing and not (self._stop.is_set() or self.gone or self.over):
                return self._work.missing.popleft()
            self._in_flight -= 1
            return None


def warnings_of(sample: Sample) -> Iterator[tuple[str, str]]:
    """Flags of an episode that suggest that its agent is set up wrongly, and what to look at."""
    last = sample.turns[-1].error if sample.turns else None
    if "no_answer_found" in sample.flags and last is not None:
        yield "no_answer_found", f"{last.message} (if that goes on, check 'answer' in the agent's file)"
    if "other_model_asked" in sample.flags:
        yield "other_model_asked", "the agent also asked for another model, which was refused: see its settings"
