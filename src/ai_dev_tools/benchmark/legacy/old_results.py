"""Convert results of the previous system to sample files; what they lack is marked as missing.

Its files list `task_results` (one per task, model and approach) with `results` (one per request). They say
neither which case was asked nor what was sent, and leave out failed requests. The gaps in `sample_num` become
failed samples, so that the omitted failures are counted. An imported run cannot have a verdict:
it has no plan and no measure of quality.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from ai_dev_tools.benchmark._util.clock import utc_stamp
from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark.analysis.comparison import compare
from ai_dev_tools.benchmark.analysis.flatten import samples_table
from ai_dev_tools.benchmark.analysis.metrics import compute_metrics
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.names import checked
from ai_dev_tools.benchmark.records.paths import safe_model, sample_file
from ai_dev_tools.benchmark.records.sample import (
    Attempt,
    EndpointIdentity,
    Request,
    Resources,
    Sample,
    SampleError,
    write_block,
    write_sample,
)
from ai_dev_tools.benchmark.records.table_files import write_csv
from ai_dev_tools.benchmark.reporting import Inputs, render_report

IMPORTED = "imported"
MISSING = ("case_missing", "seed_missing", "prompt_missing", "timings_missing", "model_digest_missing")
"""Flags of every imported sample: what the old file does not contain."""
CASE = "not-recorded"
MOST_BYTES = 64 << 20
MOST_SAMPLES = 20_000
MOST_VANISHED, VANISHED_PER_LISTED = 500, 10
"""Number of failures that the file may have left out, plus this many per sample that it lists."""
LARGEST = 2**53
"""A larger number cannot be a number of tokens, and no table could hold it."""


def import_results(source: Path, results: Path, profile: str | None = None) -> tuple[str, int, int]:
    """Import a result file into `results/{profile}`, with blocks and tables.

    Args:
        results: the folder `results`.
        profile: name of the run; `imported-PROFILE-DATE` by default.

    Returns:
        The run's name, its number of samples, and how many of them were missing from the file.

    Raises:
        ConfigurationError: the file is not a result file of the previous system, or the run already exists.
    """
    data = _read(source)
    info = data["benchmark_info"]
    name = (
        profile
        or f"{IMPORTED}-{_slug(str(info.get('profile') or 'run'))}-{_slug(str(info.get('timestamp') or ''))[:10]}".rstrip(
            "-"
        )
    )
    try:
        folder = results / checked(name)
    except ValueError as error:
        raise ConfigurationError(f"{error} for this import with --as NAME") from None
    if folder.exists():
        raise ConfigurationError(f"{folder} already exists", remedy="Give the import another name with --as NAME")
    _refuse_claims(data, str(source))
    samples = list(old_samples(data, name, str(source)))
    if not samples:
        raise ConfigurationError(f"{source} holds no results")
    partial = results / f".{name}.{os.getpid()}.importing"
    try:
        _write_run(partial, samples)
        partial.rename(folder)
    except (ValueError, OSError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{source} cannot be imported into {folder}: {said}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    vanished = sum(sample.error is not None and sample.error.class_ == "vanished" for sample in samples)
    return name, len(samples), vanished


def _write_run(folder: Path, samples: list[Sample]) -> None:
    """Sample files, blocks and tables of an imported run."""
    blocks: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        write_sample(sample_file(folder, sample.model, sample.task, sample.approach, sample.sample), sample)
        blocks.setdefault((sample.model, sample.task), []).append(sample)
    files = []
    for (model, task), part in sorted(blocks.items()):
        files.append(folder / "blocks" / safe_model(model) / f"{task}.jsonl")
        write_block(files[-1], part)
    _write_tables(folder, files)


def _refuse_claims(data: JsonFields, where: str) -> None:
    """Refuse a file that claims more samples than any run of the previous system had.

    Each sample becomes a file.

    Raises:
        ConfigurationError: too many samples, most of them only claimed, or an impossible number of tokens.
    """
    groups = [group for group in data["task_results"] if isinstance(group, Mapping)]
    lists = [rows if isinstance(rows := group.get("results"), list) else [] for group in groups]
    listed = sum(map(len, lists))
    planned = _count(data["benchmark_info"].get("sample_size_per_approach"), 0)
    highest = [max([_count(row.get("sample_num"), -1) + 1 for row in rows if isinstance(row, dict)], default=0)
               for rows in lists]  # fmt: skip
    asked = sum(max(planned, len(rows), most) for rows, most in zip(lists, highest, strict=True))
    if max(asked, listed) > MOST_SAMPLES:
        raise ConfigurationError(f"{where} claims {asked} samples: more than {MOST_SAMPLES} are not imported")
    if asked - listed > MOST_VANISHED + VANISHED_PER_LISTED * listed:
        raise ConfigurationError(
            f"{where} claims {asked} samples but lists {listed}: the others cannot all be failures that it left out",
            remedy="Correct benchmark_info.sample_size_per_approach, or sample_num of the results",
        )


def report_import(folder: Path, notebook: Path) -> None:
    """Render the report of an imported run, by the function that the workflow renders reports with.

    Raises:
        BenchmarkError: a table cannot be read, or a cell of the notebook fails.
    """
    blocks = sorted(folder.glob("blocks/*/*.jsonl"))
    inputs = Inputs(folder / "tables", notebook, blocks=blocks)
    render_report(inputs, folder / "report", folder / "figures")


def old_samples(data: JsonFields, profile: str, where: str) -> Iterator[Sample]:
    """The samples of an old file's content, including the missing ones.

    Raises:
        ConfigurationError: an entry lacks what identifies it.
    """
    planned = _count(data["benchmark_info"].get("sample_size_per_approach"), 0)
    for number, group in enumerate(data["task_results"], start=1):
        place = f"{where}: task_results entry {number}"
        if not isinstance(group, Mapping) or not isinstance(group.get("results"), list):
            raise ConfigurationError(f"{place} has no list 'results'")
        about = {key: group.get(key) for key in ("task_name", "model", "approach", "instance_name")}
        if absent := [key for key in ("task_name", "model", "approach") if not isinstance(about[key], str)]:
            raise ConfigurationError(f"{place} has no '{absent[0]}'")
        rows = [row for row in group["results"] if isinstance(row, dict)]
        by_number = {_count(row.get("sample_num"), index): row for index, row in enumerate(rows)}
        size = max([planned, *(n + 1 for n in by_number)])
        for index in range(size):
            yield _sample(about, by_number.get(index), index, profile)


def _sample(about: JsonFields, row: JsonFields | None, number: int, profile: str) -> Sample:
    found = row or {}
    succeeded = row is not None and found.get("success") is True
    reason = str(found.get("error") or "the old file names no reason")[:1000]
    error = None if succeeded else SampleError("unknown", reason)
    if row is None:
        error = SampleError("vanished", "not in the old file, which left out what failed")
    tokens = [_natural(found.get(key)) for key in ("input_tokens", "output_tokens")]
    duration, stamp = _seconds(found.get("duration")), _seconds(found.get("timestamp"))
    started = _utc(stamp - (duration or 0.0)) if stamp else ""
    task = _slug(str(about["task_name"]), "_")
    response = found.get("response")
    return Sample(
        profile=profile,
        instance=str(about["instance_name"] or found.get("instance") or "unknown"),
        model=str(about["model"]),
        model_digest=None,
        task=task,
        case=CASE,
        cluster=task,
        size="S",
        approach=_slug(str(about["approach"]), "_"),
        sample=number,
        repeat=number,
        seed=0,
        status="completed" if succeeded else "failed",
        error=error,
        response=response if isinstance(response, str) else None,
        answer=None,
        score=None,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        total_tokens=tokens[0] + tokens[1] if tokens[0] is not None and tokens[1] is not None else None,
        duration_s=duration,
        time_to_first_token_s=None,
        load_s=None,
        prompt_eval_s=None,
        eval_s=None,
        rest_s=None,
        tool_s=0.0,
        prompt_cached_tokens=None,
        resources=Resources(),
        plan=None,
        done_reason=None,
        attempts=[Attempt(started, duration, error)] if row is not None and duration is not None else [],
        order=number,
        in_flight=0,
        session=IMPORTED,
        started_at=started,
        flags=sorted([IMPORTED, *MISSING]),
        request=Request("", "", {}, 0),
        endpoint=EndpointIdentity(IMPORTED, ""),
    )


def _read(source: Path) -> JsonFields:
    try:
        if source.stat().st_size > MOST_BYTES:
            raise ConfigurationError(
                f"{source} is larger than {MOST_BYTES} bytes, unlike any result file of that system"
            )
        data = json.loads(source.read_text(encoding="utf-8"))
        # an answer that was cut may end in half of a surrogate pair, which no sample file can hold
        data = json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {source}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{source} is not JSON ({error})") from None
    if not isinstance(data, dict) or not isinstance(data.get("task_results"), list):
        raise ConfigurationError(f"{source} is not a result file of the previous system: it has no list 'task_results'")
    data["benchmark_info"] = data.get("benchmark_info") if isinstance(data.get("benchmark_info"), dict) else {}
    return data


def _write_tables(folder: Path, blocks: list[Path]) -> None:
    tables = folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    samples = samples_table(blocks, {})
    samples.to_parquet(tables / "samples.parquet", index=False)
    prepared = Samples.prepare(samples)
    arms = sorted(set(samples["approach"].astype(str)))
    content = {"samples": samples, "metrics": compute_metrics(prepared)}
    if {"baseline", "tools"} <= set(arms):
        content["comparisons"] = compare(prepared, "tools", "baseline")
    for name, table in content.items():
        write_csv(table, tables / f"{name}.csv")


def _slug(text: str, separator: str = "-") -> str:
    return re.sub(r"[^a-z0-9]+", separator, text.lower()).strip(separator) or "unknown"


def _count(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 100_000 else default


def _natural(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST else None


def _seconds(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return round(float(value), 6) if 0 < value < 4e9 else None


def _utc(stamp: float) -> str:
    return utc_stamp(stamp, "microseconds")
