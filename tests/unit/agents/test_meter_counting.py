"""What the meter counts of the answers that pass through it, and records of a conversation. Servers are labelled fakes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark._util.wire import TooLongError
from ai_dev_tools.benchmark.agents.meter.answer_reader import AnswerReader, Lines
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from fakes.ollama import FakeOllama
from fakes.openai_api import FakeOpenAI
from support.metered_episodes import MODEL, chat, episode, post


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
        reader = AnswerReader("/v1/chat/completions", streamed=False)
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


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_that_does_not_end_is_given_up(streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_dev_tools.benchmark.agents.meter.answer_reader.MAX_RESPONSE_BYTES", 1000)
    reader = AnswerReader("/api/chat", streamed=streamed)
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
