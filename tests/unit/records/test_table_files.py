"""Tables as files: what a column holds depends on its name, and a text survives whatever it looks like."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.analysis.samples_table import NUMBERS, TEXT, prepare
from ai_dev_tools.benchmark.comparison import write_comparison
from ai_dev_tools.benchmark.comparison.gate import judge_gate
from ai_dev_tools.benchmark.comparison.run import open_run
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.sample import Sample
from ai_dev_tools.benchmark.records.table_files import guarded, kind_of, read_table, unguarded, write_csv
from ai_dev_tools.benchmark.runner.results import BenchmarkResults
from ai_dev_tools.benchmark.workflow.notify import current_verdicts
from support.report_runs import Run, make_run, make_tables

LOOK_LIKE_SOMETHING_ELSE = (
    "NA", "N/A", "null", "None", "nan", "NaN", "007", "1e5", "true", "False", "inf", "-inf", "empty", "1_000", "0x1F",
    "1.0", "2024-01-01", "#N/A", "<NA>",
)  # fmt: skip
FORMULAS = ("=1+1", "+1", "-x", "@SUM(A1)", "\t=1", " =1", "'=1", "''=1", "\uff1d1")
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip("\ufeff") == text)


def renamed(names: dict[str, str], **columns: str) -> Any:
    """A change of samples: names in the given columns are replaced."""
    return lambda sample: msgspec.structs.replace(
        sample, **{name: names.get(getattr(sample, name), getattr(sample, name)) for name in columns}
    )


@given(st.lists(st.tuples(texts, st.floats(), st.booleans()), min_size=1, max_size=8))
@example([(text, 1.5, True) for text in (*LOOK_LIKE_SOMETHING_ELSE, *FORMULAS)])
@example([("a\rb", 0.1, False), ("a\r\nb", 2.0, True), ('"', 3.0, True), ("a,b;c", 4.0, False), ("\0", 5.0, True)])
def test_a_table_comes_back_from_csv_as_it_was_whatever_its_texts_look_like(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float, bool]]
) -> None:
    path = tmp_path_factory.mktemp("table") / "t.csv"
    table = pd.DataFrame(rows, columns=["model", "duration_s", "parsed"])
    write_csv(table, path)
    found = read_table(path)
    assert list(found["model"]) == list(table["model"])
    np.testing.assert_array_equal(found["duration_s"].astype(float), table["duration_s"].astype(float))
    assert list(found["parsed"]) == list(table["parsed"])


@given(texts)
def test_csv_and_parquet_give_the_same_table(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("table")
    table = pd.DataFrame({"case": [text, None], "score": [0.5, None], "seed": [7, 8], "parsed": [True, None]})
    table = table.convert_dtypes()
    write_csv(table, folder / "t.csv")
    table.to_parquet(folder / "t.parquet", index=False)
    pd.testing.assert_frame_equal(read_table(folder / "t.csv"), read_table(folder / "t.parquet"), check_dtype=False)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_of_an_earlier_version_has_todays_names(tmp_path: Path, suffix: str) -> None:
    earlier = pd.DataFrame({"claim": ["a", "b"], "endpoint": ["tokens", "time"], "direction": ["dearer", "cheaper"]})
    earlier.to_csv(tmp_path / "t.csv", index=False)
    earlier.to_parquet(tmp_path / "t.parquet", index=False)
    found = read_table(tmp_path / f"t.{suffix}")
    assert list(found.columns) == ["claim", "outcome", "direction"]
    assert list(found["outcome"]) == ["tokens", "time"]
    assert list(found["direction"]) == ["more_expensive", "cheaper"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_text_is_a_formula_to_a_spreadsheet(tmp_path: Path, text: str) -> None:
    write_csv(pd.DataFrame({"model": [text], "value": [-1.5]}), tmp_path / "t.csv")
    cell, number = (tmp_path / "t.csv").read_text(encoding="utf-8").split("\n")[1].rsplit(",", 1)
    assert cell.strip('"').startswith("'")
    assert number == "-1.5"


@given(st.text())
def test_guarding_a_text_can_be_undone_and_is_never_undone_twice(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert guarded(text) in (text, f"'{text}")


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose tasks, cases and model have names that pandas takes for something else."""
    tasks = {"task0": "NA", "task1": "007"}
    cases = {f"case{number}": name for number, name in enumerate(LOOK_LIKE_SOMETHING_ELSE)}
    change = renamed(tasks | cases | {"m": "null"}, task="", case="", model="", cluster="")
    run = make_run(tmp_path_factory.mktemp("run") / "light", models=("null",), tasks=("NA", "007"), change=change)
    make_tables(run)
    return run


