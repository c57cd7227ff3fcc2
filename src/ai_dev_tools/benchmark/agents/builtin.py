"""The built-in agent's protocols: what it asks a model, and how it reads an action from the answer.

Deliberately plain, so that the tool is judged and not the agent's cunning. With the protocol `json` every message of the model
is one JSON object with one action, which the server enforces by a schema. With `native` the model calls functions as it was
trained to, and the server has to know how.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue, table_in
from ai_dev_tools.benchmark._util.text import nearest
from ai_dev_tools.benchmark.agents.actions import Action
from ai_dev_tools.benchmark.endpoints.chat import Message, Reply, ToolCall
from ai_dev_tools.benchmark.records.episode import ANSWER
from ai_dev_tools.benchmark.tasks.answers import parse_answer

NOW_ANSWER = "This is your last message: it has to be the answer."
_CHOICE: Mapping[str, JsonValue] = {"required": ["action"]}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


@dataclass(frozen=True)
class Step:
    """What a model chose in one turn.

    Attributes:
        action: None where its message was no action; `problem` then says why, for the model.
        answer: the answer, where the action is `answer`.
    """

    action: str | None = None
    arguments: Mapping[str, JsonValue] = field(default_factory=dict)
    answer: JsonValue = None
    problem: str = ""
    call: ToolCall | None = None


class ActionProtocol(ABC):
    """A conversation in one protocol.

    Args:
        offered: what the model can do in addition to answering.
        answer_schema: JSON schema of the answer.
    """

    def __init__(self, offered: Sequence[Action], answer_schema: Mapping[str, JsonValue]) -> None:
        self._offered = {action.name: action for action in offered}
        self._answer_schema = answer_schema

    @abstractmethod
    def schema(self, last: bool) -> Mapping[str, JsonValue] | None:
        """The schema that the model's message has to follow; None: none.

        Args:
            last: whether the message has to be the answer.
        """

    @abstractmethod
    def tools(self, last: bool) -> tuple[Mapping[str, JsonValue], ...]:
        """The functions that the model may call."""

    @abstractmethod
    def read(self, reply: Reply) -> Step:
        """What the model chose."""

    @abstractmethod
    def message_of(self, reply: Reply, step: Step) -> Message:
        """The model's message, as the following turns are shown it."""

    @abstractmethod
    def result(self, step: Step, text: str) -> Message:
        """What came of a step, as the next turn is shown it."""

    def problem_of(self, name: str, arguments: Mapping[str, JsonValue]) -> str:
        """Why an action cannot be carried out as it is asked for; empty if it can."""
        if name not in self._offered:
            return f"there is no action '{name}', {nearest(name, [*self._offered, ANSWER])}"
        schema = self._offered[name].parameters
        known = table_in(schema.get("properties"))
        required = schema.get("required")
        for argument in required if isinstance(required, list) else ():
            if argument not in arguments:
                return f"'{name}' needs '{argument}'"
        for argument, value in arguments.items():
            if argument not in known and schema.get("additionalProperties") is False:
                return f"'{name}' takes no '{argument}', {nearest(argument, known)}"
            kind = table_in(known.get(argument)).get("type")
            if isinstance(kind, str) and not _is_a(value, kind):
                return f"'{argument}' of '{name}' has to be of type {kind}"
        return ""


