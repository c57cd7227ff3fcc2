"""Recompute every truth of this task from the pinned file's syntax tree, without any of the tools under test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ai_dev_tools.benchmark.tasks.excerpts import Excerpt


def audit(task_dir: Path, corpora_dir: Path) -> list[str]:
    """Return one line for each case whose recorded truth differs from the recomputed one; [] is a pass."""
    differences = []
    for path in sorted((task_dir / "cases").glob("*.yaml")):
        case = yaml.safe_load(path.read_text(encoding="utf-8"))
        excerpt = Excerpt(**case["excerpt"])
        source = corpora_dir / case["source"].removeprefix("corpus:") / excerpt.file
        if not source.is_file():
            differences.append(f"{path.name}: {source.name} is not fetched")
            continue
        found = truth(excerpt.cut(source.read_text(encoding="utf-8")), case["vars"])
        if found != case["truth"]:
            differences.append(f"{path.name}: recorded {case['truth']}, found {found}")
    return differences


def truth(code: str, ask: dict[str, Any]) -> dict[str, Any]:
    """Answer a case's two questions from the excerpt's syntax tree."""
    tree = ast.parse(code)
    return {"names": list(dict.fromkeys(_names(tree, ask))), "count": _count(tree, ask)}


def _names(tree: ast.Module, ask: dict[str, Any]) -> Iterator[str]:
    """Names in the order of the source, possibly repeated."""
    target = ask.get("target", "")
    functions = list(_functions(tree))
    match ask["ask"]:
        case "calls":
            yield from (f.name for f in functions if target in _calls(f.body))
        case "generated":
            prefix = "gen_math_ops."
            calls = _calls(_function(tree, target).body)
            yield from (name.removeprefix(prefix) for name in calls if name.startswith(prefix))
        case "decorated":
            yield from (f.name for f in functions if target in map(_callee, f.decorator_list))
        case "parameter":
            yield from (f.name for f in functions if target in dict(_parameters(f)))
        case "default":
            parameters = _parameters(_function(tree, target))
            yield from (name for name, default in parameters if default == ask["value"])
        case "optional":
            yield from (name for name, default in _parameters(_function(tree, target)) if default is not None)
        case "raises":
            yield from (f.name for f in functions if target in _raised(f))
        case "hidden":
            yield from (f.name for f in functions if any(map(_is_hidden_in_v1, f.decorator_list)))
        case "undocumented":
            yield from (f.name for f in functions if ast.get_docstring(f) is None)
        case "keys":
            yield from _keys(tree, target, ask["value"])
        case "nested":
            outer = _function(tree, target)
            yield from (n.name for n in ast.walk(outer) if isinstance(n, ast.FunctionDef) and n is not outer)
        case kind:
            raise ValueError(f"unknown question {kind!r}")


def _count(tree: ast.Module, ask: dict[str, Any]) -> int:
    subject = ask.get("subject", "")
    match ask["tally"]:
        case "functions":
            return len(list(_functions(tree)))
        case "methods":
            (cls,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == subject)
            return sum(isinstance(n, ast.FunctionDef) for n in cls.body)
        case "parameters":
            return len(list(_parameters(_function(tree, subject))))
        case "decorators":
            return len(_function(tree, subject).decorator_list)
        case "returns":
            return sum(isinstance(n, ast.Return) for n in ast.walk(_function(tree, subject)))
        case "raises":
            return sum(isinstance(n, ast.Raise) for n in ast.walk(_function(tree, subject)))
        case "calls":
            return _calls(_function(tree, subject).body).count(ask["callee"])
        case "having":
            return sum(subject in dict(_parameters(f)) for f in _functions(tree))
        case kind:
            raise ValueError(f"unknown tally {kind!r}")


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in tree.body if isinstance(node, ast.FunctionDef))


def _function(tree: ast.Module, name: str) -> ast.FunctionDef:
    (found,) = (f for f in _functions(tree) if f.name == name)
    return found


def _parameters(function: ast.FunctionDef) -> Iterator[tuple[str, str | None]]:
    """Each parameter's name with its default as source text, None without one."""
    spec = function.args
    positional = [*spec.posonlyargs, *spec.args]
    defaults = [*[None] * (len(positional) - len(spec.defaults)), *spec.defaults, *spec.kw_defaults]
    for parameter, default in zip([*positional, *spec.kwonlyargs], defaults, strict=True):
        yield parameter.arg, None if default is None else ast.unparse(default)
    yield from ((extra.arg, None) for extra in (spec.vararg, spec.kwarg) if extra)


def _calls(body: list[ast.stmt]) -> list[str]:
    """Dotted names called anywhere in a body, in the order of the source."""
    calls = [node for statement in body for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return [ast.unparse(call.func) for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset))]


def _callee(expression: ast.expr) -> str:
    return ast.unparse(expression.func) if isinstance(expression, ast.Call) else ""


def _raised(function: ast.FunctionDef) -> set[str]:
    """Names called in the function's `raise` statements."""
    return {_callee(n.exc) for n in ast.walk(function) if isinstance(n, ast.Raise) and n.exc is not None}


def _is_hidden_in_v1(decorator: ast.expr) -> bool:
    if not isinstance(decorator, ast.Call) or _callee(decorator) != "tf_export":
        return False
    return any(k.arg == "v1" and ast.unparse(k.value) == "[]" for k in decorator.keywords)


def _keys(tree: ast.Module, variable: str, value: str) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == variable:
            assert isinstance(node.value, ast.Dict)
            for key, entry in zip(node.value.keys, node.value.values, strict=True):
                if key is not None and ast.unparse(entry) == value:
                    yield ast.unparse(key).removeprefix("dtypes.")
