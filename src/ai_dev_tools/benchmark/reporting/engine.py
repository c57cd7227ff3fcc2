"""A papermill engine without a Jupyter kernel, for a notebook that only shows parts of the report.

To start a kernel, import the package there and read the run again takes longer than all the rest of a report. Nothing of a
cell is executed here; other notebooks get a kernel.
"""

from __future__ import annotations

from typing import Any

import nbformat.v4 as v4
from papermill.engines import Engine, papermill_engines

from ai_dev_tools.benchmark.reporting.notebook import OpenReport, outputs


def register(run: OpenReport) -> str:
    """Let papermill know an engine that shows this run; its name."""

    class Showing(Engine):  # type: ignore[misc]  # papermill has no types
        @classmethod
        def execute_managed_notebook(cls, manager: Any, kernel_name: str, **_: Any) -> None:
            _show(manager, run)

    papermill_engines.register("shown", Showing)
    return "shown"


def _show(manager: Any, run: OpenReport) -> None:
    new_output: Any = v4.new_output
    code = (cell for cell in manager.nb.cells if cell.cell_type == "code")
    for count, cell in enumerate(code, start=1):
        manager.cell_start(cell, count)
        cell.execution_count = count
        try:
            cell.outputs = outputs(cell.source, run, count)
        except Exception as error:  # what a kernel would show of it: papermill raises it from there
            said = {"ename": type(error).__name__, "evalue": str(error), "traceback": []}
            cell.outputs = [new_output("error", **said)]
            manager.cell_exception(cell, count)
            return
        manager.cell_complete(cell, count)
