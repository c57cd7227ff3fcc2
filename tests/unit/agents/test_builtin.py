"""What the built-in agent asks of a model in each protocol, and which action it reads from what the model says."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from ai_dev_tools.benchmark.agents.builtin import JsonProtocol, NativeProtocol, relocated
from ai_dev_tools.benchmark.endpoints.chat import Reply, ToolCall
from ai_dev_tools.benchmark.prompts.episodes import PLAIN
from support.making import SCHEMA

WITH_PARTS: dict[str, Any] = {
    "type": "object",
    "properties": {"names": {"type": "array", "items": {"$ref": "#/$defs/name"}}},
    "required": ["names"],
    "$defs": {"name": {"type": "string", "enum": ["a", "b"]}},
}


def said(value: object) -> Reply:
    return Reply(text=value if isinstance(value, str) else json.dumps(value))


def test_each_message_is_one_action_and_the_last_one_the_answer() -> None:
    talk = JsonProtocol(PLAIN, SCHEMA)
    every, last = (
        jsonschema.Draft202012Validator(talk.schema(False)),
        jsonschema.Draft202012Validator(talk.schema(True)),
    )
    reading = {"action": "read_file", "path": "a.py", "start": 1}
    answering = {"action": "answer", "answer": {"colour": "red"}}
    assert every.is_valid(reading) and every.is_valid(answering)
    assert last.is_valid(answering) and not last.is_valid(reading)
    assert not every.is_valid({"action": "read_file"}) and not every.is_valid({"action": "answer", "answer": {"x": 1}})


@pytest.mark.parametrize("last", [True, False])
def test_references_of_the_answers_schema_lead_to_where_it_now_is(last: bool) -> None:
    check = jsonschema.Draft202012Validator(JsonProtocol(PLAIN, WITH_PARTS).schema(last))
    assert check.is_valid({"action": "answer", "answer": {"names": ["a"]}})
    assert not check.is_valid({"action": "answer", "answer": {"names": ["c"]}})
    assert relocated({"$ref": "#"}, "#/properties/answer") == {"$ref": "#/properties/answer"}


def test_an_action_is_read_from_a_message() -> None:
    step = JsonProtocol(PLAIN, SCHEMA).read(said({"action": "search", "pattern": "x", "path": ""}))
    assert (step.action, dict(step.arguments), step.problem) == ("search", {"pattern": "x", "path": ""}, "")
    step = JsonProtocol(PLAIN, SCHEMA).read(said({"action": "answer", "answer": {"colour": "red"}}))
    assert (step.action, step.answer) == ("answer", {"colour": "red"})


def test_an_answer_without_the_action_around_it_counts() -> None:
    """Where a server enforces no schema."""
    assert JsonProtocol(PLAIN, SCHEMA).read(said('It is {"colour": "red"}.')).answer == {"colour": "red"}


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("I will look.", "one JSON object"),
        ({"action": 3}, "one JSON object"),
        ({"action": "red_file", "path": "a", "start": 1}, "did you mean 'read_file'?"),
        ({"action": "read_file", "path": "a"}, "needs 'start'"),
        ({"action": "read_file", "path": ["a"], "start": 1}, "has to be of type string"),
        ({"action": "read_file", "path": "a", "start": 1, "end": 3}, "takes no 'end'"),
        ({"action": "answer"}, '"answer" is missing'),
    ],
)
def test_what_is_no_action_is_said_to_the_model(message: object, problem: str) -> None:
    assert problem in JsonProtocol(PLAIN, SCHEMA).read(said(message)).problem


def test_native_calls_are_read_and_answered_as_calls() -> None:
    talk = NativeProtocol(PLAIN, SCHEMA)
    reply = Reply(calls=[ToolCall("read_file", {"path": "a.py", "start": 1}, "c1"), ToolCall("search", {}, "c2")])
    step = talk.read(reply)
    assert step.action == "read_file" and not step.problem
    assert [call.id for call in talk.message_of(reply, step).calls] == ["c1"]  # the only one that is carried out
    assert talk.result(step, "x = 1").answers == reply.calls[0]
    assert [tool["function"]["name"] for tool in talk.tools(False)] == ["list_files", "read_file", "search", "answer"]
    assert (talk.schema(False), talk.tools(True), talk.schema(True)) == (None, (), SCHEMA)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(calls=[ToolCall("answer", {"answer": {"colour": "red"}})]),
        Reply(calls=[ToolCall("answer", {"colour": "red"})]),
        Reply(text='{"colour": "red"}'),
        Reply(text='{"answer": {"colour": "red"}}'),
    ],
)
def test_a_native_answer_is_a_call_or_a_text(reply: Reply) -> None:
    step = NativeProtocol(PLAIN, SCHEMA).read(reply)
    assert (step.action, step.answer) == ("answer", {"colour": "red"})
