"""Text menu at the counter."""
from . import fines, holds, stats
from .base import Refusal
from .loans import Desk
from .members import Member

MENU = {"l": "lend", "r": "return", "h": "hold", "s": "statistics", "q": "quit"}


def serve(desk: Desk, members: dict[str, Member], things: dict, ask=input) -> None:
    while (key := ask("/".join(MENU.values()) + " ")) != "q":
        try:
            if key == "s":
                print(stats.monthly(desk))
                continue
            thing = things[ask("thing ")]
            if key == "r":
                print(fines.charge(desk.take_back(thing)))
                continue
            member = members[ask("member ")]
            if key == "l":
                print(desk.lend(member, thing).due)
            elif key == "h":
                print(holds.place(member, thing))
        except Refusal as why:
            print(f"{why}: {why.hint}" if why.hint else why)
        except KeyError:
            print("unknown")
