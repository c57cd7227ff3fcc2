"""What to do next, and the command that does it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from ai_dev_tools.benchmark._util.text import is_missing, listing, number
from ai_dev_tools.benchmark.analysis.plan_in_force import floor_of
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.config.as_written import spell
from ai_dev_tools.benchmark.plugins import is_agent, what_a_claim_needs
from ai_dev_tools.benchmark.records.model_size import parameters, recorded_size
from ai_dev_tools.benchmark.reporting.data import RunData
from ai_dev_tools.benchmark.reporting.sections.reasons import Meaning

MOST_DEMO_SIZE = 0.4
"""Billions of parameters up to which a model only shows that everything works."""
LARGER = {
    "embedded": {"profile": "coder"},
    "coder": {"models": "all"},
    "light": {"profile": "medium"},
    "medium": {"profile": "heavy"},
}
"""What to change for a larger model, by profile."""
OF_THESE_MODELS = ("models", "prices", "budget", "samples")
"""Settings that were chosen for the models of this run, and would be refused or too small for others."""
LEFT_OUT = object()
"""Instead of a value: the setting is not repeated. None is a value, which takes away what a file says."""
NEW_NAME = "The run gets a new name, so that this one stays as it is."
ORDER = (
    "finish",
    "tool",
    "truth",
    "floor",
    "larger_model",
    "unused",
    "undo",
    "numbers",
    "window",
    "one_version",
    "failures",
    "cache",
    "loaded",
    "queue",
    "one_at_a_time",
    "clock",
    "measure_again",
    "checks",
    "tools_again",
    "ask_again",
    "pairs",
    "more_samples",
    "read_answers",
    "by_task",
    "look",
)
"""Steps in the order in which they help: the first that any claim needs is named."""
Step = tuple[str, str]
"""Advice, and the command that follows it; empty if no single command does."""
Claim = tuple[Row, Sequence[Meaning]]
Follow = Callable[[RunData, Sequence[Claim]], Step]
"""What a kind of step says of a run and the claims that need it."""


def next_step(data: RunData, claims: Sequence[Claim]) -> Step:
    """The one step that helps most."""
    if not len(data.samples):
        return "Run the benchmark.", command(data)
    if not (data.samples["status"] == "completed").any():
        return "Read the messages under Errors, and check the settings and the server.", command(data, "validate")
    if data.expected and len(data.samples) < data.expected:
        return "Run the same command again: it asks only for what is missing.", command(data)
    if not claims:
        if any(map(is_agent, data.approaches)):
            return (
                f"Run the arms that can be compared: a claim needs {what_a_claim_needs(data.approaches, data.reference)}.",
                "",
            )
        arms = ["baseline", "tools", "no_context"]
        return "Run the arms that can be compared.", command(data, approaches=arms)
    for step in ORDER:
        needing = [claim for claim in claims if _needed(data, claim) == step]
        if needing:
            return _STEPS[step](data, needing)
    saving = any(row["verdict"] == "saves" for row, _ in claims)
    if saving and "excerpt" not in data.approaches and not is_agent(data.reference):
        advice = "Turn on the controls, to see whether the content of the findings helps, or just their brevity."
        return advice, command(data, approaches="all")
    return "Seal the run as one file that others can check.", command(data, "archive")


def _needed(data: RunData, claim: Claim) -> str:
    """The step that a claim needs; empty if its word stands."""
    row, reasons = claim
    step = reasons[0].step if reasons else ""
    if step != "tool" and (row["verdict"] in ("saves", "costs") or not step):
        return ""
    if small_models(data) and step not in ("finish", "tool", "truth", "floor"):
        return "larger_model"
    more_could_decide = not is_missing(row.get("samples_could_decide"))
    return "more_samples" if more_could_decide and step in ("larger_model", "read_answers") else step


def small_models(data: RunData) -> list[str]:
    """Models that only show that everything works."""
    sizes = {model: recorded_size(model, data.sessions) or parameters(model) for model in data.models}
    return [model for model, size in sizes.items() if size is not None and size <= MOST_DEMO_SIZE]


def command(data: RunData, target: str = "", **changes: object) -> str:
    """The Snakemake call of this run with other settings."""
    return _call(data, changes, target)


def _call(data: RunData, changes: Mapping[str, object], target: str = "", flags: Sequence[str] = ()) -> str:
    """Nothing, where nothing was given, is said too (`tools=`)."""
    settings = {"profile": data.profile, **data.given, **changes}
    pairs = [f"{key}={spell(value)}" for key, value in settings.items() if value is not LEFT_OUT]
    return shlex.join(["snakemake", *([target] if target else []), "--cores", "all", *flags, "--config", *pairs])


def _finish(data: RunData, _: Sequence[Claim]) -> Step:
    return "Run the same command again: it asks only for what is missing or failed.", command(data)


def _tool(data: RunData, _: Sequence[Claim]) -> Step:
    return (
        "Fix the tool, or its file in config/tools, and run the same command again: only what changed is asked.",
        command(data),
    )


def _truth(data: RunData, _: Sequence[Claim]) -> Step:
    return "Give the cases a right answer and the task a scorer (docs/tutorial-own-task.md).", ""


def _floor(data: RunData, claims: Sequence[Claim]) -> Step:
    floors = dict.fromkeys(floor_of(str(row["reference"]), data.quality) for row, _ in claims)
    absent = [arm for arm in floors if arm not in data.approaches]
    if not absent:  # it was asked, but no case of it has a score
        return _finish(data, claims)
    arms = [*data.approaches, *absent]
    return f"Run the arm {listing(absent)} too: it shows what guessing scores.", command(data, approaches=arms)


def _larger(data: RunData, _: Sequence[Claim]) -> Step:
    change = LARGER.get(data.profile, {})
    if all(data.given.get(name) == value for name, value in change.items()):
        change = {}
    advice = f"Run a larger model: {listing(data.models, 3)} cannot answer these questions well enough to judge a tool."
    return advice, _call(data, {**dict.fromkeys(OF_THESE_MODELS, LEFT_OUT), **change}) if change else ""


def _unused(data: RunData, _: Sequence[Claim]) -> Step:
    return (
        "Tell the agent when to use the tool (`instructions` in its file), or ask a larger model: docs/agents.md.",
        "",
    )


def _undo(data: RunData, _: Sequence[Claim]) -> Step:
    return (
        "Undo the change of the plan, or ask everything again under it (retry=plan). docs/statistics.md says under "
        "'Runs that grow' what may change.",
        "",
    )


def _anew(advice: str) -> Follow:
    """A step that asks everything again."""

    def follow(data: RunData, claims: Sequence[Claim]) -> Step:
        return f"{advice} {NEW_NAME}", _under_a_new_name(data, claims)

    return follow


def _window(data: RunData, claims: Sequence[Claim]) -> Step:
    known, used = data.given.get("options"), data.samples["num_ctx"].max()
    larger = {"num_ctx": 2 * int(used)} if used > 0 else {}
    options = {**(known if isinstance(known, Mapping) else {}), **larger}
    advice = f"Ask again with a context window that the prompts fit into (options.num_ctx). {NEW_NAME}"
    return advice, _under_a_new_name(data, claims, changes={"options": options} if options else {})


def _one_at_a_time(data: RunData, claims: Sequence[Claim]) -> Step:
    advice = f"Measure again, with one request at a time (max_concurrent). {NEW_NAME}"
    return advice, _under_a_new_name(data, claims, profile={"max_concurrent": 1})


def _tools_again(data: RunData, _: Sequence[Claim]) -> Step:
    advice = "Run the tools again, on a machine that is otherwise idle: if they say the same, no model is asked."
    return advice, _call(data, {}, flags=("--forcerun", "collect_contexts"))


def _under_a_new_name(
    data: RunData,
    claims: Sequence[Claim],
    *,
    profile: Mapping[str, object] = MappingProxyType({}),
    changes: Mapping[str, object] = MappingProxyType({}),
) -> str:
    """A separate run: what was answered is never asked again under the old name."""
    name = f"{data.profile}-again"
    known = data.given.get("profiles")
    profiles = {**(known if isinstance(known, Mapping) else {}), name: {"extends": data.profile, **profile}}
    most = _samples_that_decide(data, claims)
    return _call(data, {"profile": name, "profiles": profiles, **({"samples": most} if most else {}), **changes})


def _pairs(data: RunData, _: Sequence[Claim]) -> Step:
    return "Ask all arms of a case together again.", command(data, retry="pairs")


def _more(data: RunData, claims: Sequence[Claim]) -> Step:
    most = _samples_that_decide(data, claims)
    if not most:
        return "More samples of this kind would not settle it; see what size of run could.", command(data, "plan")
    return f"Ask more: about {number(most)} samples per task could decide.", command(data, samples=most)


def _samples_that_decide(data: RunData, claims: Sequence[Claim]) -> int:
    """More samples per task than there are, with which what more samples can decide is decided.

    0 where none could.
    """
    wanted = [row.get("samples_could_decide") for row, _ in claims]
    most = int(max((float(each) for each in wanted if each is not None and not is_missing(each)), default=0))
    asked = data.samples.groupby(["model", "task", "approach"]).size().max()
    return most if most > asked else 0


def _read(data: RunData, _: Sequence[Claim]) -> Step:
    return "Read the answers that got worse in the sample browser of the page; more samples will not help.", ""


def _by_task(data: RunData, _: Sequence[Claim]) -> Step:
    return "Use it where it saves: the rows by task say where.", ""


def _numbers(data: RunData, _: Sequence[Claim]) -> Step:
    return (
        "Look at the flagged samples in the sample browser: where a server does not report its tokens or times, or reports "
        "impossible ones, nothing can be said of them. Ask another server, or a newer version of it.",
        "",
    )


def _look(data: RunData, _: Sequence[Claim]) -> Step:
    return "See what the reason on the card means, and what helps: docs/statistics.md.", ""


_STEPS = {
    "finish": _finish,
    "tool": _tool,
    "truth": _truth,
    "floor": _floor,
    "larger_model": _larger,
    "unused": _unused,
    "undo": _undo,
    "numbers": _numbers,
    "window": _window,
    "one_version": _anew("Ask everything again, with the same model, server, program and options throughout."),
    "failures": _anew("Find out under Errors what failed at first, and measure again."),
    "cache": _anew("Measure again, on a server that keeps nothing of earlier prompts in its cache."),
    "loaded": _anew(
        "Measure again, on a server that has enough memory to keep the model loaded, and serves nobody else."
    ),
    "queue": _anew("Measure again, on a server that serves nobody else."),
    "one_at_a_time": _one_at_a_time,
    "clock": _anew("See that the machine's clock is right and stays so, and measure again."),
    "measure_again": _anew("Measure again, on a machine that is otherwise idle."),
    "checks": _anew("See under Validity checks what was flagged, and measure again without it."),
    "tools_again": _tools_again,
    "ask_again": _anew("Ask everything again under this plan."),
    "pairs": _pairs,
    "more_samples": _more,
    "read_answers": _read,
    "by_task": _by_task,
    "look": _look,
}
