"""Tables, packed runs and old results of strangers: limits that hold, one line each, and nothing half-made left behind."""

from __future__ import annotations

import bz2
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_dev_tools.benchmark.comparison.run import IDENTIFYING, open_run
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.benchmark.legacy.old_results import MOST_SAMPLES, import_results
from ai_dev_tools.benchmark.records.table_files import read_table
from ai_dev_tools.cli.benchmark_cli import main

COMMAS = b"," * (20 << 20)
ROW = {"profile": "p", "model": "m", "task": "t", "case": "c", "cluster": "c", "approach": "tools", "repeat": 0,
       "status": "completed", "score": 1.0, "input_tokens": 10, "output_tokens": 10, "done_reason": "stop"}  # fmt: skip


def _zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


HEADERS = {
    "of commas alone": COMMAS,
    "after empty lines": b"\n \n\r\n" + COMMAS,
    "after a byte order mark": b"\xef\xbb\xbf" + COMMAS,
    "with a line end in quotes": b'"a\n"' + COMMAS,
    "with lone carriage returns": b"a\r" + COMMAS,
}


@pytest.mark.parametrize("what", HEADERS)
def test_a_header_that_does_not_end_is_refused(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _zip(tmp_path / "run.zip", {"tables/samples.csv": HEADERS[what]})
    assert main(["gate", "--run", str(path), "--baseline", str(path)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "samples.csv is not a table that can be read (its header" in line


def test_more_rows_than_any_run_has_are_refused_unread() -> None:
    with pytest.raises(ValueError, match="more than 5000000 rows"):
        read_table(b"a,b\n" + b"\n" * 10_000_001, "samples.csv")


def _parquet(table: pd.DataFrame, **options: Any) -> bytes:
    made = io.BytesIO()
    table.to_parquet(made, **options)
    return made.getvalue()


def test_a_column_that_pandas_took_for_an_index_is_a_column_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "samples.parquet"
    path.write_bytes(_parquet(pd.DataFrame([ROW]).set_index("model")))
    assert "model" in open_run(path).samples.columns
    main(["gate", "--run", str(path), "--baseline", str(path)])
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("column", IDENTIFYING)
@pytest.mark.parametrize("value", [[1.0], {"a": 1}, b"\xff", 2**64 - 1, None, float("inf"), pd.Timestamp(0)], ids=repr)
def test_a_cell_of_any_kind_never_reads_as_got_worse(
    column: str, value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 says that something got worse; a table that cannot be judged is another thing."""
    rows = [ROW | {"case": f"c{number}", "cluster": f"c{number}", column: value} for number in range(3)]
    path = tmp_path / "samples.parquet"
    path.write_bytes(_parquet(pd.DataFrame(rows)))
    assert main(["gate", "--run", str(path), "--baseline", str(path)]) != 1
    assert len(capsys.readouterr().err.splitlines()) <= 1


def test_what_the_judge_stumbles_over_is_a_wrong_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "samples.parquet"
    path.write_bytes(_parquet(pd.DataFrame([ROW])))
    monkeypatch.setattr("ai_dev_tools.benchmark.comparison.gate.pair_up", {}.__getitem__)
    assert main(["gate", "--run", str(path), "--baseline", str(path)]) == 2
    assert "cannot be judged" in capsys.readouterr().err


def test_a_compressed_tar_that_unpacks_to_far_more_is_refused_before_its_members_are_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "run.tar.bz2"
    path.write_bytes(b"".join(bz2.compress(bytes(64 << 20)) for _ in range(6)))
    with pytest.raises(BenchmarkError, match=r"would unpack to more than|neither"):
        open_run(path)


def test_a_tar_bomb_with_a_true_start_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        info = tarfile.TarInfo("zeros")
        info.size = 300 << 20
        packed.addfile(info, io.BytesIO(bytes(300 << 20)))
    with pytest.raises(BenchmarkError, match="would unpack to more than"):
        open_run(path)


def test_members_that_are_large_together_are_refused(tmp_path: Path) -> None:
    large = b'{"sessions": [' + b" " * (30 << 20) + b"]}"
    members = {f"identity/m/{number}.json": large for number in range(10)}
    path = _zip(
        tmp_path / "run.zip", {"tables/samples.csv": pd.DataFrame([ROW]).to_csv(index=False).encode()} | members
    )
    with pytest.raises(BenchmarkError, match="what was read before are larger than"):
        open_run(path)


def _old(path: Path, rows: list[dict[str, Any]], **info: Any) -> Path:
    groups = [{"task_name": "t", "model": "m", "approach": "tools", "results": rows}]
    path.write_text(json.dumps({"benchmark_info": {"profile": "light"} | info, "task_results": groups}))
    return path


CLAIMS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "a sample size": ([{"success": True}], {"sample_size_per_approach": 99_999}),
    "a number of a sample": ([{"success": True, "sample_num": 99_998}], {}),
    "far more failures than answers": ([{"success": True}] * 10, {"sample_size_per_approach": 5_000}),
}


@pytest.mark.parametrize("what", CLAIMS)
def test_an_old_file_that_claims_more_samples_than_it_can_have_writes_nothing(what: str, tmp_path: Path) -> None:
    rows, info = CLAIMS[what]
    with pytest.raises(BenchmarkError, match="claims"):
        import_results(_old(tmp_path / "old.json", rows, **info), tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_the_most_that_are_imported_is_far_beyond_what_that_system_asked() -> None:
    assert MOST_SAMPLES >= 20_000


@settings(max_examples=25)
@given(
    st.dictionaries(
        st.sampled_from(["input_tokens", "output_tokens", "duration", "timestamp", "sample_num"]),
        st.one_of(st.integers(-(2**70), 2**70), st.just(10**400), st.floats(), st.none(), st.text(), st.booleans()),
        min_size=1,
    )
)
def test_no_number_in_an_old_file_is_more_than_a_table_holds(
    tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("old")
    try:
        name, _, _ = import_results(_old(folder / "old.json", [{"success": True} | row]), folder / "results")
    except BenchmarkError:
        assert not list((folder / "results").glob("*"))
        return
    table = pd.read_parquet(folder / "results" / name / "tables" / "samples.parquet")
    assert (pd.to_numeric(table["total_tokens"]).fillna(0) <= 2**54).all()


def test_an_import_that_fails_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ai_dev_tools.benchmark.legacy.old_results._write_tables", fail)
    with pytest.raises(BenchmarkError, match="No space left"):
        import_results(_old(tmp_path / "old.json", [{"success": True}]), tmp_path / "results")
    assert list((tmp_path / "results").iterdir()) == []
