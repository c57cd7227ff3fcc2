from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from .money import next_step


@dataclass
class Lot:
    number: int
    title: str
    reserve: Decimal
    closes: datetime
    price: Decimal = Decimal(0)
    leader: str = ""

    def is_open(self, now: datetime) -> bool:
        return now < self.closes

    def minimum(self) -> Decimal:
        return next_step(self.price) if self.leader else self.price

    def extend(self, now: datetime) -> None:
        if self.closes - now < timedelta(minutes=2):
            self.closes = now + timedelta(minutes=2)

    def settle(self):
        from .bidding import winner

        return winner(self)
