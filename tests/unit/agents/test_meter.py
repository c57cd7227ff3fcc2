"""The meter between agents and the model: what it forces, counts, refuses, ends and keeps apart. Servers are labelled fakes."""

from __future__ import annotations

import gzip
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import parse_headers
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import urllib3
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_dev_tools.benchmark._util.wire import TooLongError
from ai_dev_tools.benchmark.agents.meter.counting import Lines, Reader
from ai_dev_tools.benchmark.agents.meter.forcing import Rules, opened
from ai_dev_tools.benchmark.agents.meter.metered import Metered, Upstream
from ai_dev_tools.benchmark.agents.meter.request_bodies import MAX_BODY_BYTES
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from ai_dev_tools.benchmark.endpoints.chat import Chat, Reply
from ai_dev_tools.benchmark.endpoints.pacing import Pace
from ai_dev_tools.benchmark.errors import BudgetReached, ConfigurationError, EndpointConnectionError
from ai_dev_tools.benchmark.records.episode import Limits
from fakes.ollama import FakeOllama
from fakes.openai_api import FakeOpenAI

MODEL = "fake:1b"
OPTIONS = {"temperature": 0.5, "num_ctx": 4096, "num_predict": 64, "seed": 7}
POOL = urllib3.PoolManager(maxsize=32, retries=False)


def rules(**limits: Any) -> Rules:
    return Rules(MODEL, OPTIONS, "Request 00000042", Limits(**limits))


@pytest.fixture
def openai() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(key="the server's key") as fake:
        yield fake


@contextmanager
def episode(meter: MeterServer, fake: FakeOllama | FakeOpenAI, **limits: Any) -> Iterator[tuple[str, Metered]]:
    """The address of an episode, and its account."""
    if isinstance(fake, FakeOllama):
        upstream = Upstream(ollama=fake.url, openai=None)
    else:
        upstream = Upstream(ollama=None, openai=fake.url, headers={"Authorization": f"Bearer {fake.key}"})
    with meter.episode(rules(**limits), upstream) as (key, account):
        yield f"{meter.url}/e/{key}", account


def post(url: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, list[Any]]:
    """Status and objects of an answer, streamed or not, in either API."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = POOL.request("POST", url, body=data, headers={"Content-Type": "application/json", **(headers or {})})
    lines = [line.removeprefix(b"data: ") for line in reply.data.splitlines()]
    return reply.status, [json.loads(line) for line in lines if line.startswith(b"{")]


@contextmanager
def answering(said: bytes) -> Iterator[str]:
    """LABELLED FAKE of a server that says this to one request and hangs up, or never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with listening.accept()[0] as connection:
                connection.recv(1 << 16)
                if said:
                    connection.sendall(said)
                else:
                    connection.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(30)


def chat(*texts: str, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]
    return {"model": MODEL, "messages": messages, **more}


def until(holds: Callable[[], bool]) -> None:
    """Wait for what must become true; the limit only ends a test that would otherwise hang."""
    ends = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends, "it did not become true"
        time.sleep(0.01)


