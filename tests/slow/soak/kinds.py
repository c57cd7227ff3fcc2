"""What is asked in a soak: the server, the tasks and arms, and the labelled fakes of a tool and of an agent."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ai_dev_tools.benchmark.prompts.containment import bubblewrap_problem
from fakes import agent_program
from slow.soak.recording_ollama import MODEL

EVERYTHING = {"snakemake": 2, "job": 3, "block": 3, "worker": 1, "server": 4, "guard": 1, "everything": 2}
"""What is killed, and how often relative to the others."""
AROUND_AGENTS = {"snakemake": 2, "job": 2, "block": 4, "server": 1, "everything": 2}
"""The same where agents are asked: what was above them, so that they could be left behind."""


@dataclass(frozen=True)
class Kind:
    """What is asked in a soak.

    Attributes:
        more: samples per arm to begin with, and more of them each time that all are there.
        turns: how many turns the episodes of an arm have; none: an arm of single prompts.
        settings: of the run, besides.
        killed: what is killed, and how often relative to the others.
    """

    endpoint: str = "process"
    model: str = MODEL
    tasks: str = "systematic_fix"
    more: int = 2
    turns: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(("baseline", "tools", "no_context"), 0))
    settings: Mapping[str, object] = field(default_factory=dict)
    killed: Mapping[str, int] = field(default_factory=lambda: EVERYTHING)

    @property
    def samples_at_once(self) -> int:
        """Samples that one more per arm means."""
        return len(self.turns) * len(self.tasks.split(","))

    def profile(self, port: int) -> str:
        """Of the project's config: the profile that is run."""
        return (
            f"  soak:\n    description: killed again and again\n    samples: 1\n    sizes: [S]\n"
            f"    endpoint: {self.endpoint}\n    max_concurrent: 2\n    task_timeout: 600\n"
            f"    instances:\n      soak: {{model: '{self.model}', host: 127.0.0.1, port: {port}}}\n"
        )


SANDBOX = "none" if bubblewrap_problem() else "bubblewrap"
AGENTS = "agent,agent-none"
KINDS = {
    "fake": Kind(tasks="safety_assessment,systematic_fix", more=6),
    "embedded": Kind(endpoint="embedded", model="smollm2:135m"),
    "agents": Kind(
        more=4, turns={"agent": 3, "agent-none": 1, "agent-quick": 3}, killed=AROUND_AGENTS,
        settings={"approaches": AGENTS, "tools": "quick"},
    ),
    "programs": Kind(
        more=6, turns={"agent": 2, "agent-none": 1}, killed=AROUND_AGENTS,
        settings={"approaches": AGENTS, "agent": f"{{program: scripted, sandbox: {SANDBOX}}}"},
    ),
}  # fmt: skip
QUICK_SERVER = """
import json, sys

tool = {"name": "lookup", "description": "Finds a name.", "inputSchema": {"type": "object", "properties": {}}}
results = {
    "initialize": {
        "protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "quick", "version": "1"},
    },
    "tools/list": {"tools": [tool]},
    "tools/call": {"content": [{"type": "text", "text": "found nothing"}]},
}
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("method") in results:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": results[asked["method"]]}), flush=True)
"""


def write_tool(folder: Path) -> None:
    """A tool with an MCP server that starts at once."""
    (folder / "quick_server.py").write_text(QUICK_SERVER)
    server = {"mcp": {"command": ["{python}", "{tool_dir}/quick_server.py"]}}
    about = {"id": "quick", "description": "LABELLED FAKE", "install": "comes with the test", "agent": server}
    (folder / "quick.yaml").write_text(json.dumps(about))


def write_agent(folder: Path) -> None:
    """The labelled, scripted third-party agent, installed where agents are."""
    place = folder / "resources" / "agents" / "scripted"
    place.mkdir(parents=True)
    shutil.copy(agent_program.__file__, place)
    words = ["ask+look+chat+answer", "{base_url}", "{model}", "{question_file}", "{answer_file}"]
    command = [sys.executable, "{folder}/agent_program.py", *words]
    about = {"id": "scripted", "description": "LABELLED FAKE", "install": "comes with the test", "command": command}
    (folder / "config" / "agents" / "scripted.yaml").write_text(json.dumps(about))
