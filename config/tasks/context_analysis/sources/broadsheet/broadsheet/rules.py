from .adverts import Advert
from .articles import Article

COMPETITORS = {frozenset(("Miller Cars", "Auto Schmidt")), frozenset(("Corner Bank", "Savings & Loan"))}
SENSITIVE = {"crash": {"Miller Cars", "Auto Schmidt"}, "strike": {"City Transit"}}


def may_stand_beside(article: Article, advert: Advert) -> bool:
    for word, clients in SENSITIVE.items():
        if word in article.headline.lower() and advert.client in clients:
            return False
    return True


def complete(article: Article) -> list[str]:
    missing = []
    if not article.headline:
        missing.append("headline")
    if article.rank <= 2 and article.photo is None:
        missing.append("photo")
    return missing
