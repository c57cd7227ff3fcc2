"""Recompute every truth of this task from the pinned files' syntax trees, without any of the tools under test."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def audit(task_dir: Path, corpora_dir: Path) -> list[str]:
    """Return one line for each case whose recorded truth differs from the recomputed one; [] is a pass."""
    differences = []
    for path in sorted((task_dir / "cases").glob("*.yaml")):
        case = yaml.safe_load(path.read_text(encoding="utf-8"))
        folder = corpora_dir / case["source"].removeprefix("corpus:")
        missing = [name for name in case["files"] if not (folder / name).is_file()]
        if missing:
            differences.append(f"{path.name}: {missing[0]} of {case['source']} is not fetched")
            continue
        texts = {name: (folder / name).read_text(encoding="utf-8") for name in case["files"]}
        found = truth(texts, case["vars"])
        if found != case["truth"]:
            differences.append(f"{path.name}: recorded {case['truth']}, found {found}")
    return differences


def truth(texts: dict[str, str], ask: dict[str, Any]) -> dict[str, Any]:
    """Answer a case's two questions from the files shown (path -> text)."""
    trees = {name: ast.parse(text) for name, text in texts.items() if name.endswith(".py")}
    names = _packaging(texts, ask) if ask["ask"] in PACKAGING else _names(trees, ask)
    return {"names": list(dict.fromkeys(names)), "file": _file(trees, ask)}


PACKAGING = ("extras", "dependencies", "scripts")


def _packaging(texts: dict[str, str], ask: dict[str, Any]) -> list[str]:
    (text,) = (text for name, text in texts.items() if PurePosixPath(name).name == ask["file"])
    project = tomllib.loads(text)["project"]
    match ask["ask"]:
        case "extras":
            return list(project["optional-dependencies"])
        case "dependencies":
            return [re.split(r"[\s<>=!~;\[(]", requirement, maxsplit=1)[0] for requirement in project["dependencies"]]
        case _:
            return list(project["scripts"])


def _names(trees: dict[str, ast.Module], ask: dict[str, Any]) -> Iterator[str]:
    """Names in the order of the files, possibly repeated."""
    target = ask.get("target", "")
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    functions = [node for node in nodes if isinstance(node, FUNCTIONS)]
    match ask["ask"]:
        case "exports":
            yield from _exports(_tree_of(trees, ask["file"]))
        case "imported":
            for node in ast.walk(_tree_of(trees, ask["file"])):
                if isinstance(node, ast.ImportFrom) and "." * node.level + (node.module or "") == ask["module"]:
                    yield from (alias.name for alias in node.names)
        case "subclasses":
            yield from (c.name for c in classes if target in map(_unsubscripted, c.bases))
        case "properties" | "methods" as kind:
            (owner,) = (c for c in classes if c.name == target)
            methods = [node for node in owner.body if isinstance(node, FUNCTIONS)]
            is_asked: dict[str, Callable[[Function], bool]] = {
                "properties": lambda m: "property" in map(ast.unparse, m.decorator_list),
                "methods": lambda m: not m.name.startswith("_"),
            }
            yield from (m.name for m in methods if is_asked[kind](m))
        case "calls":
            yield from (f.name for f in functions if target in _calls(f))
        case "raises":
            yield from (f.name for f in functions if target in _raised(f))
        case "parameter":
            yield from (f.name for f in functions if target in _parameters(f))
        case "parameters":
            yield from _parameters(next(f for f in functions if f.name == target))
        case "decorated":
            decorated = [*classes, *functions]
            yield from (n.name for n in decorated if target in map(ast.unparse, n.decorator_list))
        case kind:
            raise ValueError(f"unknown question {kind!r}")


def _file(trees: dict[str, ast.Module], ask: dict[str, Any]) -> str:
    """The one file that answers; more or fewer than one is an error in the case."""
    subject = ask["subject"]
    is_asked: dict[str, Callable[[ast.Module], bool]] = {
        "defines": lambda tree: subject in _defined(tree),
        "imports": lambda tree: any((m + ".").startswith(subject + ".") for m in _imported_modules(tree)),
        "raises": lambda tree: any(subject in _raised(node) for node in ast.walk(tree)),
        "calls": lambda tree: subject in _calls(tree),
        "rename": lambda tree: subject in _mentioned(tree) and subject not in _defined(tree),
    }
    found = [PurePosixPath(name).name for name, tree in trees.items() if is_asked[ask["seek"]](tree)]
    if len(found) != 1 or (ask["seek"] == "rename" and not any(subject in _defined(t) for t in trees.values())):
        raise ValueError(f"{ask['seek']} {subject!r} has {len(found)} answers: {found}")
    return found[0]


def _tree_of(trees: dict[str, ast.Module], file: str) -> ast.Module:
    (tree,) = (tree for name, tree in trees.items() if PurePosixPath(name).name == file)
    return tree


def _exports(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    raise ValueError("no __all__")


def _unsubscripted(base: ast.expr) -> str:
    """`Generic[T]` is the base `Generic`."""
    return ast.unparse(base.value if isinstance(base, ast.Subscript) else base)


def _calls(tree: ast.AST) -> set[str]:
    """Dotted names called in the code (decorators of the node itself left out)."""
    nodes = [n for part in tree.body for n in ast.walk(part)] if isinstance(tree, FUNCTIONS) else ast.walk(tree)
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}


def _raised(tree: ast.AST) -> set[str]:
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc is not None]
    return {ast.unparse(exc.func if isinstance(exc, ast.Call) else exc) for exc in raised}


def _parameters(function: Function) -> list[str]:
    spec = function.args
    extra = [arg for arg in (spec.vararg, spec.kwarg) if arg]
    return [arg.arg for arg in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *extra)]


def _defined(tree: ast.Module) -> set[str]:
    """Names that a module defines at its top level."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
    return names


def _imported_modules(tree: ast.Module) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules.add(node.module)
    return modules


def _mentioned(tree: ast.Module) -> set[str]:
    """Identifiers that a module uses: names, attributes and imported names."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            names.update(alias.name for alias in node.names)
    return names
