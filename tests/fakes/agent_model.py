"""LABELLED FAKE: a "model" that plays an agent by a script, for tests of everything around episodes.

It answers through `FakeOllama`. What it says depends on how many of its own messages are already in the conversation, so that
it plays many episodes at once. It knows no question and no file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

Message = dict[str, Any]
Script = Callable[[Sequence[Message], int], "Message | str"]
"""(conversation, number of the turn) -> an action, or whatever else the model says."""


def action(name: str, /, **arguments: Any) -> Message:
    """One action as the protocol `json` has it."""
    return {"action": name, **arguments}


def answer(value: Any) -> Message:
    """The action that ends an episode."""
    return {"action": "answer", "answer": value}


def in_turn(*said: Message | str) -> Script:
    """One message after the other; the last one again and again."""
    return lambda conversation, turn: said[min(turn, len(said) - 1)]


def only_answers(schema: Any) -> bool:
    """Whether a message has to be the answer, because its schema allows nothing else."""
    return isinstance(schema, dict) and "anyOf" not in schema


def playing(script: Script, last: Any = None) -> Callable[[Sequence[Message], Any], str]:
    """What `FakeOllama.converse` takes.

    Args:
        last: the answer where only an answer is allowed and the script says something else.
    """

    def converse(conversation: Sequence[Message], schema: Any) -> str:
        turn = sum(message["role"] == "assistant" for message in conversation)
        said = script(conversation, turn)
        if only_answers(schema) and (isinstance(said, str) or said.get("action") != "answer"):
            said = answer(last)
        return said if isinstance(said, str) else json.dumps(said)

    return converse
