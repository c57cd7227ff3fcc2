"""When requests were running: how many at a time, for how long, and each one's share of that time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.clusters import Floats, Ints


@dataclass(frozen=True, eq=False)
class Activity:
    """How many requests were in flight from each moment at which one began or ended until the next.

    Attributes:
        moments: sorted, in seconds; `running` are the requests from each moment on.
        order: which beginning (0 to n - 1) or end (n to 2n - 1) each moment is.
    """

    moments: Floats
    running: Ints
    order: NDArray[np.intp]

    @classmethod
    def of(cls, start: Floats, length: Floats) -> Activity:
        """The activity of requests by start and duration, both known."""
        times = np.concatenate([start, start + length])
        change = np.repeat(np.array([1, -1], dtype=np.int64), len(start))
        # at equal times an end comes before a beginning: back-to-back requests do not overlap
        order = np.lexsort([change, times])
        return cls(times[order], np.cumsum(change[order]), order)

    @property
    def busy_s(self) -> float:
        """Seconds during which at least one request was in flight."""
        return float(np.diff(self.moments)[self.running[:-1] > 0].sum())

    @property
    def peak(self) -> int:
        """The most requests at one time."""
        return int(self.running.max(initial=0))

    def shares(self) -> Floats:
        """Each request's seconds where an instant is divided equally among those in flight.

        They add up to `busy_s`.
        """
        if not len(self.moments):
            return np.empty(0)
        running, gaps = self.running[:-1], np.diff(self.moments)
        worth = np.concatenate([[0.0], np.cumsum(np.where(running > 0, gaps / np.maximum(running, 1), 0.0))])
        at = np.empty(len(worth))
        at[self.order] = worth
        half = len(at) // 2
        return np.asarray(at[half:] - at[:half])
