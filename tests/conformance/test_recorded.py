"""Every request that was recorded from a real Ollama, asked of the embedded endpoint and of the fake that tests use.

Compared are status, content type, framing, fields and their types, the order of a stream, and the texts of errors.
`tests/recorded/ollama-0.24.0/differences.yaml` holds what differs, each with its reason.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml

from fakes.ollama import FakeOllama, smallest_answer
from support.asking import Server
from support.recorded import FOLDER, MODEL, Answer, ask_again, differences, exchanges

EXCHANGES = {exchange.name: exchange for exchange in exchanges()}
TABLE: dict[str, Any] = yaml.safe_load((FOLDER / "differences.yaml").read_text(encoding="utf-8"))
OFFERED = [name for name in EXCHANGES if name not in TABLE["not_offered"]["exchanges"]]


def long_answer(prompt: str, schema: Any) -> str:
    """Long enough to run into a cap, where no schema says what it must be."""
    return smallest_answer(prompt, schema) if isinstance(schema, dict) else "Hello! I am here to help you today."


@cache
def answers(url: str) -> dict[str, Answer]:
    """All, in the order of the recording: loading and unloading are among them."""
    return {name: ask_again(EXCHANGES[name], url) for name in OFFERED}


def seen(name: str, url: str) -> list[str]:
    return differences(EXCHANGES[name].recorded, answers(url)[name])


def listed(server: str) -> list[dict[str, Any]]:
    return [*TABLE["both"], *TABLE[server]]


def is_listed(name: str, difference: str, row: dict[str, Any]) -> bool:
    here = row["exchanges"] == "all" or name in row["exchanges"]
    return here and any(fnmatch.fnmatchcase(difference, _literal(line)) for line in row["differences"])


def _literal(line: str) -> str:
    """Only `*` is a pattern."""
    return line.replace("[", "[[]").replace("?", "[?]")


@pytest.fixture(scope="module")
def fake() -> Iterator[str]:
    with FakeOllama([MODEL, "llama3.2:1b"], answer=long_answer) as server:
        yield server.url


@pytest.fixture(scope="module")
def urls(server: Server, fake: str) -> dict[str, str]:
    return {"embedded": server.base_url, "fake": fake}


@pytest.mark.parametrize("server_kind", ["embedded", "fake"])
@pytest.mark.parametrize("name", OFFERED)
def test_it_answers_as_the_real_one_did(name: str, server_kind: str, urls: dict[str, str], embedded_only: None) -> None:
    unknown = [
        difference
        for difference in seen(name, urls[server_kind])
        if not any(is_listed(name, difference, row) for row in listed(server_kind))
    ]
    assert unknown == [], "follow the real server, or say in differences.yaml why not"


@pytest.mark.parametrize("server_kind", ["embedded", "fake"])
def test_every_listed_difference_is_one(server_kind: str, urls: dict[str, str], embedded_only: None) -> None:
    found = [(name, difference) for name in OFFERED for difference in seen(name, urls[server_kind])]
    for row in listed(server_kind):
        for line in [] if row.get("not_always") else row["differences"]:
            narrowed = row | {"differences": [line]}
            assert any(is_listed(name, difference, narrowed) for name, difference in found), line


def test_every_difference_has_its_reason_and_its_exchange() -> None:
    rows = [TABLE["not_offered"], *TABLE["both"], *TABLE["embedded"], *TABLE["fake"]]
    assert all(row["reason"].strip() for row in rows)
    named = {name for row in rows if row["exchanges"] != "all" for name in row["exchanges"]}
    assert named <= set(EXCHANGES)


def test_the_recording_is_compared_with_itself_without_a_difference_and_with_one_when_changed() -> None:
    for exchange in EXCHANGES.values():
        assert differences(exchange.recorded, exchange.recorded) == []
    chat = EXCHANGES["chat, stream"].recorded
    for change in (
        {"status": 201},
        {"headers": {"content-type": "application/json", "content-length": "1"}},
        {"body": chat.body[-1]},
        {"body": [*chat.body[:-1], chat.body[-1] | {"done": False}]},
        {"body": [chat.body[-1], *chat.body[:-1]]},
    ):
        assert differences(chat, Answer(**(vars(chat) | change)))


def test_the_same_weights_make_the_same_vector(urls: dict[str, str], embedded_only: None) -> None:
    recorded = EXCHANGES["embed"].recorded.body["embeddings"][0]
    assert answers(urls["embedded"])["embed"].body["embeddings"][0][: len(recorded)] == pytest.approx(
        recorded, abs=1e-2
    )


def test_what_a_prompt_too_long_says_has_no_length_when_it_was_to_be_streamed() -> None:
    streamed = EXCHANGES["chat, prompt too long, truncate and shift false, stream"].recorded
    assert (streamed.status, streamed.framing) == (400, "chunked")
    assert json.dumps(streamed.body) == '{"error": "the input length exceeds the context length"}'
