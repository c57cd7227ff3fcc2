import json
import pathlib

from .cases import Case, Event
from .parties import Party


def dump(case: Case) -> dict:
    return {
        "number": case.number,
        "filed": case.filed.isoformat(),
        "parties": [[p.name, p.role, p.counsel, list(p.address)] for p in case.parties],
        "value": case.value,
        "state": case.state,
        "events": [[e.day.isoformat(), e.kind, e.by, e.text] for e in case.events],
    }


def load(data: dict, day) -> Case:
    parties = [Party(n, r, c, tuple(a)) for n, r, c, a in data["parties"]]
    events = [Event(day(d), k, b, t) for d, k, b, t in data["events"]]
    return Case(data["number"], day(data["filed"]), parties, data["value"], data["state"], events)


def save_all(cases: list[Case], folder: pathlib.Path) -> None:
    for case in cases:
        (folder / f"{case.number}.json").write_text(json.dumps(dump(case), indent=1))
