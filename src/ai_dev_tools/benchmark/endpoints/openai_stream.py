"""The stream of an answer in OpenAI's API: events, comments, ends of several kinds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import msgspec

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark.endpoints.chat import object_of, quoted_start
from ai_dev_tools.benchmark.endpoints.openai_errors import is_error
from ai_dev_tools.benchmark.errors import BenchmarkError, MalformedResponseError, ModelError, RunnerError

_ENDED_WELL = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length"), "length"),
}
_NO_ANSWER = {
    "content_filter": "the server's content filter ended the answer",
    "safety": "the server's content filter ended the answer",
    "tool_calls": "the model called a tool instead of answering, though none was offered",
    "function_call": "the model called a function instead of answering, though none was offered",
}
_CALLED = ("tool_calls", "function_call")
_USUAL = b"data: {"
"""How nearly all lines begin, which are read without looking for anything else."""
MOST_LINES = 100
"""Lines of data that one object may be spread over."""
_BROKEN = ("error", "abort", "aborted", "cancelled", "insufficient_system_resource", "network_error")


class Part(msgspec.Struct, gc=False):
    """What a choice adds to the answer."""

    content: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class Choice(msgspec.Struct, gc=False):
    """One of the answers that are generated at once; only one is asked for."""

    delta: Part | None = None
    message: Part | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, gc=False):
    """An object of a stream: those of its fields that are read.

    Attributes:
        error: the whole object, if it says what went wrong.
    """

    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    error: Any = None
    object: str | None = None


_usual_chunk = msgspec.json.Decoder(Chunk).decode


def chunk_of(item: Mapping[str, JsonValue]) -> Chunk:
    """The fields of a chunk in an object whose fields may have any type."""
    choices = item.get("choices")
    found = [_choice(choice) for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    return Chunk(
        choices=found or None,
        usage=table(item, "usage") or None,
        timings=table(item, "timings") or None,
        model=_string(item.get("model")) or None,
        system_fingerprint=_string(item.get("system_fingerprint")) or None,
        error=item if is_error(item) else None,
    )


def _choice(choice: Mapping[str, JsonValue]) -> Choice:
    reason = _string(choice.get("finish_reason"))
    return Choice(delta=_part(choice.get("delta")), message=_part(choice.get("message")), finish_reason=reason)


def _part(part: object) -> Part | None:
    if not isinstance(part, dict):
        return None
    calls = part.get("tool_calls")
    called = [piece for piece in calls if isinstance(piece, dict)] if isinstance(calls, list) else None
    return Part(_text(part.get("content")), _string(part.get("refusal")), called)


def chunks(lines: Iterator[bytes], secrets: wire.Secrets) -> Iterator[Chunk]:
    """The objects of a stream of events, from its lines.

    Some servers do not stream: then the answer is the only object.
    """
    first = next(lines, b"").removeprefix(b"\xef\xbb\xbf")
    if first.lstrip().startswith(b"{"):
        yield chunk_of(object_of(b"\n".join([first, *lines]), secrets))
        return
    events, between = _Events(secrets), True
    for line in chain([first], lines):
        if between and line.startswith(_USUAL):
            try:
                chunk = _usual_chunk(line[len(_USUAL) - 1 :])
            except (ValueError, RecursionError):
                pass
            else:
                if not chunk.error and chunk.object != "error":
                    yield chunk
                    continue
        item, between = events.take(line), events.between
        if item is not None:
            yield chunk_of(item)
    events.end()


class _Events:
    """Events that are put together from their lines.

    Comments (`: keep-alive`), names and numbers of events are passed over.
    """

    def __init__(self, secrets: wire.Secrets) -> None:
        self._secrets = secrets
        self._event, self._begun = b"", list[bytes]()

    @property
    def between(self) -> bool:
        """Whether nothing of an event came yet."""
        return not self._event and not self._begun

    def take(self, line: bytes) -> JsonObject | None:
        """Take in a line; the object that ends with it, if one does."""
        name, _, value = line.partition(b":")
        value = value.strip()
        if self._begun and name != b"data" and name.strip():
            raise self._broken()
        if name == b"event":
            self._event = value
        elif name in (b"data", b"error") and (self._begun or value not in (b"", b"[DONE]")):
            # llama.cpp once named the field of an error so
            return self._data(value, error=b"error" in (name, self._event))
        elif name.strip() not in (b"", b"data", b"id", b"retry"):
            raise MalformedResponseError(f"a line of the answer is not an event: {quoted_start(line, self._secrets)}")
        return None

    def _data(self, value: bytes, *, error: bool) -> JsonObject | None:
        self._begun.append(value)
        item = self._complete(b"\n".join(self._begun))
        if item is None:
            if len(self._begun) > MOST_LINES or value == b"[DONE]":
                raise self._broken()
            return None
        self._event, self._begun = b"", []
        return {"error": item} if error and not item.get("error") else item

    def _complete(self, text: bytes) -> JsonObject | None:
        """The object that a text is; None if it may be the beginning of one, which further lines of data complete."""
        try:
            return object_of(text, self._secrets)
        except MalformedResponseError:
            if text.lstrip().startswith(b"{"):
                return None
            raise

    def end(self) -> None:
        """Raise MalformedResponseError if an event is not complete."""
        if self._begun:
            raise self._broken()

    def _broken(self) -> MalformedResponseError:
        return MalformedResponseError(
            f"a line of the answer is not JSON: {quoted_start(self._begun[0], self._secrets)}"
        )


@dataclass
class _Call:
    """A call of a function as it comes together."""

    name: str = ""
    identity: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass
class Answer:
    """An answer as it comes together."""

    pieces: list[str] = field(default_factory=list)
    reason: str | None = None
    usage: JsonObject = field(default_factory=dict)
    timings: JsonObject = field(default_factory=dict)
    served: str = ""
    refused: bool = False
    offered: bool = False
    """Whether functions were offered, so that a call is an answer."""
    calls: dict[int, _Call] = field(default_factory=dict)
    named: bool = False
    """Whether a fingerprint came too, so that nothing more is to be said of who answers."""

    def take(self, chunk: Chunk) -> bool:
        """Take in one object; true where it holds a piece of the answer."""
        if not self.named:
            self._take_name(chunk)
        if chunk.usage:
            self.usage = chunk.usage
        if chunk.timings:
            self.timings = chunk.timings
        if not chunk.choices:
            return False
        choice = chunk.choices[0]
        if choice.finish_reason:
            self.reason = choice.finish_reason
        part = choice.delta or choice.message
        if part is None:
            return False
        text = part.content
        if part.refusal and not text:
            self.refused, text = True, part.refusal
        called = self.offered and bool(part.tool_calls) and self._take_calls(part.tool_calls or [])
        if text:
            self.pieces.append(text)
        return bool(text) or called

    def _take_calls(self, pieces: list[JsonObject]) -> bool:
        """Take in pieces of calls; true if there are any.

        A server that does not number them sends them whole, in their order.
        """
        for piece in pieces:
            number = piece.get("index")
            call = self.calls.setdefault(number if isinstance(number, int) else len(self.calls), _Call())
            function = table(piece, "function")
            call.name = call.name or _string(function.get("name"))
            call.identity = call.identity or _string(piece.get("id"))
            arguments = function.get("arguments")
            call.arguments.append(
                arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""
            )
        return True

    def called(self) -> list[tuple[str, str, str]]:
        """Name, id and arguments as text of each function that was called."""
        return [
            (call.name, call.identity or f"call_{number}", "".join(call.arguments) or "{}")
            for number, call in sorted(self.calls.items())
            if call.name
        ]

    def _take_name(self, chunk: Chunk) -> None:
        if chunk.model:
            self.named = bool(chunk.system_fingerprint)
            self.served = f"{chunk.model}@{chunk.system_fingerprint}" if self.named else chunk.model

    @property
    def problem(self) -> BenchmarkError | None:
        """Why a stream that was complete holds no answer all the same."""
        word = (self.reason or "").lower()
        if word in _CALLED and self.offered:
            return None
        if word in _NO_ANSWER:
            return ModelError(f"{_NO_ANSWER[word]} (finish_reason {word})")
        if word in _BROKEN:
            return RunnerError(f"the server says that it broke off (finish_reason {word})")
        return None

    @property
    def tokens(self) -> int:
        """Tokens that the request took, read and written; 0 where the server does not count."""
        counts = [self.usage.get("prompt_tokens"), self.usage.get("completion_tokens")]
        return sum(count for count in counts if isinstance(count, int) and 0 <= count < 2**40)

    def closing(self) -> JsonObject:
        """What the server says of the request, in Ollama's words; what it does not say is absent, or null."""
        word = (self.reason or "").lower()
        reason = _ENDED_WELL.get(word, self.reason)
        if word in _CALLED and self.offered:
            reason = "stop"
        usage, timings = self.usage, self.timings
        cached = table(usage, "prompt_tokens_details").get("cached_tokens", usage.get("prompt_cache_hit_tokens"))
        counts = {
            "prompt_eval_count": usage.get("prompt_tokens"),
            "eval_count": usage.get("completion_tokens"),
            "prompt_eval_cached_count": cached,
            "reasoning_count": table(usage, "completion_tokens_details").get("reasoning_tokens"),
        }
        if timings:
            counts["prompt_eval_duration"] = _nanoseconds(timings.get("prompt_ms"))
            counts["eval_duration"] = _nanoseconds(timings.get("predicted_ms"))
        told = {name: value for name, value in counts.items() if isinstance(value, int)}  # of nothing else comes a text
        return {"done": True, "done_reason": reason, "load_duration": None, **told}


def table(item: Mapping[str, JsonValue], name: str) -> JsonObject:
    """The object in a field; empty if there is none."""
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _text(content: object) -> str:
    """A piece of text; some servers send a list of parts, of which only those of the answer count."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    if content is not None and not isinstance(content, str):
        raise MalformedResponseError("a part of the answer has no text where OpenAI's API puts it")
    return content or ""


def _nanoseconds(milliseconds: object) -> int | None:
    """llama.cpp tells its own times; others do not."""
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool):
        return None
    return round(milliseconds * 1e6) if 0 <= milliseconds < 1e12 else None
