"""Finds the places of every systematic fix again, in the syntax trees of the sources and without any tool.

One detector per fault, written for this audit. It knows types only as far as the imports and names of a module
show them, which is enough for the shipped sources; it is no linter.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

CHARS_PER_TOKEN = 3.2
TOKENS = {"S": 2500, "L": 7000}
PROMPT_OVERHEAD = 900  # characters of headings, fences and answer schema around question and files
MIN_CASES, MIN_CLUSTERS, MIN_SMALL = 24, 12, 8
GIVEAWAY = re.compile(r"\b(TODO|FIXME|XXX|noqa|nosec|deprecated API|bug|fault)\b", re.I)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
VERBS = {"get", "post", "put", "patch", "delete", "head", "options", "request"}
LOG_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
# The edit that removes a kind of fault, and what it can break by the definitions in the question.
RISKS = {
    "request_without_timeout": ("add_argument", "MEDIUM"),
    "open_without_encoding": ("add_argument", "MEDIUM"),
    "run_without_check": ("add_argument", "MEDIUM"),
    "zip_without_strict": ("add_argument", "MEDIUM"),
    "warn_without_stacklevel": ("add_argument", "LOW"),
    "csv_without_newline": ("add_argument", "LOW"),
    "now_without_zone": ("add_argument", "HIGH"),
    "naive_utc": ("replace_call", "HIGH"),
    "numpy_global_random": ("replace_call", "HIGH"),
    "yaml_any_object": ("replace_call", "MEDIUM"),
    "sleep_in_async": ("replace_call", "MEDIUM"),
    "wall_clock_duration": ("replace_call", "LOW"),
    "mutable_default": ("replace_default", "LOW"),
    "open_without_with": ("use_with", "LOW"),
    "manual_lock": ("use_with", "LOW"),
    "bare_except": ("narrow_except", "MEDIUM"),
    "silent_broad_except": ("narrow_except", "MEDIUM"),
    "raise_without_cause": ("chain_cause", "LOW"),
    "none_comparison": ("change_operator", "LOW"),
    "assert_on_argument": ("raise_error", "MEDIUM"),
    "formatted_log": ("log_arguments", "LOW"),
    "dropped_task": ("keep_result", "LOW"),
}


class Scope:
    """A function (or the module), the nodes that are its own, and the parent of each node."""

    def __init__(self, name: str, node: ast.AST, parents: dict[ast.AST, ast.AST]) -> None:
        self.name = name
        self.node = node
        self.parents = parents
        self.own: list[ast.AST] = []

    @property
    def parameters(self) -> set[str]:
        args = getattr(self.node, "args", None)
        return {arg.arg for arg in ast.walk(args) if isinstance(arg, ast.arg)} - {"self", "cls"} if args else set()

    def calls(self) -> Iterator[tuple[ast.Call, str, str]]:
        """(call, dotted receiver, last name) of each call."""
        for node in self.own:
            if isinstance(node, ast.Call):
                receiver, _, last = dotted(node.func).rpartition(".")
                yield node, receiver, last

    def text(self) -> str:
        return ast.unparse(self.node)


Detector = Callable[[Scope], bool]
DETECTORS: dict[str, Detector] = {}


def detector(function: Detector) -> Detector:
    DETECTORS[function.__name__] = function
    return function


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute; other receivers become `?`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def keywords(call: ast.Call) -> set[str]:
    return {keyword.arg or "**" for keyword in call.keywords}


def scopes(tree: ast.Module) -> Iterator[Scope]:
    """The module, then every function with its qualified name; a class body belongs to the module."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    found: dict[ast.AST, Scope] = {tree: Scope("module", tree, parents)}
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            owner = parents[node]
            prefix = f"{owner.name}." if isinstance(owner, ast.ClassDef) else ""
            found[node] = Scope(prefix + node.name, node, parents)
    for node in ast.walk(tree):
        holder = parents.get(node, tree)
        while holder not in found:
            holder = parents[holder]
        found[holder].own.append(node)
    yield from found.values()


def literal(node: ast.AST | None) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def open_mode(call: ast.Call, receiver: str, last: str) -> str | None:
    """The mode of an `open` call on a file of the disk, else None."""
    if last != "open" or receiver in ("os", "gzip", "bz2", "tarfile", "zipfile", "bundle"):
        return None
    position = 1 if receiver == "" else 0
    named = next((literal(k.value) for k in call.keywords if k.arg == "mode"), None)
    given = literal(call.args[position]) if len(call.args) > position else None
    return str(named or given or "r")


@detector
def request_without_timeout(scope: Scope) -> bool:
    tables = [ast.unparse(node) for node in scope.own if isinstance(node, ast.Dict)]
    for call, receiver, last in scope.calls():
        starred = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg is None]
        handed_on = bool(starred) and (starred == ["LIMITS"] or any("'timeout': " in table for table in tables))
        asks = last == "urlopen" or (last in VERBS and receiver in ("requests", "self.session"))
        if asks and "timeout" not in keywords(call) and not handed_on:
            return True
    return False


