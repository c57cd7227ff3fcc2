"""Metrics, comparisons and checks are one decorated function each, built in or from a user's file.

    from ai_dev_tools.benchmark.plugins import metric

    @metric("words_per_second", unit="1/s", description="0.75 words per generated token, over decode time")
    def words_per_second(cell):
        return 0.75 * cell.sum("output_tokens") / cell.sum("eval_s")

The config names the file; `load_plugins` runs it, and from then on the function is treated, documented and tested for
bad values like the built-in ones.
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeVar

import pandas as pd

from ai_dev_tools.benchmark.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])
Endpoint = Literal["tokens", "time", "quality"]
ENDPOINTS: tuple[Endpoint, ...] = ("tokens", "time", "quality")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
PLUGIN_FILE = ".py"
"""How the origin of what a user's file registers ends; that of a module has no such end."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; `note` says why a part of it is absent.

    Attributes:
        value: the number, NaN when it cannot be given.
        low, high: ends of the 95 % interval, NaN when there is none.
        note: one line for people, empty when there is nothing to add.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    note: str = ""

    @classmethod
    def absent(cls, why: str) -> Estimate:
        """An empty cell that says why."""
        return cls(float("nan"), note=why)


@dataclass(frozen=True)
class Plugin:
    """One registered function and what a report says of it."""

    kind: str
    name: str
    unit: str
    description: str
    function: Callable[..., Any]
    origin: str
    options: dict[str, Any] = field(default_factory=dict)


class Registry:
    """The functions of one kind, in the order in which they were registered."""

    def __init__(self, kind: str, parameters: int) -> None:
        self.kind = kind
        self._parameters = parameters
        self._plugins: dict[str, Plugin] = {}

    def add(self, plugin: Plugin) -> None:
        """Register, or raise `ConfigurationError` for a bad name, a bad signature, or a name that is taken.

        A module may register a name again, as interactive work does; a plugin file, which is forgotten first, may not.
        """
        where = f"{self.kind} '{plugin.name}' in {plugin.origin}"
        if not _NAME.fullmatch(plugin.name):
            raise ConfigurationError(f"{where}: a name is made of lower-case letters, digits and _")
        if not plugin.description.strip():
            raise ConfigurationError(f"{where} has no description", remedy="Say in one line what it measures")
        try:
            inspect.signature(plugin.function).bind(*[None] * self._parameters)
        except TypeError:
            raise ConfigurationError(f"{where} must take exactly {self._parameters} positional argument(s)") from None
        known = self._plugins.get(plugin.name)
        if known is not None and (known.origin != plugin.origin or plugin.origin.endswith(PLUGIN_FILE)):
            raise ConfigurationError(f"{where}: the name is already taken by {known.origin}", remedy="Rename it")
        self._plugins[plugin.name] = plugin

    def __iter__(self) -> Iterator[Plugin]:
        return iter(self._plugins.values())

    def __contains__(self, name: object) -> bool:
        return name in self._plugins

    def __getitem__(self, name: str) -> Plugin:
        try:
            return self._plugins[name]
        except KeyError:
            raise ConfigurationError(f"no {self.kind} is called '{name}'; known: {', '.join(self._plugins)}") from None

    def forget(self, origin: str) -> None:
        """Remove what a file registered."""
        self._plugins = {name: plugin for name, plugin in self._plugins.items() if plugin.origin != origin}


BUILT_IN = "ai_dev_tools.benchmark."
"""How the origin of what comes with this package begins; that of the user's own is a file name."""
METRICS = Registry("metric", 1)
COMPARISONS = Registry("comparison", 1)
CHECKS = Registry("check", 2)
_REGISTRIES = (METRICS, COMPARISONS, CHECKS)


def _register(registry: Registry, name: str, unit: str, text: str, **options: Any) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        registry.add(Plugin(registry.kind, name, unit, text, function, _origin(function), options))
        return function

    return decorate


def _origin(function: Callable[..., Any]) -> str:
    plain = inspect.unwrap(function)
    while isinstance(plain, partial):
        plain = plain.func
    return str(getattr(plain, "__globals__", {}).get("__plugin_file__") or getattr(plain, "__module__", "unknown"))


