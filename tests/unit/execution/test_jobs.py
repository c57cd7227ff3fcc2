"""Programs and scripts of the workflow: exit codes, one line on the console, receipts of corpora, meters, the audit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ai_dev_tools.benchmark.endpoints import EndpointSpec, ReadyEndpoint, endpoint_kind
from ai_dev_tools.benchmark.endpoints.metering import Meter
from ai_dev_tools.benchmark.errors import ConfigurationError, ConfigurationErrors
from ai_dev_tools.benchmark.execution import run_block
from ai_dev_tools.benchmark.execution.block_job import main
from ai_dev_tools.benchmark.execution.job import RUN_PID, job
from ai_dev_tools.benchmark.prompts import write_prompts
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.sample import read_block
from ai_dev_tools.benchmark.tasks import receipts
from ai_dev_tools.benchmark.tasks.audit import audit_task
from ai_dev_tools.benchmark.tasks.corpora import CorpusInvalid, CorpusUnavailable, load_corpora
from fakes.ollama import FakeOllama
from support.making import block, prompts, write_task
from support.repository import ROOT

# --- scripts ------------------------------------------------------------------------------------------------------


def test_a_script_that_fails_says_one_line_on_console_and_in_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "logs" / "script.log"

    def script() -> None:
        with job(str(log)) as say:
            say("working")
            raise ConfigurationError("the file is damaged", remedy="Delete it")

    with pytest.raises(SystemExit) as caught:
        script()
    assert caught.value.code == 1
    assert log.read_text() == "working\nerror: the file is damaged. Delete it\n"
    assert capsys.readouterr().err == log.read_text()


def test_each_of_several_mistakes_has_its_line(tmp_path: Path) -> None:
    log = tmp_path / "script.log"
    with pytest.raises(SystemExit), job(log):
        raise ConfigurationErrors(["'name' is missing", "'size' is missing"])
    assert log.read_text() == "error: 'name' is missing\nerror: 'size' is missing\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_does_not_hide_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, job("/dev/full"):
        raise ConfigurationError("cannot write 0.json: No space left on device", remedy="Free disk space")
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: cannot write 0.json: No space left on device. Free disk space\n"


def test_a_mistake_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), job():
        1 / 0  # noqa: B018


JOB = """
import sys, threading, time
from pathlib import Path
from ai_dev_tools.benchmark.execution.job import job

with job():
    try:
        Path(sys.argv[1]).touch()
        threading.Event().wait(60)
    finally:
        Path(sys.argv[2]).touch()
