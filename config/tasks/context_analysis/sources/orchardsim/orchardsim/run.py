import datetime as dt
import sys

from .accounts import WAGE, Accounts
from .clock import Clock
from .market import Market
from .orchard import Orchard
from .trees import Tree
from .weather import Weather


def season(years: int = 1, hands: int = 3) -> float:
    clock = Clock(dt.date(2023, 1, 1))
    orchard = Orchard(clock, Weather(clock), [Tree(k, 8) for k in ("apple", "pear", "cherry") for _ in range(40)])
    accounts = Accounts(Market(clock))
    for _ in range(years * 365):
        orchard.day()
        if orchard.harvest(hands):
            accounts.pay("wages", hands * WAGE)
        if clock.day.day == 1:
            accounts.sell_store(orchard, 0.8)
    return accounts.balance


if __name__ == "__main__":
    print(round(season(int(sys.argv[1]) if len(sys.argv) > 1 else 1)))
