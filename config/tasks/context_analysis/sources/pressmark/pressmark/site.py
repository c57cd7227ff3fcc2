from pathlib import Path

from .feed import atom
from .front import split
from .markup import render

try:
    from .watch import follow
except ImportError:
    follow = None


TITLE = "Notes"


def load(folder: Path):
    for path in sorted(folder.rglob("*.md")):
        meta, body = split(path.read_text(encoding="utf-8"), path.stem)
        if not meta.get("draft"):
            yield {**meta, "body": body}


def build(source: Path, target: Path, base: str, keep: bool = False) -> int:
    pages = list(load(source))
    for page in pages:
        place = target / page["slug"]
        place.mkdir(parents=True, exist_ok=True)
        (place / "index.html").write_text(render(page["body"]), encoding="utf-8")
    (target / "feed.xml").write_text(atom(pages, base), encoding="utf-8")
    if keep and follow:
        follow(source, lambda: build(source, target, base))
    return len(pages)
