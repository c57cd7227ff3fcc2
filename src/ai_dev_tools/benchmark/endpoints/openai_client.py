"""OpenAI's API, as many servers speak it: how a chat is asked there, and how its stream is read."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import urllib3

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.addresses import parse_address
from ai_dev_tools.benchmark._util.json_values import JsonFields, JsonObject, JsonValue
from ai_dev_tools.benchmark._util.model_names import same_model
from ai_dev_tools.benchmark.endpoints.base import EndpointSpec, ReadyEndpoint
from ai_dev_tools.benchmark.endpoints.chat import (
    Accepted,
    Chat,
    ChatClient,
    Message,
    Reply,
    ToolCall,
)
from ai_dev_tools.benchmark.endpoints.openai_errors import (
    KEY_REMEDY,
    FailedRequestError,
    Refused,
    RefusedRequestError,
    error_of,
    read_refusal,
    refused_in_stream,
)
from ai_dev_tools.benchmark.endpoints.openai_stream import Answer, chunks, table
from ai_dev_tools.benchmark.endpoints.probing import QUICK_TIMEOUT, ask
from ai_dev_tools.benchmark.errors import (
    BenchmarkError,
    ConfigurationError,
    EndpointConnectionError,
    MalformedResponseError,
    ModelError,
)

FEWEST_TOKENS = 16
"""A model that thinks may refuse, or answer nothing, where a warm-up leaves it less."""
MOST_ATTEMPTS = 16
"""At a warm-up: more than there are fields to leave out."""
MOST_NAMED = 12
UNTOLD = "not told"
"""Version of a server whose API has no field for it."""
NOT_TOLD = {
    "digest": "the API names no digest of weights; the model's id and system_fingerprint of each answer replace it",
    "version": "the API has no field for it",
    "context_length": "the API has no field for it, and none to ask for one; the lists of llama.cpp and vLLM hold it",
    "load_s": "the API has no field for it",
    "prompt_eval_s, eval_s": "the API has no field for them; llama.cpp adds its own",
}
"""What such a server does not say, and why it is null."""
FORMATS = ("json_schema", "json_schema_lax", "json_object", "none")
"""Ways to ask for the answer's schema, each less than the one before; a server that refuses one is asked for the next."""
_FIELDS = {
    "usage": re.compile(r"stream_options|include_usage"),
    "think": re.compile(r"reasoning_effort|reasoning effort|\breasoning\b|\bthinking\b"),
    "cap": re.compile(r"max_tokens|max_completion_tokens"),
    "seed": re.compile(r"\bseed\b"),
    "temperature": re.compile(r"\btemperature\b"),
    "format": re.compile(
        r"response_format|json_schema|json_object|\bjson schema\b|\bschema\b|grammar|guided|structured"
    ),
}
"""Fields that not every server takes, and how a refusal names them."""
_SCOPE = re.compile(r"\bscopes?\b|insufficient permissions", re.IGNORECASE)
"""How a server says that a key is good, but not for its list of models."""
_ABOUT_FIELDS = (200, 400, 415, 422, 500, 501)
"""Statuses of refusals that may be about a field of the request."""


