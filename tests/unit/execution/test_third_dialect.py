"""A further API is one class: here of a labelled fake server that answers each question with one line of text."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import urllib3

from ai_dev_tools.benchmark.endpoints.base import EndpointSpec, ReadyEndpoint
from ai_dev_tools.benchmark.endpoints.chat import Chat, ChatClient, Reply
from ai_dev_tools.benchmark.endpoints.dialects import DIALECTS
from ai_dev_tools.benchmark.errors import BenchmarkError, OverloadedError
from ai_dev_tools.benchmark.execution import run_block
from fakes.scripted_socket import serving, whole
from support.making import block, prompts


class PlainClient(ChatClient):
    api = "plain"
    path = "/ask"

    @classmethod
    def answers_at(cls, url: str, headers: Mapping[str, str]) -> bool:
        return False

    @classmethod
    def listed(cls, model: str, url: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
        return {}

    @classmethod
    def reach(cls, spec: EndpointSpec, url: str, headers: Mapping[str, str]) -> ReadyEndpoint:
        return ReadyEndpoint(url, "external", "1", spec.model, "weights", api=cls.api, told_by=cls.api)

    @classmethod
    def loaded(cls, url: str, model: str, headers: Mapping[str, str]) -> dict[str, Any]:
        return {}

    def body(self, chat: Chat) -> dict[str, Any]:
        return {"question": chat.content}

    def _read(self, response: urllib3.BaseHTTPResponse, lines: Iterator[bytes], reply: Reply, started: float) -> None:
        reply.text = response.read().decode()
        reply.final = {"done": True, "done_reason": "stop", "eval_count": 3, "prompt_eval_count": 7}

    def _refusal(self, response: urllib3.BaseHTTPResponse, body: bytes) -> BenchmarkError:
        return OverloadedError("busy")


def test_a_third_dialect_is_one_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DIALECTS, "plain", PlainClient)
    with serving(whole(200, b'{"colour": "red"}')) as server:
        spec = EndpointSpec(kind=server.url, instance="small", model="fake:1b", api="plain", startup_timeout_s=5)
        asked = block(results=str(tmp_path), endpoint=spec)
        samples = run_block(asked, prompts(asked), lambda _: None, threading.Event())
    assert {(one.status, one.score, one.input_tokens, one.request.api) for one in samples} == {
        ("completed", 1.0, 7, "plain")
    }
