"""Rechecks the labels of the safety assessment against the syntax trees of the sources, without any tool.

That a label is right stays a judgement of its author. What a machine can check, is checked here: that the labelled
function exists once and holds the labelled lines, that those lines do what a weakness of that kind needs (a query
for CWE-89, a deserialiser for CWE-502, ...), that kinds and grades are well formed and consistent, that the scored
answer follows from the labels, and that neither question nor sources give the answer away.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

GRADES = ("NONE", "LOW", "MEDIUM", "HIGH")
CHARS_PER_TOKEN = 3.2
TOKENS = {"S": 2500, "L": 7000}
PROMPT_OVERHEAD = 900  # characters of headings, fences and answer schema around question and files
MIN_CASES, MIN_CLUSTERS, MIN_SMALL, MIN_KINDS, MIN_SAFE_SHARE = 24, 12, 8, 10, 0.25
GIVEAWAY = re.compile(
    r"\bCWE\b|vulnerab|insecure|unsafe(?!_)|exploit|attack|injection|traversal|nosec|noqa|sanitiz|weakness", re.I
)

# What the labelled lines must contain for a weakness of a kind to be possible there.
SIGNS = {
    "CWE-22": r"open\(|send_file|os\.path\.join",
    "CWE-78": r"os\.system|shell=True|os\.popen",
    "CWE-79": r"<\w+|mark_safe|Markup",
    "CWE-89": r"\.execute\(",
    "CWE-94": r"\beval\(|\bexec\(|from_string\(",
    "CWE-208": r"[!=]=",
    "CWE-295": r"verify=False|AutoAddPolicy|CERT_NONE",
    "CWE-327": r"\bDES\b|md5|sha1|MODE_ECB",
    "CWE-330": r"\brandom\.",
    "CWE-347": r"verify_signature",
    "CWE-377": r"mktemp|open\(",
    "CWE-502": r"pickle\.load|yaml\.load|marshal\.load",
    "CWE-532": r"\blog(ger)?\.\w+\(|audit\.\w+\(",
    "CWE-601": r"redirect|HTTPFound|HTTPSeeOther",
    "CWE-611": r"XMLParser|parseString|fromstring",
    "CWE-639": r"get_object_or_404|\.get\(",
    "CWE-732": r"chmod|0o[0-7]{3}",
    "CWE-798": r"(?i)(password|token|secret|key)\w*\s*=\s*[\"']",
    "CWE-918": r"\.get\(|\.post\(|urlopen|request\(",
    "CWE-1333": r"re\.\w+\(",
}


def functions(tree: ast.AST, name: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function or method of this name."""
    nodes = ast.walk(tree)
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name]


def label_errors(label: dict[str, Any], texts: dict[str, str], kinds: set[str]) -> Iterator[str]:
    """What is wrong with one label."""
    kind, name, (first, last) = label["cwe"], label["function"], label["lines"]
    if not re.fullmatch(r"CWE-\d{1,4}", kind) or kind not in kinds:
        yield f"kind {kind} is not one of the answer schema"
        return
    if label["severity"] not in GRADES[1:]:
        yield f"severity {label['severity']} is none of {GRADES[1:]}"
    text = texts.get(label["file"])
    if text is None:
        yield f"file {label['file']} is not one of the case"
        return
    lines = text.splitlines()
    if name == "module":
        inside = [node for node in ast.parse(text).body if node.lineno <= first and last <= (node.end_lineno or 0)]
        if not inside or isinstance(inside[0], ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"lines {first}-{last} are not code of the module {label['file']}"
    else:
        found = [node for other in texts.values() for node in functions(ast.parse(other), name)]
        if len(found) != 1:
            yield f"function {name} occurs {len(found)} times in the case: the answer would be ambiguous"
        if not any(f.lineno <= first <= last <= (f.end_lineno or 0) for f in functions(ast.parse(text), name)):
            yield f"lines {first}-{last} do not lie in {name}"
    if not re.search(SIGNS[kind], "\n".join(lines[first - 1 : last])):
        yield f"lines {first}-{last} show nothing that {kind} needs ({SIGNS[kind]})"


def expected(labels: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer that follows from the labels: all functions, the gravest kind, its grade."""
    if not labels:
        return {"vulnerable_functions": [], "worst_cwe": "NONE", "risk": "NONE"}
    risk = max((label["severity"] for label in labels), key=GRADES.index)
    gravest = sorted({label["cwe"] for label in labels if label["severity"] == risk})
    return {
        "vulnerable_functions": list(dict.fromkeys(label["function"] for label in labels)),
        "worst_cwe": gravest[0] if len(gravest) == 1 else f"ambiguous: {', '.join(gravest)}",
        "risk": risk,
    }


def case_errors(case: dict[str, Any], folder: Path, question: str, kinds: set[str]) -> Iterator[str]:
    """Differences of one case."""
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in case["files"]}
    for name, text in texts.items():
        compile(text, name, "exec", dont_inherit=True)
        if match := GIVEAWAY.search(text):
            yield f"{name} gives a hint: {match.group()!r}"
    labels = case["labels"]
    for label in labels:
        yield from label_errors(label, texts, kinds)
    if case["truth"] != expected(labels):
        yield f"truth is {case['truth']}, the labels say {expected(labels)}"
    for name in case["truth"]["vulnerable_functions"]:
        if name != "module" and re.search(rf"\b{re.escape(name)}\b", question):
            yield f"the question names {name}"
    tokens = (len(question) + sum(map(len, texts.values())) + PROMPT_OVERHEAD) / CHARS_PER_TOKEN
    if tokens > TOKENS[case["size"]] or (case["size"] == "L" and tokens <= TOKENS["S"]):
        yield f"size is {case['size']}, but the prompt has about {tokens:.0f} tokens"


def task_errors(cases: list[dict[str, Any]]) -> Iterator[str]:
    """What the collection as a whole must reach."""
    kinds = {label["cwe"] for case in cases for label in case["labels"]}
    safe = sum(not case["labels"] for case in cases)
    reached = [
        ("cases", len(cases), MIN_CASES),
        ("clusters", len({case["cluster"] for case in cases}), MIN_CLUSTERS),
        ("cases of size S", sum(case["size"] == "S" for case in cases), MIN_SMALL),
        ("kinds of weakness", len(kinds), MIN_KINDS),
        ("safe cases", safe, MIN_SAFE_SHARE * len(cases)),
    ]
    yield from (f"{count} {what}, at least {least:g} are needed" for what, count, least in reached if count < least)


def audit(task_dir: Path) -> list[str]:
    """Differences between the committed truth and what the sources say; empty if there are none."""
    task = yaml.safe_load((task_dir / "task.yaml").read_text(encoding="utf-8"))
    kinds = set(task["answer_schema"]["properties"]["worst_cwe"]["enum"]) - {"NONE"}
    lines = [f"no sign is known for {kind}" for kind in sorted(kinds ^ set(SIGNS))]
    cases = []
    for path in sorted((task_dir / "cases").glob("*.yaml")):
        case = yaml.safe_load(path.read_text(encoding="utf-8"))
        cases.append(case)
        errors = case_errors(case, task_dir / "sources" / case["source"], task["question"], kinds)
        lines += [f"{case['id']}: {error}" for error in errors]
    return lines + list(task_errors(cases))
