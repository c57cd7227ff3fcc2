"""Ollama's API as data: checking requests, mapping options, and the shapes of replies.

Pure functions, no I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import jinja2
import jinja2.sandbox
import msgspec

from ai_dev_tools.benchmark._util.clock import utc_stamp
from ai_dev_tools.benchmark._util.json_values import Json, JsonFields

GENERATE_FIELDS = {
    "model": str, "prompt": str, "suffix": str, "system": str, "template": str, "context": list, "stream": bool,
    "raw": bool, "images": list, "options": dict, "truncate": bool, "shift": bool,
}  # fmt: skip
CHAT_FIELDS = {
    "model": str, "messages": list, "stream": bool, "tools": list, "options": dict, "truncate": bool, "shift": bool,
}  # fmt: skip

_INTEGER_OPTIONS = {
    "num_keep": "n_keep", "seed": "seed", "num_predict": "n_predict", "top_k": "top_k",
    "repeat_last_n": "repeat_last_n", "mirostat": "mirostat", "num_ctx": None, "num_batch": None, "num_gpu": None,
    "main_gpu": None, "num_thread": None,
}  # fmt: skip
_NUMBER_OPTIONS = {
    "top_p": "top_p", "min_p": "min_p", "typical_p": "typical_p", "temperature": "temperature",
    "repeat_penalty": "repeat_penalty", "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty", "mirostat_tau": "mirostat_tau", "mirostat_eta": "mirostat_eta",
}  # fmt: skip
_DEFAULTS = {
    "temperature": 0.8, "top_k": 40, "top_p": 0.9, "min_p": 0.0, "typical_p": 1.0, "repeat_last_n": 64,
    "repeat_penalty": 1.1, "presence_penalty": 0.0, "frequency_penalty": 0.0, "n_predict": -1, "n_keep": 4,
}  # fmt: skip
# Without this the grammar lets a weak model emit line ends without limit between two JSON tokens.
_COMPACT_JSON = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_JSON_NAMES = {str: "string", dict: "object", list: "array", bool: "bool", int: "number", float: "number"}
_LARGEST_FLOAT32 = 3.4028234663852886e38
_THINK = ("high", "medium", "low", "max")
_WORDS_OF_GO = {
    "Expecting property name": "looking for beginning of object key string",
    "Expecting value": "looking for beginning of value",
    "Expecting ':'": "after object key",
    "Extra data": "after top-level value",
    "Invalid control character": "in string literal",
    "Invalid \\escape": "in string escape code",
}
"""What Ollama's JSON parser says of a character that this one did not expect either."""
_DURATION = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


class ApiError(Exception):
    """A reply with this status and `{"error": message}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def parse_body(data: bytes, field_types: dict[str, type]) -> JsonFields:
    """A request body with the fields' types checked; null means absent, unknown fields are ignored.

    Raises:
        ApiError: 400, as Ollama answers, for a missing or malformed body and for a wrong type.
    """
    if not data.strip():
        raise ApiError(400, "missing request body")
    try:
        body = msgspec.json.decode(data)  # strict: no NaN, no number that is beyond all limits, no half of a character
    except RecursionError:
        raise ApiError(400, "invalid JSON: exceeded max depth") from None
    except ValueError as error:
        raise ApiError(400, _why_no_json(data) or f"invalid JSON: {error}") from None
    if not isinstance(body, dict):
        raise ApiError(400, f"json: cannot unmarshal {_json_type(body)} into the request, which is an object")
    body = {key: value for key, value in body.items() if value is not None}
    for name, expected in field_types.items():
        if name in body and type(body[name]) is not expected:
            raise ApiError(
                400,
                f"json: cannot unmarshal {_json_type(body[name])} into field {name} of type {_JSON_NAMES[expected]}",
            )
    return body


def _why_no_json(data: bytes) -> str | None:
    """In the words of Ollama's parser; None for what that one would take."""
    try:
        json.loads(data.decode())
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated"):
            return "unexpected EOF"
        words = next((words for start, words in _WORDS_OF_GO.items() if error.msg.startswith(start)), None)
        return f"invalid character {error.doc[error.pos]!r} {words}" if words else None
    except (ValueError, RecursionError):
        return None
    return None


def check_think(body: JsonFields, tag: str, *, can: bool = False) -> None:
    """Raises ApiError 400 for a `think` that is none, and for one that a model is asked for that cannot."""
    think = body.get("think")
    if not isinstance(think, bool | None) and think not in _THINK:
        raise ApiError(
            400, f'invalid think value: {json.dumps(think)} (must be "high", "medium", "low", "max", true, or false)'
        )
    if think and not can:
        raise ApiError(400, f'"{tag}" does not support thinking')


