"""How long a server asks to wait, in every form in which servers say it, and that all threads of a block do."""

from __future__ import annotations

import math
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark._util.wire import Secrets
from ai_dev_tools.benchmark.endpoints.ollama_client import status_error
from ai_dev_tools.benchmark.endpoints.openai_errors import error_of, read_refusal
from ai_dev_tools.benchmark.endpoints.pacing import span_s, used_up_s, wait_s

YEAR_S = 366 * 86_400.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset-requests": "2s"}, 2),
        ({"x-ratelimit-reset-tokens": "350ms"}, 0.35),
        ({"X-RateLimit-Reset-Requests": "2s", "X-RateLimit-Reset-Tokens": "6m0s"}, 2),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-reset-tokens": "1h0m0s"}, 360),
        ({"ratelimit-reset": "30"}, 30),
        ({"RateLimit-Reset": "30", "RateLimit-Remaining": "0"}, 30),
        ({"x-ratelimit-reset-after": "1.5"}, 1.5),
        ({"x-ratelimit-reset-ms": "1500"}, 1.5),
        ({"x-rate-limit-reset": "4"}, 4),
        ({"x-ratelimit-minute-reset": "12", "x-ratelimit-minute-remaining": "0", "x-ratelimit-day-reset": "80000",
          "x-ratelimit-day-remaining": "9"}, 12),
        ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "7s"}, 7),
        ({"ratelimitbysize-reset": "9", "ratelimitbysize-remaining": "0"}, 9),
        ({"RateLimit": "limit=10, remaining=0, reset=5"}, 5),
        ({"RateLimit": '"burst";r=0;t=5, "day";r=3;t=60000'}, 5),
        ({"RateLimit-Policy": '"burst";q=100;w=60'}, None),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "40s"}, 40),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "9h"}, None),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "3s", "x-ratelimit-remaining-requests": "0",
          "x-ratelimit-reset-requests": "2s"}, 2),
        ({"retry-after-ms": "350", "x-ratelimit-reset-requests": "2s"}, 0.35),
        ({"Retry-After": "0", "x-ratelimit-reset-requests": "2s"}, 2),
        ({"Retry-After": "soon", "x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-limit-requests": "60"}, None),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_is_obeyed_whichever_header_names_the_wait(
    status: int, headers: dict[str, str], seconds: float | None
) -> None:
    for error in (error_of(read_refusal(status, b"{}", Secrets()), headers), status_error(status, b"{}", headers)):
        assert error.retry_after_s == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached. Please try again in 20s. Visit https://example.com/limits", 20),
        ("Limit 6000, Used 5900, Requested 400. Please try again in 7m12.5s.", 432.5),
        ("Please retry after 6 seconds.", 6),
        ("Try again in 350ms", 0.35),
        ("Please retry after 3 more attempts", None),
        ("Please try again in a minute", None),
        ("Please try again", None),
    ],
)
def test_some_servers_name_it_only_in_words(message: str, seconds: float | None) -> None:
    assert wait_s({}, message) == (None if seconds is None else pytest.approx(seconds))
    assert wait_s({"Retry-After": "5"}, message) == 5, "a header counts more"


@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000, 1_000_000_000], ids=["s", "ms", "us", "ns"])
def test_a_moment_of_unix_time_is_read_in_every_unit(factor: int) -> None:
    moment = int((time.time() + 100) * factor)
    for headers in ({"x-ratelimit-reset": str(moment)}, {"Retry-After": str(moment)}):
        assert wait_s(headers) == pytest.approx(100, abs=5)


def test_a_moment_may_be_a_date() -> None:
    then = time.time() + 100
    for text in (formatdate(then, usegmt=True), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(then))):
        assert span_s(text) == pytest.approx(100, abs=5)
    assert span_s("Wed, 01 Jan 2020 00:00:00 GMT") == 0


@given(
    st.floats(0, 9_000_000).map(lambda seconds: round(seconds, 3)),
    st.sampled_from(
        ["{h}h{m}m{s}s", "{h}h {m}m {s}s", "{h} hours, {m} minutes, {s} seconds", "{all}", "{all}s", "{ms}ms"]
    ),
    st.sampled_from(["{}", " {} ", '"{}"']),
)
def test_a_span_is_read_as_it_was_written(seconds: float, form: str, around: str) -> None:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = form.format(h=int(hours), m=int(minutes), s=f"{rest:.6f}", all=f"{seconds:.6f}", ms=f"{1000 * seconds:.6f}")
    assert span_s(around.format(text)) == pytest.approx(seconds, abs=1e-4)


NAMES = st.sampled_from([
    "Retry-After", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-remaining", "x-ratelimit-reset-tokens", "RateLimit",
    "x-ratelimit-remaining-tokens", "ratelimit-reset", "anthropic-ratelimit-tokens-reset", "x-ratelimit-reset-after", "Date",
])  # fmt: skip
VALUES = st.text(max_size=30) | st.floats().map(str) | st.integers(-5, 10**22).map(str) | st.sampled_from(
    ["1s", "6m0s", "r=0;t=5", "reset=1, remaining=x", "0", "2026-11-29T23:59:59Z", "0001-01-01T00:00:00+23:00", "9" * 99]
)  # fmt: skip


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.text(max_size=60), st.integers(0, 10**6))
def test_whatever_headers_say_the_wait_is_a_time_or_none(headers: dict[str, str], message: str, tokens: int) -> None:
    for seconds in (wait_s(headers, message, tokens), used_up_s(headers, tokens)):
        assert seconds is None or (math.isfinite(seconds) and 0 <= seconds <= YEAR_S)