def test_names_that_look_like_something_else_are_in_every_table_and_in_the_report(strange: Run) -> None:
    from support.report_runs import report_of

    results = BenchmarkResults("light", strange.folder, "")
    assert set(results.samples()["task"]) == {"NA", "007"}
    assert {"NA", "007"} <= set(results.comparisons()["task"])
    assert set(results.metrics()["model"]) == {"(all)", "null"}
    report = report_of(strange)
    assert report.benchmark_info["tasks"] == ["NA", "007"]
    assert report.benchmark_info["models"] == ["null"]


def test_the_two_forms_of_a_run_agree_at_the_gate_and_in_a_comparison(strange: Run, tmp_path: Path) -> None:
    tables = strange.folder / "tables"
    text, binary = open_run(tables / "samples.csv"), open_run(tables / "samples.parquet")
    pd.testing.assert_frame_equal(prepare(text.samples), prepare(binary.samples))
    bounds = {"tokens": 1.05, "quality": -0.05, "failures": 0.05}
    found = judge_gate(text, dataclasses.replace(binary, name="before"), bounds)
    assert set(found["verdict"]) <= {"ok", "undecided"}
    assert set(found["pairs"]) == {16}
    write_comparison(text, dataclasses.replace(binary, name="before"), tmp_path, "baseline")
    assert set(read_table(tmp_path / "arms.csv")["model"]) == {"null"}


def test_every_column_of_every_table_is_in_the_schema(tmp_path: Path) -> None:
    arms = ("baseline", "tools", "no_context", "shuffled")
    runs = [make_run(tmp_path / name, profile=name, approaches=arms, change=caching) for name in ("light", "medium")]
    for run in runs:
        make_tables(run)
    write_comparison(*(open_run(run.folder) for run in runs), tmp_path / "compared", "baseline")
    for file in [*tmp_path.glob("*/tables/*.csv"), *tmp_path.glob("compared/*.csv")]:
        plain = pd.read_csv(file)
        for column in plain.columns[plain.notna().any()]:
            kind = "flag" if plain[column].dtype == bool else "number" if plain[column].dtype.kind in "if" else "text"
            assert kind_of(column) == kind, f"{file.name}: {column}"
    assert [name for name in TEXT if kind_of(name) != "text"] == []
    assert [name for name in NUMBERS if kind_of(name) != "number"] == []


def caching(sample: Sample) -> Sample:
    """Some samples are flagged, so that the ledger of checks has rows."""
    return msgspec.structs.replace(sample, prompt_cached_tokens=500 if sample.sample == 1 else 0)


def test_tables_of_other_programs_are_read_by_the_same_schema(strange: Run, tmp_path: Path) -> None:
    samples = read_table(strange.folder / "tables" / "samples.parquet")
    samples["model"] = pd.Categorical([7] * len(samples))
    samples.set_index("model").to_parquet(tmp_path / "foreign.parquet")
    spreadsheet = samples.assign(model="7").to_csv(index=False, na_rep="NA", lineterminator="\r\n")
    (tmp_path / "foreign.csv").write_bytes(b"\xef\xbb\xbf" + spreadsheet.encode())
    for name in ("foreign.parquet", "foreign.csv"):
        found = open_run(tmp_path / name).samples
        assert set(found["model"]) == {"7"}
        assert set(found["task"]) == {"NA", "007"}
        np.testing.assert_array_equal(found["score"].astype(float), samples["score"].astype(float))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"task,score\na,many\n", "many"), (b"," * 100_000 + b"\n", "header"), (b"task\n\xff\n", "utf-8")],
)
def test_a_table_that_cannot_be_read_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ConfigurationError) as error:
        open_run(tmp_path / "t.csv")
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_what_a_webhook_says_is_what_the_verdicts_say(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    verdicts = pd.DataFrame({"claim": ["tokens:tools"], "models": ["@m"], "task": ["(all)"], "verdict": ["saves"]})
    write_csv(verdicts, tmp_path / "tables" / "verdicts.csv")
    assert current_verdicts(tmp_path) == {"tokens:tools on @m": "saves"}
