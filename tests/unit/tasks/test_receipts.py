"""Receipts of corpora, and audits of tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.tasks import receipts
from ai_dev_tools.benchmark.tasks.audit import audit_task
from ai_dev_tools.benchmark.tasks.corpora import CorpusInvalid, CorpusUnavailable, load_corpora
from support.making import write_task
from support.repository import ROOT


def fetching(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    def fetch(*_: Any) -> None:
        if error:
            raise error

    monkeypatch.setattr(receipts, "fetch_corpus", fetch)


def test_a_corpus_that_cannot_be_had_is_a_receipt_and_tried_again_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = next(iter(load_corpora(ROOT / "config" / "corpora.yaml").values()))
    receipt = tmp_path / "corpus.json"
    assert receipts.failed_fetches(receipt) == 0
    fetching(monkeypatch, CorpusUnavailable("the index cannot be reached"))
    assert receipts.fetch_with_receipt(corpus, tmp_path, receipt, 0) == "the index cannot be reached"
    assert receipts.failed_fetches(receipt) == 1
    assert not receipts.read_receipt(receipt)["available"]
    fetching(monkeypatch, None)
    assert receipts.fetch_with_receipt(corpus, tmp_path, receipt, 1) is None
    assert receipts.failed_fetches(receipt) == 1
    assert receipts.read_receipt(receipt)["available"]
    assert receipts.read_receipt(receipt)["license"]


def test_another_archive_than_the_pinned_one_is_never_a_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = next(iter(load_corpora(ROOT / "config" / "corpora.yaml").values()))
    fetching(monkeypatch, CorpusInvalid("sha256 differs"))
    with pytest.raises(CorpusInvalid):
        receipts.fetch_with_receipt(corpus, tmp_path, tmp_path / "corpus.json", 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[]", b'{"round": "x"}', b"\xff"])
def test_a_damaged_receipt_counts_as_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(content)
    assert receipts.failed_fetches(tmp_path / "r.json") == 0


# --- the audit ----------------------------------------------------------------------------------------------------


def test_an_audit_is_a_function_of_the_task_folder(tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    (folder / "audit.py").write_text("def audit(task_dir):\n    return [f'{task_dir.name}: wrong']\n")
    assert audit_task(folder, tmp_path) == ["colours: wrong"]
    (folder / "audit.py").write_text("def audit(task_dir, corpora):\n    return [corpora.name]\n")
    assert audit_task(folder, tmp_path / "corpora") == ["corpora"]


def test_a_task_without_an_audit_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"audit.py does not exist. Give the task"):
        audit_task(write_task(tmp_path), tmp_path)
