"""Why a request has no complete answer, and how the fields of records are described."""

from __future__ import annotations

from typing import Annotated

import msgspec


def described(text: str, unit: str = "") -> msgspec.Meta:
    """What the reference of the sample file says of a field."""
    return msgspec.Meta(description=text, extra={"unit": unit})


class SampleError(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Why a sample has no complete answer."""

    class_: Annotated[str, described("error class, see the reference of errors")] = msgspec.field(name="class")
    message: Annotated[str, described("one line for people")]
