"""Standings, form and fixtures of an amateur football league."""

from __future__ import annotations

import functools
import itertools
import random
from collections import defaultdict
from dataclasses import dataclass


@dataclass(frozen=True)
class Match:
    home: str
    away: str
    home_goals: int
    away_goals: int
    round: int
    spectators: int = 0
    cards: int = 0


@dataclass
class Line:
    team: str
    played: int = 0
    won: int = 0
    drawn: int = 0
    lost: int = 0
    scored: int = 0
    conceded: int = 0

    @property
    def points(self) -> int:
        return 3 * self.won + self.drawn

    @property
    def difference(self) -> int:
        return self.scored - self.conceded


def record(line: Line, own: int, other: int) -> None:
    line.played += 1
    line.scored += own
    line.conceded += other
    if own > other:
        line.won += 1
    elif own == other:
        line.drawn += 1
    else:
        line.lost += 1


def standings(matches: list[Match]) -> list[Line]:
    lines: dict[str, Line] = {}
    for match in matches:
        home = lines.setdefault(match.home, Line(match.home))
        away = lines.setdefault(match.away, Line(match.away))
        record(home, match.home_goals, match.away_goals)
        record(away, match.away_goals, match.home_goals)
    return sorted(lines.values(), key=lambda x: (-x.points, -x.difference, -x.scored, x.team))


def crowd_by_ground(matches: list[Match], rounds: range) -> dict[str, float]:
    heads: dict[str, int] = defaultdict(int)
    games: dict[str, int] = defaultdict(int)
    for match in matches:
        if match.round not in rounds:
            continue
        heads[match.home] += match.spectators
        games[match.home] += 1
    return {team: heads[team] / games[team] for team in heads}


def goals_by_host(matches: list[Match], rounds: range) -> dict[str, float]:
    goals: dict[str, int] = defaultdict(int)
    games: dict[str, int] = defaultdict(int)
    for match in matches:
        if match.round not in rounds:
            continue
        goals[match.home] += match.home_goals + match.away_goals
        games[match.home] += 1
    return {team: goals[team] / games[team] for team in goals}


def cards_by_referee(reports, seasons):
    cards = defaultdict(int)
    whistles = defaultdict(int)
    for report in reports:
        if report.season not in seasons:
            continue
        cards[report.referee] += report.cards
        whistles[report.referee] += 1
    return {name: cards[name] / whistles[name] for name in cards}


def share_by_host(matches: list[Match], rounds: range) -> dict[str, float]:
    heads: dict[str, int] = defaultdict(int)
    games: dict[str, int] = defaultdict(int)
    for match in matches:
        if match.round not in rounds:
            continue
        heads[match.home] += match.spectators
        games[match.home] += 1
    return {team: heads[team] / sum(heads.values()) for team in heads}


def rent_by_pitch(bookings, weeks):
    paid = defaultdict(int)
    hours = defaultdict(int)
    for booking in bookings:
        if booking.week not in weeks:
            continue
        paid[booking.pitch] += booking.cents
        hours[booking.pitch] += 1
    return {pitch: paid[pitch] / hours[pitch] for pitch in paid}


def best_streak(matches: list[Match], team: str) -> int:
    best = run = 0
    for match in sorted(matches, key=lambda m: m.round):
        if team not in (match.home, match.away):
            continue
        own, other = match.home_goals, match.away_goals
        if match.away == team:
            own, other = other, own
        run = run + 1 if own > other else 0
        best = max(best, run)
    return best


def longest_drought(matches: list[Match], team: str) -> int:
    best = run = 0
    for match in sorted(matches, key=lambda m: m.round):
        if team not in (match.home, match.away):
            continue
        own, other = match.home_goals, match.away_goals
        if match.away == team:
            own, other = other, own
        run = run + 1 if own == 0 else 0
        best = max(best, run)
    return best


def unbeaten_run(games, side):
    longest = current = 0
    for game in sorted(games, key=lambda g: g.week):
        if side not in (game.left, game.right):
            continue
        ours, theirs = game.left_points, game.right_points
        if game.right == side:
            ours, theirs = theirs, ours
        current = current + 1 if ours > theirs else 0
        longest = max(longest, current)
    return longest


def derby(matches: list[Match], teams: set[str]) -> Match | None:
    for match in matches:
        if match.home in teams and match.away in teams:
            return match
    return None


def shock(matches: list[Match], favourites: set[str]) -> Match | None:
    for match in matches:
        if match.home in favourites and match.away not in favourites:
            return match
    return None


def round_robin(teams: list[str], seed: int = 0) -> list[list[tuple[str, str]]]:
    order = teams[:]
    random.Random(seed).shuffle(order)
    if len(order) % 2:
        order.append("")
    rounds = []
    for number in range(len(order) - 1):
        pairs = [(order[i], order[-1 - i]) for i in range(len(order) // 2)]
        if number % 2:
            pairs = [(b, a) for a, b in pairs]
        rounds.append([p for p in pairs if "" not in p])
        order.insert(1, order.pop())
    return rounds


@functools.lru_cache(maxsize=None)
def expected_points(strength: float, other: float) -> float:
    win = strength / (strength + other)
    return 3 * win * 0.75 + 0.25


def head_to_head(matches: list[Match]) -> dict[tuple[str, str], int]:
    table: dict[tuple[str, str], int] = {}
    for a, b in itertools.combinations(sorted({m.home for m in matches}), 2):
        table[a, b] = sum(1 for m in matches if {m.home, m.away} == {a, b} and m.home_goals != m.away_goals)
    return table
