"""The tools of an MCP server as actions: which can be offered, under which names, with which schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence

from ai_dev_tools.benchmark._util.json_values import JsonFields, JsonValue
from ai_dev_tools.benchmark._util.text import nearest, number, visible_line
from ai_dev_tools.benchmark.agents.actions import Action
from ai_dev_tools.benchmark.agents.mcp_server import McpTool
from ai_dev_tools.benchmark.errors import ToolError

MOST_SCHEMA = 20_000
"""Characters of one tool's schema, or of its description."""
MOST_DEPTH = 20
OWN_WORD, OFFERED_AS = "action", "action_"
"""The agent's own word for what it does, and how an argument of that name is offered."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


class UnusableSchema(ValueError):
    """A schema that no action can have; the message says why."""


def offered(
    tool: str, found: Sequence[McpTool], taken: Collection[str], wanted: Sequence[str] = ()
) -> dict[str, Action]:
    """A server's tools as actions, by the server's names of them.

    Args:
        tool: id of the judged tool; in front of a name that is taken.
        taken: names of other actions.
        wanted: names of those to offer; default all.

    Raises:
        ToolError: there is none, one that is wanted is missing, or one cannot be offered; says why.
    """
    known = {item.name: item for item in found}
    if not known:
        raise ToolError(f"{tool}: its MCP server offers no tools")
    if missing := [name for name in wanted if name not in known]:
        raise ToolError(f"{tool}: its MCP server has no tool '{missing[0]}', {nearest(missing[0], known)}")
    actions: dict[str, Action] = {}
    for item in known.values():
        if wanted and item.name not in wanted:
            continue
        name = item.name if item.name not in taken else f"{tool}_{item.name}"
        try:
            if not _NAME.fullmatch(name):
                raise UnusableSchema("its name has other characters than letters, digits, '_', '-' and '.'")
            actions[item.name] = Action(name, _short(item.description), usable(item.schema))
        except UnusableSchema as error:
            raise ToolError(
                f"{tool}: its MCP server's tool '{visible_line(item.name, 60)}' cannot be offered: {error}",
                remedy="List the tools to offer in `mcp.tools`" if len(known) > 1 else None,
            ) from None
    return actions


def _short(description: str) -> str:
    """A description in one line, which every turn pays for.

    Raises:
        UnusableSchema: it would fill a window alone.
    """
    line = " ".join(description.split())
    if len(line) > MOST_SCHEMA:
        raise UnusableSchema(f"its description has {number(len(line))} characters, more than {number(MOST_SCHEMA)}")
    return line


def usable(schema: JsonValue) -> JsonFields:
    """A tool's input schema as that of an action: of an object, without references.

    Raises:
        UnusableSchema: it is not the schema of an object, or cannot be made one.
    """
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        raise UnusableSchema("its schema is not that of an object")
    whole = _inlined(schema, schema, 0)
    assert isinstance(whole, dict)
    for name in ("$schema", "$defs", "definitions", "$id"):
        whole.pop(name, None)
    whole = {"properties": {}, **whole, "type": "object"}
    if not isinstance(whole["properties"], dict):
        raise UnusableSchema("its properties are not a table")
    whole["properties"] = {_offered_as(name): value for name, value in whole["properties"].items()}
    if isinstance(required := whole.get("required"), list):
        whole["required"] = [_offered_as(str(name)) for name in required]
    _check(whole)
    return whole


def given_to_server(arguments: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """What a model wrote, under the names that the server gave its arguments."""
    return {OWN_WORD if name == OFFERED_AS else name: value for name, value in arguments.items()}


def _offered_as(name: str) -> str:
    return OFFERED_AS if name == OWN_WORD else name


def _check(schema: JsonFields) -> None:
    import jsonschema  # takes 40 ms, only where a server is started

    size = len(json.dumps(schema))
    if size > MOST_SCHEMA:
        raise UnusableSchema(f"its schema has {number(size)} characters, more than {number(MOST_SCHEMA)}")
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise UnusableSchema(f"its schema is not valid: {visible_line(error.message, 200)}") from None


def _inlined(value: JsonValue, root: Mapping[str, JsonValue], depth: int) -> JsonValue:
    """A schema in which references to parts of it are those parts."""
    if depth > MOST_DEPTH:
        raise UnusableSchema("its schema refers to itself, or is nested too deeply")
    if isinstance(value, list | tuple):
        return [_inlined(item, root, depth + 1) for item in value]
    if not isinstance(value, Mapping):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str):
        rest = {key: item for key, item in value.items() if key != "$ref"}
        found = _inlined(_part(reference, root), root, depth + 1)
        if not isinstance(found, dict):
            raise UnusableSchema(f"its reference {visible_line(reference, 80)} leads to what is not a schema")
        return {**found, **{key: _inlined(item, root, depth + 1) for key, item in rest.items()}}
    return {key: _inlined(item, root, depth + 1) for key, item in value.items() if key not in ("$defs", "definitions")}


def _part(reference: str, root: Mapping[str, JsonValue]) -> JsonValue:
    """The part of a schema that a reference within it names."""
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        raise UnusableSchema(f"it refers to something outside of it: {visible_line(reference, 80)}")
    found: JsonValue = root
    for word in reference[2:].split("/"):
        key = word.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or key not in found:
            raise UnusableSchema(f"its reference {visible_line(reference, 80)} leads nowhere")
        found = found[key]
    return found
