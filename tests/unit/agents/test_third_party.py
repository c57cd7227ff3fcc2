"""Third-party agents: their files, their sandbox, and what is said of a wrong set-up. The agent is a labelled, scripted fake."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_dev_tools.benchmark.agents import sandbox
from ai_dev_tools.benchmark.agents.meter.episode_account import Upstream
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from ai_dev_tools.benchmark.errors import (
    ConfigurationError,
    ConfigurationErrors,
    OverloadedError,
    ToolError,
)
from ai_dev_tools.benchmark.prompts.agent_program_file import (
    ProgramSpec,
    find_programs,
    installed_program,
    load_program,
)
from ai_dev_tools.benchmark.prompts.containment import SandboxStarter, bubblewrap_problem
from ai_dev_tools.benchmark.records.agent_program import AgentProgram
from fakes.ollama import FakeOllama
from fakes.openai_api import FakeOpenAI
from support.third_party_agents import ANSWER, MODEL, play, program

SANDBOXES = [
    "none",
    pytest.param("bubblewrap", marks=pytest.mark.skipif(bool(bubblewrap_problem()), reason="no bubblewrap")),
]


@pytest.mark.parametrize("sandbox", SANDBOXES)
class TestEpisodes:
    def test_an_agent_asks_looks_and_answers(self, meter: MeterServer, ollama: FakeOllama, sandbox: Any) -> None:
        played = play(meter, ollama, program("ask+look+chat+answer", sandbox=sandbox))
        assert played.answer == {"names": ["a"]} and played.limit is None and not played.flags
        first, second = played.turns
        assert first.asked == "[user] What is there?" and first.text == ANSWER and first.result == "def a(): ..."
        assert second.input_tokens and second.input_tokens > (first.input_tokens or 0)
        assert ollama.requests[0]["messages"][0]["content"] == "Request 00000042\n\nWhat is there?"
        assert played.tool_s > 0, "the agent's own time is part of what its user waits for"

    def test_an_answer_may_be_printed_or_said(self, meter: MeterServer, ollama: FakeOllama, sandbox: Any) -> None:
        printed = play(meter, ollama, program("ask+print", sandbox=sandbox, answer=["file", "stdout"]))
        said = play(meter, ollama, program("ask", sandbox=sandbox, answer=["file", "message"]))
        assert printed.answer == said.answer == {"names": ["a"]}

    def test_a_limit_ends_it_and_is_a_result(self, meter: MeterServer, ollama: FakeOllama, sandbox: Any) -> None:
        played = play(meter, ollama, program("forever", sandbox=sandbox), turns=3)
        assert played.limit == "turns" and len(played.turns) == 3 and played.answer is None
        assert "limit_turns" in played.flags

    def test_what_it_wrote_before_a_limit_counts(self, meter: MeterServer, ollama: FakeOllama, sandbox: Any) -> None:
        played = play(meter, ollama, program("ask+answer+forever", sandbox=sandbox), turns=3)
        assert played.limit == "turns" and played.answer == {"names": ["a"]}


def test_a_limit_of_seconds_cuts_a_turn_short(meter: MeterServer, ollama: FakeOllama) -> None:
    agent = program("chat+answer+chat", sandbox="none")
    ollama.gate = lambda: ollama.measured < 2  # the second answer never comes
    played = play(meter, ollama, agent, seconds=3.0)
    assert played.limit == "seconds" and "limit_seconds" in played.flags
    assert [turn.done_reason for turn in played.turns] == ["stop", "limit"]
    assert played.answer == {"names": ["a"]}


KEY = "sk-proj/Marker+0815=abc"


class EchoingOpenAI(FakeOpenAI):
    """Hands its key back in the answer, piece by piece, in a call, as the model's name and as the reason why it ended."""

    def events(self, body: dict[str, Any], number: int) -> list[dict[str, Any]]:
        named = {"model": f"{MODEL} {KEY}", "system_fingerprint": KEY}
        call = {"index": 0, "id": KEY, "function": {"name": KEY, "arguments": json.dumps({"key": KEY})}}
        text = json.dumps({"names": [KEY, base64.b64encode(f"Bearer {KEY}".encode()).decode()]})
        parts: list[dict[str, Any]] = [{"tool_calls": [call]}, *({"content": letter} for letter in text)]
        pieces = [named | {"choices": [{"delta": part, "finish_reason": None}]} for part in parts]
        return [*pieces, named | {"choices": [{"delta": {}, "finish_reason": f"because {KEY}"}]}]


