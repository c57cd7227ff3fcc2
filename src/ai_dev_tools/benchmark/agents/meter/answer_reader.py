"""Read an answer while it passes through the meter: text, calls, the server's closing figures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark.agents.meter.request_rules import COMPLETIONS
from ai_dev_tools.benchmark.endpoints.chat import MAX_RESPONSE_BYTES
from ai_dev_tools.benchmark.endpoints.openai_stream import Answer, chunk_of, table
from ai_dev_tools.benchmark.errors import BenchmarkError


@dataclass
class FunctionCall:
    """A function call of the model, built up from pieces."""

    name: str = ""
    arguments: str = ""


@dataclass
class AnswerSoFar:
    """An answer, as much of it as has arrived.

    Attributes:
        final: the closing figures in Ollama's words; empty if none came.
        begun: whether a piece of the answer came.
        error: what the server says went wrong.
    """

    pieces: list[str] = field(default_factory=list)
    calls: dict[int, FunctionCall] = field(default_factory=dict)
    final: Mapping[str, JsonValue] = field(default_factory=dict)
    served: str | None = None
    begun: bool = False
    error: str = ""

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Lines:
    """The lines of a stream whose pieces come one by one, in time linear to its length."""

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self._length = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that end in a piece, without their ends.

        Raises:
            TooLongError: one does not end.
        """
        *ended, rest = piece.split(b"\n")
        if ended:
            ended[0], self.begun, self._length = b"".join([*self.begun, ended[0]]), [], 0
        self.begun.append(rest)
        self._length += len(rest)
        if self._length > wire.MAX_LINE_BYTES:
            raise wire.TooLongError("a line of the answer does not end")
        return ended

    def rest(self) -> bytes:
        """What came since the last line ended."""
        rest, self.begun = b"".join(self.begun), []
        return rest


class AnswerReader:
    """Takes in an answer piece by piece and gives back what the agent gets of it.

    Args:
        path: where the agent asked, which says how the answer is written.
        streamed: whether it is a stream of lines; otherwise it is one object.
        hide_usage: keep back the line with the counts, which the agent has not asked for.
    """

    def __init__(self, path: str, *, streamed: bool, hide_usage: bool = False) -> None:
        self.heard = AnswerSoFar()
        self._openai, self._streamed, self._hide_usage = path == COMPLETIONS, streamed, hide_usage
        self._answer = Answer()
        self._lines, self._bytes = Lines(), 0

    def feed(self, piece: bytes) -> bytes:
        """What the agent gets of a piece.

        Raises:
            TooLongError: the answer, or a line of it, does not end.
        """
        self._bytes += len(piece)
        if self._bytes > MAX_RESPONSE_BYTES:
            raise wire.TooLongError(f"the answer is larger than {MAX_RESPONSE_BYTES // 1_000_000} MB")
        if not self._streamed:
            self._lines.begun.append(piece)
            return piece
        ended = self._lines.feed(piece)
        return b"".join(line + b"\n" for line in ended if self._take(line))

    def end(self) -> bytes:
        """What the agent gets of the rest."""
        rest = self._lines.rest()
        passed = self._take(rest) if rest.strip() else True
        if self._openai:
            self._close()
        return rest if self._streamed and passed else b""

    def _take(self, line: bytes) -> bool:
        """Take in a line; false if the agent does not get it."""
        data = line.strip()
        if self._openai and self._streamed:
            if not data.startswith(b"data:"):
                return True
            data = data[5:].strip()
        if not data.startswith(b"{"):
            return True
        try:
            item = wire.decoded(data)
        except ValueError:
            return True
        if not isinstance(item, dict):
            return True
        if error := item.get("error"):
            self.heard.error = str(error.get("message", error) if isinstance(error, dict) else error)
        return self._take_openai(item) if self._openai else self._take_ollama(item)

    def _take_ollama(self, item: JsonObject) -> bool:
        heard, message = self.heard, table(item, "message")
        text = message.get("content", item.get("response"))
        thinking = message.get("thinking", item.get("thinking"))
        if isinstance(text, str) and text:
            heard.pieces.append(text)
        heard.begun = heard.begun or bool(text) or bool(thinking) or bool(message.get("tool_calls"))
        for call in objects_in(message.get("tool_calls")):
            function = table(call, "function")
            written = function.get("arguments")
            heard.calls[len(heard.calls)] = FunctionCall(
                str(function.get("name") or ""), written if isinstance(written, str) else json.dumps(written)
            )
        if item.get("done") is True:
            heard.final = item
        return True

    def _take_openai(self, item: JsonObject) -> bool:
        heard = self.heard
        try:
            begun = self._answer.take(chunk_of(item))
        except BenchmarkError:  # what the server sends is for the agent to understand; here it is only counted
            begun = False
        choices = objects_in(item.get("choices"))
        part = (table(choices[0], "delta") or table(choices[0], "message")) if choices else {}
        for position, call in enumerate(objects_in(part.get("tool_calls"))):
            at = call.get("index")
            called = heard.calls.setdefault(at if isinstance(at, int) else position, FunctionCall())
            function = table(call, "function")
            called.name += str(function.get("name") or "")
            called.arguments += str(function.get("arguments") or "")
        heard.begun = heard.begun or begun or bool(heard.calls)
        return bool(choices) or not self._hide_usage or not item.get("usage")

    def _close(self) -> None:
        answer = self._answer
        self.heard.pieces = answer.pieces
        self.heard.served = answer.served or None
        if answer.reason is None:
            return
        cached = answer.timings.get("cache_n")
        own = {"prompt_eval_cached_count": cached} if isinstance(cached, int) else {}
        self.heard.final = own | answer.closing()


def objects_in(value: object) -> list[JsonObject]:
    """The objects of a list; none if it is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def shown_calls(calls: Mapping[int, FunctionCall]) -> tuple[str | None, str | None]:
    """Name and arguments of what a model called, as a turn records them; several calls in one line."""
    named = [call for _, call in sorted(calls.items()) if call.name]
    if not named:
        return None, None
    if len(named) == 1:
        return named[0].name, named[0].arguments
    return ", ".join(call.name for call in named), json.dumps([list(_pair(call)) for call in named])


def _pair(call: FunctionCall) -> Iterator[str]:
    yield call.name
    yield call.arguments
