import csv
import io
from collections import Counter

from .loans import Desk


def popular(desk: Desk, count: int = 10):
    return Counter(loan.thing.title for loan in desk.loans).most_common(count)


def monthly(desk: Desk) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    table = Counter()
    for loan in desk.loans:
        table[loan.created.strftime("%Y-%m"), loan.member.kind] += 1
    for (month, kind), number in sorted(table.items()):
        writer.writerow([month, kind, number])
    return out.getvalue()
