"""Read settings as they were typed: a name that looks like a number stays a text.

YAML reads `007` as 7, `010` as 8, `1_000` as 1000, `off` as false and `1:30` as 90. Here, a plain value becomes a number or
a truth value only if it would be written back in exactly the same way. Everything else is text, and the setting decides what
it accepts. Light imports: the command line starts with this.
"""

from __future__ import annotations

import functools
import json
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue, Scalar
from ai_dev_tools.benchmark.errors import ConfigurationError

if TYPE_CHECKING:
    import yaml
    from pydantic import BaseModel

_WORD = re.compile(r"[\w./@:+-]+")
_WHOLE = re.compile(r"0|-?[1-9][0-9]*")
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None, "~": None, "": None}
_UNCLEAR = re.compile(r"[+-]?(0[0-9_]+|0[xob][0-9a-f_]+|[0-9][0-9_]*_[0-9_]*|[0-9]+(:[0-9]+)+)", re.IGNORECASE)
"""A number that people and programs read differently: octal, hexadecimal, with underscores, or in base 60."""


def as_list(value: object) -> object:
    """`a,b` from a command line means the list [a, b]."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def scalar(text: str) -> Scalar:
    """A plain value: a number, truth value or None if `spell` gives exactly this text back, else the text."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text) and len(text) < 300:
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return text
    return number if repr(number) == text and number - number == 0 else text


def spell(value: object) -> str:
    """A setting as `--config` takes it: `a,b` for names, `true`, JSON for tables, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return _json(value)
    if isinstance(value, list | tuple | set | frozenset):
        words = bool(value) and all(isinstance(part, str) and _WORD.fullmatch(part) for part in value)
        return ",".join(value) if words else _json([*value])
    return str(value)


def _json(value: object) -> str:
    """JSON that YAML reads as the same: it knows no pairs of surrogates."""
    return json.dumps(value, default=str, ensure_ascii=False)


def load(text: str | TextIO) -> JsonValue:
    """YAML whose plain values are read by `scalar`; raises yaml.YAMLError."""
    import yaml  # takes 10 ms

    data: JsonValue = yaml.load(text, Loader=_loader())
    return data


@functools.cache
def _loader() -> type[yaml.SafeLoader]:
    from ai_dev_tools.benchmark.config import yaml_files  # takes 10 ms, as YAML itself

    def plain(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Scalar:
        value = str(loader.construct_scalar(node))
        return value if node.style else scalar(value)

    merge = {"<": [("tag:yaml.org,2002:merge", re.compile("^<<$"))]}
    loader: type[yaml.SafeLoader] = type("Loader", (yaml_files.Loader,), {"yaml_implicit_resolvers": merge})
    loader.add_constructor("tag:yaml.org,2002:str", plain)
    return loader


def parse_value(text: str) -> JsonValue:
    """The value after `KEY=`: a table or list if it looks like one and is one, else a plain value.

    Raises:
        ConfigurationError: a name stands twice in a table.
    """
    import yaml  # takes 10 ms

    text = text.strip("'\"")  # as Snakemake does
    if text[:1] in ("{", "["):
        from ai_dev_tools.benchmark.config.yaml_files import WrittenTwiceError  # takes 10 ms, as YAML itself

        try:
            return load(text)
        except WrittenTwiceError as error:
            raise ConfigurationError(f"--config {text[:60]}: {error.problem}") from None
        except (yaml.YAMLError, ValueError, RecursionError):
            return text
    return text if text in ("null", "~") else scalar(text)  # `KEY=` is nothing, and `null` may be a name


class UnclearNumber(ValueError):
    """A number that can be read in two ways."""


def as_written(model: type[BaseModel], data: Mapping[str, JsonValue], where: str = "") -> JsonObject:
    """Settings for a model: where it takes text, numbers and truth values are the text that was written.

    Raises:
        UnclearNumber: a number can be read in two ways.
    """
    return {key: _fitting(f.annotation, value, f"{where}{key}") if (f := model.model_fields.get(key)) else value
            for key, value in data.items()}  # fmt: skip


def _fitting(annotation: object, value: JsonValue, where: str) -> JsonValue:
    choices = list(_choices(annotation))
    if isinstance(value, Mapping):
        for choice in choices:
            if isinstance(choice, type) and hasattr(choice, "model_fields"):
                return as_written(choice, value, f"{where}.")
            if typing.get_origin(choice) is dict:
                inner = typing.get_args(choice)[1]
                return {spell(k): _fitting(inner, v, f"{where}.{spell(k)}") for k, v in value.items()}
        return value
    listed = next((typing.get_args(choice)[0] for choice in choices if typing.get_origin(choice) is tuple), None)
    if isinstance(value, list | tuple):
        return [_fitting(listed, item, where) for item in value]
    numeric = any(choice in (bool, int, float) for choice in choices)
    if isinstance(value, str) and numeric and _UNCLEAR.fullmatch(value):
        raise UnclearNumber(f"'{where}' is {value}, which can be read in two ways: write a plain decimal number")
    texts = listed is not None or any(_is_text(choice) for choice in choices)
    return spell(value) if isinstance(value, int | float) and texts and not numeric else value


def _is_text(choice: object) -> bool:
    return typing.get_origin(choice) is typing.Literal or (isinstance(choice, type) and issubclass(choice, str | Path))


def _choices(annotation: object) -> typing.Iterator[object]:
    """The types of a union, without their annotations."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _choices(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _choices(part)
    elif annotation is not None and annotation is not type(None):
        yield annotation
