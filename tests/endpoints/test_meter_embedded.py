"""The meter in front of the real embedded server: its counts are the server's own, and an agent's leaving is passed on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from ai_dev_tools.benchmark.agents.meter.episode_account import EpisodeAccount
from ai_dev_tools.benchmark.agents.meter.request_rules import RequestRules
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from ai_dev_tools.benchmark.agents.third_party import upstream_of
from ai_dev_tools.benchmark.endpoints import ReadyEndpoint
from ai_dev_tools.benchmark.endpoints.dialects import dialect
from ai_dev_tools.benchmark.records.episode import EpisodeLimits

OPTIONS = {"temperature": 0.0, "num_ctx": 2048, "num_predict": 12, "seed": 7}


@pytest.fixture
def episode(embedded_endpoint: ReadyEndpoint) -> Iterator[tuple[str, EpisodeAccount]]:
    endpoint = embedded_endpoint
    client = dialect(endpoint.api)(endpoint.base_url, 1, endpoint.headers)
    rules = RequestRules(endpoint.model, OPTIONS, "Request 00000042", EpisodeLimits())
    with MeterServer() as meter, meter.episode(rules, upstream_of(endpoint, client)) as (key, account):
        yield f"{meter.url}/e/{key}", account


def objects(url: str, body: dict[str, Any]) -> list[Any]:
    reply = urllib3.request("POST", url, json=body, timeout=60)
    assert reply.status == 200, reply.data
    lines = [line.removeprefix(b"data: ") for line in reply.data.splitlines()]
    return [json.loads(line) for line in lines if line.startswith(b"{")]


def body(model: str, *texts: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]
    return {"model": model, "messages": messages, **more}


@pytest.mark.parametrize("stream", [True, False])
def test_tokens_are_exactly_those_of_the_servers_closing_figures(
    embedded_endpoint: ReadyEndpoint, episode: tuple[str, EpisodeAccount], stream: bool
) -> None:
    url, account = episode
    asked = body(embedded_endpoint.model, "Say hello.", stream=stream)
    *_, said = objects(f"{url}/api/chat", asked)
    first = account.turns[0]
    assert (first.input_tokens, first.output_tokens) == (said["prompt_eval_count"], said["eval_count"])
    *_, told = objects(f"{url}/v1/chat/completions", asked | {"stream_options": {"include_usage": True}})
    second, usage = account.turns[1], told["usage"]
    assert (second.input_tokens, second.output_tokens) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert first.text == second.text, "the same model, options and prompt in both APIs"
    assert first.input_tokens == second.input_tokens
    sent = body(embedded_endpoint.model, "Request 00000042\n\nSay hello.", stream=False, options=OPTIONS)
    (past,) = objects(f"{embedded_endpoint.base_url}/api/chat", sent)
    assert (past["prompt_eval_count"], past["message"]["content"]) == (first.input_tokens, first.text)


def test_an_agent_that_goes_away_frees_the_server(
    embedded_endpoint: ReadyEndpoint, episode: tuple[str, EpisodeAccount]
) -> None:
    url, account = episode
    account.rules.options["num_predict"] = 1500  # type: ignore[index]
    address, _, path = url.removeprefix("http://").partition("/")
    host, _, port = address.partition(":")
    asked = json.dumps(body(embedded_endpoint.model, "Count from one to one thousand, in words.")).encode()
    with socket.create_connection((host, int(port))) as agent:
        head = f"POST /{path}/api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(asked)}\r\n\r\n"
        agent.sendall(head.encode() + asked)
        assert b"200" in agent.recv(100)
    ends = time.monotonic() + 60
    while not account.turns and time.monotonic() < ends:
        time.sleep(0.02)
    (turn,) = account.turns
    assert turn.error is not None and turn.error.class_ == "interrupted" and turn.output_tokens is None
    account.rules.options["num_predict"] = 4  # type: ignore[index]
    objects(f"{url}/api/chat", body(embedded_endpoint.model, "Say hello."))
    assert account.turns[-1].error is None, "the server answers the next one"
