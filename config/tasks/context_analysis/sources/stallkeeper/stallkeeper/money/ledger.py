from collections import Counter

from .fees import daily


def month(days):
    owed = Counter()
    for stalls in days:
        for stall in stalls:
            owed[stall.trader] += daily(stall)
    return owed
