"""Plans for the cleaning staff."""
from .rooms import Rooms


def to_clean(rooms: Rooms) -> list[int]:
    dirty = []
    for room in rooms.rooms.values():
        if room.state == "dirty":
            dirty.append(room.number)
    return sorted(dirty)


def fresh_linen(house) -> list[int]:
    beds = []
    for suite in house.suites.values():
        if suite.mood == "stay" and suite.change <= house.day:
            beds.append(suite.door)
    return sorted(beds)


def due_inspections(site) -> list[str]:
    tags = []
    for lift in site.lifts.values():
        if lift.status == "running" and lift.next_check < site.date:
            tags.append(lift.tag)
    return sorted(tags)


def shifts(numbers: list[int], staff: list[str], per_head: int) -> dict[str, list[int]]:
    plan: dict[str, list[int]] = {name: [] for name in staff}
    for index, number in enumerate(numbers):
        name = staff[index % len(staff)]
        if len(plan[name]) >= per_head:
            break
        plan[name].append(number)
    return plan


def door_sheet(name: str, numbers: list[int], notes: dict[int, str]) -> str:
    lines = [f"Sheet for {name}", ""]
    for number in numbers:
        remark = notes.get(number, "")
        lines.append(f"[ ] {number:>4} {remark}")
    return "\n".join(lines)


def lost_and_found(month: str, items: list[str], owners: dict[str, str]) -> str:
    text = [f"Found in {month}", "-----"]
    for item in items:
        owner = owners.get(item, "unknown")
        text.append(f"{item:<30} {owner}")
    return "\r\n".join(text)
