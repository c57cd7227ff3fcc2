from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Node:
    kind: str
    text: str = ""
    children: list[Node] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)

    def walk(self):
        yield self
        for child in self.children:
            yield from child.walk()

    def plain(self) -> str:
        return self.text + "".join(c.plain() for c in self.children)

    def replace(self, old: Node, *new: Node) -> None:
        place = self.children.index(old)
        self.children[place:place + 1] = new
