from . import desk
from .tariff import refund

TEXTS = {
    "cancelled": "The {route} ferry at {time:%H:%M} does not sail. We return {amount:.2f}.",
    "late": "The {route} ferry at {time:%H:%M} leaves later.",
}


def announce(kind, sailing):
    sent = 0
    for booking in desk.BOOKINGS.values():
        if booking.sailing is sailing:
            amount = refund(booking, 0) / 100
            desk.post(booking.reference, TEXTS[kind].format(route=sailing.route, time=sailing.departs, amount=amount))
            sent += 1
    return sent
