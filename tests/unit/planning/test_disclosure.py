"""`plan` and `validate` say where files of cases go, if not to this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from ai_dev_tools.benchmark._util.addresses import is_this_machine
from ai_dev_tools.cli.benchmark_cli import main
from fakes.openai_api import FakeOpenAI
from support.project import make_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_project(tmp_path / "project", tasks=["safety_assessment"])
    monkeypatch.chdir(folder)
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    monkeypatch.setenv("LAB_KEY", "sk-Marker-0815")
    return folder


def with_server(project: Path, url: str, **more: object) -> None:
    file = project / "config" / "config.yaml"
    data = yaml.safe_load(file.read_text())
    instance = {"model": "fake:1b", "base_url": url, "key_env": "LAB_KEY", **more}
    data["profiles"]["lab"] = {"samples": 3, "sizes": ["S"], "instances": {"hosted": instance}}
    file.write_text(yaml.safe_dump(data))


def said(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    main([command, "--profile", "lab", "--json"])
    return capsys.readouterr().out


def test_a_host_elsewhere_is_named_with_what_it_receives(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_server(project, "https://models.example/v1")
    main(["plan", "--profile", "lab"])
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Where your code goes: ")]
    assert "models.example receives 9 prompts for fake:1b, with the files and questions of 3 cases (safety_" in line
    assert line.endswith("and the key in LAB_KEY")
    [sent] = json.loads(said("plan", capsys))["sent_to"]
    assert (sent["host"], sent["prompts"], sent["cases"], sent["encrypted"]) == ("models.example", 9, 3, True)


def test_validate_warns_where_it_goes_in_plain_text_and_shows_no_key(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_server(project, "http://models.invalid:8000/v1")
    text = said("validate", capsys)
    assert "models.invalid:8000 receives 9 prompts" in text
    assert "not encrypted" in text
    assert "Marker" not in text


def test_a_server_on_this_machine_is_not_elsewhere_and_validate_says_in_which_api_it_is_asked(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeOpenAI(key="sk-Marker-0815") as fake:
        for url, why in (
            (fake.url, "in OpenAI's API (api: openai, as its address ends in /v1)"),
            (fake.url.removesuffix("/v1"), "in OpenAI's API (api: openai, as it does not answer /api/version)"),
        ):
            with_server(project, url)
            text = said("validate", capsys)
            assert f"fake:1b at {url}, {why}" in text
            assert "where your code goes" not in text
        with_server(project, fake.url, model="other:1b")
        text = said("validate", capsys)
    assert "has no model 'other:1b' (it has: fake:1b)" in text
    assert "Give the instance's `model` a name that the server knows" in text


def test_validate_says_how_to_give_a_key(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeOpenAI(key="another") as fake:
        with_server(project, fake.url, api="openai")
        text = said("validate", capsys)
    assert "refuses access (HTTP 401)" in text
    assert "`key_env`" in text
    assert "Marker" not in text
    monkeypatch.delenv("LAB_KEY")
    assert "the environment variable LAB_KEY is not set" in said("validate", capsys)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]", "0.0.0.0", "models.localhost"])
def test_names_of_this_machine(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize("host", ["", "models.example", "localhost.example", "10.0.0.1", "gpu", "2001:db8::1"])
def test_names_of_others(host: str) -> None:
    assert not is_this_machine(host)
