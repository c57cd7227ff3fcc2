"""Set up Snakemake's process and its jobs: PATH, short messages, fewer imports."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake.iocontainers import Params, Snakemake
from snakemake.persistence import PersistenceBase

import ai_dev_tools
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.workflow.run_lock import in_one_line

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

_BLOCK = re.compile(r"--block '\{.*\}' ", re.DOTALL)


def shorten_record(record: logging.LogRecord) -> bool:
    """Shorten Snakemake's messages about failed blocks and about the lock of a run that is alive.

    Otherwise the job's own line could not be found.
    """
    if isinstance(record.msg, str):
        record.msg = in_one_line(_BLOCK.sub("--block … ", record.msg))
    return True


def require_writable(results: Path) -> None:
    """Refuse to begin where nothing could be kept."""
    if results.exists() and not (results.is_dir() and os.access(results, os.W_OK | os.X_OK)):
        raise ConfigurationError(f"cannot write to {results}", remedy="Make it a folder that you may write to")


def keep_pandas_out() -> None:
    """Do without two parts of Snakemake that import pandas.

    They look for data frames in `params`, one at every start and one before the first script, and take half a second.

    No rule here has one there; those of a workflow that imports this one may.
    """
    if hasattr(PersistenceBase, "_serialize_param_builtin"):
        PersistenceBase._serialize_param = property(lambda store: store._serialize_param_builtin)
    if hasattr(Snakemake, "_safely_store_params"):
        Snakemake._safely_store_params = _store_params


def _store_params(script: Snakemake, params: Params) -> None:
    """Hand parameters to a script as they are."""
    script._params_store = Params(toclone=list(params))
    script._params_types = {}
    script._params_store._take_names(params._get_names())


def rest_between_jobs(workflow: Workflow) -> None:
    """Have Snakemake's scheduler sleep while jobs of this machine run.

    Its limit of jobs per second makes it look for jobs once a second, and once more for each job that has ended: after a
    hundred blocks, a hundred times a second, beside models that are measured. On a cluster the limit has a purpose.
    """
    if workflow.local_exec and hasattr(workflow.scheduler, "job_rate_limiter"):
        workflow.scheduler.job_rate_limiter = None


def prepare_environment() -> None:
    """Let jobs find this interpreter as `python3`, and other interpreters this package.

    In a conda environment, `python3` is that of the environment.
    """
    beside = str(Path(sys.executable).parent)
    if shutil.which("python3") != f"{beside}/python3":
        os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])
    os.environ["AI_DEV_BENCH_PACKAGE"] = str(Path(ai_dev_tools.__file__).parent)  # for envs/environment.post-deploy.sh
