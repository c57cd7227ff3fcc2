"""Find the answer in what a model said. Light imports only: block jobs use this module.

Models wrap the JSON they were asked for: in a code fence, after their thoughts, between sentences, before end-of-turn
tokens. That costs them nothing here, but nothing is repaired or guessed: the rule below either finds a complete JSON
value exactly as the model wrote it, or no answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import msgspec

from ai_dev_tools.benchmark._util.json_values import JsonValue

MAX_DEPTH = 100
"""Levels of nesting in an answer; a deeper one is unparseable."""

_TURN_END = re.compile(r"<\|[A-Za-z0-9_]{1,40}\|>|<｜[^｜<>]{1,40}｜>|</s>|<(?:eos|end_of_turn)>")
_MOST_TURN_ENDS = 8
_FENCE = re.compile(r"```(?:jsonc|json5|json)?(.*?)```", re.DOTALL | re.IGNORECASE)
_THOUGHTS = "think|thinking|thought|thoughts|reasoning"
_MARKS = re.compile(
    rf"(?P<open><(?:{_THOUGHTS})>|\[THINK\]|◁think▷|<\|channel\|>(?:analysis|commentary)\b)"
    rf"|(?P<close></(?:{_THOUGHTS})>|\[/THINK\]|◁/think▷|<\|channel\|>final\b)"
    r"|(?P<value>\{(?=\s{0,99}[\"}])|\[)",
    re.IGNORECASE,
)
_DECODER = json.JSONDecoder()
_LEAST, _DEEP = 256, 5000
"""The minimum number of characters charged for an attempt to read a value, and for one that was nested too deeply."""


def parse_answer(response: str | None, schema: Mapping[str, JsonValue] | None = None) -> JsonValue:
    """The JSON value a model answered; None if there is none.

    1. The whole text, if it is JSON apart from a byte order mark and end-of-turn tokens.
    2. Otherwise, the last complete JSON object outside the model's thoughts with all fields that the schema requires.
    3. Otherwise, the last code fence outside the thoughts that contains JSON. (Without a schema, this comes first.)

    Strict, so that every answer can be stored: no NaN, no half of a surrogate pair, no nesting beyond `MAX_DEPTH`.
    """
    if not response:
        return None
    text = _without_turn_ends(response.lstrip("\ufeff \t\r\n"))
    whole = _decoded(text)
    if whole is not None:
        return whole if _within(whole, MAX_DEPTH) else None
    if schema is None:
        found = _last_fenced(text)
        return found if found is not None else _last_value(text, None)
    found = _last_value(text, schema)
    return found if found is not None else _last_fenced(text)


def _last_value(text: str, schema: Mapping[str, JsonValue] | None) -> JsonValue:
    return next((value for value in reversed(list(_values(text))) if _fits(value, schema)), None)


def _last_fenced(text: str) -> JsonValue:
    fences = (_decoded(match[1]) for match in _FENCE.finditer(_without_thoughts(text)))
    return next((value for value in reversed(list(fences)) if value is not None and _within(value, MAX_DEPTH)), None)


def _fits(value: object, schema: Mapping[str, JsonValue] | None) -> bool:
    """Whether a value may be the answer.

    It has the fields that the schema requires or, if it requires none, any of its fields.
    """
    if schema is None:
        return True
    required = schema.get("required")
    fields = schema.get("properties")
    if not isinstance(value, dict):
        return False
    if isinstance(required, list) and required:
        return all(field in value for field in required)
    return not isinstance(fields, dict) or not fields or any(field in value for field in fields)


def _values(text: str) -> Iterator[JsonValue]:
    """Complete outermost objects and arrays in a text, outside of thoughts.

    Everything before a closing tag of thoughts belongs to them: some chat templates open them in the prompt.
    """
    found: list[JsonValue] = []
    position, budget = 0, 4 * len(text) + 100_000
    while budget > 0 and (mark := _MARKS.search(text, position)):
        position = mark.end()
        if mark["close"]:
            found = []
        elif mark["open"]:
            position = _end_of_thoughts(text, position)
        else:
            try:
                _, end = _DECODER.raw_decode(text, mark.start())
            except json.JSONDecodeError as error:
                budget -= max(_LEAST, error.pos - mark.start())
                continue
            except (ValueError, RecursionError):
                budget -= _DEEP
                continue
            value = _decoded(text[mark.start() : end])
            position = end
            if value is not None and _within(value, MAX_DEPTH):
                found.append(value)
    yield from found


def _without_turn_ends(text: str) -> str:
    text = text.rstrip()
    for _ in range(_MOST_TURN_ENDS):
        start = text.rfind("<", max(0, len(text) - 50))
        if start < 0 or not _TURN_END.fullmatch(text, start):
            break
        text = text[:start].rstrip()
    return text


def _without_thoughts(text: str) -> str:
    """The text without thoughts."""
    position, parts = 0, list[str]()
    start = 0
    while mark := _MARKS.search(text, position):
        position = mark.end()
        if mark["close"]:
            parts, start = [], position
        elif mark["open"]:
            parts.append(text[start : mark.start()])
            start = position = _end_of_thoughts(text, position)
    return "".join([*parts, text[start:]])


def _end_of_thoughts(text: str, position: int) -> int:
    """Where the thoughts that start here end.

    If the answer broke off in its thoughts, the end of the text.
    """
    return next((mark.end() for mark in _MARKS.finditer(text, position) if mark["close"]), len(text))


def _decoded(text: str) -> JsonValue:
    try:
        value: JsonValue = msgspec.json.decode(text)
        return value
    except (ValueError, RecursionError):
        return None


def _within(value: object, depth: int) -> bool:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(_within(child, depth - 1) for child in children)
