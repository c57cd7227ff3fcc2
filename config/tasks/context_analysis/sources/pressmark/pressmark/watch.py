import time

from . import text


def stamp(folder):
    return {text.slug(str(p)): p.stat().st_mtime for p in folder.rglob("*.md")}


def follow(folder, action):
    seen = stamp(folder)
    while True:
        time.sleep(1)
        now = stamp(folder)
        if now != seen:
            action()
            seen = now
