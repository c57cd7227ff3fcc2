"""What makes a job run again, as far as it can be seen without Snakemake."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ai_dev_tools.benchmark.tasks.corpora import Corpus
from ai_dev_tools.benchmark.workflow.flow import Flow
from support.repository import ROOT

CORPORA = (ROOT / "config" / "corpora.yaml").read_text(encoding="utf-8")


@pytest.fixture
def corpus_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()

    def parameter(text: str, name: str = "attrs") -> Any:
        Path("config/corpora.yaml").write_text(text, encoding="utf-8")
        flow = Flow.__new__(Flow)  # no Snakemake, whose objects it would need
        flow.call = SimpleNamespace(home=tmp_path)  # type: ignore[assignment]
        return flow.corpus(SimpleNamespace(corpus=name))  # type: ignore[arg-type]

    return parameter


def test_a_corpus_is_fetched_again_if_its_own_entry_changes_and_not_for_a_comment(corpus_of: Any) -> None:
    known = corpus_of(CORPORA)
    assert Corpus(**known).id == "attrs"
    assert corpus_of(f"# a comment\n{CORPORA}") == known
    assert corpus_of(CORPORA.replace("package: blinker", "package: winker")) == known
    assert corpus_of(CORPORA.replace("homepage: https://www.attrs.org", "homepage: https://attrs.example")) != known


def test_a_corpus_that_is_not_there_is_one_line(corpus_of: Any) -> None:
    with pytest.raises(SystemExit, match="has no corpus 'atrs', did you mean 'attrs'"):
        corpus_of(CORPORA, "atrs")
