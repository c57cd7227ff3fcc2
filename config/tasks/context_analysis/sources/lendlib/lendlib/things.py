from .base import Record


class Thing(Record):
    """A tool, a game or a device that can be lent."""

    def __init__(self, title, deposit=0, days=14, parts=()):
        super().__init__()
        self.title = title
        self.deposit = deposit
        self.days = days
        self.parts = tuple(parts)
        self.broken = False

    def incomplete(self, returned):
        return [p for p in self.parts if p not in returned]


class Electric(Thing):
    def __init__(self, title, inspected, **more):
        super().__init__(title, **more)
        self.inspected = inspected

    def safe(self, today, months=24):
        age = (today.year - self.inspected.year) * 12 + today.month - self.inspected.month
        return age < months
