"""Reasons of verdicts: a code with values, one sentence for it, and the sentences of earlier versions."""

from __future__ import annotations

import ast
import inspect
import re
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis import claim_measurements, claim_status, quality, tool_failures, verdicts
from ai_dev_tools.benchmark.analysis.reasons import (
    COLUMNS,
    SENTENCES,
    Code,
    Reason,
    earlier_reasons,
    joined,
    reason,
    reason_rows,
    reasons_by_verdict,
)
from ai_dev_tools.benchmark.records.plan import DeclaredPlan
from ai_dev_tools.benchmark.records.table_files import in_current_format, read_table, write_csv
from support.invented import entry, invent, judged
from support.repository import ROOT

KEY = ("light", "tokens:tools", "m1", "(all)")


def names(sentence: str) -> list[str]:
    """The values that a sentence has room for."""
    return re.findall(r"\{(\w+)\}", sentence)


EVERY = [reason(code, **{name: f"<{name}>" for name in names(said)}) for code, said in SENTENCES.items()]


def test_a_table_of_an_earlier_version_is_read_by_its_sentences() -> None:
    found = earlier_reasons(joined(EVERY))
    assert found == EVERY
    assert [each.values for each in found] == [each.values for each in EVERY]


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_about_one_thing_is_in_the_singular(code: Code) -> None:
    said = reason(code, **dict.fromkeys(names(SENTENCES[code]), "1"))
    things = "cases|clusters|episodes|pairs|samples|tasks"
    assert not re.search(rf"(?<!of )\b1 ({things})\b|none of its 1|\(s\)", said.text)
    (found,) = earlier_reasons(said.text)
    assert (found.code, found.text) == (code, said.text)
    assert found.values.items() <= said.values.items()


def test_sentences_of_an_earlier_version_are_read_in_the_words_of_this_one() -> None:
    for earlier, now in (
        ("30% of pairs are flagged, mostly by the check retried (limit 20%)", "30 % of pairs are flagged, mostly by the check "
         "retried (limit 20 %)"),
        ("the arms' flagged shares differ by 15% (limit 5%)", "the arms' flagged shares differ by 15 % (limit 5 %)"),
        ("1 task(s) with a single cluster are not in it", "1 task with a single cluster is not in it"),
        ("11 task(s) with a single cluster are not in it", "11 tasks with a single cluster are not in it"),
        ("only 1 clusters (fewer than 6): describes these files only", "only 1 cluster (fewer than 6): describes these files only"),
    ):  # fmt: skip
        assert [each.text for each in earlier_reasons(earlier)] == [now]
        assert in_current_format(f'x,"{earlier}",y\n'.encode()) == f'x,"{now}",y\n'.encode()
        assert in_current_format(now.encode()) == now.encode()
    notes = b"1 task(s) with one cluster only are left out,only 11 clusters: describes these files only"
    assert (
        in_current_format(notes)
        == b"1 task with one cluster only is left out,only 11 clusters: describes these files only"
    )


def test_an_unknown_sentence_of_an_earlier_version_stays_as_it_is() -> None:
    known = reason("interim", present=3, planned=24)
    assert earlier_reasons(f"nobody knows this; {known.text}; nor that") == [
        Reason("", "nobody knows this"),
        known,
        Reason("", "nor that"),
    ]
    assert earlier_reasons("") == []


@pytest.mark.parametrize("name", ["coder-0.5b", "others-0.5b"])
def test_every_reason_of_the_published_archives_is_known(name: str) -> None:
    with zipfile.ZipFile(ROOT / "docs" / "results" / f"{name}.crate.zip") as archive:
        (member,) = (each for each in archive.namelist() if each.endswith("recorded/tables/verdicts.csv"))
        table = read_table(archive.read(member), member)
    said = [each for text in table["reasons"].dropna() for each in earlier_reasons(text)]
    assert said
    assert [each.text for each in said if not each.code] == []


def test_a_reason_with_a_semicolon_in_its_values_is_one_reason(tmp_path: Path) -> None:
    """Whatever a setting or a message says, it does not end the reason that quotes it."""
    samples = invent(n=12)
    first = entry(samples)
    later = first | {"plan": "p2", "options": {"stop": "a; b: no spread to judge by"}}
    found = judged(samples, [DeclaredPlan.from_content(plan) for plan in (first, later)], resamples=0)
    write_csv(found.reasons, tmp_path / "reasons.csv")
    said = reasons_by_verdict(read_table(tmp_path / "reasons.csv"))["light", "tokens:tools", "m1", "(all)"]
    (changed,) = [each for each in said if each.code == "not_continued"]
    assert changed.values["changes"] == "options.stop is a; b: no spread to judge by instead of None"
    assert not [each for each in said if not each.code]
    row = found.verdicts[(found.verdicts["claim"] == "tokens:tools") & (found.verdicts["task"] == "(all)")].iloc[0]
    assert row["reasons"] == joined(said)


def test_reasons_survive_their_table(tmp_path: Path) -> None:
    odd = reason("not_continued", plan="p1", changes='=1+1; "x", ü\n{}')
    write_csv(pd.DataFrame(reason_rows(KEY, [odd, *EVERY, odd]), columns=COLUMNS), tmp_path / "reasons.csv")
    found = reasons_by_verdict(read_table(tmp_path / "reasons.csv"))
    assert found == {KEY: [odd, *EVERY]}
    assert [each.values for each in found[KEY]] == [each.values for each in (odd, *EVERY)]


@pytest.mark.parametrize("broken", ["[1]", "{", '{"p": 1}'])
def test_values_that_are_not_texts_by_name_are_refused(broken: str) -> None:
    table = pd.DataFrame([[*KEY, "p_value", "text", broken]], columns=COLUMNS)
    with pytest.raises(ValueError, match="p_value"):
        reasons_by_verdict(table)
    with pytest.raises(ValueError, match="no column values"):
        reasons_by_verdict(table.drop(columns="values"))


def test_every_reason_that_is_given_has_the_values_of_its_sentence() -> None:
    given = set()
    for module in (claim_status, claim_measurements, quality, tool_failures, verdicts):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "reason":
                code, values = node.args[0], [each.arg for each in node.keywords]
                if isinstance(code, ast.Constant) and None not in values:
                    assert sorted(map(str, values)) == sorted(names(SENTENCES[code.value]))  # type: ignore[index]
                    given.add(code.value)
    assert len(given) > 20
