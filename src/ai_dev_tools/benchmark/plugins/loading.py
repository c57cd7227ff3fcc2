"""The one loader: what the setting `plugins` names is a Python file, an installed plugin, or a module."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_dev_tools.benchmark._util.text import nearest
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError
from ai_dev_tools.benchmark.plugins.registry import (
    PLUGIN_FILE,
    PLUGIN_FILE_VARIABLE,
    REGISTRIES,
    Plugin,
    Registry,
)

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "ai_dev_tools.plugins"
"""The entry points by which installed packages offer plugins; each names a module."""
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")

Registered = tuple[tuple[Registry[Any], Plugin[Any]], ...]


@dataclass(frozen=True)
class LoadedPlugin:
    """One entry of the setting `plugins`, and what it registered.

    Attributes:
        name: as the setting has it.
        files: the Python files that it consists of.
        registered: each thing with its registry.
    """

    name: str
    files: tuple[Path, ...]
    registered: Registered

    @cached_property
    def sha256(self) -> str:
        """Digest of its files: another one means that it may compute something else."""
        if len(self.files) == 1:  # by content alone: in an archive it has another name
            return hashlib.sha256(self.files[0].read_bytes()).hexdigest()
        digest = hashlib.sha256()
        for path in self.files:
            data = path.read_bytes()
            digest.update(f"{path.name}:{len(data)}:".encode() + data)
        return digest.hexdigest()

    def has(self, registry: Registry[Any], names: Iterable[str]) -> bool:
        """Whether it registered any of these names."""
        mine = {plugin.name for owner, plugin in self.registered if owner is registry}
        return not mine.isdisjoint(names)


_known: dict[tuple[str, str], LoadedPlugin] = {}
"""What was loaded in this process, by what it was loaded from: a module runs once."""


def load_plugins(names: Iterable[str | Path], root: Path | None = None) -> list[LoadedPlugin]:
    """Load these plugins, and unload those of an earlier call that are not among them.

    Args:
        names: files, seen from `root`; names of installed plugins; names of modules.
        root: the working folder by default.

    Raises:
        ConfigurationError: one of them does not exist, fails, registers nothing, takes a name that is in use, or is
            called as another one is. What was registered before is then registered still.
    """
    wanted = list(dict.fromkeys(map(str, names)))
    files = [Path(name).name for name in wanted if is_file_name(name)]
    if twice := [name for name, count in Counter(files).items() if count > 1]:
        raise ConfigurationError(f"two plugin files are called {twice[0]}", remedy="Rename one of them")
    saved = [registry.snapshot() for registry in REGISTRIES]
    _forget_loaded()
    try:
        return [_load(name, (root or Path()) / name) for name in wanted]
    except BaseException:
        _restore(saved)
        raise


@contextlib.contextmanager
def only_plugins(names: Iterable[str | Path], root: Path | None = None) -> Iterator[list[LoadedPlugin]]:
    """Load these plugins for a while, and register afterwards what was registered before.

    Raises as `load_plugins`.
    """
    saved = [registry.snapshot() for registry in REGISTRIES]
    try:
        yield load_plugins(names, root)
    finally:
        _restore(saved)


@contextlib.contextmanager
def without_plugins() -> Iterator[None]:
    """Unregister everything that is not built in, for a while.

    Loaded plugins as well as what a program registered itself.
    """
    saved = [registry.snapshot() for registry in REGISTRIES]
    for registry in REGISTRIES:
        registry.restore({name: plugin for name, plugin in registry.items() if plugin.built_in})
    try:
        yield
    finally:
        _restore(saved)


def _restore(saved: Sequence[Mapping[str, Plugin[Any]]]) -> None:
    for registry, plugins in zip(REGISTRIES, saved, strict=True):
        built_in = {name: plugin for name, plugin in registry.items() if plugin.built_in}
        registry.restore({**plugins, **built_in})  # a module of this package that was imported meanwhile stays imported


def add_plugin(name: str, root: Path | None = None) -> LoadedPlugin:
    """Load one more plugin; raises as `load_plugins`."""
    return _load(name, (root or Path()) / name)


def is_file_name(name: str) -> bool:
    """Whether an entry of the setting is a file, by its looks."""
    return name.endswith(PLUGIN_FILE) or "/" in name


def installed_plugins() -> dict[str, EntryPoint]:
    """What installed packages offer, by name.

    Raises:
        ConfigurationError: two packages offer one name.
    """
    from importlib.metadata import entry_points  # takes 20 ms, and block jobs import this module

    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        known = found.setdefault(entry.name, entry)
        if known.value != entry.value:
            raise ConfigurationError(
                f"two installed packages offer a plugin '{entry.name}': {_package(known)} and {_package(entry)}",
                remedy="Uninstall one, or name the module instead",
            )
    return found


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _forget_loaded() -> None:
    mine = {id(plugin) for loaded in _known.values() for _, plugin in loaded.registered}
    for registry in REGISTRIES:
        kept = {name: plugin for name, plugin in registry.items() if id(plugin) not in mine}
        registry.restore(kept)


def _load(name: str, path: Path) -> LoadedPlugin:
    if is_file_name(name) or path.is_file():
        return _load_file(name, path)
    entry = installed_plugins().get(name)
    return _load_module(name, entry.module if entry else name)


def _load_file(name: str, path: Path) -> LoadedPlugin:
    if not path.is_file():
        raise ConfigurationError(f"plugin file {name} does not exist", remedy="Correct `plugins` in the config")
    if path.suffix != PLUGIN_FILE:
        raise ConfigurationError(
            f"plugin file {name} is not a Python file", remedy=f"Give it a name that ends in {PLUGIN_FILE}"
        )
    try:
        code = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"plugin file {name} cannot be read: {error.strerror}") from None
    key = (str(path.resolve()), hashlib.sha256(code).hexdigest())
    if key in _known:
        return _register_again(name, _known[key])
    module_name = f"ai_dev_tools_plugin_{hashlib.sha256(key[0].encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__dict__[PLUGIN_FILE_VARIABLE] = path.name
    sys.modules[module_name] = module
    with _explained(f"plugin file {name}", (path,), single=True):
        # not the loader's way: a compiled file counts as new if size and second are those of the source
        found = _what_registers(lambda: exec(compile(code, path, "exec"), module.__dict__))
    return _remember(key, LoadedPlugin(name, (path,), found))


def _load_module(name: str, module_name: str) -> LoadedPlugin:
    key = ("module", module_name)
    if key in _known:
        return _register_again(name, _known[key])
    if not _MODULE.fullmatch(module_name):
        raise _unknown(name)
    files = _files_of(name, module_name)
    with _explained(f"plugin {name}", files):
        found = _what_registers(partial(importlib.import_module, module_name))
    if not found:  # imported earlier, by something else
        found = tuple((r, p) for r in REGISTRIES for p in r.values() if f"{p.origin}.".startswith(f"{module_name}."))
    return _remember(key, LoadedPlugin(name, files, found))


def _files_of(name: str, module_name: str) -> tuple[Path, ...]:
    """The Python files of a module; of one inside a package those of the whole package."""
    try:
        spec = importlib.util.find_spec(module_name.partition(".")[0])
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise _unknown(name)
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if folders:
        return tuple(sorted(path for folder in folders for path in folder.rglob("*.py")))
    return (Path(spec.origin),) if spec.origin and Path(spec.origin).is_file() else ()


def _unknown(name: str) -> ConfigurationError:
    offered = installed_plugins()
    return ConfigurationError(
        f"'plugins' names '{name}', which is not a file, an installed plugin, or a module",
        remedy=f"Installed plugins: {nearest(name, offered)}" if offered else "No installed package offers a plugin",
    )


def _what_registers(run: Callable[[], object]) -> Registered:
    """What is registered by running something.

    Whatever it prints goes to standard error, apart from the results.
    """
    before = [registry.snapshot() for registry in REGISTRIES]
    with contextlib.redirect_stdout(sys.stderr):
        run()
    return tuple(
        (registry, plugin)
        for registry, earlier in zip(REGISTRIES, before, strict=True)
        for name, plugin in registry.items()
        if earlier.get(name) is not plugin and not plugin.built_in
    )


def _remember(key: tuple[str, str], loaded: LoadedPlugin) -> LoadedPlugin:
    if not loaded.registered:
        raise ConfigurationError(
            f"plugin {loaded.name} registers nothing", remedy="Decorate a function with @approach, @metric, …"
        )
    _known[key] = loaded
    return loaded


def _register_again(name: str, loaded: LoadedPlugin) -> LoadedPlugin:
    for registry, plugin in loaded.registered:
        known = registry.get(plugin.name)
        if known is not None and known is not plugin:
            raise ConfigurationError(
                f"plugin {name}: {registry.kind} '{plugin.name}': the name is already taken by {known.origin}",
                remedy="Rename it",
            )
        if known is None:
            registry.add(plugin)
    return LoadedPlugin(name, loaded.files, loaded.registered)


@contextlib.contextmanager
def _explained(what: str, files: Iterable[Path], single: bool = False) -> Iterator[None]:
    """Say in one line what went wrong while a plugin was loaded, with the line of its code that caused it.

    Args:
        single: whether `what` names the plugin's only file.
    """
    own = {str(path) for path in files}
    try:
        yield
    except (Exception, SystemExit) as error:
        said = str(error) if isinstance(error, BenchmarkError) else f"{type(error).__name__}: {error}"
        where = ""
        if place := _raised_at(error, own):
            file, line = place
            where = f", line {line}" if single and file in own else f", {file}, line {line}"
        raise ConfigurationError(f"{what}{where}: {said}") from None


def _raised_at(error: BaseException, own: set[str]) -> tuple[str, int] | None:
    """File and line of an error in a plugin.

    Of a syntax error where it is, otherwise the last line of the plugin that was running.
    """
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return error.filename, error.lineno
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]
    return (frames[-1].filename, frames[-1].lineno or 0) if frames else None
