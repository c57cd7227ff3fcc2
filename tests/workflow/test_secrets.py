"""A secret is sent to the server it is for, and stands nowhere afterwards: not in a file, not in an archive, not on a screen."""

from __future__ import annotations

import base64
import json
import os
from typing import Any
from urllib.parse import quote

import pytest

from ai_dev_tools.benchmark._util.credentials import without_passwords
from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.config.sources import merge
from ai_dev_tools.benchmark.endpoints import EndpointSpec, open_endpoint
from ai_dev_tools.benchmark.endpoints.external import authorization, host_url
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationErrors
from ai_dev_tools.cli.benchmark_cli import main
from ai_dev_tools.cli.validate import setting_rows
from fakes.ollama import FakeOllama
from support.secrets import traces
from support.workflow_project import Project

MODEL = "llama3.2:1b"
TOKEN = "s3cr/et+Marker=0815"
PAIR = base64.b64encode(f"me:{TOKEN}".encode()).decode()
TRACES = (b"Marker", quote(TOKEN, safe="").encode(), base64.b64encode(TOKEN.encode()), PAIR.encode()[:16])
"""What must be found nowhere: the secret in any form that a server might hand back."""


class EchoingOllama(FakeOllama):
    """Hands the secret back wherever it can: in what it is, in what it has, in answers, in errors."""

    def reply(self, method: str, path: str, body: bytes) -> tuple[int, list[dict[str, Any]], float]:
        status, objects, wait_s = super().reply(method, path, body)
        said = f"you sent {TOKEN} {quote(TOKEN, safe='')} {PAIR} {json.dumps(TOKEN)}"
        if path == "/api/chat" and self.counts[path] % 4 == 0:
            return 500, [{"error": f"the model refuses {said}"}], wait_s
        if path == "/api/chat" and self.counts[path] % 4 == 1 and len(objects) > 1:
            spelt = [objects[0] | {"message": {"role": "assistant", "content": letter}} for letter in TOKEN]
            return status, [*spelt, *objects[:-1], objects[-1] | {"done_reason": said}], wait_s
        if path == "/api/tags":
            objects[0]["models"][0]["digest"] = TOKEN
        return status, [item | {"version": said, "template": said, "parameters": TOKEN} for item in objects], wait_s


@pytest.mark.usefixtures("four_cases")
@pytest.mark.parametrize(
    ("secret", "target"),
    [(TOKEN, "run"), pytest.param(f"Basic {PAIR}", "archive", marks=pytest.mark.slow)],
    ids=["bearer", "basic"],
)
def test_a_token_that_a_server_echoes_is_nowhere_afterwards(
    project: Project, monkeypatch: pytest.MonkeyPatch, secret: str, target: str
) -> None:
    monkeypatch.setenv("LAB_TOKEN", secret)
    settings = {
        "profile": "light",
        "samples": 4,
        "approaches": "baseline,no_context",
        "server": "{token_env: LAB_TOKEN}",
    }
    with EchoingOllama(models=[MODEL]) as fake:
        printed = project.run("--cores", "1", target, endpoint=fake.url, **settings)
    samples = list(project.sample_files("light").values())
    assert {sample["status"] for sample in samples} == {"completed", "failed"}
    assert "(hidden)" in json.dumps(samples)
    assert len(list(project.folder.glob("results/light/archive/*.zip"))) == (target == "archive")
    assert traces(project.folder, TRACES) == []
    assert not [trace for trace in TRACES if trace.decode() in printed]


# --- addresses that hold a secret ------------------------------------------------------------------------------------

ADDRESSES = [
    "http://me:hush-Marker@models.example:11434",
    "https://hush-Marker@models.example",
    "http://me:hush/Marker@models.example",
    "HTTP://me:hush-Marker@models.example",
    "me:hush-Marker@models.example",
    "http://models.example/?key=hush-Marker",
]


PROXY = "http://me:Marker@proxy.example:3128"


def settings_with(address: str, place: str) -> dict[str, Any]:
    instance: dict[str, Any] = {"model": MODEL}
    profile: dict[str, Any] = {"instances": {"small": instance}}
    match place:
        case "endpoint":
            return {"profile": "p", "profiles": {"p": profile}, "endpoint": address}
        case "profile":
            profile["endpoint"] = address
        case "replicas":
            instance["replicas"] = ["http://other.example", address]
        case "replicas as a text":
            instance["replicas"] = address
        case "host":
            instance["host"] = address
    return {"profile": "p", "profiles": {"p": profile}}


