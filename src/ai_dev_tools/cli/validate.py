"""The command `validate`: whether a run can work, and where each setting comes from."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Annotated

import typer

from ai_dev_tools.benchmark._util.credentials import problem_of, problem_of_variable, without_passwords
from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark.config.sources import DEFAULT, leaves, load_settings
from ai_dev_tools.cli import console, options
from ai_dev_tools.cli.command_request import CommandRequest

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.config.sources import Merged

_STACK = re.compile(r"""(Traceback \(most recent call last\):|File "[^"|]*", line \d+).* \| """)


def validate(
    context: typer.Context,
    sources: Annotated[bool, typer.Option(help="Also show where each setting comes from")] = True,
    profile: options.Profile = None, tasks: options.Tasks = None, samples: options.Samples = None,
    approaches: options.Approaches = None, models: options.Models = None, tools: options.Tools = None,
    endpoint: options.Endpoint = None, config: options.Settings = None, configfile: options.ConfigFiles = None,
    root: options.Root = None, as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Check settings, tasks, tools, endpoints, models, memory and disk; exit code 1 if a run cannot work."""
    from ai_dev_tools.benchmark.workflow.preflight import validate as check_all  # takes 0.3 s

    request = CommandRequest.of(context)
    folder, overrides = request.find_root(), request.settings()
    merged = load_settings(folder, overrides)
    with contextlib.chdir(folder):
        checks = [vars(check) for check in check_all(merged, overrides, folder)]
    settings = setting_rows(merged) if sources else []
    if as_json:
        console.out_json({"checks": checks, "settings": settings})
    else:
        if settings:
            console.out(console.table(settings, ["setting", "value", "source"], console.WIDTH) + "\n")
        checks = [{**check, "found": without_stack(check["found"])} for check in checks]
        console.out(console.table(checks, ["status", "name", "found", "fix"], console.WIDTH))
    raise SystemExit(console.FAILED if any(check["status"] == "failed" for check in checks) else console.OK)


def without_stack(words: str) -> str:
    """A program's last words, of a traceback in them only its last line."""
    return _STACK.sub("", words)


def setting_rows(merged: Merged) -> list[dict[str, str]]:
    """Every setting with its value and where it came from; those of defaults too."""
    from ai_dev_tools.benchmark.config.models import Config  # takes 0.1 s

    values = leaves(merged.settings)
    rows = [
        {"setting": key, "value": _shown(key, values[key]), "source": source} for key, source in merged.sources.items()
    ]
    given = {key.partition(".")[0] for key in merged.sources}
    for name, info in Config.model_fields.items():
        if name not in given:
            default = info.get_default(call_default_factory=True)
            value = default.model_dump(mode="json") if hasattr(default, "model_dump") else default
            rows.append({"setting": name, "value": _short(value), "source": DEFAULT})
    return sorted(rows, key=lambda row: row["setting"])


def _shown(key: str, value: JsonValue) -> str:
    from ai_dev_tools.benchmark.execution.provenance import without_secrets  # takes 0.2 s

    parts = key.split(".")
    if "environment" in parts[:-1]:
        value = without_secrets({parts[-1]: value})[parts[-1]]
    elif parts[-1] in ("endpoint", "host", "base_url", "replicas"):
        several = value if isinstance(value, list | tuple) else [value]
        value = "(hidden)" if any(map(problem_of, several)) else value
    elif parts[-1] in ("key_env", "token_env") and problem_of_variable(value):
        value = "(hidden)"
    return without_passwords(_short(value))


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
