from pathlib import Path

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.execution.job import job
from ai_dev_tools.benchmark.plugins import load_plugins
from ai_dev_tools.benchmark.prompts.tool_results import collect_contexts, disturbed_line, read_contexts, write_contexts
from ai_dev_tools.benchmark.prompts.tools import load_tool
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.row_journal import keeping
from ai_dev_tools.benchmark.tasks.loading import load_task
from ai_dev_tools.benchmark.workflow.call_targets import is_forced

with job(snakemake.log[0]) as say:
    load_plugins(snakemake.params.plugins)
    task, tool = load_task(Path(snakemake.params.folder)), load_tool(Path(snakemake.input.tool[0]))
    output = Path(snakemake.output[0])
    asked = snakemake.params
    say(f"{tool.id} reads {plural(len(asked.cases), 'case')} of {task.id}")
    forced = is_forced(snakemake.rule, snakemake.output[0])
    known = {} if forced else read_contexts(output)
    with keeping(output, known.values()) as keep:
        rows = collect_contexts(
            task, tool, Path(paths.CORPORA_FOLDER), known, asked.runs,
            cases=list(asked.cases), sandbox=asked.sandbox, keep=keep,
        )  # fmt: skip
        write_contexts(output, rows)
    for row in rows:
        if row.status == "failed":
            say(f"warning: {task.id}/{row.case}: {row.error}")
    if line := disturbed_line(task.id, rows):
        say(line)
