"""The command `gate`: did a declared metric get worse than in a stored run?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.plugins import reference_for
from ai_dev_tools.cli import console
from ai_dev_tools.cli.command_request import CommandRequest, judging, open_request
from ai_dev_tools.cli.options import AsJson, Root, names

if TYPE_CHECKING:
    import pandas as pd

SHOWN = ("verdict", "metric", "model", "value", "low", "high", "bound", "p_adjusted", "power", "clusters", "note")


def gate(
    baseline: Annotated[
        str, typer.Option("--baseline", help="The stored run: a profile, results folder, table or archive")
    ],
    run: Annotated[
        str | None, typer.Option("--run", help="The run to judge [default: the configured profile's]")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="NAME=BOUND ...",
            help="tokens=1.05 time=1.10 money=1.05 (ratios) quality=0.05 failures=0.05 (differences) "
            "[default: tokens quality failures]",
        ),
    ] = None,
    approach: Annotated[str, typer.Option("--approach", help="The arm that is judged")] = "tools",
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            help="The arm that its time is relative to [default: plan.reference; agent for an agent with a tool]",
        ),
    ] = None,
    alpha: Annotated[float, typer.Option(min=0.0001, max=0.5, help="Error rate over all metrics and models")] = 0.05,
    power: Annotated[
        float, typer.Option(min=0, max=0.999, help="Probability of finding a change of twice the bound that 'ok' needs")
    ] = 0.8,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 3 if a metric could not be decided")] = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Fail (exit code 1) if a metric got worse than in a stored run, beyond its bound and chance."""
    # these take 1.4 s
    from ai_dev_tools.benchmark.analysis.rows import records
    from ai_dev_tools.benchmark.comparison.gate import junit as as_junit
    from ai_dev_tools.benchmark.comparison.gate import parse_metrics

    table = _judge(baseline, run, root, parse_metrics(names(metric) or []), approach, reference, alpha, power)
    rows = records(table)
    if junit:
        try:
            junit.write_text(as_junit(table), encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"cannot write {junit}: {error.strerror}") from None
    console.out_json(rows) if as_json else console.out(console.table(rows, SHOWN))
    verdicts = [str(row["verdict"]) for row in rows]
    if "undecided" in verdicts and not strict:
        console.say(f"{verdicts.count('undecided')} of {len(rows)} undecided: that passes; --strict ends with code 3.")
    if "worse" in verdicts:
        raise SystemExit(console.FAILED)
    raise SystemExit(console.UNDECIDED if strict and "undecided" in verdicts else console.OK)


def _judge(
    baseline: str,
    run: str | None,
    root: Path | None,
    bounds: dict[str, float],
    approach: str,
    reference: str | None,
    alpha: float,
    power: float,
) -> pd.DataFrame:
    """One row per metric and model.

    Raises:
        ConfigurationError: the runs cannot be judged; exit code 1 would tell a pipeline that something got worse.
    """
    # these take 1.4 s
    from ai_dev_tools.benchmark.comparison.gate import judge_gate
    from ai_dev_tools.benchmark.comparison.run import open_run

    given = CommandRequest(root)
    thresholds, planned = judging(root)
    folder = given.find_root() if run is None or not Path(run).exists() or not Path(baseline).exists() else Path()
    now = open_run(run or open_request(given)[0].run, folder)
    before, arm = open_run(baseline, folder), reference or reference_for(approach, planned)
    try:  # a table of unknown origin can make this raise anything
        return judge_gate(now, before, bounds, approach, arm, alpha, power=power, thresholds=thresholds)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        said = (str(error).splitlines() or [""])[0][:120]
        raise ConfigurationError(f"these runs cannot be judged ({type(error).__name__}: {said})") from None
