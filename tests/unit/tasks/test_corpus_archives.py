"""Archives that may hold anything: what is unsafe or not pinned is one line, and nothing outside a folder is ever written."""

from __future__ import annotations

import stat
import tarfile
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.tasks import corpus_archives
from ai_dev_tools.benchmark.tasks.corpora import CorpusInvalid
from ai_dev_tools.benchmark.tasks.corpus_archives import read_corpus_archive
from support.corpora import FULL_SDIST, GOOD_SDIST, LISTED, MODULE, corpus, regular, sdist, special, wheel, whole

BAD_SDISTS = {
    "absolute path": (sdist(regular(LISTED), regular("/etc/demo.conf")), "'/etc/demo.conf' has a path that leaves"),
    "parent folder": (sdist(regular("demo-1.0/../../evil.py")), "leaves the archive's folder"),
    "backslashes": (sdist(regular("demo-1.0\\..\\evil.py")), "leaves the archive's folder"),
    "symbolic link": (sdist(special(LISTED, tarfile.SYMTYPE, "/etc/passwd")), "is not a regular file"),
    "hard link": (sdist(special(LISTED, tarfile.LNKTYPE, "demo-1.0/setup.py")), "is not a regular file"),
    "device": (sdist(special(LISTED, tarfile.CHRTYPE)), "is not a regular file"),
    "named pipe": (sdist(special(LISTED, tarfile.FIFOTYPE)), "is not a regular file"),
    "duplicate": (sdist(regular(LISTED), regular(LISTED)), "occurs twice"),
    "missing": (sdist(regular("demo-1.0/demo/other.py")), "has no member 'demo/core.py'"),
    "not an archive": (b"PK but not really", "is not a readable archive"),
    "cut short": (GOOD_SDIST[:60], "is not a readable archive"),
}


@pytest.mark.parametrize(("archive", "reason"), BAD_SDISTS.values(), ids=BAD_SDISTS.keys())
def test_an_unsafe_sdist_is_refused_in_one_line(archive: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(archive)
    with pytest.raises(CorpusInvalid) as caught:
        read_corpus_archive(corpus(archive), tmp_path / "archive")
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
        read_corpus_archive(corpus(archive, kind="wheel"), tmp_path / "archive")


def test_a_huge_member_is_refused_before_it_is_read(tmp_path: Path) -> None:
    huge = bytes(corpus_archives.MAX_MEMBER_BYTES + 1)
    for kind, archive in [("sdist", sdist(regular(LISTED, huge))), ("wheel", wheel(("demo/core.py", huge)))]:
        (tmp_path / "archive").write_bytes(archive)
        with pytest.raises(CorpusInvalid, match="is larger than"):
            read_corpus_archive(corpus(archive, kind=kind), tmp_path / "archive")


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_archives, "MAX_UNPACKED_BYTES", 1000)
    archive = sdist(regular("demo-1.0/a", bytes(600)), regular("demo-1.0/b", bytes(600)), regular(LISTED))
    (tmp_path / "archive").write_bytes(archive)
    with pytest.raises(CorpusInvalid, match="makes the archive larger than"):
        read_corpus_archive(corpus(archive), tmp_path / "archive")


BAD_WHOLE = {
    "parent folder": (sdist(regular("demo-1.0/../../evil.py")), "leaves the archive's folder"),
    "duplicate": (sdist(regular(LISTED), regular(LISTED)), "occurs twice"),
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
    "large member": (sdist(regular("demo-1.0/a", bytes(corpus_archives.MAX_MEMBER_BYTES + 1))), "is larger than"),
    "nothing": (sdist(regular("demo-1.0/logo.png", b"\0")), "has no member that is text"),
    "not an archive": (b"PK but not really", "is not a readable archive"),
}


@pytest.mark.parametrize(("archive", "reason"), BAD_WHOLE.values(), ids=BAD_WHOLE.keys())
def test_an_archive_that_cannot_be_unpacked_whole_is_refused_in_one_line(
    archive: bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "archive").write_bytes(archive)
    with pytest.raises(CorpusInvalid) as caught:
        read_corpus_archive(whole(archive), tmp_path / "archive")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_archive_of_too_many_members_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_archives, "MAX_MEMBERS", 3)
    (tmp_path / "archive").write_bytes(FULL_SDIST)
    with pytest.raises(CorpusInvalid, match="is one of more than 3"):
        read_corpus_archive(whole(), tmp_path / "archive")
