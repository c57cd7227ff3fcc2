from .base import Refusal
from .loans import Loan

RATE = {"child": 5, "adult": 20, "school": 0}


def fine(loan: Loan) -> int:
    cents = loan.days_late() * RATE[loan.member.kind]
    cap = max(loan.thing.deposit, 500)
    return min(cents, cap)


def charge(loan: Loan) -> int:
    if loan.returned is None:
        raise Refusal("not returned yet")
    cents = fine(loan)
    if loan.thing.broken:
        cents += loan.thing.deposit
    loan.member.debts += cents
    return cents
