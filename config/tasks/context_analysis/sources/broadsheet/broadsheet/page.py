from dataclasses import dataclass, field

from .adverts import SIZES, Advert
from .articles import Article


@dataclass
class Slot:
    column: int
    top: int
    width: int
    height: int
    what: object = None


@dataclass
class Page:
    number: int
    columns: int
    height: int = 480
    slots: list[Slot] = field(default_factory=list)

    def filled(self, column: int) -> int:
        return max((s.top + s.height for s in self.slots if s.column <= column < s.column + s.width), default=0)

    def room(self, column: int, width: int) -> int:
        return self.height - max(self.filled(c) for c in range(column, column + width))

    def put_advert(self, advert: Advert) -> bool:
        width, height = SIZES[advert.size]
        width = min(width, self.columns)
        column = self.columns - width
        if self.room(column, width) < height:
            return False
        top = max(self.filled(c) for c in range(column, column + width))
        self.slots.append(Slot(column, top, width, height, advert))
        return True

    def put_article(self, article: Article, column: int, width: int) -> bool:
        height = article.lines() * 4 // width + 24
        if article.photo:
            height += article.photo[1]
        if self.room(column, width) < height:
            return False
        top = max(self.filled(c) for c in range(column, column + width))
        self.slots.append(Slot(column, top, width, height, article))
        return True
