"""Spans of time."""

from __future__ import annotations

from collections.abc import Iterable


def busy_seconds(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds during which at least one of the requests ran; `spans` are their (start, end) in seconds."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return max(total, 1e-9)
