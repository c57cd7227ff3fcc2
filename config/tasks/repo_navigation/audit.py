"""Recompute every truth of this task from the syntax trees of whole workspaces, without any of the tools under test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def audit(task_dir: Path, corpora_dir: Path) -> list[str]:
    """Return one line for each case whose recorded truth differs from the recomputed one; [] is a pass."""
    differences = []
    read_before: dict[tuple[str, ...], list[Place]] = {}
    for path in sorted((task_dir / "cases").glob("*.yaml")):
        case = yaml.safe_load(path.read_text(encoding="utf-8"))
        folder = corpora_dir / f"{case['workspace']['corpus']}-all"
        if not folder.is_dir():
            differences.append(f"{path.name}: corpus {case['workspace']['corpus']} is not fetched")
            continue
        key = case["cluster"], *case["files"]
        try:
            read_before[key] = places = read_before.get(key) or places_of(read(folder, case["files"]))
            found = answer(places, case["vars"])
        except ValueError as error:
            differences.append(f"{path.name}: {error}")
            continue
        if found != case["truth"]:
            differences.append(f"{path.name}: recorded {case['truth']}, found {found}")
    return differences


def read(folder: Path, globs: list[str]) -> dict[str, str]:
    """The texts of a workspace by path."""
    found = {path for glob in globs for path in folder.glob(glob) if path.is_file()}
    names = sorted(path.relative_to(folder) for path in found)
    shown = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    return {name.as_posix(): (folder / name).read_text(encoding="utf-8") for name in shown}


@dataclass(frozen=True)
class Place:
    """A node of a file's tree, with the definitions that it is inside of, the innermost last."""

    file: str
    node: ast.AST
    around: tuple[Function | ast.ClassDef, ...]

    @property
    def function(self) -> str | None:
        """The function or method whose body it is in; None outside of all.

        Raises:
            ValueError: of one in another, it could be either.
        """
        functions = [node.name for node in self.around if isinstance(node, FUNCTIONS)]
        if len(functions) > 1:
            raise ValueError(f"line {getattr(self.node, 'lineno', 0)} of {self.file} is in a function within another")
        return functions[0] if functions else None


def truth(texts: dict[str, str], ask: dict[str, Any]) -> dict[str, Any]:
    """Answer a case's two questions from the files of its workspace (path -> text)."""
    return answer(places_of(texts), ask)


def places_of(texts: dict[str, str]) -> list[Place]:
    """All nodes of all Python files."""
    return [place for name, text in texts.items() if name.endswith(".py") for place in _places(name, ast.parse(text))]


def answer(places: list[Place], ask: dict[str, Any]) -> dict[str, Any]:
    """Both answers, each in alphabetical order.

    Raises:
        ValueError: a question has no answer, or could be read in two ways.
    """
    names = sorted(set(_names(places, ask)))
    files = sorted(set(_files(places, ask)))
    paths = {place.file for place in places}
    for name in files:
        if sum(PurePosixPath(path).name == name for path in paths) != 1:
            raise ValueError(f"{name} is the name of several files")
    if not names or not files:
        raise ValueError("a question has no answer")
    return {"names": names, "files": files}


def _places(file: str, tree: ast.Module) -> Iterator[Place]:
    """All nodes of a file. Decorators, bases and defaults are outside of what they belong to."""
    todo: list[Place] = [Place(file, tree, ())]
    while todo:
        place = todo.pop()
        yield place
        node = place.node
        body = set(map(id, node.body)) if isinstance(node, (*FUNCTIONS, ast.ClassDef)) else set()
        for child in ast.iter_child_nodes(node):
            around = (*place.around, node) if id(child) in body else place.around
            todo.append(Place(file, child, around))  # type: ignore[arg-type]


