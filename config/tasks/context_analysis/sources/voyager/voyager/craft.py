from dataclasses import dataclass, field

from .const import DAY
from .integrate import Track, step
from .vector import Vector


@dataclass
class Burn:
    day: float
    direction: Vector
    delta_v: float


@dataclass
class Craft:
    name: str
    mass: float
    fuel: float
    exhaust: float
    position: Vector
    velocity: Vector
    burns: list[Burn] = field(default_factory=list)
    track: Track = field(default_factory=Track)

    def fire(self, burn: Burn) -> float:
        ratio = 2.718281828459045 ** (burn.delta_v / self.exhaust)
        needed = self.mass * (1 - 1 / ratio)
        share = min(self.fuel / needed, 1.0) if needed > 0 else 0.0
        self.velocity = self.velocity + burn.direction.unit() * (burn.delta_v * share)
        self.fuel -= needed * share
        self.mass -= needed * share
        return share

    def fly(self, bodies, days, dt=0.25, stop_at=None, closest=None):
        day, hit = 0.0, None
        todo = sorted(self.burns, key=lambda b: b.day)
        while day < days and hit is None:
            while todo and todo[0].day <= day:
                if self.fire(todo.pop(0)) < 1.0 and stop_at == "empty":
                    return "empty", day
            step(self, bodies, dt * DAY)
            day += dt
            for body in bodies:
                gap = (body.position - self.position).norm()
                if gap < body.radius:
                    hit = body.name
                elif closest is not None and (body.name not in closest or gap < closest[body.name]):
                    closest[body.name] = gap
            if self.fuel <= 0 and not todo and stop_at == "drift":
                return "drift", day
        return ("hit " + hit if hit else "flying"), day
