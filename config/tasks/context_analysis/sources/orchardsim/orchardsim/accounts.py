from .market import Market
from .orchard import Orchard

WAGE = 112.0


class Accounts:
    def __init__(self, market: Market):
        self.market = market
        self.balance = 20_000.0
        self.rows: list[tuple[str, float]] = []

    def pay(self, text: str, amount: float) -> None:
        self.balance -= amount
        self.rows.append((text, -amount))

    def sell_store(self, orchard: Orchard, least: float) -> float:
        income = 0.0
        for kind, kilos in list(orchard.store.items()):
            if self.market.price(kind) >= least and kilos > 50:
                income += self.market.sell(kind, kilos)
                del orchard.store[kind]
        self.balance += income
        self.rows.append(("sales", income))
        return income
