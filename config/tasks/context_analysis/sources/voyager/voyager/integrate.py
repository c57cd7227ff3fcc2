from . import bodies as solar
from .vector import Vector


class Track(list):
    def add(self, place: Vector) -> None:
        if not self or (place - self[-1]).norm() > 1e9:
            self.append(place)

    def length(self) -> float:
        return sum((b - a).norm() for a, b in zip(self, self[1:]))


def acceleration(place: Vector, bodies: list[solar.Body]) -> Vector:
    total = Vector()
    for body in bodies:
        total = total + body.pull(place)
    return total


def step(craft, bodies, seconds):
    """Leapfrog: half a kick, a drift, half a kick."""
    craft.velocity = craft.velocity + acceleration(craft.position, bodies) * (seconds / 2)
    craft.position = craft.position + craft.velocity * seconds
    for body in bodies[1:]:
        body.position = body.position + body.velocity * seconds
    craft.velocity = craft.velocity + acceleration(craft.position, bodies) * (seconds / 2)
    craft.track.add(craft.position)
