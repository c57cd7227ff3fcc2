"""Report the result of a run elsewhere: by a signed webhook, and in GitHub's step summary.

Nothing here ever fails a run.

Both are set through the environment, since addresses and secrets should not be committed:
`AI_DEV_BENCH_WEBHOOK` (URL), `AI_DEV_BENCH_WEBHOOK_SECRET` (HMAC-SHA256 of the body, sent as `X-Signature-256`),
`GITHUB_STEP_SUMMARY` (set by GitHub Actions).
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import os
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ai_dev_tools.benchmark._util.clock import utc_stamp
from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark.records.table_files import unguarded

URL = "AI_DEV_BENCH_WEBHOOK"
SECRET = "AI_DEV_BENCH_WEBHOOK_SECRET"
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
ATTEMPTS = 3
TIMEOUT_S = 10.0
BACKOFF_S = 1.0
SUMMARY_LIMIT = 1_000_000
"""GitHub refuses a step summary of more than 1 MiB."""
SEEN = "verdicts_told.json"
"""In the run's folder: the verdicts as they were when last told, so that a change of them can be told."""

Log = Callable[[str], None]


def announce(folder: Path, profile: str, succeeded: bool, log: Log | None = None) -> None:
    """Send what is wanted of: run.success or run.failure, and verdict.changed.

    Args:
        folder: the run's results.
    """
    say = log or (lambda line: print(line, file=sys.stderr))
    try:
        report = _read(folder / "report" / "report.json") if succeeded else {}
        if url := os.environ.get(URL):
            _announce(url, folder, profile, succeeded, report, say)
        if succeeded and (summary := os.environ.get(STEP_SUMMARY)):
            write_step_summary(Path(summary), folder / "report" / "report.md")
    except Exception as error:  # the run itself has succeeded, even if nobody can be told
        say(f"warning: no notification was sent about this run ({type(error).__name__}: {error})")


def _announce(url: str, folder: Path, profile: str, succeeded: bool, report: Mapping[str, JsonValue], say: Log) -> None:
    common = {"profile": profile, "at": utc_stamp()}
    blocks = {
        name: report[name]
        for name in ("benchmark_info", "compared", "comparison_metrics", "overall_metrics")
        if name in report
    }
    now = current_verdicts(folder)
    send(url, f"run.{'success' if succeeded else 'failure'}", {**common, **blocks, "verdicts": now}, say)
    if not succeeded or not now:
        return
    seen = folder / SEEN
    before = _read(seen)
    changed = {
        key: {"before": before[key], "after": word} for key, word in now.items() if before.get(key, word) != word
    }
    if changed and not send(url, "verdict.changed", {**common, "changed": changed}, say):
        return
    seen.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def current_verdicts(folder: Path) -> dict[str, str]:
    """The run's primary verdicts by `claim on model`; empty if there is no such table."""
    try:
        with open(folder / "tables" / "verdicts.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError:
        return {}
    return {
        f"{unguarded(r['claim'])} on {unguarded(r['models'])}": r["verdict"]
        for r in rows
        if r.get("task") == "(all)" and r.get("verdict")
    }


def send(url: str, event: str, content: Mapping[str, JsonValue], log: Log) -> bool:
    """Post one event as JSON, tried again when the receiver is down; returns whether it was taken.

    The receiver should compare `X-Signature-256` (sha256=hex) with the HMAC of the body it got, and may use the event's
    `id` to notice repetitions.
    """
    import urllib3  # takes 40 ms

    body = json.dumps({"event": event, "id": uuid.uuid4().hex, "version": 1, **content}, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "X-Event": event}
    if key := os.environ.get(SECRET):
        headers["X-Signature-256"] = signature(key, body)
    retry = urllib3.Retry(
        ATTEMPTS - 1,
        backoff_factor=BACKOFF_S,
        allowed_methods=None,
        status_forcelist=(408, 425, 429, *range(500, 600)),
        redirect=False,
        raise_on_status=False,
        respect_retry_after_header=False,  # a run does not wait for who asks for an hour
    )
    try:
        with urllib3.PoolManager(timeout=TIMEOUT_S) as pool:
            status = pool.request("POST", url, body=body, headers=headers, redirect=False, retries=retry).status
    except urllib3.exceptions.HTTPError as error:
        problem = type(getattr(error, "reason", None) or error).__name__
    else:
        if status < 300:
            return True
        problem = f"HTTP {status}"
    # the path of such an address is often the secret itself
    log(f"warning: webhook at {urlsplit(url).hostname} did not accept '{event}' ({problem})")
    return False


def signature(secret: str, body: bytes) -> str:
    """`sha256=` and the hexadecimal HMAC of the body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def write_step_summary(target: Path, report: Path) -> None:
    """Append the report to GitHub's step summary.

    Without pictures, which it cannot show, and cut if it is too long.
    """
    text = report.read_text(encoding="utf-8") if report.exists() else "The run made no report.\n"
    text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("!["))
    data = text.encode()
    if len(data) > SUMMARY_LIMIT:
        cut = data[:SUMMARY_LIMIT].rpartition(b"\n")[0].decode(errors="ignore")
        text = f"{cut}\n\n… cut here; the whole report is among the run's files.\n"
    with open(target, "a", encoding="utf-8") as file:
        file.write(text)


def _read(path: Path) -> JsonObject:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
