"""Corpora on the disk: fetched whole or not at all, never executed, and again only if something is not as it was pinned.

The index is a real one in miniature (the Simple API over HTTP on this machine), reached through pip's own setting.
"""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import pytest

from ai_dev_tools.benchmark._util import package_index
from ai_dev_tools.benchmark._util.package_index import read_pip_settings
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.tasks import corpus_files
from ai_dev_tools.benchmark.tasks.corpora import CorpusInvalid, CorpusUnavailable, find_corpus
from ai_dev_tools.benchmark.tasks.corpus_files import fetch_corpus, is_complete
from fakes.package_index import Index
from support.corpora import (
    FULL_SDIST,
    GOOD_SDIST,
    GOOD_WHEEL,
    MODULE,
    corpus,
    files_below,
    regular,
    sdist,
    wheel,
    whole,
)

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


def test_a_corpus_that_cannot_be_written_is_one_line(index: Index, tmp_path: Path) -> None:
    index.files["demo-1.0.tar.gz"] = GOOD_SDIST
    (tmp_path / "full").write_text("")  # a file where the folder should be, since root can write everywhere
    with pytest.raises(ConfigurationError, match=r"corpus demo: cannot write .*full.*Free disk space"):
        fetch_corpus(corpus(), tmp_path / "full" / "demo")


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


def test_a_download_that_does_not_end_is_stopped(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_files, "MAX_ARCHIVE_BYTES", 100_000)
    index.files["demo-1.0.tar.gz"] = bytes(1_000_000)
    with pytest.raises(CorpusInvalid, match="is larger than"):
        fetch_corpus(corpus(), tmp_path / "demo")


# --- all of an archive ----------------------------------------------------------------------------------------------


def test_all_members_are_those_that_are_text(index: Index, tmp_path: Path) -> None:
    """No link, no device, no picture; nothing is executed."""
    index.files["demo-1.0.tar.gz"] = FULL_SDIST
    fetch_corpus(whole(), tmp_path / "demo")
    assert files_below(tmp_path / "demo") == ["README.md", "demo/core.py", "setup.py"]


def test_a_listed_corpus_can_be_taken_whole_next_to_its_members(index: Index, tmp_path: Path) -> None:
    index.files["demo-1.0.tar.gz"] = FULL_SDIST
    known = {"demo": corpus(FULL_SDIST)}
    for name in ("demo", "demo-all"):
        fetch_corpus(find_corpus(known, name, "corpora.yaml"), tmp_path / name)
    assert files_below(tmp_path / "demo") == ["demo/core.py"]
    assert files_below(tmp_path / "demo-all") == ["README.md", "demo/core.py", "setup.py"]


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


# --- pip's settings -------------------------------------------------------------------------------------------------


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
