"""Settings of agents that do nothing are said in one line, and what a run without a claim lacks for one."""

from __future__ import annotations

from typing import Any

import pytest

from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.planning.opening import open_experiment
from ai_dev_tools.benchmark.planning.unused_settings import unused_settings
from ai_dev_tools.benchmark.plugins import what_a_claim_needs
from support.repository import ROOT

PROFILES = {"light": {"endpoint": "http://localhost:1", "instances": {"small": {"model": "fake:1b"}}}}
AIDER = {"program": "aider"}


def unused(approaches: str, **agent: Any) -> list[str]:
    given = {"profile": "light", "tasks": "safety_assessment", "profiles": PROFILES, "approaches": approaches}
    return unused_settings(open_experiment(load_config(given | ({"agent": agent} if agent else {})), ROOT))


@pytest.mark.parametrize(
    ("approaches", "agent", "said"),
    [
        ("agent,agent-none", {"folder": "/x"}, "agent.folder has no effect without agent.program"),
        ("agent", {"folder": "/x", "sandbox": "none"}, "agent.folder and agent.sandbox have no effect without"),
        ("agent", AIDER | {"protocol": "native"}, "agent.protocol has no effect on agent: aider talks"),
        ("agent,agent-map", AIDER | {"protocol": "native"}, "agent.protocol has no effect on agent and agent-map"),
        ("agent,agent-none", {"turns": 1}, "agent.turns is 1: the only request has to answer, so agent cannot read"),
        ("baseline,tools", {"turns": 3}, "agent.turns has no effect: no arm of this run is an agent"),
        ("baseline,tools", AIDER | {"tokens": 5000}, "agent.tokens and agent.program have no effect: no arm"),
    ],
)
def test_a_setting_without_effect_is_one_line(approaches: str, agent: dict[str, Any], said: str) -> None:
    (line,) = unused(approaches, **agent)
    assert said in line and "\n" not in line


def test_the_floor_is_never_driven_by_an_agent_of_others() -> None:
    _, line = unused("baseline,agent-none", **AIDER, folder="/x")
    assert line == "agent.program and agent.folder have no effect: agent-none is always the built-in agent"


@pytest.mark.parametrize(
    ("approaches", "agent"),
    [
        ("baseline,tools,no_context", {}),
        ("baseline,tools", {"turns": 12, "protocol": "json", "sandbox": "auto"}),
        ("agent,agent-none", {"turns": 2, "tokens": 5000, "seconds": 30, "protocol": "native"}),
        ("agent,agent-map,agent-none", AIDER | {"folder": "/x", "sandbox": "none", "turns": 1}),
    ],
)
def test_settings_with_effect_and_defaults_say_nothing(approaches: str, agent: dict[str, Any]) -> None:
    assert unused(approaches, **agent) == []


@pytest.mark.parametrize("approaches", ["agent-none", "baseline,tools,agent-none"])
def test_the_floor_alone_says_what_it_needs_next_to_it(approaches: str) -> None:
    (line,) = unused(approaches)
    assert line.startswith("agent-none is the floor of other agents") and line.endswith("the arms agent and agent-NAME")


@pytest.mark.parametrize(
    ("approaches", "reference", "needs"),
    [
        ("agent-none", "baseline", "the arms agent and agent-NAME"),
        ("agent", "baseline", "the arm agent-NAME next to agent"),
        ("agent,agent-none", "baseline", "the arm agent-NAME next to agent"),
        ("agent-mine,agent-none", "baseline", "the arm agent, which agent-mine is compared with"),
        ("agent,no_context", "baseline", "the arm agent-NAME next to agent"),
        ("baseline", "baseline", "the arm tools (or tools-NAME) next to baseline"),
        ("no_context", "baseline", "the arms baseline and tools (or tools-NAME)"),
        ("excerpt,shuffled", "baseline", "the arms baseline and tools (or tools-NAME)"),
        ("tools-a,tools-b", "baseline", "the arm baseline, which tools-a and tools-b are compared with"),
        ("excerpt", "excerpt", "the arm tools (or tools-NAME) next to excerpt"),
        ("agent", "agent-mine", "the arms agent-mine and agent-NAME"),
        (
            "baseline,agent-none",
            "baseline",
            "the arm tools (or tools-NAME) next to baseline, or the arms agent and agent-NAME",
        ),
    ],
)
def test_what_a_claim_needs_is_said_of_the_arms_that_are_there(approaches: str, reference: str, needs: str) -> None:
    assert what_a_claim_needs(approaches.split(","), reference) == needs
