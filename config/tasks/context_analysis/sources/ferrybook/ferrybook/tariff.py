from .models import Booking

ADULT = {"north": 1450, "south": 1120}
METRE = 620


def fare(booking: Booking) -> int:
    base = ADULT[booking.sailing.route]
    total = booking.adults * base + booking.children * base // 2
    for vehicle in booking.vehicles:
        price = int(vehicle.metres * METRE)
        total += price * 8 // 10 if vehicle.electric else price
    if booking.resident:
        total = total * 6 // 10
    return total


def refund(booking: Booking, hours_left: float) -> int:
    if booking.sailing.cancelled or hours_left > 72:
        return fare(booking)
    return fare(booking) // 2 if hours_left > 24 else 0
