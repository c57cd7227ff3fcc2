"""Starts of a container that fail half way, on a labelled fake of an engine: none is left, and none of others is taken."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.endpoints import EndpointSpec, container, open_endpoint
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError
from ai_dev_tools.benchmark.records.endpoint_spec import IMAGE_DIGESTS
from support.ports import refusing_port

ENGINE = """#!{python}
# LABELLED FAKE of a container engine: knows one image and at most one container, kept in a file; runs nothing.
import json, sys
from pathlib import Path

held = Path({held!r})
match sys.argv[1:3]:
    case ["image", "inspect"]:
        print(json.dumps([{{"Id": "sha256:1", "RepoDigests": ["image@sha256:1"]}}]))
    case ["container", "list"]:
        print("c1" if held.exists() else "")
    case ["container", "inspect"]:
        print(json.dumps([{{"Id": "c1", "Config": {{"Labels": json.loads(held.read_text())}}}}]))
    case ["container", "rm"]:
        held.unlink()
    case ["container", "run"]:
        labels = [after for word, after in zip(sys.argv, sys.argv[1:]) if word == "--label"]
        held.write_text(json.dumps(dict(label.split("=", 1) for label in labels)))
        sys.exit("Error: cannot listen on the TCP port: address already in use")
"""


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the fake keeps its container."""
    file, program = tmp_path / "container.json", tmp_path / "podman"
    program.write_text(ENGINE.format(python=sys.executable, held=str(file)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(container.ENGINE_VARIABLE, raising=False)
    container.find_engine.cache_clear()
    yield file
    container.find_engine.cache_clear()


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EndpointSpec]:
    monkeypatch.chdir(tmp_path)
    with refusing_port() as port:
        yield EndpointSpec(kind="container", image="image", port=port, instance="test")


def failure(spec: EndpointSpec) -> BenchmarkError:
    with pytest.raises(ConfigurationError) as caught, open_endpoint(spec):
        pass
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_container_that_was_made_but_could_not_be_started_is_removed(held: Path, spec: EndpointSpec) -> None:
    assert "address already in use" in str(failure(spec))
    assert not held.exists()


def test_a_container_that_another_run_made_meanwhile_is_left_alone(held: Path, spec: EndpointSpec) -> None:
    engine = held.with_name("podman")
    text = engine.read_text().replace("labels = [", 'labels = ["ai-dev-tools.owner=1@1"] or [')
    engine.write_text(text)
    failure(spec)
    assert json.loads(held.read_text()) == {"ai-dev-tools.owner": "1@1"}


def test_a_damaged_list_of_digests_is_one_line(held: Path, spec: EndpointSpec) -> None:
    Path(IMAGE_DIGESTS).parent.mkdir()
    Path(IMAGE_DIGESTS).write_text("[")
    assert "is damaged. Delete it" in str(failure(spec))
    assert not held.exists()