def test_a_key_that_a_server_repeats_is_in_nothing_that_is_kept_of_an_episode(meter: MeterServer) -> None:
    with EchoingOpenAI(key=KEY) as fake:
        upstream = Upstream(None, fake.url, headers={"Authorization": f"Bearer {KEY}"})
        played = play(meter, upstream, program("ask+ask+answer", sandbox="none"))
        with pytest.raises(ToolError) as caught:
            play(meter, upstream, program("ask+print+fail", sandbox="none"))
    assert len(played.turns) == 2 and played.answer is not None
    kept = f"{played} {caught.value}"
    assert "(hidden)" in kept
    for before in range(3):
        assert base64.b64encode(bytes(before) + KEY.encode()).decode()[4:-4] not in kept
    assert "Marker" not in kept


class TestWrongSetUps:
    def test_an_agent_that_does_not_ask_the_meter(self, meter: MeterServer, ollama: FakeOllama) -> None:
        with pytest.raises(ConfigurationError, match=r"sent nothing to the meter: it ended properly.*base_url"):
            play(meter, ollama, program("silent", sandbox="none"))

    def test_one_that_breaks_down_before_it_asks_says_why(self, meter: MeterServer, ollama: FakeOllama) -> None:
        with pytest.raises(ConfigurationError, match="sent nothing to the meter: exit code 1: this agent broke down"):
            play(meter, ollama, program("fail", sandbox="none"))

    def test_one_that_asks_for_another_model(self, meter: MeterServer, ollama: FakeOllama) -> None:
        with pytest.raises(ConfigurationError, match=r"asked for the model 'gpt-9', but .* 'fake:1b'.*\{model\}"):
            play(meter, ollama, program("other", sandbox="none"))

    def test_one_whose_answer_is_nowhere(self, meter: MeterServer, ollama: FakeOllama) -> None:
        played = play(meter, ollama, program("ask", sandbox="none"))
        assert played.answer is None and "no_answer_found" in played.flags
        error = played.turns[-1].error
        assert error is not None and error.message.startswith(
            "the agent 'scripted' gave no answer in answer.json after 1 turn"
        )

    def test_one_that_writes_its_answer_elsewhere(self, meter: MeterServer, ollama: FakeOllama) -> None:
        error = play(meter, ollama, program("ask+misplace", sandbox="none")).turns[-1].error
        assert (
            error is not None
            and "gave no answer in answer.json after 1 turn (it wrote out/result.json)" in error.message
        )

    def test_one_whose_files_do_not_go_with_the_workspace(self, meter: MeterServer, ollama: FakeOllama) -> None:
        with pytest.raises(
            ConfigurationError, match=r"cannot have its file src/a.py/x in this workspace: .*another name"
        ):
            play(meter, ollama, program("ask+answer", sandbox="none", files={"src/a.py/x": "text"}))
        assert not ollama.requests

    def test_one_that_breaks_down_later_failed_itself(self, meter: MeterServer, ollama: FakeOllama) -> None:
        with pytest.raises(ToolError, match="failed after 1 turn: exit code 1: this agent broke down"):
            play(meter, ollama, program("ask+fail", sandbox="none"))

    def test_a_server_that_fails_is_not_the_agents_failure(self, meter: MeterServer) -> None:
        with FakeOllama(overload_every=1) as fake, pytest.raises(OverloadedError, match="busy"):
            play(meter, fake, program("ask", sandbox="none"))

    def test_a_program_that_is_not_there(self, meter: MeterServer, ollama: FakeOllama) -> None:
        missing = AgentProgram(id="x", version="1", digest="d", command=["/nowhere/agent"], sandbox="none")
        with pytest.raises(ConfigurationError, match="it cannot be started"):
            play(meter, ollama, missing)

    @pytest.mark.parametrize(
        ("setting", "said"),
        [
            ("auto", "but bubblewrap (bwrap) is not installed and podman is not installed"),
            ("bubblewrap", "but bubblewrap (bwrap) is not installed"),
            ("podman", "but podman is not installed"),
        ],
    )
    def test_without_a_sandbox_it_is_refused(
        self, meter: MeterServer, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch, setting: Any, said: str
    ) -> None:
        monkeypatch.setattr(sandbox, "bubblewrap_problem", lambda: "bubblewrap (bwrap) is not installed")
        monkeypatch.setattr(sandbox, "_podman_problem", lambda: "podman is not installed")
        with pytest.raises(ConfigurationError, match=r"needs a sandbox, but .*agent\.sandbox=none") as caught:
            play(meter, ollama, program("ask+answer", sandbox=setting))
        assert f"{said}." in str(caught.value) and not ollama.requests

    def test_a_sandbox_that_does_not_start_says_why(
        self, meter: MeterServer, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = SandboxStarter(["sh", "-c", "echo 'no namespaces left' >&2; exit 1", "--"])
        monkeypatch.setattr("ai_dev_tools.benchmark.agents.third_party.sandbox_starter", lambda *_: broken)
        with pytest.raises(ConfigurationError, match=r"sent nothing to the meter: .*no namespaces left"):
            play(meter, ollama, program("ask+answer"))


@pytest.mark.skipif(bool(bubblewrap_problem()), reason="no bubblewrap")
def test_an_agent_sees_its_files_and_nothing_else_of_the_machine(
    meter: MeterServer, ollama: FakeOllama, tmp_path: Path
) -> None:
    root = Path(__file__).parents[3]
    (tmp_path / "secret").touch()
    hidden = [root / "config/tasks", root / "README.md", tmp_path / "secret", meter.socket]
    shown = ["/run/workspace/src/a.py", "/usr/bin"]
    agent = program("ask+wander+ask", *map(str, hidden), *shown, answer=["message"], sandbox="bubblewrap")
    played = play(meter, ollama, agent)
    assert played.turns[0].result == "\n".join(["seen:", *shown])


FILE: dict[str, Any] = {
    "id": "my_agent",
    "description": "an agent",
    "install": "pip install my-agent into {folder}",
    "command": ["{folder}/bin/agent", "--ask", "{question}"],
    "environment": {"OPENAI_BASE_URL": "{base_url}/v1"},
    "arms": {"map": {"arguments": ["--map"]}},
}


def loaded(folder: Path, **fields: Any) -> ProgramSpec:
    (folder / "my_agent.yaml").write_text(yaml.safe_dump({**FILE, **fields}))
    return load_program("my_agent", find_programs([folder]))


class TestFiles:
    def test_an_arm_is_the_program_and_what_differs(self, tmp_path: Path) -> None:
        spec = loaded(tmp_path)
        plain, mapped = (spec.record(arm, tmp_path, "1", "bubblewrap") for arm in ("agent", "agent-map"))
        assert mapped.command == [*plain.command, "--map"] and mapped.digest != plain.digest

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"id": "other"}, "use one name for both"),
            ({"command": ["{flder}/agent", "{question}"]}, r"\{flder\} is not a placeholder"),
            ({"command": ["{question}"]}, r"\{question\} is not a placeholder"),
            ({"environment": {}}, "would not ask the meter"),
            ({"command": ["agent"]}, "would not get the question"),
            ({"answer": "mail"}, "'answer"),
            ({"answer_file": "../x"}, "not a path below the workspace"),
            ({"files": {"/etc/x": ""}}, "not a path below the workspace"),
            ({"arms": {"map": {"argumets": []}}}, "arguments"),
            ({"timeout": 3}, "timeout"),
        ],
    )
    def test_a_mistake_is_one_line(self, tmp_path: Path, fields: dict[str, Any], said: str) -> None:
        with pytest.raises((ConfigurationError, ConfigurationErrors), match=said) as caught:
            loaded(tmp_path, **fields)
        assert len(str(caught.value).splitlines()) == 1 and "my_agent.yaml" in str(caught.value)

    def test_an_arm_that_the_agent_does_not_have(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="no arm agent-mpa, did you mean 'map'"):
            loaded(tmp_path).arm("agent-mpa")

    def test_an_unknown_agent(self, tmp_path: Path) -> None:
        loaded(tmp_path)
        with pytest.raises(ConfigurationError, match="no agent 'my_agnt', did you mean 'my_agent'"):
            load_program("my_agnt", find_programs([tmp_path]))

    def test_one_that_is_not_installed(self, tmp_path: Path) -> None:
        with pytest.raises(
            ConfigurationError, match=f"not installed.*Install it: pip install my-agent into {tmp_path}"
        ):
            installed_program(loaded(tmp_path), tmp_path)

    def test_one_in_another_version(self, tmp_path: Path) -> None:
        spec = loaded(
            tmp_path,
            command=[sys.executable, "{question}"],
            version="2.0",
            version_command=[sys.executable, "-c", "print('1.9')"],
        )
        with pytest.raises(ConfigurationError, match=r"is version 1\.9, but .*my_agent\.yaml pins 2\.0"):
            installed_program(spec, tmp_path)

    def test_the_shipped_ones_are_sound(self) -> None:
        folder = Path(__file__).parents[3] / "config/agents"
        for path in folder.glob("*.yaml"):
            spec = load_program(path.stem, {path.stem: path})
            assert spec.version and spec.version_command, "a pinned version, and a way to see it"
