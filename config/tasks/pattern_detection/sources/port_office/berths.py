"""Berths, pilots and tugs: what the harbour master's office plans from day to day."""
from __future__ import annotations

import heapq
import itertools
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

log = logging.getLogger("port.berths")

HOUR = timedelta(hours=1)


class PlanError(Exception):
    """The plan cannot be made as it was asked for."""


class TideError(PlanError):
    """There is not enough water."""


@dataclass(frozen=True, order=True)
class Call:
    """One visit of one ship."""

    arrives: datetime
    ship: str
    length: float
    draught: float
    cargo: str
    hours: float
    dangerous: bool = False


@dataclass
class Berth:
    name: str
    length: float
    depth: float
    cranes: int
    cargoes: frozenset[str]
    plan: list[tuple[datetime, datetime, str]] = field(default_factory=list)

    def free_from(self, moment: datetime, hours: float) -> datetime:
        """The first moment at which the berth is free for so many hours."""
        start = moment
        for begin, end, _ in sorted(self.plan):
            if begin - start >= timedelta(hours=hours):
                return start
            start = max(start, end + HOUR)
        return start

    def occupied(self, first: datetime, last: datetime) -> float:
        """Share of a period in which a ship lies here."""
        seconds = 0.0
        for begin, end, _ in self.plan:
            overlap = min(end, last) - max(begin, first)
            if overlap > timedelta(0):
                seconds += overlap.total_seconds()
        return seconds / (last - first).total_seconds()


@dataclass
class Crane:
    name: str
    reach: float
    tonnes_per_hour: float
    repairs: list[tuple[datetime, datetime, str]] = field(default_factory=list)

    def broken(self, first: datetime, last: datetime) -> float:
        lost = 0.0
        for begin, end, _ in self.repairs:
            overlap = min(end, last) - max(begin, first)
            if overlap > timedelta(0):
                lost += overlap.total_seconds()
        return lost / (last - first).total_seconds()

    def available(self, moment: datetime) -> bool:
        return not any(begin <= moment < end for begin, end, _ in self.repairs)


def water_at(tides: list[tuple[datetime, float]], moment: datetime) -> float:
    """Height of the tide, by cosine between high and low water."""
    for (t0, h0), (t1, h1) in itertools.pairwise(tides):
        if t0 <= moment <= t1:
            share = (moment - t0) / (t1 - t0)
            return h0 + (h1 - h0) * (1 - math.cos(math.pi * share)) / 2
    raise TideError(f"no tide table for {moment:%d %b %H:%M}")


def next_window(tides: list[tuple[datetime, float]], start: datetime, depth: float, draught: float) -> datetime:
    moment = start
    for _ in range(96):
        if depth + water_at(tides, moment) >= draught * 1.1:
            return moment
        moment += timedelta(minutes=15)
    raise TideError(f"no water for {draught} m within a day")


def suitable(berths: Iterable[Berth], call: Call) -> Iterator[Berth]:
    for berth in berths:
        if berth.length < call.length * 1.15:
            log.debug("%s is too short for %s", berth.name, call.ship)
            continue
        if call.cargo not in berth.cargoes:
            continue
        yield berth


def assign(calls: list[Call], berths: list[Berth], tides: list[tuple[datetime, float]]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for call in sorted(calls):
        best: tuple[datetime, Berth] | None = None
        for berth in suitable(berths, call):
            start = berth.free_from(call.arrives, call.hours)
            try:
                start = next_window(tides, start, berth.depth, call.draught)
            except TideError:
                continue
            if best is None or start < best[0]:
                best = (start, berth)
        if best is None:
            raise PlanError(f"no berth for {call.ship}")
        start, berth = best
        berth.plan.append((start, start + timedelta(hours=call.hours), call.ship))
        chosen[call.ship] = berth.name
    return chosen


def request_pilot(roster, call, attempts=3):
    """Ask the pilots' exchange until somebody takes the job."""
    refused = []
    for turn in range(attempts):
        try:
            pilot = roster.offer(call.ship, call.arrives)
            roster.confirm(pilot, call.ship)
            return pilot
        except PlanError as no:
            refused.append(str(no))
            call = roster.later(call, minutes=30 * turn)
    raise PlanError("; ".join(refused))


def request_tugs(pool, call, attempts=4):
    answers = []
    for number in range(attempts):
        try:
            tugs = pool.book(call.ship, call.length)
            pool.announce(tugs, call.ship)
            return tugs
        except PlanError as reason:
            answers.append(str(reason))
            call = pool.delay(call, minutes=20 * number)
    raise PlanError(" / ".join(answers))


def request_linesmen(gang, call, attempts=3):
    refused = []
    for turn in range(attempts):
        try:
            crew = gang.offer(call.ship, call.arrives)
            gang.confirm(crew, call.ship)
            return crew
        except PlanError as no:
            refused.append(str(no))
            call = gang.later(call, minutes=30 + turn)
    raise PlanError("; ".join(refused))


def queue_outside(calls: list[Call], now: datetime, limit: int) -> list[str]:
    heap: list[tuple[float, str]] = []
    for call in calls:
        if call.arrives > now:
            continue
        waiting = (now - call.arrives) / HOUR
        heapq.heappush(heap, (-waiting, call.ship))
    return [ship for _, ship in heapq.nsmallest(limit, heap)]


def congested(berths: list[Berth], first: datetime, last: datetime, share: float = 0.8) -> list[str]:
    names = []
    for berth in berths:
        if berth.occupied(first, last) > share:
            names.append(berth.name)
    return names


def by_cargo(calls: list[Call]) -> dict[str, list[str]]:
    ships: dict[str, list[str]] = defaultdict(list)
    for call in sorted(calls):
        ships[call.cargo].append(call.ship)
    return dict(ships)