def parse_messages(messages: Sequence[Json]) -> list[dict[str, str]]:
    """Chat messages as role and content.

    As in Ollama any role goes, and images are not seen by a model without eyes.

    Raises:
        ApiError: 400 for a message of the wrong shape.
    """
    for message in messages:
        if not isinstance(message, dict):
            raise ApiError(400, "json: cannot unmarshal a message: it must be an object with role and content")
        for name in ("role", "content"):
            if not isinstance(message.get(name) or "", str):
                raise ApiError(400, f"json: cannot unmarshal field messages.{name} of type string")
        if not isinstance(message.get("images") or [], list):
            raise ApiError(400, "json: cannot unmarshal field messages.images of type array")
    return [{"role": message.get("role") or "", "content": message.get("content") or ""} for message in messages]


def keeps_alive(body: JsonFields) -> bool:
    """Whether the model stays loaded after the request, i.e. `keep_alive` is not zero.

    Raises:
        ApiError: 400 for something that is neither a number of seconds nor a duration.
    """
    value = body.get("keep_alive")
    if value is None:
        return True
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value != 0
    if isinstance(value, str) and (value == "0" or re.fullmatch(f"({_DURATION.pattern})+", value)):
        return any(float(number) for number, *_ in _DURATION.findall(value))
    raise ApiError(400, f'time: invalid duration "{_short(value)}"')


def sampling(options: JsonFields) -> JsonFields:
    """llama.cpp's sampling parameters for Ollama's options, with Ollama's defaults.

    Unknown options are ignored.

    Raises:
        ApiError: 500, as Ollama answers, for an option of the wrong type; 400 for a number that is out of range.
    """
    parameters: JsonFields = dict(_DEFAULTS)
    for name, value in options.items():
        if value is None:
            continue
        if name in _INTEGER_OPTIONS or name in _NUMBER_OPTIONS:
            target = _INTEGER_OPTIONS.get(name) or _NUMBER_OPTIONS.get(name)
            number = integer(name, value) if name in _INTEGER_OPTIONS else _number(name, value)
            if target:
                parameters[target] = number
        elif name == "stop":
            if not isinstance(value, list):
                raise ApiError(500, 'option "stop" must be of type array')
            if not all(isinstance(word, str) for word in value):
                raise ApiError(500, 'option "stop" must be of an array of strings')
            parameters["stop"] = value
    if parameters["n_predict"] <= 0:  # Ollama: no limit; llama.cpp takes 0 for a limit
        parameters["n_predict"] = -1
    return parameters


def integer(name: str, value: object) -> int:
    """An option as the integer of 32 bits that llama.cpp computes with.

    A fraction is cut off, as Ollama does.

    Raises:
        ApiError: 500 for another type, 400 for what does not fit.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ApiError(500, f'option "{name}" must be of type integer')
    most = 2**32 if name == "seed" else 2**31
    if not -(2**31) <= value < most:
        raise ApiError(400, f'option "{name}" is out of range: it must be at least {-(2**31)} and below {most}')
    return int(value)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ApiError(500, f'option "{name}" must be of type float32')
    if not -_LARGEST_FLOAT32 <= value <= _LARGEST_FLOAT32:
        raise ApiError(400, f'option "{name}" is out of range: it must be of type float32')
    return value


def constraint(format_: object) -> JsonFields:
    """llama.cpp's `json_schema` parameter for Ollama's `format`; empty when there is none.

    Raises:
        ApiError: 500, as Ollama answers, for anything but "json" or a valid JSON schema.
    """
    if format_ is None or format_ == "":
        return {}
    if format_ == "json":
        schema: JsonFields = {"type": "object"}
    elif isinstance(format_, dict):
        schema = format_
        try:
            sound = _is_sound(json.dumps(schema, sort_keys=True))
        except (RecursionError, ValueError):  # thousands of digits are a ValueError
            sound = False
        if not sound:
            raise ApiError(500, "invalid JSON schema in format")
    else:
        said = json.dumps(_short(json.dumps(format_)))
        raise ApiError(500, f'invalid format: {said}; expected "json" or a valid JSON Schema object')
    return {"json_schema": {"x-guidance": _COMPACT_JSON, **schema}}


_POINTER = re.compile(r"#(/(?!-)[^/%]*)*")
"""A reference within one file. Places from the end of a list and escaped letters are read differently by different programs."""


@lru_cache(maxsize=256)
def _is_sound(schema_json: str) -> bool:
    # llama.cpp answers without constraints if it cannot compile a schema, so such schemas must be found first.
    import jsonschema  # takes 40 ms

    schema = json.loads(schema_json)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError:
        return False
    return all(_resolves(schema, reference) for reference in _references(schema))


def _resolves(schema: object, reference: str) -> bool:
    """Whether a reference leads to a schema within the schema.

    llama.cpp cannot compile any other reference.
    """
    import referencing.jsonschema  # takes 20 ms

    if not _POINTER.fullmatch(reference):
        return False
    root = referencing.jsonschema.DRAFT202012.create_resource(schema)
    try:
        found = referencing.Registry().with_resource("", root).resolver().lookup(reference)
    except (referencing.exceptions.Unresolvable, ValueError):
        return False
    return isinstance(found.contents, dict | bool)


def _references(node: object) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in _references(item)]
    if not isinstance(node, dict):
        return []
    here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return here + [found for value in node.values() for found in _references(value)]


class ChatTemplate:
    """A model's chat template (Jinja2, as published with the weights)."""

    def __init__(self, source: str, bos: str, eos: str) -> None:
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _raise_template_error
        environment.globals["strftime_now"] = lambda layout: datetime.now().strftime(layout)
        self._template = environment.from_string(source)
        self._tokens = {"bos_token": bos, "eos_token": eos}

    def render(self, messages: list[dict[str, str]]) -> str:
        """The prompt text; a last message by the assistant is left open, so that the model continues it.

        Raises:
            ApiError: 400 when the template refuses the messages.
        """
        goes_on = bool(messages) and messages[-1]["role"] == "assistant"
        try:
            text = self._template.render(messages=messages, add_generation_prompt=not goes_on, **self._tokens)
        except jinja2.TemplateError as error:
            raise ApiError(400, f"template: {error}") from None
        return text.rstrip().removesuffix(self._tokens["eos_token"]) if goes_on else text


