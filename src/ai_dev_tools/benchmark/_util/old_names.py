"""Old import paths from before the package had rooms; each gives the module at its new place.

Old names within a module exist next to the new ones: `plugins` keeps `Endpoint` and `ENDPOINTS`, now `Outcome` and `OUTCOMES`.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType

_PACKAGE = "ai_dev_tools.benchmark"
OLD_NAMES = {
    "endpoints.weights": "endpoints.embedded.weights",
    "excerpts": "tasks.excerpts",
    "plots": "reporting.figures",
    "report": "reporting",
    "report.notebook": "reporting.notebook",
    "results": "runner.results",
    "scoring": "tasks.scoring",
    "tools": "prompts.tools",
    "watch": "workflow.live_view",
}


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self) -> None:
        self._own: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        known = fullname.removeprefix(f"{_PACKAGE}.") in OLD_NAMES and fullname.startswith(f"{_PACKAGE}.")
        return importlib.util.spec_from_loader(fullname, self) if known else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"{_PACKAGE}.{OLD_NAMES[spec.name.removeprefix(f'{_PACKAGE}.')]}")
        self._own[module.__name__] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Only give the module its own spec back: it already ran when it was imported under its own name."""
        module.__spec__ = self._own[module.__name__]

    def get_code(self, fullname: str) -> CodeType | None:
        """The code that `python -m` runs under the old name."""
        spec = importlib.util.find_spec(f"{_PACKAGE}.{OLD_NAMES[fullname.removeprefix(f'{_PACKAGE}.')]}")
        loader = spec.loader if spec else None
        return loader.get_code(spec.name) if spec and isinstance(loader, SourceFileLoader) else None


def keep_old_names() -> None:
    """Let Python find the old names."""
    sys.meta_path.insert(0, _Finder())  # ahead of a folder that an earlier version left behind