@detector
def open_without_encoding(scope: Scope) -> bool:
    for call, receiver, last in scope.calls():
        mode = open_mode(call, receiver, last)
        if mode is not None and "b" not in mode and "encoding" not in keywords(call):
            return True
        positional = {"read_text": 1, "write_text": 2}.get(last)
        if positional and len(call.args) < positional and "encoding" not in keywords(call):
            return True
    return False


@detector
def csv_without_newline(scope: Scope) -> bool:
    opened = [
        call for call, receiver, last in scope.calls()
        if set(open_mode(call, receiver, last) or "r") & set("wax") and "newline" not in keywords(call)
    ]  # fmt: skip
    writes = any(receiver == "csv" and last in ("writer", "DictWriter") for _, receiver, last in scope.calls())
    return bool(opened) and writes


@detector
def open_without_with(scope: Scope) -> bool:
    for call, receiver, last in scope.calls():
        if open_mode(call, receiver, last) is None:
            continue
        parent = scope.parents[call]
        if isinstance(parent, ast.withitem | ast.Return):
            continue
        if isinstance(parent, ast.Assign) and not isinstance(parent.targets[0], ast.Name):
            continue
        handle = ast.unparse(parent.targets[0]) if isinstance(parent, ast.Assign) else "?"
        finals = [ast.unparse(s) for n in scope.own if isinstance(n, ast.Try) for s in n.finalbody]
        if f"{handle}.close()" not in finals:
            return True
    return False


@detector
def run_without_check(scope: Scope) -> bool:
    looked_at = any(isinstance(node, ast.Attribute) and node.attr == "returncode" for node in scope.own)
    runs = [c for c, receiver, last in scope.calls() if (receiver, last) == ("subprocess", "run")]
    return any("check" not in keywords(call) for call in runs) and not looked_at


@detector
def zip_without_strict(scope: Scope) -> bool:
    for call, receiver, last in scope.calls():
        if (receiver, last) != ("", "zip") or "strict" in keywords(call):
            continue
        texts = [ast.unparse(arg) for arg in call.args]
        counted = any(text.startswith(("itertools.count(", "range(")) for text in texts)
        neighbours = len(texts) == 2 and texts[1] == f"{texts[0]}[1:]"
        if not counted and not neighbours:
            return True
    return False


@detector
def warn_without_stacklevel(scope: Scope) -> bool:
    warns = [call for call, receiver, last in scope.calls() if (receiver, last) == ("warnings", "warn")]
    return any("stacklevel" not in keywords(call) and len(call.args) < 3 for call in warns)


@detector
def now_without_zone(scope: Scope) -> bool:
    return any(
        last == "now" and receiver.endswith("datetime") and not call.args and not call.keywords
        for call, receiver, last in scope.calls()
    )


@detector
def naive_utc(scope: Scope) -> bool:
    return any(isinstance(n, ast.Attribute) and n.attr in ("utcnow", "utcfromtimestamp") for n in scope.own)


@detector
def numpy_global_random(scope: Scope) -> bool:
    modules = ("np.random", "numpy.random")
    return any(receiver in modules and last != "default_rng" for _, receiver, last in scope.calls())


@detector
def yaml_any_object(scope: Scope) -> bool:
    safe = {"SafeLoader", "CSafeLoader", "Inclusive"}
    for call, receiver, last in scope.calls():
        if receiver == "yaml" and last in ("unsafe_load", "unsafe_load_all"):
            return True
        if receiver == "yaml" and last in ("load", "load_all"):
            given = [k.value for k in call.keywords if k.arg == "Loader"] + call.args[1:2]
            if not given or dotted(given[0]).split(".")[-1] not in safe:
                return True
    return False


@detector
def sleep_in_async(scope: Scope) -> bool:
    sleeps = any((receiver, last) == ("time", "sleep") for _, receiver, last in scope.calls())
    return isinstance(scope.node, ast.AsyncFunctionDef) and sleeps


@detector
def wall_clock_duration(scope: Scope) -> bool:
    """Times that only meet other times of the wall clock: neither stored nor compared with a file's."""
    if "st_mtime" in scope.text():
        return False
    for call, receiver, last in scope.calls():
        parent = scope.parents[call]
        if (receiver, last) == ("time", "time") and isinstance(parent, ast.BinOp | ast.Compare | ast.Assign):
            return True
    return False


