import html
import re

INLINE = [(re.compile(r"\*\*(.+?)\*\*"), r"<b>\1</b>"), (re.compile(r"`(.+?)`"), r"<code>\1</code>")]


def inline(text):
    text = html.escape(text)
    for pattern, replacement in INLINE:
        text = pattern.sub(replacement, text)
    return text


def render(body):
    out = []
    for block in body.split("\n\n"):
        if block.startswith("# "):
            out.append(f"<h2>{inline(block[2:])}</h2>")
        elif block.strip():
            out.append(f"<p>{inline(block)}</p>")
    return "\n".join(out)
