"""Cases as JSONL or CSV, in the task's folder or at a URL: the same cases, and one line for each mistake."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.tasks.case_files import case_texts
from ai_dev_tools.benchmark.tasks.case_lists import listed_cases
from ai_dev_tools.benchmark.tasks.loading import load_task
from support.making import case, write_task

INLINE = case("three", source=None, inline={"pkg/app.py": "x = 3\n"}, truth={"colour": "green"})


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def jsonl(*cases: dict[str, Any]) -> str:
    return "".join(json.dumps(item) + "\n" for item in cases)


def error_of(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_task(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@contextmanager
def served(text: str, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A web server with one text at every path; gives its address and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# --- where cases come from ----------------------------------------------------------------------------------------


def test_cases_of_a_jsonl_file_join_those_of_the_folder(tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    (folder / "cases.jsonl").write_text("\n" + jsonl(INLINE) + "\n")
    task = load_task(folder)
    assert task.case_ids() == ["one", "three", "two"]
    assert case_texts(task, task.case("three"), tmp_path) == {"pkg/app.py": "x = 3\n"}
    assert folder / "cases.jsonl" in task.input_files(), "or a changed list would not be noticed"


def test_a_task_may_have_nothing_but_a_list(tmp_path: Path) -> None:
    folder = write_task(tmp_path, sources={"three/app.py": "x = 3\n"})
    for path in (folder / "cases").iterdir():
        path.unlink()
    (folder / "cases.csv").write_text(
        "id,cluster,size,source,files,vars.thing,truth.colour,established,tool_states_answer\n"
        'three,c,S,three,*.py,"grass, and moss",green,"looked\ntwice",true\n'
        "\n"
        'four,c,S,three,"[""*.py""]",grass,red,looked,\n'
    )
    task = load_task(folder)
    three, four = task.cases
    assert (three.vars, three.truth, three.established) == (
        {"thing": "grass, and moss"},
        {"colour": "green"},
        "looked\ntwice",
    )
    assert (three.files, four.files) == (("*.py",), ("*.py",))
    assert (three.tool_states_answer, four.tool_states_answer) == (True, False)


def test_a_list_elsewhere_in_the_folder(tmp_path: Path) -> None:
    folder = write_task(tmp_path, cases_from={"path": "data/more.jsonl", "sha256": sha256(jsonl(INLINE))})
    (folder / "data").mkdir()
    (folder / "data" / "more.jsonl").write_text(jsonl(INLINE))
    assert load_task(folder).case_ids() == ["one", "three", "two"]
    (folder / "data" / "more.jsonl").write_text(jsonl(INLINE | {"cluster": "other"}))
    assert "task.yaml: 'cases_from.sha256' is " in error_of(folder)


def test_a_list_at_a_url_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = jsonl(INLINE)
    with served(text) as (address, asked):
        folder = write_task(tmp_path, cases_from={"url": f"{address}/list.jsonl", "sha256": sha256(text)})
        for _ in range(2):
            assert load_task(folder).case_ids() == ["one", "three", "two"]
        assert asked == ["/list.jsonl"]
    assert load_task(folder).case("three").truth == {"colour": "green"}, "and needs no network any more"
    assert [path.read_text() for path in (tmp_path / "resources" / "cases").iterdir()] == [text]


def test_a_list_that_changed_at_its_url_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with served(jsonl(INLINE)) as (address, _):
        folder = write_task(tmp_path, cases_from={"url": f"{address}/list.jsonl", "sha256": "0" * 64})
        line = error_of(folder)
        assert "task.yaml: 'cases_from.sha256' is 000" in line
        assert sha256(jsonl(INLINE)) in line, "the checksum found is there to be pinned"
    assert not (tmp_path / "resources").exists()


@pytest.mark.parametrize("gone", [False, True])
def test_a_url_that_cannot_be_read(gone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with served("no", status=404) as (address, _):
        folder = write_task(tmp_path, cases_from={"url": f"{address}/list.csv", "sha256": "0" * 64})
        if not gone:
            assert "list.csv cannot be read (HTTP 404)" in error_of(folder)
    if gone:
        assert "cannot be read (ConnectionError). Check the network" in error_of(folder)


# --- mistakes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_source", "words"),
    [
        ({"url": "http://x/list.jsonl"}, "'sha256' is missing: the content of a URL can change"),
        ({"url": "file:///etc/passwd", "sha256": "0" * 64}, "cases_from: 'url'"),
        ({"url": "http://x/list", "sha256": "0" * 64}, "'format' is missing: jsonl or csv"),
        ({"url": "http://x/l.csv", "path": "l.csv"}, "give exactly one of 'path' and 'url'"),
        ({}, "give exactly one of 'path' and 'url'"),
        ({"pth": "l.csv"}, "unknown setting 'pth', did you mean 'path'?"),
        ({"path": "l.csv", "sha256": "abc"}, "'sha256'"),
        ({"path": "nowhere.csv"}, "'cases_from.path'"),
        ({"path": "../../secret.jsonl"}, "'cases_from.path' ../../secret.jsonl leads out of the task's folder"),
        ({"path": "link.jsonl"}, "'cases_from.path' link.jsonl leads out of the task's folder"),
        ("list.csv", "expected a mapping"),
    ],
    ids=str,
)
def test_a_wrong_place_is_one_line(given_source: Any, words: str, tmp_path: Path) -> None:
    folder = write_task(tmp_path, cases_from=given_source)
    (tmp_path / "outside.jsonl").write_text(jsonl(INLINE))
    (folder / "link.jsonl").symlink_to(tmp_path / "outside.jsonl")
    line = error_of(folder)
    assert line.startswith(f"{folder / 'task.yaml'}: ")
    assert words in line


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["{"], "line 1 is not JSON"),
        (["", "[1]"], "line 2: expected an object"),
        ([jsonl(INLINE).strip(), json.dumps(INLINE | {"size": "M"})], "line 2: 'size' is 'M'"),
        ([json.dumps(INLINE | {"inline": {"a.py": "\ud800"}})], "line 1: holds an invalid number"),
        ([json.dumps(INLINE | {"truth": {"colour": "blue"}})], "line 1: 'truth' violates the task's answer_schema"),
        ([json.dumps(INLINE | {"vars": {}})], "line 1: 'vars' do not fit the question"),
        ([json.dumps(INLINE | {"inline": {"../x": ""}})], "line 1: 'inline'"),
        ([json.dumps(case("three", source="nowhere"))], "line 1: 'source' folder"),
        ([json.dumps(INLINE | {"id": "one"})], "line 1: 'id' is 'one', as in "),
        ([json.dumps(INLINE | {"where": "x", "cluster": ""})], "line 1: unknown setting 'where'"),
    ],
)
def test_a_mistake_in_jsonl_names_its_line_and_field(lines: list[str], words: str, tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    (folder / "cases.jsonl").write_text("\n".join(lines))
    line = error_of(folder)
    assert line.startswith(f"{folder / 'cases.jsonl'} line")
    assert words in line


HEADER = "id,cluster,size,inline.a.py,vars.thing,truth.colour,established"
GOOD = "three,c,S,x = 1,grass,green,looked"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HEADER}\n{GOOD},more\n", "line 2: found 8 cells, but the header has 7"),
        (f"{HEADER}\nthree,c\n", "line 2: found 2 cells, but the header has 7"),
        (f'{HEADER}\nthree,c,S,"x = 1,grass\n', "is not CSV"),
        (f"{HEADER},id\n{GOOD},x\n", "line 1: column 'id' occurs twice"),
        (f"{HEADER},truth\n{GOOD},x\n", "line 1: columns 'truth' and 'truth.colour' exclude each other"),
        (f"{HEADER}\n{GOOD}\n{GOOD.replace('green', 'blue')}\n", "line 3: 'id' is 'three', as in "),
        (f"{HEADER},truth.count\n{GOOD},many\n", "line 2: 'truth.count' is 'many': write it as JSON"),
    ],
)
def test_a_mistake_in_csv_names_its_line(text: str, words: str, tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    (folder / "cases.csv").write_text(text)
    line = error_of(folder)
    assert str(folder / "cases.csv") in line
    assert words in line


AS_EXCEL_SAVES = {
    "a byte order mark and short line ends": f"\ufeff{HEADER}\r\n{GOOD}\r\n",
    "empty trailing columns": f"{HEADER},,\n{GOOD},,\n",
    "empty trailing columns in some rows": f"{HEADER}\n{GOOD},,,\n",
    "empty trailing rows": f"{HEADER}\n{GOOD}\n,,,,,,\n , ,\n\n",
    "empty leading rows": f",,,,,,\n\n{HEADER}\n{GOOD}\n",
    "semicolons": f"{HEADER}\n{GOOD}\n;;;;;;\n".replace(",", ";"),
    "semicolons with their announcement": f"sep=;\r\n{HEADER}\r\n{GOOD}\r\n".replace(",", ";"),
    "tabs": f"{HEADER}\n{GOOD}\n".replace(",", "\t"),
    "quotes": f'"{HEADER}"\n"{GOOD}"\n'.replace(",", '","'),
}


@pytest.mark.parametrize("saved", AS_EXCEL_SAVES.values(), ids=AS_EXCEL_SAVES)
def test_a_list_as_spreadsheets_save_it_is_the_same_list(saved: str, tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    (folder / "cases.csv").write_text(saved, encoding="utf-8", newline="")
    (case,) = (case for case in load_task(folder).cases if case.id == "three")
    assert (case.cluster, case.inline, case.vars, case.truth) == (
        "c",
        {"a.py": "x = 1"},
        {"thing": "grass"},
        {"colour": "green"},
    )


@pytest.mark.parametrize("name", ["true", "NA", "null", "007", "1e5"])
def test_a_case_of_a_csv_list_is_called_what_stands_there(name: str, tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    (folder / "cases.csv").write_text(f"{HEADER}\n{GOOD.replace('three,c', f'{name},{name}')}\n")
    assert (name, name) in {(case.id, case.cluster) for case in load_task(folder).cases}


def test_truth_values_as_spreadsheets_write_them(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("id,truth.sure,truth.name\none,TRUE,TRUE\ntwo,FALSE,b\n")
    rows = [fields for _, fields in listed_cases(tmp_path / "c.csv", "csv", FIELDS)]
    assert [row["truth"] for row in rows] == [{"sure": True, "name": "TRUE"}, {"sure": False, "name": "b"}]


def test_a_list_that_is_no_text(tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    (folder / "cases.csv").write_bytes(b"\xff\xfe")
    assert "cases.csv is not readable as UTF-8 text" in error_of(folder)


# --- properties ---------------------------------------------------------------------------------------------------

text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
truths = st.fixed_dictionaries(
    {},
    optional={
        "words": st.lists(text, max_size=3),
        "count": st.integers(-(10**6), 10**6),
        "sure": st.booleans(),
        "name": text.filter(str.strip),
    },
)
FIELDS = {
    "words": {"type": "array"},
    "count": {"type": "integer"},
    "sure": {"type": "boolean"},
    "name": {"type": "string"},
}


@given(truth=truths, thing=text.filter(lambda value: value.strip() and value.strip()[0] not in "[{"))
def test_csv_and_jsonl_say_the_same(
    truth: dict[str, Any], thing: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if thing.strip() in ("true", "false"):
        return
    folder = tmp_path_factory.getbasetemp()
    fields = {"id": "x", "vars": {"thing": thing}, **({"truth": truth} if truth else {})}
    (folder / "c.jsonl").write_text(jsonl(fields), encoding="utf-8")
    cells = {"id": "x", "vars.thing": thing} | {
        f"truth.{name}": value if isinstance(value, str) else json.dumps(value) for name, value in truth.items()
    }
    out = io.StringIO()
    writer = csv.DictWriter(out, list(cells))
    writer.writeheader()
    writer.writerow(cells)
    (folder / "c.csv").write_text(out.getvalue(), encoding="utf-8", newline="")
    (_, one), (_, other) = (
        *listed_cases(folder / "c.jsonl", "jsonl", FIELDS),
        *listed_cases(folder / "c.csv", "csv", FIELDS),
    )
    assert one == other == fields
