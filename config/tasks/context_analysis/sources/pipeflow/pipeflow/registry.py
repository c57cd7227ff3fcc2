STEPS = {}


def step(name=None, *, after=()):
    def wrap(function):
        STEPS[name or function.__name__] = (function, tuple(after))
        return function

    return wrap


def names():
    return sorted(STEPS)
