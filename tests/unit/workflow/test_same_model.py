"""Whether the model behind a name changed is said by `validate` and `plan`, as a run from which nothing is missing cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_dev_tools.benchmark.records.sample import write_block
from ai_dev_tools.benchmark.workflow.same_model import recorded_digests
from ai_dev_tools.cli.benchmark_cli import main
from fakes.ollama import FakeOllama
from support import making
from support.project import make_project

MODEL = "llama3.2:1b"
OLD = "0ld" + "0" * 61


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_project(tmp_path / "project", tasks=["safety_assessment"])
    monkeypatch.chdir(folder)
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    return folder


def finished_block(project: Path, digest: str | None, profile: str = "light", model: str = "llama3.2-1b") -> None:
    file = project / "results" / profile / "blocks" / model / "safety_assessment.jsonl"
    asked = [making.sample(model_digest=one, task="safety_assessment", profile=profile) for one in (None, digest)]
    write_block(file, asked)


def said(words: list[str], url: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main([*words, "--profile", "light", "--endpoint", url, "--json"]) == 0
    return capsys.readouterr().out


def test_another_model_under_the_name_is_said_by_plan_and_validate(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_block(project, OLD)
    with FakeOllama(models=[MODEL]) as fake:
        now = str(fake._listed(MODEL)["digest"])
        for command in ("validate", "plan"):
            text = said([command], fake.url, capsys)
            assert f"{MODEL} is not the model of the existing results" in text
            assert now[:12] in text
            assert OLD[:12] in text
            assert "safety_assessment" in text
        assert main(["plan", "--profile", "light", "--endpoint", fake.url]) == 0
    assert f"Note: {MODEL} is not the model" in capsys.readouterr().out


def test_the_same_model_no_results_and_a_server_that_is_off_say_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeOllama(models=[MODEL]) as fake:
        assert "is not the model" not in said(["plan"], fake.url, capsys)
        finished_block(project, str(fake._listed(MODEL)["digest"]))
        for command in ("validate", "plan"):
            assert "is not the model" not in said([command], fake.url, capsys)
    assert "is not the model" not in said(["plan"], fake.url, capsys)


def test_the_embedded_model_is_compared_by_its_pinned_weights(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_block(project, OLD, "embedded", "smollm2-135m")
    assert main(["plan", "--profile", "embedded"]) == 0
    assert "smollm2:135m is not the model" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "{", "[]\n", '{"model_digest": 5', "\xff"])
def test_a_damaged_block_says_nothing(tmp_path: Path, content: str) -> None:
    file = tmp_path / "blocks" / "llama3.2-1b" / "t.jsonl"
    file.parent.mkdir(parents=True)
    file.write_bytes(content.encode("latin-1"))
    assert recorded_digests(tmp_path, MODEL) == {}
