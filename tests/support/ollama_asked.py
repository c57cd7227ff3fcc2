"""One request of the Ollama client, to a server whose bytes a test chooses."""

from __future__ import annotations

import pytest

from ai_dev_tools.benchmark.endpoints.ollama_client import OllamaClient, Reply
from ai_dev_tools.benchmark.errors import BenchmarkError
from fakes.scripted_socket import Script, serving

PAYLOAD = {"model": "fake:1b", "messages": [{"role": "user", "content": "Which colour?"}], "format": {"type": "object"}}


def ask(url: str, timeout_s: float = 30.0) -> Reply:
    reply = Reply()
    OllamaClient(url).chat(PAYLOAD, timeout_s, reply)
    return reply


def fails(script: Script, timeout_s: float = 30.0) -> tuple[BenchmarkError, Reply]:
    """The error and what had come of the reply."""
    reply = Reply()
    with serving(script) as server, pytest.raises(BenchmarkError) as caught:
        OllamaClient(server.url).chat(PAYLOAD, timeout_s, reply)
    assert "\n" not in str(caught.value)
    return caught.value, reply
