from pathlib import Path

from ai_dev_tools.benchmark.config.agent import AgentSettings
from ai_dev_tools.benchmark.execution.job import job
from ai_dev_tools.benchmark.plugins import load_plugins
from ai_dev_tools.benchmark.prompts import write_prompts
from ai_dev_tools.benchmark.prompts.agent_program_file import given_program
from ai_dev_tools.benchmark.prompts.approaches import find_approach
from ai_dev_tools.benchmark.prompts.episodes import arm_design
from ai_dev_tools.benchmark.prompts.rendering import render_prompts
from ai_dev_tools.benchmark.prompts.tool_results import read_contexts
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.prepared import read_prepared
from ai_dev_tools.benchmark.tasks.loading import load_task
from ai_dev_tools.benchmark.tasks.workspaces import left_out

with job(snakemake.log[0]) as say:
    given = snakemake.params
    load_plugins(given.plugins)
    task = load_task(Path(given.folder))
    contexts = dict(zip(given.tools, map(read_contexts, map(Path, snakemake.input.contexts)), strict=True))
    tools, settings = given.agents.get("arms", {}), AgentSettings(**given.agents.get("settings", {}))
    program = given_program(given.agents.get("program"))
    designs = {arm: arm_design(arm, settings, program) for arm in tools}
    made = {Path(file).suffixes[-2][1:]: read_prepared(Path(file)) for file in snakemake.input.prepared}
    prepared = {arm: made[tool] for arm, tool in tools.items() if tool}
    spec = program.spec if program else None
    arms = [find_approach(name, {**contexts, **made}, spec) for name in given.approaches]
    for line in left_out(task, Path(paths.CORPORA_FOLDER)):
        say(line)
    rows = render_prompts(task, contexts, arms, Path(paths.CORPORA_FOLDER), given.shown, designs, prepared)
    write_prompts(Path(snakemake.output[0]), rows)
