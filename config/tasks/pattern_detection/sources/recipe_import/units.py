"""Conversions. Weights in grams, volumes in millilitres, temperatures in degrees Celsius."""

GRAMS = {"g": 1, "kg": 1000, "oz": 28.35, "lb": 453.6}
MILLILITRES = {"ml": 1, "l": 1000, "cup": 236.6, "tbsp": 14.8, "tsp": 4.9}
MARKS = {1: 140, 2: 150, 3: 170, 4: 180, 5: 190, 6: 200, 7: 220, 8: 230, 9: 240}


def grams(value, unit):
    factor = GRAMS.get(unit.lower().rstrip("s."))
    if factor is None:
        raise ValueError(f"{unit} is no weight")
    return round(value * factor, 1)


def millilitres(value, unit):
    factor = MILLILITRES.get(unit.lower().rstrip("s."))
    if factor is None:
        raise ValueError(f"{unit} is no volume")
    return round(value * factor, 1)


def pieces(value, unit):
    size = DOZENS.get(unit.lower().rstrip("en"))
    if size is None:
        raise LookupError(unit)
    return round(value * size, 0)


def per_gram(value, unit):
    factor = GRAMS.get(unit.lower().rstrip("s."))
    if factor is None:
        raise ValueError(f"{unit} is no weight")
    return round(value / factor, 1)


def oven(value, unit):
    if unit == "F":
        return round((value - 32) / 1.8)
    if unit == "mark":
        return MARKS[value]
    return value


DOZENS = {"doz": 12, "gross": 144, "pair": 2}
