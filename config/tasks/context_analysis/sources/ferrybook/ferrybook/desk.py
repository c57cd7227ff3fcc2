import secrets

from ferrybook.capacity import fits
from ferrybook.models import Booking, Sailing
from ferrybook.notices import announce
from ferrybook.tariff import fare

BOOKINGS: dict[str, Booking] = {}
OUTBOX: list[tuple[str, str]] = []


def post(reference: str, text: str) -> None:
    OUTBOX.append((reference, text))


def book(sailing: Sailing, adults: int, **more) -> tuple[str, int]:
    wish = Booking(secrets.token_hex(3), sailing, adults, **more)
    problem = fits(sailing, list(BOOKINGS.values()), wish)
    if problem:
        raise ValueError(problem)
    BOOKINGS[wish.reference] = wish
    return wish.reference, fare(wish)


def cancel_sailing(sailing: Sailing) -> int:
    sailing.cancelled = True
    return announce("cancelled", sailing)
