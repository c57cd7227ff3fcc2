"""A folder of notes: one text file each, with a small header."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

HEADER = re.compile(r"^(\w+):\s*(.*)$")
LINK = re.compile(r"\[\[([^\]]+)\]\]")


@dataclass
class Note:
    title: str
    text: str
    tags: list[str] = field(default_factory=list)
    written: date | None = None

    @property
    def slug(self) -> str:
        return re.sub(r"\W+", "-", self.title.lower()).strip("-") or "note"

    @property
    def links(self) -> list[str]:
        return LINK.findall(self.text)

    def dump(self) -> str:
        lines = [f"title: {self.title}"]
        if self.tags:
            lines.append(f"tags: {', '.join(self.tags)}")
        if self.written:
            lines.append(f"written: {self.written.isoformat()}")
        return "\n".join(lines) + "\n\n" + self.text


def parse(source: str) -> Note:
    head, _, text = source.partition("\n\n")
    values = dict(match.groups() for line in head.splitlines() if (match := HEADER.match(line)))
    written = values.get("written")
    return Note(
        title=values.get("title", "untitled"),
        text=text,
        tags=[tag.strip() for tag in values.get("tags", "").split(",") if tag.strip()],
        written=date.fromisoformat(written) if written else None,
    )


class Store:
    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.index_path = self.folder / ".index.json"

    def path(self, slug: str) -> Path:
        return self.folder / f"{slug}.txt"

    def read(self, slug: str) -> Note:
        return parse(self.path(slug).read_text())

    def write(self, note: Note) -> Path:
        path = self.path(note.slug)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, encoding="utf-8", delete=False) as out:
            out.write(note.dump())
        shutil.move(out.name, path)
        return path

    def append(self, slug: str, text: str) -> None:
        with self.path(slug).open("a") as out:
            out.write("\n" + text)

    def all(self) -> Iterator[Note]:
        for path in sorted(self.folder.glob("*.txt")):
            yield parse(path.read_text(encoding="utf-8"))

    def digest(self, slug: str) -> str:
        return hashlib.sha256(self.path(slug).read_bytes()).hexdigest()

    def index(self) -> dict[str, list[str]]:
        if self.index_path.exists():
            with open(self.index_path, encoding="utf-8") as handle:
                return json.load(handle)
        return self.rebuild()

    def rebuild(self) -> dict[str, list[str]]:
        tags: dict[str, list[str]] = {}
        for note in self.all():
            for tag in note.tags:
                tags.setdefault(tag, []).append(note.slug)
        self.index_path.write_text(json.dumps(tags, ensure_ascii=False, indent=1))
        return tags

    def broken_links(self) -> dict[str, list[str]]:
        known = {note.title for note in self.all()}
        found = {note.slug: [link for link in note.links if link not in known] for note in self.all()}
        return {slug: links for slug, links in found.items() if links}
