"""Find the workflow's own files if another workflow uses it.

They are next to its Snakefile, or in the installed package.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ai_dev_tools.benchmark._util.json_values import list_in
from ai_dev_tools.benchmark.config.as_written import as_list
from ai_dev_tools.benchmark.config.sources import load_settings
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records import paths

PACKAGED = Path(__file__).parents[1] / "shipped"
"""The workflow's files in a wheel; see `force-include` in pyproject.toml."""
CHECKOUT = Path(__file__).parents[4]


def workflow_home(snakefile_folder: str) -> Path:
    """The folder with `config/tasks`, `config/tools` and the notebook that belong to the workflow.

    Args:
        snakefile_folder: folder or address of the running Snakefile. From a workflow on GitHub, Snakemake fetches single
            files only, so its tasks come from the installed package.

    Raises:
        ConfigurationError: neither has them.
    """
    for folder in (Path(snakefile_folder), CHECKOUT, PACKAGED):
        if (folder / paths.TASKS).is_dir() and (folder / paths.TOOLS).is_dir():
            return folder.resolve()
    raise ConfigurationError(
        f"no tasks next to the Snakefile in {snakefile_folder} or in the installed package",
        remedy="Install the package from a clone or a wheel of this workflow: pip install .",
    )


def own_or_shipped(path: Path, root: Path, home: Path) -> Path:
    """A file of the working folder, otherwise the workflow's file with the same name."""
    return path if path.is_absolute() or (root / path).exists() or root == home else home / path


def shipped_folders(name: str, root: Path, home: Path | None = None) -> list[Path]:
    """The workflow's own folder of this name, and that of the working folder, if they are two."""
    if home is None or home.resolve() == root.resolve():
        return [root / name]
    return [home / name, *([root / name] if (root / name).is_dir() else [])]


def task_folders(root: Path, further: Iterable[Path], home: Path | None = None) -> list[Path]:
    """Where tasks are looked for: the shipped ones, those made from prompts, and further folders.

    Later ones win.

    Args:
        root: the working folder.
        further: what `task_folders` in the settings names.
        home: folder of the workflow's own `config/`, where that is not `root`.
    """
    own = root / paths.OWN_TASKS
    return [*shipped_folders(paths.TASKS, root, home), *([own] if own.is_dir() else []), *further]


def task_folders_of(root: Path) -> list[Path]:
    """The same, by the settings files of a workflow's folder."""
    return task_folders(root, [root / name for name in _named(root, "task_folders")])


def plugins_of(root: Path) -> list[str]:
    """What the setting `plugins` in the settings files of a workflow's folder names."""
    return _named(root, "plugins")


def _named(root: Path, setting: str) -> list[str]:
    return [str(name) for name in list_in(as_list(load_settings(root, {}).settings.get(setting)))]


def find_root(start: Path | None = None) -> Path:
    """The workflow's folder: the nearest one from `start` upwards with a Snakefile and config/config.yaml.

    Raises:
        ConfigurationError: there is none.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "Snakefile").is_file() and (folder / "config" / "config.yaml").is_file():
            return folder
    raise ConfigurationError(
        f"no benchmark workflow in {start} or above (a folder with Snakefile and config/config.yaml)",
        remedy="Change to the checkout, or name it with --root FOLDER",
    )


def find_catalogue(root: Path, home: Path | None = None) -> Path:
    """The catalogue of the working folder `root`, otherwise the workflow's own."""
    for folder in (root, home, CHECKOUT, PACKAGED):
        if folder and (folder / paths.MODELS).is_file():
            return folder / paths.MODELS
    return root / paths.MODELS
