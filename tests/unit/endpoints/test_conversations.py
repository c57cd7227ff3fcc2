"""Conversations and functions in both dialects: what is sent, and which calls are read from a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ai_dev_tools.benchmark.endpoints.chat import Chat, ChatClient, Message, Reply, ToolCall
from ai_dev_tools.benchmark.endpoints.ollama_client import OllamaClient
from ai_dev_tools.benchmark.endpoints.openai_client import OpenAIClient
from ai_dev_tools.benchmark.errors import ModelError
from fakes.openai_api import DONE, sse
from fakes.scripted_socket import FINAL, Script, line, serving, streams

READ = {"type": "function", "function": {"name": "read", "description": "", "parameters": {"type": "object"}}}
CALL = ToolCall("read", {"path": "a.py"}, "c1")
TALK = (
    Message("user", "Which colour?"),
    Message("assistant", "", (CALL,)),
    Message("tool", "red", answers=CALL),
)
CHAT = Chat("fake:1b", "", None, {"seed": 7}, messages=TALK, tools=(READ,))


def answered(client: type[ChatClient], script: Script, chat: Chat = CHAT) -> Reply:
    reply = Reply()
    with serving(script) as server:
        client(server.url).ask(chat, 30, reply)
    return reply


def test_a_conversation_in_ollamas_words() -> None:
    body = OllamaClient("http://x").body(CHAT)
    assert body["messages"] == [
        {"role": "user", "content": "Which colour?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "read", "arguments": {"path": "a.py"}}}],
        },
        {"role": "tool", "content": "red", "tool_name": "read"},
    ]
    assert body["tools"] == (READ,) and "format" not in body


def test_a_conversation_in_openais_words() -> None:
    body = OpenAIClient("http://x").body(CHAT)
    call = {"id": "c1", "type": "function", "function": {"name": "read", "arguments": '{"path": "a.py"}'}}
    assert body["messages"] == [
        {"role": "user", "content": "Which colour?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "red", "tool_call_id": "c1"},
    ]
    assert body["tools"] == (READ,) and "response_format" not in body


@pytest.mark.parametrize("client", [OllamaClient, OpenAIClient])
def test_a_single_prompt_is_the_conversation_of_one_message(client: type[ChatClient]) -> None:
    alone = Chat("fake:1b", "Which colour?", {}, {"seed": 7})
    assert json.dumps(client("http://x").body(alone)["messages"]) == '[{"role": "user", "content": "Which colour?"}]'
    assert "tools" not in client("http://x").body(alone)


def test_calls_are_read_from_ollamas_stream() -> None:
    called = {"message": {"content": "", "tool_calls": [{"function": {"name": "read", "arguments": {"path": "a.py"}}}]}}
    reply = answered(OllamaClient, streams(line(called), line(FINAL)))
    assert reply.calls == [ToolCall("read", {"path": "a.py"})] and reply.time_to_first_token_s is not None


def _delta(*calls: dict[str, Any], reason: str | None = None) -> bytes:
    return sse({"choices": [{"delta": {"tool_calls": list(calls)}, "finish_reason": reason}]})


def test_calls_are_put_together_from_the_pieces_of_openais_stream() -> None:
    pieces = (
        _delta({"index": 0, "id": "c1", "function": {"name": "read", "arguments": ""}}),
        _delta({"index": 0, "function": {"arguments": '{"path": '}}),
        _delta({"index": 1, "id": "c2", "function": {"name": "list", "arguments": "{}"}}),
        _delta({"index": 0, "function": {"arguments": '"a.py"}'}}),
        _delta(reason="tool_calls"),
    )
    reply = answered(OpenAIClient, streams(*pieces, DONE))
    assert reply.calls == [ToolCall("read", {"path": "a.py"}, "c1"), ToolCall("list", {}, "c2")]
    assert reply.final["done_reason"] == "stop"


def test_arguments_that_are_not_json_stay_text() -> None:
    piece = _delta(
        {"index": 0, "id": "c1", "function": {"name": "read", "arguments": '{"path": '}}, reason="tool_calls"
    )
    assert answered(OpenAIClient, streams(piece, DONE)).calls == [ToolCall("read", '{"path": ', "c1")]


def test_a_call_that_was_not_offered_is_no_answer() -> None:
    piece = _delta({"index": 0, "id": "c1", "function": {"name": "read", "arguments": "{}"}}, reason="tool_calls")
    with pytest.raises(ModelError, match="though none was offered"):
        answered(OpenAIClient, streams(piece, DONE), Chat("fake:1b", "Which colour?", {}, {"seed": 7}))
