"""Recomputes the truth of pattern detection from the syntax trees of the sources, without any tool.

Two views of a function decide. The *exact* one numbers every name in the order of its first use, so that two
functions agree if and only if one is a consistent renaming of the other. The *loose* one forgets which name is
which. Functions that agree only loosely would be open to dispute: the audit refuses them.
"""
from __future__ import annotations

import ast
import builtins
import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

LOGGERS = frozenset({"log", "logger", "logging", "_log", "_logger", "LOG", "print"})
EXCEPTIONS = frozenset(
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
)
BUILTINS = frozenset(name for name in vars(builtins) if not name.startswith("_")) - EXCEPTIONS
CHARS_PER_TOKEN = 3.2
TOKENS = {"S": 2500, "L": 7000}
PROMPT_OVERHEAD = 200  # characters of headings and answer instructions around question, schema and files
FILE_OVERHEAD = 20  # characters of heading and fence of a file, besides its path
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[FunctionNode]:
    """Every function and method of a module but the special ones, outer ones first."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, FunctionNode))
    return (node for node in nodes if not (node.name.startswith("__") and node.name.endswith("__")))


def is_literal(node: ast.AST) -> bool:
    """A constant, a signed number, or a display that holds literals only."""
    match node:
        case ast.Constant():
            return True
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
            return True
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return all(map(is_literal, items))
        case ast.Dict(keys=keys, values=values):
            return all(k is not None and is_literal(k) for k in keys) and all(map(is_literal, values))
    return False


def is_ignored(node: ast.stmt) -> bool:
    """A docstring, or a statement that only logs or prints."""
    if not isinstance(node, ast.Expr):
        return False
    if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return True
    if not isinstance(node.value, ast.Call):
        return False
    target = node.value.func
    while isinstance(target, ast.Attribute):
        if target.attr in LOGGERS:
            return True
        target = target.value
    return isinstance(target, ast.Name) and target.id in LOGGERS


class Shape:
    """Turns a function body into nested tuples in which only structure is left."""

    def __init__(self, exact: bool) -> None:
        self.exact = exact
        self.names: dict[tuple[str, str], int] = {}

    def name(self, kind: str, text: str) -> Any:
        if kind == "name" and text in BUILTINS:
            return text
        return self.names.setdefault((kind, text), len(self.names)) if self.exact else kind

    def body(self, statements: list[ast.stmt]) -> tuple[Any, ...]:
        return tuple(self.node(s) for s in statements if not is_ignored(s))

    def node(self, node: Any) -> Any:
        if isinstance(node, list):
            return self.body(node) if node and isinstance(node[0], ast.stmt) else tuple(map(self.node, node))
        if not isinstance(node, ast.AST):
            return node
        if is_literal(node):
            return "literal"
        match node:
            case ast.JoinedStr(values=values):
                return ("fstring", *(self.node(v.value) for v in values if isinstance(v, ast.FormattedValue)))
            case ast.Name(id=text):
                return self.name("name", text)
            case ast.Attribute(value=value, attr=text):
                return ("attribute", self.node(value), self.name("attribute", text))
            case ast.keyword(arg=text, value=value):
                return ("keyword", self.name("keyword", text or "**"), self.node(value))
            case ast.arg(arg=text):
                return self.name("name", text)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                return ("Assign", (self.node(target),), self.node(value))
            case ast.Assign(targets=targets, value=value):
                return ("Assign", tuple(map(self.node, targets)), self.node(value))
            case ast.ExceptHandler(type=kind, name=text, body=body):
                caught = None if kind is None else self.node(kind)
                return ("except", caught, text and self.name("name", text), self.body(body))
        skipped = {"returns", "annotation", "type_comment", "ctx", "kind", "decorator_list"}
        fields = [(f, v) for f, v in ast.iter_fields(node) if f not in skipped]
        return (type(node).__name__, *((f, self.node(v)) for f, v in fields))


def shape(function: FunctionNode, exact: bool) -> tuple[Any, ...]:
    """Structure of a function's body; equal structures mean a shared pattern."""
    return (type(function).__name__, Shape(exact).body(function.body))


