"""What the meter forces on the requests of agents, whatever they ask for. Servers are labelled fakes."""

from __future__ import annotations

import json

import pytest

from ai_dev_tools.benchmark.agents.meter.episode_account import Upstream
from ai_dev_tools.benchmark.agents.meter.request_rules import with_opening
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from fakes.ollama import FakeOllama
from fakes.openai_api import FakeOpenAI
from support.metered_episodes import MODEL, OPTIONS, chat, episode, post, rules


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
        (first,) = with_opening([{"role": "system", "content": parts}], "Request 00000042")
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