class JsonProtocol(ActionProtocol):
    """One JSON object with one action in each message."""

    def schema(self, last: bool) -> Mapping[str, JsonValue]:
        if last or not self._offered:
            return self._answering("#/properties/answer")
        choices = [_chosen(action) for action in self._offered.values()]
        return {"anyOf": [*choices, self._answering(f"#/anyOf/{len(choices)}/properties/answer")]}

    def tools(self, last: bool) -> tuple[Mapping[str, JsonValue], ...]:
        return ()

    def read(self, reply: Reply) -> Step:
        found = parse_answer(reply.text, _CHOICE)
        if not isinstance(found, Mapping) or not isinstance(found.get("action"), str):
            return self._answered_outright(reply) or Step(
                problem='your message has to be one JSON object with an "action", and nothing else'
            )
        name, arguments = str(found["action"]), {key: value for key, value in found.items() if key != "action"}
        if name == ANSWER and ANSWER in arguments:
            return Step(name, {}, arguments[ANSWER])
        if name == ANSWER:
            return Step(problem=f'"{ANSWER}" is missing')
        return Step(name, arguments, problem=self.problem_of(name, arguments))

    def _answered_outright(self, reply: Reply) -> Step | None:
        """A server that enforces no schema lets a model give its answer without the action around it."""
        required = self._answer_schema.get("required")
        found = parse_answer(reply.text, self._answer_schema)
        if isinstance(found, Mapping) and isinstance(required, list) and required and all(k in found for k in required):
            return Step(ANSWER, {}, found)
        return None

    def message_of(self, reply: Reply, step: Step) -> Message:
        return Message("assistant", reply.text)

    def result(self, step: Step, text: str) -> Message:
        return Message("user", text)

    def _answering(self, place: str) -> JsonObject:
        return {
            "type": "object",
            "properties": {"action": {"const": ANSWER}, ANSWER: relocated(self._answer_schema, place)},
            "required": ["action", ANSWER],
            "additionalProperties": False,
        }


class NativeProtocol(ActionProtocol):
    """The model's own way of calling functions."""

    def schema(self, last: bool) -> Mapping[str, JsonValue] | None:
        return self._answer_schema if last else None

    def tools(self, last: bool) -> tuple[Mapping[str, JsonValue], ...]:
        if last or not self._offered:
            return ()
        answering = {
            "type": "object",
            "properties": {ANSWER: relocated(self._answer_schema, f"#/properties/{ANSWER}")},
            "required": [ANSWER],
        }
        actions = [*self._offered.values(), Action(ANSWER, "Gives your answer and ends the work.", answering)]
        return tuple(
            {
                "type": "function",
                "function": {"name": a.name, "description": a.description, "parameters": a.parameters},
            }
            for a in actions
        )

    def read(self, reply: Reply) -> Step:
        if not reply.calls:
            found = parse_answer(reply.text, self._answer_schema)
            if isinstance(found, Mapping) and found.keys() == {ANSWER}:
                found = found[ANSWER]
            return Step(ANSWER, {}, found) if found is not None else Step(problem=f"call a function, or `{ANSWER}`")
        call = reply.calls[0]
        arguments = call.arguments if isinstance(call.arguments, Mapping) else {}
        if call.name == ANSWER:
            return Step(ANSWER, arguments, arguments.get(ANSWER, arguments), call=call)
        return Step(call.name, arguments, problem=self.problem_of(call.name, arguments), call=call)

    def message_of(self, reply: Reply, step: Step) -> Message:
        """Only its first call is answered, so only that one is shown to it."""
        return Message("assistant", reply.text, (step.call,) if step.call else ())

    def result(self, step: Step, text: str) -> Message:
        return Message("tool", text, answers=step.call) if step.call else Message("user", text)


TALKS: Mapping[str, type[ActionProtocol]] = {"json": JsonProtocol, "native": NativeProtocol}


def _chosen(action: Action) -> JsonObject:
    """The message that chooses an action: its arguments, and its name in front."""
    schema = action.parameters
    required = schema.get("required")
    return {
        "type": "object",
        "properties": {"action": {"const": action.name}, **table_in(schema.get("properties"))},
        "required": ["action", *(required if isinstance(required, list) else ())],
        "additionalProperties": False,
    }


def relocated(schema: JsonValue, place: str) -> JsonValue:
    """A schema as a part of another one: its references lead to where its own parts now are."""
    if isinstance(schema, list):
        return [relocated(item, place) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: f"{place}{value[1:]}"
        if key == "$ref" and isinstance(value, str) and value.startswith("#")
        else relocated(value, place)
        for key, value in schema.items()
    }


def _is_a(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, float) and kind == "integer":
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, (object,)))


def as_json(arguments: Mapping[str, JsonValue]) -> str:
    """Arguments as a record holds them."""
    return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
