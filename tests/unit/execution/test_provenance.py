"""Who answered is recorded per block: server, model as loaded, machine; and what changed is flagged."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.endpoints import ReadyEndpoint, open_endpoint
from ai_dev_tools.benchmark.endpoints.base import EndpointSpec
from ai_dev_tools.benchmark.execution import provenance as identity
from ai_dev_tools.benchmark.execution import run_block
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.sample import Sample
from fakes.ollama import FakeOllama
from support.making import block, prompts

MODEL = "fake:1b"


class Loaded(FakeOllama):
    """A fake that says as what its model is loaded."""

    context_length: int | None = 8192
    in_gpu = 0

    def reply(self, method: str, path: str, body: bytes) -> tuple[int, list[dict[str, Any]], float]:
        status, objects, wait_s = super().reply(method, path, body)
        if path == "/api/ps":
            entry = {"size": 100, "size_vram": self.in_gpu, "context_length": self.context_length}
            objects = [{"models": [model | entry for model in objects[0]["models"]]}]
        return status, objects, wait_s


@pytest.fixture
def fake() -> Iterator[Loaded]:
    with Loaded([MODEL]) as fake:
        yield fake


def a_block(folder: Path, url: str, samples: int = 1) -> Block:
    spec = {"kind": url, "instance": "small", "model": MODEL, "max_concurrent": 1, "startup_timeout_s": 5}
    return block(model=MODEL, results=str(folder), samples=samples, endpoint=spec)


def run(asked: Block) -> tuple[list[Sample], list[str]]:
    said: list[str] = []
    return run_block(asked, prompts(asked), said.append, threading.Event()), said


def recorded(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "identity" / "fake-1b" / "colours.json").read_text())
    return found


def test_a_block_records_server_model_and_machine(tmp_path: Path, fake: Loaded) -> None:
    samples, _ = run(a_block(tmp_path, fake.url))
    about = recorded(tmp_path)
    assert {key: about[key] for key in ("profile", "model", "task")} == {
        "profile": "light",
        "model": MODEL,
        "task": "colours",
    }
    (session,) = about["sessions"]
    assert {sample.session for sample in samples} == {session["session"]}
    assert session["endpoint"]["version"] == "0.0.0-fake"
    assert session["endpoint"]["urls"] == [fake.url]
    assert session["model"]["digest"] == samples[0].model_digest
    assert session["model"]["template"] == "fake"
    assert session["model"]["quantization"] == "fake"
    assert session["model"]["context_length"] == 8192
    assert session["model"]["offload_share"] == 0.0
    assert session["asked"]["options"] == {"temperature": 0.0, "num_ctx": 8192, "num_predict": 512}
    assert session["server_on_this_machine"] is None, "the fake is no Ollama that could be seen"
    assert session["hardware"]["cpu"]
    assert session["hardware"]["cores"] >= 1
    assert session["hardware"]["ram_bytes"] > 10**8
    assert session["hardware"]["os"]
    assert isinstance(session["hardware"]["gpus"], list)


def test_sessions_are_appended_and_a_rerun_without_requests_adds_none(tmp_path: Path, fake: Loaded) -> None:
    run(a_block(tmp_path, fake.url))
    run(a_block(tmp_path, fake.url, samples=2))
    run(a_block(tmp_path, fake.url, samples=2))
    assert len(recorded(tmp_path)["sessions"]) == 2


def test_a_real_server_is_recorded_with_its_settings(embedded_endpoint: ReadyEndpoint, tmp_path: Path) -> None:
    asked = block(results=str(tmp_path), model=embedded_endpoint.model)
    monitor = identity.ModelMonitor(asked, embedded_endpoint, "s", lambda _: None)
    monitor.check()
    (session,) = json.loads((tmp_path / "identity/smollm2-135m/colours.json").read_text())["sessions"]
    assert session["model"]["quantization"]
    assert session["model"]["template"]
    assert session["endpoint"]["settings"]["parallel"] == 1
    assert session["endpoint"]["kind"] == "embedded"


def test_a_smaller_context_than_asked_for_is_flagged_and_said_once(tmp_path: Path, fake: Loaded) -> None:
    fake.context_length = 4096
    samples, said = run(a_block(tmp_path, fake.url))
    assert all("context_cut" in sample.flags for sample in samples)
    assert [line for line in said if "context of 4096 tokens, not 8192" in line and "options.num_ctx" in line]
    assert recorded(tmp_path)["sessions"][0]["flags"] == ["context_cut"]


@pytest.mark.parametrize("length", [8192, 131072, None])
def test_a_context_that_suffices_or_is_not_told_is_no_fault(tmp_path: Path, fake: Loaded, length: int | None) -> None:
    fake.context_length = length
    samples, _ = run(a_block(tmp_path, fake.url))
    assert not any("context_cut" in sample.flags for sample in samples)


def test_another_share_in_gpu_memory_is_flagged_in_the_session_that_has_it(tmp_path: Path, fake: Loaded) -> None:
    fake.in_gpu = 100
    run(a_block(tmp_path, fake.url))
    fake.in_gpu = 60
    samples, said = run(a_block(tmp_path, fake.url, samples=2))
    assert ["offload_changed" in sample.flags for sample in samples] == [False, False, True, True]
    assert any("60 % of fake:1b is in GPU memory, but was 100 %" in line for line in said)


def test_a_model_that_is_loaded_again_in_mid_run_is_looked_at_again(
    tmp_path: Path, fake: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "CHECK_INTERVAL_S", 0.0)
    fake.in_gpu, usual = 100, fake.reply

    def reloading(method: str, path: str, body: bytes) -> tuple[int, list[dict[str, Any]], float]:
        status, objects, wait_s = usual(method, path, body)
        if path == "/api/chat" and len(fake.requests) == 2:
            fake.in_gpu = 0
            objects[-1]["load_duration"] = 600_000_000
            wait_s = 0.7
        return status, objects, wait_s

    monkeypatch.setattr(fake, "reply", reloading)
    samples, _ = run(a_block(tmp_path, fake.url, samples=2))
    assert ["offload_changed" in sample.flags for sample in samples] == [False, True, True, True]


def test_no_secret_is_recorded(tmp_path: Path) -> None:
    settings = {"OLLAMA_API_KEY": "k3y", "PROXY_PASSWORD": "pw", "OLLAMA_NUM_PARALLEL": "1"}
    endpoint = ReadyEndpoint(
        "http://me:pw@127.0.0.1:9",
        "process",
        "1",
        MODEL,
        None,
        details={"settings": settings},
        headers={"Authorization": "Bearer t0k"},
    )
    entry = identity.session_entry(block(), endpoint, "s", [], [])
    text = json.dumps(entry)
    assert "k3y" not in text
    assert "pw" not in text
    assert "t0k" not in text
    assert entry["endpoint"]["settings"]["OLLAMA_NUM_PARALLEL"] == "1"


def test_a_damaged_file_is_begun_again(tmp_path: Path, fake: Loaded) -> None:
    file = tmp_path / "identity" / "fake-1b" / "colours.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    run(a_block(tmp_path, fake.url))
    assert len(recorded(tmp_path)["sessions"]) == 1


def test_a_server_that_does_not_tell_is_recorded_as_unknown(
    tmp_path: Path, fake: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = fake.reply
    monkeypatch.setattr(
        fake, "reply", lambda method, path, body: (404, [{}], 0.0) if path == "/api/ps" else usual(method, path, body)
    )
    run(a_block(tmp_path, fake.url))
    model = recorded(tmp_path)["sessions"][0]["model"]
    assert model["context_length"] is None
    assert model["offload_share"] is None


@pytest.mark.parametrize(
    "said",
    [[1], "x", None, {"models": 5}, {"models": [3]}, {"models": [{"name": MODEL, "size": "x", "size_vram": None}]}],
    ids=str,
)
def test_a_server_that_tells_it_in_another_form_does_not_stop_a_block(
    tmp_path: Path, fake: Loaded, monkeypatch: pytest.MonkeyPatch, said: Any
) -> None:
    usual = fake.reply
    monkeypatch.setattr(
        fake, "reply", lambda method, path, body: (200, [said], 0.0) if path == "/api/ps" else usual(method, path, body)
    )
    samples, _ = run(a_block(tmp_path, fake.url))
    assert {sample.status for sample in samples} == {"completed"}
    assert recorded(tmp_path)["sessions"][0]["model"]["offload_share"] is None


def test_an_endpoint_elsewhere_is_not_taken_for_this_machine() -> None:
    assert not identity.is_here(ReadyEndpoint("http://gpu.example:11434", "external", "1", MODEL, None))


def test_a_server_that_is_seen_is_on_this_machine_and_an_address_alone_does_not_say(
    embedded_endpoint: ReadyEndpoint,
) -> None:
    assert identity.is_here(embedded_endpoint) is True
    with FakeOllama([MODEL]) as fake, open_endpoint(EndpointSpec(kind=fake.url, model=MODEL)) as endpoint:
        assert identity.is_here(endpoint) is None
