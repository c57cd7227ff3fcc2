"""Prints the import graph of every package in the current folder as JSON: grimp is a library without a command.

grimp finds imports in the syntax trees and runs none of the code. Imports under TYPE_CHECKING are left out; those
within functions grimp does not tell from the others. Modules are named below their package ("views.cart" for
shop.views.cart, "__init__" for the package itself). A cycle is a set of modules that reach each other.

Prints {"packages": [{"package", "modules": [{"name", "imports", "importers"}], "cycles": [[name]]}]}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import grimp


def short(module: str, package: str) -> str:
    return module.removeprefix(package).lstrip(".") or "__init__"


def cycles(graph: grimp.ImportGraph, modules: list[str]) -> list[list[str]]:
    """The sets of two or more modules that import each other, directly or over others."""
    reach = {m: graph.find_upstream_modules(m) for m in modules}
    sets = {frozenset({m, *(n for n in reach[m] if m in reach[n])}) for m in modules}
    return sorted(sorted(s) for s in sets if len(s) > 1)


def report(package: str) -> dict[str, Any]:
    """Modules, imports and cycles of one package."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)
    modules = sorted(graph.modules)
    return {
        "package": package,
        "modules": [
            {
                "name": short(m, package),
                "imports": sorted(short(n, package) for n in graph.find_modules_directly_imported_by(m)),
                "importers": len(graph.find_modules_that_directly_import(m)),
            }
            for m in modules
        ],
        "cycles": [[short(m, package) for m in members] for members in cycles(graph, modules)],
    }


def main() -> None:
    folder = Path.cwd()
    sys.path.insert(0, str(folder))
    names = sorted(p.parent.name for p in folder.glob("*/__init__.py"))
    print(json.dumps({"packages": [report(name) for name in names]}))


if __name__ == "__main__":
    main()
