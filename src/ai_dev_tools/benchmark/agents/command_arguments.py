"""Arguments that a model wrote for a command, checked before they become words of a command line.

Nothing that a model writes may be executed, or be read as anything but a value: no shell sees it, it
never names the program, and it cannot become an option.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ai_dev_tools.benchmark._util.json_values import JsonFields, JsonValue
from ai_dev_tools.benchmark._util.text import listing, nearest, visible_line
from ai_dev_tools.benchmark.prompts.placeholders import PLACES, READ_SPECIALLY, file_argument, filled, names_in
from ai_dev_tools.benchmark.records.agent_tool import Argument, ToolCommand

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_JSON_TYPES = {"string": "string", "path": "string", "integer": "integer", "number": "number", "boolean": "boolean"}
MOST_NUMBER = 1e15
"""Numbers are written in full, so that no program reads `1e300`."""


class BadArgument(ValueError):
    """What a model wrote cannot be used; the message is for the model."""


def schema_of(arguments: Mapping[str, Argument]) -> JsonFields:
    """The JSON schema of a command's arguments, as a model is told of them."""
    return {
        "type": "object",
        "properties": {name: _property(argument) for name, argument in arguments.items()},
        "required": [name for name, argument in arguments.items() if argument.default is None],
        "additionalProperties": False,
    }


def _property(argument: Argument) -> JsonFields:
    found: JsonFields = {"type": _JSON_TYPES[argument.type]}
    if argument.description:
        found["description"] = argument.description
    if argument.choices:
        return found | {"enum": list(argument.choices)}
    if found["type"] == "string":
        found |= {"minLength": 1, "maxLength": argument.max_length}
    bounds = {"minimum": argument.minimum, "maximum": argument.maximum}
    return found | {name: bound for name, bound in bounds.items() if bound is not None}


def command_words(
    command: ToolCommand, given: Mapping[str, JsonValue], places: Mapping[str, str], workspace: Path
) -> list[str]:
    """The words of a command line, with what the model wrote instead of names in braces.

    Args:
        places: values of the placeholders that are not the model's.
        workspace: the folder that paths must stay in.

    Raises:
        BadArgument: an argument is missing, unknown, or not what it should be; says so to the model.
    """
    if unknown := [name for name in given if name not in command.arguments]:
        raise BadArgument(f"{_quoted(unknown[0])} is not an argument of {command.name}, {_known(command)}")
    values = {
        name: _one_argument(name, argument, given.get(name), workspace) for name, argument in command.arguments.items()
    }
    words: list[str] = []
    for word in command.argv:
        text = filled(word, {**places, **values})
        _refuse_option(word, text, ended="--" in words)
        words.append(text)
    return words


def _known(command: ToolCommand) -> str:
    return nearest("", command.arguments) if command.arguments else "which takes none"


def _one_argument(name: str, argument: Argument, value: JsonValue, workspace: Path) -> str:
    if value is None or (value == "" and argument.type == "path"):
        if argument.default is None:
            raise BadArgument(f"'{name}' is missing")
        value = argument.default
    match argument.type:
        case "boolean":
            if not isinstance(value, bool):
                raise BadArgument(f"'{name}' must be true or false")
            return "true" if value else "false"
        case "integer" | "number":
            return _number(name, argument, value)
    text = _text(name, argument, value)
    return _path(name, text, workspace) if argument.type == "path" else text


def _number(name: str, argument: Argument, value: JsonValue) -> str:
    whole = argument.type == "integer"
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(number, bool) or not isinstance(number, int | float) or (whole and not isinstance(number, int)):
        raise BadArgument(f"'{name}' must be {'a whole number' if whole else 'a number'}")
    low = -MOST_NUMBER if argument.minimum is None else argument.minimum
    high = MOST_NUMBER if argument.maximum is None else argument.maximum
    if not low <= number <= high:
        raise BadArgument(f"'{name}' must be between {low:g} and {high:g}")
    return str(number) if isinstance(number, int) else f"{number:.15f}".rstrip("0").rstrip(".")


def _text(name: str, argument: Argument, value: JsonValue) -> str:
    if not isinstance(value, str):
        raise BadArgument(f"'{name}' must be a text")
    if argument.choices:
        if value not in argument.choices:
            raise BadArgument(f"'{name}' must be one of {listing(argument.choices, 20)}")
        return value
    if not value and argument.default != "":
        raise BadArgument(f"'{name}' is empty")
    if len(value) > argument.max_length:
        raise BadArgument(f"'{name}' is longer than {argument.max_length} characters")
    if _CONTROL.search(value):
        raise BadArgument(f"'{name}' must be one line without control characters")
    if argument.pattern is not None and re.fullmatch(argument.pattern, value) is None:
        raise BadArgument(f"'{name}' must have the form {argument.pattern}")
    return value


def _path(name: str, text: str, workspace: Path) -> str:
    """A path below the workspace, written so that no program reads it as an option."""
    path = PurePosixPath(text)
    if path.is_absolute() or text.startswith("~") or ".." in path.parts:
        raise BadArgument(f"'{name}' must be a path below the workspace, such as src/app.py")
    try:
        inside = Path(os.path.realpath(workspace / path)).is_relative_to(os.path.realpath(workspace))
    except OSError:
        inside = False
    if not inside:
        raise BadArgument(f"'{name}' leads out of the workspace")
    return file_argument(path.as_posix())


def _refuse_option(word: str, text: str, *, ended: bool) -> None:
    """Refuse a word that a program could read as an option or a list of words.

    It begins with what a model or a case says.

    A word that joins it to an option (`--regexp={pattern}`) takes anything; so does one after `--`, except `@`.
    """
    names = names_in(word)
    if not names or not word.startswith(f"{{{names[0]}}}") or names[0] in PLACES:
        return
    refused = tuple(sign for sign in READ_SPECIALLY if sign != "-" or not ended)
    if text.startswith(refused):
        raise BadArgument(f"'{names[0]}' must not begin with {text[0]}")


def _quoted(text: str) -> str:
    return f"'{visible_line(text, 60)}'"
