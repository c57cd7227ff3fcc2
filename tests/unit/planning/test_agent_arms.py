"""Which arms, tools, prompts and claims a run with agents has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.config.models import PlanSettings, load_config
from ai_dev_tools.benchmark.errors import ConfigurationErrors
from ai_dev_tools.benchmark.planning.claims import claims_of
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.planning.opening import open_experiment
from ai_dev_tools.benchmark.prompts.approaches import find_approach
from support.repository import ROOT

PROFILES = {"profiles": {"light": {"endpoint": "http://localhost:1", "instances": {"small": {"model": "fake:1b"}}}}}
AGENTS = "agent,agent-none"


def experiment(**settings: Any) -> Experiment:
    given = {"profile": "light", "tasks": "safety_assessment", **PROFILES, **settings}
    return open_experiment(load_config(given), ROOT)


def test_a_run_of_agents_alone_runs_no_tool_before() -> None:
    found = experiment(approaches=AGENTS)
    assert found.approaches == found.prompted_approaches == ["agent", "agent-none"]
    assert found.task_tools("safety_assessment") == [] and not found.tools


def test_agents_next_to_findings_change_nothing_about_those() -> None:
    found, plain = experiment(approaches=f"baseline,tools,{AGENTS}"), experiment()
    assert found.task_tools("safety_assessment") == plain.task_tools("safety_assessment")
    assert found.prompted_approaches == [*plain.prompted_approaches, "agent", "agent-none"]


def test_all_does_not_turn_agents_on() -> None:
    assert not any(name.startswith("agent") for name in experiment(approaches="all").approaches)
    assert "agent" in experiment(approaches="all,agent").approaches


def test_tools_of_the_settings_get_an_arm_of_the_agent() -> None:
    found = Experiment(
        load_config({"approaches": AGENTS, "tools": "mine", **PROFILES, "profile": "light"}), {}, {"mine": Path()}
    )
    assert found.approaches == ["agent", "agent-none", "agent-mine"]
    assert (found.agent_tools, found.judged_tools) == (["mine"], [])
    both = load_config({"approaches": f"baseline,tools,{AGENTS}", "tools": "mine", **PROFILES, "profile": "light"})
    assert Experiment(both, {}, {"mine": Path()}).approaches == [
        "baseline",
        "tools-mine",
        *AGENTS.split(","),
        "agent-mine",
    ]


def test_claims_hold_an_agent_with_a_tool_against_the_agent() -> None:
    arms = ["baseline", "tools", "agent", "agent-none", "agent-mine"]
    pairs = {(claim.approach, claim.reference) for claim in claims_of(PlanSettings(), arms)}
    assert pairs == {("tools", "baseline"), ("agent-mine", "agent")}
    only = claims_of(PlanSettings(outcomes=("tokens",)), ["agent", "agent-none", "agent-mine"])
    assert [(claim.id, claim.reference) for claim in only] == [("tokens:agent-mine", "agent")]
    two = claims_of(PlanSettings(reference="agent-mine", outcomes=("tokens",)), ["agent", "agent-mine", "agent-other"])
    assert [(claim.approach, claim.reference) for claim in two] == [("agent-other", "agent-mine")]


def test_the_plan_holds_how_agents_are_asked_and_only_then() -> None:
    assert "agents" not in experiment().plan("light").content()
    asked = experiment(approaches=AGENTS, agent={"turns": 5}).plan("light").content()["agents"]
    assert asked == {"protocol": "json", "turns": 5, "tokens": 60000, "seconds": 600.0, "version": 1}


def test_turns_may_find_their_beginning_in_an_embedded_servers_cache() -> None:
    assert experiment(approaches=AGENTS).endpoints("light")[0].cache_prompt
    assert not experiment().endpoints("light")[0].cache_prompt


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"approaches": "agent,agent-nothing"}, "unknown tool 'nothing'"),
        ({"approaches": "agnt"}, "did you mean 'agent'?"),
        ({"approaches": AGENTS, "agent": {"turns": 0}}, "agent.turns"),
        ({"approaches": AGENTS, "agent": {"protocol": "xml"}}, "agent.protocol"),
        ({"approaches": AGENTS, "agent": {"turn": 3}}, "turn"),
    ],
)
def test_a_mistake_is_one_line(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigurationErrors) as caught:
        experiment(**settings)
    assert len(caught.value.lines) == 1 and line in caught.value.lines[0]


def test_arms_say_what_they_are() -> None:
    assert "floor" in find_approach("agent-none", {}).description
    assert "index" in find_approach("agent-index", {"index": None}).description


PROGRAM = {"program": "aider", "sandbox": "none"}


def test_an_agent_of_others_says_itself_what_differs_between_arms() -> None:
    found = experiment(approaches="agent,agent-map,agent-none", agent=PROGRAM)
    assert found.program_arms == ["agent", "agent-map"] and found.agent_tools == []
    claims = {(claim.approach, claim.reference) for claim in claims_of(PlanSettings(), found.approaches)}
    assert claims == {("agent-map", "agent")}
    assert "with its map" in find_approach("agent-map", {}, found.program).description


def test_the_plan_holds_which_agent_is_asked_and_how() -> None:
    asked = experiment(approaches=AGENTS, agent=PROGRAM).plan("light").content()["agents"]
    assert isinstance(asked, dict)
    assert (asked["program"], asked["sandbox"]) == ("aider", "none") and asked["program_digest"]
    assert "folder" not in asked, "where it is installed says nothing about it"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"approaches": "agent,agent-mpa", "agent": PROGRAM}, "no arm agent-mpa, did you mean 'map'"),
        ({"approaches": AGENTS, "agent": {"program": "adier"}}, "no agent 'adier', did you mean 'aider'"),
        ({"approaches": AGENTS, "agent": PROGRAM | {"sandbox": "docker"}}, "agent.sandbox"),
    ],
)
def test_a_mistake_about_an_agent_of_others_is_one_line(settings: dict[str, Any], line: str) -> None:
    test_a_mistake_is_one_line(settings, line)
