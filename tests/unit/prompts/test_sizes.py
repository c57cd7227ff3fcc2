"""A case is of the size it says, and what will not fit a model's context is said before anything is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from ai_dev_tools.benchmark.endpoints import ReadyEndpoint
from ai_dev_tools.benchmark.endpoints.embedded.tokenizing import count_tokens
from ai_dev_tools.benchmark.errors import ConfigurationErrors, ModelError
from ai_dev_tools.benchmark.prompts import write_prompts
from ai_dev_tools.benchmark.prompts.approaches import find_approach
from ai_dev_tools.benchmark.prompts.rendering import render_prompts
from ai_dev_tools.benchmark.prompts.sizes import estimated_tokens, size_problem
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.tasks.loading import load_task
from ai_dev_tools.cli.benchmark_cli import main
from support.making import case, prompt, write_task
from support.repository import ROOT

LINE = "total = total + rates[index] * amount\n"


def code(tokens: int) -> str:
    """Python text of about so many tokens, by the estimate."""
    return LINE * round(tokens * 3.2 / len(LINE))


def rendered(folder: Path) -> None:
    render_prompts(load_task(folder), {}, [find_approach("baseline", {}), find_approach("no_context", {})], folder, ())


# ------------------------------------------------------------------------------------------ rendering


@pytest.mark.parametrize(("size", "tokens", "hint"), [("S", 81_007, "fewer files"), ("S", 5_000, "declare size: L"),
                                                      ("L", 81_007, "fewer files")])  # fmt: skip
def test_a_case_that_is_far_larger_than_its_class_is_not_rendered(
    tmp_path: Path, size: str, tokens: int, hint: str
) -> None:
    cases = (case("fits"), case("big", size=size))
    folder = write_task(tmp_path, *cases, sources={"fits/a.py": "x = 1\n", "big/a.py": code(tokens)})
    with pytest.raises(ConfigurationErrors) as caught:
        rendered(folder)
    (line,) = caught.value.lines
    assert f"case 'big' has size {size}" in line
    assert hint in line
    said = re.search(r"about ([\d,]+) \(", line)
    assert said
    assert int(said[1].replace(",", "")) == pytest.approx(tokens, abs=200)


@pytest.mark.parametrize(("size", "tokens"), [("S", 2_000), ("S", 3_200), ("L", 6_500), ("L", 9_000), ("L", 100)])
def test_a_case_that_some_tokenizer_could_cut_that_short_is_rendered(tmp_path: Path, size: str, tokens: int) -> None:
    rendered(write_task(tmp_path, case("one", size=size), sources={"one/a.py": code(tokens)}))


def test_every_such_case_has_a_line_but_no_more_than_a_screen_holds(tmp_path: Path) -> None:
    names = [f"case{number}" for number in range(14)]
    folder = write_task(
        tmp_path, *(case(name) for name in names), sources={f"{name}/a.py": code(9_000) for name in names}
    )
    with pytest.raises(ConfigurationErrors) as caught:
        rendered(folder)
    assert len(caught.value.lines) == 11
    assert "4 more cases" in caught.value.lines[-1]


def test_a_context_that_the_user_wrote_may_be_long(tmp_path: Path) -> None:
    given = {"baseline": code(20_000), "tools": "short"}
    rendered(write_task(tmp_path, case("one", size="L", source=None, contexts=given)))


def test_only_the_files_that_are_shown_count(tmp_path: Path) -> None:
    folder = write_task(
        tmp_path,
        case("one", excerpt={"file": "a.py", "start_line": 1, "end_line": 3}, files=["a.py"]),
        sources={"one/a.py": code(50_000), "one/b.py": code(50_000)},
    )
    rendered(folder)


def test_a_case_near_its_limit_is_told_but_not_refused() -> None:
    row = prompt("one", "baseline", code(2_600))
    assert size_problem(row, far_beyond=True) is None
    assert "at most 2,500" in str(size_problem(row))
    assert size_problem(prompt("one", "baseline", code(2_400))) is None


# ------------------------------------------------------------------------------------------ counting


def test_tokens_are_counted_as_the_server_counts_them(weights: Path, embedded_endpoint: ReadyEndpoint) -> None:
    texts = ["", "Hello there, World!", code(300), "é ü 漢字 1234567\n\n\t x"]
    counts = count_tokens(weights, texts)
    for text, counted in zip(texts[1:], counts[1:], strict=True):
        body = {
            "model": embedded_endpoint.model,
            "prompt": text,
            "raw": True,
            "stream": False,
            "options": {"num_predict": 1},
        }
        said = urllib3.request("POST", f"{embedded_endpoint.base_url}/api/generate", json=body, timeout=120).json()
        assert counted == said["prompt_eval_count"]
    assert counts[0] == 0


def test_the_estimate_is_on_the_cautious_side_for_code(weights: Path) -> None:
    text = (ROOT / "src/ai_dev_tools/benchmark/prompts/__init__.py").read_text(encoding="utf-8")
    (counted,) = count_tokens(weights, [text])
    assert counted < estimated_tokens(text) < 1.5 * counted


def test_weights_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(ModelError) as caught:
        count_tokens(file, ["x"])
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------ plan and validate


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workflow folder with one task of a small and a larger case, for a model of a server that need not run."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tools").mkdir()
    (tmp_path / "Snakefile").symlink_to(ROOT / "Snakefile")
    settings: dict[str, Any] = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    settings["profiles"]["mine"] = {
        "endpoint": "http://127.0.0.1:1", "samples": 2, "instances": {"a": {"model": "llama3.2:1b"}}
    }  # fmt: skip
    settings |= {"profile": "mine", "approaches": ["baseline", "no_context"]}
    (tmp_path / "config" / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def with_cases(project: Path, size: str, tokens: int) -> None:
    sources = {"one/a.py": "x = 1\n", "two/a.py": code(tokens)}
    cases = (case("one", size=size), case("two", size=size))
    write_task(project / "config" / "tasks", *cases, sources=sources, tools=[])


def planned(capsys: pytest.CaptureFixture[str], *more: str) -> tuple[list[dict[str, Any]], str]:
    """What does not fit, for programs and for people."""
    assert main(["plan", "--json", *more]) == 0
    content = json.loads(capsys.readouterr().out)["context"]
    assert main(["plan", *more]) == 0
    return content, "\n".join(line for line in capsys.readouterr().out.splitlines() if line.startswith("Context"))


def test_plan_says_what_will_not_fit(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_cases(project, "L", 8_400)
    (found,), said = planned(capsys)
    assert (found["model"], found["task"], found["approach"]) == ("llama3.2:1b", "colours", "baseline")
    assert (found["problem"], found["cases"], found["of"], found["counted"]) == ("overflows", 1, 2, False)
    assert "estimated at 3.2 characters a token" in said
    assert "context_overflow" in said
    assert planned(capsys, "--config", "options={num_ctx: 16384}") == ([], "")


def test_plan_says_what_leaves_no_room_for_the_answer(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_cases(project, "L", 7_900)
    (found,), said = planned(capsys)
    assert found["problem"] == "tight"
    assert "may be cut" in said


def test_plan_knows_of_other_arms_once_their_prompts_were_rendered(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_cases(project, "S", 100)
    assert planned(capsys) == ([], "")
    rows = [prompt("one", "no_context", code(9_000)), prompt("gone", "no_context", code(9_000))]
    write_prompts(project / paths.PROMPTS.format(task="colours"), [*rows, prompt("one", "excerpt", code(9_000))])
    (found,), _ = planned(capsys)
    assert (found["approach"], found["cases"]) == ("no_context", 1)


def test_a_file_of_prompts_that_is_damaged_does_not_end_a_plan(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_cases(project, "S", 100)
    file = project / paths.PROMPTS.format(task="colours")
    file.parent.mkdir(parents=True)
    file.write_text("{")
    assert planned(capsys) == ([], "")


def checks(capsys: pytest.CaptureFixture[str], name: str) -> list[dict[str, str]]:
    main(["validate", "--json", "--no-sources"])
    found = json.loads(capsys.readouterr().out)["checks"]
    return [check for check in found if check["name"] == name]


def test_validate_fails_for_a_class_that_is_far_too_small(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_cases(project, "S", 81_007)
    (check,) = checks(capsys, "task colours")
    assert check["status"] == "failed"
    assert "case 'two' has size S" in check["found"]


def test_validate_warns_of_a_class_that_may_be_wrong_and_of_what_does_not_fit(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_cases(project, "L", 8_400)
    assert [check["status"] for check in checks(capsys, "task colours")] == ["ok", "warning"]
    (check,) = checks(capsys, "context")
    assert (check["status"], "llama3.2:1b with num_ctx 8192" in check["found"]) == ("warning", True)


def test_the_embedded_models_own_tokenizer_decides(
    project: Path, capsys: pytest.CaptureFixture[str], weights: Path
) -> None:
    """What the estimate would call too long may fit, and the plan says which of the two it rests on."""
    settings = yaml.safe_load((project / "config" / "config.yaml").read_text())
    settings["profiles"]["mine"] |= {"endpoint": "embedded", "instances": {"a": {"model": "smollm2:135m"}}}
    (project / "config" / "config.yaml").write_text(yaml.safe_dump(settings))
    place = project / "resources" / "models" / weights.name
    place.parent.mkdir(parents=True)
    place.symlink_to(weights)
    text = code(9_000)
    (counted,) = count_tokens(weights, [text])
    with_cases(project, "L", 9_000)
    num_ctx = f"options={{num_ctx: {counted + 400}, num_predict: 512}}"
    (found,), said = planned(capsys, "--config", num_ctx)
    assert (found["problem"], found["counted"]) == ("tight", True)
    assert counted < found["most_tokens"] < counted + 300
    assert "(counted)" in said
