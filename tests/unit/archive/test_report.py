"""What people read of an archive is what its data make: every format of the report, the summary, what repositories show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.archive import verify
from ai_dev_tools.benchmark.archive.container import open_archive
from ai_dev_tools.cli.benchmark_cli import main
from support import drawn_once
from support.archived import BLOCK, PROFILE, forge, record_run

REPORT = "recorded/report/"
FORMATS = ("report.html", "report.md", "report.txt", "report.csv", "report.xml", "report.ipynb")
OTHER_VERSION = {"src/ai_dev_tools/__init__.py": lambda content: content + b"# another version\n"}


def _members(archive: Path) -> list[str]:
    with open_archive(archive) as opened:
        return [name for name in opened.members if name.startswith(("recorded/report/", "recorded/figures/"))]


def test_a_genuine_report_is_made_again_byte_by_byte_and_the_line_says_so(archive: Path) -> None:
    drawn_once.forget()
    result = verify(archive)
    assert result.findings == []
    assert result.unchecked == ()
    assert "every format of the report was made again from the tables, byte by byte" in result.details


def test_a_change_in_any_file_of_the_report_is_found_and_named(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages, Markdown, text, tables, JUnit, badges, figures as SVG, PNG and CSV, the notebook: each by one character."""
    names = [name for name in _members(archive) if not name.endswith("report.json")]
    kinds = {Path(name).suffix for name in names}
    assert kinds == {".html", ".md", ".txt", ".csv", ".xml", ".ipynb", ".svg", ".png"}
    forged = forge(archive, tmp_path / "f.zip", dict.fromkeys(names, lambda content: content.replace(b"e", b"x", 1)))
    monkeypatch.setattr("ai_dev_tools.benchmark.archive.verification.MOST_FINDINGS", 1000)
    assert sorted(names) == sorted(finding.where for finding in verify(forged).findings)


def test_a_page_that_says_something_else_and_a_page_that_was_not_there_are_found(archive: Path, tmp_path: Path) -> None:
    page = b"<!doctype html><title>tools SAVE 99 %</title><script>alert(1)</script>"
    change = {f"{REPORT}report.html": lambda _: page, f"{REPORT}index.html": lambda _: page,
              "recorded/figures/extra.svg": lambda _: b"<svg/>"}  # fmt: skip
    result = verify(forge(archive, tmp_path / "f.zip", change))
    assert {finding.where for finding in result.findings} == set(change)


def _extra_key(content: bytes) -> bytes:
    report = json.loads(content)
    return json.dumps(report | {"claim": "tools SAVE 99 %"}, indent=2, ensure_ascii=False).encode() + b"\n"


def test_an_extra_key_in_the_report_for_machines_is_found(archive: Path, tmp_path: Path) -> None:
    result = verify(forge(archive, tmp_path / "f.zip", {f"{REPORT}report.json": _extra_key}))
    assert [str(finding) for finding in result.findings] == [
        f"{REPORT}report.json: does not follow from the recorded tables"
    ]


