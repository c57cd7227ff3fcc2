import unicodedata


def plain(text):
    decomposed = unicodedata.normalize("NFD", text.casefold())
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn")


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def verdict(given, expected, accents=True):
    given, expected = given.strip(), expected.strip()
    if given == expected:
        return "right"
    if not given:
        return "blank"
    if not accents and plain(given) == plain(expected):
        return "right"
    if plain(given) == plain(expected):
        return "accent"
    if len(expected) > 4 and distance(plain(given), plain(expected)) == 1:
        return "typo"
    if given.split() != expected.split() and sorted(given.split()) == sorted(expected.split()):
        return "order"
    return "wrong"
