"""A labelled, scripted fake of a third-party agent: how a test has it play an episode, and the fixtures that it asks."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.agents.episode import EpisodeCase, EpisodeResult
from ai_dev_tools.benchmark.agents.meter.episode_account import Upstream
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from ai_dev_tools.benchmark.agents.third_party import MeteredServer, run_program
from ai_dev_tools.benchmark.records.agent_program import AgentProgram
from ai_dev_tools.benchmark.records.episode import EpisodeLimits, EpisodeSpec, Workspace
from fakes import agent_program
from fakes.ollama import FakeOllama

MODEL = "fake:1b"
SCHEMA = {"type": "object", "properties": {"names": {"type": "array"}}, "required": ["names"]}
ANSWER = '{"names": ["a"]}'


def program(script: str, *more: str, **fields: Any) -> AgentProgram:
    words = ["{folder}/agent_program.py", script, "{base_url}", "{model}", "{question_file}", "{answer_file}", *more]
    folder = str(Path(agent_program.__file__).parent)
    return AgentProgram(
        id="scripted", version="1", digest="d", command=[sys.executable, *words], folder=folder, **fields
    )


def play(
    meter: MeterServer,
    fake: FakeOllama | Upstream,
    agent: AgentProgram,
    stop: threading.Event | None = None,
    **limits: Any,
) -> EpisodeResult:
    texts = {"src/a.py": "def a(): ..."}
    workspace = Workspace(kind="case", label="case", digest="", texts=texts)
    spec = EpisodeSpec(limits=EpisodeLimits(**limits), workspace=workspace, program=agent)
    options = {"temperature": 0.0, "num_ctx": 4096, "num_predict": 64, "seed": 7}
    case = EpisodeCase(spec, "Request 00000042\n\nWhat is there?", SCHEMA, MODEL, options, None)
    played = EpisodeResult()
    upstream = fake if isinstance(fake, Upstream) else Upstream(fake.url, None)
    run_program(case, MeteredServer(meter, upstream), played, stop or threading.Event())
    return played


@pytest.fixture(scope="module")
def meter() -> Iterator[MeterServer]:
    """Between agents and the model, shared by the tests of a module; each episode has an account of its own."""
    with MeterServer() as server:
        yield server


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    """The model that agents ask; it says what the scripted agent hands in as its answer."""
    with FakeOllama(answer=lambda prompt, schema: ANSWER) as fake:
        yield fake