def _hidden_cell(content: bytes) -> bytes:
    notebook = json.loads(content)
    notebook["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    return json.dumps(notebook).encode()


def test_a_notebook_with_hidden_contents_is_found(archive: Path, tmp_path: Path) -> None:
    result = verify(forge(archive, tmp_path / "f.zip", {f"{REPORT}report.ipynb": _hidden_cell}))
    assert [finding.where for finding in result.findings] == [f"{REPORT}report.ipynb"]


def test_what_another_version_made_is_named_and_never_called_checked(archive: Path, tmp_path: Path) -> None:
    change = OTHER_VERSION | {f"{REPORT}report.html": lambda _: b"<title>tools SAVE 99 %</title>"}
    result = verify(forge(archive, tmp_path / "f.zip", change))
    assert result.ok
    assert result.unchecked == (f"{REPORT}report.html",)
    assert "the report belongs" not in result.line
    assert f"NOT CHECKED: {REPORT}report.html (made by a program that is not the installed one)" in result.details
    assert "src/ai_dev_tools/__init__.py" in result.program.line


def test_every_member_that_was_not_checked_is_listed_on_request(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{REPORT}{name}" for name in FORMATS]
    forged = forge(archive, tmp_path / "f.zip", OTHER_VERSION | dict.fromkeys(names, lambda content: content + b" "))
    assert main(["verify", str(forged), "--all"]) == 0
    said = capsys.readouterr().out.splitlines()
    short = next(at for at, line in enumerate(said) if line.startswith("  NOT CHECKED: "))  # the first few of them
    assert sorted(line.split(": ")[1] for line in said[short + 1 :]) == sorted(
        name for name in names if "ipynb" not in name
    )


def test_last_digits_of_another_kind_of_machine_are_no_finding_but_not_checked_either(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"cpu": "Another CPU", "os": "Plan9 4", "architecture": "pdp11"}
    recorded = record_run(tmp_path / "p", monkeypatch, hardware=other)
    picture = recorded.run / "figures" / "cost.png"
    picture.write_bytes(picture.read_bytes() + b"x")
    result = verify(recorded.archive())
    assert (result.ok, result.unchecked) == (True, ("recorded/figures/cost.png",))
    assert "made on Plan9 pdp11" in result.details[-1]


def test_numbers_and_verdicts_are_checked_whichever_version_made_the_report(archive: Path, tmp_path: Path) -> None:
    def better(content: bytes) -> bytes:
        report = json.loads(content)
        report["comparison_metrics"]["token_reduction_percent"] = 99.0
        return json.dumps(report).encode()

    result = verify(forge(archive, tmp_path / "f.zip", OTHER_VERSION | {f"{REPORT}report.json": better}))
    assert "comparison metrics" in result.line


def test_what_the_makers_own_template_and_notebook_made_is_not_run_and_not_called_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"notebook": "mine/own.ipynb", "templates": ["mine/summary.md.j2"]}
    (tmp_path / "p" / "mine").mkdir(parents=True)
    for name in ("own.ipynb", "summary.md.j2"):
        (tmp_path / "p" / "mine" / name).write_text("{% for x in range(99999) %}{% for y in range(99999) %}x")
    recorded = record_run(tmp_path / "p", monkeypatch, report=own)
    (recorded.run / "report" / "summary.md").write_text("what the template made\n")
    result = verify(recorded.archive())
    assert result.ok
    assert {f"{REPORT}report.html", f"{REPORT}report.ipynb", f"{REPORT}summary.md"} <= set(result.unchecked)
    assert "config/report/summary.md.j2" in result.line + " ".join(result.details)


def _said(**facts: Any) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(json.loads(content) | facts, indent=1).encode() + b"\n"


LIES: dict[str, dict[str, Any]] = {
    "when it started": {"started_at": "2020-01-01T00:00:00Z"},
    "when it ended": {"ended_at": "2030-01-01T00:00:00Z"},
    "when it was rendered": {"rendered_at": "2030-01-01T00:00:00Z"},
    "on which machine": {"machine": {"Measured on": "a supercomputer"}},
    "on which hardware": {"hardware": [{"cpu": "a supercomputer"}]},
    "with which software": {"software": {"Python": "4"}},
    "which model": {"models": [{"tag": "gpt-9", "digests": [], "instances": [], "endpoints": []}]},
    "who made it": {"author": {"author": "Somebody Famous"}},
    "under which licence": {"license": "MIT"},
    "how requests ended": {"statuses": {"completed": 20, "failed": 1}},
    "by which protocol": {"protocols": [99]},
    "which plans there were": {"plans": ["0"]},
    "which blocks there are": {"blocks": []},
    "which tools were used": {"tools": [{"id": "bandit", "versions": ["9"]}]},
    "how many were superseded": {"superseded": -1},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_summary_that_the_records_contradict_is_found(lie: str, archive: Path, tmp_path: Path) -> None:
    result = verify(forge(archive, tmp_path / "f.zip", {"run.json": _said(**LIES[lie])}), report=False)
    assert any(finding.where in ("run.json", "recorded") for finding in result.findings), result.findings


@pytest.mark.parametrize(
    ("name", "value"), [("models", ["gpt-9"]), ("tasks", {"more": "More"}), ("samples", 99), ("approaches", {})]
)
def test_a_report_is_told_of_its_run_what_the_plan_says(
    name: str, value: object, archive: Path, tmp_path: Path
) -> None:
    member = f"results/{PROFILE}/about.json"
    result = verify(forge(archive, tmp_path / "f.zip", {member: _said(**{name: value})}), report=False)
    assert f"its {name} is not what plan" in str(result.findings)


@pytest.mark.parametrize("member", ["README.md", ".zenodo.json", "ro-crate-metadata.json"])
def test_what_people_and_repositories_read_first_is_made_again(member: str, archive: Path, tmp_path: Path) -> None:
    change = {member: lambda content: content.replace(b"light", b"heavy", 1)}
    result = verify(forge(archive, tmp_path / "f.zip", change), report=False)
    assert member in [finding.where for finding in result.findings]


UNKNOWN = ("sitecustomize.py", ".envrc", ".git/config", "Makefile", "profiles/slurm/config.yaml", "src/yaml.py",
           "profiles/default/config.v9+.yaml", "workflow/profiles/default/config.yaml", "src/ai_dev_tools/_x.so",
           "src/ai_dev_tools.pth", "src/ai_dev_tools/__pycache__/a.cpython-311.pyc", "results/other/plans.jsonl",
           "notebooks/other.ipynb", "config/tasks/colours/.envrc", "conftest.py", "recorded/x.csv")  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_member_that_no_archive_has_is_refused(name: str, archive: Path, tmp_path: Path) -> None:
    result = verify(forge(archive, tmp_path / "f.zip", {name: lambda _: b"x\n"}), report=False)
    assert f"{name}: is refused" in str(result.findings[0])


def test_a_run_whose_answers_are_not_all_of_one_kind_is_made_again_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of another run in the same folder are in no archive, and say nothing in its report."""
    recorded = record_run(tmp_path / "p", monkeypatch)
    other = recorded.root / BLOCK.replace("colours", "other")
    other.write_bytes((recorded.root / BLOCK).read_bytes().replace(b'"completed"', b'"failed"'))
    assert verify(recorded.archive()).findings == []
