from .options import Options
from .tree import Node


def number(root: Node, options: Options) -> list[tuple[str, str]]:
    counters, contents = [0, 0, 0, 0], []
    for node in root.children:
        if node.kind != "heading":
            continue
        level = int(node.attributes["level"])
        counters[level - 1] += 1
        counters[level:] = [0] * (4 - level)
        label = ".".join(str(n) for n in counters[:level])
        contents.append((label, node.plain()))
        if options.numbering:
            node.children.insert(0, Node("text", label + " "))
    return contents