"""


@pytest.fixture
def a_run() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_job_ends_in_order_when_its_run_is_killed(tmp_path: Path, a_run: subprocess.Popen[bytes]) -> None:
    begun, cleaned = tmp_path / "begun", tmp_path / "cleaned"
    environment = {**os.environ, RUN_PID: str(a_run.pid)}
    with subprocess.Popen([sys.executable, "-c", JOB, str(begun), str(cleaned)], env=environment) as process:
        deadline = time.monotonic() + 30
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        a_run.kill()  # and not waited for: a zombie has ended, too
        assert process.wait(30) == 128 + signal.SIGTERM
    assert cleaned.exists()


def test_a_job_whose_run_is_gone_already_does_not_begin(tmp_path: Path, a_run: subprocess.Popen[bytes]) -> None:
    a_run.kill()
    a_run.wait()
    environment = {**os.environ, RUN_PID: str(a_run.pid)}
    begun, cleaned = tmp_path / "begun", tmp_path / "cleaned"
    done = subprocess.run(
        [sys.executable, "-c", JOB, str(begun), str(cleaned)], env=environment, timeout=30, check=False
    )
    assert done.returncode == 128 + signal.SIGTERM


def test_signals_in_a_row_end_a_job_once(tmp_path: Path) -> None:
    """Ctrl-C reaches every process of the terminal, and Snakemake then sends SIGTERM too, while clean-up is under way."""
    begun, cleaned = tmp_path / "begun", tmp_path / "cleaned"
    program = JOB.replace(
        "with job():", "from ai_dev_tools.benchmark.execution.job import end_in_order\nend_in_order()\nwith job():"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(begun), str(cleaned)]) as process:
        deadline = time.monotonic() + 30
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        for signum in [signal.SIGINT, signal.SIGTERM, signal.SIGHUP] * 20:
            process.send_signal(signum)
        assert process.wait(30) in {128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGHUP}
    assert cleaned.exists()


# --- receipts -----------------------------------------------------------------------------------------------------


def fetching(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    def fetch(*_: Any) -> None:
        if error:
            raise error

    monkeypatch.setattr(receipts, "fetch_corpus", fetch)


def test_a_corpus_that_cannot_be_had_is_a_receipt_and_tried_again_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = next(iter(load_corpora(ROOT / "config" / "corpora.yaml").values()))
    receipt = tmp_path / "corpus.json"
    assert receipts.read_round(receipt) == 0
    fetching(monkeypatch, CorpusUnavailable("the index cannot be reached"))
    assert receipts.fetch_with_receipt(corpus, tmp_path, receipt, 0) == "the index cannot be reached"
    assert receipts.read_round(receipt) == 1
    assert not receipts.read_receipt(receipt)["available"]
    fetching(monkeypatch, None)
    assert receipts.fetch_with_receipt(corpus, tmp_path, receipt, 1) is None
    assert receipts.read_round(receipt) == 1
    assert receipts.read_receipt(receipt)["available"]
    assert receipts.read_receipt(receipt)["license"]


def test_another_archive_than_the_pinned_one_is_never_a_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = next(iter(load_corpora(ROOT / "config" / "corpora.yaml").values()))
    fetching(monkeypatch, CorpusInvalid("sha256 differs"))
    with pytest.raises(CorpusInvalid):
        receipts.fetch_with_receipt(corpus, tmp_path, tmp_path / "corpus.json", 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[]", b'{"round": "x"}', b"\xff"])
def test_a_damaged_receipt_counts_as_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(content)
    assert receipts.read_round(tmp_path / "r.json") == 0


# --- the block job ------------------------------------------------------------------------------------------------


def arguments(folder: Path, url: str, *more: str, **changed: Any) -> list[str]:
    endpoint = block().endpoint.to_dict() | {"kind": url, "max_concurrent": 1}
    wanted: Block = block(results=str(folder / "light"), endpoint=endpoint, **changed)
    write_prompts(folder / "prompts.jsonl", prompts(wanted).values())
    return ["--block", wanted.to_json(), "--prompts", str(folder / "prompts.jsonl"), *more]


def run_job(given: list[str]) -> int:
    """The job in this process, which keeps its own way with signals."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        return main(given)
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_block_job_collects_its_samples(tmp_path: Path) -> None:
    output = tmp_path / "blocks" / "colours.jsonl"
    with FakeOllama(["fake:1b"]) as fake:
        assert run_job(arguments(tmp_path, fake.url, "--output", str(output))) == 0
    assert [(s.approach, s.sample) for s in read_block(output)] == [
        ("baseline", 0),
        ("tools", 0),
        ("tools", 1),
        ("baseline", 1),
        ("tools", 2),
        ("baseline", 2),
    ]
    assert not output.with_suffix(".round").exists()


