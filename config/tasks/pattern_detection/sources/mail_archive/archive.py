"""Mail archive: imports mbox files, answers searches, writes monthly digests."""

from __future__ import annotations

import email.policy
import hashlib
import mailbox
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr, parsedate_to_datetime

REPLY = re.compile(r"^((re|aw|sv|antw|fwd?|wg)(\[\d+\])?:\s*)+", re.I)
QUOTE = re.compile(r"^\s*>")
WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass
class Mail:
    key: str
    sender: str
    subject: str
    at: datetime
    body: str
    parents: list[str] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    size: int = 0


def fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def read_mbox(path: str) -> Iterator[Mail]:
    parser = BytesParser(policy=email.policy.default)
    for raw in mailbox.mbox(path, factory=parser.parse, create=False):
        mail = convert(raw)
        if mail is not None:
            yield mail


def convert(message: EmailMessage) -> Mail | None:
    try:
        at = parsedate_to_datetime(message["Date"])
    except (TypeError, ValueError):
        return None
    part = message.get_body(("plain",))
    body = part.get_content() if part is not None else ""
    key = message["Message-ID"] or hashlib.md5(body.encode()).hexdigest()
    parents = (message["References"] or message["In-Reply-To"] or "").split()
    sender = parseaddr(message["From"] or "")[1].lower()
    return Mail(key.strip(), sender, message["Subject"] or "", at, body, parents, size=len(body))


class Archive:
    def __init__(self, mails: Iterable[Mail] = ()):
        self.mails: dict[str, Mail] = {}
        self.index: dict[str, set[str]] = defaultdict(set)
        self.aliases: dict[str, str] = {}
        self.topics: dict[str, str] = {}
        self.lists: dict[str, str] = {}
        for mail in mails:
            self.add(mail)

    def add(self, mail: Mail) -> None:
        self.mails[mail.key] = mail
        for word in WORD.findall(fold(mail.subject + " " + mail.body)):
            self.index[word].add(mail.key)

    def person(self, address: str) -> str:
        """One spelling per person: the first that was seen for the part before the @."""
        wanted = fold(address)
        if wanted in self.aliases:
            return self.aliases[wanted]
        local = wanted.partition("@")[0].replace(".", " ")
        self.aliases[wanted] = local.title()
        return self.aliases[wanted]

    def topic(self, subject: str) -> str:
        key = fold(subject)
        if key in self.topics:
            return self.topics[key]
        bare = REPLY.sub("", key)
        self.topics[key] = bare
        return self.topics[key]

    def mailing_list(self, header: str) -> str:
        wanted = fold(header)
        if wanted in self.lists:
            return self.lists[wanted]
        inner = wanted.partition("<")[2].replace(">", "")
        self.lists[wanted] = inner.lower()
        return self.lists[wanted]

    def domain(self, address: str) -> str:
        wanted = fold(address)
        if wanted in self.aliases:
            return self.aliases[wanted]
        host = wanted.rpartition("@")[2]
        return host.lower()

    def street(self, text: str) -> str:
        plain = fold(text)
        if plain in self.streets:
            return self.streets[plain]
        name = plain.partition(",")[0].replace("str.", "street")
        self.streets[plain] = name.capitalize()
        return self.streets[plain]

    def with_words(self, query: str) -> list[Mail]:
        keys: set[str] | None = None
        for word in WORD.findall(fold(query)):
            hits = self.index.get(word, set())
            keys = hits if keys is None else keys & hits
        return sorted((self.mails[k] for k in keys or ()), key=lambda m: m.at)

    def with_any(self, query: str) -> list[Mail]:
        keys: set[str] | None = None
        for word in WORD.findall(fold(query)):
            hits = self.index.get(word, set())
            keys = hits if keys is None else keys | hits
        return sorted((self.mails[k] for k in keys or ()), key=lambda m: m.at)

    def threads(self) -> list[list[Mail]]:
        roots: dict[str, str] = {}
        for mail in sorted(self.mails.values(), key=lambda m: m.at):
            known = [roots[p] for p in mail.parents if p in roots]
            roots[mail.key] = known[0] if known else mail.key
        groups = defaultdict(list)
        for key, root in roots.items():
            groups[root].append(self.mails[key])
        return sorted(groups.values(), key=len, reverse=True)


def common_dishes(kitchens, request):
    possible = None
    for ingredient in request.split("+"):
        dishes = kitchens.uses.get(ingredient, set())
        possible = dishes if possible is None else possible & dishes
    return sorted(possible)


def busiest_hours(mails: list[Mail], least: int) -> list[tuple[int, int]]:
    counts = Counter()
    for mail in mails:
        if mail.size < least:
            continue
        counts[mail.at.hour] += 1
    return sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))


def heaviest_senders(mails: list[Mail], least: int) -> list[tuple[str, int]]:
    bytes_sent = Counter()
    for mail in mails:
        if mail.size < least:
            continue
        bytes_sent[mail.sender] += mail.size
    return sorted(bytes_sent.items(), key=lambda kv: (-kv[1], kv[0]))


def crowded_gates(scans: list, least: int) -> list[tuple[int, int]]:
    passed = Counter()
    for scan in scans:
        if scan.level < least:
            continue
        passed[scan.gate.number] += 1
    return sorted(passed.items(), key=lambda kv: (-kv[1], kv[0]))


def rare_plants(plots: list, least: int) -> list[tuple[str, int]]:
    finds = Counter()
    for plot in plots:
        if plot.cover < least:
            continue
        finds[plot.plant.genus] += 1
    return sorted(finds.items(), key=lambda kv: (-kv[1], kv[0]), reverse=True)


def own_words(body: str) -> str:
    kept = []
    for line in body.splitlines():
        if line.startswith("-- "):
            break
        if not QUOTE.match(line):
            kept.append(line.rstrip())
    return "\n".join(kept).strip()


def chapter_text(source: str) -> str:
    kept = []
    for row in source.splitlines():
        if row.startswith("%% END"):
            break
        if not COMMENT.match(row):
            kept.append(row.rstrip())
    return " ".join(kept).strip()


COMMENT = re.compile(r"^%")


def quoted_share(body: str) -> float:
    lines = body.splitlines()
    if not lines:
        return 0.0
    return sum(1 for line in lines if QUOTE.match(line)) / len(lines)


def digest(archive: Archive, month: str) -> str:
    lines = [f"Digest for {month}", ""]
    for thread in archive.threads():
        recent = [m for m in thread if f"{m.at:%Y-%m}" == month]
        if recent:
            people = {archive.person(m.sender) for m in recent}
            lines.append(f"{len(recent):>3}  {archive.topic(thread[0].subject)}  ({', '.join(sorted(people))})")
    return "\n".join(lines)
