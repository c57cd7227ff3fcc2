"""YAML in which each name occurs once; readers would silently take the last of two."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from ai_dev_tools.benchmark._util.json_values import JsonValue

_Base: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"


class WrittenTwiceError(yaml.constructor.ConstructorError):
    """A name that a table has twice."""


class Loader(_Base):  # type: ignore[misc, valid-type]
    """YAML 1.1. What a table takes over with `<<` may be written again, of course."""

    def get_single_data(self) -> JsonValue:
        node = self.get_single_node()
        if node is None:
            return None
        for table in _tables(node):
            _require_once(table)
        data: JsonValue = self.construct_document(node)
        return data


def _tables(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    """All tables of a document, each once, however many aliases lead to it."""
    waiting, seen = [node], {id(node)}
    while waiting:
        current = waiting.pop()
        inner = current.value if isinstance(current, yaml.SequenceNode) else []
        if isinstance(current, yaml.MappingNode):
            yield current
            inner = [part for pair in current.value for part in pair]
        fresh = [part for part in inner if id(part) not in seen]
        seen.update(map(id, fresh))
        waiting += fresh


def _require_once(table: yaml.MappingNode) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in table.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        name = (key.tag, key.value)
        if name in lines:
            said = f"'{key.value[:60]}' is written twice in one table, first on line {lines[name]}"
            raise WrittenTwiceError(None, None, said, key.start_mark)
        lines[name] = key.start_mark.line + 1
