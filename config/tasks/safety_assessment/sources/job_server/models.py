"""What a job is and where jobs are kept."""

from __future__ import annotations

import enum
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    spec TEXT NOT NULL,
    created REAL NOT NULL,
    log TEXT NOT NULL DEFAULT ''
)
"""


class State(enum.StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass
class Spec:
    """What a user asks for."""

    dataset: str
    steps: list[str]
    options: dict[str, str] = field(default_factory=dict)
    notify: str = ""

    @classmethod
    def from_request(cls, data: dict) -> Spec:
        steps = [str(step) for step in data.get("steps", [])]
        options = {str(key): str(value) for key, value in data.get("options", {}).items()}
        if not steps or not all(NAME.fullmatch(step) for step in steps):
            raise ValueError("steps: a list of step names is needed")
        if not NAME.fullmatch(str(data.get("dataset", ""))):
            raise ValueError("dataset: not a name")
        if not all(NAME.fullmatch(key) for key in options):
            raise ValueError("options: not a name")
        return cls(str(data["dataset"]), steps, options, str(data.get("notify", "")))


@dataclass
class Job:
    id: int
    owner: str
    name: str
    state: State
    spec: Spec
    created: float
    log: str = ""


class Jobs:
    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as db:
            db.execute(SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=10)
        db.row_factory = sqlite3.Row
        try:
            with db:
                yield db
        finally:
            db.close()

    @staticmethod
    def _job(row: sqlite3.Row) -> Job:
        spec = Spec(**json.loads(row["spec"]))
        return Job(row["id"], row["owner"], row["name"], State(row["state"]), spec, row["created"], row["log"])

    def add(self, owner: str, name: str, spec: Spec) -> int:
        values = (owner, name, State.WAITING, json.dumps(asdict(spec)), time.time())
        with self._open() as db:
            done = db.execute("INSERT INTO jobs (owner, name, state, spec, created) VALUES (?, ?, ?, ?, ?)", values)
            return int(done.lastrowid or 0)

    def of(self, owner: str, states: tuple[State, ...] = ()) -> list[Job]:
        query = "SELECT * FROM jobs WHERE owner = ?"
        if states:
            query += f" AND state IN ({','.join('?' * len(states))})"
        with self._open() as db:
            return [self._job(row) for row in db.execute(query + " ORDER BY id", (owner, *states))]

    def get(self, number: int, owner: str) -> Job | None:
        with self._open() as db:
            row = db.execute("SELECT * FROM jobs WHERE id = ? AND owner = ?", (number, owner)).fetchone()
        return self._job(row) if row else None

    def next(self) -> Job | None:
        with self._open() as db:
            row = db.execute("SELECT * FROM jobs WHERE state = ? ORDER BY id LIMIT 1", (State.WAITING,)).fetchone()
        return self._job(row) if row else None

    def update(self, number: int, state: State, log: str = "") -> None:
        with self._open() as db:
            db.execute("UPDATE jobs SET state = ?, log = log || ? WHERE id = ?", (state, log, number))
