"""What a start of the workflow does without."""

from __future__ import annotations

import subprocess
import sys

from snakemake.iocontainers import Snakemake
from snakemake.persistence import PersistenceBase

CODE = """
import sys
from types import SimpleNamespace
from ai_dev_tools.benchmark.workflow.process_setup import keep_pandas_out
from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Snakemake, Wildcards
from snakemake.persistence import PersistenceBase

keep_pandas_out()
store = SimpleNamespace(_serialize_param_builtin=repr)
print(PersistenceBase._serialize_param.fget(store)([1, "x"]), "pandas" in sys.modules)
params = Params(fromdict={"number": 1, "text": "x"})
given = (InputFiles(), OutputFiles(), params, Wildcards(), 1, ResourceList(), Log(), {}, "rule", None)
print(dict(Snakemake(*given).params.items()), "pandas" in sys.modules)
"""


def test_snakemake_looks_at_params_without_pandas() -> None:
    """It imports pandas for every start and every script, in case a parameter is a data frame; none is here."""
    assert hasattr(PersistenceBase, "_serialize_param_builtin"), "Snakemake changed: see surroundings.keep_pandas_out"
    assert hasattr(Snakemake, "_safely_store_params"), "Snakemake changed: see surroundings.keep_pandas_out"
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 'x'] False\n{'number': 1, 'text': 'x'} False\n"