class TestCounting:
    @pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/v1/chat/completions"])
    @pytest.mark.parametrize("stream", [True, False])
    def test_tokens_are_those_of_the_servers_closing_figures(
        self, meter: MeterServer, ollama: FakeOllama, path: str, stream: bool
    ) -> None:
        ollama.answer = lambda prompt, schema: "word " * (len(prompt) % 7 + 1)
        with episode(meter, ollama) as (url, account):
            for length in (10, 400, 3000):
                body = chat("x" * length, stream=stream) | {"prompt": "x" * length}
                assert post(url + path, body)[0] == 200
        asked = [body.get("prompt") or body["messages"][0]["content"] for body in ollama.requests]
        assert [turn.input_tokens for turn in account.turns] == [len(text) // 4 + 1 for text in asked]
        assert [turn.output_tokens for turn in account.turns] == [len(turn.text) // 4 + 1 for turn in account.turns]
        assert [turn.text for turn in account.turns] == [ollama.answer(text, None) for text in asked]
        assert account.tokens == sum((t.input_tokens or 0) + (t.output_tokens or 0) for t in account.turns)
        assert all(turn.error is None and turn.duration_s > 0 for turn in account.turns)

    @pytest.mark.parametrize("stream", [True, False])
    def test_of_a_server_with_openais_api_too(self, meter: MeterServer, openai: FakeOpenAI, stream: bool) -> None:
        with episode(meter, openai) as (url, account):
            status, items = post(f"{url}/v1/chat/completions", chat("x" * 100, stream=True))
        (turn,) = account.turns
        prompt = openai.chats[0].body["messages"][0]["content"]
        assert status == 200 and turn.input_tokens == len(prompt) // 4 + 1 and turn.output_tokens == 1
        assert not any(item.get("usage") for item in items), "the agent did not ask for counts, and gets none"

    def test_thoughts_are_counted_where_the_server_counts_them(self, meter: MeterServer, openai: FakeOpenAI) -> None:
        openai.usage = lambda counted: counted | {"completion_tokens_details": {"reasoning_tokens": 3}}
        with episode(meter, openai) as (url, account):
            assert post(f"{url}/v1/chat/completions", chat("hello", stream=True))[0] == 200
        assert [turn.reasoning_tokens for turn in account.turns] == [3]

    def test_also_in_an_answer_of_one_piece(self) -> None:
        usage = {"prompt_tokens": 9, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 3}}
        choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
        reader = Reader("/v1/chat/completions", streamed=False)
        reader.feed(json.dumps({"model": MODEL, "choices": [choice], "usage": usage}).encode())
        reader.end()
        assert reader.heard.final["reasoning_count"] == 3 and reader.heard.text == "hi"

    def test_an_agent_that_asks_for_counts_gets_them(
        self, meter: MeterServer, ollama: FakeOllama, openai: FakeOpenAI
    ) -> None:
        for fake in (ollama, openai):
            with episode(meter, fake) as (url, account):
                body = chat("hello", stream=True, stream_options={"include_usage": True})
                _, items = post(f"{url}/v1/chat/completions", body)
            assert items[-1]["usage"]["prompt_tokens"] == account.turns[0].input_tokens

    def test_a_conversation_is_recorded_without_repetition(self, meter: MeterServer, ollama: FakeOllama) -> None:
        ollama.answer = lambda prompt, schema: "go on"
        with episode(meter, ollama) as (url, account):
            post(f"{url}/api/chat", chat("the question"))
            post(f"{url}/api/chat", chat("the question", "go on", "first result"))
            post(f"{url}/api/chat", chat("a title for this"))
            post(f"{url}/api/chat", chat("the question", "go on", "first result", "go on", "second result"))
        asked = [turn.asked for turn in account.turns]
        assert asked == ["[user] the question", None, "[user] a title for this", None]
        assert [turn.result for turn in account.turns] == ["first result", "second result", None, None]

    def test_what_the_server_refuses_is_told_to_the_agent_and_recorded(self, meter: MeterServer) -> None:
        with FakeOllama(overload_every=2) as fake, episode(meter, fake) as (url, account):
            assert post(f"{url}/v1/chat/completions", chat("one"))[0] == 200
            status, (said,) = post(f"{url}/v1/chat/completions", chat("two"))
        assert status == 503 and "busy" in said["error"]["message"]
        assert [turn.error and turn.error.class_ for turn in account.turns] == [None, "overloaded"]

    def test_a_prompt_that_does_not_fit_is_never_cut(self, meter: MeterServer, ollama: FakeOllama) -> None:
        with episode(meter, ollama) as (url, account):
            for path in ("/api/chat", "/v1/chat/completions"):
                status, _ = post(url + path, chat("x" * 40_000, stream=False))
                assert status == 400
        assert {turn.error and turn.error.class_ for turn in account.turns} == {"context_overflow"}


class TestForcing:
    def test_the_plan_decides_whatever_the_agent_asks_for(self, meter: MeterServer, ollama: FakeOllama) -> None:
        greedy = {"temperature": 2, "seed": 1, "num_ctx": 512, "num_predict": 9999, "top_k": 1, "stop": ["END"]}
        with episode(meter, ollama) as (url, _):
            post(f"{url}/api/chat", chat("hi", options=greedy, truncate=True, shift=True, keep_alive=0, think=False))
            post(f"{url}/v1/chat/completions", chat("hi", temperature=2, seed=1, max_tokens=5, top_p=0.1))
        first, second = ollama.requests
        assert first["options"] == {**OPTIONS, "stop": ["END"]}
        assert second["options"] == {**OPTIONS, "num_predict": 5}, "an agent may want less than the plan allows"
        for sent in (first, second):
            assert (sent["truncate"], sent["shift"], sent["model"]) == (False, False, MODEL)
            assert "keep_alive" not in sent and "think" not in sent

    def test_in_openais_words_too(self, meter: MeterServer, openai: FakeOpenAI) -> None:
        with episode(meter, openai) as (url, _):
            post(f"{url}/v1/chat/completions", chat("hi", temperature=2, seed=1, max_tokens=999, top_p=0.1, n=3))
        (sent,) = (chat.body for chat in openai.chats)
        assert (sent["temperature"], sent["seed"], sent["max_tokens"]) == (0.5, 7, 64)
        assert "n" not in sent and "top_p" not in sent

    @pytest.mark.parametrize("name", ["fake:1b", "FAKE:1b", "library/fake:1b", None])
    def test_one_model_has_many_spellings(self, meter: MeterServer, ollama: FakeOllama, name: str | None) -> None:
        with episode(meter, ollama) as (url, account):
            assert post(f"{url}/api/chat", chat("hi") | {"model": name})[0] == 200
        assert ollama.requests[0]["model"] == MODEL and not account.refusals

    @pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/api/show", "/v1/chat/completions"])
    def test_another_model_is_refused_in_one_line(self, meter: MeterServer, ollama: FakeOllama, path: str) -> None:
        with episode(meter, ollama) as (url, account):
            status, (said,) = post(url + path, chat("hi") | {"model": "gpt-9", "prompt": "hi"})
        line = "the agent asked for the model 'gpt-9', but this run asks 'fake:1b'"
        assert status == 400 and line in json.dumps(said)
        assert [refusal.line for refusal in account.refusals] == [line]
        assert not ollama.measured and not account.turns

    def test_the_nonce_opens_each_turn_once(self, meter: MeterServer, openai: FakeOpenAI) -> None:
        with episode(meter, openai) as (url, _):
            for texts in (["a"], ["a", "b", "c"]):
                post(f"{url}/v1/chat/completions", chat(*texts))
        sent = [[message["content"] for message in tried.body["messages"]] for tried in openai.chats]
        assert sent == [["Request 00000042\n\na"], ["Request 00000042\n\na", "b", "c"]]

    def test_also_a_message_in_parts(self) -> None:
        parts = [{"type": "text", "text": "hello"}]
        (first,) = opened([{"role": "system", "content": parts}], "Request 00000042")
        assert first["content"] == [{"type": "text", "text": "Request 00000042\n\n"}, *parts]

    def test_the_servers_key_is_not_the_agents(self, meter: MeterServer, openai: FakeOpenAI) -> None:
        with meter.episode(rules(), Upstream(None, openai.url, headers={"Authorization": f"Bearer {openai.key}"})) as (
            key,
            _,
        ):
            body = chat("hi")
            assert post(f"{meter.url}/v1/chat/completions", body, {"Authorization": f"Bearer {key}"})[0] == 200
        _, headers = openai.asked[-1]
        assert headers["Authorization"] == "Bearer the server's key"


class TestObeying:
    def test_a_wait_that_the_server_asks_for_is_kept_by_all_episodes_of_a_block(
        self, meter: MeterServer, openai: FakeOpenAI
    ) -> None:
        openai.refuse = lambda body: (429, {"error": "slow down"}) if len(openai.chats) == 1 else None
        openai.headers = lambda number: {"x-ratelimit-reset-requests": "300ms"} if number < 0 else {}
        pace = Pace()
        upstream = Upstream(None, openai.url, headers={"Authorization": f"Bearer {openai.key}"}, pace=pace)
        with meter.episode(rules(), upstream) as (one, _), meter.episode(rules(), upstream) as (other, account):
            assert post(f"{meter.url}/e/{one}/v1/chat/completions", chat("a"))[0] == 429
            assert pace.pause_s > 0, "a request that is no episode waits too"
            assert post(f"{meter.url}/e/{other}/v1/chat/completions", chat("b"))[0] == 200
        first, second = openai.arrived
        assert second - first > 0.25
        assert account.turns[0].duration_s < second - first, "waiting is no part of the turn"

    def test_a_redirect_leads_nowhere_else(self, meter: MeterServer, openai: FakeOpenAI) -> None:
        with FakeOpenAI() as elsewhere, episode(meter, openai) as (url, account):
            openai.refuse = lambda body: (307, {})
            openai.headers = lambda number: {"Location": f"{elsewhere.url}/chat/completions"}
            assert post(f"{url}/v1/chat/completions", chat("a"))[0] == 307
            assert elsewhere.asked == []
            assert account.turns[0].error is not None


class TestLimits:
    def test_after_so_many_turns_the_episode_is_over(self, meter: MeterServer, ollama: FakeOllama) -> None:
        with episode(meter, ollama, turns=2) as (url, account):
            statuses = [post(f"{url}/api/chat", chat(text))[0] for text in ("a", "b", "c", "d")]
            assert account.ended.is_set()
        assert statuses == [200, 200, 403, 403]
        assert account.limit == "turns" and len(account.turns) == 2 and ollama.measured == 2

    def test_after_so_many_tokens(self, meter: MeterServer, ollama: FakeOllama) -> None:
        with episode(meter, ollama, tokens=1000) as (url, account):
            statuses = [post(f"{url}/api/chat", chat("x" * 2400))[0] for _ in range(4)]
        assert statuses == [200, 200, 403, 403] and account.limit == "tokens"

    def test_after_so_many_seconds_also_within_a_request(self, meter: MeterServer, ollama: FakeOllama) -> None:
        ollama.gate = lambda: False  # the answer never comes
        with episode(meter, ollama, seconds=0.3) as (url, account):
            status, _ = post(f"{url}/api/chat", chat("hi"))
        assert status == 403 and account.limit == "seconds" and account.ended.is_set()
        assert account.turns[0].error is not None and account.turns[0].error.class_ == "timeout"
        until(lambda: not ollama.here or not ollama.open_connections)

    def test_a_server_that_fails_again_and_again_ends_the_episode(self, meter: MeterServer) -> None:
        with FakeOllama(overload_every=1) as fake, episode(meter, fake, turns=1) as (url, account):
            statuses = [post(f"{url}/api/chat", chat("hi"))[0] for _ in range(6)]
        assert statuses[-1] == 403 and account.limit == "turns"

    def test_an_episode_that_is_over_opens_nothing(self, meter: MeterServer, ollama: FakeOllama) -> None:
        with episode(meter, ollama) as (url, _):
            pass
        assert post(f"{url}/api/chat", chat("hi"))[0] == 401
        assert post(f"{meter.url}/api/chat", chat("hi"))[0] == 401


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


def test_a_budget_is_asked_before_each_request_and_told_what_it_came_to(meter: MeterServer, ollama: FakeOllama) -> None:
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


def test_what_a_request_came_to_is_noted_outside_of_the_meters_own_thread(
    meter: MeterServer, ollama: FakeOllama
) -> None:
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


def test_a_meter_that_cannot_open_its_socket_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with pytest.raises(ConfigurationError, match="Set TMPDIR to a folder with a short path"), MeterServer():
        pytest.fail("it has a socket")
    assert list(folder.iterdir()) == []


class TestApart:
    def test_sixteen_episodes_at_once_are_never_mixed_up(self, meter: MeterServer, ollama: FakeOllama) -> None:
        ollama.latency_s = 0.002
        ollama.answer = lambda prompt, schema: f"heard {prompt.split('I am ')[1].split('.')[0]}"
        accounts: dict[int, Metered] = {}
        together = threading.Barrier(16)

        def play(number: int) -> None:
            path = ("/api/chat", "/v1/chat/completions")[number % 2]
            with episode(meter, ollama, turns=100) as (url, account):
                accounts[number] = account
                together.wait()
                texts = [f"I am {number}."]
                for turn in range(8):
                    status, _ = post(url + path, chat(*texts, stream=bool(turn % 2)))
                    assert status == 200
                    texts += [account.turns[-1].text, f"turn {turn} of {number}"]

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(play, range(16)))
        for number, account in accounts.items():
            assert [turn.text for turn in account.turns] == [f"heard {number}"] * 8
            assert [turn.result for turn in account.turns[:-1]] == [f"turn {turn} of {number}" for turn in range(7)]
            assert account.turns[0].asked == f"[user] I am {number}."
        assert ollama.measured == 16 * 8 and ollama.most_at_once > 1

    def test_an_episode_takes_one_place_at_the_server(self, meter: MeterServer, ollama: FakeOllama) -> None:
        ollama.latency_s = 0.01
        with episode(meter, ollama) as (url, account), ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda text: post(f"{url}/api/chat", chat(text)), "abcd"))
        assert len(account.turns) == 4 and ollama.most_at_once == 1

    def test_an_agent_that_goes_away_cancels_its_generation(self, meter: MeterServer, ollama: FakeOllama) -> None:
        ollama.gate = lambda: False
        with episode(meter, ollama) as (url, account):
            agent = socket.create_connection(("127.0.0.1", int(meter.url.rpartition(":")[2])))
            body = json.dumps(chat("hi")).encode()
            path = url.removeprefix(meter.url)
            head = f"POST {path}/api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            agent.sendall(head.encode() + body)
            until(lambda: ollama.here == 1)
            upstream = set(ollama.open_connections)
            agent.close()
            until(lambda: not (upstream & ollama.open_connections))
            until(lambda: bool(account.turns))
        assert account.turns[0].error is not None and account.turns[0].error.class_ == "interrupted"

    def test_an_agent_whose_connection_is_closing_is_not_the_fault_of_the_server(
        self, meter: MeterServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def closing(response: web.StreamResponse, data: bytes) -> None:
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

        monkeypatch.setattr(web.StreamResponse, "write", closing)
        begun = b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"message": {"content": "Well"}, "done": false}\n'
        with (
            answering(begun) as server,
            meter.episode(rules(), Upstream(server, None)) as (key, account),
            suppress(urllib3.exceptions.HTTPError),
        ):
            post(f"{meter.url}/e/{key}/api/chat", chat("hi"))
        assert [turn.error and turn.error.class_ for turn in account.turns] == ["interrupted"]

    def test_the_end_of_an_episode_gives_up_what_is_under_way(self, meter: MeterServer, ollama: FakeOllama) -> None:
        ollama.gate = lambda: False
        with ThreadPoolExecutor(1) as pool:
            with episode(meter, ollama) as (url, account):
                pool.submit(post, f"{url}/api/chat", chat("hi"))
                until(lambda: ollama.here == 1)
            assert [turn.error and turn.error.class_ for turn in account.turns] == ["interrupted"]


