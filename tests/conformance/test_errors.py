"""What is refused, with which status, and in which shape."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.asking import Server

ASKED = ["/api/generate", "/api/chat"]
PATHS = [*ASKED, "/api/show", "/api/pull"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b'{"model": "\xff"}'], ids=["none", "open", "text", "not-utf8"]
)
def test_a_body_that_is_not_json_is_400(server: Server, path: str, body: bytes) -> None:
    reply = server.request("POST", path, body=body)
    # A damaged letter inside a string may also reach the look-up of the model.
    assert reply.status == 400 or (b"\xff" in body and reply.status in (404, 500))
    assert set(reply.json) >= {"error"}


def test_no_body_is_named(server: Server) -> None:
    assert server.request("POST", "/api/generate").json == {"error": "missing request body"}


@pytest.mark.parametrize("path", ASKED)
def test_an_unknown_model_is_404(server: Server, path: str) -> None:
    body = {"model": "no-such-model:1b", "prompt": "Hi", "messages": [{"role": "user", "content": "Hi"}]}
    reply = server.request("POST", path, json=body)
    assert reply.status == 404
    assert reply.json == {"error": "model 'no-such-model:1b' not found"}


def test_no_model_is_refused(server: Server) -> None:
    assert server.request("POST", "/api/chat", json={}).status == 400
    assert server.request("POST", "/api/generate", json={}).status in (400, 404)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/api/generate", {"model": 5}),
        ("/api/generate", {"prompt": ["Hi"]}),
        ("/api/generate", {"stream": "yes"}),
        ("/api/generate", {"raw": 1}),
        ("/api/generate", {"options": "hot"}),
        ("/api/generate", {"options": {"temperature": "hot"}}),
        ("/api/generate", {"options": {"num_predict": "many"}}),
        ("/api/generate", {"options": {"stop": 5}}),
        ("/api/generate", {"keep_alive": "soon"}),
        ("/api/chat", {"messages": "Hi"}),
        ("/api/chat", {"messages": ["Hi"]}),
        ("/api/chat", {"messages": [{"role": "user", "content": 5}]}),
    ],
    ids=str,
)
def test_a_wrong_type_is_400_and_that_of_an_option_500(server: Server, path: str, wrong: dict[str, Any]) -> None:
    body = {
        "model": server.model,
        "prompt": "Hi",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": False,
    }
    reply = server.request("POST", path, json={**body, **wrong})
    assert reply.status == (500 if isinstance(wrong.get("options"), dict) else 400)
    assert reply.json["error"]


def test_null_counts_as_absent_and_unknown_fields_and_options_are_ignored(server: Server) -> None:
    fields = {"system": None, "format": None, "keep_alive": None, "colour": "red"}
    assert server.generate(**fields, options={"num_predict": 1, "colour": "red", "seed": None}).status == 200


def test_thinking_is_refused_by_a_model_that_cannot(server: Server) -> None:
    capabilities = server.request("POST", "/api/show", json={"model": server.model}).json["capabilities"]
    if "thinking" in capabilities:
        pytest.skip("the model can think")
    reply = server.generate(think=True)
    assert reply.status == 400
    assert "does not support thinking" in reply.json["error"]


def test_an_unknown_path_is_404_and_a_wrong_method_405(server: Server) -> None:
    assert server.request("GET", "/api/nothing").status == 404
    assert server.request("GET", "/api/generate").status in (404, 405)
    assert server.request("POST", "/api/tags", body=b"{}").status in (404, 405)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_fields = st.sampled_from(["model", "prompt", "messages", "options", "stream", "raw", "system", "think", "suffix"])


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(path=st.sampled_from(ASKED), body=_json | st.dictionaries(_fields, _json, max_size=4))
def test_no_request_without_the_model_breaks_the_server(server: Server, path: str, body: Any) -> None:
    reply = server.request("POST", path, json=body)
    assert reply.status in (400, 404)
    assert isinstance(reply.json["error"], str)
