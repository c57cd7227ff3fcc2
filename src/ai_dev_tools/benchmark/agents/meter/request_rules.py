"""What the plan fixes of an agent's requests, no matter what the agent asks for.

Pure functions over bodies of requests.

Only fields that say what the agent wants of the model are passed on. How the model is sampled, how large its context is, and
which model it is are the plan's, so that all arms and all agents are asked alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark._util.model_names import same_model
from ai_dev_tools.benchmark.endpoints.chat import Accepted
from ai_dev_tools.benchmark.records.episode import EpisodeLimits

CHAT, GENERATE, COMPLETIONS = "/api/chat", "/api/generate", "/v1/chat/completions"
ASKED_AT = (CHAT, GENERATE, COMPLETIONS)
"""Where an agent may ask the model."""
_OLLAMA_FIELDS = (
    "messages", "prompt", "system", "template", "suffix", "images", "raw", "format", "tools", "stream",
)  # fmt: skip
_OPENAI_FIELDS = (
    "messages", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls", "response_format", "stop",
    "functions", "function_call",
)  # fmt: skip
_CAPS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True)
class RequestRules:
    """What the plan fixed for an episode.

    Attributes:
        options: of every request, as the config names them, with the seed.
        opening: the line with the nonce, which opens the first message of every conversation.
        think: whether, or how much, the model may think; None leaves it out of the request.
    """

    model: str
    options: Mapping[str, int | float]
    opening: str
    limits: EpisodeLimits
    think: bool | str | None = None


class DeclinedRequest(Exception):
    """A request that is not passed on.

    Attributes:
        about: `model`, `path`, `body` or `limit`.
    """

    def __init__(self, status: int, about: str, line: str) -> None:
        super().__init__(line)
        self.status, self.about, self.line = status, about, line


def require_model(body: Mapping[str, JsonValue], rules: RequestRules) -> None:
    """Raise DeclinedRequest for a request that means another model; one that names none means the plan's."""
    name = body.get("model")
    if name in (None, "") or (isinstance(name, str) and same_model(name, rules.model)):
        return
    raise DeclinedRequest(
        400, "model", f"the agent asked for the model {str(name)[:80]!r}, but this run asks {rules.model!r}"
    )


def loads_only(path: str, body: Mapping[str, JsonValue]) -> bool:
    """Whether a request in Ollama's API asks nothing: it has the model loaded, or unloaded."""
    return path != COMPLETIONS and not body.get("messages" if path == CHAT else "prompt")


def is_streamed(path: str, body: Mapping[str, JsonValue]) -> bool:
    """Whether an answer is to come in pieces: where a request does not say, or says null, as its API has it.

    Raises:
        DeclinedRequest: servers would read what it says differently.
    """
    wanted = body.get("stream")
    if wanted is not None and not isinstance(wanted, bool):
        raise DeclinedRequest(400, "body", f"the agent's request has 'stream': {str(wanted)[:20]!r}, not true or false")
    return path != COMPLETIONS if wanted is None else wanted


def forced(path: str, body: Mapping[str, JsonValue], rules: RequestRules, accepted: Accepted) -> JsonObject:
    """The body that is sent instead of the agent's.

    Args:
        accepted: what the server accepts, as the warm-up found out.

    Raises:
        DeclinedRequest: the body is for another model, or has no messages.
    """
    require_model(body, rules)
    if path == COMPLETIONS:
        return _forced_openai(body, rules, accepted)
    return _forced_ollama(path, body, rules)


def _forced_ollama(path: str, body: Mapping[str, JsonValue], rules: RequestRules) -> JsonObject:
    sent = {name: body[name] for name in _OLLAMA_FIELDS if name in body}
    wanted = body.get("options")
    own = wanted if isinstance(wanted, Mapping) else {}
    options: JsonObject = {**rules.options, **({"stop": own["stop"]} if "stop" in own else {})}
    if (cap := _cap(own.get("num_predict"), rules)) is not None:
        options["num_predict"] = cap
    if path == CHAT:
        sent["messages"] = with_opening(body.get("messages"), rules.opening)
    else:
        place = "system" if body.get("system") else "prompt"
        sent[place] = f"{rules.opening}\n\n{body.get(place) or ''}"
    fixed: JsonObject = {"model": rules.model, "options": options, "truncate": False, "shift": False}
    return sent | fixed | ({} if rules.think is None else {"think": rules.think})


def _forced_openai(body: Mapping[str, JsonValue], rules: RequestRules, accepted: Accepted) -> JsonObject:
    sent = {name: body[name] for name in _OPENAI_FIELDS if name in body}
    options = rules.options
    sent |= {name: options[name] for name in ("top_p", "top_k", "repeat_penalty") if options.get(name) is not None}
    for name, taken in (("temperature", accepted.temperature), ("seed", accepted.seed)):
        if taken and name in options:
            sent[name] = options[name]
    if (cap := _cap(cap_of(body), rules)) is not None:
        sent[accepted.cap] = cap
    if rules.think in (False, "low", "medium", "high") and accepted.think:
        sent["reasoning_effort"] = rules.think or "none"
    if sent.get("stream") and accepted.usage:
        sent["stream_options"] = {"include_usage": True}
    else:
        sent.pop("stream_options", None)
    return sent | {"model": rules.model, "messages": with_opening(body.get("messages"), rules.opening)}


def cap_of(body: Mapping[str, JsonValue]) -> JsonValue:
    """Most tokens of an answer that a request in OpenAI's words names; None if it names none."""
    return next((body[name] for name in _CAPS if body.get(name) is not None), None)


def wants_usage(body: Mapping[str, JsonValue]) -> bool:
    """Whether an agent asked for the counts at the end of its stream."""
    options = body.get("stream_options")
    return isinstance(options, Mapping) and options.get("include_usage") is True


def with_opening(messages: object, opening: str) -> list[JsonValue]:
    """Messages with the nonce in front of the first one.

    Raises:
        DeclinedRequest: there are none.
    """
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise DeclinedRequest(400, "body", "the agent's request has no list of messages")
    first, *rest = messages
    content = first.get("content")
    if isinstance(content, list):
        return [first | {"content": [{"type": "text", "text": f"{opening}\n\n"}, *content]}, *rest]
    return [first | {"content": f"{opening}\n\n{content or ''}"}, *rest]


def _cap(wanted: object, rules: RequestRules) -> int | None:
    """Most tokens of an answer: what the agent wants, but no more than the plan allows."""
    most = rules.options.get("num_predict")
    own = wanted if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0 else None
    known = [int(number) for number in (own, most) if number is not None]
    return min(known) if known else None
