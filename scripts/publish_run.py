"""Write the page of a published run from its archive: docs/results/NAME.md, with its figures and the archive beside it.

    python scripts/publish_run.py run.crate.zip coder-0.5b --title "Built-in tools, Qwen2.5-Coder 0.5B" --command "snakemake …"

    python scripts/publish_run.py --again coder-0.5b

The second form makes tables, figures and report of a published run again with this version, from the samples in its
archive, and asks no model.

Everything above the line `<!-- written by hand -->` comes from the archive; what stands below it in an existing page is kept.
"""

from __future__ import annotations

import argparse
import io
import json
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from ai_dev_tools.benchmark.archive import ArchiveError, Verification, verify

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
BY_HAND = "<!-- written by hand -->"
OTHER_VERSIONS = (
    "A later version of the program checks the same data and tables. It does not make report pages that were made by",
    "another version again: it then says `VALID: the data belong together`, and names those pages after `NOT CHECKED:`.",
    "The lines above are those of the version that made this page.",
)
LARGEST = 5_000_000
DATA = ("config/", "results/", "resources/")
"""What an archive holds of a run; the rest is the program, and what it made."""
PROGRAM = (
    "src", "workflow", "Snakefile", "notebooks", "envs", "profiles", "config/schema.json", "pyproject.toml", "LICENSE",
    "CITATION.cff",
)  # fmt: skip
OUTCOMES = ("tokens", "time")
EPISODES = {
    "n": "episodes",
    "quality": "quality",
    "turns_mean": "turns",
    "input_tokens_mean": "tokens read",
    "new_input_tokens_mean": "newly read",
    "output_tokens_mean": "tokens written",
    "duration_mean": "seconds",
    "tool_calls_mean": "tool calls",
    "tool_used_rate": "used the tool",
    "limit_rate": "reached a limit",
}
"""Metrics of episodes and what the page calls them."""
ALL_TASKS = "(all)"


def interval(row: dict[str, Any], digits: int = 2) -> str:
    """`0.42 (0.40 to 0.44)`, or a dash where there is no value."""
    if row.get("value") is None:
        return "–"
    ends = [f"{row[end]:.{digits}f}" if row.get(end) is not None else "∞" for end in ("low", "high")]
    return f"{row['value']:.{digits}f} ({ends[0]} to {ends[1]})"


def verdict_table(rows: list[dict[str, Any]]) -> list[str]:
    """One row per claim over all tasks: word, ratio, bill and quality."""
    lines = [
        "| claim | verdict | ratio (95 % interval) | bill | quality difference (bound) | pairs | why |",
        "|---|---|---|---:|---|---:|---|",
    ]
    for row in rows:
        ratio = interval({"value": row["ratio"], "low": row["low"], "high": row["high"]}, 3)
        bill = "–" if row["bill_ratio"] is None else f"{row['bill_ratio']:.3f}"
        quality = (
            "–"
            if row["claim_quality_difference"] is None or row["claim_quality_bound"] is None
            else f"{row['claim_quality_difference']:+.3f} (at worst {row['claim_quality_bound']:+.3f})"
        )
        lines.append(
            f"| {row['claim']} | **{row['verdict']}** | {ratio} | {bill} | {quality} | {row['pairs']} | {row['reasons'] or '–'} |"
        )
    return lines


def task_table(rows: list[dict[str, Any]], approach: str) -> list[str]:
    """Ratios and the quality difference of one arm for each task."""
    lines = ["| task | tokens | time | quality |", "|---|---|---|---|"]
    mine = [row for row in rows if row["approach"] == approach]
    for task in dict.fromkeys(row["task"] for row in mine):
        cells = {row["comparison"]: row for row in mine if row["task"] == task}
        quality = cells.get("quality", {})
        shown = [interval(cells.get(outcome, {})) for outcome in OUTCOMES]
        lines.append(f"| {task} | {' | '.join(shown)} | {interval(quality)} |")
    return lines


def episode_table(tables: dict[str, Any]) -> list[str]:
    """What the episodes of each arm were like; nothing where no agent was asked."""
    if "episodes" not in tables:
        return []
    arms: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (*tables["metrics"]["rows"], *tables["episodes"]["rows"]):
        if row["task"] == "all tasks":
            arms.setdefault((row["model"], row["approach"]), {}).update(row)
    known = {place: row for place, row in arms.items() if row.get("turns_mean") is not None}
    several = len({model for model, _ in known}) > 1
    return [
        "",
        "## The episodes of each arm",
        "",
        f"| arm | {' | '.join(EPISODES.values())} |",
        f"|---|{'---:|' * len(EPISODES)}",
        *(
            f"| {arm}{f' ({model})' if several else ''} | {' | '.join(shown(row.get(name), name) for name in EPISODES)} |"
            for (model, arm), row in known.items()
        ),
    ]


def shown(value: float | None, metric: str) -> str:
    """A mean, or a share in percent."""
    if value is None or isinstance(value, int):
        return "–" if value is None else str(value)
    return f"{value:.0%}".replace("%", " %") if metric.endswith("_rate") else f"{value:,.{0 if value >= 100 else 2}f}"


