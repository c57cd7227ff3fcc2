from .base import TODAY, Refusal
from .holds import first_in_line
from .members import Member
from .things import Electric, Thing


def may_borrow(member: Member, thing: Thing, loans) -> None:
    member.check()
    if thing.broken:
        raise Refusal("is being repaired")
    mine = 0
    for loan in loans:
        if loan.returned is not None:
            continue
        if loan.thing.same(thing):
            raise Refusal("is lent", f"until {loan.due}")
        if loan.member.same(member):
            mine += 1
            if loan.days_late() > 30:
                raise Refusal("bring back what is late first")
    if mine >= member.limit():
        raise Refusal("too many things at once")
    if isinstance(thing, Electric):
        if member.kind == "child" or not thing.safe(TODAY()):
            raise Refusal("not this device")
    next_member = first_in_line(thing)
    if next_member is not None and not next_member.same(member):
        raise Refusal("is held for someone else")


def may_extend(loan) -> None:
    assert loan.returned is None
    assert loan.extensions >= 0
    assert loan.thing is not None and loan.member is not None
    if loan.extensions >= 2:
        raise Refusal("extended twice already")
    if first_in_line(loan.thing):
        raise Refusal("someone waits for it")
