"""The panel of people who are asked: invitations, reminders, draws."""

from __future__ import annotations

import random
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from email.message import EmailMessage
from functools import partial

from .questions import Survey


def now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class Person:
    mail: str
    born: int
    region: str
    languages: tuple[str, ...] = ("en",)
    invited: list[datetime] = field(default_factory=list)
    answered: dict[str, datetime] = field(default_factory=dict)

    def age(self, on: date) -> int:
        return on.year - self.born

    def tired(self, within: timedelta = timedelta(days=30), most: int = 2) -> bool:
        return sum(at > now() - within for at in self.invited) >= most


class Panel:
    def __init__(self, people: Iterable[Person] = (), *, rng: random.Random | None = None) -> None:
        self.people = {person.mail: person for person in people}
        self.rng = rng or random.Random()
        self.tokens: dict[str, tuple[str, str]] = {}

    def draw(self, count: int, accept: Callable[[Person], bool] = lambda person: True) -> list[Person]:
        pool = [person for person in self.people.values() if accept(person) and not person.tired()]
        return self.rng.sample(pool, k=min(count, len(pool)))

    def quota(self, count: int, shares: dict[str, float], skip: frozenset[str] = frozenset()) -> list[Person]:
        """People by region, in the given shares."""
        chosen: list[Person] = []
        for region, share in shares.items():
            if region in skip:
                continue
            chosen += self.draw(round(count * share), accept=partial(lives_in, region=region))
        return chosen

    def invite(self, person: Person, survey: Survey, base: str = "https://survey.example") -> EmailMessage:
        token = secrets.token_urlsafe(16)
        self.tokens[token] = (person.mail, survey.name)
        person.invited.append(now())
        message = EmailMessage()
        message["To"] = person.mail
        message["Subject"] = f"A survey: {survey.name}"
        message.set_content(f"Until {survey.closes:%d %B} you can answer at {base}/{token}\n")
        return message

    def answer(self, token: str) -> Person:
        mail, name = self.tokens.pop(token)
        person = self.people[mail]
        person.answered[name] = now()
        return person

    def silent(self, survey: Survey, after: timedelta = timedelta(days=7)) -> list[Person]:
        waiting = {mail for mail, name in self.tokens.values() if name == survey.name}
        limit = now() - after
        return [self.people[mail] for mail in sorted(waiting) if self.people[mail].invited[-1] < limit]

    def turnout(self, survey: Survey, groups: Sequence[str] | None = None) -> dict[str, float]:
        asked: Counter[str] = Counter()
        came: Counter[str] = Counter()
        for person in self.people.values():
            if not person.invited or (groups is not None and person.region not in groups):
                continue
            asked[person.region] += 1
            came[person.region] += survey.name in person.answered
        return {region: came[region] / count for region, count in asked.items()}


def lives_in(person: Person, region: str) -> bool:
    return person.region == region


def send_slowly(messages: Iterable[EmailMessage], send: Callable[[EmailMessage], None], wait: Callable[[], None]) -> int:
    queue, count = deque(messages), 0
    while queue:
        send(queue.popleft())
        count += 1
        if queue:
            wait()
    return count


def merge(first: Panel, second: Panel, prefer: Callable[[Person, Person], Person] = max) -> Panel:
    people = dict(first.people)
    for mail, person in second.people.items():
        people[mail] = prefer(people[mail], person) if mail in people else person
    return Panel(people.values())
