"""Pay for agents' requests in a run with a budget, without making other requests at the meter wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager

from ai_dev_tools.benchmark.agents.meter.episode_account import EpisodeAccount
from ai_dev_tools.benchmark.agents.meter.request_rules import DeclinedRequest
from ai_dev_tools.benchmark.endpoints.chat import Chat, Reply
from ai_dev_tools.benchmark.errors import BenchmarkError, EndpointConnectionError


@asynccontextmanager
async def pay_for_request(
    account: EpisodeAccount,
    request: Callable[[], Chat],
    came_to: Callable[[Reply], BenchmarkError | None],
    reserving: ThreadPoolExecutor,
    settling: ThreadPoolExecutor,
) -> AsyncIterator[None]:
    """Reserve what a request may cost at most while it is in flight, if the run has a budget.

    A budget waits, for other requests, other jobs and the disk, so other threads do that: the streams of other episodes go on.

    Args:
        request: what is sent, as a budget sees it.
        came_to: fills a reply with what the server counted; an error if nothing came at all.
        reserving: where it waits to be paid. Not the loop's own threads: those look up the addresses of servers, also for the
            request that has been paid, and for whose end the others wait.
        settling: threads that note what a request cost; requests that wait for payment use none of them.
    """
    payer = account.upstream.payer
    if payer is None:
        yield
        return
    reply = Reply()
    payment = _Payment(payer.paying(request(), account.seconds_left, reply))
    run = asyncio.get_running_loop().run_in_executor
    try:
        await run(reserving, payment.begin)
    except asyncio.CancelledError:
        await _surely(run(settling, payment.give_up))
        raise
    except BenchmarkError as error:
        account.unpaid = error
        account.ended.set()
        raise DeclinedRequest(402, "limit", str(error)) from None
    try:
        yield
    finally:
        failure = came_to(reply)
        await _surely(run(settling, payment.end, failure))


async def _surely(noting: asyncio.Future[None]) -> None:
    """Wait until something is noted, even if the agent goes away."""
    cancelled: asyncio.CancelledError | None = None
    while not noting.done():
        try:
            await asyncio.shield(noting)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


class _Payment:
    """What is reserved for a request, although the one who waits for that may go away meanwhile."""

    def __init__(self, paying: AbstractContextManager[None]) -> None:
        self._paying, self._lock = paying, threading.Lock()
        self._wanted, self._begun = True, False

    def begin(self) -> None:
        """Wait until it is reserved; raises as the payer does."""
        self._paying.__enter__()
        with self._lock:
            self._begun = True
            if self._wanted:
                return
        self.end(EndpointConnectionError("nothing was sent"))

    def give_up(self) -> None:
        """Nothing will be sent: what is or will be reserved is given back."""
        with self._lock:
            self._wanted = False
            if not self._begun:
                return
        self.end(EndpointConnectionError("nothing was sent"))

    def end(self, failure: BaseException | None) -> None:
        """Note what it cost."""
        self._paying.__exit__(type(failure) if failure else None, failure, None)