@pytest.mark.parametrize("part", [[], ["endpoint"]], ids=["of the block", "of its endpoint"])
def test_a_block_with_an_unknown_field_ends_its_job_in_one_line(
    part: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.loads(block().to_json())
    (data[part[0]] if part else data)["prot"] = 5
    assert run_job(["--block", json.dumps(data), "--prompts", str(tmp_path / "prompts.jsonl")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: not a block of requests: Object contains unknown field `prot`")


def test_a_block_job_without_a_server_says_one_line_and_writes_no_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "colours.jsonl"
    assert run_job(arguments(tmp_path, "http://127.0.0.1:9", "--output", str(output))) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert not output.exists()


def test_failures_that_may_pass_let_the_next_run_try_again(tmp_path: Path) -> None:
    output = tmp_path / "colours.jsonl"
    with FakeOllama(["fake:1b"], overload_every=3) as fake:
        assert run_job(arguments(tmp_path, fake.url, "--output", str(output), attempts=1)) == 0
    assert output.with_suffix(".round").read_text() == "1\n"


def test_a_job_that_is_terminated_keeps_what_it_has_and_ends_at_once(tmp_path: Path) -> None:
    with FakeOllama(["fake:1b"], latency_s=0.2) as fake:
        given = arguments(tmp_path, fake.url, "--output", str(tmp_path / "out.jsonl"), samples=50, cases=["one"])
        program = subprocess.Popen(
            [sys.executable, "-m", "ai_dev_tools.benchmark.execution.block_job", *given], stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 90
        while len(list((tmp_path / "light").rglob("*.json"))) < 2:
            assert program.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        program.terminate()
        _, errors = program.communicate(timeout=60)
    assert program.returncode == 128 + signal.SIGTERM
    assert 2 <= len(list((tmp_path / "light").rglob("*.json"))) < 50, "it did not go on to the end"
    assert b"Traceback" not in errors
    assert not (tmp_path / "out.jsonl").exists()
    for path in (tmp_path / "light" / "samples").rglob("*.json"):
        assert json.loads(path.read_text())["status"] == "completed"
    assert not list((tmp_path / "light").rglob("*.tmp"))


def test_a_block_job_imports_nothing_heavy() -> None:
    code = (
        "import sys, ai_dev_tools.benchmark.execution.block_job\n"
        "heavy = {'pandas', 'pydantic', 'snakemake', 'scipy', 'jinja2', 'yaml', 'jsonschema', 'aiohttp'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# --- meters -------------------------------------------------------------------------------------------------------


def wait_for_child(pid: int) -> psutil.Process:
    deadline = time.monotonic() + 60
    while not (children := psutil.Process(pid).children()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return children[0]


def test_a_meter_sees_the_cpu_and_memory_of_a_server_and_its_children() -> None:
    child = "subprocess.Popen([sys.executable, '-c', 'while True: pass'])"
    code = f"import subprocess, sys, time\n{child}\ntime.sleep(60)"
    server = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        child_process = wait_for_child(server.pid)
        meter = Meter(server.pid)
        with meter.measuring() as reading:
            used_before, deadline = child_process.cpu_times().user, time.monotonic() + 60
            while child_process.cpu_times().user < used_before + 0.1 and time.monotonic() < deadline:
                time.sleep(0.05)
        meter.close()
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    assert reading.result.server_cpu_s is not None
    assert reading.result.server_cpu_s >= 0.1
    assert reading.result.server_peak_rss_bytes is not None
    assert reading.result.server_peak_rss_bytes > 2_000_000
    assert reading.result.other_cpu_s is not None
    assert reading.result.other_cpu_s >= 0


RUNNER = "import time\nwhile time.process_time() < {busy_s}: pass\nprint(flush=True)\n{then}"
SERVER = """
import subprocess, sys
print(flush=True)
for line in sys.stdin:
    runner = subprocess.Popen([sys.executable, "-c", line.encode().decode("unicode_escape")], stdout=subprocess.PIPE)
    runner.stdout.readline()
    print(flush=True)
"""
"""Stands for a server whose model runs in a child: each line it reads is the code of another, and is answered when
that one has worked."""


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout
        process.stdout.readline()
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def load(server: subprocess.Popen[str], busy_s: float, then: str = "time.sleep(60)") -> None:
    """Have the server start a runner, and wait until it has worked for so long."""
    assert server.stdin
    assert server.stdout
    server.stdin.write(RUNNER.format(busy_s=busy_s, then=then).encode("unicode_escape").decode() + "\n")
    server.stdin.flush()
    server.stdout.readline()


def test_the_work_of_a_runner_that_was_born_at_the_warm_up_is_no_part_of_the_first_request(
    server: subprocess.Popen[str],
) -> None:
    meter = Meter(server.pid)
    load(server, busy_s=0.5)
    meter.rescan()
    with meter.measuring() as reading:
        pass
    meter.close()
    assert reading.result.server_cpu_s is not None
    assert reading.result.server_cpu_s < 0.25


def test_a_runner_that_a_request_loaded_counts_as_its_work(server: subprocess.Popen[str]) -> None:
    meter = Meter(server.pid)
    with meter.measuring() as reading:
        load(server, busy_s=0.5)
        reading.reloaded = True
    meter.close()
    assert reading.result.server_cpu_s is not None
    assert reading.result.server_cpu_s >= 0.4


def test_a_runner_that_was_overlooked_makes_the_work_unknown_instead_of_wrong(server: subprocess.Popen[str]) -> None:
    meter = Meter(server.pid)
    load(server, busy_s=0.5)
    with meter.measuring() as reading:
        meter.rescan()
    meter.close()
    assert reading.result.server_cpu_s is None
    assert reading.result.other_cpu_s is None


def test_a_block_looks_for_the_runner_after_the_warm_up(
    tmp_path: Path, server: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: the runner is born when the block warms up, and works during the first request too."""
    with FakeOllama(["fake:1b"], latency_s=0.5) as fake:
        usual, born = fake.reply, threading.Event()

        def reply(method: str, path: str, body: bytes) -> tuple[int, list[dict[str, Any]], float]:
            if path == "/api/chat" and not born.is_set():
                born.set()
                load(server, busy_s=0.1, then="while True: pass")
            return usual(method, path, body)

        monkeypatch.setattr(fake, "reply", reply)

        @endpoint_kind("test_with_a_runner")
        def _open(spec: EndpointSpec) -> Iterator[ReadyEndpoint]:
            yield ReadyEndpoint(fake.url, "test_with_a_runner", "1", spec.model, "w", pid=server.pid)

        spec = {"kind": "test_with_a_runner", "instance": "a", "model": "fake:1b", "max_concurrent": 1}
        asked = block(results=str(tmp_path), samples=1, endpoint=spec | {"startup_timeout_s": 5})
        first, *_ = run_block(asked, prompts(asked), lambda line: None, threading.Event())
    assert first.resources.server_cpu_s is not None
    assert first.resources.server_cpu_s > 0


def test_what_a_server_used_that_ended_meanwhile_is_unknown_and_not_zero() -> None:
    code = "import time\nwhile time.process_time() < 0.1: pass\nprint(flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        meter = Meter(server.pid)
        with meter.measuring() as reading:
            server.kill()
            server.wait()
        meter.close()
    assert reading.result.server_cpu_s is None
    assert reading.result.other_cpu_s is None


@pytest.mark.parametrize("pid", [None, 2**22 + 1])
def test_a_server_that_cannot_be_seen_is_unknown_and_not_zero(pid: int | None) -> None:
    meter = Meter(pid)
    with meter.measuring() as reading:
        pass
    meter.close()
    assert reading.result.server_cpu_s is None
    assert reading.result.server_peak_rss_bytes is None


# --- the audit ----------------------------------------------------------------------------------------------------


def test_an_audit_is_a_function_of_the_task_folder(tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    (folder / "audit.py").write_text("def audit(task_dir):\n    return [f'{task_dir.name}: wrong']\n")
    assert audit_task(folder, tmp_path) == ["colours: wrong"]
    (folder / "audit.py").write_text("def audit(task_dir, corpora):\n    return [corpora.name]\n")
    assert audit_task(folder, tmp_path / "corpora") == ["corpora"]


def test_a_task_without_an_audit_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"audit.py does not exist. Give the task"):
        audit_task(write_task(tmp_path), tmp_path)


@pytest.mark.parametrize("task", ["safety_assessment", "pattern_detection", "context_analysis", "systematic_fix"])
def test_the_truth_of_the_written_tasks_is_what_their_audit_finds(task: str) -> None:
    assert audit_task(ROOT / "config" / "tasks" / task, ROOT / "resources" / "corpora") == []
