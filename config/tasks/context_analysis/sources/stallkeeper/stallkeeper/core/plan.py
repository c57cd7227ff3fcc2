from stallkeeper.core.stall import Stall
from stallkeeper.money import fees

ROW = 24.0


def place(stalls: list[Stall], rows: int) -> dict[int, list[Stall]]:
    plan: dict[int, list[Stall]] = {n: [] for n in range(rows)}
    for stall in sorted(stalls, key=lambda s: (-s.metres, s.number)):
        for number, row in plan.items():
            used = sum(s.metres for s in row)
            if used + stall.metres > ROW:
                continue
            if row and "fish" in stall.goods and "cheese" in row[-1].goods:
                continue
            if stall.power and number > 1:
                continue
            row.append(stall)
            break
    return plan


def income(plan: dict[int, list[Stall]]) -> int:
    return sum(fees.daily(s) for row in plan.values() for s in row)
