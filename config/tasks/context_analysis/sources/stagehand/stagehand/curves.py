import math

CURVES = {
    "linear": lambda x: x,
    "smooth": lambda x: x * x * (3 - 2 * x),
    "sine": lambda x: (1 - math.cos(math.pi * x)) / 2,
    "snap": lambda x: 1.0 if x >= 1 else 0.0,
}


def blend(a, b, share, curve="linear"):
    share = CURVES[curve](min(max(share, 0.0), 1.0))
    return a + (b - a) * share
