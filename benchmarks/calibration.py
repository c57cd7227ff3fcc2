"""Simulated error rates of every decision in the protocol, on the functions that make the real ones.

`calibration_decisions` has the single decisions, on invented samples of `calibration_data`; whole verdicts are made of the
invented runs of `calibration_runs`. Here stand their promises, and the page.

    python benchmarks/calibration.py --replicates 10000 --write docs/calibration.md

Numbers here are properties of the method on invented data; none of them is a result about a model or a tool.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
from calibration_decisions import (
    Rate,
    censoring,
    descriptive,
    designs,
    failures,
    families,
    floor,
    gate,
    intervals,
    near_one,
    power,
)
from calibration_runs import LOSSES_IN_ONE_TASK, POWERS, WORLDS, World, graded, plain, sized

from ai_dev_tools.benchmark.planning.planner import Assumptions, Target, plan, prospects

WHOLE = 20
"""Whole verdicts are simulated this many times less often than single decisions."""


def wrong_words(replicates: int) -> Iterator[Rate]:
    """Whole runs in which "saves" is wrong: how often any model gets it, at any look."""
    runs = max(1, replicates // WHOLE)
    for world in WORLDS:
        rate, name = world.share_of_runs(runs), f"{world.name}; {_models(world)}"
        group = "whole runs in which any model wrongly gets 'saves'"
        yield Rate(group, name, world.clusters, rate, 0.05, False, world.promised, runs)


def right_words(replicates: int) -> Iterator[Rate]:
    """Whole runs with a true saving of 40 % and equal quality: of how many claims "saves" is said."""
    runs = max(1, replicates // WHOLE)
    for world in POWERS:
        rate, name = world.share_of_claims(runs), f"{world.name}; {_models(world)}"
        yield Rate(
            "'saves' at a true saving of 40 % and equal quality", name, world.clusters, rate, 0.0, True, False, runs
        )
    for models in (1, 4):
        names, assume = [f"m{k}" for k in range(models)], Assumptions(sd=0.4, sd_quality=0.25)
        goal = Target(tests=models)
        need = plan(None, goal, models=names, assume=assume, repeats=(1,)).iloc[0]["clusters"]
        sizes = (int(np.ceil(need / 6)),) * 6
        told = float(prospects(sum(sizes), None, goal, models=names, assume=assume).iloc[0]["power"])
        # the planner speaks of geometric means, whatever their scatter does to the mean ratio
        make = plain(graded(0.25), ratio=0.8 * float(np.exp(0.08)), spread=0.4)
        world = World(f"planned for 80 %, told {100 * told:.0f} %; {sized(sizes)}", make, (sizes,), models)
        rate, name = world.share_of_claims(runs), f"{world.name}; {_models(world)}"
        yield Rate("'saves' at the planner's own size", name, sum(sizes), rate, told - 0.05, True, True, runs)


def single_tasks(replicates: int) -> Iterator[Rate]:
    """How often one task vetoes: an equal tool, which it should not, and a loss in one task of six."""
    runs = max(1, replicates // WHOLE)
    for world in LOSSES_IN_ONE_TASK:
        equal = "loss 0 " in world.name
        name = f"{world.name.replace('loss 0 in one task', 'equal tool')}; {_models(world)}"
        group = "a single task vetoes"
        yield Rate(group, name, world.clusters, world.share_vetoed(runs), 0.05, False, equal, runs)


def _models(world: World) -> str:
    return f"{world.models} models" if world.models > 1 else "1 model"


GROUPS = (
    wrong_words,
    right_words,
    single_tasks,
    intervals,
    designs,
    near_one,
    gate,
    floor,
    families,
    censoring,
    failures,
    descriptive,
)


def run(replicates: int, processes: int = 1) -> tuple[list[Rate], list[dict[str, float | str]]]:
    """All rates and the power table; every cell has its own seed, so the number of processes changes nothing."""
    with ProcessPoolExecutor(processes) as pool:
        powers = pool.submit(power, max(1, replicates // 5))
        rates = [pool.submit(_rates_of, number, replicates) for number in range(len(GROUPS))]
        return [rate for group in rates for rate in group.result()], powers.result()


def _rates_of(group: int, replicates: int) -> list[Rate]:
    return list(GROUPS[group](replicates))


def as_markdown(rates: list[Rate], powers: list[dict[str, float | str]]) -> str:
    """The tables for the documentation."""
    promised = sum(rate.promised for rate in rates)
    most = max(r.replicates for r in rates)
    lines = [
        f"{len(rates)} cells, {promised} of them promised; {most:,} replicates of single decisions, {most // WHOLE:,} of "
        "whole runs. ± is the Monte-Carlo standard error; n counts clusters."
    ]
    for group in dict.fromkeys(rate.group for rate in rates):
        lines += [
            "",
            f"## {group[0].upper()}{group[1:]}",
            "",
            "| cell | n | rate ± error | promised |",
            "|---|---:|---:|---|",
        ]
        for rate in rates:
            if rate.group == group:
                promise = f"{'≥' if rate.at_least else '≤'} {100 * rate.limit:g} %" if rate.promised else "no promise"
                lines.append(
                    f"| {rate.cell} | {rate.n} | {100 * rate.rate:.2f} ± {100 * rate.error:.2f} % | {promise} |"
                )
    lines += [
        "",
        "## Power beside the alternatives",
        "",
        "| " + " | ".join(powers[0]) + " |",
        "|---" + "|---:" * (len(powers[0]) - 1) + "|",
    ]
    for row in powers:
        shown = [
            f"{100 * v:.1f} %" if k not in ("n", "true d_z") and isinstance(v, float) else str(v)
            for k, v in row.items()
        ]
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines)


def main() -> int:
    """Run, print, and optionally write the tables between the markers of a document; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", type=Path, help="Markdown file with calibration markers")
    parser.add_argument("--json", type=Path, help="write the rates as JSON")
    parser.add_argument("--read", type=Path, help="take the rates from such a file instead of simulating")
    options = parser.parse_args()
    start = time.perf_counter()
    if options.read:
        stored = json.loads(options.read.read_text(encoding="utf-8"))
        rates, powers = [Rate(**rate) for rate in stored["rates"]], stored["power"]
    else:
        rates, powers = run(options.replicates, options.processes)
    text = as_markdown(rates, powers)
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        block = f"<!-- calibration -->\n\n{text}\n\n<!-- /calibration -->"
        options.write.write_text(
            re.sub(r"<!-- calibration -->.*<!-- /calibration -->", lambda _: block, page, flags=re.S), encoding="utf-8"
        )
    if options.json:
        options.json.write_text(
            json.dumps({"rates": [asdict(r) for r in rates], "power": powers}, indent=1) + "\n", encoding="utf-8"
        )
    print(text)
    promised = sum(rate.promised for rate in rates)
    broken = [rate for rate in rates if rate.broken(promised)]
    print(f"\n{time.perf_counter() - start:.0f} s; broken promises: {len(broken)}")
    for rate in broken:
        print("  ", rate)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