def _names(places: list[Place], ask: dict[str, Any]) -> Iterator[str]:
    target = ask.get("target", "")
    match ask["ask"]:
        case "calls":
            _require_once(places, target)
            found = [p for p in places if isinstance(p.node, ast.Call) and _last(p.node.func) == target]
            yield from (name for p in found if (name := p.function))
        case "raises":
            _require_unaliased(places, target)
            found = [p for p in places if isinstance(p.node, ast.Raise) and _raised(p.node) == target]
            yield from (name for p in found if (name := p.function))
        case "subclasses":
            yield from _descendants(places, target)
        case "overrides":
            methods = [p for p in places if isinstance(p.node, FUNCTIONS) and p.node.name == target and p.around]
            yield from (p.around[-1].name for p in methods if isinstance(p.around[-1], ast.ClassDef))
        case "traceback":
            found = [p for p in places if isinstance(p.node, ast.Raise) and _says(p.node) == (ask["error"], ask["message"])]
            if len(found) != 1:
                raise ValueError(f"{len(found)} places raise this error")
            yield from (name for p in found if (name := p.function))
        case kind:
            raise ValueError(f"unknown question {kind!r}")


def _files(places: list[Place], ask: dict[str, Any]) -> Iterator[str]:
    subject = ask["subject"]
    match ask["seek"]:
        case "defines":
            yield PurePosixPath(_require_once(places, subject).file).name
        case "imports":
            found = [p for p in places if any((m + ".").startswith(subject + ".") for m in _modules(p.node))]
            yield from (PurePosixPath(p.file).name for p in found)
        case "rename":
            home = _require_once(places, subject)
            _require_unaliased(places, subject)
            found = [p for p in places if subject in _mentioned(p.node) and p.file != home.file]
            yield from (PurePosixPath(p.file).name for p in found)
        case kind:
            raise ValueError(f"unknown question {kind!r}")


def _require_once(places: list[Place], name: str) -> Place:
    """The one definition of a name: what is said of the name is then said of it."""
    found = [p for p in places if name in _defined(p)]
    if len(found) != 1:
        raise ValueError(f"{name!r} is defined {len(found)} times")
    _require_unaliased(places, name)
    return found[0]


def _require_unaliased(places: list[Place], name: str) -> None:
    aliases = [p.node for p in places if isinstance(p.node, ast.alias) and p.node.asname]
    if any(name in (str(alias.name).split(".")[-1], alias.asname) and alias.name != alias.asname for alias in aliases):
        raise ValueError(f"{name!r} is imported under another name")


def _defined(place: Place) -> set[str]:
    """Names that a statement defines: functions, methods and classes anywhere, variables of a module or class."""
    node = place.node
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return {node.name}
    if any(isinstance(outer, FUNCTIONS) for outer in place.around) or not isinstance(node, ast.Assign | ast.AnnAssign):
        return set()
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _last(node: ast.AST | None) -> str:
    """The last part of a dotted name; `Generic[T]` is `Generic`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _last(value)
        case _:
            return ""


def _raised(node: ast.Raise) -> str:
    return _last(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)


def _says(node: ast.Raise) -> tuple[str, str] | None:
    """Error and message of a statement that raises one with a fixed text."""
    match node.exc:
        case ast.Call(func=func, args=[ast.Constant(value=str(message)), *_]):
            return _last(func), message
        case _:
            return None


def _descendants(places: list[Place], target: str) -> set[str]:
    """Classes that have the target as a base, directly or through others."""
    classes = [p.node for p in places if isinstance(p.node, ast.ClassDef)]
    found: set[str] = set()
    while more := {c.name for c in classes if {_last(base) for base in c.bases} & {target, *found}} - found:
        found |= more
    for name in found:
        _require_once(places, name)
    return found


def _modules(node: ast.AST) -> set[str]:
    match node:
        case ast.Import(names=names):
            return {alias.name for alias in names}
        case ast.ImportFrom(level=0, module=str(module)):
            return {module}
        case _:
            return set()


def _mentioned(node: ast.AST) -> set[str]:
    """Identifiers that a node uses, and the strings of `__all__`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {name}
        case ast.ImportFrom(names=names):
            return {alias.name for alias in names}
        case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=items) | ast.Tuple(elts=items)):
            return {item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)}
        case _:
            return set()
