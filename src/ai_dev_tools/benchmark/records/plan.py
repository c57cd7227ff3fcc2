"""Plans: what a run sets out to show, appended to a ledger before its first request.

Tamper-evident, not tamper-proof: a sample stores the hash of the plan in force, and the hash covers everything that a
later choice could bend (claims, margins, arms, models, cases with their files and truth, tools, n, alpha, protocol).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ai_dev_tools.benchmark._util.clock import utc_stamp
from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark._util.json_values import JsonValue, Scalar
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.prices import CURRENCY_FORM, MONEY, Rates

RULES = 2
"""Version of the rules that verdicts are made by, noted in each plan; plans of the first version do not name it."""

ClaimedOutcome = Literal["tokens", "time", "money"]
CLAIMED_OUTCOMES: tuple[ClaimedOutcome, ...] = ("tokens", "time")
"""What every run can claim; one with prices claims money too."""
MARGIN_RATIO = 0.95
"""A ratio must surely be below this for a claim to count as saving, unless a plan says otherwise."""
ALPHA = 0.05
"""Family-wise error rate, unless a plan says otherwise."""
Ratio = Annotated[float, Field(gt=0, lt=1)]
Level = Annotated[float, Field(gt=0, lt=0.5)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    """A part of a plan; a newer version's plan may say more than this one reads."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Claim(_Part):
    """One thing a plan sets out to show.

    The ledger says `endpoint` for its outcome: hashes of plans cover that name, so it stays.
    """

    model_config = ConfigDict(populate_by_name=True)

    id: str
    outcome: ClaimedOutcome = Field(alias="endpoint")
    approach: str
    reference: str = "baseline"
    margin_ratio: Ratio = MARGIN_RATIO


class ModelPrice(_Part):
    """What requests to one model cost in the plan's currency: per million tokens, or per hour."""

    input: Amount = 0.0
    cached_input: Amount | None = None
    """Of prompt tokens that the server says were cached; None: they cost what others do."""
    output: Amount = 0.0
    per_hour: Amount = 0.0
    source: str | None = None
    """The price list that it is from, with the date of its data; None: the settings."""

    @property
    def rates(self) -> Rates:
        """Its numbers."""
        return Rates(self.input, self.output, self.cached_input, self.per_hour)

    def shown(self, currency: str) -> str:
        """For people: `input 0.15, output 0.60 USD per million tokens`."""
        named = {"input": self.input, "cached input": self.cached_input, "output": self.output}
        tokens = ", ".join(f"{name} {value:g}" for name, value in named.items() if value is not None)
        parts = [f"{tokens} {currency} per million tokens"] if max(self.input, self.output) > 0 else []
        parts += [f"{self.per_hour:g} {currency} per hour of measuring"] if self.per_hour else []
        return " and ".join(parts) + (f" ({self.source})" if self.source else "")


class Prices(_Part):
    """What a claim about money counts with."""

    currency: Annotated[str, Field(pattern=CURRENCY_FORM)]
    models: dict[str, ModelPrice]

    @property
    def rates(self) -> dict[str, Rates]:
        """The numbers by model."""
        return {model: price.rates for model, price in self.models.items()}

    @property
    def shown(self) -> str:
        """All of them in a line for people."""
        return "; ".join(f"{model}: {price.shown(self.currency)}" for model, price in self.models.items())


class QualityRule(_Part):
    """When an arm's answers count as not worse."""

    margin: Ratio = Field(0.10, description="largest acceptable loss of quality, absolute")
    task_veto: Ratio = Field(0.20, description="loss that vetoes 'saves' if it is shown in any single task")
    alpha: Level = Field(0.05, description="one-sided error rate of the gate, over all looks")
    floor: str = Field("no_context", description="arm that the reference must beat; otherwise quality cannot be judged")


class Plan(_Part):
    """What a run sets out to show.

    Fields that older versions did not write have defaults; the hash covers only what was said, so it stays what it was.
    """

    rules: int = 1
    """Version of the rules that verdicts are made by."""
    protocol: int | None = None
    profile: str
    models: tuple[str, ...]
    tasks: dict[str, tuple[str, ...]]
    approaches: tuple[str, ...]
    arms: dict[str, tuple[str, ...]] = {}
    """Arms of each task that does not have all: what only an agent can read fits no single prompt."""
    samples: Annotated[int, Field(ge=1)]
    alpha: Level = ALPHA
    claims: tuple[Claim, ...]
    quality: QualityRule = QualityRule()
    single_source: tuple[str, ...] = ()
    """Tasks whose cases all come from one project: their verdicts hold for that project, however many clusters there are."""
    options: Mapping[str, Scalar] = {}
    contents: dict[str, dict[str, str]] = {}
    """By task and case, a digest of question, files and truth."""
    tools: dict[str, str] = {}
    """A digest of each tool's file."""
    plugins: dict[str, str] = {}
    """A digest of the code behind each approach and scorer that a plugin brought, by `approach NAME` or `scorer NAME`."""
    agents: Mapping[str, Scalar] = {}
    """How agents were asked, and what an episode could use at most."""
    prices: Prices | None = None
    """What requests cost; None: nothing is claimed about money."""

    @classmethod
    def from_content(cls, content: Mapping[str, JsonValue]) -> Self:
        """A plan from what `content` or `row` give; raises pydantic.ValidationError."""
        return cls.model_validate_json(json.dumps(content))

    def content(self) -> dict[str, JsonValue]:
        """What the plan says, in JSON's types, without what is only a default here."""
        content: dict[str, JsonValue] = self.model_dump(
            mode="json", exclude_unset=True, by_alias=True, include=set(Plan.model_fields)
        )
        return content

    def without_prices(self) -> dict[str, JsonValue]:
        """The plan without prices and budget."""
        claims = [claim for claim in self.claims if claim.outcome != MONEY]
        plain = self.model_copy(update={"claims": tuple(claims)})
        return {name: value for name, value in plain.content().items() if name != "prices"}

    @property
    def digest(self) -> str:
        """First 16 hex digits of the sha256 of the plan's canonical JSON."""
        return _digest(self.content())

    def arms_of(self, task: str) -> tuple[str, ...]:
        """The arms that a task is asked in."""
        return self.arms.get(task, self.approaches)

    def expected(self, task: str) -> int:
        """Samples of one model at a task."""
        return self.samples * len(self.arms_of(task))

    def restates(self, earlier: Plan) -> bool:
        """Whether this is an earlier plan as a newer version of this project writes it."""
        said = earlier.model_fields_set & Plan.model_fields.keys() - {"rules"}
        return earlier.rules < self.rules and all(getattr(self, name) == getattr(earlier, name) for name in said)


