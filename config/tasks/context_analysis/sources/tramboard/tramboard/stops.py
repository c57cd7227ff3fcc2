STOPS = {
    "HBF": ("Central station", 53.5528, 10.0067),
    "RAT": ("Town hall", 53.5503, 9.9920),
    "UNI": ("University", 53.5669, 9.9846),
}


def name(code):
    return STOPS[code][0] if code in STOPS else code


def where(code):
    return STOPS[code][1:]


def disturbed(code):
    from .delays import current

    return bool(current(code))
