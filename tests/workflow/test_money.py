"""A run with prices, through the real workflow: a budget stops it and a larger one goes on, money gets a verdict, and other
prices ask nothing again."""

from __future__ import annotations

import json

import pandas as pd

from fakes.ollama import FakeOllama
from support.workflow_project import Project

MODEL = "llama3.2:1b"


def prices(output: int) -> str:
    """A prompt token costs one, so that money is of the size of tokens."""
    return json.dumps({MODEL: {"input": 1_000_000, "output": output, "currency": "EUR"}})


def verdicts(project: Project) -> pd.DataFrame:
    table = pd.read_csv(project.folder / "results" / "light" / "tables" / "verdicts.csv")
    return table[table["task"] == "(all)"].set_index("outcome")


def test_a_budget_stops_and_goes_on_money_gets_a_verdict_and_other_prices_ask_nothing(project: Project) -> None:
    with FakeOllama(models=[MODEL]) as fake:
        settings = {
            "profile": "light",
            "endpoint": fake.url,
            "tasks": "systematic_fix",
            "samples": 6,
            "prices": prices(1_000_000),
        }
        stopped = project.snakemake(
            "--cores", "1", "run", budget=14_000, **settings
        )  # all cost more, and the largest less at worst
        assert stopped.returncode == 1
        there = len(project.sample_files("light"))
        assert 0 < there < 18
        [said] = {line for line in stopped.stdout.splitlines() if "of the budget of 14,000.00 EUR is spent" in line}
        assert f"{there} of 18 requests of this run are answered, {18 - there} are missing" in said

        project.run("--cores", "1", "report", budget=1_000_000, **settings)
        asked = len(fake.requests)
        assert asked == 18, "each once"
        found = verdicts(project)
        assert list(found.index) == ["tokens", "time", "money"]
        assert found.loc["money", "label"] == "planned"
        assert 0 < found.loc["money", "ratio"] < 2
        samples = pd.read_csv(project.folder / "results" / "light" / "tables" / "samples.csv")
        assert list(samples["money"]) == list(samples["input_tokens"] + samples["output_tokens"])
        assert set(samples["currency"]) == {"EUR"}
        report = project.folder / "results" / "light" / "report"
        command = json.loads((report / "report.json").read_text())["in_short"]["command"]
        assert "profile=medium" in command and "prices=" not in command, "a larger model has prices of its own"
        for file in ("report.html", "report.md", "report.txt", "report.json", "report.xml", "report.csv"):
            assert "money" in (report / file).read_text().lower(), file
        assert len([badge for badge in report.glob("badges/*.svg") if "money" in badge.name]) == 1

        project.run("--cores", "1", "tables", **settings | {"prices": prices(2_000_000)})
        assert len(fake.requests) == asked
        again = verdicts(project)
        assert again.loc["money", "label"] == "exploratory"
        assert "changed" in again.loc["money", "reasons"]
        assert (again.loc["tokens", "label"], again.loc["tokens", "look"]) == ("planned", 1)
