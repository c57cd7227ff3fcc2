"""AI development tools benchmark: does handing a model a tool's findings save tokens and time at equal quality?

settings -> corpora, weights -> what tools say -> prompts -> plan -> samples (blocks) -> tables -> report
"""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


try:
    from ai_dev_tools.benchmark.records import paths
    from ai_dev_tools.benchmark.workflow.flow import Flow
except ImportError as error:
    raise SystemExit(
        f"error: the package of this workflow is not installed ({error}): run"
        " `pip install .` in its clone, or `pip install git+ADDRESS` of its repository"
    ) from None

flow = Flow(config, workflow)


wildcard_constraints:
    profile=r"[A-Za-z0-9_-]+(@replay)?",
    model=r"[A-Za-z0-9._-]+",
    task=r"[A-Za-z0-9_-]+",
    tool=r"[A-Za-z0-9_-]+",
    approach=r"[A-Za-z0-9_-]+",
    sample=r"[0-9]+",
    archive=r"[A-Za-z0-9_@.-]+",
    before=r"((?!__)[A-Za-z0-9_-])+(@replay)?",
    after=r"((?!__)[A-Za-z0-9_-])+(@replay)?",
    batch=r"[A-Za-z0-9_-]+",


localrules:  # on a cluster these stay where the network is, and cost less than queueing them
    all,
    run,
    tables,
    report,
    archive,
    compare,
    batch,


include: "workflow/rules/common.smk"


if flow.source == "cases":

    localrules:
        fetch_weights,
        fetch_corpus,
        fetch_repository,
        check_prepared,
        render_prompts,

    include: "workflow/rules/fetch.smk"
    include: "workflow/rules/contexts.smk"
    include: "workflow/rules/prompts.smk"


if flow.source != "samples":

    localrules:
        declare_plan,

    include: "workflow/rules/run.smk"


include: "workflow/rules/analyse.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/batch.smk"
include: "workflow/rules/archive.smk"


if not flow.call.is_module:  # what the command line says of a clone

    include: "workflow/rules/inspect.smk"
    include: "workflow/rules/clean.smk"


rule all:
    """Everything for the configured profile: samples, tables, report."""
    default_target: True
    input:
        flow.targets("report"),


rule run:
    """Ask the models: all samples of the configured profile, no tables."""
    input:
        flow.targets("blocks"),


rule tables:
    """Tables of the configured profile."""
    input:
        flow.targets("tables"),


rule report:
    """Report of the configured profile in every format."""
    input:
        flow.targets("report"),


rule archive:
    """The run as one file that can be checked and rendered again anywhere."""
    input:
        flow.targets("archive"),


rule compare:
    """Compare profiles: --config compare=light,medium,heavy (the first with each of the others)."""
    input:
        flow.run_sets.comparisons,


rule batch:
    """Run a batch: --config batch=quick|standard|comprehensive|scaling or a custom batch."""
    input:
        flow.run_sets.batch_report,


onstart:
    flow.look_for_servers()
    flow.offer_worker()


onsuccess:
    flow.report_success()


onerror:
    flow.report_failure()