class OpenAIClient(ChatClient):
    """Chat with one server; its base URL ends where `/chat/completions` begins: `http://host:port/v1`."""

    api = "openai"
    path = "/chat/completions"
    tells_context = False
    negotiates = True

    @classmethod
    def server_url(cls, url: str) -> str:
        """With `/v1` if an address has no path: that is where all self-hosted servers have it."""
        address = parse_address(url, "base_url")
        return url.rstrip("/") if address is None or address.path else f"{address.url}/v1"

    @classmethod
    def answers_at(cls, url: str, headers: Mapping[str, str]) -> bool:
        try:
            status, reply = ask(
                "GET", f"{cls.server_url(url)}/models", headers=headers, timeout=QUICK_TIMEOUT, limit_s=8.0
            )
        except BenchmarkError:
            return False
        return status == 200 and _listing(reply) is not None

    @classmethod
    def listed(cls, model: str, url: str, headers: Mapping[str, str]) -> JsonObject | None:
        base = cls.server_url(url)
        try:
            status, reply = ask("GET", f"{base}/models", headers=headers)
        except EndpointConnectionError as error:
            raise EndpointConnectionError(str(error), remedy="Start the server there, or correct `base_url`") from None
        hidden = status == 403 or (status == 401 and _SCOPE.search(str(reply)))
        if hidden or status in (404, 405, 501):  # some hosted servers keep no list, or show it not to every key
            return {}
        if status == 401:
            raise ConfigurationError(f"{base} refuses access (HTTP {status})", remedy=KEY_REMEDY)
        models = _listing(reply) if status == 200 else None
        if models is None:
            raise ConfigurationError(
                f"{base} answers, but not as OpenAI's API does (HTTP {status} for {base}/models)",
                remedy="Check `base_url` in the config: it ends where /chat/completions begins",
            )
        found = models.get(model) or next((item for name, item in models.items() if same_model(name, model)), None)
        if found is None:
            raise ModelError(
                f"{base} has no model {model!r} (it has: {_named(models)})",
                remedy="Give the instance's `model` a name that the server knows",
            )
        return found

    @classmethod
    def reach(cls, spec: EndpointSpec, url: str, headers: Mapping[str, str]) -> ReadyEndpoint:
        try:
            found = cls.listed(spec.model, url, headers) or {}
        except BenchmarkError as error:
            error.instance = spec.instance
            raise
        return ReadyEndpoint(
            base_url=cls.server_url(url),
            kind="external",
            version=UNTOLD,
            model=spec.model,
            model_digest=None,
            details=_details(found),
            headers=dict(headers),
            api=cls.api,
            told_by=cls.api,
        )

    @classmethod
    def loaded(cls, url: str, model: str, headers: Mapping[str, str]) -> JsonObject:
        """The context length, which the lists of llama.cpp and vLLM hold; others do not say what is loaded."""
        found = cls.listed(model, url, headers) or {}
        length = found.get("max_model_len", table(found, "meta").get("n_ctx"))
        return {"context_length": length} if isinstance(length, int) and not isinstance(length, bool) else {}

    def __init__(self, base_url: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(self.server_url(base_url), *args, **kwargs)

    def body(self, chat: Chat) -> JsonObject:
        """`num_ctx` is not sent, as the API has no such field.

        A prompt that does not fit is refused by the server.
        """
        options, accepted = chat.options, self.accepted
        messages = [_message(message) for message in chat.conversation]
        body: JsonObject = {"model": chat.model, "messages": messages}
        if chat.tools:
            body["tools"] = chat.tools
        if accepted.usage:
            body["stream_options"] = {"include_usage": True}
        body |= {name: options[name] for name in ("top_p", "top_k", "repeat_penalty") if options.get(name) is not None}
        for name, taken in (("temperature", accepted.temperature), ("seed", accepted.seed)):
            if taken and name in options:
                body[name] = options[name]
        if "num_predict" in options:
            body[accepted.cap] = options["num_predict"]
        if chat.think in (False, "low", "medium", "high") and accepted.think:
            body["reasoning_effort"] = chat.think or "none"
        return body | _response_format(accepted.format, chat.schema)

    def warm_up(self, chat: Chat, timeout_s: float) -> None:
        """Ask until the server takes the request, leaving out what it refuses.

        All requests that follow are put so.
        """
        least = max(FEWEST_TOKENS, int(chat.options.get("num_predict") or 0))
        short = replace(chat, options={**chat.options, "num_predict": least})
        for left in reversed(range(MOST_ATTEMPTS)):
            refusal = self._refusal_of(short, timeout_s)
            if refusal is None:
                return
            less = fewer(self.accepted, refusal.said) or self._with_less_schema(short, timeout_s, refusal.said)
            if less is None or not left:
                raise refusal
            self.accepted = less

    def _refusal_of(self, chat: Chat, timeout_s: float) -> RefusedRequestError | FailedRequestError | None:
        """What the server says if it does not take a request; None if it does."""
        try:
            self.ask(chat, timeout_s, Reply())
        except (RefusedRequestError, FailedRequestError) as error:
            # 16 tokens may be too few, but then the request was taken
            return None if "could not finish" in error.said.message.lower() else error
        except ModelError:  # it was taken, and the answer is none
            return None
        return None

    def _with_less_schema(self, chat: Chat, timeout_s: float, said: Refused) -> Accepted | None:
        """What to ask after a refusal that names no field, if the request is accepted without a schema.

        The same once more, if it had been refused only in passing.
        """
        less = _without(self.accepted, "format")
        if chat.schema is None or less is None or said.status not in _ABOUT_FIELDS:
            return None
        asked = self.accepted
        if self._refusal_of(chat, timeout_s) is None:
            return asked
        try:
            self.accepted = replace(asked, format="none")
            return less if self._refusal_of(chat, timeout_s) is None else None
        finally:
            self.accepted = asked

    def _call(self, name: str, identity: str, written: str) -> ToolCall:
        """A call as it was written; arguments that are not JSON stay text."""
        try:
            arguments = self._secrets.hide(wire.decoded(written.encode()))
        except ValueError:
            arguments = self._secrets.text(written)
        return ToolCall(self._secrets.text(name), arguments, self._secrets.text(identity))

    def _refusal(self, response: urllib3.BaseHTTPResponse, body: bytes) -> BenchmarkError:
        said = read_refusal(response.status, body, self._secrets)
        return error_of(said, response.headers, tokens=self.pace.most_tokens)

    def _read(self, response: urllib3.BaseHTTPResponse, lines: Iterator[bytes], reply: Reply, started: float) -> None:
        answer = Answer(offered=reply.offered)
        try:
            for chunk in chunks(lines, self._secrets):
                if chunk.error:
                    said = refused_in_stream(chunk.error, self._secrets)
                    raise error_of(said, response.headers, tokens=self.pace.most_tokens)
                if reply.turn_s is None:
                    reply.turn_s = time.perf_counter() - started
                if answer.take(chunk):
                    if reply.time_to_first_token_s is None:
                        reply.time_to_first_token_s = time.perf_counter() - started
                    reply.pieces += 1
        finally:
            reply.text = self._secrets.text("".join(answer.pieces))
            reply.calls = [self._call(*parts) for parts in answer.called()] if answer.calls else []
            reply.served = self._secrets.text(answer.served) if answer.served else None
            reply.flags = ("refused",) if answer.refused else ()
        if answer.reason is None:  # `[DONE]` alone says that the stream ended, not that the answer did
            raise MalformedResponseError("the answer's stream ended without a finish_reason")
        answer.reason = self._secrets.text(answer.reason)
        reply.final = answer.closing()
        self.pace.note(response.headers, answer.tokens)
        if reason := answer.problem:
            raise reason


def _message(message: Message) -> JsonObject:
    body: JsonObject = {"role": message.role, "content": message.content}
    if message.calls:
        body["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": json.dumps(c.arguments)}}
            for c in message.calls
        ]
    return body | ({"tool_call_id": message.answers.id} if message.answers else {})


