"""Turns merged pull requests into release notes in three formats."""
import re
from typing import Any

HEADINGS = {"feat": "New", "fix": "Fixed", "docs": "Documentation", "perf": "Faster"}
SUBJECT = re.compile(r"(?P<kind>\w+)(?:\((?P<scope>[^)]*)\))?(?P<bang>!)?: (?P<text>.+)")


def parse(subject: str) -> dict[str, Any]:
    match = SUBJECT.match(subject)
    if match is None:
        return {"kind": "other", "scope": None, "bang": False, "text": subject}
    return {**match.groupdict(), "bang": bool(match["bang"])}


def markdown_section(title: str, changes: list[dict[str, Any]]) -> str:
    body = [f"## {title}"]
    for change in changes:
        scope = f"**{change['scope']}** " if change["scope"] else ""
        body.append(f"- {scope}{change['text']} (#{change['number']})")
    return "\n".join(body) + "\n"


def rst_section(title: str, changes: list[dict[str, Any]]) -> str:
    body = [title, "-" * len(title)]
    for change in changes:
        scope = f"*{change['scope']}*: " if change["scope"] else ""
        body.append(f"* {scope}{change['text']} (:pr:`{change['number']}`)")
    return "\n".join(body) + "\n"


def html_section(title: str, changes: list[dict[str, Any]]) -> str:
    out = [f"<h2>{title}</h2><ul>"]
    for item in changes:
        prefix = f"<b>{item['scope']}</b> " if item["scope"] else ""
        out.append(f"<li>{prefix}{item['text']} <a href='#{item['number']}'></a></li>")
    return "".join(out) + "</ul>"


def menu_section(course: str, dishes: list[dict[str, Any]]) -> str:
    lines = [f"*** {course} ***"]
    for dish in dishes:
        origin = f"[{dish['farm']}] " if dish["farm"] else ""
        lines.append(f"{origin}{dish['name']} .... {dish['price']}")
    return "\n\n".join(lines) + "\n\n"


def contributors(changes: list[dict[str, Any]], bots: set[str]) -> list[str]:
    names = set()
    for change in changes:
        author = change["author"].lower()
        if author not in bots:
            names.add(author)
    return sorted(names)


def touched_areas(changes: list[dict[str, Any]], ignored: set[str]) -> list[str]:
    areas = set()
    for change in changes:
        area = change["scope"].lower()
        if area not in ignored:
            areas.add(area)
    return sorted(areas)


def labels(changes: list[dict[str, Any]], wanted: set[str]) -> list[str]:
    names = set()
    for change in changes:
        label = change["label"].lower()
        if label in wanted:
            names.add(label)
    return sorted(names)


def bump(version: str, changes: list[dict[str, Any]]) -> str:
    major, minor, patch = map(int, version.split("."))
    if any(c["bang"] for c in changes):
        return f"{major + 1}.0.0"
    if any(c["kind"] == "feat" for c in changes):
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"


def grouped(changes: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    table: dict[str, list[dict[str, Any]]] = {}
    for change in changes:
        heading = HEADINGS.get(change["kind"], "Other")
        table.setdefault(heading, []).append(change)
    return table
