import sys

from . import decks, progress
from .session import Session


def play(path):
    deck = decks.read(path)
    session = Session(deck)
    while session.queue:
        given = input(f"{session.queue[-1].front}: ")
        if given == ":q":
            break
        result, right = session.answer(given)
        print(result if result == "right" else f"{result}, it is {right}")
    print(progress.bar(deck))


if __name__ == "__main__":
    play(sys.argv[1])
