"""Who the server is and what it has: `/`, version, tags, show, ps, pull."""

from __future__ import annotations

import re
import time

import pytest

from support.asking import Server

DETAILS = {"parent_model", "format", "family", "families", "parameter_size", "quantization_level"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_root_says_that_it_runs(server: Server, method: str) -> None:
    reply = server.request(method, "/")
    assert reply.status == 200
    assert reply.data == (b"Ollama is running" if method == "GET" else b"")


def test_version_is_a_semantic_version(server: Server) -> None:
    assert re.match(r"\d+\.\d+\.\d+", server.request("GET", "/api/version").json["version"])


def test_tags_list_the_model_with_digest_size_and_details(server: Server) -> None:
    listed = {model["name"]: model for model in server.request("GET", "/api/tags").json["models"]}
    model = listed[server.model]
    assert model["model"] == server.model
    assert re.fullmatch(r"[0-9a-f]{64}", model["digest"])
    assert model["size"] > 1_000_000
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", model["modified_at"])
    assert set(model["details"]) >= DETAILS - {"parent_model"}


def test_show_tells_template_details_and_context_length(server: Server) -> None:
    shown = server.request("POST", "/api/show", json={"model": server.model}).json
    assert shown["template"]
    assert "completion" in shown["capabilities"]
    assert set(shown["details"]) >= DETAILS - {"parent_model"}
    architecture = shown["model_info"]["general.architecture"]
    assert shown["model_info"][f"{architecture}.context_length"] >= 512


def test_show_takes_the_old_field_name_too(server: Server) -> None:
    assert server.request("POST", "/api/show", json={"name": server.model}).status == 200


def test_show_of_an_unknown_model_is_404(server: Server) -> None:
    reply = server.request("POST", "/api/show", json={"model": "no-such-model:1b"})
    assert reply.status == 404
    assert "no-such-model:1b" in reply.json["error"]


def test_show_without_a_model_is_400(server: Server) -> None:
    assert server.request("POST", "/api/show", json={}).status == 400


def test_ps_lists_a_loaded_model_with_its_context_length(server: Server) -> None:
    server.generate(options={"num_ctx": 1024})
    running = {model["name"]: model for model in server.request("GET", "/api/ps").json["models"]}[server.model]
    assert running["context_length"] == 1024
    assert running["expires_at"] > time.strftime("%Y-%m-%dT%H:%M:%S")
    assert 0 <= running["size_vram"] <= running["size"]


def test_pull_streams_its_progress_and_ends_with_success(server: Server, embedded_only: None) -> None:
    lines = server.request("POST", "/api/pull", json={"model": server.model}).lines
    assert lines[0] == {"status": "pulling manifest"}
    layer = next(line for line in lines if "total" in line)
    assert layer["completed"] <= layer["total"]
    assert layer["digest"].startswith("sha256:")
    assert lines[-1] == {"status": "success"}


def test_pull_unstreamed_is_one_object(server: Server, embedded_only: None) -> None:
    assert server.request("POST", "/api/pull", json={"model": server.model, "stream": False}).json == {
        "status": "success"
    }


def test_pull_of_an_unknown_model_ends_in_an_error(server: Server) -> None:
    reply = server.request("POST", "/api/pull", json={"model": "no-such-model:1b"})
    assert "error" in reply.lines[-1]


def test_openai_style_requests_are_answered(server: Server) -> None:
    body = {"model": server.model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
    reply = server.request("POST", "/v1/chat/completions", json=body).json
    assert reply["choices"][0]["message"]["role"] == "assistant"
    assert reply["usage"]["completion_tokens"] <= 3
