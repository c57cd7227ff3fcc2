from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .units import litres

if TYPE_CHECKING:
    from .planner import Plan


@dataclass
class Bed:
    name: str
    crop: str
    square_metres: float
    valve: int
    flow: float = 120.0
    last_plan: Plan | None = None

    def received(self, minutes: float) -> float:
        return litres(minutes, self.flow) / self.square_metres

    def remember(self, plan: Plan) -> None:
        if self.last_plan is None or plan.made_at > self.last_plan.made_at:
            self.last_plan = plan
