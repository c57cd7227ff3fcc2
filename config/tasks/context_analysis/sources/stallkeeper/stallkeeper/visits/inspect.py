import datetime

from ..core import plan, stall

RULES = {"fish": "ice", "meat": "thermometer", "mushrooms": "certificate"}


def strict(subject: stall.Stall) -> bool:
    return len(subject.warnings) > 2


def tour(layout, seen):
    today = datetime.date.today()
    for row in layout.values():
        for subject in row:
            missing = [RULES[g] for g in subject.goods if g in RULES and RULES[g] not in seen.get(subject.number, ())]
            subject.warnings += [f"{today}: no {m}" for m in missing]
    return plan.income(layout)
