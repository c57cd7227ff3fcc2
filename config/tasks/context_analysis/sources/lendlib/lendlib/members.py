from .base import TODAY, Record, Refusal


class Member(Record):
    LIMITS = {"child": 5, "adult": 20, "school": 60}

    def __init__(self, name, kind="adult", born=None):
        super().__init__()
        self.name = name
        self.kind = kind
        self.born = born
        self.debts = 0
        self.paid_until = None

    def limit(self):
        return self.LIMITS[self.kind]

    def check(self):
        if self.debts > 2_000:
            raise Refusal("debts", f"{self.debts / 100:.2f} are open")
        if self.kind != "child" and (self.paid_until is None or self.paid_until < TODAY()):
            raise Refusal("membership has run out")

    def renew(self, until):
        self.paid_until = until
