"""Programs and scripts of the workflow: exit codes, one line on the console, the end of a job that is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.errors import ConfigurationError, ConfigurationErrors
from ai_dev_tools.benchmark.execution.block_job import main
from ai_dev_tools.benchmark.execution.job import RUN_PID, job
from ai_dev_tools.benchmark.prompts import write_prompts
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.sample import read_block
from fakes.ollama import FakeOllama
from support.making import block, prompts

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


def test_what_the_system_says_of_a_file_is_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, job():
        Path("x" * 5000).read_bytes()
    assert caught.value.code == 1
    assert capsys.readouterr().err == f"error: cannot use {'x' * 200}… (4,800 more characters): File name too long\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_is_full_for_a_table_is_a_line_that_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), job():
        Path("/dev/full").write_text("a table")
    assert capsys.readouterr().err == (
        "error: No space left on device. Free disk space and run the same command again: what is finished is kept\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_does_not_hide_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, job("/dev/full"):
        raise ConfigurationError("cannot write 0.json: No space left on device", remedy="Free disk space")
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: cannot write 0.json: No space left on device. Free disk space\n"


def test_a_log_that_cannot_be_written_is_not_what_ends_a_script(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("")
    with job(tmp_path / "logs" / "script.log") as say:
        say("working")
    assert capsys.readouterr().err == "working\n"


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
