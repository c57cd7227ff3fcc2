"""Litres, minutes and the like."""


def litres(minutes, flow):
    return minutes * flow / 60.0


def minutes_for(amount, flow):
    if flow <= 0:
        raise ZeroDivisionError("valve has no flow")
    return amount * 60.0 / flow


def clamp(value, low, high):
    return low if value < low else high if value > high else value
