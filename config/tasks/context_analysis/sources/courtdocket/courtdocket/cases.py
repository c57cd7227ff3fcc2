import datetime as dt
from dataclasses import dataclass, field

from . import ids
from .parties import Party
from .rules import allowed


@dataclass
class Event:
    day: dt.date
    kind: str
    by: str
    text: str = ""


@dataclass
class Case:
    number: str
    filed: dt.date
    parties: list[Party]
    value: int
    state: str = "filed"
    events: list[Event] = field(default_factory=list)
    waiting: set[str] = field(default_factory=set)

    def __post_init__(self):
        ids.split(self.number)

    def side(self, role):
        return [p for p in self.parties if p.role == role]

    def record(self, event: Event) -> str:
        target = allowed(self, event)
        if target is None:
            raise ValueError(f"{event.kind} is not possible while {self.state}")
        self.events.append(event)
        self.state = target
        self.waiting.discard(event.kind)
        return target
