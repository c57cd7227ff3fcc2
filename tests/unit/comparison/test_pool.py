"""Archives from several machines become one comparison; what cannot be pooled is refused or kept apart, and said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from ai_dev_tools.benchmark.comparison.pool import difference, import_archives, read_archive
from ai_dev_tools.benchmark.records.sample import Sample
from ai_dev_tools.cli.benchmark_cli import main
from support.archived import HARDWARE, MODEL, Recorded, record_run
from support.project import make_project

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    with pytest.MonkeyPatch.context() as patch:

        def record(name: str, **settings: object) -> Path:
            recorded: Recorded = record_run(tmp_path_factory.mktemp("run") / "p", patch, **settings)  # type: ignore[arg-type]
            return recorded.archive(f"{name}.crate.zip")

        yield record


@pytest.fixture(scope="module")
def here(make: Make) -> Path:
    return make("here")


def _slower(sample: Sample) -> Sample:
    sample.duration_s = (sample.duration_s or 0) * 2
    return sample


@pytest.fixture(scope="module")
def there(make: Make) -> Path:
    """The same run on a machine that is half as fast."""
    return make("there", hardware=HARDWARE | {"cpu": "Other CPU", "cores": 64}, change=_slower)


def test_runs_are_pooled_with_the_machine_as_a_factor(here: Path, there: Path, tmp_path: Path) -> None:
    [line] = import_archives([here, there], tmp_path / "out").lines
    assert line.endswith("2 runs on 2 machines, 42 samples")
    samples = pd.read_csv(tmp_path / "out" / "samples.csv")
    assert set(samples["machine"]) == {"Test CPU, 2 cores, 8 GiB", "Other CPU, 64 cores, 8 GiB"}
    overview = json.loads((tmp_path / "out" / "overview.json").read_text())
    time = next(row for row in overview["changes_between_the_runs"] if row["comparison"] == "time")
    assert time["value"] == pytest.approx(2.0)
    pooled = next(row for row in overview["effects_over_all_runs"]
                  if (row["approach"], row["comparison"]) == ("tools", "tokens"))  # fmt: skip
    assert pooled["clusters"] == 7, "more runs of the same cases are no more cases"
    assert pooled["value"] < 0.6


def test_archives_with_prices_are_compared_in_money(make: Make, tmp_path: Path) -> None:
    archive = make("priced", prices={MODEL: {"input": 1.0, "output": 4.0}})
    import_archives([archive], tmp_path / "out")
    effects = json.loads((tmp_path / "out" / "overview.json").read_text())["effects_within_each_run"]
    assert next(row["value"] for row in effects if (row["approach"], row["comparison"]) == ("tools", "money")) < 1


def test_another_protocol_is_refused(here: Path) -> None:
    ours = read_archive(here)
    theirs = msgspec.structs.replace(ours.facts, protocols=[2])
    line = difference([ours], type(ours)("theirs", theirs, ours.machine, ours.prompts, ours.samples))
    assert line == "here was asked by protocol 1, theirs by 2: their numbers mean different things"


# ----------------------------------------------------------------------------------------------- from the command line


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


def test_the_command_line_pools_archives_into_a_report(
    here: Path, there: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(here), str(there)]) == 0
    said = capsys.readouterr()
    folder = project / "results" / "comparison" / "here__there"
    assert f"{folder}: 2 runs on 2 machines, 42 samples" in said.out
    assert f"Report: {folder / 'overview.html'}" in said.err
    assert "Other CPU" in (folder / "overview.html").read_text()
    assert main(["import", str(here), str(there)]) == 2
    assert "name another folder with --output" in capsys.readouterr().err
    assert main(["import", str(here), "--output", "one", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["folders"] == ["one"]


def test_the_command_line_refuses_another_protocol_and_other_tasks_or_separates_them(
    here: Path, make: Make, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make("other", question="What colour is it not?")
    with monkeypatch.context() as patch:
        for module in (
            "support.archived",
            "ai_dev_tools.benchmark.records.block",
            "ai_dev_tools.benchmark.planning.experiment",
        ):
            patch.setattr(f"{module}.PROTOCOL", 2)
        later = make("later")
    for file, why in ((other, "asked different prompts in task colours"), (later, "by protocol 1, later by 2")):
        assert main(["import", str(here), str(file), "--output", "out"]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("error: here")
        assert why in line
        assert line.endswith("keep them apart with --separate")
        assert not Path("out").exists()
    assert main(["import", str(here), str(other), str(later), "--separate", "--output", "out"]) == 0
    said = capsys.readouterr().out
    assert said.count("kept apart: ") == 2
    assert "kept apart: here and other asked different prompts" in said
    assert all((Path("out") / f"group_{number}" / "overview.html").exists() for number in (1, 2, 3))


def test_the_command_line_imports_nothing_that_is_damaged(
    here: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cut.crate.zip").write_bytes(here.read_bytes()[:-100])
    assert main(["import", str(here), "cut.crate.zip", "--output", "out"]) == 1
    assert "cut.crate.zip is NOT VALID" in capsys.readouterr().err
    assert main(["import", str(here), str(here), "--output", "out"]) == 2
    assert "here (1) and here (2) are the same run. Name it once" in capsys.readouterr().err
    assert not Path("out").exists()


def test_archives_of_agents_are_pooled_against_the_agent(make: Make, tmp_path: Path) -> None:
    arms = {"approaches": "agent,agent-none", "cases": 3, "samples": 3}
    one, two = (make(name, hardware=HARDWARE | {"cpu": name}, **arms) for name in ("one", "two"))
    import_archives([one, two], tmp_path / "out")
    overview = json.loads((tmp_path / "out" / "overview.json").read_text())
    for table in ("effects_within_each_run", "effects_over_all_runs"):
        assert {(row["approach"], row["reference"]) for row in overview[table]} == {("agent-none", "agent")}