@contextmanager
def hanging_up(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """LABELLED FAKE of a server that takes any number of connections and ends each after one of these answers, unannounced.

    An empty one: it hangs up instead. Yields its address and the requests that came.
    """
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    with listening.accept()[0] as connection, connection.makefile("rb") as reader:
                        reader.readline()
                        came.append(reader.read(int(parse_headers(reader)["Content-Length"])))
                        connection.sendall(answers[min(len(came), len(answers)) - 1])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", came
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(30)


def spoken(message: str) -> bytes:
    said = json.dumps({"message": {"role": "assistant", "content": message}, "done": True, "eval_count": 1}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said)


class TestBreaks:
    @pytest.mark.parametrize("before", [[], [spoken("hi")]], ids=["at first", "later"])
    def test_a_request_that_the_server_broke_off_is_never_sent_again(
        self, meter: MeterServer, before: list[bytes]
    ) -> None:
        """It may have begun to answer, and what that took would be neither counted nor paid."""
        with (
            hanging_up(*before, b"") as (server, came),
            meter.episode(rules(), Upstream(ollama=server, openai=None)) as (key, account),
        ):
            for _ in before:
                assert post(f"{meter.url}/e/{key}/api/chat", chat("hi", stream=False))[0] == 200
            assert post(f"{meter.url}/e/{key}/api/chat", chat("again", stream=False))[0] == 502
        assert len(came) == len(before) + 1 == len(account.turns)
        assert account.turns[-1].error is not None
        assert account.turns[-1].error.class_ == "connection"

    def test_a_server_that_closes_connections_after_each_answer_fails_no_turn(self, meter: MeterServer) -> None:
        with (
            hanging_up(spoken("hi")) as (server, came),
            meter.episode(rules(turns=20), Upstream(ollama=server, openai=None)) as (key, account),
        ):
            for turn in range(20):
                assert post(f"{meter.url}/e/{key}/api/chat", chat(f"turn {turn}", stream=False))[0] == 200
        assert [turn.error for turn in account.turns] == [None] * len(came) == [None] * 20


class TestAnswers:
    def test_the_meter_says_which_model_there_is(self, meter: MeterServer, ollama: FakeOllama) -> None:
        with episode(meter, ollama) as (url, account):
            listed = json.loads(POOL.request("GET", f"{url}/v1/models").data)
            tags = json.loads(POOL.request("GET", f"{url}/api/tags").data)
            show = post(f"{url}/api/show", {"model": MODEL})
            assert POOL.request("GET", url + "/").data == b"Ollama is running"
            assert POOL.request("GET", f"{url}/api/version").status == 200
        assert [model["id"] for model in listed["data"]] == [model["name"] for model in tags["models"]] == [MODEL]
        assert show[0] == 200 and show[1][0]["model_info"]
        assert not account.turns and not account.refusals

    def test_a_description_of_the_model_hides_the_servers_key(self, meter: MeterServer) -> None:
        said = b'HTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\n{"template": "the key is templated"}'
        with answering(said) as url:
            upstream = Upstream(url, None, headers={"Authorization": "Bearer templated"})
            with meter.episode(rules(), upstream) as (key, _):
                assert post(f"{meter.url}/e/{key}/api/show", {"model": MODEL}) == (
                    200,
                    [{"template": "the key is (hidden)"}],
                )

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "Response payload is not completed"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "JSON is malformed"),
            (b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 3000, "the answer does not end"),
            (b"nonsense", "400"),
        ],
        ids=["breaks off", "is not JSON", "does not end", "is not HTTP"],
    )
    def test_a_server_that_cannot_describe_the_model_is_an_answer_for_the_agent(
        self, meter: MeterServer, monkeypatch: pytest.MonkeyPatch, said: bytes, reason: str
    ) -> None:
        monkeypatch.setattr("ai_dev_tools.benchmark._util.wire.MAX_LINE_BYTES", 2000)
        with answering(said) as url, meter.episode(rules(), Upstream(url, None)) as (key, account):
            status, (told,) = post(f"{meter.url}/e/{key}/api/show", {"model": MODEL})
        assert status == 502 and "the model's server does not describe the model" in told["error"]
        assert reason in told["error"] and not account.turns

    def test_a_description_that_does_not_come_ends_at_the_limit_of_seconds(self, meter: MeterServer) -> None:
        with answering(b"") as url, meter.episode(rules(seconds=0.3), Upstream(url, None)) as (key, account):
            status, _ = post(f"{meter.url}/e/{key}/api/show", {"model": MODEL})
        assert status == 403 and account.limit == "seconds" and account.ended.is_set()

    @pytest.mark.parametrize("path", ["/v1/responses", "/api/embed", "/v1/completions", "/nowhere"])
    def test_other_addresses_are_refused_in_one_line(self, meter: MeterServer, ollama: FakeOllama, path: str) -> None:
        with episode(meter, ollama) as (url, account):
            status, _ = post(url + path, chat("hi"))
        assert status == 404 and path in account.refusals[0].line and account.refusals[0].about == "path"

    @pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
    def test_having_the_model_loaded_is_not_a_turn(self, meter: MeterServer, ollama: FakeOllama, path: str) -> None:
        with episode(meter, ollama) as (url, account):
            status, (said,) = post(url + path, {"model": MODEL, "keep_alive": 0})
        assert status == 200 and said["done_reason"] == "load" and not account.turns and not ollama.counts[path]

    @pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/v1/chat/completions"])
    def test_half_a_character_becomes_the_sign_for_one_that_cannot_be_read(
        self, meter: MeterServer, ollama: FakeOllama, path: str
    ) -> None:
        body = chat("a\ud83d b", "c", "\ud83d\ude00", prompt="a\ud83d b")
        with episode(meter, ollama) as (url, account):
            assert post(url + path, body)[0] == 200
        (sent,) = ollama.requests
        assert (sent.get("prompt") or sent["messages"][0]["content"]).endswith("a\ufffd b")
        assert "messages" not in sent or sent["messages"][2]["content"] == "\U0001f600", "of a pair nothing is lost"
        assert msgspec.json.encode(account.turns)

    @pytest.mark.parametrize(("path", "streamed"), [("/api/chat", True), ("/v1/chat/completions", False)])
    def test_where_a_request_does_not_say_how_the_answer_is_to_come_the_api_says_it(
        self, meter: MeterServer, ollama: FakeOllama, path: str, streamed: bool
    ) -> None:
        with episode(meter, ollama) as (url, account):
            status, items = post(url + path, chat("hi", stream=None))
        assert status == 200 and (len(items) > 1) is streamed
        assert account.turns[0].error is None and account.turns[0].output_tokens

    @pytest.mark.parametrize("stream", ["yes", 1, [], {}])
    def test_what_servers_read_differently_is_refused(
        self, meter: MeterServer, ollama: FakeOllama, stream: object
    ) -> None:
        with episode(meter, ollama) as (url, account):
            status, _ = post(f"{url}/v1/chat/completions", chat("hi", stream=stream))
        assert status == 400 and "'stream'" in account.refusals[0].line and not ollama.requests

    @pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH"])
    def test_only_a_post_asks_the_model(self, meter: MeterServer, ollama: FakeOllama, method: str) -> None:
        with episode(meter, ollama) as (url, account):
            reply = POOL.request(method, f"{url}/api/chat", body=json.dumps(chat("hi")))
        assert reply.status == 405 and method in account.refusals[0].line and not ollama.requests

    def test_a_body_that_cannot_be_read_is_refused_in_one_line(self, meter: MeterServer, ollama: FakeOllama) -> None:
        with episode(meter, ollama) as (url, account):
            squeezed = {"Content-Encoding": "gzip"}
            assert post(f"{url}/api/chat", b"not gzip", squeezed)[0] == 400
            assert post(f"{url}/api/chat", gzip.compress(b" " * MAX_BODY_BYTES + b"{}"), squeezed)[0] == 413
        assert [refusal.line for refusal in account.refusals] == [
            "the agent's request is not a JSON object",
            "the agent's request is larger than 64 MiB",
        ]

    @pytest.mark.parametrize(
        "said",
        [
            b"\x16\x03\x01\x02\x00\x01",
            b"POST /e/x/api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{}",
            b"POST /e/x/api/chat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n",
        ],
    )
    def test_bytes_that_are_not_http_are_the_agents_and_no_traceback(
        self, meter: MeterServer, ollama: FakeOllama, said: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        with socket.create_connection(("127.0.0.1", int(meter.url.rpartition(":")[2])), timeout=30) as agent:
            agent.sendall(said)
            assert b" 400 " in agent.recv(1000)
        with episode(meter, ollama) as (url, _):
            assert post(f"{url}/api/chat", chat("still there?"))[0] == 200
        assert not caplog.records

    @settings(max_examples=60)
    @given(
        body=st.binary(max_size=60)
        | st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                st.sampled_from(["model", "messages", "stream", "options", "content", "role", "tools", "stop", "prompt"]),
                inner, max_size=4,
            ),
            max_leaves=8,
        ),
        path=st.sampled_from(["/api/chat", "/api/generate", "/v1/chat/completions"]),
    )  # fmt: skip
    def test_no_body_breaks_the_meter(self, meter: MeterServer, body: Any, path: str) -> None:
        with FakeOllama() as fake, episode(meter, fake, turns=1000) as (url, _):
            status, _ = post(url + path, body)
            assert status < 500, "an agent's mistake is the agent's"
            assert post(f"{url}/api/chat", chat("still there?"))[0] == 200


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_that_does_not_end_is_given_up(streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_dev_tools.benchmark.agents.meter.counting.MAX_RESPONSE_BYTES", 1000)
    reader = Reader("/api/chat", streamed=streamed)
    line = b'{"message": {"content": "x"}}\n'
    for _ in range(1000 // len(line)):
        assert reader.feed(line) == line
    with pytest.raises(TooLongError, match="the answer is larger than"):
        reader.feed(line)


@given(st.lists(st.binary(max_size=6).map(lambda piece: piece.replace(b"a", b"\n")), max_size=12))
def test_lines_are_those_of_the_whole_however_it_is_cut(pieces: list[bytes]) -> None:
    lines = Lines()
    ended = [line for piece in pieces for line in lines.feed(piece)]
    assert [*ended, lines.rest()] == b"".join(pieces).split(b"\n")
