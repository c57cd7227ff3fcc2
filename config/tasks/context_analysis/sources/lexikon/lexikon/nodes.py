from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Name:
    text: str


@dataclass(frozen=True)
class Binary:
    op: str
    left: Any
    right: Any


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple
