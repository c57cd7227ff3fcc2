"""What tests of the meter ask it, as an agent would, and servers behind it that misbehave."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import urllib3

from ai_dev_tools.benchmark.agents.meter.episode_account import EpisodeAccount, Upstream
from ai_dev_tools.benchmark.agents.meter.request_rules import RequestRules
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from ai_dev_tools.benchmark.records.episode import EpisodeLimits
from fakes.ollama import FakeOllama
from fakes.openai_api import FakeOpenAI

MODEL = "fake:1b"
OPTIONS = {"temperature": 0.5, "num_ctx": 4096, "num_predict": 64, "seed": 7}
POOL = urllib3.PoolManager(maxsize=32, retries=False)


def rules(**limits: Any) -> RequestRules:
    return RequestRules(MODEL, OPTIONS, "Request 00000042", EpisodeLimits(**limits))


@contextmanager
def episode(meter: MeterServer, fake: FakeOllama | FakeOpenAI, **limits: Any) -> Iterator[tuple[str, EpisodeAccount]]:
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