@pytest.mark.parametrize("place", ["endpoint", "profile", "replicas", "replicas as a text", "host"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_with_a_secret_is_refused_in_one_line_wherever_it_stands(address: str, place: str) -> None:
    with pytest.raises(ConfigurationErrors) as caught:
        load_config(settings_with(address, place))
    [line] = caught.value.lines
    assert "server.token_env" in line
    assert "Marker" not in line


@pytest.mark.parametrize(
    "settings",
    [{"endpoint": [ADDRESSES[0]]}, {"samples": ADDRESSES[0]}, {"profiles": {"light": ADDRESSES[0]}}],
    ids=str,
)
def test_a_setting_of_the_wrong_type_is_shown_without_the_secret_in_it(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationErrors) as caught:
        load_config({"profiles": {}} | settings)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_endpoint_is_opened_at_such_an_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", address)
    for spec in (
        EndpointSpec(kind=address),
        EndpointSpec(kind="external", model=MODEL),
        EndpointSpec(kind="http://127.0.0.1:9", replicas=(address,)),
        EndpointSpec(kind="process", host=address),
        EndpointSpec(kind="auto", host="127.0.0.1", port=9),
    ):
        with pytest.raises(BenchmarkError) as caught, open_endpoint(spec):
            pass
        assert "Marker" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_ollama_host_with_a_secret_is_refused_and_not_shown() -> None:
    with pytest.raises(BenchmarkError, match=r"OLLAMA_HOST: it holds a user name or password") as caught:
        host_url("me:hush@models.example")
    assert "hush" not in str(caught.value)


def test_a_run_at_such_an_address_prints_and_writes_none_of_it(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    done = project.snakemake("--cores", "1", "run", profile="light", endpoint=ADDRESSES[0])
    assert done.returncode != 0
    assert "holds a user name or password" in done.stdout
    assert "Traceback" not in done.stdout
    assert "hush" not in done.stdout
    assert traces(project.folder, TRACES) == []
    for command in (["validate"], ["plan"], ["run", "--profile", "light"]):
        assert main([*command, "--endpoint", ADDRESSES[0], "--root", str(project.folder)]) != 0
        said = "".join(capfd.readouterr())
        assert "server.token_env" in said
        assert "hush" not in said
    assert traces(project.folder, TRACES) == []


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_table_of_settings_shows_none_of_it(address: str) -> None:
    for place in ("endpoint", "profile", "replicas", "host"):
        settings = settings_with(address, place) | {"server": {"environment": {"API_KEY": TOKEN, "HTTPS_PROXY": PROXY}}}
        rows = setting_rows(merge(settings, {}, {}))
        assert "Marker" not in json.dumps(rows)
        assert "http://proxy.example:3128" in json.dumps(rows)


@pytest.mark.parametrize("value", ["tok\nen-Marker", "tökén-Marker", "tok\x00en-Marker"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "\x00" in value:
        monkeypatch.setattr(os, "environ", {**os.environ, "LAB_TOKEN": value})
    else:
        monkeypatch.setenv("LAB_TOKEN", value)
    with pytest.raises(BenchmarkError, match="LAB_TOKEN contains characters that a header cannot carry") as caught:
        authorization(EndpointSpec(token_env="LAB_TOKEN"))
    assert "Marker" not in str(caught.value)


def test_the_line_end_of_a_file_is_not_part_of_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TOKEN", " token\n")
    assert authorization(EndpointSpec(token_env="LAB_TOKEN")) == {"Authorization": "Bearer token"}


@pytest.mark.parametrize("address", [*ADDRESSES[:4], "https://me:a@b@models.example/x"])
def test_passwords_are_taken_out_of_texts_that_are_kept(address: str) -> None:
    text = without_passwords(json.dumps({"a": address, "image": "ollama:1@sha256:0"}))
    assert "hush" not in text
    assert "me:" not in text
    assert json.loads(text)["image"] == "ollama:1@sha256:0"
