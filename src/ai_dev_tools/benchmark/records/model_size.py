"""The number of parameters of a model: as its server recorded it, otherwise from its tag."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_SIZE = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")
_SCALE = {"b": 1.0, "m": 1e-3}


def parameters(tag: str) -> float | None:
    """Billions of parameters as a tag names them: `llama3.2:1b` -> 1.0, `mixtral:8x7b` -> 56.0.

    None if it does not.

    The part after the colon counts first: `llama3.2:1b-instruct-q4_0` has its version before it.
    """
    name, _, variant = tag.lower().partition(":")
    return next((size for text in (variant, name) if (size := _named(text)) is not None), None)


def recorded_size(tag: str, sessions: Iterable[Mapping[str, object]]) -> float | None:
    """Billions of parameters that a server stated (`parameter_size`, e.g. `134.52M`); None if it did not."""
    for entry in sessions:
        model = entry.get("model")
        if isinstance(model, Mapping) and model.get("tag") == tag and isinstance(model.get("parameter_size"), str):
            return _named(model["parameter_size"].lower().replace(" ", ""))
    return None


def _named(text: str) -> float | None:
    found = _SIZE.search(text)
    return float(found[1] or 1) * float(found[2]) * _SCALE[found[3]] if found else None
