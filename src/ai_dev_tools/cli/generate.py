"""Files made from the code: config schema, reference pages, a picture. `--check` fails on drift."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from ai_dev_tools.benchmark._util.json_values import JsonObject, list_in
from ai_dev_tools.benchmark.config.models import Config
from ai_dev_tools.cli import reference
from ai_dev_tools.cli.rooms import rooms_picture


def config_schema() -> str:
    """JSON Schema of config/config.yaml, for editors."""
    schema = Config.model_json_schema(mode="validation")
    for name in ("tasks", "approaches", "models", "tools"):
        _accept_comma_list(schema["properties"][name])
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"


def _accept_comma_list(field: JsonObject) -> None:
    options = list_in(field.pop("anyOf", None)) or [
        {key: field.pop(key) for key in ("type", "items", "minItems") if key in field}
    ]
    field["anyOf"] = [*options, {"type": "string"}]


GENERATED: dict[str, Callable[[], str]] = {
    "config/schema.json": config_schema,
    "docs/reference/config.md": reference.config_reference,
    "docs/reference/commands.md": reference.command_reference,
    "docs/reference/metrics.md": reference.metric_reference,
    "docs/reference/sample.md": reference.sample_reference,
    "docs/reference/errors.md": reference.error_reference,
    "docs/images/rooms.svg": rooms_picture,
}


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` say which differ (exit code 1)."""
    stale = 0
    for name, make in GENERATED.items():
        path, text = Path(name), make()
        current = path.read_text(encoding="utf-8") if path.exists() else None
        if current == text:
            continue
        if "--check" in arguments:
            print(f"{name} is not what the code says: run `make generate`", file=sys.stderr)
            stale = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return stale


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
