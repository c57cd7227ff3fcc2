"""Full-text search over the notes, with an index on disk."""

from __future__ import annotations

import gzip
import io
import json
import math
import pickle
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .notes import Note, Store

WORD = re.compile(r"[^\W_]{2,40}")
STOP = {"and", "the", "for", "with", "not", "but", "are", "was"}


def fold(text: str) -> str:
    """Lower case without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def words(text: str) -> Iterator[str]:
    for match in WORD.finditer(fold(text)):
        if match[0] not in STOP:
            yield match[0]


@dataclass(frozen=True)
class Hit:
    slug: str
    score: float
    excerpt: str


class Index:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.postings: dict[str, dict[str, int]] = defaultdict(dict)
        self.lengths: dict[str, int] = {}

    def add(self, note: Note) -> None:
        counts = Counter(words(f"{note.title} {note.title} {note.text}"))
        self.lengths[note.slug] = sum(counts.values())
        for word, count in counts.items():
            self.postings[word][note.slug] = count

    def remove(self, slug: str) -> None:
        self.lengths.pop(slug, None)
        for entries in self.postings.values():
            entries.pop(slug, None)

    def save(self) -> None:
        document = {"lengths": self.lengths, "postings": self.postings}
        with gzip.open(self.path, "wt", encoding="utf-8") as out:
            json.dump(document, out, ensure_ascii=False)

    def load(self) -> bool:
        if not self.path.exists():
            return False
        with gzip.open(self.path, "rb") as handle:
            document = json.load(io.TextIOWrapper(handle, encoding="utf-8"))
        self.lengths = document["lengths"]
        self.postings = defaultdict(dict, document["postings"])
        return True

    def snapshot(self, path: Path) -> None:
        with path.open("wb") as out:
            pickle.dump((dict(self.postings), self.lengths), out)

    def score(self, query: str) -> dict[str, float]:
        scores: dict[str, float] = defaultdict(float)
        total = len(self.lengths)
        for word in words(query):
            entries = self.postings.get(word, {})
            if not entries:
                continue
            rarity = math.log(1 + total / len(entries))
            for slug, count in entries.items():
                scores[slug] += rarity * count / (count + 0.5 + 0.01 * self.lengths[slug])
        return dict(scores)


def excerpt(text: str, query: str, width: int = 80) -> str:
    wanted = set(words(query))
    for match in WORD.finditer(text):
        if fold(match[0]) in wanted:
            start = max(0, match.start() - width // 2)
            return " ".join(text[start : start + width].split())
    return " ".join(text[:width].split())


class Search:
    def __init__(self, store: Store, index: Index) -> None:
        self.store = store
        self.index = index
        if not index.load():
            self.refresh()

    def refresh(self) -> int:
        count = 0
        for note in self.store.all():
            self.index.remove(note.slug)
            self.index.add(note)
            count += 1
        self.index.save()
        return count

    def find(self, query: str, limit: int = 10) -> list[Hit]:
        scores = self.index.score(query)
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]
        return [Hit(slug, score, excerpt(self.store.read(slug).text, query)) for slug, score in best]


def export_words(index: Index, path: Path, least: int = 2) -> int:
    """One word a line with the number of notes it is in."""
    counts = {word: len(entries) for word, entries in index.postings.items() if len(entries) >= least}
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        for word, count in sorted(counts.items(), key=lambda item: -item[1]):
            out.write(f"{word}\t{count}\n")
    return len(counts)


def read_stop_words(paths: Iterable[Path]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        found |= {fold(line.strip()) for line in path.read_text("utf-8").splitlines() if line.strip()}
    return found


def main(argv: list[str]) -> int:
    folder, *query = argv
    store = Store(folder)
    search = Search(store, Index(Path(folder) / ".words.gz"))
    for hit in search.find(" ".join(query)):
        print(f"{hit.score:6.2f}  {hit.slug}\n        {hit.excerpt}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
