from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Article:
    slug: str
    headline: str
    words: int
    desk: str
    rank: int = 5
    photo: tuple[int, int] | None = None
    deadline: datetime | None = None
    authors: list[str] = field(default_factory=list)

    def lines(self, per_line: float = 5.5) -> int:
        return -(-self.words // per_line).__trunc__() if self.words else 0


def byline(article: Article) -> str:
    names = article.authors
    if not names:
        return "Staff"
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
