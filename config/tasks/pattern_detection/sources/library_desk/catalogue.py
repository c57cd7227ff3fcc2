"""Circulation desk: look-ups and lists over the items that are held in memory."""

from datetime import date


class Item:
    def __init__(self, isbn, barcode, title, edition, status="shelf", due=None, holder=None):
        self.isbn = isbn
        self.barcode = barcode
        self.title = title
        self.edition = edition
        self.status = status
        self.due = due
        self.holder = holder


class Desk:
    def __init__(self, items, members, holds=()):
        self.items = list(items)
        self.members = {m.number: m for m in members}
        self.holds = list(holds)
        self.today = date.today()

    def by_isbn(self, isbn):
        wanted = isbn.replace("-", "")
        for item in self.items:
            if item.isbn == wanted:
                return item
        return None

    def by_barcode(self, code):
        """Scanner codes come with blanks in them."""
        clean = code.replace(" ", "")
        for candidate in self.items:
            if candidate.barcode == clean:
                return candidate
        return None

    def latest_edition(self, title):
        wanted = title.replace("_", " ")
        found = None
        for item in self.items:
            if item.title == wanted:
                found = item
        return found

    def member_by_card(self, card):
        digits = card.replace("M", "")
        for member in self.members:
            if member.card == digits:
                return member
        return None

    def overdue(self):
        rows = []
        for item in self.items:
            if item.status == "loan" and item.due < self.today:
                rows.append((item.holder, item.title))
        return rows

    def not_yet_due(self):
        rows = []
        for item in self.items:
            if item.status == "loan" and item.due > self.today:
                rows.append((item.holder, item.title))
        return rows

    def expired_holds(self):
        out = []
        for hold in self.holds:
            if hold.state == "waiting" and hold.until < self.today:
                out.append((hold.member, hold.item))
        return out

    def unusable(self):
        rows = []
        for item in self.items:
            if item.status == "lost" or item.due < self.today:
                rows.append((item.holder, item.title))
        return rows

    def lend(self, item, number, until):
        if item.status != "shelf":
            raise LookupError(f"{item.title} is {item.status}")
        item.status = "loan"
        item.holder = number
        item.due = until

    def take_back(self, item):
        late = item.due is not None and item.due < self.today
        item.status = "shelf"
        item.holder = None
        item.due = None
        return late
