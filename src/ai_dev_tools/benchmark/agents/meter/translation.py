"""Translate requests of agents from OpenAI's API to Ollama's, and answers back.

Ollama's own `/v1` cannot be told how large the context is, and cuts prompts.

Requests and answers only change their words. What an agent asks for that `/api/chat` cannot do is refused in one line.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue, table_in
from ai_dev_tools.benchmark.agents.meter.answer_reader import AnswerReader, AnswerSoFar, FunctionCall, Lines, objects_in
from ai_dev_tools.benchmark.agents.meter.request_rules import CHAT, DeclinedRequest, cap_of, wants_usage
from ai_dev_tools.benchmark.endpoints.openai_stream import table

CREATED = 1_700_000_000
"""Creation time of an answer, for a field that clients expect."""
_COUNTS = ("prompt_eval_count", "eval_count")
_PARTS = (
    ("prompt_tokens_details", "cached_tokens", "prompt_eval_cached_count"),
    ("completion_tokens_details", "reasoning_tokens", "reasoning_count"),
)
"""Counts of a part of the tokens, in OpenAI's words and as closing figures; who has none of them does not send them."""


def in_ollamas_words(body: Mapping[str, JsonValue]) -> JsonObject:
    """A request to `/v1/chat/completions` as one to `/api/chat`.

    Raises:
        DeclinedRequest: it holds what Ollama's API has no words for.
    """
    options = {"num_predict": cap_of(body)}
    if (stop := body.get("stop")) is not None:
        options["stop"] = stop if isinstance(stop, list) else [stop]
    asked = {"model": body.get("model"), "stream": body.get("stream") is True, "options": options}
    if body.get("tools"):
        asked["tools"] = body["tools"]
    if (form := _format(body.get("response_format"))) is not None:
        asked["format"] = form
    messages = body.get("messages")
    return asked | {"messages": list(_messages(messages)) if isinstance(messages, list) else None}


def _format(wanted: JsonValue) -> JsonValue:
    form = table_in(wanted)
    kind = form.get("type")
    if kind == "json_schema":
        return table(table(form, "json_schema"), "schema") or "json"
    return "json" if kind == "json_object" else None


def _messages(messages: Sequence[JsonValue]) -> Iterator[JsonObject]:
    names: dict[str, str] = {}
    for message in messages:
        if not isinstance(message, dict):
            raise DeclinedRequest(400, "body", "the agent's request has a message that is not an object")
        role = message.get("role")
        told: JsonObject = {
            "role": "system" if role == "developer" else role,
            "content": _text(message.get("content")),
        }
        if calls := objects_in(message.get("tool_calls")):
            functions = [table(call, "function") for call in calls]
            names |= {str(c.get("id")): str(f.get("name")) for c, f in zip(calls, functions, strict=True)}
            told["tool_calls"] = [
                {"function": {"name": f.get("name"), "arguments": _arguments(f.get("arguments"))}} for f in functions
            ]
        if role == "tool":
            told["tool_name"] = names.get(str(message.get("tool_call_id")), str(message.get("name") or ""))
        yield told


def _text(content: object) -> str:
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    if any(isinstance(part, dict) and part.get("type") not in (None, "text") for part in content):
        raise DeclinedRequest(400, "body", "the agent sent an image or a file, but the meter passes on only text")
    return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))


def _arguments(written: JsonValue) -> JsonValue:
    if not isinstance(written, str):
        return written or {}
    try:
        return wire.decoded(written.encode())
    except ValueError:
        return {}


class Translator:
    """Reads an answer in Ollama's words and gives the agent OpenAI's."""

    def __init__(self, body: Mapping[str, JsonValue]) -> None:
        self._streamed = body.get("stream") is True
        self._usage = wants_usage(body)
        self._reader = AnswerReader(CHAT, streamed=self._streamed)
        self._about: JsonObject = {
            "id": f"chatcmpl-{secrets.token_hex(6)}",
            "created": CREATED,
            "model": body.get("model"),
        }
        self._said_calls = 0
        self._lines = Lines()

    @property
    def heard(self) -> AnswerSoFar:
        return self._reader.heard

    def feed(self, piece: bytes) -> bytes:
        """What the agent gets of a piece."""
        self._reader.feed(piece)
        if not self._streamed:
            return b""
        return b"".join(self._events(line) for line in self._lines.feed(piece))

    def end(self) -> bytes:
        """What the agent gets of the rest."""
        self._reader.end()
        if self._streamed:
            return self._events(self._lines.rest())
        heard = self.heard
        message: JsonObject = {"role": "assistant", "content": heard.text}
        if heard.calls:
            message["tool_calls"] = [_call(number, call) for number, call in sorted(heard.calls.items())]
        choice = {"index": 0, "message": message, "finish_reason": self._reason()}
        return msgspec.json.encode(
            self._about | {"object": "chat.completion", "choices": [choice], "usage": self._counts()}
        )

    def _events(self, line: bytes) -> bytes:
        item = _object(line)
        if item is None:
            return b""
        if "error" in item:
            return _event({"error": {"message": item["error"], "type": "server_error"}})
        message = table(item, "message")
        delta: JsonObject = {"role": "assistant", "content": message.get("content") or ""}
        if message.get("thinking"):
            delta["reasoning"] = message["thinking"]
        if count := len(objects_in(message.get("tool_calls"))):
            new = range(self._said_calls, self._said_calls + count)
            delta["tool_calls"] = [_call(number, self.heard.calls[number]) for number in new]
            self._said_calls += count
        if item.get("done") is not True:
            return self._chunk([{"index": 0, "delta": delta, "finish_reason": None}])
        last = self._chunk([{"index": 0, "delta": delta, "finish_reason": self._reason()}])
        counts = self._chunk([], usage=self._counts()) if self._usage else b""
        return last + counts + b"data: [DONE]\n\n"

    def _chunk(self, choices: list[JsonObject], **more: JsonValue) -> bytes:
        chunk: JsonObject = {"object": "chat.completion.chunk", "choices": choices}
        return _event(self._about | chunk | more)

    def _reason(self) -> str:
        if self.heard.calls:
            return "tool_calls"
        return "length" if self.heard.final.get("done_reason") == "length" else "stop"

    def _counts(self) -> JsonObject:
        final = self.heard.final
        read, written = (count if isinstance(count := final.get(name), int) else 0 for name in _COUNTS)
        counts: JsonObject = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        parts = {field: {name: final[count]} for field, name, count in _PARTS if isinstance(final.get(count), int)}
        return {**counts, **parts}


def _call(number: int, call: FunctionCall) -> JsonObject:
    function = {"name": call.name, "arguments": call.arguments}
    return {"index": number, "id": f"call_{number}_{secrets.token_hex(4)}", "type": "function", "function": function}


def _object(line: bytes) -> JsonObject | None:
    try:
        item = wire.decoded(line) if line.strip() else None
    except ValueError:
        return None
    return item if isinstance(item, dict) else None


def _event(item: Mapping[str, JsonValue]) -> bytes:
    return b"data: " + json.dumps(item).encode() + b"\n\n"
