"""Reads and checks deployment manifests."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml import CSafeLoader, Loader, SafeLoader

KINDS = {"Service", "Job", "Volume"}


class Inclusive(SafeLoader):
    """Knows !include."""

    def include(self, node: yaml.Node) -> Any:
        path = Path(self.name).parent / self.construct_scalar(node)
        with path.open(encoding="utf-8") as handle:
            return yaml.load(handle, Loader=Inclusive)


Inclusive.add_constructor("!include", Inclusive.include)


def read_one(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as handle:
        return yaml.load(handle, Loader=yaml.Loader)


def read_many(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as handle:
        for document in yaml.load_all(handle, Loader=CSafeLoader):
            if document:
                yield document


class Overlay:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values = self._values()

    def _values(self) -> dict[str, Any]:
        path = self.folder / "values.yaml"
        if not path.exists():
            return {}
        return yaml.unsafe_load(path.read_text(encoding="utf-8")) or {}

    def patches(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self.folder.glob("*.patch.yaml")):
            yield from yaml.load_all(path.read_bytes(), Loader)

    def defaults(self) -> dict[str, Any]:
        path = self.folder / "defaults.json"
        with path.open(encoding="utf-8") as handle:
            return json.load(handle)

    def apply(self, manifest: dict[str, Any]) -> dict[str, Any]:
        merged = merge(self.defaults(), manifest)
        for patch in self.patches():
            if patch.get("target") == manifest.get("name"):
                merged = merge(merged, patch["set"])
        return merge(merged, {"values": self.values})


def merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def problems(manifest: dict[str, Any]) -> list[str]:
    found = []
    if manifest.get("kind") not in KINDS:
        found.append(f"kind {manifest.get('kind')!r} is none of {sorted(KINDS)}")
    found += [f"{field} is missing" for field in ("name", "image") if not manifest.get(field)]
    return found


def round_trip(manifest: dict[str, Any]) -> bool:
    return yaml.safe_load(yaml.safe_dump(manifest)) == manifest


def from_stdin() -> dict[str, Any]:
    return yaml.load(sys.stdin, Loader)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overlay", type=Path)
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args()
    overlay = Overlay(options.overlay)
    manifests = [read_one(path) for path in options.files] or [from_stdin()]
    status = 0
    for manifest in manifests:
        for problem in problems(overlay.apply(manifest)):
            print(f"{manifest.get('name', '?')}: {problem}", file=sys.stderr)
            status = 1
    return status
