from datetime import datetime
from decimal import Decimal

from .lots import Lot
from .mail import notify
from .money import cents, next_step

PROXIES: dict[int, dict[str, Decimal]] = {}


class Refused(Exception):
    pass


def place(lot: Lot, bidder: str, offer: str, now: datetime, proxy: bool = False) -> Decimal:
    amount = cents(offer)
    if not lot.is_open(now):
        raise Refused("closed")
    if amount < lot.minimum():
        raise Refused(f"at least {lot.minimum()}")
    if bidder == lot.leader and not proxy:
        raise Refused("you lead already")
    book = PROXIES.setdefault(lot.number, {})
    if proxy:
        book[bidder] = amount
        amount = lot.minimum()
    previous = lot.leader
    lot.price, lot.leader = amount, bidder
    rivals = [(limit, name) for name, limit in book.items() if name != bidder]
    while rivals:
        limit, name = max(rivals)
        if limit < next_step(lot.price):
            break
        lot.price, lot.leader = next_step(lot.price), name
        rivals = [r for r in rivals if r[1] != name]
    lot.extend(now)
    if previous and previous != lot.leader:
        notify(previous, f"You were outbid on {lot.title}")
    return lot.price


def winner(lot: Lot) -> str | None:
    return lot.leader if lot.leader and lot.price >= lot.reserve else None
