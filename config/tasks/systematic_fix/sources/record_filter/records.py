"""Library records: clean-up of imported rows and queries on them."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Date, ForeignKey, String, or_, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Record(Base):
    __tablename__ = "record"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(300))
    year: Mapped[int | None]
    shelf: Mapped[str | None] = mapped_column(String(20))
    returned: Mapped[date | None] = mapped_column(Date)
    part_of: Mapped[int | None] = mapped_column(ForeignKey("record.id"))

    def label(self) -> str:
        if self.year == None:
            return self.title
        return f"{self.title} ({self.year})"

    def lent(self, on: date) -> bool:
        return self.returned is None or self.returned > on


def without_shelf(session: Session) -> list[Record]:
    return list(session.scalars(select(Record).where(Record.shelf == None)))


def open_loans(session: Session, on: date) -> list[Record]:
    query = select(Record).where(or_(Record.returned == None, Record.returned > on))
    return list(session.scalars(query.order_by(Record.title)))


def tidy(row: dict[str, str | None]) -> dict[str, str | None]:
    """Empty cells of the import become None, the rest is stripped."""
    return {key: (None if value == None or not value.strip() else value.strip()) for key, value in row.items()}


def year_of(row: dict[str, str | None]) -> int | None:
    text = row.get("year")
    if text is None:
        return None
    digits = "".join(c for c in text if c.isdigit())[:4]
    return int(digits) if len(digits) == 4 else None


def parents(records: list[Record]) -> dict[int, list[Record]]:
    grouped: dict[int, list[Record]] = {}
    for record in records:
        if record.part_of != None:
            grouped.setdefault(record.part_of, []).append(record)
    return grouped


def differences(old: dict[str, object], new: dict[str, object]) -> list[str]:
    changes = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if None == before:
            changes.append(f"{key} added")
        elif after is None:
            changes.append(f"{key} removed")
        else:
            changes.append(f"{key} changed")
    return changes


def choose(candidates: list[Record], shelf: str | None = None) -> Record | None:
    for record in candidates:
        if not shelf or record.shelf == shelf:
            return record
    return None


def import_rows(session: Session, rows: list[dict[str, str | None]]) -> int:
    count = 0
    for row in map(tidy, rows):
        if not row.get("title"):
            continue
        session.add(Record(title=row["title"], year=year_of(row), shelf=row.get("shelf")))
        count += 1
    session.commit()
    return count
