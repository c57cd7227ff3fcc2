"""Episodes in a block: one sample each, with its turns, its sums, its limits, and what becomes of them when something fails."""

from __future__ import annotations

import json
import threading
from typing import Any

import msgspec
import pytest

from ai_dev_tools.benchmark.agents import episode
from ai_dev_tools.benchmark.agents.actions import ActionResult
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.execution import ask_block
from ai_dev_tools.benchmark.prompts.episodes import ArmDesign
from ai_dev_tools.benchmark.records.episode import EpisodeLimits
from ai_dev_tools.benchmark.records.sample import Sample, SampleError
from fakes.agent_model import action, answer, in_turn, playing
from fakes.openai_api import FakeOpenAI
from support.bench import Bench, answering
from support.episodes import PLAIN_DESIGN, FakeTool, episode_prompt, episode_prompts

RED = {"colour": "red"}
READING = (action("list_files", path=""), action("read_file", path="sky.py", start=1), answer(RED))
ONE: dict[str, Any] = {"cases": ["one"], "samples": 1, "approaches": ["agent"]}


def run(bench: Bench, design: ArmDesign = PLAIN_DESIGN, **changed: Any) -> list[Sample]:
    block = ONE | changed
    return bench.run(episode_prompts(bench.block(**block), design), **block)


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.fake.converse = playing(in_turn(*READING), last=RED)
    return bench


def test_an_episode_is_one_sample_with_its_turns(bench: Bench) -> None:
    (sample,) = run(bench)
    assert (sample.status, sample.score, sample.answer) == ("completed", 1.0, RED)
    assert [turn.action for turn in sample.turns] == ["list_files", "read_file", "answer"]
    assert json.loads(sample.turns[1].arguments or "") == {"path": "sky.py", "start": 1}
    assert sample.turns[1].result == "sky.py, lines 1 to 1 of 1:\nCOLOUR = 'red'"
    assert len(list(bench.folder.rglob("samples/**/*.json"))) == 1


