import re
import secrets

FORM = re.compile(r"(?P<year>\d{4})-(?P<kind>[CAE])-(?P<number>\d{5})")


def new(year, kind, used):
    while True:
        candidate = f"{year}-{kind}-{secrets.randbelow(100_000):05d}"
        if candidate not in used:
            return candidate


def split(text):
    match = FORM.fullmatch(text.strip().upper())
    if not match:
        raise ValueError(f"{text!r} is no docket number")
    return int(match["year"]), match["kind"], int(match["number"])
