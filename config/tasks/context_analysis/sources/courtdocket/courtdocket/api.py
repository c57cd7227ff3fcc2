import datetime as dt
import pathlib

from . import ids, letters, store
from .cases import Case, Event
from .deadlines import expired


class Docket:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.cases: dict[str, Case] = {}

    def file(self, kind, parties, value, today=None):
        today = today or dt.date.today()
        case = Case(ids.new(today.year, kind, self.cases), today, parties, value, waiting={"answer"})
        self.cases[case.number] = case
        return case

    def reminders(self, today):
        texts = []
        for case in self.cases.values():
            for what in expired(case, today):
                role = "respondent" if what == "answer" else "claimant"
                texts += [letters.remind(case, party, what) for party in case.side(role)]
        return texts

    def note(self, number, kind, by, text=""):
        state = self.cases[number].record(Event(dt.date.today(), kind, by, text))
        store.save_all([self.cases[number]], self.folder)
        return state