def test_counts_and_times_are_the_sums_of_what_the_server_said(bench: Bench) -> None:
    (sample,) = run(bench)
    said = [len(" ".join(m["content"] for m in asked["messages"])) for asked in bench.asked]
    assert [turn.input_tokens for turn in sample.turns] == [n // 4 + 1 for n in said]
    for name in ("input_tokens", "output_tokens", "duration_s", "eval_s", "load_s", "prompt_eval_s"):
        assert getattr(sample, name) == pytest.approx(sum(getattr(turn, name) or 0 for turn in sample.turns))
    assert sample.total_tokens == (sample.input_tokens or 0) + (sample.output_tokens or 0)
    assert sample.attempts[0].duration_s == pytest.approx(sample.duration_s)


def test_the_nonce_opens_the_episode_once(bench: Bench) -> None:
    run(bench)
    openings = {asked["messages"][0]["content"].partition("\n\n")[0] for asked in bench.asked}
    assert len(openings) == 1 and next(iter(openings)).startswith("Request ")
    assert all("Request " not in message["content"] for asked in bench.asked for message in asked["messages"][1:])


def test_every_turn_is_forced_to_what_the_plan_fixed(bench: Bench) -> None:
    run(bench)
    for asked in bench.asked:
        assert asked["options"] == bench.asked[0]["options"] and asked["options"]["seed"]
        assert (asked["model"], asked["truncate"], asked["shift"]) == ("fake:1b", False, False)


def test_the_floor_answers_at_once_and_sees_no_file(bench: Bench) -> None:
    (sample,) = run(bench, approaches=["agent-none"])
    assert [turn.action for turn in sample.turns] == ["answer"] and sample.flags == []
    assert "list_files" not in bench.asked[0]["messages"][0]["content"]
    assert "anyOf" not in bench.asked[0]["format"]


@pytest.mark.parametrize(
    ("limits", "flag", "turns"),
    [
        (EpisodeLimits(turns=3), "limit_turns", 3),
        (EpisodeLimits(tokens=500), "limit_tokens", 3),
        (EpisodeLimits(seconds=0.000001), "limit_seconds", 2),
    ],
)
def test_a_limit_is_a_result_and_makes_the_agent_answer(
    bench: Bench, limits: EpisodeLimits, flag: str, turns: int
) -> None:
    bench.fake.converse = playing(in_turn(action("list_files", path="")), last=RED)
    (sample,) = run(bench, ArmDesign(limits=limits))
    assert (sample.status, sample.done_reason, sample.flags, sample.score) == ("completed", "limit", [flag], 1.0)
    assert len(sample.turns) == turns and sample.turns[-1].action == "answer"
    assert bench.asked[-1]["messages"][-1]["content"].endswith("it has to be the answer.")
    assert "anyOf" in bench.asked[-2]["format"] and "anyOf" not in bench.asked[-1]["format"]


def test_a_window_that_fills_up_makes_the_agent_answer_with_what_it_has(bench: Bench) -> None:
    bench.fake.converse = playing(in_turn(action("read_file", path="long.py", start=1)), last=RED)
    options = {"temperature": 0.0, "num_ctx": 1200, "num_predict": 64}
    block = ONE | {"options": options}
    long = episode_prompt("one", "agent", files={"long.py": "x = 1  # a line of code\n" * 150})
    (sample,) = bench.run({("one", "agent"): long}, **block)
    assert (sample.done_reason, sample.flags, sample.score) == ("limit", ["limit_context"], 1.0)
    assert "(cut: " in bench.asked[-1]["messages"][-1]["content"]
    assert all((turn.input_tokens or 0) + (turn.output_tokens or 0) <= 1200 for turn in sample.turns)


def test_a_result_that_a_server_refuses_as_too_long_is_left_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(episode, "FEWEST_CHARS_PER_TOKEN", 1e9)  # the estimate says that everything fits
    bench.fake.converse = playing(in_turn(action("read_file", path="long.py", start=1)), last=RED)
    options = {"temperature": 0.0, "num_ctx": 1100, "num_predict": 64}
    long = episode_prompt("one", "agent", files={"long.py": "x = 1  # a line of code\n" * 150})
    (sample,) = bench.run({("one", "agent"): long}, **(ONE | {"options": options}))
    assert (sample.done_reason, sample.flags, sample.score) == ("limit", ["limit_context"], 1.0)
    assert episode.LEFT_OUT in bench.asked[-1]["messages"][-1]["content"]


def test_what_is_no_action_is_told_to_the_model_and_costs_a_turn(bench: Bench) -> None:
    bench.fake.converse = playing(in_turn("Let me look.", action("look"), answer(RED)), last=RED)
    (sample,) = run(bench)
    assert [turn.action for turn in sample.turns] == [None, "look", "answer"]
    assert "there is no action 'look'" in bench.asked[2]["messages"][-1]["content"]


def test_an_action_with_the_same_result_again_is_told_so_and_not_shown_it_again(bench: Bench) -> None:
    listing, reading = action("list_files", path=""), action("read_file", path="sky.py", start=1)
    bench.fake.converse = playing(in_turn(listing, reading, listing, answer(RED)), last=RED)
    (sample,) = run(bench)
    assert [turn.action for turn in sample.turns] == ["list_files", "read_file", "list_files", "answer"]
    assert bench.asked[3]["messages"][-1]["content"] == sample.turns[2].result == episode.REPEATED
    assert episode.REPEATED not in json.dumps(bench.asked[2]["messages"])


def test_an_answer_that_cannot_be_read_scores_0(bench: Bench) -> None:
    bench.fake.converse = lambda conversation, schema: "no idea"
    (sample,) = run(bench, ArmDesign(limits=EpisodeLimits(turns=2)))
    assert (sample.status, sample.answer, sample.score, sample.response) == ("completed", None, 0.0, "no idea")


# failures


def test_a_connection_that_breaks_restarts_the_episode_with_another_nonce(bench: Bench) -> None:
    broken: list[int] = []

    def bend(number: int, reply: Any) -> Any:
        if number == 2 and not broken:
            broken.append(number)
            for transport in list(bench.fake.open_connections):
                transport.abort()
        return reply

    bench.fake.bend = bend
    (sample,) = run(bench)
    assert (sample.status, len(sample.attempts), "retried" in sample.flags) == ("completed", 2, True)
    assert [turn.action for turn in sample.turns] == ["list_files", "read_file", "answer"]
    openings = [asked["messages"][0]["content"].partition("\n\n")[0] for asked in bench.asked]
    assert len(openings) == 6 and openings[0] == openings[2] != openings[3] == openings[5]
    assert sample.attempts[0].error is not None and sample.attempts[0].error.class_ == "connection"


def test_a_turn_that_is_only_refused_is_sent_again(bench: Bench) -> None:
    bench.fake.bend = answering(503, "busy", lambda number: number == 1)
    (sample,) = run(bench)
    assert (sample.status, len(sample.attempts), sample.flags) == ("completed", 1, ["retried"])
    assert len({asked["messages"][0]["content"] for asked in bench.asked}) == 1 and len(bench.asked) == 4


def test_a_server_that_stays_busy_is_not_asked_for_every_attempt_again(bench: Bench) -> None:
    bench.fake.bend = answering(503, "busy", lambda number: number > 0)
    (sample,) = run(bench)
    assert (sample.status, sample.error and sample.error.class_) == ("failed", "overloaded")
    assert len(bench.asked) == 1 + 3


def test_a_turn_that_times_out_is_a_timeout_that_knows_what_came_before(bench: Bench) -> None:
    slow = {"on": False}
    plain = playing(in_turn(*READING), last=RED)

    def converse(conversation: Any, schema: Any) -> str:
        slow["on"] = len(conversation) == 3
        bench.fake.latency_s = 1.0 if slow["on"] else 0.0
        return plain(conversation, schema)

    bench.fake.converse = converse
    (sample,) = run(bench, timeout_s=0.3)
    assert (sample.status, [turn.error is not None for turn in sample.turns]) == ("timeout", [False, True])
    assert sample.input_tokens == sample.turns[0].input_tokens and sample.score is None


# reruns


def test_a_rerun_asks_nothing_and_a_changed_limit_asks_only_that_arm(bench: Bench) -> None:
    arms = {"approaches": ["agent", "agent-none"]}
    first = run(bench, **arms)
    assert run(bench, **arms) == first and not bench.asked
    block = bench.block(**(ONE | arms))
    prompts = episode_prompts(block) | {
        ("one", "agent"): episode_prompt("one", "agent", ArmDesign(limits=EpisodeLimits(turns=5)))
    }
    bench.run(prompts, **(ONE | arms))
    assert len(bench.asked) == 3


def test_a_changed_file_of_the_workspace_asks_again(bench: Bench) -> None:
    run(bench)
    changed = episode_prompt("one", "agent", files={"sky.py": "COLOUR = 'green'\n"})
    bench.run({("one", "agent"): changed}, **ONE)
    assert len(bench.asked) == 3


def test_single_prompts_next_to_episodes_keep_their_requests(bench: Bench) -> None:
    bench.fake.converse = None
    (alone,) = bench.run(cases=["one"], samples=1, approaches=["baseline"])
    assert (alone.turns, alone.limits, alone.tool_calls) == ([], None, None)
    assert [*bench.asked[0]] == ["model", "messages", "format", "options", "truncate", "shift", "think", "stream"]
    assert [*bench.asked[0]["messages"][0]] == ["role", "content"]


# the judged tool


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> FakeTool:
    fake = FakeTool()
    monkeypatch.setattr(episode, "tool_actions", lambda spec, plain: (fake,) if spec.tool else ())
    return fake


def test_a_tool_that_finds_something_else_than_before_is_heard(bench: Bench, tool: FakeTool) -> None:
    found = iter(["no index yet", "sky.py:1", "sky.py:1"])
    tool.call = lambda name, arguments: ActionResult(next(found), 0.5, tool=True)  # type: ignore[method-assign]
    asking = action("lookup", name="COLOUR")
    bench.fake.converse = playing(in_turn(asking, asking, asking, answer(RED)), last=RED)
    (sample,) = run(bench, approaches=["agent-index"])
    assert [turn.result for turn in sample.turns[:3]] == ["no index yet", "sky.py:1", episode.REPEATED]
    assert sample.tool_calls == 3


def test_a_tools_start_and_calls_are_charged_and_counted(bench: Bench, tool: FakeTool) -> None:
    bench.fake.converse = playing(in_turn(action("lookup", name="COLOUR"), *READING[1:]), last=RED)
    (sample,) = run(bench, approaches=["agent-index"])
    assert (sample.tool_s, sample.tool_calls, [turn.tool for turn in sample.turns]) == (0.75, 1, [True, False, False])
    assert (tool.entered, tool.left, tool.calls) == (1, 1, [("lookup", {"name": "COLOUR"})])
    assert "Finds where a name is defined." in bench.asked[0]["messages"][0]["content"]


def test_a_tool_that_is_not_used_says_so(bench: Bench, tool: FakeTool) -> None:
    (sample,) = run(bench, approaches=["agent-index"])
    assert (sample.tool_s, sample.tool_calls) == (0.25, 0)


def test_a_tool_that_dies_fails_the_episode_as_the_tools_failure(bench: Bench, tool: FakeTool) -> None:
    gone = ActionResult("gone", 0.5, SampleError("tool", "index ended with exit code 1"), tool=True, ends=True)
    tool.results = {"COLOUR": gone}
    bench.fake.converse = playing(in_turn(action("lookup", name="COLOUR")), last=RED)
    (sample,) = run(bench, approaches=["agent-index"])
    assert (sample.status, sample.error) == ("failed", SampleError("tool", "index ended with exit code 1"))
    assert len(sample.attempts) == 1 and tool.left == 1 and sample.tool_s == 0.75
    assert sample.input_tokens == sample.turns[0].input_tokens


def test_a_tool_that_offers_less_than_before_is_a_failure(bench: Bench, tool: FakeTool) -> None:
    tool.offered = ()
    (sample,) = run(bench, approaches=["agent-index"])
    assert sample.error is not None and sample.error.class_ == "tool" and "'lookup'" in sample.error.message


# the protocol `native`


def test_native_episodes_call_functions(bench: Bench) -> None:
    bench.fake.calls_functions = True
    (sample,) = run(bench, ArmDesign(protocol="native"))
    assert (sample.status, sample.score) == ("completed", 1.0)
    assert [turn.action for turn in sample.turns] == ["list_files", "read_file", "answer"]
    assert [tool["function"]["name"] for tool in bench.asked[0]["tools"]][-1] == "answer"
    assert [message["role"] for message in bench.asked[2]["messages"]] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "tool",
    ]
    assert "format" not in bench.asked[0]


