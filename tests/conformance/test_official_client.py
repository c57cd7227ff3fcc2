"""The official Python client, unmodified, against the server."""

from __future__ import annotations

import asyncio
import json

import ollama
import pytest

from support.asking import Server

OPTIONS = {"temperature": 0, "num_predict": 8}
MESSAGES = [{"role": "user", "content": "Name a colour."}]
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "green"]}},
    "required": ["colour"],
    "additionalProperties": False,
}


@pytest.fixture
def client(server: Server) -> ollama.Client:
    return ollama.Client(host=server.base_url, headers=server.headers)


def test_generate(client: ollama.Client, server: Server) -> None:
    answer = client.generate(server.model, "Name a colour.", options=OPTIONS)
    assert answer.response
    assert answer.done_reason in ("stop", "length")
    assert answer.eval_count
    assert answer.prompt_eval_count


def test_chat_whole_and_streamed_agree(client: ollama.Client, server: Server) -> None:
    whole = client.chat(server.model, MESSAGES, options=OPTIONS)
    pieces = list(client.chat(server.model, MESSAGES, options=OPTIONS, stream=True))
    assert "".join(piece.message.content or "" for piece in pieces) == whole.message.content
    assert [piece.done for piece in pieces].count(True) == 1


def test_structured_output(client: ollama.Client, server: Server) -> None:
    answer = client.chat(server.model, MESSAGES, format=SCHEMA, options={**OPTIONS, "num_predict": 30})
    assert json.loads(answer.message.content or "")["colour"] in ("red", "green")


def test_asynchronous_client_streams(server: Server) -> None:
    async def collect() -> list[str]:
        client = ollama.AsyncClient(host=server.base_url, headers=server.headers)
        stream = await client.generate(server.model, "Name a colour.", options=OPTIONS, stream=True)
        return [piece.response async for piece in stream]

    assert "".join(asyncio.run(collect()))


def test_list_show_and_ps(client: ollama.Client, server: Server) -> None:
    assert server.model in [model.model for model in client.list().models]
    assert client.show(server.model).capabilities
    client.generate(server.model, "")
    running = [model for model in client.ps().models if model.model == server.model]
    assert running[0].context_length


def test_pull_reports_progress(client: ollama.Client, server: Server, embedded_only: None) -> None:
    states = [progress.status for progress in client.pull(server.model, stream=True)]
    assert states[0] == "pulling manifest"
    assert states[-1] == "success"


def test_an_unknown_model_is_a_response_error(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat("no-such-model:1b", MESSAGES)
    assert caught.value.status_code == 404


def test_an_error_of_a_pull_is_raised(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError):
        list(client.pull("no-such-model:1b", stream=True))
