import calendar

from .people import Singer

RATE = 12_00


def due(singer: Singer, year: int, month: int) -> int:
    sundays = sum(1 for week in calendar.monthcalendar(year, month) if week[6])
    owed = RATE if sundays > 3 else RATE * 3 // 4
    return max(owed - singer.paid, 0)


def reminders(singers: list[Singer], year: int, month: int) -> list[tuple[str, str]]:
    letters = []
    for singer in singers:
        cents = due(singer, year, month)
        if cents:
            letters.append((singer.mail, f"Dear {singer.name}, {cents / 100:.2f} are open."))
    return letters
