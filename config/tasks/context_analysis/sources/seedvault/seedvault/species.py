from .errors import Unknown

TABLE = {
    "triticum": ("wheat", 10, -18),
    "zea": ("maize", 8, -18),
    "solanum": ("tomato", 6, -15),
    "phaseolus": ("bean", 12, -18),
}


def lookup(genus):
    try:
        return TABLE[genus.lower()]
    except KeyError:
        raise Unknown(genus) from None


def stocked(genus, drawers):
    from .samples import Sample

    return any(isinstance(entry, Sample) and entry.genus == genus for entry in drawers)
