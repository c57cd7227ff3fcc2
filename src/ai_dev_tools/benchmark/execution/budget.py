"""A run's budget, over all of its jobs.

What its requests have cost so far, and what those in flight may cost at worst.

What is paid or held is one number in a file of the run's folder, which all jobs change under a lock. A request in flight is
held at its worst case. One that a kill cut short stays so, since its server may have charged it. Requests mostly come to
less: where too little is left for the next one, it waits as long as any job has one in flight, which the lock of another file
says. The system takes that lock away from a job that is killed.
"""

from __future__ import annotations

import fcntl
import json
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

import msgspec

from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark.endpoints.chat import Chat, Reply
from ai_dev_tools.benchmark.endpoints.server_counts import count_of
from ai_dev_tools.benchmark.errors import (
    BenchmarkError,
    BudgetNotKeptError,
    BudgetReached,
    ConfigurationError,
    RequestTimeoutError,
)
from ai_dev_tools.benchmark.records.prices import Budget, Rates, money
from ai_dev_tools.benchmark.records.sample import Sample, read_sample
from ai_dev_tools.benchmark.tasks.size_classes import MOST_WRAPPING_TOKENS

FILE = "spent.json"
SLACK = 1e-9
"""Rounding errors of sums must not refuse a request."""
_POLL_S = 0.5
"""How often a request that waits looks at what other jobs have spent."""


class Spent(msgspec.Struct, forbid_unknown_fields=True):
    """The file: what was paid or is held, counted with these prices."""

    money: float
    currency: str
    rates: dict[str, Rates]


_decoder = msgspec.json.Decoder(Spent)


class BudgetAccount:
    """What the requests of one block are paid from.

    Args:
        results: the run's folder.
        model: which the block asks.
    """

    def __init__(self, budget: Budget, results: Path, model: str) -> None:
        self._budget, self._results, self._rates = budget, results, budget.rates.get(model, Rates())
        self._settled, self._open = threading.Condition(), 0

    @contextmanager
    def paying(self, chat: Chat, timeout_s: float, reply: Reply) -> Iterator[None]:
        """Reserve the worst case of a request while it is in flight, and keep what it really cost.

        Raises:
            BudgetReached: it could exceed the budget, and is not sent.
            BudgetNotKeptError: it cannot be noted, and is not sent.
        """
        worst = self.worst_case(chat, timeout_s)
        with self._settled:
            flight = self._reservation(worst)
            self._open += 1
        error: BaseException | None = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._settle(flight, self._settled_cost(reply, worst, error) - worst)

    def require(self, chat: Chat, timeout_s: float) -> None:
        """Raise BudgetReached if not even this request can be paid."""
        worst, least = self.worst_case(chat, timeout_s), paid_for(self._results, self._budget.rates)
        with self._settled:
            while not self._can_pay(worst, least):
                self._settled.wait(_POLL_S)

    def _can_pay(self, worst: float, least: float) -> bool:
        """Whether this much is left.

        Args:
            least: what is spent at least; a run without a budget in between has noted nothing.
        """
        with _locked(self._results):
            spent = self._read()
            if least > spent.money:
                self._note(spent, least)
            return self._is_left(spent, worst)

    def _reservation(self, worst: float) -> IO[str]:
        """Hold this much as soon as it is left, see `_reserved`."""
        try:
            while (flight := self._reserved(worst)) is None:
                self._settled.wait(_POLL_S)
        except ConfigurationError as error:
            raise BudgetNotKeptError(error.args[0], remedy=error.remedy) from None
        return flight

    def _reserved(self, worst: float) -> IO[str] | None:
        """Hold this much; the locked file says so until it is closed. None if it is not left, see `_is_left`."""
        with _locked(self._results):
            spent = self._read()
            if not self._is_left(spent, worst):
                return None
            flight = _in_flight(self._results, fcntl.LOCK_SH)
            try:
                self._note(spent, spent.money + worst)
            except BaseException:
                if flight:
                    flight.close()
                raise
            return flight

    def _is_left(self, spent: Spent, needed: float) -> bool:
        """Whether this much is left; False while requests in flight may still cost less than is held for them.

        Raises:
            BudgetReached: it is not left, and none is in flight in any job.
        """
        budget = self._budget
        if spent.money + needed <= budget.amount * (1 + SLACK):
            return True
        alone = _in_flight(self._results, fcntl.LOCK_EX)
        if alone is None:
            return False
        alone.close()
        raise BudgetReached(
            f"{money(spent.money, budget.currency)} of the budget of {money(budget.amount, budget.currency)} is "
            f"spent, and the next request may cost up to {money(needed, budget.currency)}"
        )

    def _settle(self, flight: IO[str], change: float) -> None:
        """Replace what was held by what was paid."""
        with self._settled:
            try:
                with _locked(self._results):
                    spent = self._read()
                    self._note(spent, spent.money + change)
            except ConfigurationError:  # a full disk: it stays held, and the answer is not lost for that
                pass
            finally:
                flight.close()
                self._open -= 1
                self._settled.notify_all()

    def worst_case(self, chat: Chat, timeout_s: float) -> float:
        """What a request can cost at most: a token for each byte of the prompt, and an answer of full length."""
        window = chat.options.get("num_ctx")
        said = [asdict(message) for message in chat.conversation]
        prompt = MOST_WRAPPING_TOKENS + sum(_bytes(part) for part in (said, chat.schema or {}, chat.tools))
        read = prompt if window is None else min(prompt, int(window))
        return self._rates.money(read, 0, int(chat.options.get("num_predict") or window or read), timeout_s)

    def _settled_cost(self, reply: Reply, worst: float, error: BaseException | None) -> float:
        """What a request cost; the worst case if an answer arrived and nobody counted it."""
        read, written = (count_of(reply.final.get(key)) for key in ("prompt_eval_count", "eval_count"))
        cached = count_of(reply.final.get("prompt_eval_cached_count")) or 0
        seconds = reply.duration_s / max(1, self._open)
        if read is not None and written is not None:
            return self._rates.money(read, min(cached, read), written, seconds)
        begun = reply.turn_s is not None or bool(reply.pieces) or isinstance(error, RequestTimeoutError)
        if error is None or begun or not isinstance(error, BenchmarkError):
            return worst
        return self._rates.money(0, 0, 0, seconds)

    def _note(self, spent: Spent, amount: float) -> None:
        spent.money = max(0.0, amount)
        write_atomically(self._results / FILE, msgspec.json.encode(spent) + b"\n")

    def _read(self) -> Spent:
        budget = self._budget
        noted = _noted(self._results)
        if noted and (noted.currency, noted.rates) == (budget.currency, budget.rates):
            return noted
        return Spent(paid_for(self._results, budget.rates), budget.currency, budget.rates)


