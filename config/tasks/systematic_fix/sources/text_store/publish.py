"""Makes a small web site of the notes."""

from __future__ import annotations

import html
import os
import re
import zipfile
from collections import defaultdict
from pathlib import Path
from string import Template

from .notes import LINK, Note, Store

PAGE = "page.html"
URL = re.compile(r"https?://\S+")


class Site:
    def __init__(self, store: Store, target: Path, templates: Path) -> None:
        self.store = store
        self.target = target
        self.templates = templates
        self._template: Template | None = None

    def template(self) -> Template:
        if self._template is None:
            with open(os.path.join(self.templates, PAGE)) as handle:
                self._template = Template(handle.read())
        return self._template

    def body(self, note: Note) -> str:
        text = html.escape(note.text)
        text = URL.sub(lambda match: f'<a href="{match[0]}">{match[0]}</a>', text)
        text = LINK.sub(lambda match: f'<a href="{match[1].lower()}.html">{match[1]}</a>', text)
        return "".join(f"<p>{part}</p>" for part in text.split("\n\n"))

    def page(self, note: Note) -> Path:
        path = self.target / f"{note.slug}.html"
        document = self.template().substitute(title=html.escape(note.title), body=self.body(note))
        with path.open("w", encoding="utf-8") as out:
            out.write(document)
        return path

    def style(self) -> None:
        source = self.templates / "site.css"
        (self.target / "site.css").write_bytes(source.read_bytes())

    def tag_pages(self) -> int:
        grouped: dict[str, list[Note]] = defaultdict(list)
        for note in self.store.all():
            for tag in note.tags:
                grouped[tag].append(note)
        for tag, notes in grouped.items():
            items = "".join(f'<li><a href="{n.slug}.html">{html.escape(n.title)}</a></li>' for n in notes)
            page = self.template().substitute(title=html.escape(tag), body=f"<ul>{items}</ul>")
            Path(self.target, f"tag-{tag}.html").write_text(page, "utf-8")
        return len(grouped)

    def robots(self, allow: bool) -> None:
        with open(self.target / "robots.txt", "w", encoding="ascii") as out:
            out.write("User-agent: *\n" + ("Allow: /\n" if allow else "Disallow: /\n"))

    def build(self) -> int:
        self.target.mkdir(parents=True, exist_ok=True)
        self.style()
        pages = [self.page(note) for note in self.store.all()]
        self.tag_pages()
        self.robots(allow=True)
        return len(pages)


def pack(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w") as bundle:
        for path in sorted(folder.rglob("*.html")):
            with bundle.open(path.relative_to(folder).as_posix(), "w") as out:
                out.write(path.read_bytes())


def word_counts(folder: Path) -> dict[str, int]:
    counts = {}
    for path in folder.glob("*.txt"):
        with path.open(mode="rt") as handle:
            counts[path.stem] = sum(len(line.split()) for line in handle)
    return counts


def import_mail(mailbox: Path, store: Store) -> int:
    """One note per message of a plain mailbox file."""
    count = 0
    for part in re.split(rb"\nFrom ", mailbox.read_bytes()):
        lines = part.decode("utf-8", "replace").splitlines()
        title = next((line[9:] for line in lines if line.startswith("Subject: ")), "")
        if title:
            store.write(Note(title, "\n".join(lines)))
            count += 1
    return count
