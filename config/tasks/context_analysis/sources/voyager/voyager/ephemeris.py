import math

from . import kepler
from .const import AU, SUN, G
from .vector import Vector

MASSES = {"earth": (5.972e24, 6.37e6), "mars": (6.417e23, 3.39e6), "jupiter": (1.898e27, 6.99e7)}
ORBITS = {"earth": (1.0, 0.0167, 1.796), "mars": (1.5237, 0.0934, 5.865), "jupiter": (5.2029, 0.0484, 0.257)}


def state(name, day):
    axis, eccentricity, perihelion = ORBITS[name]
    rate = math.sqrt(G * SUN / (axis * AU) ** 3)
    anomaly = kepler.true_anomaly(rate * day * 86_400.0, eccentricity)
    radius = axis * AU * (1 - eccentricity ** 2) / (1 + eccentricity * math.cos(anomaly))
    angle = anomaly + perihelion
    speed = math.sqrt(G * SUN * (2 / radius - 1 / (axis * AU)))
    place = Vector(radius * math.cos(angle), radius * math.sin(angle))
    return place, Vector(-speed * math.sin(angle), speed * math.cos(angle))
