from .models import Booking, Sailing


def fits(sailing: Sailing, booked: list[Booking], wish: Booking) -> str | None:
    """Why the wish does not fit, or None."""
    if sailing.cancelled:
        return "cancelled"
    people = wish.adults + wish.children
    metres = 0.0
    for other in booked:
        if other.sailing is not sailing:
            continue
        people += other.adults + other.children
        metres += sum(v.metres for v in other.vehicles)
    for vehicle in wish.vehicles:
        if vehicle.metres > 12 and sailing.route != "north":
            return "lorries sail from the north pier only"
        metres += vehicle.metres
    if people > sailing.seats:
        return "no seats"
    if metres > sailing.deck_metres or metres < 0:
        return "deck is full"
    return None
