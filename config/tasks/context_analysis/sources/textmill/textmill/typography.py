from .options import Options
from .tree import Node

QUOTES = {"english": "“”", "german": "„“", "french": "«»"}


def quotes(text: str, style: str) -> str:
    opening, closing = QUOTES[style]
    out, is_open = [], False
    for char in text:
        if char == '"':
            out.append(closing if is_open else opening)
            is_open = not is_open
        else:
            out.append(char)
    return "".join(out)


def polish(root: Node, options: Options) -> None:
    for node in root.walk():
        if node.kind == "text":
            node.text = quotes(node.text, options.quotes).replace("...", "…").replace(" - ", " – ")
