"""What a finished run says at its end: words for people in a terminal, JSON in a pipe."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.reporting import usual_format
from ai_dev_tools.benchmark.reporting.build import SCHEMA_VERSION
from ai_dev_tools.benchmark.reporting.formats import console, structured
from support.report_runs import Run, in_short, make_run, report_of


def ends(folder: Path, *, terminal: bool) -> str:
    """What a finished run says at its end, on a real terminal or into a pipe."""
    code = (
        "import sys; from pathlib import Path; from ai_dev_tools.cli.command_request import show\n"
        "show(Path(sys.argv[1]), 'light', None, '', False)"
    )
    if not terminal:
        done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
        return done.stdout
    ours, theirs = os.openpty()
    process = subprocess.Popen([sys.executable, "-c", code, folder], stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # Linux ends a terminal's output so
        while piece := os.read(ours, 65536):
            said += piece
    os.close(ours)
    assert process.wait() == 0
    return said.decode().replace("\r\n", "\n")


def test_the_last_words_are_for_people_in_a_terminal_and_json_in_a_pipe(tmp_path: Path) -> None:
    run = make_run(tmp_path / "results" / "light", tasks=("repo_analysis",), samples=3)
    report = report_of(run)
    (run.folder / "report").mkdir()
    content = structured.render(report, SCHEMA_VERSION)
    (run.folder / "report" / "report.json").write_text(json.dumps(content))
    short = in_short(report)
    words = ends(tmp_path, terminal=True)
    assert " ".join(short.text.split()) in " ".join(words.split())
    for verdict in report.verdicts:
        assert f"{verdict.word}  {verdict.claim} on {verdict.model}" in words
        assert verdict.reasons in " ".join(words.split())
    assert f"Next: {short.advice}\n   {short.command}\n" in words
    assert len(words.splitlines()) < 50
    assert json.loads(ends(tmp_path, terminal=False))["in_short"]["command"] == short.command


def test_a_long_command_stays_one_line_that_can_be_copied(tmp_path: Path) -> None:
    run = make_run(tmp_path, tasks=("repo_analysis",), samples=3)
    given = {"tasks": [f"task_{number}" for number in range(40)], "plan": {"alpha": 0.01}, "samples": 3}
    content = structured.render(report_of(Run(run.folder, replace(run.about, given=given))), SCHEMA_VERSION)
    command = content["in_short"]["command"]
    assert len(command) > 300
    assert command in console.as_text(console.summary(content))
    assert "'plan={\"alpha\": 0.01}'" in command
    assert shlex.split(command)[:4] == ["snakemake", "--cores", "all", "--config"]


@pytest.mark.parametrize(("stream", "wanted"), [("terminal", "console"), ("pipe", "json")])
def test_the_usual_format_follows_where_it_goes(stream: str, wanted: str) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return stream == "terminal"

    assert usual_format(Stream()) == wanted
