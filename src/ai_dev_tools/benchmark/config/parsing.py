"""Parse a user's YAML into a strict model, with one readable line for each mistake."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TextIO, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark._util.text import nearest as nearest
from ai_dev_tools.benchmark.config import yaml_files
from ai_dev_tools.benchmark.config.as_written import UnclearNumber, as_written, load
from ai_dev_tools.benchmark.errors import ConfigurationError, ConfigurationErrors
from ai_dev_tools.benchmark.records.names import checked
from ai_dev_tools.benchmark.records.prices import CURRENCY_FORM

PATH_SAFE = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
PathSafe = Annotated[str, Field(pattern=PATH_SAFE), AfterValidator(checked)]
"""The form of ids of tasks, cases, tools, profiles, instances and batches, which become parts of paths."""
CLUSTER = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
PLACE = r"^[^\x00]*$"
"""The form of paths that are written as text."""
_FORMS = {
    PLACE: "a path cannot hold the character NUL",
    PATH_SAFE: "use letters, digits, '-' and '_' only (it becomes part of a path)",
    CLUSTER: "use only letters, digits, '.', '-' and '_', starting with a letter or digit",
    r"^[a-z][a-z0-9_]{0,47}$": "use a lower-case letter first, then lower-case letters, digits and '_', at most 48 in all",
    r"^https?://": "expected an address that begins with http:// or https://",
    CURRENCY_FORM: "expected a currency of three capital letters, like USD",
    r"^[0-9a-f]{64}$": "expected 64 hexadecimal digits in lower case",
    r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$": "expected an ORCID iD like 0000-0002-1825-0097",
}
"""Patterns of settings, in words."""


M = TypeVar("M", bound=BaseModel)


class StrictModel(BaseModel):
    """Base of all settings: unknown keys are errors, and nothing changes after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def read_yaml(path: Path, load: Callable[[TextIO], JsonValue] | None = None) -> JsonValue:
    """The data in a YAML file.

    Args:
        load: the function that reads it; by default as YAML 1.1.

    Raises:
        ConfigurationError: no such file, not readable, not YAML.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return load(file) if load else yaml.load(file, Loader=yaml_files.Loader)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path} line {mark.line + 1}" if mark else str(path)
        raise ConfigurationError(f"{where} is not valid YAML: {getattr(error, 'problem', None) or error}") from None


def read_settings(path: Path) -> JsonObject:
    """The settings in a YAML file, as they were written; an empty file has none.

    Raises:
        ConfigurationError: as `read_yaml`, or the content is not a mapping.
    """
    data = read_yaml(path, load)
    if not isinstance(data, dict | None):
        raise ConfigurationError(f"{path}: expected a mapping of settings, found {type(data).__name__}")
    return data or {}


def refuse_unstorable(fields: object, where: str) -> None:
    """Raise ConfigurationError for values of YAML and JSON that no prompt or sample file can hold."""
    try:
        json.dumps(fields, ensure_ascii=False, default=str, allow_nan=False, skipkeys=True).encode()
    except (ValueError, RecursionError):  # half of a surrogate pair is a ValueError too
        raise ConfigurationError(
            f"{where}: holds an invalid number (.nan, .inf), half of a character (\\ud800), or itself"
        ) from None


def parse_settings(model: type[M], data: object, where: str) -> M:
    """Settings as a `model`; a name that looks like a number stays the text that was written.

    Raises:
        ConfigurationErrors: one line per mistake, each starting with `where` and the field.
    """
    try:
        return parse(model, as_written(model, data) if isinstance(data, Mapping) else data, where)
    except UnclearNumber as error:
        raise ConfigurationError(f"{where}: {error}") from None


def parse(model: type[M], data: object, where: str, internal: Mapping[str, object] | None = None) -> M:
    """`data` as a `model`.

    Args:
        internal: fields that are not settings and cannot be written.

    Raises:
        ConfigurationErrors: one line per mistake, each starting with `where` and the field.
    """
    if not isinstance(data, dict):
        raise ConfigurationError(f"{where}: expected a mapping of settings, found {type(data).__name__}")
    hidden = [name for name, field in model.model_fields.items() if field.exclude and name in data]
    if hidden:
        settings = _settings(model)
        raise ConfigurationErrors([f"{where}: unknown setting '{n}', {nearest(n, settings)}" for n in hidden])
    try:
        return model.model_validate({**data, **(internal or {})})
    except ValidationError as error:
        raise ConfigurationErrors([" ".join(f"{where}: {line}".split()) for line in _lines(error, model)]) from None
    except (
        UnicodeEncodeError
    ) as error:  # a byte that is not UTF-8 in a message of ours, which pydantic cannot take over
        raise ConfigurationErrors([" ".join(f"{where}: {error.object}".split())]) from None


def parse_entries(
    path: Path, model: type[M], key: str, expected: str, unfit: Callable[[str], str | None] = lambda name: None
) -> tuple[dict[str, M], list[str]]:
    """What a YAML file says of each name, and one line for each mistake.

    Args:
        key: the field of `model` that has the name.
        expected: what such a file holds, for the message.
        unfit: what is wrong with a name, if something is.

    Raises:
        ConfigurationError: the file cannot be read, or holds something else.
    """
    data = read_yaml(path) or {}
    if not isinstance(data, dict):
        raise ConfigurationError(f"{path}: expected {expected}, found {type(data).__name__}")
    found: dict[str, M] = {}
    lines: list[str] = []
    for name, fields in data.items():
        where = f"{path}: {name}"
        if problem := unfit(str(name)):
            lines.append(f"{where}: {problem}")
            continue
        try:
            found[str(name)] = parse(model, {key: str(name), **fields} if isinstance(fields, dict) else fields, where)
        except ConfigurationError as error:
            lines += str(error).splitlines()
    return found, lines


def _lines(error: ValidationError, model: type[BaseModel]) -> list[str]:
    lines = []
    for item in error.errors(include_url=False):
        location = [part for part in item["loc"] if not str(part).startswith("function-")]
        field = ".".join(str(part) for part in location)
        match item["type"]:
            case "extra_forbidden":
                text = f"unknown setting '{field}', {nearest(location[-1], _siblings(model, location))}"
            case "missing":
                text = f"'{field}' is missing"
            case "literal_error" if location[-1] == "[key]":
                valid = item["ctx"]["expected"].replace("'", "")
                text = f"'{'.'.join(map(str, location[:-2]))}' has {item['input']!r}: expected {valid}"
            case "literal_error" | "enum":
                valid = [word.strip(" '") for word in item["ctx"]["expected"].replace(" or ", ", ").split(",")]
                text = f"'{field}' is {item['input']!r}, {nearest(item['input'], valid)}"
            case "value_error":
                text = f"'{field}': {item['ctx']['error']}" if field else str(item["ctx"]["error"])
            case "string_pattern_mismatch":
                wanted = _FORMS.get(item["ctx"]["pattern"], f"expected the form {item['ctx']['pattern']}")
                text = f"'{field}' is {_short(item['input'])}: {wanted}"
            case "tuple_type" | "list_type":
                text = f"'{field}' is {_short(item['input'])}: expected a list of words, like [a, b]"
            case "too_short":
                text = f"'{field}' is {_short(item['input'])}: name at least 1"
            case "string_type":
                text = f"'{field}' is {_short(item['input'])}: expected a text; put it in quotes"
            case "dict_type" | "model_type":
                text = f"'{field}' is {_short(item['input'])}: expected a table of settings"
            case _:
                message = item["msg"][0].lower() + item["msg"][1:]
                text = f"'{field}' is {_short(item['input'])}: {message}"
        lines.append(text)
    return lines


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _siblings(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Names that would have been valid instead of an unknown key.

    Those of the outermost model if in doubt.
    """
    current: type[BaseModel] = model
    for part in location[:-1]:
        field = getattr(current, "model_fields", {}).get(part) if isinstance(part, str) else None
        annotation = field.annotation if field else current
        current = _model_in(annotation) or current
    return _settings(current)


def _settings(model: type[BaseModel]) -> list[str]:
    """The fields of a model that can be written."""
    return [name for name, field in model.model_fields.items() if not field.exclude]


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if found := _model_in(argument):
            return found
    return None
