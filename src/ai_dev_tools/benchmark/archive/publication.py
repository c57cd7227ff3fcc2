"""What an archive says to people and to repositories: its README, and Zenodo's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.archive.layout import RunFacts

_README = """# A recorded benchmark run

Profile `{profile}`, {samples} to {models}, made from {started} to {ended} under plan `{plan}`.
Author: {author}. Licence of the data: {license}.

| in | is |
|---|---|
| `recorded/` | tables, figures and report as archived; start with `recorded/report/report.html` |
| `results/` | requests and answers (`{profile}/blocks`), prompts, tool outputs, plans, identities, logs |
| `config/`, `workflow/`, `src/` | settings as they were resolved, and the whole program |
| `run.json`, `manifest.json`, `ro-crate-metadata.json` | who, when, how; every checksum; the same as an RO-Crate |

## Check

    ai-dev-bench verify {file}

## Look at it with a program of your own

    ai-dev-bench render {file}

This makes tables, figures and report from the data in here with the program that you installed. What follows runs the program in
this archive instead, which is its author's.

## Render again, without network, model or corpora

    unzip {file} -d run && cd run
    python3 -m venv .venv && . .venv/bin/activate
    pip install --require-hashes -r envs/requirements.lock && pip install --no-deps --no-build-isolation .
    snakemake --cores 1 report
    diff -r recorded/tables results/{profile}/tables        # no difference: the tables follow from the samples

The installation is the only step that needs a package index. A report that is rendered again differs in the moment it
was rendered, and in nothing else; `SOURCE_DATE_EPOCH` fixes that moment too.

## Repeat

The recorded answers through all steps, into `results/{profile}@replay/`; or the recorded prompts on a live endpoint, under a
separate profile; then, whether the verdicts hold:

    snakemake --cores 1 report --config endpoint=replay
    ai-dev-bench compare --profiles {profile} {profile}@replay --same-verdicts

    snakemake --cores 1 report --config source=prompts profile=again \\
        'profiles={{again: {{extends: {profile}}}}}' endpoint=http://localhost:11434
    ai-dev-bench compare --runs recorded results/again --same-verdicts

## What is not inside

{missing}
"""


def readme(facts: RunFacts, file: str) -> str:
    """README.md of an archive.

    Args:
        file: name of the archive.
    """
    missing = "\n".join(
        f"* {item.kind} {item.id}"
        + (f" {item.version}" if item.version else "")
        + f", licence {item.license or 'unknown'}, {item.pin}"
        for item in facts.not_included
    )
    return _README.format(
        profile=facts.profile,
        samples=plural(facts.samples, "request"),
        models=", ".join(f"`{model.tag}`" for model in facts.models),
        started=facts.started_at,
        ended=facts.ended_at,
        plan=facts.plan,
        author=facts.author.get("author", "not named"),
        license=facts.license,
        file=file,
        missing=missing or "Nothing: all that the run used and may be passed on is inside.",
    )


def zenodo(facts: RunFacts, citation: Mapping[str, object]) -> bytes:
    """Content of .zenodo.json: metadata for a deposit of the archive."""
    author = facts.author
    creator = {"name": author.get("author", "not named")}
    creator |= {key: author[key] for key in ("orcid", "affiliation") if key in author}
    models = ", ".join(model.tag for model in facts.models)
    content = {
        "title": f"{citation.get('title', 'AI Development Tools Benchmark')}: {facts.profile} run on {models}",
        "upload_type": "dataset",
        "description": (
            f"<p>{plural(facts.samples, 'request')} to {models}, made from {facts.started_at} to {facts.ended_at} under the plan "
            f"{facts.plan}: prompts, tool outputs, answers, timings, tables and report as a Workflow Run RO-Crate.</p>"
        ),
        "creators": [creator],
        "publication_date": facts.ended_at[:10],
        "access_right": "open",
        "license": facts.license.lower(),
        "keywords": ["benchmark", "language models", "developer tools", "reproducibility", "RO-Crate"],
        "version": facts.package_version,
        "notes": "Check: ai-dev-bench verify; render again: snakemake --cores 1 report; see README.md inside.",
    }
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"