def evidence(function: FunctionNode) -> set[str]:
    """Kinds of work that the syntax of a function allows."""
    nodes = [n for s in function.body if not is_ignored(s) for n in ast.walk(s)]
    loops = [n for n in nodes if isinstance(n, ast.For | ast.While | ast.AsyncFor)]
    inside = [n for loop in loops for n in ast.walk(loop)]
    calls = [n.func.attr for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    stores = [n for n in nodes if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)]
    kinds: set[str] = set()
    if any(isinstance(n, ast.Try) for n in inside):
        kinds.add("retry")
    elif any(isinstance(n, ast.Return) for n in inside):
        kinds.add("search")
    elif any(isinstance(n, ast.AugAssign) for n in inside):
        kinds.add("accumulate")
    elif loops and (stores or {"append", "add"} & set(calls) or any(isinstance(n, ast.Yield) for n in inside)):
        kinds.add("collect")
    if any(isinstance(n, ast.Raise) for n in nodes) and "retry" not in kinds:
        kinds.add("validate")
    if not loops and any(isinstance(n, ast.If) for n in nodes) and (stores or {"set", "put"} & set(calls)):
        kinds.add("cache")
    if any(isinstance(n, ast.JoinedStr) for n in nodes) or {"join", "format"} & set(calls):
        kinds.add("format")
    return kinds


def case_files(task_dir: Path, case: dict[str, Any]) -> list[Path]:
    """The files that the model is shown."""
    root = task_dir / "sources" / case["source"]
    patterns = case.get("files", ["**/*"])
    return sorted({p for pattern in patterns for p in root.glob(pattern) if p.is_file() and p.suffix != ".pyc"})


def audit_size(task_dir: Path, case: dict[str, Any], files: list[Path]) -> list[str]:
    """The declared size class against the length of the baseline prompt."""
    task = yaml.safe_load((task_dir / "task.yaml").read_text())
    around = len(task["question"]) + len(json.dumps(task["answer_schema"], separators=(",", ":"))) + PROMPT_OVERHEAD
    root = task_dir / "sources" / case["source"]
    characters = around + sum(len(p.read_text()) + len(str(p.relative_to(root))) + FILE_OVERHEAD for p in files)
    tokens = characters / CHARS_PER_TOKEN
    size = "S" if tokens <= TOKENS["S"] else "L"
    if tokens > TOKENS["L"]:
        return [f"about {tokens:.0f} tokens, more than {TOKENS['L']}"]
    return [] if size == case["size"] else [f"size is {size} (about {tokens:.0f} tokens), declared {case['size']}"]


def audit_case(task_dir: Path, case: dict[str, Any]) -> list[str]:
    """Differences between the truth of one case and its sources."""
    files = case_files(task_dir, case)
    found: dict[str, FunctionNode] = {}
    problems = audit_size(task_dir, case, files)
    for path in files:
        for node in functions(ast.parse(path.read_text(), str(path))):
            if node.name in found:
                problems.append(f"two functions are called {node.name}")
            found[node.name] = node
    groups = defaultdict(set)
    for name, node in found.items():
        groups[shape(node, exact=True)].add(name)
    real = {frozenset(g) for g in groups.values() if len(g) > 1}
    said = {frozenset(g) for g in case["truth"]["groups"]}
    problems += [f"group {sorted(g)} is missing in the truth" for g in real - said]
    problems += [f"group {sorted(g)} is not in the sources" for g in said - real]
    for group in said & real:
        if len({len(found[name].args.args) for name in group}) > 1:
            problems.append(f"functions of {sorted(group)} take different numbers of parameters: open to dispute")
    for a, b in combinations(found, 2):
        if shape(found[a], False) == shape(found[b], False) and shape(found[a], True) != shape(found[b], True):
            problems.append(f"{a} and {b} differ only in which name stands where: open to dispute")
    return problems + audit_kind(case["truth"]["kind"], said, found)


def audit_kind(kind: str, groups: set[frozenset[str]], found: dict[str, FunctionNode]) -> list[str]:
    """The largest group is one only, and its functions can be of the kind that the truth names."""
    if not groups:
        return [] if kind == "none" else [f"kind is {kind} without a group"]
    ordered = sorted(groups, key=len, reverse=True)
    if len(ordered) > 1 and len(ordered[0]) == len(ordered[1]):
        return ["no group is the largest"]
    wrong = [n for n in sorted(ordered[0]) if n in found and kind not in evidence(found[n])]
    return [f"{name}: nothing in its syntax says {kind}" for name in wrong]


def audit(task_dir: Path) -> list[str]:
    """Differences between the declared truth and what the sources say, one line each; empty if all agree."""
    lines = []
    for path in sorted((task_dir / "cases").glob("*.yaml")):
        case = yaml.safe_load(path.read_text())
        lines += [f"{path.name}: {problem}" for problem in audit_case(task_dir, case)]
    return lines
