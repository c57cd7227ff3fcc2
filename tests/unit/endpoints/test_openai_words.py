"""What servers with OpenAI's API say of waiting, and over how many lines they spread an object."""

from __future__ import annotations

import itertools
import json
import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark._util.wire import Secrets, lines
from ai_dev_tools.benchmark.endpoints.openai_errors import error_of, read_refusal
from ai_dev_tools.benchmark.endpoints.openai_stream import chunk_of, chunks
from ai_dev_tools.benchmark.errors import MalformedResponseError, OverloadedError

SECRETS = Secrets({})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "7.5"}, 7.5),
        ({"Retry-After": "7s"}, 7.0),
        ({"retry-after-ms": "350"}, 0.35),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        *(
            ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": text}, seconds)
            for text, seconds in {"1s": 1.0, "6m0s": 360.0, "350ms": 0.35, "1h2m3.5s": 3723.5, "1d": 86400.0}.items()
        ),
    ],
)
def test_how_long_to_wait_is_read_in_all_forms(headers: dict[str, str], seconds: float | None) -> None:
    error = error_of(read_refusal(429, b"{}", SECRETS), headers)
    assert isinstance(error, OverloadedError)
    assert error.retry_after_s == (None if seconds is None else pytest.approx(seconds))


def test_a_moment_to_wait_for_is_read_as_a_date_of_http_of_iso_8601_and_of_unix() -> None:
    in_an_hour = time.time() + 3600
    iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(in_an_hour))
    for headers in (
        {"Retry-After": formatdate(in_an_hour, usegmt=True)},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": iso},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(in_an_hour))},
    ):
        wait_s = error_of(read_refusal(429, b"{}", SECRETS), headers).retry_after_s
        assert wait_s is not None and 3000 < wait_s <= 3600, headers


def streamed(objects: list[dict[str, Any]], end: bytes, indent: int | None, cuts: list[int], noise: bytes) -> list[Any]:
    """The objects as they are read from a stream that arrives in pieces."""
    events = [
        b"".join(b"data: %b" % line + end for line in json.dumps(o, indent=indent).encode().split(b"\n"))
        for o in objects
    ]
    text = (noise + end).join(event + end for event in events) + b"data: [DONE]" + end
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    return list(chunks(lines(pieces), SECRETS))


@given(
    objects=st.lists(
        st.dictionaries(st.sampled_from(["id", "choices", "usage"]), st.text(max_size=9) | st.integers(), min_size=1),
        min_size=1,
        max_size=4,
    ),
    end=st.sampled_from([b"\n", b"\r\n"]),
    indent=st.sampled_from([None, 1]),
    cuts=st.lists(st.integers(0, 10_000), max_size=6),
    noise=st.sampled_from([b"", b": keep-alive", b":", b"id: 7", b"retry: 100"]),
)
def test_a_stream_is_read_alike_however_it_is_cut_and_broken_into_lines(
    objects: list[dict[str, Any]], end: bytes, indent: int | None, cuts: list[int], noise: bytes
) -> None:
    assert streamed(objects, end, indent, cuts, noise) == [chunk_of(item) for item in objects]


@pytest.mark.parametrize(
    "text",
    [b'data: {"a": 1\n', b'data: {"a": 1\ndata: [DONE]\n', b'data: {"a"\ndata: {"b": 1}\n', b'data: {"a"\nid: 1\n',
     b"data: 5\n", b"data: nonsense\n", b"data: {\n" * 500],
)  # fmt: skip
def test_what_is_no_object_after_all_its_lines_is_malformed(text: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        list(chunks(lines([b'data: {"ok": 1}\n\n', text]), SECRETS))