def metric(name: str, *, unit: str = "", description: str) -> Callable[[F], F]:
    """Register `f(cell: Cell) -> float | Estimate`: one number for the samples of a cell of the metrics table."""
    return _register(METRICS, name, unit, description)


def comparison(
    name: str,
    *,
    unit: str = "",
    description: str,
    kind: Literal["ratio", "difference"] = "ratio",
    endpoint: Endpoint = "time",
) -> Callable[[F], F]:
    """Register `f(samples: DataFrame) -> Series | (Series, Series)`: a quantity of each sample, compared pair by pair.

    Two series are the lower and the upper end of a censored value. `kind` is the scale on which two arms are compared;
    `endpoint` says which validity checks void a sample for it.
    """
    if kind not in ("ratio", "difference") or endpoint not in ENDPOINTS:
        raise ConfigurationError(f"comparison '{name}': kind is ratio or difference, endpoint is one of {ENDPOINTS}")
    return _register(COMPARISONS, name, unit, description, kind=kind, endpoint=endpoint)


def check(name: str, *, voids: Iterable[Endpoint], unit: str = "", description: str) -> Callable[[F], F]:
    """Register `f(samples: DataFrame, thresholds: ValidityThresholds) -> (value, flagged)`, two Series over samples.

    `flagged` is nullable boolean: missing means that the check cannot be made for that sample. `voids` names the
    endpoints that a flagged sample is removed from.
    """
    names = tuple(voids)
    if unknown := [name for name in names if name not in ENDPOINTS]:
        raise ConfigurationError(f"check '{name}': voids has {unknown}; known endpoints: {', '.join(ENDPOINTS)}")
    return _register(CHECKS, name, unit, description, voids=names)


def load_plugins(paths: Iterable[str | Path]) -> list[Plugin]:
    """Run the user's plugin files and return what they registered; loading a file again replaces what it gave before.

    Raises:
        ConfigurationError: a file is missing, raises, registers nothing, takes a name that is in use, or is called as
            another one is.
    """
    files = list(dict.fromkeys(map(Path, paths)))
    if twice := [name for name, count in Counter(path.name for path in files).items() if count > 1]:
        raise ConfigurationError(f"two plugin files are called {twice[0]}", remedy="Rename one of them")
    return [plugin for path in files for plugin in _load_plugin_file(path)]


def _load_plugin_file(path: Path) -> list[Plugin]:
    if not path.is_file():
        raise ConfigurationError(f"plugin file {path} does not exist", remedy="Correct `plugins` in the config")
    if path.suffix != PLUGIN_FILE:
        raise ConfigurationError(f"plugin file {path} is no Python file", remedy=f"Let its name end in {PLUGIN_FILE}")
    origin = path.name
    saved = [dict(registry._plugins) for registry in _REGISTRIES]
    for registry in _REGISTRIES:
        registry.forget(origin)
    name = f"ai_dev_tools_plugin_{sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__plugin_file__"] = origin
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        for registry, plugins in zip(_REGISTRIES, saved, strict=True):
            registry._plugins = plugins
        if isinstance(error, ConfigurationError):
            raise
        line = getattr(error, "lineno", None) or (error.__traceback__ and _last_line(error, path)) or "?"
        raise ConfigurationError(f"plugin file {path}, line {line}: {type(error).__name__}: {error}") from None
    found = [plugin for registry in _REGISTRIES for plugin in registry if plugin.origin == origin]
    if not found:
        raise ConfigurationError(f"plugin file {path} registers nothing", remedy="Decorate a function with @metric, …")
    return found


def _last_line(error: Exception, path: Path) -> int | None:
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def catalogue() -> pd.DataFrame:
    """What is registered: kind, name, unit, description, origin, and the options of comparisons and checks as text."""
    rows = [
        {
            "kind": plugin.kind,
            "name": plugin.name,
            "unit": plugin.unit,
            "description": plugin.description,
            "origin": plugin.origin,
            "options": "; ".join(f"{key}={_plain(value)}" for key, value in plugin.options.items()),
        }
        for registry in _REGISTRIES
        for plugin in registry
    ]
    return pd.DataFrame(rows, columns=["kind", "name", "unit", "description", "origin", "options"])


def _plain(value: object) -> str:
    return "+".join(value) or "nothing" if isinstance(value, tuple) else str(value)
