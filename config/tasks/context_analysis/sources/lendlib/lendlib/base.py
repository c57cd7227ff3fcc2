import datetime as dt
import uuid

TODAY = dt.date.today


class Record:
    def __init__(self):
        self.id = uuid.uuid4().hex[:10]
        self.created = TODAY()

    def same(self, other):
        return type(self) is type(other) and self.id == other.id


class Refusal(Exception):
    def __init__(self, why, hint=""):
        super().__init__(why)
        self.hint = hint
