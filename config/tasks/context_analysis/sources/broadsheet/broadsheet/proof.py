from .articles import byline
from .page import Page


def sketch(page: Page) -> str:
    rows = [f"page {page.number}"]
    for slot in sorted(page.slots, key=lambda s: (s.top, s.column)):
        name = getattr(slot.what, "slug", None) or getattr(slot.what, "client", "?")
        rows.append(f"{slot.top:>4} {'.' * slot.column}{'#' * slot.width} {name}")
    return "\n".join(rows)


def credits(page: Page) -> list[str]:
    return [byline(s.what) for s in page.slots if hasattr(s.what, "authors")]
