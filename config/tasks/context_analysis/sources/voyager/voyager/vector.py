from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vector:
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0

    def __add__(self, o: Vector) -> Vector:
        return Vector(self.x + o.x, self.y + o.y, self.z + o.z)

    def __sub__(self, o: Vector) -> Vector:
        return Vector(self.x - o.x, self.y - o.y, self.z - o.z)

    def __mul__(self, k: float) -> Vector:
        return Vector(self.x * k, self.y * k, self.z * k)

    def dot(self, o: Vector) -> float:
        return self.x * o.x + self.y * o.y + self.z * o.z

    def norm(self) -> float:
        return math.sqrt(self.dot(self))

    def unit(self) -> Vector:
        length = self.norm()
        return self * (1 / length) if length else self
