import pathlib
import re

SHELF = pathlib.Path("scores")
NAME = re.compile(r"(?P<composer>\w+)-(?P<title>[\w ]+?)(?:-(?P<voices>\d))?\.pdf")


def catalogue(folder=SHELF):
    found = {}
    for path in sorted(folder.glob("*.pdf")):
        match = NAME.fullmatch(path.name)
        if match:
            found[match["title"]] = (match["composer"], int(match["voices"] or 4), path)
    return found
