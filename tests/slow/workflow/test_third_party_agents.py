"""The shipped third-party agents, really run in their sandbox, against a labelled fake that says what a model would.

They are looked for in `resources/agents/NAME`, or in `$AGENT_PROGRAMS/NAME`. Where nothing may be skipped, they are installed as
their files say.
"""

from __future__ import annotations

import functools
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ai_dev_tools.benchmark.agents.episode import EpisodeCase, EpisodeResult
from ai_dev_tools.benchmark.agents.meter.episode_account import Upstream
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from ai_dev_tools.benchmark.agents.sandbox import agent_sandbox
from ai_dev_tools.benchmark.agents.third_party import MeteredServer, run_program
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.agent_program_file import installed_program, load_program
from ai_dev_tools.benchmark.records.agent_program import AgentSandbox
from ai_dev_tools.benchmark.records.episode import EpisodeLimits, EpisodeSpec, Workspace
from fakes.ollama import FakeOllama
from support.repository import ROOT

pytestmark = pytest.mark.slow
FOLDER = Path(os.environ.get("AGENT_PROGRAMS", ROOT / "resources" / "agents"))
SCHEMA = {"type": "object", "properties": {"names": {"type": "array"}}, "required": ["names"]}
TEXTS = {
    "src/a.py": "def alpha():\n    return 1\n",
    "src/b.py": "from src.a import alpha\n\n\ndef beta():\n    return alpha()\n",
}
COMMANDS = (
    "grep -rn alpha src",
    'echo \'{"names": ["beta"]}\' > answer.json',
    "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Says where an agent is installed, in a folder of its own, and installs it where nothing may be skipped."""
    made = tmp_path_factory.mktemp("agents")

    @functools.cache
    def of(name: str) -> Path:
        if (FOLDER / name).is_dir():
            return FOLDER / name
        if os.environ.get("CI_REQUIRE_ALL", "") in ("", "0"):
            pytest.skip(f"not installed in {FOLDER / name}: its file in config/agents says how")
        line = yaml.safe_load(file_of(name).read_text())["install"].format(folder=made / name)
        subprocess.run(["sh", "-c", line], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return made / name

    return of


def file_of(name: str) -> Path:
    return ROOT / "config" / "agents" / f"{name}.yaml"


def play(name: str, arm: str, fake: FakeOllama, folder: Path, sandbox: AgentSandbox) -> EpisodeResult:
    spec = load_program(name, {name: file_of(name)})
    version = installed_program(spec, folder)
    workspace = Workspace(kind="case", label="case", digest="", texts=TEXTS)
    program = spec.record(arm, folder, version, sandbox)
    episode = EpisodeSpec(limits=EpisodeLimits(turns=8, seconds=240), plain=False, workspace=workspace, program=program)
    options = {"temperature": 0.0, "num_ctx": 16384, "num_predict": 512, "seed": 7}
    case = EpisodeCase(episode, "Request 00000042\n\nWhich functions call alpha?", SCHEMA, "fake:1b", options, None)
    played = EpisodeResult()
    with MeterServer() as meter:
        run_program(case, MeteredServer(meter, Upstream(fake.url, None)), played, threading.Event())
    asked = ["\n".join(message["content"] for message in body["messages"]) for body in fake.requests]
    assert [turn.input_tokens for turn in played.turns] == [len(text) // 4 + 1 for text in asked]
    assert all(text.startswith("Request 00000042\n\n") for text in asked)
    return played


@pytest.fixture(params=["bubblewrap", "podman"])
def kind(request: pytest.FixtureRequest, modest_podman: None) -> AgentSandbox:
    """Each kind of sandbox."""
    setting: AgentSandbox = request.param
    try:
        agent_sandbox("x", setting)
    except ConfigurationError as error:
        pytest.skip(str(error))
    return setting


def test_mini_swe_agent_runs_commands_and_writes_its_answer(folder: Callable[[str], Path], kind: AgentSandbox) -> None:
    with FakeOllama() as fake:
        fake.answer = lambda prompt, schema: (
            f"THOUGHT: on.\n\n```mswea_bash_command\n{COMMANDS[min(fake.measured - 1, 2)]}\n```"
        )
        played = play("mini_swe_agent", "agent", fake, folder("mini_swe_agent"), kind)
    assert played.answer == {"names": ["beta"]} and len(played.turns) == 3
    assert "src/b.py:5:    return alpha()" in (played.turns[0].result or "")


@pytest.mark.parametrize(("arm", "has_map"), [("agent", False), ("agent-map", True)])
def test_aiders_map_of_the_repository_is_an_arm_of_its_own(
    arm: str, has_map: bool, folder: Callable[[str], Path], kind: AgentSandbox
) -> None:
    with FakeOllama(answer=lambda prompt, schema: 'It is beta.\n\n{"names": ["beta"]}') as fake:
        played = play("aider", arm, fake, folder("aider"), kind)
    assert played.answer == {"names": ["beta"]} and len(played.turns) == 1
    assert ("def alpha" in (played.turns[0].asked or "")) is has_map


@pytest.mark.parametrize(("arm", "reads"), [("agent", False), ("agent-files", True)])
def test_pi_calls_its_shell_and_tools_for_files_are_an_arm_of_their_own(
    arm: str, reads: bool, folder: Callable[[str], Path], kind: AgentSandbox
) -> None:
    said = ['{"action": "bash", "command": "grep -rn alpha src"}', 'It is beta.\n\n{"names": ["beta"]}']
    with FakeOllama() as fake:
        fake.calls_functions = True
        fake.answer = lambda prompt, schema: said[min(fake.measured - 1, 1)]
        played = play("pi", arm, fake, folder("pi"), kind)
    assert played.answer == {"names": ["beta"]} and len(played.turns) == 2
    assert (played.turns[0].action, "src/b.py:5:    return alpha()" in (played.turns[0].result or "")) == ("bash", True)
    offered = {tool["function"]["name"] for tool in fake.requests[0]["tools"]}
    assert offered == ({"bash", "read", "ls"} if reads else {"bash"})
