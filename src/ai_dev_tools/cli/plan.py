"""The command `plan`: what a run would claim, can find and would ask, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_dev_tools.benchmark._util.clock import duration
from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.plugins import AGENT_FLOOR, what_a_claim_needs
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.cli import console, options
from ai_dev_tools.cli.command_request import CommandRequest, open_request

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.planning.disclosure import Destination
    from ai_dev_tools.benchmark.planning.estimate import DurationEstimate
    from ai_dev_tools.benchmark.planning.experiment import Experiment
    from ai_dev_tools.benchmark.planning.history import History
    from ai_dev_tools.benchmark.planning.prompt_fit import FitProblem
    from ai_dev_tools.benchmark.planning.sizing import Sizing
    from ai_dev_tools.benchmark.planning.spending import Spending
    from ai_dev_tools.benchmark.records.plan import Plan


def plan(
    context: typer.Context,
    effect: Annotated[
        float | None, typer.Option("--effect", help="True ratio to be found, e.g. 0.8 [default: plan.effect]")
    ] = None,
    profile: options.Profile = None, tasks: options.Tasks = None, samples: options.Samples = None,
    approaches: options.Approaches = None, models: options.Models = None, tools: options.Tools = None,
    endpoint: options.Endpoint = None, config: options.Settings = None, configfile: options.ConfigFiles = None,
    root: options.Root = None, as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Show what a run would claim, find, ask and take, and how large a run for `--effect` must be."""
    from ai_dev_tools.benchmark.planning.unused_settings import unused_settings  # takes 0.3 s

    request = CommandRequest.of(context)
    experiment, place = open_request(request)
    for line in (*experiment.config.replaced, *unused_settings(experiment)):
        console.say(f"note: {line}")
    content, text = plan_of(experiment, place, effect)
    console.out_json(content) if as_json else console.out(text)
    console.say(f"To run it: {request.call('report').shown()}")


def plan_of(experiment: Experiment, root: Path, effect: float | None = None) -> tuple[JsonObject, str]:
    """What a run sets out to show, what it can find, and how long it takes: for programs, and for people."""
    outlook = _look_ahead(experiment, root, effect)
    return outlook.content(), "\n".join(outlook.lines(experiment))


@dataclass(frozen=True, kw_only=True)
class _Outlook:
    """What is known of a run before it.

    Attributes:
        declared: whether its plan is in the ledger; `looks` counts the plans, with this one.
        earlier: how it compares with each earlier plan of the profile that bears on it.
        changed_models: models that are no longer those of existing results.
    """

    plan: Plan
    declared: bool
    looks: int
    history: History
    estimate: DurationEstimate
    earlier: list[str]
    changed_models: list[str]
    sizing: Sizing | None
    costs: Spending | None
    sent_to: list[Destination]
    too_long: list[FitProblem]

    def content(self) -> JsonObject:
        """For programs."""
        return {
            "plan": self.plan.digest,
            "declared": self.declared,
            "looks": self.looks,
            **self.plan.content(),
            "estimate": vars(self.estimate),
            "earlier": self.earlier,
            "changed_models": self.changed_models,
            "sizing": self.sizing.content() if self.sizing else None,
            **({"money": self.costs.content()} if self.costs else {}),
            "sent_to": [vars(one) for one in self.sent_to],
            "context": [vars(misfit) for misfit in self.too_long],
        }

    def lines(self, experiment: Experiment) -> Iterator[str]:
        """For people."""
        # these take 1 s
        from ai_dev_tools.benchmark.planning.pricing import unused_prices
        from ai_dev_tools.benchmark.planning.sizing import sizing_lines

        plan, guess, config = self.plan, self.estimate, experiment.config
        declared = "declared" if self.declared else "not declared yet"
        yield f"Plan {plan.digest} ({declared}; plan {self.looks} of this profile)"
        yield from (f"Note: {found}" for found in (*self.changed_models, *self.history.notes()))
        yield from (f"Note: {found}" for found in unused_prices(config, experiment.instances(plan.profile)))
        yield from (f"This plan {said}" for said in self.earlier)
        yield from _in_words(plan)
        seconds = (
            "unknown, nothing was measured here yet" if guess.seconds is None else f"about {duration(guess.seconds)}"
        )
        yield f"Requests: {guess.requests}, of which {guess.missing} are to be asked; time {seconds}"
        yield from _episodes([arm for arm in experiment.agent_arms if arm != AGENT_FLOOR], config.agent.turns)
        yield from self.costs.lines() if self.costs else ()
        yield from (f"Where your code goes: {one}" for one in self.sent_to)
        yield from (f"Context: {misfit}" for misfit in self.too_long)
        if self.sizing:
            yield from sizing_lines(self.sizing)
        else:
            yield f"No claim: a claim needs {what_a_claim_needs(plan.approaches, config.plan.reference)}"


def _look_ahead(experiment: Experiment, root: Path, effect: float | None) -> _Outlook:
    # these take 1 s
    from ai_dev_tools.benchmark.analysis.continuity import compared_with
    from ai_dev_tools.benchmark.analysis.plan_in_force import bears_on, looks_of
    from ai_dev_tools.benchmark.planning.disclosure import destinations
    from ai_dev_tools.benchmark.planning.estimate import estimate
    from ai_dev_tools.benchmark.planning.history import read_history
    from ai_dev_tools.benchmark.planning.prompt_fit import fit_problems
    from ai_dev_tools.benchmark.planning.sizing import size_up
    from ai_dev_tools.benchmark.planning.spending import spending
    from ai_dev_tools.benchmark.records.plan import read_plans
    from ai_dev_tools.benchmark.workflow.same_model import changed_models

    profile = experiment.config.profile
    plan, history = experiment.plan(profile), read_history(root, profile)
    guess = estimate(experiment, [profile], root, history.seconds)
    ledger = read_plans(root / paths.PLANS.format(profile=profile))
    declared = plan.digest in [known.plan for known in ledger]
    costs = spending(experiment, root, history)
    before = list(takewhile(lambda known: known.plan != plan.digest, ledger))
    return _Outlook(
        plan=plan,
        declared=declared,
        looks=len(ledger) + (not declared),
        history=history,
        estimate=guess,
        earlier=[compared_with(known, plan) for known in before if bears_on(known, plan)],
        changed_models=[found for _, found in changed_models(experiment, profile, root)],
        sizing=size_up(experiment, history, effect, max(looks_of(plan, before).values(), default=1), costs),
        costs=costs,
        sent_to=destinations(experiment, profile),
        too_long=fit_problems(experiment, root),
    )


def _episodes(arms: Sequence[str], turns: int) -> Iterator[str]:
    """How many requests are behind a sample of an agent, for people."""
    if arms:
        yield f"Episodes: a sample of {', '.join(arms)} is up to {plural(turns, 'request')} to the model"


def _in_words(plan: Plan) -> Iterator[str]:
    """What a plan says, for people."""
    yield f"Profile {plan.profile}: {', '.join(plan.models)}"
    yield f"Arms: {', '.join(plan.approaches)}; {plural(plan.samples, 'sample')} each"
    for task, arms in plan.arms.items():
        yield f"Arms of task {task}: {', '.join(arms)}; only an agent can read its workspaces, so there is no single prompt"
    if plan.prices:
        yield f"Prices: {plan.prices.shown}"
    for claim in plan.claims:
        yield f"Claim {claim.id}: '{claim.approach}' against '{claim.reference}', margin {claim.margin_ratio:g}"
    for task, cases in plan.tasks.items():
        yield f"Task {task}: {', '.join(cases[: plan.samples])}"
