from decimal import ROUND_HALF_UP, Decimal

STEPS = [(0, 5), (100, 10), (500, 25), (2000, 100), (10000, 500)]


def cents(value: str) -> Decimal:
    return Decimal(value).quantize(Decimal("0.01"), ROUND_HALF_UP)


def next_step(price: Decimal) -> Decimal:
    step = STEPS[0][1]
    for start, size in STEPS:
        if price >= start:
            step = size
    return price + step
