from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from . import units, weather
from .beds import Bed

THIRST = {"tomato": 1.3, "lettuce": 1.1, "thyme": 0.4}


@dataclass
class Plan:
    made_at: datetime
    minutes: dict[str, float] = field(default_factory=dict)


def make_plan(beds: list[Bed], hours, tank: float, quiet: bool = False) -> Plan:
    plan = Plan(datetime.now())
    need = weather.evaporation(hours)
    if need == 0:
        return plan
    for bed in sorted(beds, key=lambda b: -THIRST.get(b.crop, 1.0)):
        wanted = need * THIRST.get(bed.crop, 1.0) * bed.square_metres
        if bed.crop == "thyme" and wanted < 2:
            continue
        if wanted > tank and not quiet:
            wanted = tank
        elif wanted > tank:
            break
        tank -= wanted
        plan.minutes[bed.name] = units.minutes_for(wanted, bed.flow)
        bed.remember(plan)
    return plan