def fewer(accepted: Accepted, said: Refused) -> Accepted | None:
    """What to ask for instead if a server refuses a request.

    None if its message names nothing that can be left out.

    The field that the message names first is the one that it is about.
    """
    if said.status not in _ABOUT_FIELDS:
        return None
    for words in filter(None, (said.param.lower(), said.message.lower())):
        named = [(found.start(), name) for name, pattern in _FIELDS.items() if (found := pattern.search(words))]
        for _, name in sorted(named):
            if (less := _without(accepted, name)) is not None:
                return less
    return None


def _without(accepted: Accepted, name: str) -> Accepted | None:
    if name == "format":
        at = FORMATS.index(accepted.format) + 1
        return replace(accepted, format=FORMATS[at]) if at < len(FORMATS) else None
    if name == "cap":
        return replace(accepted, cap="max_completion_tokens") if accepted.cap == "max_tokens" else None
    left_out: JsonFields = {name: False}
    return replace(accepted, **left_out) if getattr(accepted, name) else None


def _response_format(form: str, schema: Mapping[str, JsonValue] | None) -> JsonObject:
    if schema is None or form == "none" or (form == "json_object" and schema.get("type", "object") != "object"):
        return {}
    if form == "json_object" or not schema:
        return {"response_format": {"type": "json_object"}}
    described: JsonObject = {"name": "answer", "strict": form == "json_schema", "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": described}}


def _listing(reply: object) -> dict[str, JsonObject] | None:
    """The models of `/v1/models` by id; None if the reply has another form."""
    listed = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(listed, list):
        return None
    return {str(item.get("id")): item for item in listed if isinstance(item, dict)}


def _named(models: Mapping[str, JsonValue]) -> str:
    names = sorted(models)
    more = f", and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more if names else "none"


def _details(found: Mapping[str, JsonValue]) -> JsonObject:
    """What the list of models says in addition to the name, and why the rest is null.

    llama.cpp and vLLM say something.
    """
    meta = table(found, "meta")
    trained = [found.get(name) for name in ("max_model_len", "context_length", "context_window")]
    return {
        "owned_by": found.get("owned_by"),
        "model_context_length": next((n for n in (*trained, meta.get("n_ctx_train")) if isinstance(n, int)), None),
        "size_bytes": meta.get("size"),
        "not_told": NOT_TOLD,
    }
