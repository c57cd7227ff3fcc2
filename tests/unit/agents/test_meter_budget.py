"""Requests of agents that are paid from a budget, while nobody else at the meter waits for it. Fakes are labelled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from ai_dev_tools.benchmark.agents.meter.episode_account import Upstream
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from ai_dev_tools.benchmark.endpoints.chat import Chat, Reply
from ai_dev_tools.benchmark.errors import BudgetReached, ConfigurationError, EndpointConnectionError
from fakes.ollama import FakeOllama
from support.metered_episodes import OPTIONS, chat, post, rules, until


class Payer:
    """LABELLED FAKE of a budget: pays so many requests."""

    def __init__(self, requests: int) -> None:
        self.left = requests
        self.paid: list[Reply] = []

    @contextmanager
    def paying(self, chat: Chat, timeout_s: float, reply: Reply) -> Iterator[None]:
        assert "hi" in chat.conversation[0].content and chat.options == OPTIONS
        if not self.left:
            raise BudgetReached("the budget is spent")
        self.left -= 1
        try:
            yield
        finally:
            self.paid.append(reply)


def test_a_budget_is_asked_before_each_request_and_told_what_it_cost(meter: MeterServer, ollama: FakeOllama) -> None:
    payer = Payer(1)
    with meter.episode(rules(), Upstream(ollama.url, None, payer=payer)) as (key, account):
        statuses = [post(f"{meter.url}/e/{key}/api/chat", chat("hi"))[0] for _ in range(2)]
    assert statuses == [200, 402] and ollama.measured == 1 and account.ended.is_set()
    assert str(account.unpaid) == "the budget is spent"
    assert [reply.final["prompt_eval_count"] for reply in payer.paid] == [account.turns[0].input_tokens]


class Waiting:
    """LABELLED FAKE of a budget: a request waits until others have settled, as in another thread of the meter."""

    def __init__(self) -> None:
        self.asked, self.settled = threading.Event(), threading.Event()
        self.left: list[str] = []

    @contextmanager
    def paying(self, chat: Chat, timeout_s: float, reply: Reply) -> Iterator[None]:
        self.asked.set()
        assert self.settled.wait(30)
        try:
            yield
        except EndpointConnectionError as error:
            self.left.append(str(error))
            raise
        finally:
            self.left.append(threading.current_thread().name)


def test_what_is_reserved_for_an_agent_that_has_gone_meanwhile_is_given_back(
    meter: MeterServer, ollama: FakeOllama
) -> None:
    payer = Waiting()
    with ThreadPoolExecutor(1) as pool:
        with meter.episode(rules(), Upstream(ollama.url, None, payer=payer)) as (key, account):
            pool.submit(post, f"{meter.url}/e/{key}/api/chat", chat("hi"))
            assert payer.asked.wait(30)
        assert payer.left == []
        payer.settled.set()
        until(lambda: len(payer.left) == 2)
    assert payer.left[0] == "nothing was sent" and not account.turns and not ollama.measured


def test_requests_that_wait_to_be_paid_do_not_keep_one_that_is_paid_from_its_server(ollama: FakeOllama) -> None:
    """Its server's name is looked up in a thread of the loop, of which there is only one here: the first would take it."""
    waiting, named = Waiting(), ollama.url.replace("127.0.0.1", "localhost")
    with (
        ThreadPoolExecutor(1) as pool,
        ThreadPoolExecutor(1) as only,
        MeterServer() as meter,
        meter.episode(rules(), Upstream(ollama.url, None, payer=waiting)) as (first, _),
        meter.episode(rules(), Upstream(named, None, payer=Payer(1))) as (other, _),
    ):
        meter._loop.call_soon_threadsafe(meter._loop.set_default_executor, only)
        late = pool.submit(post, f"{meter.url}/e/{first}/api/chat", chat("hi"))
        assert waiting.asked.wait(30)
        assert post(f"{meter.url}/e/{other}/api/chat", chat("hi"))[0] == 200
        assert not late.done()
        waiting.settled.set()
        assert late.result()[0] == 200


def test_what_a_request_cost_is_noted_outside_of_the_meters_own_thread(meter: MeterServer, ollama: FakeOllama) -> None:
    """Noting waits for a lock and the disk; the streams of other episodes go on meanwhile."""
    payer = Waiting()
    payer.settled.set()
    with meter.episode(rules(), Upstream(ollama.url, None, payer=payer)) as (key, _):
        assert post(f"{meter.url}/e/{key}/api/chat", chat("hi"))[0] == 200
    assert len(payer.left) == 1 and payer.left[0].startswith("settling")


def test_a_budget_that_cannot_be_noted_ends_the_episode_with_the_reason(meter: MeterServer, ollama: FakeOllama) -> None:
    class Full:
        @contextmanager
        def paying(self, chat: Chat, timeout_s: float, reply: Reply) -> Iterator[None]:
            raise ConfigurationError("cannot write spent.json: No space left on device")
            yield

    with meter.episode(rules(), Upstream(ollama.url, None, payer=Full())) as (key, account):
        assert post(f"{meter.url}/e/{key}/api/chat", chat("hi"))[0] == 402
    assert str(account.unpaid) == "cannot write spent.json: No space left on device" and not ollama.measured