def test_a_model_that_cannot_call_functions_is_said_in_one_line(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot call functions.*protocol: json"):
        run(bench, ArmDesign(protocol="native"))


def test_samples_of_episodes_are_read_as_they_were_written(bench: Bench) -> None:
    (sample,) = run(bench)
    data = json.loads(bench.path("agent", 0).read_bytes())
    assert msgspec.convert(data, Sample) == sample
    assert "prompt_cached_tokens" in data["turns"][0] and "error" not in data["turns"][0]


def test_a_blocks_file_holds_all_turns(bench: Bench) -> None:
    wanted = bench.block(**ONE)
    work = ask_block(wanted, episode_prompts(wanted), bench.lines.append, threading.Event())
    assert [len(sample.turns) for sample in work.samples()] == [3]


def test_the_memory_of_a_block_does_not_grow_with_its_samples(bench: Bench) -> None:
    wanted = bench.block(**ONE | {"approaches": ["agent", "agent-none"], "samples": 20})
    work = ask_block(wanted, episode_prompts(wanted), bench.lines.append, threading.Event())
    assert len(work.done) == 40
    assert len({id(kept) for kept in work.done.values()}) == 1, "of samples that are alike, one thing is kept"


def test_a_corrected_truth_scores_an_episode_again_and_keeps_its_turns(bench: Bench) -> None:
    run(bench)
    corrected = msgspec.structs.replace(episode_prompt("one", "agent"), truth={"colour": "green"})
    (sample,) = bench.run({("one", "agent"): corrected}, **ONE)
    assert (sample.score, len(sample.turns), bench.asked) == (0.0, 3, [])


# replays


@pytest.mark.parametrize("protocol", ["json", "native"])
def test_a_replay_plays_every_turn_and_the_attempt_that_failed(bench: Bench, protocol: Any) -> None:
    bench.fake.calls_functions = True
    failed: list[int] = []

    def bend(number: int, reply: Any) -> Any:
        return (500, [{"error": "llama runner process has terminated"}], 0.0) if number == 1 and not failed else reply

    bench.fake.bend = bend
    design = ArmDesign(protocol=protocol)
    arms: dict[str, Any] = {"approaches": ["agent", "agent-none"]}
    recorded = run(bench, design, **arms)
    assert sorted(len(sample.attempts) for sample in recorded) == [1, 2]
    endpoint = {"kind": "replay", "replay_from": str(bench.folder)}
    replayed = run(bench, design, results=str(bench.folder.parent / "again"), endpoint=endpoint, **arms)
    assert not bench.asked

    def shown(sample: Sample) -> Any:
        turns = [(turn.action, turn.arguments, turn.input_tokens, turn.result) for turn in sample.turns]
        errors = [attempt.error and attempt.error.class_ for attempt in sample.attempts]
        return sample.approach, sample.answer, sample.score, sample.input_tokens, turns, errors

    assert [*map(shown, replayed)] == [*map(shown, recorded)]


def test_an_episode_that_is_stopped_leaves_nothing_and_is_asked_again_from_its_beginning(bench: Bench) -> None:
    stop = threading.Event()
    plain = playing(in_turn(*READING), last=RED)

    def converse(conversation: Any, schema: Any) -> str:
        if len(conversation) == 3:
            stop.set()
        return plain(conversation, schema)

    bench.fake.converse = converse
    wanted = bench.block(**ONE)
    ask_block(wanted, episode_prompts(wanted), bench.lines.append, stop)
    assert bench.samples_there() == []
    bench.fake.converse = plain
    (sample,) = run(bench)
    assert len(sample.turns) == len(bench.asked) == 3


# servers with OpenAI's API


def test_episodes_at_a_server_with_openais_api(bench: Bench) -> None:
    said = [json.dumps(step) for step in READING]
    with FakeOpenAI() as server:
        server.answer = lambda prompt, schema: said[(len(server.chats) - 1) % 3]
        (sample,) = run(bench, endpoint={"kind": server.url})
        bodies = [chat.body for chat in server.chats]
    assert (sample.status, sample.score, [turn.action for turn in sample.turns]) == (
        "completed",
        1.0,
        ["list_files", "read_file", "answer"],
    )
    assert [len(body["messages"]) for body in bodies] == [1, 3, 5]
    assert sample.total_tokens == sum((t.input_tokens or 0) + (t.output_tokens or 0) for t in sample.turns)
    assert "num_ctx" not in sample.request.options
