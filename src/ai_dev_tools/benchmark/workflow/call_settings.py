"""The settings of a call of Snakemake as they were typed, and the workflow's home."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark.config.batches import apply_batch
from ai_dev_tools.benchmark.config.parsing import read_settings
from ai_dev_tools.benchmark.config.shipped_files import workflow_home
from ai_dev_tools.benchmark.config.sources import CONFIG_FILE, effective_settings, parse_overrides, update
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, error_lines, file_error

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

P = ParamSpec("P")
T = TypeVar("T")


def ends_in_lines(function: Callable[P, T]) -> Callable[P, T]:
    """End Snakemake with an error's own lines.

    An exception of Snakemake's would add the stack of this package.
    """

    @functools.wraps(function)
    def guarded(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return function(*arguments, **options)
        except (BenchmarkError, OSError) as error:
            said = error if isinstance(error, BenchmarkError) else file_error(error)
            raise SystemExit("\n".join(error_lines(said))) from None

    return guarded


@dataclass(frozen=True)
class CallSettings:
    """The settings of one call.

    Attributes:
        home: folder with the workflow's own `config/`.
        is_module: whether another workflow imports this one.
        overrides: what the command line says.
        settings: all that counts, the chosen batch's included.
    """

    home: Path
    is_module: bool
    overrides: JsonObject
    settings: JsonObject


def read_call(config: Mapping[str, JsonValue], workflow: Workflow) -> CallSettings:
    """The settings of this call of Snakemake.

    Args:
        config: Snakemake's `config`; in a module, what the importing workflow says, laid over this one's config.yaml.

    Raises:
        ConfigurationError: they cannot be read, or the module is used as it cannot be.
    """
    is_module = not workflow.modifier.is_main_snakefile()
    beside = workflow.current_basedir.get_path_or_uri(secret_free=True)
    home = workflow_home(beside) if is_module else Path(beside)
    overrides, settings = _as_typed(workflow), config
    if is_module:
        _refuse_prefix(workflow)
        given = workflow.config_settings.overwrite_config
        overrides = {key: value for key, value in overrides.items() if key in given and config.get(key) == given[key]}
        settings = read_settings(home / CONFIG_FILE)
        update(settings, config)
    elif Path(CONFIG_FILE).is_file() and not workflow.config_settings.replace_workflow_config:
        settings = read_settings(Path(CONFIG_FILE))
    settings = apply_batch(effective_settings(settings, overrides, Path.cwd()), overrides)
    return CallSettings(home, is_module, overrides, settings)


def _as_typed(workflow: Workflow) -> JsonObject:
    """Settings of `--configfile` and `--config` as they were written, before Snakemake read `007` as 7."""
    given = workflow.config_settings
    pairs = given.config_args or []
    if not isinstance(pairs, list | tuple) or any(str(pair).startswith("base64//") for pair in pairs):
        return dict(given.overwrite_config)  # not from a command line
    found: JsonObject = {}
    for path in given.configfiles:
        update(found, read_settings(Path(path)))
    update(found, parse_overrides([str(pair) for pair in pairs]))
    return found


def _refuse_prefix(workflow: Workflow) -> None:
    """Samples are files that Snakemake does not know of, so it could not put a prefix before them."""
    modifier = workflow.modifier.path_modifier
    if modifier.prefix or getattr(modifier, "_prefix_replacements", None):
        raise ConfigurationError(
            "this workflow cannot be used as a module with `prefix` or `replace_prefix`",
            remedy="Leave it out, and run the workflow in a separate folder (snakemake --directory)",
        )
