class NoConvergence(ArithmeticError):
    pass


def newton(function, slope, start, tolerance=1e-12, rounds=50):
    x = start
    for _ in range(rounds):
        rise = slope(x)
        if rise == 0:
            raise NoConvergence("flat")
        step = function(x) / rise
        x -= step
        if abs(step) < tolerance:
            return x
    raise NoConvergence(f"after {rounds} rounds")


def bisect(function, low, high, tolerance=1e-6):
    if function(low) * function(high) > 0:
        raise NoConvergence("same sign")
    while high - low > tolerance:
        middle = (low + high) / 2
        if function(low) * function(middle) <= 0:
            high = middle
        else:
            low = middle
    return (low + high) / 2
