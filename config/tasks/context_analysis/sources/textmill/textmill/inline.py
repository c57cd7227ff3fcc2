import re

from .tree import Node

MARK = re.compile(r"(\*{1,2}|_|`)(.+?)\1|\[([^]]+)\]\(([^)\s]+)\)|<(https?://[^>]+)>")
KINDS = {"*": "emphasis", "_": "emphasis", "**": "strong", "`": "code"}


def spans(text: str) -> list[Node]:
    nodes, position = [], 0
    for match in MARK.finditer(text):
        if match.start() > position:
            nodes.append(Node("text", text[position:match.start()]))
        mark, inner, label, target, bare = match.groups()
        if mark == "`":
            nodes.append(Node("code", inner))
        elif mark:
            nodes.append(Node(KINDS[mark], children=spans(inner)))
        else:
            nodes.append(Node("link", label or bare, attributes={"to": target or bare}))
        position = match.end()
    if position < len(text):
        nodes.append(Node("text", text[position:]))
    return nodes
