from pathlib import Path

from ai_dev_tools.benchmark.config.agent import AgentSettings
from ai_dev_tools.benchmark.execution.job import job
from ai_dev_tools.benchmark.plugins import agent_tool_of, load_plugins
from ai_dev_tools.benchmark.prompts import render_prompts, write_prompts
from ai_dev_tools.benchmark.prompts.approaches import find_approach
from ai_dev_tools.benchmark.prompts.episodes import arm_designs
from ai_dev_tools.benchmark.prompts.tool_results import read_contexts
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.tasks.loading import load_task
from ai_dev_tools.benchmark.tasks.workspaces import left_out

with job(snakemake.log[0]) as say:
    given = snakemake.params
    load_plugins(given.plugins)
    task = load_task(Path(given.folder))
    contexts = dict(zip(given.tools, map(read_contexts, map(Path, snakemake.input.contexts)), strict=True))
    agents = given.agents
    designs = arm_designs(agents["arms"], AgentSettings(**agents["settings"]), agents["sandbox"]) if agents else {}
    own = [tool for arm in designs if (tool := agent_tool_of(arm))]
    arms = [find_approach(name, dict.fromkeys([*contexts, *own])) for name in given.approaches]
    for line in left_out(task, Path(paths.CORPORA_FOLDER)):
        say(line)
    rows = render_prompts(task, contexts, arms, Path(paths.CORPORA_FOLDER), given.shown, designs)
    write_prompts(Path(snakemake.output[0]), rows)
