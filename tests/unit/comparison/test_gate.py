"""The regression gate: it fails for what got worse beyond its bound and beyond chance, and for nothing else."""

from __future__ import annotations

import tarfile
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ai_dev_tools.benchmark._util.text import percent
from ai_dev_tools.benchmark.comparison.gate import judge_gate, junit, parse_metrics
from ai_dev_tools.benchmark.comparison.run import StoredRun, open_run
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.cli.benchmark_cli import main
from support.project import make_project

CLUSTERS = 24


def run(
    name: str,
    *,
    tokens: float = 1.0,
    time: float = 1.0,
    machine: float = 1.0,
    quality: float = 0.0,
    failed: int = 0,
    spread: float = 0.05,
    seed: int = 0,
    clusters: int = CLUSTERS,
) -> StoredRun:
    """A run with one case per cluster; keyword arguments scale or shift its tools arm, `machine` slows both arms."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for case in range(clusters):
        base = 1000 + 50 * case
        for arm, share in (("baseline", 1.0), ("tools", 0.4)):
            mine = arm == "tools"
            noise = float(np.exp(random.normal(0, spread)))
            seconds = base / 500 * share * machine * (time if mine else 1) * float(np.exp(random.normal(0, spread)))
            score = float(np.clip(0.6 + random.normal(0, spread) + (quality if mine else 0), 0, 1))
            status = "failed" if mine and case < failed else "completed"
            rows.append(
                {
                    "profile": "p", "instance": "i", "model": "m", "task": "t", "case": f"c{case}",
                    "cluster": f"k{case}", "size": "S", "approach": arm, "sample": case, "repeat": 0,
                    "order": len(rows),
                    "session": "s",
                    "status": status, "error_class": "connection" if status == "failed" else None, "parsed": True,
                    "score": score,
                    "input_tokens": base * share * (tokens if mine else 1) * noise, "output_tokens": 10.0,
                    "total_tokens": base * share * (tokens if mine else 1) * noise + 10, "duration_s": seconds,
                    "attempts_s": seconds, "tool_s": 0.0, "attempts": 1, "in_flight": 1, "done_reason": "stop",
                    "started_at": f"2026-01-01T00:{len(rows) // 60:02d}:{len(rows) % 60:02d}Z", "model_digest": "d",
                    "endpoint_version": "1", "protocol": 1, "num_ctx": 8192, "prompt_cached_tokens": 0, "load_s": 0.0,
                    "prompt_eval_s": seconds / 2, "eval_s": seconds / 2, "flags": "",
                }
            )  # fmt: skip
    return StoredRun(name, pd.DataFrame(rows))


def verdicts(now: StoredRun, before: StoredRun, *metrics: str, **settings: Any) -> dict[str, str]:
    table = judge_gate(now, before, parse_metrics(metrics), resamples=199, **settings)
    return dict(zip(table["metric"], table["verdict"], strict=True))


def test_the_same_run_again_passes() -> None:
    assert set(verdicts(run("a"), run("a"), "tokens", "time", "quality", "failures").values()) == {"ok"}


def test_noise_alone_passes() -> None:
    assert set(verdicts(run("a", seed=1), run("b", seed=2), "tokens", "time", "quality").values()) == {"ok"}


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        ({"tokens": 1.4}, "tokens"),
        ({"time": 1.6}, "time"),
        ({"quality": -0.3}, "quality"),
        ({"failed": 10}, "failures"),
    ],
)
def test_a_clear_regression_fails_its_metric_alone(change: dict[str, Any], metric: str) -> None:
    found = verdicts(run("a", seed=1, **change), run("b", seed=2), "tokens", "time", "quality", "failures")
    assert found.pop(metric) == "worse"
    assert "worse" not in found.values()


def test_an_improvement_passes() -> None:
    now = run("a", tokens=0.5, time=0.5, quality=0.3, seed=1)
    assert set(verdicts(now, run("b", seed=2), "tokens", "time", "quality").values()) == {"ok"}


def test_a_slower_machine_is_no_regression_of_the_tool() -> None:
    assert verdicts(run("a", machine=3.0, seed=1), run("b", seed=2), "time") == {"time": "ok"}


def test_within_the_bound_passes_and_the_bound_is_the_users() -> None:
    now, before = run("a", tokens=1.1, spread=0.01, seed=1), run("b", spread=0.01, seed=2)
    assert verdicts(now, before, "tokens=1.2") == {"tokens": "ok"}
    assert verdicts(now, before, "tokens=1.02") == {"tokens": "worse"}


def test_the_very_same_change_everywhere_is_found_without_any_spread() -> None:
    """Token counts are deterministic, so a changed tool may move every case by the same factor."""
    before = run("b", spread=0.0)
    now = StoredRun("a", before.samples.copy())
    tools = now.samples["approach"] == "tools"
    now.samples.loc[tools, "total_tokens"] *= 1.5
    assert verdicts(now, before, "tokens") == {"tokens": "worse"}


def test_a_loss_that_a_small_run_could_not_have_found_is_undecided_with_its_power() -> None:
    """Six tasks of three samples and scores that scatter: -0.21 was found in 7 % of runs, and "ok" in the others."""
    small = {"clusters": 18, "spread": 0.3}
    table = judge_gate(
        run("a", quality=-0.1, seed=3, **small), run("b", seed=4, **small), parse_metrics(["quality"]), resamples=199
    )
    row = table.iloc[0]
    assert row["verdict"] == "undecided"
    assert row["change"] == pytest.approx(-0.10)
    assert row["power"] < 0.5
    assert f"would be found with {percent(row['power'], 0)} only" in row["note"]
    better = run("a", quality=0.1, seed=3, **small)
    assert verdicts(better, run("b", seed=4, **small), "quality") == {"quality": "undecided"}
    assert verdicts(better, run("b", seed=4, **small), "quality", power=0.0) == {"quality": "ok"}


def test_a_value_beyond_its_bound_is_never_ok() -> None:
    now, before = run("a", quality=-0.07, spread=0.12, seed=1), run("b", spread=0.12, seed=2)
    row = judge_gate(now, before, parse_metrics(["quality"]), resamples=199, power=0.0).iloc[0]
    assert row["value"] < -0.05
    assert row["verdict"] == "undecided"
    assert "is beyond its bound, which may be chance" in row["note"]


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_where_checks_take_out_many_pairs_nothing_is_ok(share: float) -> None:
    """A rise of 15 % was "ok" on the 6 pairs of 72 that were left."""
    now, before = run("a", tokens=1.15, seed=1, clusters=72), run("b", seed=2, clusters=72)
    flagged = (now.samples["approach"] == "tools") & (now.samples["sample"] < share * 72)
    now.samples.loc[flagged, "flags"] = "prompt_truncated"
    row = judge_gate(now, before, parse_metrics(["tokens"]), resamples=199).iloc[0]
    assert row["verdict"] == "undecided"
    assert "of pairs are flagged by validity checks (limit 20 %)" in row["note"]
    assert "of 72 pairs are left" in row["note"]


def test_where_one_run_lost_many_requests_its_costs_are_undecided() -> None:
    found = judge_gate(run("a", failed=8), run("b", seed=2), parse_metrics(["tokens", "failures"]), resamples=199)
    rows = found.set_index("metric")
    assert rows["verdict"].to_dict() == {"tokens": "undecided", "failures": "worse"}
    assert "33 % of pairs were lost to failures (limit 10 %): 16 of 24 pairs are left" in rows.loc["tokens", "note"]


def test_a_check_compares_a_run_with_itself_alone() -> None:
    """The same prompts read with more tokens, as after a change of the chat template: a rise, and no cut prompt."""
    now, before = run("a", tokens=1.15, spread=0.01, seed=1), run("b", spread=0.01, seed=2)
    for one in (now, before):
        one.samples["prompt_sha256"] = one.samples["case"] + one.samples["approach"]
    row = judge_gate(now, before, parse_metrics(["tokens"]), resamples=199).iloc[0]
    assert (row["verdict"], row["pairs"]) == ("worse", 24)


def test_too_few_clusters_decide_nothing() -> None:
    found = verdicts(run("a", tokens=3.0, clusters=4, seed=1), run("b", clusters=4, seed=2), "tokens", "quality")
    assert set(found.values()) == {"undecided"}


def test_a_metric_that_was_not_measured_decides_nothing() -> None:
    now, before = run("a"), run("b")
    now.samples["score"] = np.nan
    assert verdicts(now, before, "quality") == {"quality": "undecided"}


def test_at_the_bound_itself_the_gate_fails_as_rarely_as_it_says() -> None:
    """The hardest case that is still no regression: exactly at the bound. 40 runs, alpha 5 %, binomial slack."""
    alarms = sum(
        verdicts(run("a", tokens=1.05, seed=2 * i + 1), run("b", seed=2 * i), "tokens")["tokens"] == "worse"
        for i in range(40)
    )
    assert alarms <= 6


def test_several_metrics_share_the_error_rate() -> None:
    table = judge_gate(run("a", seed=1), run("b", seed=2), parse_metrics(["tokens", "quality"]), resamples=199)
    assert (table["p_adjusted"] >= table["p"]).all()


def test_runs_without_common_cases_or_arms_are_refused() -> None:
    other = run("b")
    other.samples["model"] = "another"
    with pytest.raises(ConfigurationError, match="share no case"):
        judge_gate(run("a"), other, parse_metrics([]))
    with pytest.raises(ConfigurationError, match="did you mean 'tools'"):
        judge_gate(run("a"), run("b"), parse_metrics([]), approach="tool")


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ("token", "did you mean 'tokens'"),
        ("tokens=x", "not a number"),
        ("tokens=0.9", "at least 1"),
        ("quality=3", "below 1"),
    ],
)
def test_a_wrong_declaration_is_refused_in_one_line(declared: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        parse_metrics([declared])


def test_a_loss_of_quality_may_be_declared_with_either_sign() -> None:
    assert parse_metrics(["quality=0.1"]) == parse_metrics(["quality=-0.1"]) == {"quality": -0.1}


def test_junit_says_what_the_table_says() -> None:
    table = judge_gate(
        run("a", tokens=1.5, seed=1), run("b", seed=2), parse_metrics(["tokens", "quality"]), resamples=199
    )
    (suite,) = ET.fromstring(junit(table))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "0")
    failures = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failures == ["tokens on m"]


def test_junit_is_xml_whatever_a_model_is_called_and_says_what_is_not_known() -> None:
    now, before = run("a"), run("b")
    for one in (now, before):
        one.samples["model"] = "m\x1b[31m<&\x00"
        one.samples["score"] = np.nan
    ((case,),) = ET.fromstring(junit(judge_gate(now, before, parse_metrics(["quality"]), resamples=199)))
    assert case.get("name") == "quality on m␛[31m<&␀"
    (skipped,) = case
    assert "nan" not in str(skipped.get("message"))
    assert "not known in both runs" in str(skipped.get("message"))


# -------------------------------------------------------------------------------------------------- stored runs, CLI


@pytest.fixture
def stored(tmp_path: Path) -> dict[str, Path]:
    """A good run as a results folder, and a bad one as table, zip and tar."""
    good = tmp_path / "results" / "good" / "tables"
    good.mkdir(parents=True)
    run("good", seed=2).samples.to_parquet(good / "samples.parquet")
    bad = tmp_path / "bad.csv"
    run("bad", tokens=1.5, seed=1).samples.to_csv(bad, index=False)
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.write(bad, "results/bad/tables/samples.csv")
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as tar:
        tar.add(bad, "results/bad/tables/samples.csv")
    return {
        "good": tmp_path / "results" / "good",
        "csv": bad,
        "zip": tmp_path / "bad.zip",
        "tar": tmp_path / "bad.tar.gz",
    }


def test_every_form_of_a_stored_run_reads_alike(stored: dict[str, Path]) -> None:
    tables = [open_run(stored[form]).samples for form in ("csv", "zip", "tar")]
    assert all(table.equals(tables[0]) for table in tables)
    assert len(open_run("good", stored["good"].parents[1]).samples) == 2 * CLUSTERS


def test_two_stored_runs_are_compared(stored: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "project", tasks=["safety_assessment"])
    assert main(["compare", "--runs", str(stored["good"]), str(stored["csv"]), "--root", str(project)]) == 0
    changes = pd.read_csv(project / "results" / "comparison" / "good__bad" / "changes_between_the_runs.csv")
    tokens = changes[changes["comparison"] == "tokens"].set_index("approach")["value"]
    assert tokens["tools"] == pytest.approx(1.5, rel=0.1)
    assert tokens["baseline"] == pytest.approx(1.0, rel=0.1)


def test_what_is_no_run_is_refused(tmp_path: Path, stored: dict[str, Path]) -> None:
    with pytest.raises(ConfigurationError, match="stored runs: good"):
        open_run("god", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="no samples table"):
        open_run(tmp_path / "empty")
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    with pytest.raises(ConfigurationError, match="not a table that can be read"):
        open_run(tmp_path / "x.parquet")


def test_an_arm_that_time_is_relative_to_must_be_there() -> None:
    good = run("good")
    with pytest.raises(ConfigurationError, match="no approach 'basline', did you mean 'baseline'"):
        judge_gate(good, good, parse_metrics(["time"]), reference="basline")
    assert not judge_gate(good, good, parse_metrics(["tokens"]), reference="basline").empty


@pytest.mark.parametrize(("now", "before", "code"), [("good", "good", 0), ("zip", "good", 1), ("good", "zip", 0)])
def test_exit_codes(
    stored: dict[str, Path], now: str, before: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["gate", "--run", str(stored[now]), "--baseline", str(stored[before]), "--metric", "tokens", "quality"])
        == code
    )
    assert ("worse" in capsys.readouterr().out) == bool(code)


def test_what_cannot_be_read_is_one_line_and_a_damaged_archive_fails_the_gate(
    tmp_path: Path, stored: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    cut, folder = tmp_path / "cut.crate.zip", tmp_path / "folder.csv"
    cut.write_bytes(b"PK\x03\x04")
    folder.mkdir()
    for broken, code in ((cut, 1), (folder, 2)):
        assert main(["gate", "--run", str(stored["good"]), "--baseline", str(broken)]) == code
        assert main(["gate", "--run", str(broken), "--baseline", str(stored["good"])]) == code
        said = capsys.readouterr().err.splitlines()
        assert [line.startswith(f"error: {broken}") for line in said] == [True, True]


def test_strict_tells_undecided_from_fine(tmp_path: Path, stored: dict[str, Path]) -> None:
    few = tmp_path / "few.csv"
    run("few", clusters=3).samples.to_csv(few, index=False)
    arguments = ["gate", "--run", str(few), "--baseline", str(few), "--junit", str(tmp_path / "gate.xml")]
    assert main(arguments) == 0
    assert main([*arguments, "--strict"]) == 3
    assert ET.parse(tmp_path / "gate.xml").getroot().get("skipped") == "3"


# ------------------------------------------------------------------------------------------------------------- agents


def of_agents(name: str, **settings: Any) -> StoredRun:
    """The run with the arms of an agent beside those of single prompts, which a slower machine asked."""
    samples = run(name, **settings).samples
    agents = samples.replace({"approach": {"baseline": "agent", "tools": "agent-index"}})
    samples["duration_s"] *= 2 if name == "now" else 1
    return StoredRun(name, pd.concat([samples, agents], ignore_index=True))


@pytest.mark.parametrize(("time", "code"), [(1.0, 0), (1.6, 1)])
def test_the_time_of_an_agent_with_a_tool_is_relative_to_the_agent(time: float, code: int, tmp_path: Path) -> None:
    of_agents("now", time=time, seed=1).samples.to_csv(tmp_path / "now.csv", index=False)
    of_agents("before", seed=2).samples.to_csv(tmp_path / "before.csv", index=False)
    stored = ["--run", str(tmp_path / "now.csv"), "--baseline", str(tmp_path / "before.csv")]
    junit_file = tmp_path / "gate.xml"
    asked = ["--approach", "agent-index", "--metric", "time", "tokens", "--junit", str(junit_file)]
    assert main(["gate", *stored, *asked]) == code
    assert ET.parse(junit_file).getroot().get("failures") == str(code)


def test_a_run_of_agents_alone_names_its_arms_where_none_was_chosen() -> None:
    agents = StoredRun("a", run("a").samples.replace({"approach": {"baseline": "agent", "tools": "agent-index"}}))
    with pytest.raises(ConfigurationError, match=r"no approach 'tools', .*agent"):
        judge_gate(agents, agents, parse_metrics([]))
