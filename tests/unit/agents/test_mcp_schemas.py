"""The tools of an MCP server as actions: their names and schemas, and one line for what no action can have."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.agents.mcp_server import McpTool
from ai_dev_tools.benchmark.agents.mcp_tools import UnusableSchema, given_to_server, offered, usable
from ai_dev_tools.benchmark.errors import ToolError

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


def tools(**schemas: Any) -> list[McpTool]:
    return [McpTool(name, "Does  it.\n", schema) for name, schema in schemas.items()]


def refusal(*given_: Any, **named: Any) -> str:
    with pytest.raises(ToolError) as caught:
        offered("index", *given_, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_only_the_tools_that_are_named_are_offered_and_others_may_be_unusable() -> None:
    found = offered("index", tools(look=SCHEMA, odd={"type": "string"}), ["search"], ["look"])
    assert [action.name for action in found.values()] == ["look"]
    assert found["look"].description == "Does it."
    assert refusal(tools(look=SCHEMA), [], ["lok"]) == "index: its MCP server has no tool 'lok', did you mean 'look'?"


def test_a_taken_name_gets_the_tool_in_front() -> None:
    assert offered("index", tools(search=SCHEMA), ["search"])["search"].name == "index_search"


def test_what_is_referred_to_is_written_out() -> None:
    schema = {
        "$schema": "x",
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/Kind", "description": "which"},
            "b": {"type": "array", "items": {"$ref": "#/$defs/Kind"}},
        },
        "$defs": {"Kind": {"type": "string", "enum": ["x"]}},
    }
    kind = {"type": "string", "enum": ["x"]}
    assert usable(schema) == {
        "type": "object",
        "properties": {"a": kind | {"description": "which"}, "b": {"type": "array", "items": kind}},
    }
    assert usable({}) == {"type": "object", "properties": {}}


def test_an_argument_named_action_is_offered_under_another_name() -> None:
    """`action` says what an agent does, so a message could not hold both."""
    found = usable({"properties": {"action": {"type": "string"}, "n": {}}, "required": ["action"]})
    assert list(found["properties"]) == ["action_", "n"] and found["required"] == ["action_"]
    assert given_to_server({"action_": "add", "n": 1}) == {"action": "add", "n": 1}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "not that of an object"),
        (None, "not that of an object"),
        ([], "not that of an object"),
        ({"type": "object", "properties": []}, "its properties are not a table"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "its schema is not valid"),
        ({"type": "object", "properties": {"a": {"$ref": "https://example.org/x"}}}, "refers to something outside"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/X"}}}, "leads nowhere"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, "refers to itself"),
        ({"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}, "refers to itself"),
        ({"type": "object", "properties": {"a": {"enum": ["x" * 30_000]}}}, "its schema has 30,"),
    ],
)
def test_an_unusable_schema_is_one_line(schema: Any, expected: str) -> None:
    assert expected in refusal(tools(look=schema), [])


def test_a_description_that_fills_a_window_is_one_line() -> None:
    said = refusal([McpTool("look", "word " * 5000, SCHEMA)], [])
    assert "cannot be offered: its description has 24,999 characters, more than 20,000" in said


def test_a_name_that_no_function_can_have_is_one_line() -> None:
    assert "its name has other characters" in refusal([McpTool("look up\n", "", SCHEMA)], [])


WORDS = (
    st.sampled_from(["type", "properties", "$ref", "$defs", "a", "items", "anyOf", "object", "#/$defs/a"]) | st.text()
)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | WORDS,
        lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner),
        max_leaves=8,
    )
)
def test_any_schema_is_usable_or_refused(schema: Any) -> None:
    try:
        found = usable(schema)
    except UnusableSchema:
        return
    assert found["type"] == "object" and isinstance(found["properties"], dict)
