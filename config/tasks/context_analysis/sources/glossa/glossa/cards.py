from dataclasses import dataclass
from datetime import date, timedelta


@dataclass
class Card:
    front: str
    back: str
    box: int = 0
    due: date = date.min

    def promote(self, today: date) -> None:
        self.box = min(self.box + 1, 6)
        self.due = today + timedelta(days=2 ** self.box)

    def demote(self, today: date) -> None:
        self.box = 0
        self.due = today
