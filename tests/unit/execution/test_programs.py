"""Third-party agents in a block: their episodes are samples like any other, and a wrong set-up ends the block in one line."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.endpoints import resource_use
from ai_dev_tools.benchmark.endpoints.resource_use import ResourceMonitor
from ai_dev_tools.benchmark.errors import ConfigurationError, OverloadedError
from ai_dev_tools.benchmark.prompts.episodes import ArmDesign
from ai_dev_tools.benchmark.records.agent_program import AgentProgram
from ai_dev_tools.benchmark.records.episode import EpisodeLimits
from ai_dev_tools.benchmark.records.sample import Sample
from fakes import agent_program
from support.bench import Bench, answering
from support.episodes import episode_prompts

TWO: dict[str, Any] = {"cases": ["one", "two"], "samples": 2, "approaches": ["agent"]}


def run(
    bench: Bench, script: str, version: str = "1", limits: EpisodeLimits | None = None, **changed: Any
) -> list[Sample]:
    words = ["{folder}/agent_program.py", script, "{base_url}", "{model}", "{question_file}", "{answer_file}"]
    program = AgentProgram(
        id="scripted", version=version, digest=f"scripted {script} {version}", command=[sys.executable, *words],
        folder=str(Path(agent_program.__file__).parent), sandbox="none",
    )  # fmt: skip
    design = ArmDesign(limits=limits or EpisodeLimits(), program=program)
    block = TWO | changed
    return bench.run(episode_prompts(bench.block(**block), design), **block)


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.fake.answer = lambda prompt, schema: 'It is {"colour": "red"}.'
    return bench


def test_its_episode_is_one_sample_with_what_the_meter_counted(bench: Bench) -> None:
    samples = run(bench, "ask+look+chat+answer")
    for sample in samples:
        assert (sample.status, sample.answer, sample.score) == ("completed", {"colour": "red"}, 1.0)
        assert sample.input_tokens == sum(turn.input_tokens or 0 for turn in sample.turns) and len(sample.turns) == 2
        assert sample.tool_s > 0 and sample.tool_calls is None
    said = ["\n".join(m["content"] for m in asked["messages"]) for asked in bench.asked]
    assert sum(sample.input_tokens or 0 for sample in samples) == sum(len(text) // 4 + 1 for text in said)
    seeds = {sample.seed for sample in samples}
    assert {asked["options"]["seed"] for asked in bench.asked} == seeds


def test_nothing_is_asked_twice_and_another_version_is_another_agent(bench: Bench) -> None:
    asked = []
    for version in ("1", "1", "2"):
        run(bench, "ask+answer", version)
        asked.append(len(bench.asked))
    assert asked == [2, 0, 2]


def test_what_it_computes_itself_does_not_disturb_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As measured from outside, an agent is just another program that uses the machine, which is said to work for 1 s."""
    worked, plain = itertools.count(100.0), ResourceMonitor.__init__
    monkeypatch.setattr(resource_use, "_busy_s", lambda: next(worked))
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as server:
        monkeypatch.setattr(ResourceMonitor, "__init__", lambda self, pid: plain(self, server.pid))
        (sample,) = run(bench, "compute+ask+answer", cases=["one"], samples=1)
        server.kill()
    assert sample.resources.other_cpu_s is not None and sample.resources.other_cpu_s <= 0.65


def test_a_limit_is_a_result(bench: Bench) -> None:
    for sample in run(bench, "forever", limits=EpisodeLimits(turns=2)):
        assert (sample.status, sample.done_reason, sample.flags) == ("completed", "limit", ["limit_turns"])
        assert sample.score == 0.0 and len(sample.turns) == 2