@contextmanager
def _locked(results: Path) -> Iterator[None]:
    """Be the only job that looks at what is spent."""
    lock = _lock(results / f".{FILE}.lock", fcntl.LOCK_EX)
    assert lock is not None
    with lock:
        yield


def _in_flight(results: Path, operation: int) -> IO[str] | None:
    """The file that is locked as long as requests are in flight: shared by all of them, or by one that finds none.

    None if that cannot be now. Only who holds `_locked` may ask.
    """
    return _lock(results / f".{FILE}.flight", operation | fcntl.LOCK_NB)


def _lock(path: Path, operation: int) -> IO[str] | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")  # NFS grants a shared lock only to who may read
        try:
            fcntl.flock(file, operation)
        except OSError:
            file.close()
            raise
    except BlockingIOError:
        return None
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None
    return file


def spent_so_far(results: Path, rates: Mapping[str, Rates]) -> float:
    """What a run has cost: as its jobs noted it, where it has a budget, else by its stored samples."""
    if (noted := _noted(results)) and noted.rates == rates:
        return noted.money
    return paid_for(results, rates)


def _noted(results: Path) -> Spent | None:
    """What the file says; None if there is none that can be believed."""
    try:
        spent = _decoder.decode((results / FILE).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None
    return spent if math.isfinite(spent.money) and spent.money >= 0 else None


def paid_for(results: Path, rates: Mapping[str, Rates]) -> float:
    """What the stored samples of a run cost, where their tokens were counted.

    Those that were asked again later are included.
    """
    files = [*results.glob("samples/*/*/*/*.json"), *results.glob("superseded/**/*.json")]
    return sum(_cost(sample, rates) for path in files if isinstance(sample := read_sample(path), Sample))


def _cost(sample: Sample, rates: Mapping[str, Rates]) -> float:
    rate = rates.get(sample.model)
    if rate is None or not sample.attempts:
        return 0.0
    cap = int(sample.request.options.get("num_predict") or 0)
    written = sample.output_tokens if sample.output_tokens is not None else cap if sample.status == "timeout" else 0
    read = sample.input_tokens or 0
    seconds = sum(attempt.duration_s for attempt in sample.attempts) / max(1, sample.in_flight)
    return rate.money(read, min(sample.prompt_cached_tokens or 0, read), written, seconds)


def _bytes(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, default=dict).encode())
