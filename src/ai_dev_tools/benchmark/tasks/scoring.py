"""Score answers: scorers compare one field with the truth; a score is their weighted mean, 0 to 1.

A scorer never raises, no matter what a model answers: a missing field or a wrong type scores 0. Each normalisation is
applied to both sides. Light imports only: block jobs use this module.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark._util.text import visible_line
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.plugins import SCORERS, scorer
from ai_dev_tools.benchmark.tasks.answers import MAX_DEPTH as MAX_DEPTH
from ai_dev_tools.benchmark.tasks.answers import parse_answer as parse_answer

NORMALISATIONS: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "strip": str.strip,
    "basename": lambda text: re.split(r"[/\\]", text)[-1],
    "no_parens": lambda text: text.split("(")[0],
    "last_name": lambda text: re.split(r"[.:]", text)[-1],
    "collapse": lambda text: " ".join(text.split()),
}
"""lower: lower case; strip: no space around; basename: after the last slash; no_parens: `f(x)` -> `f`;
last_name: `Class.method` -> `method`; collapse: runs of white space become one space."""


def _normalised(value: object, names: Sequence[str]) -> object:
    if isinstance(value, str):
        for name in names:
            value = NORMALISATIONS[name](value)
    return value


@scorer("exact")
def exact(expected: object, actual: object, normalise: Sequence[str] = ()) -> float:
    """1 if both are the same JSON value (types count: `1` is not `"1"` nor `true`), else 0."""
    left, right = _normalised(expected, normalise), _normalised(actual, normalise)
    return float(_key(left) == _key(right))


@scorer("choice")
def choice(expected: object, actual: object) -> float:
    """1 if both are the same word, ignoring case and surrounding space, else 0."""
    return exact(expected, actual, normalise=("strip", "lower"))


@scorer("number")
def number(expected: object, actual: object, tolerance: float = 0.0, relative: float = 0.0) -> float:
    """1 if the numbers differ by at most `tolerance`, or `relative` of the expected one, else 0."""
    if not isinstance(expected, int | float) or not isinstance(actual, int | float):
        return 0.0
    if isinstance(expected, bool) or isinstance(actual, bool):
        return 0.0
    try:
        if not (math.isfinite(expected) and math.isfinite(actual)):
            return 0.0
        return float(abs(expected - actual) <= max(tolerance, relative * abs(expected)))
    except OverflowError:
        return 0.0


@scorer("contains")
def contains(expected: object, actual: object) -> float:
    """1 if the expected text occurs in the answer, ignoring case and runs of white space, else 0."""
    if not isinstance(expected, str) or not isinstance(actual, str):
        return 0.0
    rules = ("lower", "collapse")
    return float(str(_normalised(expected, rules)) in str(_normalised(actual, rules)))


@scorer("set_f1")
def set_f1(expected: object, actual: object, normalise: Sequence[str] = ()) -> float:
    """F1 of the answered set against the expected one; both empty is 1, one empty is 0.

    Order and repetition do not count.
    """
    if not isinstance(expected, list) or not isinstance(actual, list):
        return 0.0
    truth = {_key(_normalised(item, normalise)) for item in expected}
    answer = {_key(_normalised(item, normalise)) for item in actual}
    if not truth and not answer:
        return 1.0
    return 2 * len(truth & answer) / (len(truth) + len(answer))


@scorer("partition")
def partition(expected: object, actual: object, normalise: Sequence[str] = ()) -> float:
    """Adjusted Rand index (Hubert & Arabie 1985) of two groupings, clipped to 0..1.

    Groups are lists of names. A name in no group forms its own group; a name in several groups counts in the first.
    """
    truth, answer = _labels(expected, normalise), _labels(actual, normalise)
    if truth is None or answer is None:
        return 0.0
    items = sorted(truth.keys() | answer.keys(), key=repr)
    alone = {item: ("alone", item) for item in items}
    return adjusted_rand([truth.get(i, alone[i]) for i in items], [answer.get(i, alone[i]) for i in items])


def adjusted_rand(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Adjusted Rand index of two labellings of the same items, negative values clipped to 0."""
    pairs = math.comb(len(first), 2)
    both = sum(math.comb(count, 2) for count in Counter(zip(first, second, strict=True)).values())
    left = sum(math.comb(count, 2) for count in Counter(first).values())
    right = sum(math.comb(count, 2) for count in Counter(second).values())
    if left == right == both:
        return 1.0
    chance = left * right / pairs
    return max(0.0, (both - chance) / ((left + right) / 2 - chance))


def _labels(groups: object, normalise: Sequence[str]) -> dict[Hashable, Hashable] | None:
    if not isinstance(groups, list) or not all(isinstance(group, list) for group in groups):
        return None
    labels: dict[Hashable, Hashable] = {}
    for index, group in enumerate(groups):
        for item in group:
            labels.setdefault(_key(_normalised(item, normalise)), index)
    return labels


def _key(value: object) -> str:
    """A hashable form in which JSON values are equal only if they are the same value."""
    return json.dumps(value, sort_keys=True)


class ScorerFailed(ConfigurationError):
    """A plugin's scorer raised, or gave no number from 0 to 1."""


def score_fields(answer: object, truth: JsonObject, rules: Sequence[JsonObject]) -> dict[str, float]:
    """The score of each scored field.

    Args:
        answer: the parsed answer, anything.
        truth: expected value of each scored field.
        rules: one mapping per field: `field`, `scorer`, optional `weight` and the scorer's own parameters.

    Raises:
        ScorerFailed: a plugin's scorer did.
        ConfigurationError: no such scorer.
    """
    given = answer if isinstance(answer, dict) else {}
    return {
        field: _score(rule, truth[field], given[field]) if field in given else 0.0
        for rule, field in ((rule, str(rule["field"])) for rule in rules)
    }


def _score(rule: JsonObject, expected: object, actual: object) -> float:
    found = SCORERS.find(str(rule["scorer"]))
    parameters = {key: value for key, value in rule.items() if key not in ("field", "scorer", "weight")}
    if found.built_in:
        return found.function(expected, actual, **parameters)
    try:
        score = float(found.function(expected, actual, **parameters))
    except Exception as error:
        problem = f"raised {type(error).__name__}: {visible_line(error)[:200]}"
    else:
        if 0 <= score <= 1:
            return score
        problem = f"gave {score:g}, which is not a number from 0 to 1"
    raise ScorerFailed(
        f"scorer '{found.name}' ({found.origin}) {problem}",
        remedy="Correct it and run again: existing answers are scored again, and nothing is asked again",
    )


def custom_scorers(rules: Sequence[JsonObject]) -> list[str]:
    """Those scorers that do not come with this package: a plugin's, loaded or not."""
    names = [str(rule["scorer"]) for rule in rules]
    return [name for name in names if name not in SCORERS or not SCORERS[name].built_in]


def score_answer(answer: object, truth: JsonObject | None, rules: Sequence[JsonObject]) -> float | None:
    """Weighted mean of the fields' scores, 0 to 1; None if there is no truth to compare with.

    Raises as `score_fields`.
    """
    if not truth or not rules:
        return None
    scores = score_fields(answer, truth, rules)
    weights = [float(str(rule.get("weight", 1))) for rule in rules]
    return sum(w * scores[str(rule["field"])] for w, rule in zip(weights, rules, strict=True)) / sum(weights)
