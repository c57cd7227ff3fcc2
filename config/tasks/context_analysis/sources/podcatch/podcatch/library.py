import sqlite3

from . import settings
from .feeds import Episode


class Library:
    def __init__(self, path=None):
        folder = settings.load()["folder"]
        self.db = sqlite3.connect(path or f"{folder}/library.db")
        self.db.execute("CREATE TABLE IF NOT EXISTS seen (guid TEXT PRIMARY KEY, title TEXT)")

    def new(self, episodes: list[Episode]) -> list[Episode]:
        known = {row[0] for row in self.db.execute("SELECT guid FROM seen")}
        return [e for e in episodes if e.guid not in known]

    def mark(self, episode: Episode) -> None:
        with self.db:
            self.db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (episode.guid, episode.title))

    def repair(self):
        from podcatch import download

        for guid, title in self.db.execute("SELECT guid, title FROM seen").fetchall():
            if not download.target(title).exists():
                self.db.execute("DELETE FROM seen WHERE guid = ?", (guid,))