@detector
def mutable_default(scope: Scope) -> bool:
    if not isinstance(scope.node, FUNCTIONS):
        return False
    args = scope.node.args
    for default in [*args.defaults, *filter(None, args.kw_defaults)]:
        if isinstance(default, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
            return True
        if isinstance(default, ast.Call) and dotted(default.func) in ("list", "dict", "set", "defaultdict", "Counter"):
            return True
    return False


@detector
def manual_lock(scope: Scope) -> bool:
    return any(last == "acquire" and not call.args and not call.keywords for call, _, last in scope.calls())


def handlers(scope: Scope) -> Iterator[ast.ExceptHandler]:
    yield from (node for node in scope.own if isinstance(node, ast.ExceptHandler))


@detector
def bare_except(scope: Scope) -> bool:
    again = [any(isinstance(n, ast.Raise) and n.exc is None for n in ast.walk(h)) for h in handlers(scope)]
    return any(h.type is None and not raises for h, raises in zip(handlers(scope), again, strict=True))


@detector
def silent_broad_except(scope: Scope) -> bool:
    broad = [h for h in handlers(scope) if h.type is None or dotted(h.type) in ("Exception", "BaseException")]
    return any(not any(isinstance(node, ast.Raise | ast.Call) for node in ast.walk(handler)) for handler in broad)


@detector
def raise_without_cause(scope: Scope) -> bool:
    inside = [node for handler in handlers(scope) for node in ast.walk(handler)]
    return any(isinstance(n, ast.Raise) and n.exc is not None and n.cause is None for n in inside)


@detector
def none_comparison(scope: Scope) -> bool:
    for node in scope.own:
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            continue
        sides = [node.left, *node.comparators]
        column = any(dotted(side).split(".")[0].istitle() for side in sides if isinstance(side, ast.Attribute))
        if any(isinstance(side, ast.Constant) and side.value is None for side in sides) and not column:
            return True
    return False


@detector
def assert_on_argument(scope: Scope) -> bool:
    tests = [node.test for node in scope.own if isinstance(node, ast.Assert)]
    return any(isinstance(n, ast.Name) and n.id in scope.parameters for test in tests for n in _free(test))


def _free(test: ast.expr) -> Iterator[ast.AST]:
    """Nodes of a test that are not computed from others by a call or attribute."""
    if isinstance(test, ast.BoolOp):
        for value in test.values:
            yield from _free(value)
    elif isinstance(test, ast.Compare):
        yield from (test.left, *test.comparators)
    else:
        yield test


@detector
def formatted_log(scope: Scope) -> bool:
    for call, receiver, last in scope.calls():
        if not re.search(r"\b(log|logger|audit)$", receiver) or last not in LOG_LEVELS | {"log"}:
            continue
        message = call.args[1 if last == "log" else 0]
        formats = isinstance(message, ast.Call) and dotted(message.func).endswith(".format")
        if isinstance(message, ast.JoinedStr | ast.BinOp) or formats:
            return True
    return False


@detector
def dropped_task(scope: Scope) -> bool:
    makers = {"create_task", "ensure_future"}
    return any(
        last in makers and receiver in ("asyncio", "loop") and isinstance(scope.parents[call], ast.Expr)
        for call, receiver, last in scope.calls()
    )


def case_errors(case: dict[str, Any], folder: Path, question: str, kinds: set[str]) -> Iterator[str]:
    """Differences of one case."""
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in case["files"]}
    truth, name = case["truth"], case["labels"]["detector"]
    found, known = [], []
    for file, text in texts.items():
        if match := GIVEAWAY.search(text):
            yield f"{file} gives a hint: {match.group()!r}"
        for scope in scopes(ast.parse(text, file)):
            known.append(scope.name)
            if DETECTORS[name](scope):
                found.append(scope.name)
    if sorted(found) != sorted(truth["places"]):
        extra, lacking = set(truth["places"]) - set(found), set(found) - set(truth["places"])
        yield f"places differ: only in truth {sorted(extra)}, only found {sorted(lacking)}"
    yield from (f"the name {place} is not unique" for place in truth["places"] if known.count(place) != 1)
    if (truth["fix_kind"], truth["risk"]) != RISKS[name] or truth["fix_kind"] not in kinds:
        yield f"{truth['fix_kind']} and {truth['risk']} are not what {name} stands for: {RISKS[name]}"
    asked = " ".join(case["vars"].values())
    named = [place for place in truth["places"] if re.search(rf"\b{re.escape(place)}\b", asked)]
    yield from (f"the question names {word}" for word in [*named, truth["fix_kind"]] if word in asked)
    tokens = (len(question) + len(asked) + sum(map(len, texts.values())) + PROMPT_OVERHEAD) / CHARS_PER_TOKEN
    if tokens > TOKENS[case["size"]] or (case["size"] == "L" and tokens <= TOKENS["S"] * 0.98):
        yield f"size is {case['size']}, but the prompt has about {tokens:.0f} tokens"


def audit(task_dir: Path) -> list[str]:
    """Differences between the committed truth and what the sources say; empty if there are none."""
    task = yaml.safe_load((task_dir / "task.yaml").read_text(encoding="utf-8"))
    kinds = set(task["answer_schema"]["properties"]["fix_kind"]["enum"])
    cases = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((task_dir / "cases").glob("*.yaml"))]
    lines = [f"{name} has no detector or no grade" for name in sorted(set(DETECTORS) ^ set(RISKS))]
    for case in cases:
        errors = case_errors(case, task_dir / "sources" / case["source"], task["question"], kinds)
        lines += [f"{case['id']}: {error}" for error in errors]
    reached = [
        ("cases", len(cases), MIN_CASES),
        ("clusters", len({case["cluster"] for case in cases}), MIN_CLUSTERS),
        ("cases of size S", sum(case["size"] == "S" for case in cases), MIN_SMALL),
    ]
    return lines + [f"{count} {what}, at least {least} are needed" for what, count, least in reached if count < least]
