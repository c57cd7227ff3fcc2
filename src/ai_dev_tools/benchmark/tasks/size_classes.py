"""Size classes of cases, by the tokens of their baseline prompt."""

from __future__ import annotations

from collections.abc import Mapping

LARGEST: Mapping[str, int] = {"S": 2500, "L": 7000}
"""Most tokens of a size class's baseline prompt."""
CHARS_PER_TOKEN = 3.2
"""Of code, on the cautious side: most tokenizers need fewer tokens."""
