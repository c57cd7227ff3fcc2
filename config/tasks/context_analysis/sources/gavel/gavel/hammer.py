"""Cron job: closes what has run out."""
from datetime import datetime

from .lots import Lot
from .mail import notify
from .money import cents


def premium(price):
    return cents(str(price * 18 / 100))


def close_all(lots: list[Lot]) -> int:
    now, sold = datetime.now(), 0
    for lot in lots:
        if lot.is_open(now):
            continue
        buyer = lot.settle()
        if buyer:
            notify(buyer, f"Yours for {lot.price} plus {premium(lot.price)}")
            sold += 1
    return sold
