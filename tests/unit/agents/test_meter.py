"""The meter between agents and the model: what it obeys and ends, and how it keeps episodes apart. Servers are labelled fakes."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import urllib3
from aiohttp import web

from ai_dev_tools.benchmark.agents.meter.episode_account import EpisodeAccount, Upstream
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from ai_dev_tools.benchmark.endpoints.pacing import Pace
from ai_dev_tools.benchmark.errors import ConfigurationError
from fakes.ollama import FakeOllama
from fakes.openai_api import FakeOpenAI
from support.metered_episodes import answering, chat, episode, post, rules, until


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
        accounts: dict[int, EpisodeAccount] = {}
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
