from . import markup, site
from .text import excerpt


def entry(page, base):
    return f"<entry><id>{base}/{page['slug']}</id><summary>{markup.inline(excerpt(page['body']))}</summary></entry>"


def atom(pages, base):
    newest = sorted(pages, key=lambda p: p.get("date", ""), reverse=True)[:20]
    return f"<feed><title>{site.TITLE}</title>" + "".join(entry(p, base) for p in newest) + "</feed>"