def _raise_template_error(message: str) -> None:
    raise jinja2.TemplateError(message)


def fill_template(template: str, system: str, prompt: str) -> str:
    """A request's own (Go) template with `.System` and `.Prompt` filled in; nothing else is supported.

    Raises:
        ApiError: 400 for any other action.
    """
    values = {".System": system, ".Prompt": prompt, ".Response": ""}

    def conditional(match: re.Match[str]) -> str:
        return match[2] if values.get(match[1]) else ""

    text = re.sub(r"\{\{-?\s*if\s+(\.\w+)\s*-?\}\}(.*?)\{\{-?\s*end\s*-?\}\}", conditional, template, flags=re.DOTALL)
    if unknown := [action for action in re.findall(r"\{\{-?\s*(.*?)\s*-?\}\}", text) if action not in values]:
        raise ApiError(400, f"template: {{{{ {unknown[0]} }}}} is not supported by the embedded endpoint")
    return re.sub(r"\{\{-?\s*(\.\w+)\s*-?\}\}", lambda match: values[match[1]], text)


def now() -> str:
    """The time in the form of Ollama's `created_at`."""
    return utc_stamp(timespec="microseconds")


def piece(model: str, text: str, *, chat: bool) -> JsonFields:
    """The common part of every reply, with a piece of answer."""
    answer = {"message": {"role": "assistant", "content": text}} if chat else {"response": text}
    return {"model": model, "created_at": now(), **answer}


def final_fields(event: JsonFields, total_ns: int, load_ns: int) -> JsonFields:
    """Ollama's closing fields from llama.cpp's last event; durations in ns, counts in tokens.

    `prompt_eval_count` is the whole prompt, as in Ollama; the cached part is reported separately. As in Ollama a duration
    of nothing is left out, and that of a single token is none.
    """
    timings = event.get("timings", {})
    tokens = timings.get("predicted_n", 0)
    durations = {
        "total_duration": total_ns,
        "load_duration": load_ns,
        "prompt_eval_duration": round(timings.get("prompt_ms", 0.0) * 1e6),
        "eval_duration": round(timings.get("predicted_ms", 0.0) * 1e6) if tokens > 1 else 0,
    }
    return {
        "done": True,
        "done_reason": "length" if event.get("stop_type") == "limit" else "stop",
        "prompt_eval_count": event.get("tokens_evaluated", 0),
        "prompt_eval_cached_count": timings.get("cache_n", 0),
        "eval_count": tokens,
        **{name: value for name, value in durations.items() if value},
    }


def parameter_size(count: int) -> str:
    """134515008 -> "134.52M", as Ollama writes it."""
    for unit, size in (("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if count >= size:
            return f"{count / size:.1f}B" if unit == "B" else f"{count / size:.2f}{unit}"
    return str(count)


def _short(value: object) -> str:
    """A value in an error message."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _json_type(value: object) -> str:
    return _JSON_NAMES.get(type(value), "null")
