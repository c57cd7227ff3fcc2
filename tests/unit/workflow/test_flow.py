"""What makes a job run again, as far as it can be seen without Snakemake."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ai_dev_tools.benchmark.tasks.corpora import Corpus, load_corpora
from ai_dev_tools.benchmark.workflow.downloads import Downloads
from ai_dev_tools.benchmark.workflow.flow import Flow
from ai_dev_tools.benchmark.workflow.known_names import KnownNames
from support.experiments import SHIPPED, experiment
from support.making import write_task
from support.repository import ROOT

CORPORA = (ROOT / "config" / "corpora.yaml").read_text(encoding="utf-8")


@pytest.fixture
def corpus_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The parameter of the job that fetches a corpus, by the content of corpora.yaml."""
    monkeypatch.chdir(tmp_path)
    write_task(tmp_path / "config" / "tasks", tools=[])
    (tmp_path / "config" / "tools").mkdir()
    path = tmp_path / "config" / "corpora.yaml"

    def parameter(text: str, name: str = "attrs") -> Any:
        path.write_text(text, encoding="utf-8")
        run = experiment(tmp_path)
        names = KnownNames(run, SHIPPED, lambda: load_corpora(path))
        return Downloads(run, names, lambda: load_corpora(path)).corpus(SimpleNamespace(corpus=name))

    return parameter


def test_a_corpus_is_fetched_again_if_its_own_entry_changes_and_not_for_a_comment(corpus_of: Any) -> None:
    known = corpus_of(CORPORA)
    assert Corpus(**known).id == "attrs"
    assert corpus_of(f"# a comment\n{CORPORA}") == known
    assert corpus_of(CORPORA.replace("package: blinker", "package: winker")) == known
    assert corpus_of(CORPORA.replace("homepage: https://www.attrs.org", "homepage: https://attrs.example")) != known


@pytest.mark.parametrize("rule", ["collect_contexts", "prepare_workspaces"])
def test_a_server_that_nobody_starts_is_looked_for_before_tools_run(tmp_path: Path, rule: str) -> None:
    write_task(tmp_path / "config" / "tasks", tools=[])
    (tmp_path / "config" / "tools").mkdir()
    block = SimpleNamespace(profile="light", model="llama3.2-1b")
    jobs = [
        SimpleNamespace(rule=SimpleNamespace(name=name), wildcards=wildcards)
        for name, wildcards in ((rule, SimpleNamespace()), ("run_block", block))
    ]
    workflow = SimpleNamespace(is_main_process=True, dag=SimpleNamespace(needrun_jobs=lambda: jobs))
    run = experiment(tmp_path, profile="light", endpoint="http://127.0.0.1:9")
    flow: Any = SimpleNamespace(_workflow=workflow, experiment=run)
    with pytest.raises(SystemExit, match=r"no Ollama answers at http://127\.0\.0\.1:9"):
        Flow.look_for_servers(flow)
    del jobs[0]
    Flow.look_for_servers(flow)
