"""Read what a tool printed, strictly: invalid or ambiguous JSON never reaches a prompt."""

from __future__ import annotations

import json
import math
from typing import Literal, NoReturn

from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue

MAX_DIGITS = 400
"""No tool means an integer longer than this, and few languages can hold it."""
OutputFormat = Literal["json", "jsonl", "text"]


def read_output(content: bytes, output: OutputFormat) -> tuple[str, JsonValue]:
    """Text and parsed data; the data of plain text is None. A byte order mark is not part of either.

    Raises:
        ValueError: the output does not have this format; says why.
    """
    text = content.decode("utf-8-sig")
    try:
        if output == "json":
            return text, _parsed(text)
        if output == "jsonl":
            return text, [_parsed(line) for line in text.split("\n") if line.strip()]
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return text, None


def _parsed(text: str) -> JsonValue:
    value: JsonValue = json.loads(
        text, parse_constant=_not_json, parse_float=_finite, parse_int=_short, object_pairs_hook=_unique
    )
    return value


def _not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:20]} is too large a number")
    return value


def _short(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an integer has {len(digits)} digits")
    return int(digits)


def _unique(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"an object has the name {json.dumps(twice)[:60]} twice")
    return found
