"""A task for agents: one fact in one of three files of each case."""

from __future__ import annotations

import json
import random
from pathlib import Path

import yaml

COLOURS = ("red", "green", "blue", "amber", "violet", "white", "black", "pink")


def write_needles(folder: Path, cases: int, *, part: int = 1, lines: int = 40, first: int = 0) -> None:
    """Write the task `needle` below a folder.

    Args:
        part: the file that has the answer, of three.
        lines: how many other lines each file has.
        first: the first of the colours that are answers.
    """
    (folder / "needle").mkdir(parents=True)
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["colour"],
        "properties": {"colour": {"type": "string", "enum": list(COLOURS)}},
    }
    task = {
        "id": "needle", "name": "Needle", "description": "One fact in three files", "workflow_type": "custom",
        "question": "Which colour has {{ thing }}?", "answer_schema": schema,
        "scoring": [{"field": "colour", "scorer": "choice"}],
    }  # fmt: skip
    (folder / "needle" / "task.yaml").write_text(yaml.safe_dump(task))
    rows = []
    for number in range(cases):
        dice, thing = random.Random(number), f"thing_{number}"
        files = {f"part{i}.py": "".join(f"x{n} = {dice.randrange(99)}\n" for n in range(lines)) for i in range(3)}
        colour = dice.choice(COLOURS[first:])
        files[f"part{part}.py"] += f"COLOUR_OF_{thing} = '{colour}'\n"
        rows.append({
            "id": thing, "cluster": thing, "size": "S", "inline": files, "vars": {"thing": thing},
            "truth": {"colour": colour}, "established": "drawn by lot",
        })  # fmt: skip
    (folder / "needle" / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
