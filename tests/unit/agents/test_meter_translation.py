"""OpenAI's words for agents, Ollama's for the server: requests and answers, as data."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_dev_tools.benchmark.agents.meter.answer_reader import AnswerReader
from ai_dev_tools.benchmark.agents.meter.request_rules import COMPLETIONS, DeclinedRequest
from ai_dev_tools.benchmark.agents.meter.translation import Translator, in_ollamas_words

TOOL = {"type": "function", "function": {"name": "shell", "parameters": {"type": "object"}}}


def lines(*items: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def events(data: bytes) -> list[dict[str, Any]]:
    found = [line.removeprefix(b"data: ") for line in data.splitlines() if line.startswith(b"data: ")]
    return [json.loads(line) for line in found if line != b"[DONE]"]


def test_a_request_keeps_what_it_asks_for() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    asked = in_ollamas_words(
        {
            "model": "m",
            "messages": [
                {"role": "developer", "content": [{"type": "text", "text": "be "}, {"type": "text", "text": "brief"}]},
                {"role": "assistant", "content": None, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "shell", "arguments": '{"command": "ls"}'}}
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": "a.py"},
            ],
            "tools": [TOOL], "stop": "END", "max_tokens": 9,
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
        }
    )  # fmt: skip
    assert asked["messages"] == [
        {"role": "system", "content": "be brief"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "shell", "arguments": {"command": "ls"}}}],
        },
        {"role": "tool", "content": "a.py", "tool_name": "shell"},
    ]
    assert (asked["tools"], asked["format"], asked["stream"]) == ([TOOL], schema, False)
    assert asked["options"] == {"num_predict": 9, "stop": ["END"]}


def test_a_picture_is_refused_in_one_line() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
    with pytest.raises(DeclinedRequest, match="passes on only text"):
        in_ollamas_words({"messages": [{"role": "user", "content": [picture]}]})


ANSWER = [
    {"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
    {"message": {"role": "assistant", "content": "Let me "}, "done": False},
    {"message": {"role": "assistant", "content": "look.", "tool_calls": [
        {"function": {"name": "shell", "arguments": {"command": "ls"}}}]}, "done": False},
    {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop",
     "prompt_eval_count": 30, "eval_count": 12},
]  # fmt: skip


def test_a_streamed_answer_becomes_events() -> None:
    reader = Translator({"model": "m", "stream": True, "stream_options": {"include_usage": True}})
    data = reader.feed(lines(*ANSWER)) + reader.end()
    *pieces, last, counts = events(data)
    assert "".join(piece["choices"][0]["delta"]["content"] for piece in pieces) == "Let me look."
    assert pieces[0]["choices"][0]["delta"]["reasoning"] == "hm"
    (call,) = pieces[2]["choices"][0]["delta"]["tool_calls"]
    assert call["function"] == {"name": "shell", "arguments": '{"command": "ls"}'} and call["id"]
    assert last["choices"][0]["finish_reason"] == "tool_calls"
    assert counts["usage"] == {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}
    assert data.endswith(b"data: [DONE]\n\n")


def test_an_answer_in_one_piece_becomes_one_object() -> None:
    whole = {
        "message": ANSWER[2]["message"],
        "done": True,
        "done_reason": "length",
        "prompt_eval_count": 3,
        "eval_count": 4,
    }
    reader = Translator({"model": "m"})
    assert reader.feed(json.dumps(whole).encode()) == b""
    said = json.loads(reader.end())
    assert said["choices"][0]["message"]["content"] == "look."
    assert said["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "shell"
    assert said["usage"]["total_tokens"] == 7 and said["model"] == "m"


def test_parts_of_the_tokens_are_told_where_they_are_counted() -> None:
    whole = ANSWER[-1] | {"prompt_eval_cached_count": 20, "reasoning_count": 5}
    reader = Translator({"model": "m"})
    reader.feed(json.dumps(whole).encode())
    usage = json.loads(reader.end())["usage"]
    assert usage["prompt_tokens_details"] == {"cached_tokens": 20}
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 5}


@settings(max_examples=50)
@given(cuts=st.lists(st.integers(0, 400), max_size=6), translated=st.booleans())
def test_where_the_network_cuts_an_answer_changes_nothing(cuts: list[int], translated: bool) -> None:
    data = lines(*ANSWER)
    if not translated:
        whole = Translator({"model": "m", "stream": True, "stream_options": {"include_usage": True}})
        data = whole.feed(data) + whole.end()

    def read(parts: list[bytes]) -> tuple[str, Any, Any]:
        reader = Translator({"model": "m", "stream": True}) if translated else AnswerReader(COMPLETIONS, streamed=True)
        passed = b"".join(map(reader.feed, parts)) + reader.end()
        names = [call.name for call in reader.heard.calls.values()]
        return reader.heard.text, (reader.heard.final.get("prompt_eval_count"), names), len(events(passed))

    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[start:end] for start, end in pairwise(places)]
    assert read(parts) == read([data])
    assert read(parts)[:2] == ("Let me look.", (30, ["shell"]))
