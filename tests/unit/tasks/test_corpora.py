"""Corpora are pinned files of published packages: read whole or not at all, never executed, nothing else unpacked.

The index is a real one in miniature (the Simple API over HTTP on this machine), reached through pip's own setting.
"""

from __future__ import annotations

import hashlib
import io
import socket
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark._util import package_index
from ai_dev_tools.benchmark._util.package_index import read_pip_settings
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.tasks import corpora
from ai_dev_tools.benchmark.tasks.corpora import (
    Corpus,
    CorpusInvalid,
    CorpusUnavailable,
    fetch_corpus,
    find_corpus,
    is_complete,
    load_corpora,
    read_archive,
)
from fakes.package_index import Index
from support.repository import ROOT

MODULE = b"ANSWER = 42\n"
CONFIG = ROOT / "config" / "corpora.yaml"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def regular(name: str, content: bytes = MODULE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def sdist(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def wheel(*members: tuple[str, bytes], mode: int = stat.S_IFREG | 0o644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return buffer.getvalue()


GOOD_SDIST = sdist(
    regular("demo-1.0/demo/core.py"),
    regular("demo-1.0/setup.py", b"raise SystemExit('build code must never run')\n"),
)
GOOD_WHEEL = wheel(("demo/core.py", MODULE), ("demo/huge.bin", bytes(200_000)))


def corpus(archive: bytes = GOOD_SDIST, *, kind: str = "sdist", **changes: object) -> Corpus:
    fields = {
        "id": "demo",
        "package": "demo",
        "version": "1.0",
        "filename": "demo-1.0.tar.gz" if kind == "sdist" else "demo-1.0-py3-none-any.whl",
        "kind": kind,
        "sha256": sha256(archive),
        "license": "MIT",
        "homepage": "https://example.org",
        "members": {"demo/core.py": sha256(MODULE)},
    }
    return Corpus.model_validate(fields | changes)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that pip is configured to use."""
    server = Index()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", server.url)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    yield server
    server.shutdown()
    server.server_close()


def files_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


# --- fetching ---------------------------------------------------------------------------------------------------


def test_only_the_listed_members_of_an_sdist_are_unpacked_and_nothing_is_executed(index: Index, tmp_path: Path) -> None:
    index.files["demo-1.0.tar.gz"] = GOOD_SDIST
    fetch_corpus(corpus(), tmp_path / "demo")
    assert files_below(tmp_path) == ["demo/demo/core.py"]
    assert (tmp_path / "demo/demo/core.py").read_bytes() == MODULE


def test_a_complete_corpus_is_not_fetched_again(index: Index, tmp_path: Path) -> None:
    index.files["demo-1.0.tar.gz"] = GOOD_SDIST
    fetch_corpus(corpus(), tmp_path / "demo")
    index.files.clear()
    fetch_corpus(corpus(), tmp_path / "demo")
    assert index.bytes_sent == len(GOOD_SDIST)


def test_an_edited_corpus_is_replaced(index: Index, tmp_path: Path) -> None:
    index.files["demo-1.0.tar.gz"] = GOOD_SDIST
    fetch_corpus(corpus(), tmp_path / "demo")
    (tmp_path / "demo/demo/core.py").write_bytes(b"ANSWER = 41\n")
    assert not is_complete(corpus(), tmp_path / "demo")
    fetch_corpus(corpus(), tmp_path / "demo")
    assert (tmp_path / "demo/demo/core.py").read_bytes() == MODULE


def test_one_member_is_read_out_of_a_wheel_without_downloading_it(index: Index, tmp_path: Path) -> None:
    noise = hashlib.shake_256(b"noise").digest(400_000)
    index.files["demo-1.0-py3-none-any.whl"] = wheel(("noise.bin", noise), ("demo/core.py", MODULE))
    fetch_corpus(corpus(kind="wheel", sha256=None), tmp_path / "demo")
    assert files_below(tmp_path) == ["demo/demo/core.py"]
    assert index.bytes_sent < 100_000


def test_a_pinned_wheel_is_downloaded_and_checked_as_a_whole(index: Index, tmp_path: Path) -> None:
    index.files["demo-1.0-py3-none-any.whl"] = GOOD_WHEEL
    fetch_corpus(corpus(GOOD_WHEEL, kind="wheel"), tmp_path / "demo")
    assert files_below(tmp_path) == ["demo/demo/core.py"]


def test_the_file_is_chosen_by_its_exact_name(index: Index, tmp_path: Path) -> None:
    index.files["demo-0.9.tar.gz"] = index.files["demo-1.0.zip"] = b"another file of the project"
    index.files["demo-1.0.tar.gz"] = GOOD_SDIST
    fetch_corpus(corpus(), tmp_path / "demo")
    assert is_complete(corpus(), tmp_path / "demo")


def test_credentials_in_the_index_address_are_used(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.files["demo-1.0.tar.gz"] = GOOD_SDIST
    index.password = "dXNlcjpzZWNyZXQ="  # user:secret
    with pytest.raises(CorpusUnavailable, match="HTTP 401"):
        fetch_corpus(corpus(), tmp_path / "demo")
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//user:secret@"))
    fetch_corpus(corpus(), tmp_path / "demo")
    assert is_complete(corpus(), tmp_path / "demo")


def test_credentials_are_not_sent_to_another_host(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.files["demo-1.0.tar.gz"] = GOOD_SDIST
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//127.0.0.1", "//user:secret@localhost"))
    fetch_corpus(corpus(), tmp_path / "demo")
    assert index.authorised == ["/simple/demo/"]


# --- what cannot be fetched is skipped with a reason; nothing is left behind ---------------------------------------


def refused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_offline_is_one_line_without_any_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"http://user:secret@127.0.0.1:{refused_port()}/simple/")
    with pytest.raises(CorpusUnavailable) as caught:
        fetch_corpus(corpus(), tmp_path / "demo")
    message = str(caught.value)
    assert "corpus demo" in message
    assert "no connection" in message
    assert "skipped" in message
    assert "\n" not in message
    assert "127.0.0.1" not in message
    assert "secret" not in message
    assert list(tmp_path.iterdir()) == []


def test_pip_told_to_use_no_index_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(CorpusUnavailable, match="no index"):
        fetch_corpus(corpus(), tmp_path / "demo")


def test_a_file_that_the_index_does_not_offer_is_unavailable(index: Index, tmp_path: Path) -> None:
    with pytest.raises(CorpusUnavailable, match="not offered"):
        fetch_corpus(corpus(), tmp_path / "demo")
    with pytest.raises(CorpusUnavailable, match="not offered"):
        fetch_corpus(corpus(package="unknown"), tmp_path / "demo")


def test_an_index_without_range_requests_never_sends_the_whole_wheel(index: Index, tmp_path: Path) -> None:
    index.files["demo-1.0-py3-none-any.whl"] = GOOD_WHEEL
    index.knows_ranges = False
    with pytest.raises(CorpusUnavailable, match="not support range requests"):
        fetch_corpus(corpus(kind="wheel", sha256=None), tmp_path / "demo")


# --- what is not the pinned thing, or not safe, is an error ---------------------------------------------------------


def test_another_archive_than_the_pinned_one_is_refused(index: Index, tmp_path: Path) -> None:
    index.files["demo-1.0.tar.gz"] = sdist(regular("demo-1.0/demo/core.py", b"ANSWER = 0\n"))
    with pytest.raises(CorpusInvalid, match=r"demo-1.0.tar.gz has sha256 [0-9a-f]{64}, but .* is pinned"):
        fetch_corpus(corpus(), tmp_path / "demo")
    assert list(tmp_path.iterdir()) == []


def test_another_member_in_a_remote_wheel_is_refused(index: Index, tmp_path: Path) -> None:
    index.files["demo-1.0-py3-none-any.whl"] = wheel(("demo/core.py", b"ANSWER = 0\n"))
    with pytest.raises(CorpusInvalid, match=r"member 'demo/core.py' has sha256"):
        fetch_corpus(corpus(kind="wheel", sha256=None), tmp_path / "demo")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_fetch_keeps_what_was_there(index: Index, tmp_path: Path) -> None:
    index.files["demo-1.0.tar.gz"] = b"not the archive"
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/older.py").write_bytes(b"")
    with pytest.raises(CorpusInvalid):
        fetch_corpus(corpus(), tmp_path / "demo")
    assert files_below(tmp_path) == ["demo/older.py"]


LISTED = "demo-1.0/demo/core.py"
BAD_SDISTS = {
    "absolute path": (sdist(regular(LISTED), regular("/etc/demo.conf")), "'/etc/demo.conf' has a path that leaves"),
    "parent folder": (sdist(regular("demo-1.0/../../evil.py")), "leaves the archive's folder"),
    "backslashes": (sdist(regular("demo-1.0\\..\\evil.py")), "leaves the archive's folder"),
    "symbolic link": (sdist(special(LISTED, tarfile.SYMTYPE, "/etc/passwd")), "is not a regular file"),
    "hard link": (sdist(special(LISTED, tarfile.LNKTYPE, "demo-1.0/setup.py")), "is not a regular file"),
    "device": (sdist(special(LISTED, tarfile.CHRTYPE)), "is not a regular file"),
    "named pipe": (sdist(special(LISTED, tarfile.FIFOTYPE)), "is not a regular file"),
    "duplicate": (sdist(regular(LISTED), regular(LISTED)), "is there twice"),
    "missing": (sdist(regular("demo-1.0/demo/other.py")), "has no member 'demo/core.py'"),
    "not an archive": (b"PK but not really", "is not a readable archive"),
    "cut short": (GOOD_SDIST[:60], "is not a readable archive"),
}


@pytest.mark.parametrize(("archive", "reason"), BAD_SDISTS.values(), ids=BAD_SDISTS.keys())
def test_an_unsafe_sdist_is_refused_in_one_line(archive: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(archive)
    with pytest.raises(CorpusInvalid) as caught:
        read_archive(corpus(archive), tmp_path / "archive")
    assert reason in str(caught.value)
    assert "corpus demo: demo-1.0.tar.gz" in str(caught.value)
    assert "\n" not in str(caught.value)


BAD_WHEELS = {
    "absolute path": (wheel(("demo/core.py", MODULE), ("/evil.py", b"")), "leaves the archive's folder"),
    "parent folder": (wheel(("../evil.py", b"")), "leaves the archive's folder"),
    "drive": (wheel(("C:/evil.py", b"")), "leaves the archive's folder"),
    "symbolic link": (wheel(("demo/core.py", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777), "not a regular file"),
}


@pytest.mark.parametrize(("archive", "reason"), BAD_WHEELS.values(), ids=BAD_WHEELS.keys())
def test_an_unsafe_wheel_is_refused(archive: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(archive)
    with pytest.raises(CorpusInvalid, match=reason):
        read_archive(corpus(archive, kind="wheel"), tmp_path / "archive")


def test_a_huge_member_is_refused_before_it_is_read(tmp_path: Path) -> None:
    huge = bytes(corpora.MAX_MEMBER_BYTES + 1)
    for kind, archive in [("sdist", sdist(regular(LISTED, huge))), ("wheel", wheel(("demo/core.py", huge)))]:
        (tmp_path / "archive").write_bytes(archive)
        with pytest.raises(CorpusInvalid, match="is larger than"):
            read_archive(corpus(archive, kind=kind), tmp_path / "archive")


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "MAX_UNPACKED_BYTES", 1000)
    archive = sdist(regular("demo-1.0/a", bytes(600)), regular("demo-1.0/b", bytes(600)), regular(LISTED))
    (tmp_path / "archive").write_bytes(archive)
    with pytest.raises(CorpusInvalid, match="makes the archive larger than"):
        read_archive(corpus(archive), tmp_path / "archive")


def test_a_download_that_does_not_end_is_stopped(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "MAX_ARCHIVE_BYTES", 100_000)
    index.files["demo-1.0.tar.gz"] = bytes(1_000_000)
    with pytest.raises(CorpusInvalid, match="is larger than"):
        fetch_corpus(corpus(), tmp_path / "demo")


@given(st.text(alphabet="a./\\:\0", max_size=12))
def test_a_path_counts_as_safe_only_if_it_stays_below_its_folder(name: str) -> None:
    if corpora.is_safe_path(name):
        below = Path("/top").joinpath(name)
        assert below != Path("/top")
        assert ".." not in below.parts
        assert below.is_relative_to("/top")
        assert not set(name) & set("\\:\0")


# --- all of an archive ----------------------------------------------------------------------------------------------

FULL_SDIST = sdist(
    regular("demo-1.0/demo/core.py"),
    regular("demo-1.0/README.md", "# Demo ∀\n".encode()),
    regular("demo-1.0/logo.png", b"\x89PNG\0\0"),
    regular("demo-1.0/setup.py", b"raise SystemExit('build code must never run')\n"),
    special("demo-1.0/docs", tarfile.SYMTYPE, "/etc"),
    special("demo-1.0/device", tarfile.CHRTYPE),
)


def whole(archive: bytes = FULL_SDIST, **changes: object) -> Corpus:
    return corpus(archive, **({"members": "all"} | changes))


def test_all_members_are_those_that_are_text(index: Index, tmp_path: Path) -> None:
    """No link, no device, no picture; nothing is executed."""
    index.files["demo-1.0.tar.gz"] = FULL_SDIST
    fetch_corpus(whole(), tmp_path / "demo")
    assert files_below(tmp_path / "demo") == ["README.md", "demo/core.py", "setup.py"]


def test_a_listed_corpus_can_be_taken_whole_beside_its_members(index: Index, tmp_path: Path) -> None:
    index.files["demo-1.0.tar.gz"] = FULL_SDIST
    known = {"demo": corpus(FULL_SDIST)}
    for name in ("demo", "demo-all"):
        fetch_corpus(find_corpus(known, name, "corpora.yaml"), tmp_path / name)
    assert files_below(tmp_path / "demo") == ["demo/core.py"]
    assert files_below(tmp_path / "demo-all") == ["README.md", "demo/core.py", "setup.py"]


def test_a_whole_corpus_goes_through_the_parameters_of_a_job() -> None:
    whole_of_it = corpus().whole
    assert Corpus(**whole_of_it.model_dump(mode="json")) == whole_of_it


def test_an_id_may_not_look_like_all_of_another(tmp_path: Path) -> None:
    (tmp_path / "corpora.yaml").write_text("demo-all: {}\n")
    with pytest.raises(ConfigurationError, match="an id has no '-'"):
        load_corpora(tmp_path / "corpora.yaml")


def test_an_unknown_corpus_is_one_line_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"corpora.yaml has no corpus 'dmo', did you mean 'demo'\?"):
        find_corpus({"demo": corpus()}, "dmo-all", "corpora.yaml")
    remote = {"demo": corpus(kind="wheel", sha256=None)}
    with pytest.raises(ConfigurationError, match="its archive has no sha256"):
        find_corpus(remote, "demo-all", "corpora.yaml")


@pytest.mark.parametrize("harm", ["edit", "addition", "loss", "no listing", "another archive"])
def test_a_whole_corpus_is_fetched_again_only_if_it_is_not_what_was_unpacked(
    harm: str, index: Index, tmp_path: Path
) -> None:
    index.files["demo-1.0.tar.gz"] = FULL_SDIST
    folder = tmp_path / "demo"
    fetch_corpus(whole(), folder)
    fetch_corpus(whole(), folder)
    assert index.bytes_sent == len(FULL_SDIST)
    match harm:
        case "edit":
            (folder / "setup.py").write_text("changed\n")
        case "addition":
            (folder / "answers.md").write_text("core.py\n")
        case "loss":
            (folder / "setup.py").unlink()
        case "no listing":
            (tmp_path / "demo.sha256").unlink()
        case "another archive":
            listing = (tmp_path / "demo.sha256").read_text()
            (tmp_path / "demo.sha256").write_text("0" * 64 + listing[64:])
    fetch_corpus(whole(), folder)
    assert index.bytes_sent == 2 * len(FULL_SDIST)
    assert files_below(folder) == ["README.md", "demo/core.py", "setup.py"]


BAD_WHOLE = {
    "parent folder": (sdist(regular("demo-1.0/../../evil.py")), "leaves the archive's folder"),
    "duplicate": (sdist(regular(LISTED), regular(LISTED)), "is there twice"),
    "two in one place": (
        sdist(regular("demo-1.0/a.py"), regular("demo-1.0/A.py")),
        "would be in one place with 'a.py'",
    ),
    "two folders in one place": (
        sdist(regular("demo-1.0/a/x.py"), regular("demo-1.0/A/y.py")),
        "in one place with 'a'",
    ),
    "file and folder": (sdist(regular("demo-1.0/a"), regular("demo-1.0/a/b")), "'a' is a file and a folder"),
    "device name": (sdist(regular("demo-1.0/aux.py")), "some systems read differently"),
    "long name": (sdist(regular(f"demo-1.0/{'x' * 250}.py")), "too long"),
    "large member": (sdist(regular("demo-1.0/a", bytes(corpora.MAX_MEMBER_BYTES + 1))), "is larger than"),
    "nothing": (sdist(regular("demo-1.0/logo.png", b"\0")), "has no member that is text"),
    "not an archive": (b"PK but not really", "is not a readable archive"),
}


@pytest.mark.parametrize(("archive", "reason"), BAD_WHOLE.values(), ids=BAD_WHOLE.keys())
def test_an_archive_that_cannot_be_unpacked_whole_is_refused_in_one_line(
    archive: bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "archive").write_bytes(archive)
    with pytest.raises(CorpusInvalid) as caught:
        read_archive(whole(archive), tmp_path / "archive")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_archive_of_too_many_members_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "MAX_MEMBERS", 3)
    (tmp_path / "archive").write_bytes(FULL_SDIST)
    with pytest.raises(CorpusInvalid, match="is one of more than 3"):
        read_archive(whole(), tmp_path / "archive")


# --- the list of corpora --------------------------------------------------------------------------------------------


def test_the_shipped_corpora_are_pinned_and_permissively_licensed() -> None:
    shipped = load_corpora(CONFIG)
    assert len(shipped) >= 13
    assert {c.license for c in shipped.values()} <= {"MIT", "BSD-3-Clause", "Apache-2.0", "MIT OR Apache-2.0"}
    assert all(c.version in c.filename for c in shipped.values())


BAD_ENTRIES: dict[str, tuple[Callable[[dict[str, object]], object], str]] = {
    "unknown key": (lambda c: c | {"url": "https://example.org"}, "url"),
    "short checksum": (lambda c: c | {"sha256": "abc"}, "sha256"),
    "unpinned sdist": (lambda c: {k: v for k, v in c.items() if k != "sha256"}, "needs the sha256"),
    "unsafe member": (lambda c: c | {"members": {"../x": "0" * 64}}, "without `..`"),
    "no members": (lambda c: c | {"members": {}}, "members"),
    "absent members": (lambda c: c | {"members": None}, "list the members with their sha256, or say `all`"),
    "unknown word": (lambda c: c | {"members": "every"}, "list the members with their sha256, or say `all`"),
    "all of an unpinned wheel": (
        lambda c: {k: v for k, v in c.items() if k != "sha256"} | {"kind": "wheel", "members": "all"},
        "needs the sha256 of the archive",
    ),
    "invented licence": (lambda c: c | {"license": "Free For All"}, "SPDX"),
    "not a mapping": (lambda c: ["demo"], "not a mapping"),
}


@pytest.mark.parametrize(("change", "reason"), BAD_ENTRIES.values(), ids=BAD_ENTRIES.keys())
def test_a_wrong_entry_is_one_line_naming_the_file(
    change: Callable[[dict[str, object]], object], reason: str, tmp_path: Path
) -> None:
    entry = corpus().model_dump(exclude={"id"})
    path = tmp_path / "corpora.yaml"
    path.write_text(corpora.yaml.safe_dump({"demo": change(entry)}))
    with pytest.raises(ConfigurationError) as caught:
        load_corpora(path)
    assert reason in str(caught.value)
    assert "corpora.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pips_own_default_index_is_used_when_nothing_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pip._internal.models.index import PyPI

    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert read_pip_settings().index_urls == (PyPI.simple_url,)


def test_broken_pip_settings_are_a_reason_not_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.conf").write_text("[global\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    with pytest.raises(package_index.PackageIndexError):
        read_pip_settings()
