"""Room states as housekeeping and the front desk see them."""
from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import date, timedelta

log = logging.getLogger("hotel.rooms")


class NotPossible(Exception):
    """An operation that the state of a room does not allow."""


@dataclass
class Room:
    number: int
    floor: int
    kind: str
    state: str = "clean"
    guest: str | None = None
    until: date | None = None
    history: list[tuple[date, str]] = field(default_factory=list)


class Rooms:
    def __init__(self, rooms: list[Room], today: date):
        self.rooms = {r.number: r for r in rooms}
        self.today = today
        self.blocked: dict[int, str] = {}

    def check_in(self, number: int, guest: str, nights: int) -> Room:
        room = self.rooms[number]
        if room.state != "clean":
            raise NotPossible(f"room {number} is {room.state}")
        if number in self.blocked:
            raise NotPossible(self.blocked[number])
        room.state = "taken"
        room.guest = guest
        room.until = self.today + timedelta(days=nights)
        room.history.append((self.today, "check-in"))
        return room

    def check_out(self, number: int) -> Room:
        room = self.rooms[number]
        if room.state != "taken":
            raise NotPossible(f"room {number} is {room.state}")
        room.state = "dirty"
        room.guest = None
        room.until = None
        room.history.append((self.today, "check-out"))
        return room

    def move(self, old: int, new: int) -> Room:
        source, target = self.rooms[old], self.rooms[new]
        if source.state != "taken" or target.state != "clean":
            raise NotPossible(f"cannot move from {old} to {new}")
        target.guest, target.until, target.state = source.guest, source.until, "taken"
        source.guest, source.until, source.state = None, None, "dirty"
        target.history.append((self.today, f"moved from {old}"))
        return target

    def find_free(self, kind: str, floor: int) -> Room | None:
        for room in self.rooms.values():
            if room.kind == kind and room.floor >= floor:
                if room.state == "clean" and room.number not in self.blocked:
                    return room
        return None

    def find_guest(self, name: str) -> Room | None:
        for room in self.rooms.values():
            if room.guest and room.guest.casefold() == name.casefold():
                return room
        return None

    def leaving_today(self) -> list[int]:
        numbers = []
        for room in self.rooms.values():
            if room.state == "taken" and room.until <= self.today:
                numbers.append(room.number)
        log.info("%d departures", len(numbers))
        return sorted(numbers)

    def overstayed(self) -> list[int]:
        numbers = []
        for room in self.rooms.values():
            if room.state == "taken" and room.until < self.today:
                numbers.append(room.number)
        return sorted(numbers)

    def occupancy(self) -> float:
        taken = sum(1 for r in self.rooms.values() if r.state == "taken")
        usable = len(self.rooms) - len(self.blocked)
        return taken / usable if usable else 0.0
