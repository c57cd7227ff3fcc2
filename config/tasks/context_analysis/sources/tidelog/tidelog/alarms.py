from .records import Level, above_datum

LIMITS = [(1.2, "watch"), (1.8, "warning"), (2.6, "flood")]


def grade(level: Level) -> str:
    height = above_datum(level)
    name = "none"
    for limit, word in LIMITS:
        if height >= limit:
            name = word
    return name
