"""The command `plan`: what a run would claim, can find, would ask and take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_dev_tools.cli import console
from ai_dev_tools.cli.command_request import CommandRequest, open_request
from ai_dev_tools.cli.options import (
    Approaches,
    AsJson,
    ConfigFiles,
    Endpoint,
    Models,
    Profile,
    Root,
    Samples,
    Settings,
    Tasks,
    Tools,
)

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.planning.experiment import Experiment


def plan(
    context: typer.Context,
    effect: Annotated[
        float | None, typer.Option("--effect", help="True ratio to be found, e.g. 0.8 [default: plan.effect]")
    ] = None,
    profile: Profile = None, tasks: Tasks = None, samples: Samples = None, approaches: Approaches = None,
    models: Models = None, tools: Tools = None, endpoint: Endpoint = None,
    config: Settings = None, configfile: ConfigFiles = None, root: Root = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show what a run would claim, can find, would ask and take, and how large one for `--effect` must be."""
    request = CommandRequest.of(context)
    experiment, place = open_request(request)
    for line in experiment.config.replaced:
        console.say(f"note: {line}")
    content, text = plan_of(experiment, place, effect)
    console.out_json(content) if as_json else console.out(text)
    console.say(f"$ {request.call('report').shown()}")


def plan_of(experiment: Experiment, root: Path, effect: float | None = None) -> tuple[dict[str, Any], str]:
    """What a run sets out to show, what it can find, and what it takes: for programs, and for people."""
    from ai_dev_tools.benchmark.execution.progress import duration
    from ai_dev_tools.benchmark.planning.disclosure import destinations
    from ai_dev_tools.benchmark.planning.estimate import estimate
    from ai_dev_tools.benchmark.planning.sizing import size_up, sizing_lines
    from ai_dev_tools.benchmark.prompts.sizes import misfits
    from ai_dev_tools.benchmark.records.plan import plan_hash, read_plans
    from ai_dev_tools.benchmark.workflow.same_model import changed_models

    profile = experiment.config.profile
    plan = experiment.plan(profile)
    guess = estimate(experiment, [profile], root)
    entries = read_plans(root / "results" / profile / "plans.jsonl")
    declared = [entry["plan"] for entry in entries]
    digest = plan_hash(plan)
    looks = len(declared) + (digest not in declared)
    content = {"plan": digest, "declared": digest in declared, "looks": looks, **plan, "estimate": vars(guess)}
    sizing = size_up(experiment, root, effect, declared.index(digest) + 1 if digest in declared else looks)
    content["earlier"] = _earlier(entries, digest, plan)
    content["changed_models"] = [found for _, found in changed_models(experiment, profile, root)]
    content["sizing"] = sizing.content() if sizing else None
    seconds = "unknown, nothing was measured here yet" if guess.seconds is None else f"about {duration(guess.seconds)}"
    lines = [
        f"Plan {digest} ({'declared' if digest in declared else 'not declared yet'}; plan {looks} of this profile)",
        *(f"Note: {found}" for found in content["changed_models"]),
        *(f"This plan {said}" for said in content["earlier"]),
        f"Profile {profile}: {', '.join(plan['models'])}",
        f"Arms: {', '.join(plan['approaches'])}; {plan['samples']} samples each",
        *(
            f"Claim {c['id']}: '{c['approach']}' against '{c['reference']}', margin {c['margin_ratio']:g}"
            for c in plan["claims"]
        ),
        *(f"Task {task}: {', '.join(cases[: plan['samples']])}" for task, cases in plan["tasks"].items()),
        f"Requests: {guess.requests}, of which {guess.missing} are to be asked; time {seconds}",
    ]
    sent = destinations(experiment, profile)
    content["sent_to"] = [vars(one) for one in sent]
    lines += [f"Where your code goes: {one}" for one in sent]
    too_long = misfits(experiment, root)
    content["context"] = [vars(misfit) for misfit in too_long]
    lines += [f"Context: {misfit}" for misfit in too_long]
    if sizing:
        lines += sizing_lines(sizing)
    else:
        lines.append("No claim: a claim needs the arm 'tools' (or tools-NAME) and the reference arm")
    return content, "\n".join(lines)


def _earlier(ledger: Sequence[Mapping[str, Any]], digest: str, plan: Mapping[str, Any]) -> list[str]:
    """For each plan of the ledger before this one, whether its samples count here, and what this one adds or drops."""
    from ai_dev_tools.benchmark.analysis.claims import parse_plans
    from ai_dev_tools.benchmark.analysis.continuity import compared_with

    before = list(takewhile(lambda entry: entry["plan"] != digest, ledger))
    *earlier, this = parse_plans([*before, {"plan": digest, **plan}])
    return [compared_with(other, this) for other in earlier]
