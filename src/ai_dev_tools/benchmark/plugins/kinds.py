"""The kinds of things that can be added, with the decorator and the registry of each.

Light imports: block jobs use this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.plugins.registry import COLUMN, Plugin, Registry, docstring_line, origin_of

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.endpoints.base import EndpointSpec, ReadyEndpoint
    from ai_dev_tools.benchmark.prompts.tool_results import ToolResult

F = TypeVar("F", bound=Callable[..., object])
Outcome = Literal["tokens", "time", "quality"]
OUTCOMES: tuple[Outcome, ...] = ("tokens", "time", "quality")
"""What checks void samples for; money is void where what it is computed from is."""
MONEY: Final = "money"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; `note` says why a part of it is absent.

    Attributes:
        value: the number, NaN when it cannot be given.
        low, high: ends of the 95 % interval, NaN when there is none.
        note: one line for people, empty when there is nothing to add.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    note: str = ""

    @classmethod
    def absent(cls, why: str) -> Estimate:
        """An empty cell that says why."""
        return cls(float("nan"), note=why)


# metrics, comparisons, checks: functions of samples


@dataclass(frozen=True, kw_only=True)
class Metric(Plugin[Callable[..., Any]]):
    """One number for the samples of a cell of the metrics table."""

    unit: str


@dataclass(frozen=True, kw_only=True)
class Comparison(Plugin[Callable[..., Any]]):
    """A quantity of each sample, compared pair by pair between two arms."""

    unit: str
    scale: Literal["ratio", "difference"]
    outcome: Outcome | Literal["money"]

    @property
    def options(self) -> str:
        return f"kind={self.scale}; outcome={self.outcome}"


@dataclass(frozen=True, kw_only=True)
class Check(Plugin[Callable[..., Any]]):
    """A value and a flag for each sample."""

    unit: str
    voids: tuple[Outcome, ...]

    @property
    def voided(self) -> str:
        """The outcomes that a flagged sample is removed from, as text."""
        return "+".join(self.voids) or "nothing"

    @property
    def options(self) -> str:
        return f"voids={self.voided}"


METRICS: Registry[Metric] = Registry("metric", 1, names=COLUMN, described=True)
COMPARISONS: Registry[Comparison] = Registry("comparison", 1, names=COLUMN, described=True)
CHECKS: Registry[Check] = Registry("check", 2, names=COLUMN, described=True)


def metric(name: str, *, unit: str = "", description: str) -> Callable[[F], F]:
    """Register `f(cell: MetricCell) -> float | Estimate`: one number for a cell of the metrics table."""

    def register(function: F) -> F:
        METRICS.add(
            Metric(name=name, unit=unit, description=description, function=function, origin=origin_of(function))
        )
        return function

    return register


def comparison(
    name: str,
    *,
    unit: str = "",
    description: str,
    kind: Literal["ratio", "difference"] = "ratio",
    outcome: Outcome | Literal["money"] | None = None,
    endpoint: Outcome | None = None,
) -> Callable[[F], F]:
    """Register `f(samples: DataFrame) -> Series | (Series, Series)`: a quantity that is compared pair by pair.

    Two series are the lower and the upper end of a censored value. `kind` is the scale on which two arms are compared;
    `outcome` says which validity checks void a sample for it; by default `time`. `endpoint` is its name in earlier versions.
    """
    about = outcome or endpoint or "time"
    if kind not in ("ratio", "difference") or about not in (*OUTCOMES, MONEY):
        raise ConfigurationError(f"comparison '{name}': kind is ratio or difference, outcome is one of {OUTCOMES}")

    def register(function: F) -> F:
        COMPARISONS.add(
            Comparison(
                name=name,
                unit=unit,
                description=description,
                function=function,
                origin=origin_of(function),
                scale=kind,
                outcome=about,
            )
        )
        return function

    return register


def check(name: str, *, voids: Iterable[Outcome], unit: str = "", description: str) -> Callable[[F], F]:
    """Register `f(samples: DataFrame, thresholds) -> (value, flagged)`, two Series over samples.

    `thresholds` are the `ValidityThresholds` of the run.

    `flagged` is nullable boolean: missing means that the check cannot be made for that sample. `voids` names the
    outcomes that a flagged sample is removed from.
    """
    removed = tuple(voids)
    if unknown := [name for name in removed if name not in OUTCOMES]:
        raise ConfigurationError(f"check '{name}': voids has {unknown}; known outcomes: {', '.join(OUTCOMES)}")

    def register(function: F) -> F:
        made = Check(
            name=name, unit=unit, description=description, function=function,
            origin=origin_of(function), voids=removed,
        )  # fmt: skip
        CHECKS.add(made)
        return function

    return register


# approaches: how the model gets its context


@dataclass(frozen=True)
class CaseInputs:
    """All that an approach may use of one case.

    Attributes:
        texts: the case's files by relative path, in display order.
        findings: result of each tool that ran on the case, by tool id.
        tools: ids of the tools behind the arm `tools` and the controls.
        other: the same tools' results on another case of the task, for the `mismatched` control.
        given: contexts written by the user instead of files and tools, by approach.
    """

    case: str
    texts: Mapping[str, str]
    findings: Mapping[str, ToolResult]
    tools: tuple[str, ...]
    other: Mapping[str, ToolResult] = field(default_factory=dict)
    given: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Context:
    """What the model is shown in addition to the question; `text` is None in the floor arm.

    Attributes:
        tool_s: run time of the tools behind it.
        tool_other_cpu_s: CPU time that everything else on the machine used meanwhile; None if no tool ran, or it is not known.
    """

    text: str | None
    tool_s: float = 0.0
    tool_other_cpu_s: float | None = None


ApproachFunction = Callable[[CaseInputs], Context | str | None]
A = TypeVar("A", bound=ApproachFunction)
DEFAULT_APPROACHES = ("baseline", "tools", "no_context")
FINDINGS_CONTROLS = ("excerpt", "shuffled", "mismatched")
"""Controls that are made from the findings of the arm `tools`."""
TOOL_PREFIX = "tools-"
BASELINE = "baseline"
AGENT = "agent"
"""The arm of the built-in agent with its own tools; `agent-NAME` has the tool NAME too, `agent-none` no tools at all."""
AGENT_PREFIX = "agent-"
AGENT_FLOOR = "agent-none"


def is_agent(approach: str) -> bool:
    """Whether an arm is one of an agent: its samples are episodes."""
    return approach == AGENT or approach.startswith(AGENT_PREFIX)


def reference_for(approach: str, reference: str) -> str:
    """The arm that an arm is compared with, where others are compared with `reference`.

    An agent with a tool is compared with the same agent without it: an agent in itself costs many requests.
    """
    if is_agent(approach) == is_agent(reference):
        return reference
    return AGENT if is_agent(approach) else BASELINE


def what_a_claim_needs(approaches: Sequence[str], reference: str) -> str:
    """Which arms a run without a claim lacks for one, for people."""
    agents = [name for name in approaches if is_agent(name)]
    others = [name for name in approaches if not is_agent(name) and not (agents and name == "no_context")]
    said = []
    if others or not agents:
        found = [name for name in others if name == "tools" or name.startswith(TOOL_PREFIX)]
        said.append(_beside(found, others, reference_for("tools", reference), "tools (or tools-NAME)"))
    if agents:
        with_tool = [name for name in agents if agent_tool_of(name)]
        said.append(_beside(with_tool, agents, reference_for(AGENT, reference), f"{AGENT_PREFIX}NAME"))
    return ", or ".join(said)


def _beside(found: Sequence[str], arms: Sequence[str], reference: str, wanted: str) -> str:
    """Which of two arms is missing: one with a tool, and the one it is compared with."""
    if reference in arms:
        return f"the arm {wanted} next to {reference}"
    if found:
        return f"the arm {reference}, which {' and '.join(found)} {'is' if len(found) == 1 else 'are'} compared with"
    return f"the arms {reference} and {wanted}"


def agent_tool_of(approach: str) -> str | None:
    """The tool that an agent has in this arm in addition to its own actions."""
    with_tool = approach.startswith(AGENT_PREFIX) and approach != AGENT_FLOOR
    return approach.removeprefix(AGENT_PREFIX) if with_tool else None


def reads_workspaces(approach: str) -> bool:
    """Whether an arm exists for a case that is a whole repository.

    Such an arm shows no files, or an agent reads them.
    """
    return is_agent(approach) or approach == "no_context"


@dataclass(frozen=True, kw_only=True)
class Approach(Plugin[ApproachFunction]):
    """An arm; its description says what it rules out, for the report."""


APPROACHES: Registry[Approach] = Registry(
    "approach", 1, described=True, reserved=lambda name: name == "all" or name.startswith(TOOL_PREFIX) or is_agent(name)
)


def approach(name: str, purpose: str) -> Callable[[A], A]:
    """Register `f(inputs: CaseInputs) -> Context | str | None` as an arm that settings can name.

    Text is a context that no tool's time counts for; None shows the model the question alone.
    """

    def register(function: A) -> A:
        APPROACHES.add(Approach(name=name, description=purpose, function=function, origin=origin_of(function)))
        return function

    return register


# scorers: the quality of an answer


@dataclass(frozen=True, kw_only=True)
class Scorer(Plugin[Callable[..., float]]):
    """Compares one field of an answer with the truth: 0 to 1."""


S = TypeVar("S", bound=Callable[..., float])
SCORERS: Registry[Scorer] = Registry("scorer", 2, more=True)


def scorer(name: str, description: str = "") -> Callable[[S], S]:
    """Register `f(expected, actual, **parameters) -> 0..1` as a scorer that task files can name.

    Parameters with other names can be given in a task's `scoring`, next to `field` and `scorer`.
    """

    def register(function: S) -> S:
        SCORERS.add(
            Scorer(
                name=name,
                description=description or docstring_line(function),
                function=function,
                origin=origin_of(function),
            )
        )
        return function

    return register


# plots: how a figure is drawn


D = TypeVar("D", bound=Callable[..., None])


@dataclass(frozen=True, kw_only=True)
class Plot(Plugin[Callable[..., None]]):
    """Draws a tidy table into an empty matplotlib figure."""


PLOTS: Registry[Plot] = Registry("plot", 3)


def plot(name: str) -> Callable[[D], D]:
    """Register `f(figure, data, options)`, which draws a tidy table into an empty matplotlib figure."""

    def register(function: D) -> D:
        PLOTS.add(Plot(name=name, description=docstring_line(function), function=function, origin=origin_of(function)))
        return function

    return register


# endpoint kinds: how a model is served


Opener = Callable[["EndpointSpec"], "AbstractContextManager[ReadyEndpoint]"]
SHIPPED_ENDPOINT_KINDS = ("embedded", "auto", "external", "process", "container", "replay")
"""Kinds of this package. Each is registered when its module is imported, which is when it is first used."""


@dataclass(frozen=True, kw_only=True)
class EndpointKind(Plugin[Opener]):
    """Starts or reaches a server, and cleans up afterwards."""


ENDPOINT_KINDS: Registry[EndpointKind] = Registry("endpoint kind", 1)


def endpoint_kind(name: str) -> Callable[[Callable[[EndpointSpec], Iterator[ReadyEndpoint]]], Opener]:
    """Register a generator function as a kind of endpoint.

    It takes an EndpointSpec, yields one ReadyEndpoint, and cleans up afterwards.
    """

    def register(function: Callable[[EndpointSpec], Iterator[ReadyEndpoint]]) -> Opener:
        opener = contextmanager(function)
        kind = EndpointKind(
            name=name, description=docstring_line(function), function=opener, origin=origin_of(function)
        )
        if name in SHIPPED_ENDPOINT_KINDS and not kind.built_in:
            raise ConfigurationError(f"endpoint kind '{name}': the name is already taken by this package")
        ENDPOINT_KINDS.add(kind)
        return opener

    return register
