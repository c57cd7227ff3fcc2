"""What the meter answers on its own: the model that there is, and why something is refused. Servers are labelled fakes."""

from __future__ import annotations

import gzip
import json
import socket
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_dev_tools.benchmark.agents.meter.episode_account import Upstream
from ai_dev_tools.benchmark.agents.meter.request_bodies import MAX_BODY_BYTES
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from fakes.ollama import FakeOllama
from support.metered_episodes import MODEL, POOL, answering, chat, episode, post, rules


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
