from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from .species import lookup


@dataclass
class Sample:
    code: str
    genus: str
    stored: dt.date
    seeds: int
    viability: float = 1.0

    @property
    def years(self) -> float:
        return (dt.date.today() - self.stored).days / 365.25

    def expected(self) -> float:
        _, half_life, _ = lookup(self.genus)
        return self.viability * 0.5 ** (self.years / half_life)
