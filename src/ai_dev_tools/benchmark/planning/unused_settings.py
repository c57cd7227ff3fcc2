"""Settings of agents that do nothing in a run, each said in one line before it starts."""

from __future__ import annotations

from collections.abc import Iterator

from ai_dev_tools.benchmark._util.text import listing
from ai_dev_tools.benchmark.config.agent import AgentSettings
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.plugins import AGENT_FLOOR, what_a_claim_needs

OF_PROGRAMS = ("folder", "sandbox")


def unused_settings(experiment: Experiment) -> list[str]:
    """A line for each setting below `agent` that the other settings leave without effect."""
    return list(_unused(experiment))


def _unused(experiment: Experiment) -> Iterator[str]:
    settings, arms = experiment.config.agent, experiment.agent_arms
    changed = [
        name for name, field in AgentSettings.model_fields.items() if getattr(settings, name) != field.get_default()
    ]
    of_programs = [name for name in OF_PROGRAMS if name in changed]
    if not arms:
        if changed:
            yield f"{_have(changed)} no effect: no arm of this run is an agent (approaches=agent,agent-none)"
        return
    if arms == [AGENT_FLOOR]:
        yield (
            f"{AGENT_FLOOR} is the floor of other agents and shows nothing alone: a claim about agents needs "
            f"{what_a_claim_needs(arms, experiment.config.plan.reference)}"
        )
    if settings.program is None:
        if of_programs:
            yield f"{_have(of_programs)} no effect without agent.program: the built-in agent is asked"
    elif not experiment.program_arms:
        yield f"{_have(['program', *of_programs])} no effect: {AGENT_FLOOR} is always the built-in agent"
    elif "protocol" in changed:
        driven = listing(experiment.program_arms)
        yield f"{_have(['protocol'])} no effect on {driven}: {settings.program} talks with the model in its own way"
    looking = [name for name in arms if name != AGENT_FLOOR and name not in experiment.program_arms]
    if settings.turns == 1 and looking:
        yield f"agent.turns is 1: the only request has to answer, so {listing(looking)} cannot read any file"


def _have(names: list[str]) -> str:
    """`agent.folder has`, `agent.folder and agent.sandbox have`."""
    return f"{listing([f'agent.{name}' for name in names])} {'has' if len(names) == 1 else 'have'}"
