"""Read what a server sends: limited in size, with whole characters, secrets hidden.

Everything from a server passes through here before anything else sees it, so that a server that echoes a token (in an answer,
an error, its version, a model's template) does not get it into samples, logs or archives.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

import msgspec
import urllib3

from ai_dev_tools.benchmark._util.json_values import JsonValue

MAX_LINE_BYTES = 16_000_000
"""Longest line of a stream; a real server's lines hold one token, or one whole answer."""
HIDDEN = "(hidden)"
_SHORTEST_SECRET = 6
"""Placeholders for servers without authentication (`none`, `dummy`) are shorter, and ordinary words of answers."""
_SCHEMES = ("bearer", "basic")


class TooLongError(ValueError):
    """A line or a whole reply that does not end."""


@contextmanager
def stream(response: urllib3.BaseHTTPResponse) -> Iterator[Iterator[bytes]]:
    """The pieces of a reply as they come, for a `with` block.

    What is left of them is closed with the block. A stream that the garbage collector closes takes the lock of its pool of
    connections, which the same thread may hold just then: it would wait for itself forever.
    """
    pieces = response.stream(1 << 16, decode_content="Content-Encoding" in response.headers)
    try:
        yield pieces
    finally:
        if isinstance(pieces, Generator):
            pieces.close()


def lines(pieces: Iterable[bytes], limit: int | None = None, most: int | None = None) -> Iterator[bytes]:
    """The lines of a stream that are not blank, in time linear to its length.

    Args:
        limit: of a line, in bytes; default: `MAX_LINE_BYTES`.
        most: of the whole stream; default: none.

    Raises:
        TooLongError: a line or the stream is longer.
    """
    limit = limit or MAX_LINE_BYTES
    begun: list[bytes] = []
    length = received = 0
    for piece in pieces:
        received += len(piece)
        if most is not None and received > most:
            raise TooLongError(f"it is larger than {most // 1_000_000} MB")
        line = piece.rstrip(b"\n")
        if not length and len(line) < len(piece) <= limit and b"\n" not in line:  # as nearly all pieces are: one line
            if line and not line.isspace():
                yield line
            continue
        while b"\n\n" in piece:  # millions of blank lines are gone through here, not one by one
            piece = piece.replace(b"\n\n", b"\n")
        *ended, rest = piece.split(b"\n")
        for end in ended:
            _check_length(length + len(end), limit)
            line = b"".join([*begun, end]) if length else end
            begun, length = [], 0
            if line and not line.isspace():
                yield line
        if rest:
            begun.append(rest)
            length += len(rest)
            _check_length(length, limit)
    line = b"".join(begun)
    if line and not line.isspace():
        yield line


def _check_length(length: int, limit: int) -> None:
    if length > limit:
        raise TooLongError(f"a line is longer than {limit // 1_000_000} MB")


def decoded(data: bytes) -> JsonValue:
    """The value of a JSON text.

    Halves of surrogate pairs stay, for `whole_characters`: the pieces of a stream may cut a pair.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        value: JsonValue = msgspec.json.decode(data)
        return value
    except ValueError:
        if b"\\u" not in data:
            raise
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    try:
        value = json.loads(data.decode())
        return value
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def whole_characters(text: str) -> str:
    """The text with surrogate pairs joined.

    A half without its other half becomes U+FFFD, as in every decoder.
    """
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Secrets:
    """The secrets that were sent with a request, to be hidden in what comes back.

    Args:
        headers: of the request; the credentials in `Authorization` must not be seen again.
    """

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        credentials = [value for name, value in (headers or {}).items() if name.lower() == "authorization"]
        self._forms = _forms(credentials[0]) if credentials else None

    def hide(self, received: JsonValue) -> JsonValue:
        """Text or parsed JSON with whole characters only, and with every form of the secrets replaced.

        Raises:
            ValueError: nested too deeply.
        """
        try:
            return self._hide(received)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None

    def text(self, received: str) -> str:
        """The same for a text."""
        whole = whole_characters(received)
        return self._forms.sub(HIDDEN, whole) if self._forms else whole

    def _hide(self, received: JsonValue) -> JsonValue:
        if isinstance(received, str):
            return self.text(received)
        if isinstance(received, list):
            return [self._hide(item) for item in received]
        if isinstance(received, dict):
            return {self.text(str(key)): self._hide(value) for key, value in received.items()}
        return received


@functools.lru_cache(maxsize=64)
def _forms(authorization: str) -> re.Pattern[str] | None:
    """A pattern of all ways in which the credentials of an `Authorization` header may be written."""
    scheme, _, rest = authorization.partition(" ")
    credentials = rest.strip() if scheme.lower() in _SCHEMES else authorization.strip()
    secrets = {credentials.encode()}
    if scheme.lower() == "basic":
        pair = _from_base64(credentials)
        secrets |= {pair, pair.partition(b":")[2]}
    secrets |= {form for secret in secrets for form in (b":" + secret, secret + b":")}
    written = {form for secret in secrets if len(secret.strip(b":")) >= _SHORTEST_SECRET for form in _written(secret)}
    if not written:
        return None
    return re.compile("|".join(re.escape(form) for form in sorted(written, key=len, reverse=True)))


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return text.encode()


def _written(secret: bytes) -> Iterator[str]:
    plain = secret.decode(errors="replace")
    escaped = json.dumps(plain)[1:-1]
    yield from (plain, escaped, escaped.replace("/", "\\/"), repr(plain)[1:-1])
    for percent in (quote(secret, safe=""), quote_plus(secret), quote(secret)):
        yield percent
        yield re.sub(r"%..", lambda match: match[0].lower(), percent)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(secret).decode()
        yield from (encoded, encoded.rstrip("="))
        yield from (quote(encoded, safe=""), secret.hex(), secret.hex().upper())
        yield from _inside_base64(secret, encode)
    yield html.escape(plain)


def _inside_base64(secret: bytes, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """The part of a longer base64 text that is the secret alone, wherever the secret begins."""
    for before in range(3):
        encoded = encode(bytes(before) + secret).decode().rstrip("=")
        whole = encoded[(0, 2, 3)[before] : 4 * ((before + len(secret)) // 3)]
        if len(whole) >= _SHORTEST_SECRET:
            yield whole
