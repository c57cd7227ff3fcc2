"""A whole run at a server that speaks OpenAI's API, whose key is found nowhere afterwards, and its replay."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from ai_dev_tools.cli.benchmark_cli import main
from fakes.faulty_proxy import Wire
from fakes.openai_api import FakeOpenAI
from fakes.openai_faults import DONE, begun, ended, refuse, sse, stream
from support.secrets import traces
from support.workflow_project import Project

KEY = "sk-proj/Marker+0815=abc"
FORMS = (KEY, quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode(), json.dumps(KEY))
TRACES = (
    b"Marker",
    quote(KEY, safe="").encode(),
    *(base64.b64encode(bytes(before) + KEY.encode())[4:-4] for before in range(3)),
)
"""What must be found nowhere: the key in any form that a server might hand back."""


def in_an_error(wire: Wire) -> None:
    refuse(wire, "400 Bad Request", f"the model refuses {FORMS}", code=KEY)


def in_an_answer(wire: Wire) -> None:
    echo = {"model": f"fake:1b {KEY}", "system_fingerprint": KEY}
    stream(wire, sse(*(begun(letter) for letter in KEY), echo | ended(f"because {KEY}")), DONE)


def in_a_page(wire: Wire) -> None:
    wire.reply("200 OK", f"<html>{FORMS}</html>", kind="text/html")


def in_a_redirect(wire: Wire) -> None:
    wire.reply("307 Temporary Redirect", KEY, f"Location: http://elsewhere.example/{KEY}?key={KEY}")


def in_a_limit(wire: Wire) -> None:
    header = base64.b64encode(f"Authorization: Bearer {KEY}".encode()).decode()
    refuse(wire, "429 Too Many Requests", f"{header} asks too often", f"x-ratelimit-reset-requests: {KEY}", type=KEY)


def with_server(project: Project, url: str) -> None:
    file = project.folder / "config" / "config.yaml"
    data: dict[str, Any] = yaml.safe_load(file.read_text())
    instance = {"model": "fake:1b", "base_url": url, "api": "openai", "key_env": "LAB_KEY", "max_concurrent": 2}
    data["profiles"]["lab"] = {"samples": 4, "instances": {"hosted": instance}}
    file.write_text(yaml.safe_dump(data | {"profile": "lab", "approaches": ["baseline", "no_context"]}))


def said_by_command(project: Project, capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """All that a command prints."""
    assert main([*arguments, "--root", str(project.folder)]) == 0
    said = "".join(capfd.readouterr())
    assert "fake:1b" in said
    return said


@pytest.mark.usefixtures("four_cases")
def test_a_run_its_archive_and_its_replay_hold_nothing_of_the_key(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_KEY", KEY)
    echoes = [in_an_error, in_an_answer, in_a_page, in_a_redirect, in_a_limit]
    with FakeOpenAI(key=KEY) as fake:
        with_server(project, fake.url)
        fake.choose = lambda chat: (
            echoes[len(fake.chats) % 6] if len(fake.chats) % 6 < 5 and chat.attempt == 1 else None
        )
        printed = project.run("--cores", "1", "archive")
        fake.about = {"owned_by": KEY, "meta": {"n_ctx": 8192, "note": KEY}}
        for command in (["plan"], ["plan", "--json"], ["validate"], ["validate", "--json"]):
            printed += said_by_command(project, capfd, *command, "--profile", "lab")
    samples = list(project.sample_files("lab").values())
    assert len(samples) == 8
    assert {sample["request"]["api"] for sample in samples} == {"openai"}
    assert "(hidden)" in json.dumps(samples)
    assert list((project.folder / "results" / "lab" / "archive").glob("*.zip"))
    report = (project.folder / "results" / "lab" / "report" / "report.md").read_text()
    assert "fake:1b" in report
    printed += project.run("--cores", "1", "run", endpoint="replay")
    replayed = list(project.sample_files("lab@replay").values())
    assert [one["response"] for one in replayed] == [one["response"] for one in samples]
    assert traces(project.folder, TRACES) == []
    assert not [trace for trace in TRACES if trace.decode() in printed]
