import argparse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from . import download, feeds, library, settings


def main(argv=None):
    parser = argparse.ArgumentParser("podcatch")
    parser.add_argument("feed", nargs="+")
    options = parser.parse_args(argv)
    config = settings.load()
    shelf = library.Library()
    for url in options.feed:
        with urllib.request.urlopen(url) as reply:
            fresh = shelf.new(feeds.parse(reply.read().decode()))
        with ThreadPoolExecutor(config["parallel"]) as pool:
            got = sum(pool.map(lambda e: download.fetch(e, shelf), fresh[: config["keep"]]))
        print(f"{url}: {got} new")
