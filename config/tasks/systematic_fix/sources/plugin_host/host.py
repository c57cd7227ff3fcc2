"""Loads plugins, runs their hooks, keeps them apart from one another."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

log = logging.getLogger(__name__)

Hook = Callable[..., Any]


class PluginError(Exception):
    def __init__(self, plugin: str, what: str) -> None:
        super().__init__(f"plugin {plugin}: {what}")


@dataclass
class Plugin:
    name: str
    module: ModuleType
    hooks: dict[str, Hook] = field(default_factory=dict)
    failures: int = 0

    @property
    def version(self) -> str:
        try:
            return str(self.module.VERSION)
        except AttributeError:
            return "0"

    def describe(self) -> str:
        try:
            return self.module.describe()
        except Exception:
            return ""


def load(path: Path) -> Plugin:
    spec = importlib.util.spec_from_file_location(f"plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise PluginError(path.stem, "not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise PluginError(path.stem, f"does not load: {error}") from error
    hooks = {name[3:]: value for name, value in vars(module).items() if name.startswith("on_") and callable(value)}
    return Plugin(path.stem, module, hooks)


def load_folder(folder: Path) -> Iterator[Plugin]:
    for path in sorted(folder.glob("*.py")):
        try:
            yield load(path)
        except PluginError as error:
            log.error("%s", error)


class Host:
    def __init__(self, plugins: list[Plugin], tolerate: int = 3) -> None:
        self.plugins = plugins
        self.tolerate = tolerate
        self.timings: dict[str, list[float]] = defaultdict(list)
        self._lock = threading.Lock()

    def call(self, event: str, *args: Any) -> list[Any]:
        results = []
        for plugin in self.plugins:
            hook = plugin.hooks.get(event)
            if hook is None or plugin.failures >= self.tolerate:
                continue
            begun = time.perf_counter()
            try:
                results.append(hook(*args))
            except Exception:
                plugin.failures += 1
                log.exception("plugin %s failed at %s", plugin.name, event)
            finally:
                self.timings[plugin.name].append(time.perf_counter() - begun)
        return results

    def first(self, event: str, *args: Any) -> Any:
        """Answer of the first plugin that has one."""
        for plugin in self.plugins:
            try:
                answer = plugin.hooks[event](*args)
            except Exception:
                continue
            if answer is not None:
                return answer
        return None

    def shut_down(self) -> None:
        for plugin in reversed(self.plugins):
            with contextlib.suppress(KeyError):
                plugin.hooks["exit"]()

    def reload(self, name: str, folder: Path) -> bool:
        with self._lock:
            position = next(i for i, plugin in enumerate(self.plugins) if plugin.name == name)
            sys.modules.pop(f"plugin_{name}", None)
            try:
                self.plugins[position] = load(folder / f"{name}.py")
            except PluginError:
                traceback.print_exc()
                return False
        return True

    def slowest(self, count: int = 3) -> list[tuple[str, float]]:
        totals = {name: sum(times) for name, times in self.timings.items()}
        return sorted(totals.items(), key=lambda item: -item[1])[:count]
