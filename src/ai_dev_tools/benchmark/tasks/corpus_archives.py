"""Members of a corpus's archive, read as data: nothing is unpacked, followed or executed."""

from __future__ import annotations

import hashlib
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ai_dev_tools.benchmark._util.text import is_text
from ai_dev_tools.benchmark.records.archive_names import name_problem, path_key
from ai_dev_tools.benchmark.records.names import LONGEST_PATH
from ai_dev_tools.benchmark.tasks.corpora import Corpus, CorpusInvalid, is_safe_path

MAX_UNPACKED_BYTES = 512 * 2**20
MAX_MEMBER_BYTES = 4 * 2**20
MAX_MEMBERS = 20_000


def read_corpus_archive(corpus: Corpus, archive: Path) -> dict[str, bytes]:
    """Return the corpus's members (path -> content) from a local archive, without unpacking anything else.

    Raises:
        CorpusInvalid: see `fetch_corpus`.
    """
    with _readable(corpus):
        if corpus.kind == "wheel":
            with zipfile.ZipFile(archive) as wheel:
                return _take(corpus, _zip_entries(wheel))
        with tarfile.open(archive, "r:gz") as sdist:
            return _take(corpus, _tar_entries(sdist))


def read_wheel(corpus: Corpus, opening: AbstractContextManager[zipfile.ZipFile]) -> dict[str, bytes]:
    """As `read_corpus_archive`, from a wheel that may be far away and is opened here."""
    with _readable(corpus), opening as wheel:
        return _take(corpus, _zip_entries(wheel))


@contextmanager
def _readable(corpus: Corpus) -> Iterator[None]:
    """Turn the errors of the archive libraries on damaged archives into one line."""
    try:
        yield
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        NotImplementedError,
    ) as error:
        raise CorpusInvalid(
            f"corpus {corpus.id}: {corpus.filename} is not a readable archive ({type(error).__name__}: {error})"
        ) from None


@dataclass(frozen=True)
class _ArchiveEntry:
    """One member as its archive declares it; `path` is the name as members are listed in a corpus."""

    name: str
    path: str
    size: int
    is_file: bool
    read: Callable[[], bytes]


def _tar_entries(archive: tarfile.TarFile) -> Iterator[_ArchiveEntry]:
    for info in archive:

        def read(info: tarfile.TarInfo = info) -> bytes:
            stream = archive.extractfile(info)
            return stream.read() if stream else b""

        below_top = "/".join(PurePosixPath(info.name).parts[1:])
        yield _ArchiveEntry(info.name, below_top, info.size, info.isreg(), read)


def _zip_entries(archive: zipfile.ZipFile) -> Iterator[_ArchiveEntry]:
    for info in archive.infolist():

        def read(info: zipfile.ZipInfo = info) -> bytes:
            # A header may declare less than the data unpacks to: never read past what was declared and checked.
            with archive.open(info) as stream:
                return stream.read(info.file_size)

        file_type = stat.S_IFMT(info.external_attr >> 16)
        is_file = not info.is_dir() and file_type in (0, stat.S_IFREG)
        # `orig_filename` is the name before zipfile cuts it at a NUL.
        yield _ArchiveEntry(info.orig_filename, info.filename, info.file_size, is_file, read)


def _take(corpus: Corpus, entries: Iterable[_ArchiveEntry]) -> dict[str, bytes]:
    """Read the wanted members into memory.

    Extraction by the archive library is avoided, so no link is followed.
    """
    safe = _within_limits(corpus, entries)
    contents = _all_texts(corpus, safe) if corpus.members is None else _listed_members(corpus, corpus.members, safe)
    if not contents:
        raise CorpusInvalid(f"corpus {corpus.id}: {corpus.filename} has no member that is text")
    return contents


def _refused(corpus: Corpus, entry: _ArchiveEntry, reason: str) -> CorpusInvalid:
    return CorpusInvalid(f"corpus {corpus.id}: {corpus.filename}: member {entry.name!r} {reason}")


def _within_limits(corpus: Corpus, entries: Iterable[_ArchiveEntry]) -> Iterator[_ArchiveEntry]:
    """The entries of an archive, whose names stay inside and which are not too many or too large together."""
    total = 0
    for count, entry in enumerate(entries, start=1):
        if not is_safe_path(entry.name):
            raise _refused(corpus, entry, "has a path that leaves the archive's folder")
        if corpus.sha256 is not None:  # else it is a huge wheel, whose members are read in place
            total += entry.size
            if total > MAX_UNPACKED_BYTES:
                raise _refused(corpus, entry, f"makes the archive larger than {MAX_UNPACKED_BYTES} bytes")
            if count > MAX_MEMBERS:
                raise _refused(corpus, entry, f"is one of more than {MAX_MEMBERS}")
        yield entry


def _listed_members(corpus: Corpus, members: Mapping[str, str], entries: Iterable[_ArchiveEntry]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    for entry in entries:
        if entry.path not in members:
            continue
        if not entry.is_file:
            raise _refused(corpus, entry, "is not a regular file")
        content = _content(corpus, entry, contents)
        digest = hashlib.sha256(content).hexdigest()
        if digest != members[entry.path]:
            raise _refused(corpus, entry, f"has sha256 {digest}, but {members[entry.path]} is pinned")
        contents[entry.path] = content
    missing = sorted(members.keys() - contents.keys())
    if missing:
        raise CorpusInvalid(f"corpus {corpus.id}: {corpus.filename} has no member {missing[0]!r}")
    return contents


def _all_texts(corpus: Corpus, entries: Iterable[_ArchiveEntry]) -> dict[str, bytes]:
    """Every regular file that is text; links, devices and binary files are left out."""
    contents: dict[str, bytes] = {}
    places: dict[str, str] = {}
    for entry in entries:
        if not entry.is_file or not entry.path:
            continue
        if problem := name_problem(entry.path, LONGEST_PATH):
            raise _refused(corpus, entry, problem)
        content = _content(corpus, entry, contents)
        for part in (entry.path, *map(str, PurePosixPath(entry.path).parents)):
            if (other := places.setdefault(path_key(part), part)) != part:
                raise _refused(corpus, entry, f"would be in one place with {other!r} on some systems")
        if is_text(content):
            contents[entry.path] = content
    if holder := next((str(p) for name in contents for p in PurePosixPath(name).parents if str(p) in contents), None):
        raise CorpusInvalid(f"corpus {corpus.id}: {corpus.filename}: member {holder!r} is a file and a folder")
    return contents


def _content(corpus: Corpus, entry: _ArchiveEntry, known: Mapping[str, bytes]) -> bytes:
    if entry.size > MAX_MEMBER_BYTES:
        raise _refused(corpus, entry, f"is larger than {MAX_MEMBER_BYTES} bytes")
    if entry.path in known:
        raise _refused(corpus, entry, "occurs twice")
    return entry.read()