class DeclaredPlan(Plan):
    """A plan as the ledger has it.

    Attributes:
        plan: its hash, which samples name.
        previous: hash of the line before it.
    """

    plan: str
    declared_at: str | None = None
    previous: str | None = None

    def row(self) -> dict[str, JsonValue]:
        """The ledger's line as data."""
        return _row(self.plan, self.declared_at, self.previous, self)


def parse_plans(rows: Iterable[bytes | str]) -> list[DeclaredPlan]:
    """Plans from the lines of a ledger, oldest first; whether the lines are genuine is not looked at.

    Raises:
        ConfigurationError: a line is not a plan.
    """
    plans = []
    for number, line in enumerate(rows, start=1):
        try:
            plans.append(DeclaredPlan.model_validate_json(line))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"]))
            what = f"'{field}': {first['msg']}" if field else "not a plan"
            raise ConfigurationError(f"plan {number} of the ledger: {what}") from None
    return plans


def read_plans(path: Path) -> list[DeclaredPlan]:
    """The ledger's plans, oldest first; empty if there is none.

    Raises:
        ConfigurationError: a line is not a plan, does not match its hash, or does not follow the line before it; or the file
            cannot be read.
    """
    return parse_plans(_genuine_lines(_content_of(path), str(path)))


def check_ledger(data: bytes, where: str = "") -> list[DeclaredPlan]:
    """The plans in a ledger's bytes, as `read_plans` has them.

    Raises:
        ConfigurationError: as there.
    """
    return parse_plans(_genuine_lines(data, where))


def up_to(ledger: Sequence[DeclaredPlan], plan: str | None) -> list[DeclaredPlan]:
    """The ledger as it was when a plan was declared.

    Later plans, about other tasks or tools, are left out.

    Args:
        plan: hash of the plan; the whole ledger where it is not known.
    """
    known = [entry.plan for entry in ledger]
    return list(ledger[: known.index(plan) + 1] if plan in known else ledger)


def declare_plan(path: Path, plan: Plan) -> bool:
    """Append a plan to the ledger unless it is there already; returns whether it was new.

    Raises:
        ConfigurationError: the ledger is damaged or cannot be written.
    """
    lines = _genuine_lines(_content_of(path), str(path))
    if any(json.loads(line)["plan"] == plan.digest for line in lines):
        try:
            path.touch()
        except OSError as error:
            raise ConfigurationError(
                f"cannot write {path}: {error.strerror}", remedy="Make the results folder writable"
            ) from None
        return False
    row = _row(plan.digest, utc_stamp(), _link(lines), plan)
    lines.append(json.dumps(row, ensure_ascii=False).encode())
    write_atomically(path, b"".join(line + b"\n" for line in lines))
    return True


def _row(digest: str, declared_at: str | None, previous: str | None, plan: Plan) -> dict[str, JsonValue]:
    return {"plan": digest, "declared_at": declared_at, "previous": previous, **plan.content()}


_LEDGER_KEYS = DeclaredPlan.model_fields.keys() - Plan.model_fields.keys()
"""What a line has in addition to the plan."""


def _digest(content: Mapping[str, JsonValue]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _link(lines: Sequence[bytes]) -> str | None:
    """What ties a new line to the last one, so that none can be taken out, changed or moved unnoticed."""
    return hashlib.sha256(lines[-1]).hexdigest()[:16] if lines else None


def _content_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None


def _genuine_lines(data: bytes, where: str) -> list[bytes]:
    lines: list[bytes] = []
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n") if data else (), start=1):
        try:
            entry = json.loads(line)
            content = {key: value for key, value in entry.items() if key not in _LEDGER_KEYS}
            genuine = entry["plan"] == _digest(content) and entry["previous"] == _link(lines)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            genuine = False
        if not genuine:
            raise ConfigurationError(
                f"{where} line {number} is not a plan, or was changed after it was declared".strip(),
                remedy="Restore the file; a plan that was changed afterwards proves nothing",
            )
        lines.append(line)
    return lines
