import csv
import sys

from . import config, layout, proof
from .adverts import Advert
from .articles import Article
from .page import Page


def load(path):
    articles, adverts = [], []
    with open(path, newline="") as handle:
        for row in csv.reader(handle):
            if row[0] == "article":
                articles.append(Article(row[1], row[2], int(row[3]), row[4], int(row[5])))
            elif row[0] == "advert":
                adverts.append(Advert(row[1], row[2]))
    return articles, adverts


def main(path):
    columns = config.read()["columns"]
    articles, adverts = load(path)
    pages = [Page(n, columns) for n in range(1, 9)]
    left = layout.spread_adverts(pages, adverts)
    for slug, problem in layout.fill(pages, articles):
        print(f"{slug}: {problem}", file=sys.stderr)
    for page in pages:
        print(proof.sketch(page))
    return len(left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
