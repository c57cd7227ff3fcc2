"""Moderation queue of a forum: triage of reports, strikes against users, digests for the team."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

LINK = re.compile(r"https?://([^/\s]+)")
SHOUT = re.compile(r"[A-Z]{6,}")


@dataclass
class Post:
    number: int
    author: str
    body: str
    at: datetime
    board: str
    reports: list[str] = field(default_factory=list)
    hidden: bool = False


@dataclass
class User:
    name: str
    joined: datetime
    strikes: int = 0
    banned_until: datetime | None = None
    trusted: bool = False


def now() -> datetime:
    return datetime.now(timezone.utc)


def first_spam(posts: Iterable[Post], blocked: set[str]) -> Post | None:
    for post in posts:
        hosts = set(LINK.findall(post.body))
        if post.hidden:
            continue
        if hosts & blocked:
            return post
    return None


def first_insult(posts: Iterable[Post], words: set[str]) -> Post | None:
    for post in posts:
        used = set(post.body.lower().split())
        if post.hidden:
            continue
        if used & words:
            return post
    return None


def first_shout(posts: Iterable[Post], exempt: set[str]) -> Post | None:
    for post in posts:
        loud = set(SHOUT.findall(post.body))
        if post.hidden:
            continue
        if loud - exempt:
            return post
    return None


def first_conflict(rota: Iterable, away: set[str]) -> object | None:
    for shift in rota:
        people = set(shift.team)
        if shift.cancelled:
            continue
        if people & away:
            return shift
    return None


def bad_domain(mails: Iterable, listed: set[str]) -> object | None:
    for mail in mails:
        domains = set(LINK.findall(mail.text))
        if mail.read:
            continue
        if domains & listed:
            return mail
    return None


def first_leak(pages: Iterable, secrets: set[str]) -> object | None:
    for page in pages:
        tokens = set(WORD.findall(page.source))
        if page.private:
            continue
        if tokens & secrets:
            return page
    return None


WORD = re.compile(r"\w{8,}")


def strike(user: User, days: int, tell: Callable[[str, str], None]) -> None:
    user.strikes += 1
    if user.strikes >= 3:
        user.banned_until = now() + timedelta(days=days)
        tell(user.name, f"You are banned until {user.banned_until:%d %B}.")
    else:
        tell(user.name, f"This is strike {user.strikes}.")


def late_return(member, weeks: int, tell: Callable[[str, str], None]) -> None:
    member.late += 1
    if member.late >= 5:
        member.barred_until = now() + timedelta(weeks=weeks)
        tell(member.mail, f"No loans until {member.barred_until:%d.%m.%Y}.")
    else:
        tell(member.mail, f"Late for the {member.late}. time.")


def pardon(user: User, days: int, tell: Callable[[str, str], None]) -> None:
    user.strikes -= 1
    if user.strikes >= 3:
        user.banned_until = now() + timedelta(days=days)
        tell(user.name, f"You are banned until {user.banned_until:%d %B}.")
    else:
        tell(user.name, f"You have {user.strikes} strikes left.")


def may_post(user: User, board: str, readonly: set[str]) -> bool:
    if user.banned_until and user.banned_until > now():
        return False
    if board in readonly:
        return user.trusted
    return user.strikes < 3


def may_vote(user: User, poll: str, members_only: set[str]) -> bool:
    if user.banned_until and user.banned_until > now():
        return False
    if poll in members_only:
        return user.trusted
    return now() - user.joined > timedelta(days=30)


def digest(posts: list[Post], since: datetime) -> str:
    lines = []
    for post in sorted(posts, key=lambda p: len(p.reports), reverse=True):
        if post.at > since and post.reports:
            lines.append(f"{len(post.reports):>3} × #{post.number} by {post.author}: {post.reports[0]}")
    return "\n".join(lines[:20])


def hot_topics(topics: list, since: datetime) -> str:
    rows = []
    for topic in sorted(topics, key=lambda t: len(t.replies), reverse=True):
        if topic.opened > since and topic.replies:
            rows.append(f"{len(topic.replies):>5} {topic.slug} {topic.owner} {topic.replies[-1]}")
    return " | ".join(rows[:10])


def quiet_topics(topics: list, since: datetime) -> str:
    rows = []
    for topic in sorted(topics, key=lambda t: len(t.replies)):
        if topic.opened > since and topic.replies:
            rows.append(f"{len(topic.replies):>5} {topic.slug} {topic.owner} {topic.replies[-1]}")
    return " | ".join(rows[:10])


def busy_boards(posts: list[Post], least: int) -> list[str]:
    counts: dict[str, int] = {}
    for post in posts:
        counts[post.board] = counts.get(post.board, 0) + 1
    return [board for board, count in counts.items() if count >= least]


def hide(posts: list[Post], numbers: set[int], reason: str) -> int:
    done = 0
    for post in posts:
        if post.number in numbers and not post.hidden:
            post.hidden = True
            post.reports.append(reason)
            done += 1
    return done
