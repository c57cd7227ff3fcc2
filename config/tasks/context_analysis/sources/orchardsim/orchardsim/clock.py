import calendar
import datetime as dt


class Clock:
    def __init__(self, start: dt.date):
        self.day = start
        self.waiting = []

    def at(self, day, action):
        self.waiting.append((day, len(self.waiting), action))
        self.waiting.sort()

    def advance(self, days=1):
        for _ in range(days):
            self.day += dt.timedelta(days=1)
            while self.waiting and self.waiting[0][0] <= self.day:
                _, _, action = self.waiting.pop(0)
                action(self)

    @property
    def season(self):
        return ("winter", "spring", "summer", "autumn")[self.day.month % 12 // 3]

    @property
    def share_of_year(self):
        length = 366 if calendar.isleap(self.day.year) else 365
        return self.day.timetuple().tm_yday / length
