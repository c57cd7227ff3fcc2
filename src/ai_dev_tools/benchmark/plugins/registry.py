"""One registry for each kind of thing that can be added.

What is built in and what plugins bring are treated alike.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from ai_dev_tools.benchmark._util.text import nearest
from ai_dev_tools.benchmark.errors import ConfigurationError

BUILT_IN = "ai_dev_tools.benchmark."
"""How the origin of what comes with this package begins."""
PLUGIN_FILE = ".py"
"""How the origin of what a plugin file registers ends; that of a module has no such end."""
PLUGIN_FILE_VARIABLE = "__plugin_file__"
"""Global variable in a running plugin file: its name."""
COLUMN = re.compile(r"[a-z][a-z0-9_]*")
SEGMENT = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""Names that become columns of tables, and names that become parts of paths."""

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, kw_only=True)
class Plugin(Generic[F]):
    """One registered function and what a report says of it.

    Attributes:
        origin: the module that registered it, or the name of a plugin file.
    """

    name: str
    description: str = ""
    function: F
    origin: str

    @property
    def built_in(self) -> bool:
        """Whether it comes with this package."""
        return self.origin.startswith(BUILT_IN)

    @property
    def options(self) -> str:
        """What else is to be known of it, as text."""
        return ""


P = TypeVar("P", bound=Plugin[Any])


class Registry(Mapping[str, P]):
    """What is registered of one kind, by name, in the order in which it was registered.

    Args:
        kind: what messages call one of them.
        parameters: how many positional arguments the function is called with.
        names: what a name may be.
        described: whether a description is required.
        more: whether the function may take further arguments, by name.
        reserved: whether a name cannot be taken, although nothing is registered under it.
    """

    def __init__(
        self,
        kind: str,
        parameters: int,
        *,
        names: re.Pattern[str] = SEGMENT,
        described: bool = False,
        more: bool = False,
        reserved: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self.kind = kind
        self._parameters = parameters
        self._names = names
        self._described = described
        self._more = more
        self._reserved = reserved
        self._plugins: dict[str, P] = {}
        REGISTRIES.append(self)

    def add(self, plugin: P) -> None:
        """Register, or raise `ConfigurationError` for a bad name, a bad signature, or a name that is taken.

        A module may register a name again, as interactive work does; a plugin file, which is forgotten first, may not.
        """
        where = f"{self.kind} '{plugin.name}'"
        if not isinstance(plugin.name, str) or not self._names.fullmatch(plugin.name):
            letters = "lower-case letters, digits and _" if self._names is COLUMN else "letters, digits, _ and -"
            raise ConfigurationError(f"{where}: a name is made of {letters}, a letter first")
        if self._described and not plugin.description.strip():
            raise ConfigurationError(f"{where} has no description", remedy="Say in one line what it measures")
        self._require_signature(where, plugin.function)
        known = self._plugins.get(plugin.name)
        if known is not None and (known.origin != plugin.origin or plugin.origin.endswith(PLUGIN_FILE)):
            raise ConfigurationError(f"{where}: the name is already taken by {known.origin}", remedy="Rename it")
        if self._reserved(plugin.name):
            raise ConfigurationError(f"{where}: the name is reserved", remedy="Rename it")
        self._plugins[plugin.name] = plugin

    def _require_signature(self, where: str, function: Callable[..., object]) -> None:
        try:
            signature = inspect.signature(function)
            (signature.bind_partial if self._more else signature.bind)(*[None] * self._parameters)
        except (TypeError, ValueError):
            wanted = f"{'at least' if self._more else 'exactly'} {self._parameters}"
            raise ConfigurationError(f"{where} must take {wanted} positional argument(s)") from None

    def __getitem__(self, name: str) -> P:
        return self._plugins[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._plugins)

    def __len__(self) -> int:
        return len(self._plugins)

    def find(self, name: str) -> P:
        """What is registered under a name.

        Raises:
            ConfigurationError: nothing is; names the nearest, or all there are.
        """
        if name not in self._plugins:
            raise ConfigurationError(f"unknown {self.kind} '{name}', {nearest(name, self)}")
        return self._plugins[name]

    def snapshot(self) -> dict[str, P]:
        """What is registered now, for `restore`."""
        return dict(self._plugins)

    def restore(self, plugins: Mapping[str, P]) -> None:
        """Register exactly these."""
        self._plugins = dict(plugins)


REGISTRIES: list[Registry[Any]] = []
"""Every registry there is."""


def origin_of(function: Callable[..., object]) -> str:
    """The plugin file or the module that a function comes from."""
    plain: Any = inspect.unwrap(function)
    while isinstance(plain, partial):
        plain = plain.func
    found = getattr(plain, "__globals__", {}).get(PLUGIN_FILE_VARIABLE)
    return str(found or getattr(plain, "__module__", "unknown"))


def docstring_line(function: Callable[..., object]) -> str:
    """The first line of a function's docstring; empty without one."""
    return next(iter((inspect.getdoc(function) or "").splitlines()), "")
