"""Read untrusted YAML with the C parser, within limits that apply before anything is built from it."""

from __future__ import annotations

from typing import Any

import yaml

from ai_dev_tools.benchmark._util.json_values import Json
from ai_dev_tools.benchmark.archive.limits import LIMITS, ArchiveError, ArchiveLimits

DEEPEST = 30
MOST_NODES = 10_000
LONGEST_NUMBER = 100
"""Digits and colons; a number of base 60 (1:59:59…) is read in time that grows with the square of its length."""
_NUMBER = frozenset("0123456789:_.+-")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNREADABLE = (yaml.YAMLError, ValueError, RecursionError, TypeError, OverflowError)


def yaml_data(text: bytes, where: str, limits: ArchiveLimits = LIMITS) -> Json:
    """The data of a YAML document.

    Raises:
        ArchiveError: it is not YAML, or not like any settings of this project: too long, too deep, or with aliases.
    """
    if len(text) > limits.settings:
        raise ArchiveError(f"{where} is larger than {limits.settings} bytes")
    try:
        _refuse_costly(text, where)
        return yaml.load(text, Loader=_LOADER)
    except _UNREADABLE as error:
        mark = getattr(error, "problem_mark", None)
        at = f" line {mark.line + 1}" if mark else ""
        said = str(getattr(error, "problem", None) or error) or type(error).__name__
        raise ArchiveError(f"{where}{at} is not valid YAML ({said.splitlines()[0][:120]})") from None


def _refuse_costly(text: bytes, where: str) -> None:
    """Go through the events one by one, which takes no memory, and stop at the first one beyond a limit."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise ArchiveError(f"{where} has YAML aliases, which no config of an archive has")
        if (
            isinstance(event, yaml.ScalarEvent)
            and len(event.value) > LONGEST_NUMBER
            and _NUMBER.issuperset(event.value)
        ):
            raise ArchiveError(f"{where} has a number of more than {LONGEST_NUMBER} digits")
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if nodes > MOST_NODES:
            raise ArchiveError(f"{where} has more than {MOST_NODES} values")
        if depth > DEEPEST:
            raise ArchiveError(f"{where} is nested more than {DEEPEST} deep")
