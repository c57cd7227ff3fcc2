import datetime as dt

from .base import TODAY, Record, Refusal
from .members import Member
from .policy import may_borrow, may_extend
from .things import Thing


class Loan(Record):
    def __init__(self, member: Member, thing: Thing):
        super().__init__()
        self.member = member
        self.thing = thing
        self.due = TODAY() + dt.timedelta(days=thing.days)
        self.extensions = 0
        self.returned = None

    def extend(self):
        may_extend(self)
        self.due += dt.timedelta(days=self.thing.days)
        self.extensions += 1

    def days_late(self, today=None):
        end = self.returned or today or TODAY()
        return max((end - self.due).days, 0)


class Desk:
    def __init__(self):
        self.loans: list[Loan] = []

    def lend(self, member, thing):
        may_borrow(member, thing, self.loans)
        loan = Loan(member, thing)
        self.loans.append(loan)
        return loan

    def take_back(self, thing, parts=()):
        for loan in self.loans:
            if loan.thing.same(thing) and loan.returned is None:
                loan.returned = TODAY()
                thing.broken = bool(thing.incomplete(parts))
                return loan
        raise Refusal("was not lent")
