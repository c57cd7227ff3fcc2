from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Manifest = Mapping[str, Any]
Finding = tuple[str, str, str]


def containers(doc: Manifest) -> Iterator[Mapping[str, Any]]:
    spec = doc.get("spec", {})
    template = spec.get("template", {}).get("spec", spec)
    yield from template.get("containers", [])
    yield from template.get("initContainers", [])


def missing_limits(docs: list[Manifest]) -> list[Finding]:
    findings: list[Finding] = []
    for doc in docs:
        for container in containers(doc):
            resources = container.get("resources", {})
            if "limits" not in resources:
                findings.append((doc["metadata"]["name"], container["name"], "no resource limits"))
    return findings


def missing_probe(docs: list[Manifest]) -> list[Finding]:
    findings: list[Finding] = []
    for doc in docs:
        for container in containers(doc):
            if "readinessProbe" not in container:
                findings.append((doc["metadata"]["name"], container["name"], "no readiness probe"))
    return findings


def root_user(docs: list[Manifest]) -> list[Finding]:
    issues = []
    for doc in docs:
        for box in containers(doc):
            context = box.get("securityContext", {})
            if "runAsNonRoot" not in context:
                issues.append((doc["metadata"]["name"], box["name"], "may run as root"))
    return issues


def host_ports(docs: list[Manifest]) -> list[Finding]:
    findings: list[Finding] = []
    for doc in docs:
        for container in containers(doc):
            ports = container.get("ports", {})
            if "hostPort" in ports:
                findings.append((doc["metadata"]["name"], container["name"], "binds a port of the host"))
    return findings


def latest_tag(docs: list[Manifest]) -> list[Finding]:
    findings = []
    for doc in docs:
        for container in containers(doc):
            _, _, tag = container["image"].rpartition(":")
            if tag in ("", "latest"):
                findings.append((doc["metadata"]["name"], container["name"], "floating image tag"))
    return findings


def unpinned_steps(workflows: list[Manifest]) -> list[Finding]:
    found: list[Finding] = []
    for flow in workflows:
        for step in containers(flow):
            options = step.get("with", {})
            if "digest" not in options:
                found.append((flow["run"]["id"], step["uses"], "is not pinned"))
    return found


def by_severity(findings: list[Finding], order: Mapping[str, int]) -> dict[str, int]:
    tally: dict[str, int] = {}
    for _, _, text in findings:
        if order.get(text, 0) > 1:
            tally[text] = tally.get(text, 0) + 1
    return tally


def by_namespace(docs: list[Manifest], quota: Mapping[str, int]) -> dict[str, int]:
    used: dict[str, int] = {}
    for doc in docs:
        space = doc["metadata"].get("namespace", "default")
        used[space] = used.get(space, 0) + quota.get(space, 1)
    return used


def by_shift(calls: list[Manifest], load: Mapping[str, int]) -> dict[str, int]:
    heads: dict[str, int] = {}
    for call in calls:
        team = call["oncall"].get("team", "none")
        heads[team] = heads.get(team, 0) + load.get(team, 2)
    return heads
