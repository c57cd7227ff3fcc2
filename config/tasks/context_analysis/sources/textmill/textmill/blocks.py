import re

from . import inline
from .tree import Node

HEADING = re.compile(r"(#{1,4})\s+(.*)")
BULLET = re.compile(r"\s*[-*]\s+(.*)")
NUMBERED = re.compile(r"\s*\d+[.)]\s+(.*)")


def flush(root: Node, lines: list[str]) -> None:
    if lines:
        root.children.append(Node("paragraph", children=inline.spans(" ".join(lines))))
        lines.clear()


def parse(source: str) -> Node:
    root, lines, fence = Node("document"), [], None
    for line in source.splitlines():
        if fence is not None:
            if line.startswith("```"):
                root.children.append(fence)
                fence = None
            else:
                fence.text += line + "\n"
            continue
        if line.startswith("```"):
            flush(root, lines)
            fence = Node("listing", attributes={"language": line[3:].strip()})
            continue
        heading = HEADING.match(line)
        bullet, numbered = BULLET.match(line), NUMBERED.match(line)
        if heading:
            flush(root, lines)
            level = str(len(heading[1]))
            root.children.append(Node("heading", children=inline.spans(heading[2]), attributes={"level": level}))
        elif bullet or numbered:
            flush(root, lines)
            kind = "bullets" if bullet else "numbers"
            if not root.children or root.children[-1].kind != kind:
                root.children.append(Node(kind))
            root.children[-1].children.append(Node("item", children=inline.spans((bullet or numbered)[1])))
        elif line.strip():
            lines.append(line.strip())
        else:
            flush(root, lines)
    flush(root, lines)
    if fence is not None:
        root.children.append(fence)
    return root
