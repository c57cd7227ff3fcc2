"""The stream of an answer in OpenAI's API: events, comments, ends of several kinds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark.endpoints.chat import object_of, shown
from ai_dev_tools.benchmark.errors import BenchmarkError, MalformedResponseError, ModelError, RunnerError

_ENDED_WELL = {
    "stop": ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete"),
    "length": ("length", "max_tokens", "model_length"),
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


def items(lines: Iterator[bytes], secrets: wire.Secrets) -> Iterator[dict[str, Any]]:
    """The objects of a stream of events, from its lines.

    Some servers do not stream: then the answer is the only object.

    Comments (`: keep-alive`), names and numbers of events are passed over.
    """
    first = next(lines, b"")
    if first.lstrip().startswith(b"{"):
        yield object_of(b"\n".join([first, *lines]), secrets)
        return
    event, begun = b"", list[bytes]()
    for line in chain([first], lines):
        if not event and not begun and line.startswith(_USUAL):
            item = _complete(line[len(_USUAL) - 1 :], secrets)
            if item is None:
                begun = [line[len(_USUAL) - 1 :]]
            else:
                yield item
            continue
        name, _, value = line.partition(b":")
        value = value.strip()
        if begun and name != b"data" and name.strip():
            raise _broken(begun, secrets)
        if name == b"event":
            event = value
        elif name in (b"data", b"error") and (begun or value not in (b"", b"[DONE]")):
            # llama.cpp once named the field of an error so
            begun.append(value)
            item = _complete(b"\n".join(begun), secrets)
            if item is None:
                if len(begun) > MOST_LINES or value == b"[DONE]":
                    raise _broken(begun, secrets)
                continue
            begun = []
            yield {"error": item} if b"error" in (name, event) and not item.get("error") else item
            event = b""
        elif name.strip() not in (b"", b"data", b"id", b"retry"):
            raise MalformedResponseError(f"a line of the answer is not an event: {shown(line, secrets)}")
    if begun:
        raise _broken(begun, secrets)


def _complete(text: bytes, secrets: wire.Secrets) -> dict[str, Any] | None:
    """The object that a text is; None if it may only be the beginning of one, which further lines of data complete."""
    try:
        return object_of(text, secrets)
    except MalformedResponseError:
        if text.lstrip().startswith(b"{"):
            return None
        raise


def _broken(begun: list[bytes], secrets: wire.Secrets) -> MalformedResponseError:
    return MalformedResponseError(f"a line of the answer is not JSON: {shown(begun[0], secrets)}")


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
    usage: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, Any] = field(default_factory=dict)
    served: str = ""
    refused: bool = False
    offered: bool = False
    """Whether functions were offered, so that a call is an answer."""
    calls: dict[int, _Call] = field(default_factory=dict)
    named: bool = False
    """Whether a fingerprint came too, so that nothing more is to be said of who answers."""

    def take(self, item: dict[str, Any]) -> bool:
        """Take in one object; true where it holds a piece of the answer."""
        if not self.named:
            self._take_name(item)
        if "usage" in item or "timings" in item:
            self.usage = table(item, "usage") or self.usage
            self.timings = table(item, "timings") or self.timings
        choices = item.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return False
        choice = choices[0]
        reason = choice.get("finish_reason")
        self.reason = reason if isinstance(reason, str) and reason else self.reason
        part = table(choice, "delta") or table(choice, "message")
        refusal = part.get("refusal")
        text = _text(part.get("content"))
        if isinstance(refusal, str) and refusal and not text:
            self.refused, text = True, refusal
        called = self.offered and self._take_calls(part.get("tool_calls"))
        if text:
            self.pieces.append(text)
        return bool(text) or called

    def _take_calls(self, pieces: Any) -> bool:
        """Take in pieces of calls; true if there are any.

        A server that does not number them sends them whole, in their order.
        """
        found = [piece for piece in pieces if isinstance(piece, dict)] if isinstance(pieces, list) else []
        for piece in found:
            number = piece.get("index")
            call = self.calls.setdefault(number if isinstance(number, int) else len(self.calls), _Call())
            function = table(piece, "function")
            call.name = call.name or _word(function.get("name"))
            call.identity = call.identity or _word(piece.get("id"))
            arguments = function.get("arguments")
            call.arguments.append(
                arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""
            )
        return bool(found)

    def called(self) -> list[tuple[str, str, str]]:
        """Name, id and arguments as text of each function that was called."""
        return [
            (call.name, call.identity or f"call_{number}", "".join(call.arguments) or "{}")
            for number, call in sorted(self.calls.items())
            if call.name
        ]

    def _take_name(self, item: dict[str, Any]) -> None:
        model, fingerprint = item.get("model"), item.get("system_fingerprint")
        if isinstance(model, str) and model:
            self.named = isinstance(fingerprint, str) and bool(fingerprint)
            self.served = f"{model}@{fingerprint}" if self.named else model

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

    def closing(self) -> dict[str, Any]:
        """What the server says of the request, in Ollama's words; what it does not say is absent, or null."""
        word = (self.reason or "").lower()
        reason = next((name for name, words in _ENDED_WELL.items() if word in words), self.reason)
        if word in _CALLED and self.offered:
            reason = "stop"
        cached = table(self.usage, "prompt_tokens_details").get(
            "cached_tokens", self.usage.get("prompt_cache_hit_tokens")
        )
        counts = {
            "prompt_eval_count": self.usage.get("prompt_tokens"),
            "eval_count": self.usage.get("completion_tokens"),
            "prompt_eval_cached_count": cached,
            "reasoning_count": table(self.usage, "completion_tokens_details").get("reasoning_tokens"),
            "prompt_eval_duration": _nanoseconds(self.timings.get("prompt_ms")),
            "eval_duration": _nanoseconds(self.timings.get("predicted_ms")),
        }
        told = {name: value for name, value in counts.items() if value is not None}
        return {"done": True, "done_reason": reason, "load_duration": None, **told}


def table(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object in a field; empty if there is none."""
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _text(content: Any) -> str:
    """A piece of text; some servers send a list of parts, of which only those of the answer count."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    if content is not None and not isinstance(content, str):
        raise MalformedResponseError("a part of the answer has no text where OpenAI's API puts it")
    return content or ""


def _nanoseconds(milliseconds: Any) -> int | None:
    """llama.cpp tells its own times; others do not."""
    number = isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool)
    return round(milliseconds * 1e6) if number and 0 <= milliseconds < 1e12 else None
