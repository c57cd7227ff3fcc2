import re

from .options import Options
from .tree import Node
from .wrap import fill

ESCAPE = re.compile(r"\033\[\d*m")
STYLES = {"strong": "1", "emphasis": "3", "code": "36"}


def span(node: Node) -> str:
    inner = node.text + "".join(span(c) for c in node.children)
    if node.kind == "link":
        return f"{inner} <{node.attributes['to']}>"
    return f"\033[{STYLES[node.kind]}m{inner}\033[0m" if node.kind in STYLES else inner


def render(root: Node, options: Options) -> str:
    out = []
    for node in root.children:
        body = "".join(span(c) for c in node.children)
        if node.kind == "heading":
            out.append(body.upper())
        elif node.kind == "listing":
            out.append("\n".join("    " + x for x in node.text.splitlines()))
        elif node.kind in ("bullets", "numbers"):
            for index, item in enumerate(node.children, 1):
                mark = "•" if node.kind == "bullets" else f"{index}."
                out.append(mark + " " + "".join(span(c) for c in item.children))
        else:
            out.append(fill(body, options.width, options.language if options.hyphens else None))
    return "\n\n".join(out)
