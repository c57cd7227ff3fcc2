from ..core.stall import Stall
from ..money.ledger import month


def remind(stall: Stall, days) -> str:
    cents = month(days)[stall.trader]
    text = f"Dear {stall.trader}, {cents / 100:.2f} are due."
    if stall.warnings:
        text += " Mind our remarks: " + "; ".join(stall.warnings[-3:])
    return text
