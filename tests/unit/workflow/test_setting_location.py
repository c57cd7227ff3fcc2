"""`validate` names the file and the key of what is to be corrected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_dev_tools.benchmark.config.sources import merge
from ai_dev_tools.benchmark.workflow.preflight import validate
from ai_dev_tools.benchmark.workflow.setting_location import where_to_correct
from support.repository import ROOT

SETTINGS: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
TOOL = {"id": "mine", "description": "d", "install": "i", "agent": {"instructions": "Use it."}}
COMMAND = {"name": "look", "description": "d", "argv": ["{python}", "{nmae}"], "arguments": {"name": "string"}}


@pytest.mark.parametrize(
    ("tool", "key"),
    [
        (TOOL | {"timeout_s": -1}, "timeout_s"),
        (TOOL | {"prepaer": ["x"]}, "prepaer"),
        (TOOL | {"agent": {}}, "agent"),
        (TOOL | {"agent": {"commands": [COMMAND]}}, "agent.commands.0"),
    ],
)
def test_a_mistake_in_a_tools_file_names_the_file_and_the_key(tool: dict[str, Any], key: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(tool))
    given = {"approaches": "agent,agent-mine", "tool_folders": str(tmp_path), "tasks": "safety_assessment"}
    (check,) = validate(merge(SETTINGS, {}, given), given, ROOT)
    assert check.status == "failed"
    assert check.fix.startswith(f"Correct '{key}") and check.fix.endswith(f"' in {tmp_path / 'mine.yaml'}"), check


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("config: 'agent.turns' is 0: input should be greater than 0", "Correct 'agent.turns' on the command line"),
        ("config: unknown setting 'smaples', did you mean 'samples'?", "Correct 'smaples' on the command line"),
        ("config: 'retry_attempts' is 99: too many", "Correct 'retry_attempts' in config/config.yaml"),
        ("config: 'budget' is -1: no", "Correct 'budget' in pyproject.toml"),
        ("unknown tool 'no' in approach 'agent-no'", "Correct 'approaches' on the command line"),
        ("/a/t.yaml line 3 is not valid YAML: no", "Correct /a/t.yaml"),
        ("tool 'x': 'y' is not installed (a/x.yaml). Install it: pip", "Correct a/x.yaml"),
        ("something that names nothing", "Correct it where it is set"),
    ],
)
def test_a_mistake_in_the_settings_names_the_key_and_where_it_was_set(line: str, fix: str) -> None:
    given = {"agent": {"turns": 0}, "smaples": 3, "approaches": "agent,agent-no"}
    merged = merge({"retry_attempts": 99, "approaches": ["agent"]}, {"budget": -1}, given)
    assert where_to_correct(line, merged) == fix
