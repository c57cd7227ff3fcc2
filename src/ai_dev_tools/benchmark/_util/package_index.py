"""Read archives of published packages through the index that pip is configured to use.

pip's own download command cannot be used: for a source distribution it runs the build back end.
Nothing here names an index, and no message contains its address, which may hold credentials.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from pypi_simple import (
    NoSuchProjectError,
    PyPISimple,
    UnsupportedContentTypeError,
    UnsupportedRepoVersionError,
)
from remotezip import RangeNotSupported, RemoteZip, RemoteZipError
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.util import Retry

CHUNK_BYTES = 2**16
# A host that never answers must not hold up a run that can continue without the corpus.
MAX_CONNECT_S, MAX_READ_S = 10.0, 60.0


class PackageIndexError(Exception):
    """The index cannot be read; `str(error)` is a reason without any address.

    `may_pass`: a second attempt may help.
    """

    may_pass = False


class _BrokenOff(PackageIndexError):
    """The connection broke, or there was no answer in time."""

    may_pass = True


class _NoRanges(PackageIndexError):
    """The server cannot read a part of a file."""


@dataclass(frozen=True)
class PipSettings:
    """What pip would use: index addresses and how to reach them, from its configuration and environment."""

    index_urls: tuple[str, ...]
    find_links: tuple[str, ...]
    verify: str | bool
    client_cert: str | None
    proxy: str | None
    timeout_s: tuple[float, float]


@dataclass(frozen=True)
class PackageFile:
    """One archive on the index: `stream` it whole, or read members of a wheel in place."""

    url: str
    session: requests.Session
    timeout_s: tuple[float, float]

    def stream(self) -> Iterator[bytes]:
        """Yield the archive's bytes in chunks."""
        with _reasons(), self.session.get(self.url, stream=True, timeout=self.timeout_s) as response:
            response.raise_for_status()
            yield from response.iter_content(CHUNK_BYTES)

    @contextmanager
    def open_remote_zip(self) -> Iterator[zipfile.ZipFile]:
        """Open the archive as a zip by HTTP range requests.

        Only its directory and the members that are read are transferred.
        """
        with _reasons(), RemoteZip(self.url, session=self.session, timeout=self.timeout_s) as archive:
            yield archive

    @contextmanager
    def open_zip(self, scratch: Path) -> Iterator[zipfile.ZipFile]:
        """Open the archive as a zip.

        It is read in place if the server allows it, and downloaded into `scratch` first otherwise.
        """
        with ExitStack() as stack:
            try:
                archive = stack.enter_context(self.open_remote_zip())
            except _NoRanges:
                whole = stack.enter_context(tempfile.TemporaryFile(dir=scratch))
                for chunk in self.stream():
                    whole.write(chunk)
                archive = stack.enter_context(zipfile.ZipFile(whole))
            yield archive


@dataclass(frozen=True)
class LocalPackageFile:
    """An archive in one of pip's `find-links` folders."""

    path: Path

    def stream(self) -> Iterator[bytes]:
        """Yield the archive's bytes in chunks."""
        with self.path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    @contextmanager
    def open_remote_zip(self) -> Iterator[zipfile.ZipFile]:
        """Open the archive as a zip."""
        with zipfile.ZipFile(self.path) as archive:
            yield archive

    @contextmanager
    def open_zip(self, scratch: Path) -> Iterator[zipfile.ZipFile]:
        """Open the archive as a zip; nothing is downloaded."""
        with self.open_remote_zip() as archive:
            yield archive


def find_package_file(package: str, filename: str) -> PackageFile | LocalPackageFile:
    """Find an archive by its exact file name.

    Looks in pip's archive folders, and then on its indexes, the main one first.

    Raises:
        PackageIndexError: no index can be read or offers the file.
    """
    settings = read_pip_settings()
    for folder in settings.find_links:
        if "://" not in folder and (local := Path(folder).expanduser() / filename).is_file():
            return LocalPackageFile(local)
    if not settings.index_urls:
        raise PackageIndexError("pip is configured to use no index")
    for index_url in settings.index_urls:
        session = _session(settings, index_url)
        with _reasons():
            try:
                page = PyPISimple(index_url, session=session).get_project_page(package, timeout=settings.timeout_s)
            except NoSuchProjectError:
                continue
        for offered in page.packages:
            if offered.filename == filename:
                return PackageFile(offered.url, session, settings.timeout_s)
    raise PackageIndexError("the file is not offered there")


def read_pip_settings() -> PipSettings:
    """The settings from pip's configuration files and environment.

    Raises:
        PackageIndexError: pip is not installed, or its configuration is broken.
    """
    # pip has no public API for this; its option parser is the only place where all its sources are merged.
    try:
        from pip._internal.commands import create_command  # takes 2 ms, and pip may be missing

        options, _ = create_command("download").parse_args([])
    except (ImportError, SystemExit) as error:
        raise PackageIndexError(f"pip's settings cannot be read ({type(error).__name__})") from None
    return PipSettings(
        index_urls=() if options.no_index else (options.index_url, *options.extra_index_urls),
        find_links=tuple(options.find_links),
        verify=options.cert or True,
        client_cert=options.client_cert,
        proxy=options.proxy or None,
        timeout_s=(min(float(options.timeout), MAX_CONNECT_S), min(float(options.timeout), MAX_READ_S)),
    )


class _HostAuth(AuthBase):
    """Credentials that an index address holds, sent to that host only."""

    def __init__(self, host: str, user: str, password: str) -> None:
        self._host = host
        self._basic = HTTPBasicAuth(user, password)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if urlsplit(request.url or "").hostname == self._host:
            self._basic(request)
        return request


def _session(settings: PipSettings, index_url: str) -> requests.Session:
    """A session that reaches the index as pip would.

    An unreachable host is not tried again, a busy one is.
    """
    session = requests.Session()
    session.verify = settings.verify
    session.cert = settings.client_cert
    if settings.proxy:
        session.proxies = {"http": settings.proxy, "https": settings.proxy}
    parts = urlsplit(index_url)
    if parts.hostname and parts.username:
        session.auth = _HostAuth(parts.hostname, unquote(parts.username), unquote(parts.password or ""))
    adapter = HTTPAdapter(max_retries=Retry(3, connect=0, backoff_factor=0.5, status_forcelist=(502, 503)))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


@contextmanager
def _reasons() -> Iterator[None]:
    """Turn the errors of the libraries below into reasons without addresses."""
    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "error"
        raise PackageIndexError(f"HTTP {status}") from None
    except requests.Timeout:
        raise _BrokenOff("no answer in time") from None
    except requests.ConnectionError as error:
        raise _reason_of(error) from None
    except (urllib3.exceptions.HTTPError, requests.exceptions.ChunkedEncodingError):
        raise _BrokenOff("the connection broke") from None
    except (requests.RequestException, UnsupportedContentTypeError, UnsupportedRepoVersionError) as error:
        raise PackageIndexError(f"it does not answer like a package index ({type(error).__name__})") from None
    except RangeNotSupported:
        raise _NoRanges("its server does not support range requests") from None
    except RemoteZipError as error:
        raise PackageIndexError(f"reading a part of the file failed ({type(error).__name__})") from None


def _reason_of(error: requests.ConnectionError) -> PackageIndexError:
    """Whether the host was never reached, which a second attempt does not change, or the connection broke."""
    cause = error.args[0] if error.args else None
    reached = not isinstance(getattr(cause, "reason", None), urllib3.exceptions.NewConnectionError)
    return _BrokenOff("the connection broke") if reached else PackageIndexError("no connection")
