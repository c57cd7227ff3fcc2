from dataclasses import dataclass, field

from .tickets import Ticket


@dataclass
class Agent:
    name: str
    skills: set = field(default_factory=set)
    open: list[Ticket] = field(default_factory=list)
    away: bool = False

    def load(self):
        return sum(1 for t in self.open if t.state != "closed")


TEAM: list[Agent] = []
