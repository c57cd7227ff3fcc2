"""Recomputes the truth of context analysis from the syntax trees of the sources, without any tool.

The import graph and the complexity follow the definitions in the question to the letter; both are written here
anew and share nothing with grimp or radon.
"""
from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHARS_PER_TOKEN = 3.2
TOKENS = {"S": 2500, "L": 7000}
PROMPT_OVERHEAD = 200  # characters of headings and answer instructions around question, schema and files
FILE_OVERHEAD = 20  # characters of heading and fence of a file, besides its path
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Graph = dict[str, set[str]]


def case_files(task_dir: Path, case: dict[str, Any]) -> list[Path]:
    """The files that the model is shown."""
    root = task_dir / "sources" / case["source"]
    patterns = case.get("files", ["**/*"])
    return sorted({p for pattern in patterns for p in root.glob(pattern) if p.is_file() and p.suffix != ".pyc"})


def module_name(path: Path, package_dir: Path) -> str:
    """Dotted path below the package; a package's own file ends in __init__."""
    return ".".join(path.relative_to(package_dir).with_suffix("").parts)


def is_type_checking(test: ast.expr) -> bool:
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
    return False


def import_time_statements(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements that run when the module is imported."""
    for statement in body:
        match statement:
            case ast.Import() | ast.ImportFrom():
                yield statement
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                continue
            case ast.If(test=test, body=then, orelse=other):
                if not is_type_checking(test):
                    yield from import_time_statements(then)
                yield from import_time_statements(other)
            case _:
                for field in ("body", "orelse", "finalbody"):
                    yield from import_time_statements(getattr(statement, field, []))
                for handler in getattr(statement, "handlers", []):
                    yield from import_time_statements(handler.body)


def candidates(statement: ast.Import | ast.ImportFrom, package: str, here: list[str]) -> Iterator[tuple[str, ...]]:
    """Absolute dotted names that a statement may stand for, each as a tuple of its parts."""
    if isinstance(statement, ast.Import):
        yield from (tuple(alias.name.split(".")) for alias in statement.names)
        return
    base = statement.module.split(".") if statement.module else []
    if statement.level:
        parents = [package, *here[:-1]]
        base = parents[: len(parents) - statement.level + 1] + base
    yield from ((*base, alias.name) for alias in statement.names)


def import_graph(files: list[Path], package: str) -> Graph:
    """Which modules each module imports directly; the files called __init__ are left out."""
    package_dir = next(p for p in files if p.name == "__init__.py" and p.parent.name == package).parent
    modules = {module_name(p, package_dir): p for p in files if p.suffix == ".py"}
    graph: Graph = {name: set() for name in modules if name.split(".")[-1] != "__init__"}
    for name in graph:
        tree = ast.parse(modules[name].read_text())
        for statement in import_time_statements(tree.body):
            for parts in candidates(statement, package, name.split(".")):
                if parts[0] != package:
                    continue
                inner = parts[1:]
                names = (".".join(inner), ".".join(inner[:-1]))
                hit = next((n for n in names if n in graph), None)
                if hit and hit != name:
                    graph[name].add(hit)
    return graph


def reached(graph: Graph, start: str) -> set[str]:
    """Everything that a module imports, directly or over others."""
    seen: set[str] = set()
    todo = [start]
    while todo:
        for name in graph[todo.pop()] - seen:
            seen.add(name)
            todo.append(name)
    return seen


def functions(tree: ast.AST) -> Iterator[FunctionNode]:
    """Every function and method that is not within another one."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, FunctionNode):
            yield node
        else:
            yield from functions(node)


def complexity(function: FunctionNode) -> int:
    """Complexity as the question defines it."""
    total = 1
    for node in (n for statement in function.body for n in ast.walk(statement)):
        match node:
            case ast.If() | ast.For() | ast.AsyncFor() | ast.While() | ast.ExceptHandler() | ast.IfExp():
                total += 1
            case ast.match_case():
                total += 1
            case ast.BoolOp(values=values):
                total += len(values) - 1
            case ast.comprehension(ifs=ifs):
                total += 1 + len(ifs)
    return total


def audit_structure(truth: dict[str, Any], graph: Graph, target: str) -> Iterator[str]:
    """Differences in the fields about imports, and questions that have no single answer."""
    importers = Counter(name for imports in graph.values() for name in imports)
    (first, most), *rest = importers.most_common(2)
    if rest and rest[0][1] == most:
        yield f"{first} and {rest[0][0]} are imported by {most} modules each"
    if first != truth["most_imported_module"]:
        yield f"most_imported_module is {first}"
    reach = {name: reached(graph, name) for name in graph}
    looped = {name for name in graph if name in reach[name]}
    if looped != set(truth["import_cycle"]) or len(looped) != len(truth["import_cycle"]):
        yield f"import_cycle is {sorted(looped)}"
    if any(not looped <= reach[name] for name in looped):
        yield "there are two import cycles"
    if target not in graph:
        yield f"target {target} is no module"
        return
    affected = {name for name in graph if target in reach[name] and name != target}
    if affected != set(truth["affected_modules"]) or len(affected) != len(truth["affected_modules"]):
        yield f"affected_modules is {sorted(affected)}"
    if target == truth["most_imported_module"] or target in looped:
        yield f"the question names {target}, which is an expected answer"


def audit_complexity(truth: dict[str, Any], files: list[Path], limit: int) -> Iterator[str]:
    """Differences in the fields about functions."""
    scores = [(complexity(f), f.name) for p in files if p.suffix == ".py" for f in functions(ast.parse(p.read_text()))]
    scores.sort(reverse=True)
    if scores[0][0] == scores[1][0]:
        yield f"{scores[0][1]} and {scores[1][1]} are equally complex"
    if sum(name == scores[0][1] for _, name in scores) > 1:
        yield f"several functions are called {scores[0][1]}"
    if scores[0][1] != truth["most_complex_function"]:
        yield f"most_complex_function is {scores[0][1]} ({scores[0][0]}, then {scores[1][1]} {scores[1][0]})"
    count = sum(score > limit for score, _ in scores)
    if count != truth["complex_functions"]:
        yield f"complex_functions is {count}: {[s for s in scores if s[0] > limit]}"
    if count == limit:
        yield "complex_functions equals the limit that the question names"


def audit_size(task_dir: Path, case: dict[str, Any], files: list[Path]) -> Iterator[str]:
    """The declared size class against the length of the baseline prompt."""
    task = yaml.safe_load((task_dir / "task.yaml").read_text())
    around = len(task["question"]) + len(json.dumps(task["answer_schema"], separators=(",", ":"))) + PROMPT_OVERHEAD
    root = task_dir / "sources" / case["source"]
    characters = around + sum(len(p.read_text()) + len(str(p.relative_to(root))) + FILE_OVERHEAD for p in files)
    tokens = characters / CHARS_PER_TOKEN
    size = "S" if tokens <= TOKENS["S"] else "L"
    if tokens > TOKENS["L"]:
        yield f"about {tokens:.0f} tokens, more than {TOKENS['L']}"
    elif size != case["size"]:
        yield f"size is {size} (about {tokens:.0f} tokens), declared {case['size']}"


def audit_case(task_dir: Path, case: dict[str, Any]) -> Iterator[str]:
    """Differences between the truth of one case and its sources."""
    files = case_files(task_dir, case)
    values, truth = case["vars"], case["truth"]
    yield from audit_size(task_dir, case, files)
    yield from audit_structure(truth, import_graph(files, values["package"]), values["target"])
    yield from audit_complexity(truth, files, values["limit"])


def audit(task_dir: Path) -> list[str]:
    """Differences between the declared truth and what the sources say, one line each; empty if all agree."""
    lines = []
    for path in sorted((task_dir / "cases").glob("*.yaml")):
        case = yaml.safe_load(path.read_text())
        lines += [f"{path.name}: {problem}" for problem in audit_case(task_dir, case)]
    return lines
