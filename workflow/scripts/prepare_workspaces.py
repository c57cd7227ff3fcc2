from pathlib import Path

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.agents.workspace_preparation import prepare_workspaces
from ai_dev_tools.benchmark.execution.job import job
from ai_dev_tools.benchmark.plugins import load_plugins
from ai_dev_tools.benchmark.prompts.tools import load_tool
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.prepared import read_prepared, write_prepared
from ai_dev_tools.benchmark.records.row_journal import keeping
from ai_dev_tools.benchmark.tasks.loading import load_task
from ai_dev_tools.benchmark.workflow.call_targets import is_forced

with job(snakemake.log[0]) as say:
    load_plugins(snakemake.params.plugins)
    task, tool = load_task(Path(snakemake.params.folder)), load_tool(Path(snakemake.input.tool[0]))
    output, asked = Path(snakemake.output[0]), snakemake.params
    say(f"{tool.id} prepares the workspaces of {plural(len(asked.cases), 'case')} of {task.id}")
    known = {} if is_forced(snakemake.rule, snakemake.output[0]) else read_prepared(output)
    corpora, cases = Path(paths.CORPORA_FOLDER), list(asked.cases)
    with keeping(output, known.values()) as keep:
        rows = prepare_workspaces(task, tool, corpora, known, cases, asked.sandbox, keep)
        write_prepared(output, rows)
    for row in rows:
        if row.status == "failed":
            say(f"warning: {task.id}/{row.case}: {row.error}")
