"""Where to correct a mistake in the settings, or in a file that they name: the key and the file."""

from __future__ import annotations

import re

from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark.config.sources import COMMAND_LINE, DEFAULT, Merged, leaves

_FILE = re.compile(r"(?:^|(?<=[\s(]))[^\s'()]+\.(?:yaml|yml|jsonl|json|csv|toml|py)(?=(?: line \d+)?[:;,.)\s]|$)")
_QUOTED = re.compile(r"'([^'\s]+)'")
SETTINGS = "config"
"""How lines about the settings begin; others begin with the file that they are about."""


def where_to_correct(line: str, merged: Merged) -> str:
    """What to correct, and where, for one line that says what is wrong."""
    words = _QUOTED.findall(line)
    begins, about, _ = line.partition(": ")
    if begins != SETTINGS and (found := _FILE.search(line)):
        keyed = bool(about) and begins.startswith(found[0]) and words
        return f"Correct '{words[0]}' in {found[0]}" if keyed else f"Correct {found[0]}"
    key = next((key for word in words if (key := _key(word, merged))), None)
    key = key or next((key for word in words if (key := _key_of_value(word, merged))), None)
    return f"Correct '{key}' {_where(merged.sources[key])}" if key else "Correct it where it is set"


def _where(source: str) -> str:
    return "on the command line" if source == COMMAND_LINE else f"in {source}"


def _key(word: str, merged: Merged) -> str | None:
    """The setting that a word names: itself, a part of it, or the table that it is."""
    for key in merged.sources:
        if key == word or word.startswith(f"{key}.") or key.startswith(f"{word}."):
            return key if merged.sources[key] != DEFAULT else None
    return None


def _key_of_value(word: str, merged: Merged) -> str | None:
    """The setting whose value holds a word."""
    values = leaves(merged.settings)
    return next((key for key in merged.sources if word in _words(values.get(key))), None)


def _words(value: JsonValue) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(item) for item in value]
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else []
