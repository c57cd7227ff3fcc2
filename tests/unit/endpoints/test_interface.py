"""The interface of all kinds: plain data in, a ready endpoint out, kinds of the user's own, and little to import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.endpoints import EndpointSpec, ReadyEndpoint, open_endpoint
from ai_dev_tools.benchmark.errors import ConfigurationError

OWN_KIND = """
from ai_dev_tools.benchmark.endpoints import ReadyEndpoint, endpoint_kind

@endpoint_kind("lab_cluster")
def open_lab_cluster(spec):
    yield ReadyEndpoint(f"http://lab-{spec.instance}:11434", "lab_cluster", "1.2.3", spec.model, None)
"""


@given(
    kind=st.sampled_from(["embedded", "external", "http://localhost:11434"]),
    port=st.integers(0, 65535),
    replicas=st.lists(st.text(), max_size=3).map(tuple),
    environment=st.dictionaries(st.text(), st.text(), max_size=3),
)
def test_a_spec_survives_json(kind: str, port: int, replicas: tuple[str, ...], environment: dict[str, str]) -> None:
    spec = EndpointSpec(kind=kind, port=port, replicas=replicas, environment=environment)
    assert EndpointSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'prot'"):
        EndpointSpec.from_dict({"prot": 5})


@pytest.mark.parametrize(
    ("spec", "url"),
    [
        (EndpointSpec(host="localhost", port=11435), "http://localhost:11435"),
        (EndpointSpec(host="::1", port=11435), "http://[::1]:11435"),
        (EndpointSpec(kind="https://models.example/ollama/"), "https://models.example/ollama"),
    ],
)
def test_where_an_instance_is_expected(spec: EndpointSpec, url: str) -> None:
    assert spec.base_url == url


def test_an_unknown_kind_lists_the_known_ones() -> None:
    with (
        pytest.raises(ConfigurationError, match="auto, container, embedded, external"),
        open_endpoint(EndpointSpec(kind="x")),
    ):
        pass


def test_a_file_of_the_users_registers_a_kind(tmp_path: Path) -> None:
    file = tmp_path / "kinds.py"
    file.write_text(OWN_KIND)
    spec = EndpointSpec(kind="lab_cluster", kind_file=str(file), instance="big")
    with open_endpoint(spec) as endpoint:
        assert endpoint.base_url == "http://lab-big:11434"
        assert endpoint.replicas == ("http://lab-big:11434",)


@pytest.mark.parametrize(
    ("text", "message"), [(None, "does not exist"), ("1/0", "ZeroDivisionError"), ("(", "SyntaxError")]
)
def test_a_users_file_that_does_not_import_is_one_line(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "kinds.py"
    if text is not None:
        file.write_text(text)
    with (
        pytest.raises(ConfigurationError, match=message) as caught,
        open_endpoint(EndpointSpec(kind="y", kind_file=str(file))),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_a_server_that_a_run_starts_may_be_asked_in_another_api_and_still_says_what_it_is_in_its_own(
    tmp_path: Path,
) -> None:
    kinds = tmp_path / "kinds.py"
    kinds.write_text(OWN_KIND.replace("lab_cluster", "lab_openai"))
    spec = EndpointSpec(kind="lab_openai", kind_file=str(kinds), api="openai")
    with open_endpoint(spec) as endpoint:
        assert (endpoint.api, endpoint.told_by) == ("openai", "ollama")


def test_a_server_of_somebody_elses_is_not_restarted() -> None:
    endpoint = ReadyEndpoint("http://localhost:1", "external", "1", "m", None)
    assert not endpoint.can_restart
    with pytest.raises(ConfigurationError):
        endpoint.restart()


def test_a_token_is_not_shown() -> None:
    endpoint = ReadyEndpoint("http://x", "external", "1", "m", None, headers={"Authorization": "Bearer secret"})
    assert "secret" not in repr(endpoint)


def test_importing_the_package_loads_no_server() -> None:
    code = "import sys, ai_dev_tools.benchmark.endpoints; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "aiohttp",
        "xllamacpp",
        "pydantic",
        "jinja2",
        "requests",
        "python_on_whales",
        "jsonschema",
        "pandas",
        "asyncio",
    }
    assert heavy & set(loaded) == set()
