"""Telling others of a run: signed, tried again, and never in the run's way."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.workflow import notify as webhook
from fakes.ollama import FakeOllama
from support.project import make_project


class Receiver(HTTPServer):
    """Takes events; answers the given statuses first, then 200."""

    def __init__(self, statuses: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses = statuses
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.headers: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook/s3cret-path"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    server = Receiver([])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv(webhook.URL, server.url)
    monkeypatch.setattr(webhook, "BACKOFF_S", 0.001)
    monkeypatch.delenv(webhook.STEP_SUMMARY, raising=False)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run's folder, with one verdict."""
    (tmp_path / "report").mkdir()
    (tmp_path / "tables").mkdir()
    (tmp_path / "report" / "report.json").write_text('{"overall_metrics": {"success_rate": 1.0}}')
    (tmp_path / "report" / "report.md").write_text("# Report\n")
    tell(tmp_path, "inconclusive")
    return tmp_path


def tell(run: Path, verdict: str) -> None:
    rows = f"claim,models,task,verdict\ntokens:tools,m,(all),{verdict}\ntokens:tools,m,some_task,costs\n"
    (run / "tables" / "verdicts.csv").write_text(rows)


def test_success_is_told_with_metrics_and_verdicts(receiver: Receiver, run: Path) -> None:
    webhook.announce(run, "light", succeeded=True)
    (event,) = receiver.events
    assert (event["event"], event["profile"]) == ("run.success", "light")
    assert event["overall_metrics"] == {"success_rate": 1.0}
    assert event["verdicts"] == {"tokens:tools on m": "inconclusive"}


def test_failure_is_told(receiver: Receiver, run: Path) -> None:
    webhook.announce(run, "light", succeeded=False)
    assert [event["event"] for event in receiver.events] == ["run.failure"]


def test_a_changed_verdict_is_reported_once(receiver: Receiver, run: Path) -> None:
    webhook.announce(run, "light", succeeded=True)
    tell(run, "saves")
    webhook.announce(run, "light", succeeded=True)
    webhook.announce(run, "light", succeeded=True)
    assert [event["event"] for event in receiver.events] == [
        "run.success",
        "run.success",
        "verdict.changed",
        "run.success",
    ]
    assert receiver.events[2]["changed"] == {"tokens:tools on m": {"before": "inconclusive", "after": "saves"}}


def test_the_body_is_signed_with_the_secret(receiver: Receiver, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(webhook.SECRET, "topsecret")
    webhook.announce(run, "light", succeeded=True)
    headers, body = receiver.got[0]
    expected = hmac.new(b"topsecret", body, hashlib.sha256).hexdigest()
    assert headers["X-Signature-256"] == f"sha256={expected}"
    assert b"topsecret" not in body


def test_a_receiver_that_is_down_is_tried_again_with_the_same_event(receiver: Receiver, run: Path) -> None:
    receiver.statuses[:] = [503, 500]
    webhook.announce(run, "light", succeeded=True)
    assert len(receiver.got) == 3
    assert len({event["id"] for event in receiver.events}) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 502])
def test_a_receiver_that_is_busy_is_not_waited_for_longer_than_we_like(
    receiver: Receiver, run: Path, status: int
) -> None:
    receiver.statuses[:] = [status] * 9
    receiver.headers = {"Retry-After": "3600"}
    said: list[str] = []
    webhook.announce(run, "light", succeeded=False, log=said.append)
    assert len(receiver.got) == 3
    assert f"HTTP {status}" in said[0]


def test_a_receiver_that_sends_elsewhere_is_not_followed(receiver: Receiver, run: Path) -> None:
    receiver.statuses[:] = [307]
    receiver.headers = {"Location": receiver.url}
    said: list[str] = []
    webhook.announce(run, "light", succeeded=False, log=said.append)
    assert len(receiver.got) == 1
    assert "HTTP 307" in said[0]


def test_a_refusal_is_not_repeated(receiver: Receiver, run: Path) -> None:
    receiver.statuses[:] = [400]
    said: list[str] = []
    webhook.announce(run, "light", succeeded=True, log=said.append)
    assert len(receiver.got) == 1
    assert "HTTP 400" in said[0]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/s3cret", "nonsense://x", "http://[broken"])
def test_nothing_about_telling_can_fail_a_run(run: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv(webhook.URL, url)
    monkeypatch.setattr(webhook, "BACKOFF_S", 0.001)
    said: list[str] = []
    webhook.announce(run, "light", succeeded=True, log=said.append)
    assert said
    assert all("s3cret" not in line for line in said)


def test_damaged_results_do_not_fail_a_run(receiver: Receiver, run: Path) -> None:
    (run / "report" / "report.json").write_text("[")
    (run / "tables" / "verdicts.csv").write_bytes(b"\xff\xfe")
    webhook.announce(run, "light", succeeded=True, log=lambda line: None)


def test_nothing_is_sent_unasked(receiver: Receiver, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(webhook.URL)
    webhook.announce(run, "light", succeeded=True)
    assert receiver.got == []


def test_the_step_summary_gets_the_report(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "summary.md"
    target.write_text("before\n")
    monkeypatch.setenv(webhook.STEP_SUMMARY, str(target))
    webhook.announce(run, "light", succeeded=True)
    assert target.read_text() == "before\n# Report\n"


def test_pictures_that_a_step_summary_cannot_show_are_left_out(run: Path, tmp_path: Path) -> None:
    (run / "report" / "report.md").write_text("**Cost**\n\n![A plot](../figures/cost.svg)\n\nWhat it says.\n")
    webhook.write_step_summary(tmp_path / "summary.md", run / "report" / "report.md")
    assert (tmp_path / "summary.md").read_text() == "**Cost**\n\n\nWhat it says.\n"


def test_a_long_report_is_cut_at_a_line(run: Path, tmp_path: Path) -> None:
    (run / "report" / "report.md").write_text("ä line\n" * 300_000)
    target = tmp_path / "summary.md"
    webhook.write_step_summary(target, run / "report" / "report.md")
    assert target.stat().st_size < 2**20
    assert "cut here" in target.read_text().splitlines()[-1]
    assert set(target.read_text().splitlines()[:-2]) == {"ä line"}


@pytest.mark.slow
def test_only_what_a_run_made_is_told(receiver: Receiver, run: Path, tmp_path: Path) -> None:
    """Listing tasks, or checking settings, in a folder with a finished run is no run."""
    project = make_project(tmp_path / "project", tasks=["safety_assessment"])
    shutil.copytree(run / "report", project / "results" / "light" / "report")
    shutil.copytree(run / "tables", project / "results" / "light" / "tables")
    for target, code in (("list_tasks", 0), ("validate", 1)):
        words = [sys.executable, "-m", "snakemake", "--cores", "1", target]
        settings = ["--config", "profile=light", "endpoint=http://127.0.0.1:1"]
        done = subprocess.run([*words, *settings], cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "the same command continues" not in done.stderr
    assert receiver.events == []
    with FakeOllama(models=["llama3.2:1b"]) as fake:
        settings = ["--config", "profile=light", "samples=1", f"endpoint={fake.url}"]
        words = [sys.executable, "-m", "snakemake", "--cores", "1", "run"]
        done = subprocess.run([*words, *settings], cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert [(event["event"], event["profile"]) for event in receiver.events] == [("run.success", "light")]
