from dataclasses import dataclass, field

from . import const, ephemeris
from .vector import Vector


@dataclass
class Body:
    name: str
    mass: float
    radius: float
    position: Vector = field(default_factory=Vector)
    velocity: Vector = field(default_factory=Vector)

    def pull(self, place: Vector) -> Vector:
        gap = self.position - place
        distance = max(gap.norm(), self.radius)
        return gap.unit() * (const.G * self.mass / distance ** 2)

    def attract(self, craft, seconds: float) -> None:
        from .integrate import step

        step(craft, [self], seconds)


def solar_system(day: float) -> list[Body]:
    bodies = [Body("sun", const.SUN, 6.96e8)]
    for name, (mass, radius) in ephemeris.MASSES.items():
        bodies.append(Body(name, mass, radius, *ephemeris.state(name, day)))
    return bodies
