from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Vehicle:
    plate: str
    metres: float
    electric: bool = False


@dataclass
class Sailing:
    route: str
    departs: datetime
    deck_metres: float
    seats: int
    cancelled: bool = False


@dataclass
class Booking:
    reference: str
    sailing: Sailing
    adults: int
    children: int = 0
    vehicles: list[Vehicle] = field(default_factory=list)
    resident: bool = False