def page(report: dict[str, Any], name: str, title: str, command: str, checked: Verification) -> str:
    """The generated part of a published run's page, as Markdown."""
    plan = report["plan"]
    rows = [row for row in report["verdict_rows"] if row["task"] == ALL_TASKS]
    facts = {key: value for key, value in report["facts"]["provenance"].items() if key != "Profile"}
    judged = list(dict.fromkeys(row["approach"] for row in rows))
    asked = "episodes" if "episodes" in report["tables"] else "requests"
    references = dict.fromkeys(f"`{row['reference']}`" for row in rows)
    parts = [
        f"# {title}",
        "",
        f"{report['benchmark_info']['total_samples']} {asked}, plan `{plan['plan']}`, declared {plan['declared_at']}.",
        "",
        report["in_short"]["text"],
        "",
        "## Verdicts",
        "",
        *[f"- {row['sentence']}" for row in rows],
        "",
        *verdict_table(rows),
        "",
        f"Ratios are those of the arm to {' and '.join(references)}: below 1 is cheaper. "
        "[How verdicts come about](../statistics.md).",
        *episode_table(report["tables"]),
    ]
    for approach in judged:
        figure = report["figures"].get(f"forest-{approach}")
        parts += [
            "",
            f"## {approach}, task by task",
            "",
            *task_table(report["tables"]["comparisons"]["rows"], approach),
        ]
        if figure:
            parts += ["", f"![{figure['alt']}]({name}-{approach}.svg)"]
    parts += ["", "## Machine, model and versions", "", "| | |", "|---|---|"]
    parts += [f"| {key} | {value} |" for key, value in facts.items()]
    parts += [
        "",
        "## Check and repeat it",
        "",
        f"The [archive]({name}.crate.zip) holds every request and answer.",
        f"`ai-dev-bench verify docs/results/{name}.crate.zip` said:",
        "",
        f"> {checked.line}",
        ">",
        *(f"> - {detail}" for detail in checked.details),
        "",
        *OTHER_VERSIONS,
        "",
        f"`ai-dev-bench render docs/results/{name}.crate.zip --output rendered` makes tables and report from it. To ask again:",
        "",
        "<!-- not run: asks a real model for minutes to hours -->",
        "```bash",
        broken(command),
        "```",
    ]
    return "\n".join(parts) + "\n"


def broken(command: str, width: int = 110) -> str:
    """A long command on several lines, as a shell reads it."""
    lines = [""]
    for word in map(shlex.quote, shlex.split(command)):
        if len(lines[-1]) + len(word) < width:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
        else:
            lines.append(f"  {word}")
    return " \\\n".join(lines)


def publish(archive: Path, name: str, title: str, command: str) -> Path:
    """Verify `archive`, copy it and its figures to docs/results/ and write the page.

    Raises:
        ArchiveError: it is not a valid archive.
    """
    checked = verify(archive).require()
    with zipfile.ZipFile(archive) as crate:
        report = json.loads(crate.read("recorded/report/report.json"))
        for approach in dict.fromkeys(row["approach"] for row in report["verdict_rows"]):
            figure = f"recorded/figures/forest-{approach}.svg"
            if figure in crate.namelist():
                (RESULTS / f"{name}-{approach}.svg").write_bytes(crate.read(figure))
    if archive.stat().st_size <= LARGEST:
        shutil.copyfile(archive, RESULTS / f"{name}.crate.zip")
    target = RESULTS / f"{name}.md"
    kept = target.read_text(encoding="utf-8").partition(BY_HAND)[2] if target.exists() else "\n"
    target.write_text(page(report, name, title, command, checked) + f"\n{BY_HAND}{kept}", encoding="utf-8")
    return target


def made_again(archive: Path, folder: Path) -> Path:
    """An archive of the same run with the committed version of this program: its tables and report follow from its samples.

    Raises:
        ArchiveError: it is not a valid archive.
    """
    verify(archive, report=False).require()
    with zipfile.ZipFile(archive) as crate:
        crate.extractall(folder, [name for name in crate.namelist() if name.startswith(DATA)])
    program = subprocess.run(["git", "archive", "HEAD", *PROGRAM], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(program)) as files:
        files.extractall(folder, filter="data")
    command = [sys.executable, "-m", "snakemake", "archive", "--cores", "1"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (made,) = folder.glob("results/*/archive/*.crate.zip")
    return made


def title_and_command(page: str) -> tuple[str, str]:
    """What a published page is called, and the command that repeats its run."""
    title = page.partition("\n")[0].removeprefix("# ")
    block = page.partition(BY_HAND)[0].rpartition("```bash\n")[2].partition("```")[0]
    return title, shlex.join(shlex.split(block.replace("\\\n", " ")))


def publish_again(name: str) -> Path:
    """Publish a run once more, as this version computes and shows it."""
    title, command = title_and_command((RESULTS / f"{name}.md").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        return publish(made_again(RESULTS / f"{name}.crate.zip", Path(folder)), name, title, command)


def main() -> int:
    """Read the command line; 0 if the page was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, nargs="?")
    parser.add_argument("name", help="file name of the page, without its ending")
    parser.add_argument("--title")
    parser.add_argument("--command", help="the command that repeats the run")
    parser.add_argument(
        "--again", action="store_true", help="a published run, with this version; only its name is given"
    )
    options = parser.parse_args()
    if not options.again and not (options.archive and options.title and options.command):
        parser.error("give the archive, the name of the page, --title and --command; or --again and the name")
    try:
        if options.again:
            print(publish_again(options.name))
        else:
            print(publish(options.archive, options.name, options.title, options.command))
    except (ArchiveError, OSError, subprocess.CalledProcessError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
