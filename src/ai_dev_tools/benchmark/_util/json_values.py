"""Types for JSON values that come from, or go to, a file or another program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
"""Any JSON value, read only: readers check its type with isinstance."""
JsonObject: TypeAlias = "dict[str, JsonValue]"
Json: TypeAlias = Any
"""A JSON value whose form the reader knows: an answer, the truth of a case, a schema, the content of a report."""
JsonFields: TypeAlias = dict[str, Json]
"""A JSON object whose fields the reader knows."""
Scalar: TypeAlias = bool | int | float | str | None
"""A JSON value that is neither an array nor an object."""


def table_in(value: object) -> Mapping[str, JsonValue]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def list_in(value: object) -> Sequence[JsonValue]:
    """The value if it is a JSON array, else an empty one."""
    return value if isinstance(value, list | tuple) else ()
