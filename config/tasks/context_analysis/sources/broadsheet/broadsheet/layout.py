import itertools

from .adverts import Advert, clash
from .articles import Article
from .page import Page
from .rules import complete, may_stand_beside


def spread_adverts(pages: list[Page], adverts: list[Advert]) -> list[Advert]:
    left = []
    for advert in adverts:
        for page in pages:
            others = [s.what for s in page.slots if isinstance(s.what, Advert)]
            if any(clash(advert, o) for o in others):
                continue
            if page.put_advert(advert):
                break
        else:
            left.append(advert)
    return left


def best_width(article: Article, columns: int) -> int:
    if article.rank == 1:
        return columns
    return 2 if article.rank <= 3 or article.photo else 1


def fill(pages: list[Page], articles: list[Article], strict: bool = True) -> list[tuple[str, str]]:
    problems = []
    for article in sorted(articles, key=lambda a: (a.rank, -a.words)):
        missing = complete(article)
        if missing and (strict or article.rank == 1):
            problems.append((article.slug, "no " + " and no ".join(missing)))
            continue
        width = min(best_width(article, pages[0].columns), pages[0].columns)
        for page, shift in itertools.product(pages, range(pages[0].columns)):
            if shift + width > page.columns:
                continue
            if article.rank == 1 and page.number != 1:
                continue
            adverts = [s.what for s in page.slots if isinstance(s.what, Advert)]
            if not all(may_stand_beside(article, a) for a in adverts):
                continue
            if page.put_article(article, shift, width):
                break
        else:
            problems.append((article.slug, "no room"))
    return problems