@pytest.mark.parametrize(
    ("script", "said"), [("silent", "sent nothing to the meter"), ("other", "asked for the model 'gpt-9'")]
)
def test_a_wrong_set_up_ends_the_block_in_one_line(bench: Bench, script: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        run(bench, script)
    assert len(str(caught.value).splitlines()) == 1
    assert not bench.asked
    assert len(run(bench, "ask+answer")) == 2, "what failed by its set-up is asked once that is right"


def test_an_answer_that_is_nowhere_is_a_wrong_answer(bench: Bench) -> None:
    for sample in run(bench, "ask"):
        assert (sample.status, sample.answer, sample.score) == ("completed", None, 0.0)
        assert "no_answer_found" in sample.flags and sample.turns[-1].error is not None
    (line,) = [line for line in bench.lines if line.startswith("warning: ")]
    assert "the agent 'scripted' gave no answer in answer.json after 1 turn" in line and "check 'answer'" in line


def test_an_agent_that_also_asks_for_another_model_is_said_once(bench: Bench) -> None:
    for sample in run(bench, "ask+other+answer"):
        assert sample.score == 1.0 and "other_model_asked" in sample.flags
    (line,) = [line for line in bench.lines if line.startswith("warning: ")]
    assert "also asked for another model" in line


def test_a_server_that_wants_a_long_wait_ends_the_block_instead_of_refusing_every_episode(bench: Bench) -> None:
    bench.fake.bend = answering(503, "server busy, try again in 2 hours")
    with pytest.raises(OverloadedError, match=r"no more requests for 2\.0 h; .* 1 sample and those that it refused"):
        run(bench, "try_chat")
    assert len(bench.asked) == 1
    bench.fake.bend = lambda number, reply: reply
    assert [sample.status for sample in run(bench, "ask+answer")] == ["completed"] * 2


def test_an_agent_that_breaks_down_failed_as_a_tool_does(bench: Bench) -> None:
    for sample in run(bench, "ask+fail"):
        assert sample.status == "failed" and sample.error is not None and sample.error.class_ == "tool"
        assert len(sample.turns) == 1 and sample.tool_s > 0


def replayed(bench: Bench, script: str, **changed: Any) -> list[Sample]:
    endpoint = {"kind": "replay", "replay_from": str(bench.folder)}
    samples = run(bench, script, results=str(bench.folder.parent / "again"), endpoint=endpoint, **changed)
    assert not bench.asked
    return samples


def test_a_replay_gives_the_same_agent_the_same_turns(bench: Bench) -> None:
    bench.fake.answer = lambda prompt, schema: f'Answer {bench.fake.measured}: {{"colour": "red"}}'

    def shown(sample: Sample) -> Any:
        turns = [(turn.text, turn.input_tokens, turn.output_tokens, turn.asked, turn.result) for turn in sample.turns]
        return sample.case, sample.answer, sample.score, sample.input_tokens, turns

    recorded = run(bench, "ask+look+chat+complete+ask+answer")
    assert len({turn.text for sample in recorded for turn in sample.turns}) == 8, "each turn is told from the others"
    assert [*map(shown, replayed(bench, "ask+look+chat+complete+ask+answer"))] == [*map(shown, recorded)]


def test_an_agent_that_asks_about_the_model_is_told_the_same_in_a_replay(bench: Bench) -> None:
    samples = [*run(bench, "ask+show+chat+answer"), *replayed(bench, "ask+show+chat+answer")]
    assert [sample.score for sample in samples] == [1.0] * 4
    (said,) = {sample.turns[0].result for sample in samples}
    assert said == "context: 131072; can: ['completion']"


def test_a_turn_that_was_never_recorded_is_one_line(bench: Bench) -> None:
    run(bench, "ask+answer")
    for sample in replayed(bench, "ask+chat+answer"):
        assert sample.status == "failed" and sample.error is not None and sample.error.class_ == "model"
        assert "this request to fake:1b was not recorded" in sample.error.message
        assert "\n" not in sample.error.message and len(sample.turns) == 2


def test_a_failed_turn_fails_again(bench: Bench) -> None:
    one: dict[str, Any] = {"cases": ["one"], "samples": 1}
    bench.fake.bend = answering(500, "llama runner process has terminated", lambda number: number == 1)
    (recorded,) = run(bench, "ask+try_chat+chat+answer", **one)
    (again,) = replayed(bench, "ask+try_chat+chat+answer", **one)
    classes = [[turn.error and turn.error.class_ for turn in sample.turns] for sample in (recorded, again)]
    assert classes == [[None, "runner", None]] * 2
