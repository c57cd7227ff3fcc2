"""The experimental design: which case, repeat, seed and place in the sequence each sample has.

Pure functions of names.

Nothing here depends on when or where it runs, so that a rerun asks for exactly the same requests. Light imports: block
jobs use this module.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from ai_dev_tools.benchmark._util.addresses import ends_in_v1
from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.endpoint_spec import EndpointSpec
from ai_dev_tools.benchmark.records.prices import Budget

OLLAMA = "ollama"
PROTOCOL = 1
"""Raised by hand when the request code changes meaning: all samples of older protocols are then asked again."""


Think = bool | Literal["low", "medium", "high"] | None
"""Whether, or how much, a model may think; None leaves it out of the request."""


class PluginRef(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """A plugin that a block needs.

    Its name as in the setting, and a digest if what it computes is kept.
    """

    name: str
    sha256: str | None = None


class Block(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, omit_defaults=True):
    """All samples of all approaches for one (profile, model, task): one job.

    Everything it needs except the prompts.
    """

    profile: str
    results: str
    instance: str
    model: str
    task: str
    cases: list[str]
    samples: int
    approaches: list[str]
    options: dict[str, int | float]
    think: Think
    timeout_s: float
    attempts: int
    retry: Literal["default", "all", "none", "pairs", "plan"]
    round: int
    plan: str | None
    run_requests: int
    endpoint: EndpointSpec
    plugins: list[PluginRef] = []
    budget: Budget | None = None
    """What the whole run may cost; requests do not depend on it."""

    @property
    def num_ctx(self) -> int | None:
        """Context window in tokens, where the options name one."""
        tokens = self.options.get("num_ctx")
        return None if tokens is None else int(tokens)

    def to_json(self) -> str:
        """The block as one line of JSON."""
        fields = {**msgspec.to_builtins(self), "endpoint": self.endpoint.to_dict()}
        return msgspec.json.encode(fields).decode()

    @classmethod
    def from_json(cls, text: str) -> Block:
        """The block in a line of JSON.

        Raises:
            ConfigurationError: it is not a block, or says more than a block can.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise ConfigurationError(f"not a block of requests: {error}") from None


class PlannedRequest(msgspec.Struct, frozen=True):
    """One request to be made: its place in the sequence, its arm and what it asks."""

    order: int
    sample: int
    approach: str
    case: str
    repeat: int
    seed: int


def case_order(task: str, cases: Iterable[str]) -> list[str]:
    """Cases in a hash-seeded order, so that their author does not choose the first n."""
    return sorted(cases, key=lambda case: _hash("order", task, case))


def seed(task: str, case: str, repeat: int) -> int:
    """Sampling seed (31 bits), shared by all arms and models."""
    return int(_hash("seed", task, case, repeat)[:8], 16) & 0x7FFF_FFFF


def nonce(cell_seed: int, approach: str, attempt: int) -> str:
    """Eight digits that open a prompt, so that no server finds its prefix in a cache.

    It differs between arms and attempts, and is the same number of tokens every time: tokenizers cut digits into pieces
    of fixed length.
    """
    return f"{int(_hash('nonce', cell_seed, approach, attempt), 16) % 10**8:08d}"


def cells(block: Block) -> list[PlannedRequest]:
    """Every request of a block in the order of sending, see `each_cell`."""
    return list(each_cell(block))


def each_cell(block: Block) -> Iterator[PlannedRequest]:
    """The requests of a block one by one, in the order of sending.

    The arms of a case follow each other; which comes first goes round, and then round in reverse, so that position is
    balanced over arms.
    """
    order = itertools.count()
    for sample in range(block.samples):
        case = block.cases[sample % len(block.cases)]
        repeat = sample // len(block.cases)
        for arm in arm_order(block.approaches, sample):
            yield PlannedRequest(next(order), sample, arm, case, repeat, seed(block.task, case, repeat))


def arm_order(approaches: Sequence[str], sample: int) -> list[str]:
    """The arms of one sample, in the order of sending."""
    arms = sorted(approaches)
    rounds, shift = divmod(sample, len(arms))
    turned = arms[shift:] + arms[:shift]
    return turned[::-1] if rounds % 2 else turned


def named_api(block: Block) -> str | None:
    """The dialect that the settings name, by `api` or by the end of the address.

    None: it is found out on contact.
    """
    return block.endpoint.api or ("openai" if ends_in_v1(block.endpoint.kind) else None)


def in_dialect(block: Block, api: str) -> Block:
    """The block, asked in a dialect that was found out on contact."""
    return msgspec.structs.replace(block, endpoint=msgspec.structs.replace(block.endpoint, api=api))


def request_digest(
    block: Block,
    cell: PlannedRequest,
    prompt_sha256: str,
    schema: Mapping[str, JsonValue],
    episode: str | None = None,
) -> str:
    """sha256 over all that config and prompts determine of a request; computable without an endpoint.

    Args:
        episode: digest of what an episode may do after its first message; None for a single prompt.
    """
    parts = [PROTOCOL, block.model, request_options(block, cell), block.think, prompt_sha256, cell.approach, schema]
    api = named_api(block)
    if api not in (None, OLLAMA):  # requests from before there was a second API keep their digests
        parts.append(api)
    if episode is not None:
        parts.append({"episode": episode})
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def request_options(block: Block, cell: PlannedRequest) -> dict[str, int | float]:
    """The options of one request: the block's, and the seed.

    OpenAI's API has no field for the context window.
    """
    options = {**block.options, "seed": cell.seed}
    if named_api(block) not in (None, OLLAMA):
        options.pop("num_ctx", None)
    return options


def _hash(*parts: object) -> str:
    return hashlib.sha256(":".join(str(part) for part in parts).encode()).hexdigest()
