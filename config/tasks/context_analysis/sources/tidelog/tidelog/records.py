import datetime as dt
from typing import NamedTuple

from . import registry


class Level(NamedTuple):
    gauge: str
    at: dt.datetime
    metres: float


def above_datum(level: Level) -> float:
    return level.metres - registry.datum(level.gauge)
