import math

from .solver import newton


def eccentric_anomaly(mean, eccentricity):
    mean %= 2 * math.pi
    start = mean if eccentricity < 0.8 else math.pi
    return newton(
        lambda e: e - eccentricity * math.sin(e) - mean,
        lambda e: 1 - eccentricity * math.cos(e),
        start,
    )


def true_anomaly(mean, eccentricity):
    e = eccentric_anomaly(mean, eccentricity)
    return 2 * math.atan2(
        math.sqrt(1 + eccentricity) * math.sin(e / 2),
        math.sqrt(1 - eccentricity) * math.cos(e / 2),
    )
